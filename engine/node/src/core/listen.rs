//! What a run listens for: its subscriptions, how far each has looked into the stream, and what of that is to be written.
//!
//! A subscription's cursor only moves over events that it was offered while it stood as it stands: one that begins, changes or rests in
//! the middle of a page is looked for again. What the run consumes is remembered until no look that began before it was durable is under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use potok_machine::{Pattern, Subscription, SubscriptionId};

use super::types::{ListenChange, Listener as Stored, Wanted};

/// A run's subscriptions.
#[derive(Default)]
pub(super) struct Listening {
    open: BTreeMap<SubscriptionId, Listener>,
    /// Those of the store that the run does not have (any more, or not yet again).
    left: BTreeMap<SubscriptionId, u64>,
    /// Ended, and not yet handed to a write.
    closed: BTreeSet<SubscriptionId>,
    /// Consumed, and not yet handed to a write.
    consumed: Vec<u64>,
    /// Consumed, with the entry that says so: a look may still show them.
    recent: BTreeMap<u64, u64>,
    /// Whether the stream is being looked into.
    looking: bool,
    /// Whether it must be looked into again.
    again: bool,
    /// Whether the store marks the run as one for which something came.
    marked: bool,
}

struct Listener {
    patterns: Vec<Pattern>,
    /// The event up to which it has looked; `None` when it begins where its run has begun.
    cursor: Option<u64>,
    patterns_unwritten: bool,
    cursor_unwritten: bool,
    /// Whether it has begun or changed since the last look began.
    fresh: bool,
}

impl Listener {
    fn is_active(&self) -> bool {
        !self.patterns.is_empty()
    }

    fn moved_to(&mut self, sequence: u64) {
        if self.cursor.is_none_or(|cursor| cursor < sequence) {
            self.cursor = Some(sequence);
            self.cursor_unwritten = true;
        }
    }
}

impl Listening {
    /// Takes up what the store has of a run that was read.
    pub fn restore(&mut self, stored: &[Stored]) {
        self.left = stored.iter().map(|row| (row.subscription, row.cursor)).collect();
        self.marked = stored.iter().any(|row| row.behind);
    }

    /// A subscription that was open when the run was written last is known to the store already.
    pub fn subscribe(&mut self, subscription: Subscription, outstanding: bool) {
        let id = subscription.subscription;
        let left = self.left.remove(&id);
        self.closed.remove(&id);
        let known = outstanding && left.is_some();
        let listener = self.open.entry(id).or_insert(Listener {
            patterns: Vec::new(),
            cursor: left,
            patterns_unwritten: false,
            cursor_unwritten: false,
            fresh: true,
        });
        listener.patterns = subscription.patterns;
        listener.patterns_unwritten |= !known;
        listener.fresh = true;
    }

    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        self.left.remove(&id);
        self.open.remove(&id);
        self.closed.insert(id);
    }

    /// Something came that may be for the run.
    pub fn nudge(&mut self) {
        self.marked = true;
        self.again = true;
    }

    /// Whether the store says that something came.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// Looking was not possible; it must be done again.
    pub fn looked_in_vain(&mut self) {
        self.looking = false;
        self.again = true;
    }

    /// Whether it listens for nothing.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What is to be looked for, when it is time to look.
    pub fn look(&mut self) -> Option<Vec<Wanted>> {
        if !self.again || self.looking {
            return None;
        }
        self.again = false;
        let mut wanted = Vec::new();
        for listener in self.open.values_mut().filter(|listener| listener.is_active()) {
            listener.fresh = false;
            wanted.push(Wanted {
                patterns: listener.patterns.clone(),
                cursor: listener.cursor,
            });
        }
        self.looking = !wanted.is_empty();
        self.looking.then_some(wanted)
    }

    /// A look has ended and what it found is offered.
    pub fn looked(&mut self) {
        self.looking = false;
    }

    /// Whether events may be offered: someone listens, and nobody has begun to since the look.
    pub fn is_steady(&self) -> bool {
        let mut active = self.open.values().filter(|listener| listener.is_active()).peekable();
        active.peek().is_some() && active.all(|listener| !listener.fresh)
    }

    /// Whether the run has consumed an event that a look still shows.
    pub fn has_consumed(&self, sequence: u64) -> bool {
        self.recent.contains_key(&sequence)
    }

    /// The run has consumed an event, by the entry of that number.
    pub fn consume(&mut self, subscription: SubscriptionId, sequence: u64, entry: u64) {
        self.consumed.push(sequence);
        self.recent.insert(sequence, entry);
        if let Some(listener) = self.open.get_mut(&subscription) {
            listener.moved_to(sequence);
        }
    }

    /// Everything up to an event was offered to those who listen as they did when the look began.
    pub fn offered(&mut self, upto: u64) {
        for listener in self.open.values_mut().filter(|l| l.is_active() && !l.fresh) {
            listener.moved_to(upto);
        }
    }

    /// The offer broke off: those who were not offered the rest must look again, once the others are known to the store.
    pub fn broke_off(&mut self) {
        self.again |= self.open.values().any(|l| l.is_active() && !l.fresh);
    }

    /// There is more to be found.
    pub fn look_again(&mut self) {
        self.again = true;
    }

    /// Whether something must be written for its own sake.
    pub fn dirty(&self) -> bool {
        let caught_up = self.marked && !self.looking && !self.again;
        !self.closed.is_empty()
            || !self.consumed.is_empty()
            || self
                .open
                .values()
                .any(|l| l.patterns_unwritten || (caught_up && l.cursor_unwritten))
    }

    /// Whether it is looking.
    pub fn is_looking(&self) -> bool {
        self.looking
    }

    /// Whether it is looking, or about to.
    pub fn busy(&self) -> bool {
        self.looking || self.again
    }

    /// What is to be written: changes of subscriptions, and what was consumed.
    pub fn take(&mut self) -> (Vec<ListenChange>, Vec<u64>) {
        let closed = mem::take(&mut self.closed).into_iter();
        let mut changes: Vec<_> = closed
            .map(|subscription| ListenChange::Close { subscription })
            .collect();
        for (id, listener) in &mut self.open {
            let patterns = listener.patterns_unwritten.then(|| listener.patterns.clone());
            let cursor = listener.cursor.filter(|_| listener.cursor_unwritten);
            listener.patterns_unwritten = false;
            listener.cursor_unwritten = false;
            if patterns.is_some() || cursor.is_some() {
                changes.push(ListenChange::Set {
                    subscription: *id,
                    patterns,
                    cursor,
                });
            }
        }
        if !self.busy() {
            self.marked = false;
        }
        (changes, mem::take(&mut self.consumed))
    }

    /// A write did not happen: what it carried is to be written again.
    pub fn untake(&mut self, changes: Vec<ListenChange>, mut consumed: Vec<u64>) {
        for change in changes {
            match change {
                ListenChange::Close { subscription } => {
                    self.closed.insert(subscription);
                }
                ListenChange::Set {
                    subscription,
                    patterns,
                    cursor,
                } => {
                    if let Some(listener) = self.open.get_mut(&subscription) {
                        listener.patterns_unwritten |= patterns.is_some();
                        listener.cursor_unwritten |= cursor.is_some();
                    }
                }
            }
        }
        self.marked = true;
        consumed.append(&mut self.consumed);
        self.consumed = consumed;
    }

    /// Entries up to a number are durable: no look that begins from now on shows what they have consumed.
    pub fn settle(&mut self, durable: u64) {
        if !self.looking {
            self.recent.retain(|_, entry| *entry > durable);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listens(listening: &mut Listening, id: u64, kinds: &[&str]) {
        let pattern = |kind: &&str| Pattern {
            kind: Some((*kind).to_owned()),
            source: None,
            correlations: Vec::new(),
        };
        listening.subscribe(
            Subscription {
                subscription: SubscriptionId(id),
                path: potok_dsl::TaskPath("/do/0/listen".into()),
                patterns: kinds.iter().map(pattern).collect(),
            },
            false,
        );
    }

    fn set(id: u64, patterns: bool, cursor: Option<u64>) -> impl Fn(&ListenChange) -> bool {
        move |change| {
            matches!(change, ListenChange::Set { subscription, patterns: p, cursor: c }
                if subscription.0 == id && p.is_some() == patterns && *c == cursor)
        }
    }

    #[test]
    fn a_cursor_stays_while_its_subscription_rests() {
        let mut listening = Listening::default();
        listens(&mut listening, 1, &["a"]);
        assert!(listening.dirty());
        let (changes, _) = listening.take();
        assert!(changes.iter().any(set(1, true, None)) && !listening.dirty());
        listening.nudge();
        assert_eq!(listening.look().map(|wanted| wanted.len()), Some(1));
        listening.looked();
        assert!(listening.is_steady());
        listening.consume(SubscriptionId(1), 5, 2);
        listens(&mut listening, 1, &[]);
        assert!(!listening.is_steady());
        listening.offered(9);
        let (changes, consumed) = listening.take();
        assert!(changes.iter().any(set(1, true, Some(5))), "{changes:?}");
        assert_eq!(consumed, [5]);
        listens(&mut listening, 1, &["a"]);
        assert!(!listening.is_steady(), "it must look before it is offered anything");
        listening.nudge();
        assert_eq!(listening.look().unwrap_or_default()[0].cursor, Some(5));
    }

    #[test]
    fn a_look_from_before_a_write_does_not_show_twice() {
        let mut listening = Listening::default();
        listens(&mut listening, 1, &["a"]);
        listening.nudge();
        assert!(listening.look().is_some());
        listening.consume(SubscriptionId(1), 5, 2);
        listening.settle(2);
        assert!(listening.has_consumed(5), "the look under way began before");
        listening.looked();
        listening.settle(2);
        assert!(!listening.has_consumed(5));
    }

    #[test]
    fn what_was_not_written_is_written_again() {
        let mut listening = Listening::default();
        listens(&mut listening, 1, &["a"]);
        listening.consume(SubscriptionId(1), 3, 2);
        listening.unsubscribe(SubscriptionId(2));
        let (changes, consumed) = listening.take();
        assert!(!listening.dirty());
        listening.consume(SubscriptionId(1), 4, 3);
        listening.untake(changes, consumed);
        let (changes, consumed) = listening.take();
        assert_eq!(consumed, [3, 4]);
        assert!(changes.iter().any(set(1, true, Some(4))), "{changes:?}");
        assert!(
            changes
                .iter()
                .any(|c| matches!(c, ListenChange::Close { subscription } if subscription.0 == 2))
        );
    }
}
