//! The state of a `listen`: what it still waits for, what it has consumed, and what waits to be worked on.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{effect::SubscriptionId, frame::FrameId};

/// The most events that a `listen` keeps. One without `foreach` faults when there are more.
pub(crate) const MOST_KEPT: usize = 10_000;

/// The most events, and outputs of `foreach`, that a `listen` with `foreach` keeps: the newest.
pub(crate) const NEWEST_KEPT: usize = 1_000;

/// The most bytes (as JSON) of what a `listen` keeps.
pub(crate) const MOST_BYTES: u64 = 16 << 20;

/// The most events that wait for `foreach`. With so many the listener takes no more until half of them are done: the others wait in
/// the stream.
pub(crate) const MOST_WAITING: usize = 100;

/// The state of a `listen`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listening<V> {
    /// Under which number it listens.
    pub(crate) subscription: SubscriptionId,
    /// Under which number it listens for what ends it.
    pub(crate) until: Option<SubscriptionId>,
    /// What the expressions of the filters gave, an array.
    pub(crate) parameters: V,
    /// The values of correlations.
    pub(crate) known: BTreeMap<String, V>,
    /// The filters that were fitted.
    pub(crate) filled: BTreeSet<u32>,
    pub(crate) until_filled: BTreeSet<u32>,
    /// Whether it listens no more.
    pub(crate) over: bool,
    /// Whether too many events wait for it to take more.
    pub(crate) full: bool,
    /// What was consumed, as it is read.
    pub(crate) consumed: Kept<V>,
    /// What was consumed and waits for `foreach`.
    pub(crate) waiting: VecDeque<V>,
    /// The index of the next event for `foreach`.
    pub(crate) next: u64,
    /// What is done for an event.
    pub(crate) running: Option<FrameId>,
    /// Whether the next event is in the queue.
    pub(crate) queued: bool,
    /// What `foreach` gave.
    pub(crate) outputs: Kept<V>,
}

impl<V> Listening<V> {
    /// A listener that has just begun.
    pub(crate) fn new(subscription: SubscriptionId, until: Option<SubscriptionId>, parameters: V) -> Self {
        Self {
            subscription,
            until,
            parameters,
            known: BTreeMap::new(),
            filled: BTreeSet::new(),
            until_filled: BTreeSet::new(),
            over: false,
            full: false,
            consumed: Kept::default(),
            waiting: VecDeque::new(),
            next: 0,
            running: None,
            queued: false,
            outputs: Kept::default(),
        }
    }

    /// The filters that were fitted: of what is consumed, or of what ends it.
    pub(crate) fn filled(&self, until: bool) -> &BTreeSet<u32> {
        if until { &self.until_filled } else { &self.filled }
    }

    pub(crate) fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Listening<U>, E> {
        let known = self.known.into_iter().map(|(name, value)| Ok((name, f(value)?)));
        Ok(Listening {
            subscription: self.subscription,
            until: self.until,
            known: known.collect::<Result<_, E>>()?,
            parameters: f(self.parameters)?,
            filled: self.filled,
            until_filled: self.until_filled,
            over: self.over,
            full: self.full,
            consumed: self.consumed.map(f)?,
            waiting: self.waiting.into_iter().map(&mut *f).collect::<Result<_, E>>()?,
            next: self.next,
            running: self.running,
            queued: self.queued,
            outputs: self.outputs.map(f)?,
        })
    }
}

/// Values in order, the newest of them, and how large they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept<V> {
    items: VecDeque<V>,
    bytes: u64,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<V> Kept<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Kept<U>, E> {
        Ok(Kept {
            items: self.items.into_iter().map(f).collect::<Result<_, E>>()?,
            bytes: self.bytes,
        })
    }
}

impl Kept<Arc<Value>> {
    pub(crate) fn push(&mut self, value: Arc<Value>) {
        self.bytes += size(&value);
        self.items.push_back(value);
    }

    /// Whether there is more than a listener without `foreach` may keep.
    pub(crate) fn is_too_much(&self) -> bool {
        self.items.len() > MOST_KEPT || self.bytes > MOST_BYTES
    }

    /// Forgets the oldest, so that no more is kept than a listener with `foreach` may keep.
    pub(crate) fn trim(&mut self) {
        while self.items.len() > NEWEST_KEPT || self.bytes > MOST_BYTES {
            let Some(oldest) = self.items.pop_front() else { return };
            self.bytes -= size(&oldest).min(self.bytes);
        }
    }

    pub(crate) fn array(&self) -> Value {
        self.items.iter().map(|item| item.as_ref().clone()).collect()
    }
}

/// How long a value is as JSON.
fn size(value: &Value) -> u64 {
    struct Counter(u64);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut kept = Kept::default();
        for n in 0..2_000 {
            kept.push(Arc::new(json!({ "n": n })));
            kept.trim();
        }
        assert_eq!(kept.items.len(), NEWEST_KEPT);
        assert_eq!(kept.items[0].as_ref(), &json!({ "n": 1_000 }));
        assert_eq!(kept.bytes, 10 * 1_000);
        kept.push(Arc::new(json!("x".repeat(MOST_BYTES as usize))));
        assert!(kept.is_too_much());
        kept.trim();
        assert_eq!((kept.items.len(), kept.bytes), (0, 0));
    }
}
