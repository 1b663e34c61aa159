//! How fast a bot may write: token buckets, filled as time goes by.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::model::{ChatId, ChatKind, UserId};
use super::refusal::Refusal;

/// `burst` messages at once, and again one for every `per_ms / burst` that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How many fit, at least 1.
    pub burst: u32,
    /// In which time an empty bucket fills, in milliseconds, at least 1.
    pub per_ms: u32,
}

/// Which limits hold; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// One bot in one chat.
    pub chat: Option<Bucket>,
    /// One bot in one supergroup, besides `chat`.
    pub group: Option<Bucket>,
    /// One bot everywhere.
    pub bot: Option<Bucket>,
}

impl RateLimits {
    /// None at all: what the demo runs with.
    pub fn off() -> Self {
        Self::default()
    }

    /// What Telegram documents: about a message a second in a chat with short bursts over it, 20 a minute in a group,
    /// 30 a second in all.
    pub fn documented() -> Self {
        Self {
            chat: Some(Bucket {
                burst: 5,
                per_ms: 5_000,
            }),
            group: Some(Bucket {
                burst: 20,
                per_ms: 60_000,
            }),
            bot: Some(Bucket {
                burst: 30,
                per_ms: 1_000,
            }),
        }
    }
}

/// The buckets' levels. There are at most as many as bots times chats.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    limits: RateLimits,
    levels: HashMap<(UserId, Option<ChatId>, Which), Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    Chat,
    Group,
    Bot,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    /// Thousandths of a message, so that no time is lost by rounding.
    milli_messages: u64,
    at: i64,
}

impl Limiter {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self {
            limits,
            levels: HashMap::new(),
        }
    }

    /// Takes one message out of every bucket that holds for it, or out of none and says how long to wait.
    pub(super) fn take(&mut self, bot: UserId, chat: ChatId, kind: ChatKind, now: i64) -> Result<(), Refusal> {
        let group = self.limits.group.filter(|_| kind == ChatKind::Supergroup);
        let buckets: Vec<_> = [
            (self.limits.chat, (bot, Some(chat), Which::Chat)),
            (group, (bot, Some(chat), Which::Group)),
            (self.limits.bot, (bot, None, Which::Bot)),
        ]
        .into_iter()
        .filter_map(|(bucket, key)| bucket.map(|bucket| (bucket, key)))
        .collect();
        let mut wait_ms = 0;
        for (bucket, key) in &buckets {
            let level = self.levels.entry(*key).or_insert(Level {
                milli_messages: full(*bucket),
                at: now,
            });
            level.refill(*bucket, now);
            wait_ms = wait_ms.max(level.wait_ms(*bucket));
        }
        if wait_ms > 0 {
            return Err(Refusal::TooFast {
                seconds: wait_ms.div_ceil(1_000),
            });
        }
        for (_, key) in &buckets {
            if let Some(level) = self.levels.get_mut(key) {
                level.milli_messages -= MESSAGE;
            }
        }
        Ok(())
    }
}

const MESSAGE: u64 = 1_000;

fn full(bucket: Bucket) -> u64 {
    u64::from(bucket.burst.max(1)) * MESSAGE
}

impl Level {
    fn refill(&mut self, bucket: Bucket, now: i64) {
        let per_ms = u64::from(bucket.per_ms.max(1));
        let passed = u64::try_from(now - self.at).unwrap_or(0).min(per_ms);
        let gained = passed * full(bucket) / per_ms;
        if gained > 0 {
            self.milli_messages = (self.milli_messages + gained).min(full(bucket));
            self.at = now;
        }
    }

    fn wait_ms(&self, bucket: Bucket) -> u64 {
        let missing = MESSAGE.saturating_sub(self.milli_messages);
        (missing * u64::from(bucket.per_ms.max(1))).div_ceil(full(bucket))
    }
}
