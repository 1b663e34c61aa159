//! Where the engine dies.

use std::time::Duration;

use potok_sandbox::{Fault, FaultKind, Target};

use crate::oracle::Progress;
use crate::pipeline::POSTS;
use crate::seeds::Random;

/// One death. Numbers count from 0 and from the start of the process that dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// The model has this request and has not answered.
    Asked(u32),
    /// The Bot API has this message and has done nothing: the intent is recorded, nothing is sent.
    Intended(u32),
    /// The message is in the channel, and no answer was given.
    Sent(u32),
    /// The message has just come into the channel, and its answer is on its way.
    Answered(u32),
    /// So long after the start.
    After(Duration),
}

/// How many kinds of failpoints there are; the last one is two deaths in a row.
const KINDS: u64 = 6;

impl Failpoint {
    /// The first death of a seed, and whether a second follows. `whole` is how long a run takes that nobody disturbs.
    pub fn first(seed: u64, random: &mut Random, whole: Duration) -> (Self, bool) {
        let twice = seed % KINDS == KINDS - 1;
        let kind = if twice { random.below(KINDS - 1) } else { seed % KINDS };
        (Self::of_kind(kind, random, Progress::default(), whole), twice)
    }

    /// Another death, of a run that has come so far.
    pub fn next(random: &mut Random, progress: Progress, whole: Duration) -> Self {
        Self::of_kind(random.below(KINDS - 1), random, progress, whole)
    }

    fn of_kind(kind: u64, random: &mut Random, progress: Progress, whole: Duration) -> Self {
        let sends = POSTS - progress.posts;
        // The post that comes next may have been composed.
        let asks = (POSTS - progress.summaries) + sends.saturating_sub(1);
        let mut one_of = |count: usize| u32::try_from(random.below(count as u64)).unwrap();
        match kind {
            0 if asks > 0 => Self::Asked(one_of(asks)),
            1 if sends > 0 => Self::Intended(one_of(sends)),
            2 if sends > 0 => Self::Sent(one_of(sends)),
            3 if sends > 0 => Self::Answered(one_of(sends)),
            _ => Self::After(Duration::from_millis(random.below(whole.as_millis() as u64))),
        }
    }

    /// What the sandbox has to do wrong, so that there is a time to die.
    pub fn fault(self) -> Option<Fault> {
        let (target, method, after, kind) = match self {
            Self::Asked(after) => (Target::Ai, "chat/completions", after, FaultKind::Hang),
            Self::Intended(after) => (Target::Bot, "sendMessage", after, FaultKind::Hang),
            Self::Sent(after) => (Target::Bot, "sendMessage", after, FaultKind::HangBeforeAnswer),
            Self::Answered(_) | Self::After(_) => return None,
        };
        Some(Fault {
            target,
            method: Some(method.to_owned()),
            after,
            times: 1,
            kind,
        })
    }

    /// Whether a post's answer is certainly lost.
    pub fn loses_an_answer(self) -> bool {
        matches!(self, Self::Intended(_) | Self::Sent(_))
    }

    /// How many requests to the model may have to be made again: those that were under way. While a post is being sent there are none,
    /// and all results before it are durable.
    pub fn asked_again(self, progress: Progress) -> u64 {
        const AT_ONCE: usize = 4;
        let under_way = match POSTS - progress.summaries {
            _ if self.loses_an_answer() => 0,
            0 => 1,
            open => open.min(AT_ONCE),
        };
        under_way as u64
    }
}
