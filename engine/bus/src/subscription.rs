//! The listening side: a bounded queue that forgets its oldest messages and counts them.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::Message;

/// How many messages wait for one subscriber at most.
const MESSAGES: usize = 256;

/// How many bytes wait for one subscriber at most; one message may be larger.
const BYTES: usize = 4 << 20;

/// A subscriber was too slow: so many messages were dropped before the ones that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged(pub u64);

/// What a subscriber hears. Dropping it ends the subscription.
pub struct Subscription {
    queue: Arc<Queue>,
    /// Ends the subscription at the bus when it is dropped.
    _registration: Box<dyn Any + Send + Sync>,
}

impl Subscription {
    pub(crate) fn new(queue: Arc<Queue>, registration: Box<dyn Any + Send + Sync>) -> Self {
        Self {
            queue,
            _registration: registration,
        }
    }

    /// The next message, or how many were missed before it; `None` once the bus is gone and everything was heard. May be cancelled
    /// without losing anything.
    pub async fn next(&mut self) -> Option<Result<Message, Lagged>> {
        loop {
            // Asked for before the queue is looked at, so that a message in between is not slept through.
            let notified = self.queue.arrived.notified();
            if let Some(answer) = self.queue.take() {
                return answer;
            }
            notified.await;
        }
    }
}

/// A queue between the bus and one subscriber.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    missed: u64,
    closed: bool,
}

impl Queue {
    /// Adds a message; the oldest make room.
    pub(crate) fn push(&self, message: Message) {
        let mut waiting = self.lock();
        waiting.bytes += message.payload.len();
        waiting.messages.push_back(message);
        while waiting.messages.len() > MESSAGES || (waiting.bytes > BYTES && waiting.messages.len() > 1) {
            let dropped = waiting.messages.pop_front().map_or(0, |message| message.payload.len());
            waiting.bytes -= dropped;
            waiting.missed += 1;
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// What is to be told now; `None` when there is nothing yet.
    fn take(&self) -> Option<Option<Result<Message, Lagged>>> {
        let mut waiting = self.lock();
        if waiting.missed > 0 {
            return Some(Some(Err(Lagged(std::mem::take(&mut waiting.missed)))));
        }
        match waiting.messages.pop_front() {
            Some(message) => {
                waiting.bytes -= message.payload.len();
                Some(Some(Ok(message)))
            }
            None if waiting.closed => Some(None),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
