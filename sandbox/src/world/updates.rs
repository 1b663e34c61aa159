//! What bots are told by `getUpdates`: a bounded queue for each.

use std::collections::VecDeque;

use super::model::{ChatId, Message};

/// More than this wait for nobody: the oldest go.
const MAX_WAITING: usize = 10_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Grows by one; positive.
    pub id: i64,
    /// What kind of thing.
    pub kind: UpdateKind,
    /// Where.
    pub chat: ChatId,
    /// The message as it was then.
    pub message: Message,
}

/// Which field of the Bot API's `Update` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UpdateKind {
    Message,
    EditedMessage,
    ChannelPost,
    EditedChannelPost,
}

impl UpdateKind {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::EditedMessage => "edited_message",
            Self::ChannelPost => "channel_post",
            Self::EditedChannelPost => "edited_channel_post",
        }
    }
}

/// The updates that wait for one bot. They live as long as the process.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Update>,
    next_id: i64,
    /// Empty: everything.
    allowed: Vec<String>,
}

impl Queue {
    /// `first_id` should be larger than any id given before a restart; the time in seconds is.
    pub(super) fn new(first_id: i64) -> Self {
        Self {
            waiting: VecDeque::new(),
            next_id: first_id.max(1),
            allowed: Vec::new(),
        }
    }

    /// Says which kinds are wanted from now on.
    pub(super) fn allow(&mut self, allowed: Vec<String>) {
        self.allowed = allowed;
    }

    pub(super) fn push(&mut self, kind: UpdateKind, chat: ChatId, message: Message) {
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == kind.name()) {
            return;
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Update {
            id: self.next_id,
            kind,
            chat,
            message,
        });
        self.next_id += 1;
    }

    /// Forgets those before `offset` (or, when it is negative, all but that many) and gives the next ones.
    pub(super) fn read(&mut self, offset: i64, limit: usize) -> Vec<Update> {
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let forget = self.waiting.len().saturating_sub(keep);
            self.waiting.drain(..forget);
        } else {
            while self.waiting.front().is_some_and(|update| update.id < offset) {
                self.waiting.pop_front();
            }
        }
        self.waiting.iter().take(limit).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
