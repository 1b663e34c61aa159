//! Runs a machine in memory and keeps the books.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use potok_dsl::{Millis, Problem, RunId, Timestamp};
use potok_expr::Evaluator;
use serde_json::Value;

use super::Random;
use crate::{
    CallEffect, CallId, Definition, Effect, Entry, Event, Machine, Mismatch, Outcome, RateRequest, Recorded, Request,
    SEMANTICS, Start, Subscription, SubscriptionId, TimerId, Trace, correlated,
};

/// A machine, its journal, and what it has asked for.
#[derive(Debug)]
pub struct Driver {
    /// The machine.
    pub machine: Machine,
    /// Its journal.
    pub entries: Vec<Entry>,
    /// All its effects but [`Effect::Yield`], in order.
    pub effects: Vec<Effect>,
    /// What an observer has seen.
    pub traces: Vec<Trace>,
    /// The time.
    pub now: Timestamp,
    definition: Arc<Definition>,
    evaluator: Evaluator,
    slice: Option<u64>,
    calls: BTreeMap<CallId, CallEffect>,
    closed: Vec<CallEffect>,
    timers: BTreeMap<TimerId, Timestamp>,
    known_calls: BTreeSet<CallId>,
    known_timers: BTreeSet<TimerId>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    closed_subscriptions: BTreeSet<SubscriptionId>,
    /// The number of the event that was offered last.
    sequence: u64,
    outcome: Option<Outcome>,
}

impl Driver {
    /// Starts a run at the time 1,000,000 ms, held when its workflow limits how many there are; `slice` is the size of the machine's slices when it is not the usual one.
    ///
    /// # Panics
    /// When the machine's effects contradict each other.
    #[must_use]
    pub fn start(definition: &Arc<Definition>, evaluator: &Evaluator, input: Value, slice: Option<u64>) -> Self {
        let run = RunId::from_bytes([1, 146, 0, 0, 0, 0, 112, 0, 128, 0, 0, 0, 0, 0, 0, 1]);
        let start = Start {
            semantics: SEMANTICS,
            run,
            definition: "test".to_owned(),
            input: Arc::new(input),
            at: Timestamp(1_000_000),
            parent: None,
            held: definition.is_held(),
            origin: None,
        };
        Self::begin(definition, evaluator, start, slice)
    }

    /// Starts a run as it is said, such as one that is made from another.
    ///
    /// # Panics
    /// When the machine's effects contradict each other.
    #[must_use]
    pub fn begin(definition: &Arc<Definition>, evaluator: &Evaluator, start: Start, slice: Option<u64>) -> Self {
        let now = start.at;
        let mut traces = Vec::new();
        let (machine, effects) = begin(definition, evaluator, &start, &mut traces, slice);
        let mut driver = Self {
            machine,
            entries: vec![Entry::Start(start)],
            effects: Vec::new(),
            traces,
            now,
            definition: Arc::clone(definition),
            evaluator: evaluator.clone(),
            slice,
            calls: BTreeMap::new(),
            closed: Vec::new(),
            timers: BTreeMap::new(),
            known_calls: BTreeSet::new(),
            known_timers: BTreeSet::new(),
            subscriptions: BTreeMap::new(),
            closed_subscriptions: BTreeSet::new(),
            sequence: 0,
            outcome: None,
        };
        driver.note(effects);
        driver
    }

    /// Applies an event now and journals it; the effects that came of it.
    ///
    /// # Errors
    /// What the machine says.
    ///
    /// # Panics
    /// When the machine's effects contradict each other.
    pub fn apply(&mut self, event: Event) -> Result<Vec<Effect>, Mismatch> {
        let recorded = self.machine.record(self.now, event);
        let effects = self.machine.apply(&recorded, &mut self.traces)?;
        self.entries.push(Entry::Event(recorded));
        self.note(effects.clone());
        Ok(effects)
    }

    /// Lets the machine go on after a yield.
    ///
    /// # Panics
    /// When the machine's effects contradict each other.
    pub fn proceed(&mut self) -> Vec<Effect> {
        let effects = self.machine.proceed(&mut self.traces);
        self.note(effects.clone());
        effects
    }

    /// The event that completes an open call.
    ///
    /// # Panics
    /// When the call is unknown.
    #[must_use]
    pub fn completion(&self, call: CallId, outcome: Result<Value, Problem>) -> Event {
        let closed = || self.closed.iter().find(|effect| effect.call == call);
        let effect = self.calls.get(&call).or_else(closed);
        let effect = effect.unwrap_or_else(|| panic!("call {call} was never made"));
        Event::CallCompleted {
            call,
            path: effect.path.clone(),
            digest: effect.digest.clone(),
            outcome: outcome.map(Arc::new),
            made: None,
        }
    }

    /// The open calls, by their numbers.
    pub fn calls(&self) -> impl Iterator<Item = &CallEffect> {
        self.calls.values()
    }

    /// The open timers, by their moments.
    #[must_use]
    pub fn timers(&self) -> Vec<(Timestamp, TimerId)> {
        let mut timers: Vec<_> = self.timers.iter().map(|(timer, at)| (*at, *timer)).collect();
        timers.sort_unstable();
        timers
    }

    /// The open subscriptions, by their numbers.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    /// An event comes in: how the run consumes it, when it does.
    ///
    /// # Panics
    /// When the machine takes an event that fits none of the patterns it has asked for.
    pub fn incoming(&mut self, event: Value) -> Option<Event> {
        self.sequence += 1;
        let subscription = self.machine.accepts(&event)?;
        let asked = &self.subscriptions[&subscription];
        let fits = |name: &str, wanted: &Option<String>| wanted.is_none() || wanted.as_deref() == event[name].as_str();
        let fitting = asked.patterns.iter().any(|pattern| {
            let known = pattern.correlations.iter().all(|correlation| {
                correlated(&correlation.from, &self.evaluator, &event).as_ref() == Some(&correlation.value)
            });
            fits("type", &pattern.kind) && fits("source", &pattern.source) && known
        });
        assert!(fitting, "{event} is taken by {asked:?}, which does not ask for it");
        Some(Event::EventConsumed {
            subscription,
            sequence: self.sequence,
            event: Arc::new(event),
        })
    }

    /// As [`Self::incoming`], and applies it; whether the run has consumed it.
    ///
    /// # Panics
    /// When the machine contradicts itself.
    pub fn offer(&mut self, event: Value) -> bool {
        let Some(event) = self.incoming(event) else {
            return false;
        };
        self.apply(event).unwrap_or_else(|mismatch| panic!("{mismatch}"));
        true
    }

    /// Goes forward to the next timer and fires it; the event, when there is one.
    #[must_use]
    pub fn next_timer(&mut self) -> Option<Event> {
        let (at, timer) = *self.timers().first()?;
        self.now = self.now.max(at);
        Some(Event::TimerFired { timer })
    }

    /// The answer to a call that asks for a moment: now, or a little later.
    fn moment(&self, effect: &CallEffect, later: u64) -> Option<Value> {
        match &effect.request {
            Request::Rate(asked) => Some(RateRequest::given(asked.earliest(self.now).after(Millis(later)))),
            _ => None,
        }
    }

    /// Runs to the end, or until nothing is open: calls first, in order, then time.
    ///
    /// # Panics
    /// When the machine refuses an event or contradicts itself.
    pub fn run(&mut self, answer: &mut dyn FnMut(&CallEffect) -> Result<Value, Problem>) -> Option<&Outcome> {
        while self.outcome.is_none() {
            if self.machine.is_held() {
                self.apply(Event::Admitted)
                    .unwrap_or_else(|mismatch| panic!("{mismatch}"));
                continue;
            }
            if self.machine.wants_to_proceed() {
                self.proceed();
                continue;
            }
            let open = self
                .calls
                .first_key_value()
                .map(|(call, effect)| (*call, self.moment(effect, 0).map_or_else(|| answer(effect), Ok)));
            let event = match open {
                Some((call, outcome)) => Some(self.completion(call, outcome)),
                None => self.next_timer(),
            };
            let Some(event) = event else { break };
            self.apply(event).unwrap_or_else(|mismatch| panic!("{mismatch}"));
        }
        self.outcome.as_ref()
    }

    /// An event such as the world might bring next: mostly something that the run waits for, now and then something late,
    /// doubled or from a person. `None` lets the machine proceed, or means that nothing can happen any more.
    pub fn happening(&mut self, random: &mut Random) -> Option<Event> {
        if self.machine.wants_to_proceed() && !random.one_in(4) {
            // A computation takes its time.
            self.now = self.now.after(potok_dsl::Millis(random.below(500)));
            return None;
        }
        if self.machine.is_held() && !random.one_in(3) {
            return Some(Event::Admitted);
        }
        match random.below(40) {
            0 => return Some(Event::Suspend { reason: None }),
            1..=4 => return Some(Event::Resume),
            5 if random.one_in(4) => {
                return Some(Event::Cancel {
                    reason: Some("test".to_owned()),
                });
            }
            6..=8 if !self.closed.is_empty() => {
                let call = random.pick(&self.closed).call;
                return Some(self.completion(call, Ok(Value::from("late"))));
            }
            9 if !self.known_timers.is_empty() => {
                let known: Vec<TimerId> = self.known_timers.iter().copied().collect();
                let closed: Vec<_> = known
                    .into_iter()
                    .filter(|timer| !self.timers.contains_key(timer))
                    .collect();
                if !closed.is_empty() {
                    return Some(Event::TimerFired {
                        timer: *random.pick(&closed),
                    });
                }
            }
            _ => {}
        }
        self.now = self.now.after(potok_dsl::Millis(random.below(3)));
        let open: Vec<CallId> = self.calls.keys().copied().collect();
        if !open.is_empty() && !random.one_in(5) {
            let call = *random.pick(&open);
            let later = random.below(30);
            let moment = self.moment(&self.calls[&call], later);
            let outcome = moment.map_or_else(|| super::answer(&self.calls[&call], random), Ok);
            return Some(self.completion(call, outcome));
        }
        if !self.subscriptions.is_empty() && !random.one_in(3) {
            let event = super::event(random);
            if let Some(event) = self.incoming(event) {
                return Some(event);
            }
        }
        self.next_timer()
            .or_else(|| (self.machine.status() == crate::Status::Suspended).then_some(Event::Resume))
            .or_else(|| self.machine.is_held().then_some(Event::Admitted))
    }

    /// Folds the journal again from its start.
    ///
    /// # Panics
    /// When the journal does not fit the definition, or the effects contradict each other.
    #[must_use]
    pub fn replayed(&self) -> Self {
        let Some(Entry::Start(start)) = self.entries.first() else {
            panic!("the journal has no start")
        };
        let mut traces = Vec::new();
        let (machine, effects) = begin(&self.definition, &self.evaluator, start, &mut traces, self.slice);
        let mut driver = Self {
            machine,
            entries: vec![Entry::Start(start.clone())],
            effects: Vec::new(),
            traces,
            now: start.at,
            definition: Arc::clone(&self.definition),
            evaluator: self.evaluator.clone(),
            slice: self.slice,
            calls: BTreeMap::new(),
            closed: Vec::new(),
            timers: BTreeMap::new(),
            known_calls: BTreeSet::new(),
            known_timers: BTreeSet::new(),
            subscriptions: BTreeMap::new(),
            closed_subscriptions: BTreeSet::new(),
            sequence: 0,
            outcome: None,
        };
        driver.note(effects);
        for entry in &self.entries[1..] {
            let Entry::Event(recorded) = entry else {
                panic!("the journal has two starts")
            };
            driver.replay(recorded);
        }
        driver
    }

    fn replay(&mut self, recorded: &Recorded) {
        self.now = recorded.at;
        let effects = self
            .machine
            .apply(recorded, &mut self.traces)
            .unwrap_or_else(|mismatch| panic!("{mismatch}"));
        self.entries.push(Entry::Event(recorded.clone()));
        self.note(effects);
    }

    /// Puts effects into the books, which must fit what the machine says of itself.
    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(self.outcome.is_none(), "after the end comes {effect:?}");
            match &effect {
                Effect::Call(call) => {
                    assert!(self.known_calls.insert(call.call), "call {} twice", call.call);
                    self.calls.insert(call.call, call.clone());
                }
                Effect::CancelCall { call } => {
                    let effect = self.calls.remove(call);
                    self.closed
                        .push(effect.unwrap_or_else(|| panic!("call {call} is cancelled but not open")));
                }
                Effect::StartTimer { timer, at } => {
                    assert!(self.known_timers.insert(*timer), "timer {timer} twice");
                    self.timers.insert(*timer, *at);
                }
                Effect::CancelTimer { timer } => {
                    assert!(
                        self.timers.remove(timer).is_some(),
                        "timer {timer} is cancelled but not open"
                    );
                }
                Effect::Subscribe(subscription) => {
                    let id = subscription.subscription;
                    assert!(
                        !self.closed_subscriptions.contains(&id),
                        "subscription {id} is opened again"
                    );
                    let before = self.subscriptions.insert(id, subscription.clone());
                    assert_ne!(before.as_ref(), Some(subscription), "subscription {id} has not changed");
                }
                Effect::Unsubscribe { subscription } => {
                    let open = self.subscriptions.remove(subscription);
                    assert!(open.is_some(), "subscription {subscription} is closed but not open");
                    self.closed_subscriptions.insert(*subscription);
                }
                Effect::Emit(emit) => {
                    for name in ["specversion", "id", "source", "type", "time"] {
                        assert!(emit.event[name].is_string(), "an event without {name}: {}", emit.event);
                    }
                }
                Effect::Finish(outcome) => self.outcome = Some(outcome.clone()),
                Effect::Yield => continue,
            }
            self.effects.push(effect);
        }
        self.settle();
    }

    /// Takes what the machine has consumed off the books, and compares.
    fn settle(&mut self) {
        let outstanding = self.machine.outstanding();
        let open = |id: CallId| {
            outstanding
                .iter()
                .any(|effect| matches!(effect, Effect::Call(call) if call.call == id))
        };
        let consumed: Vec<CallId> = self.calls.keys().copied().filter(|id| !open(*id)).collect();
        for call in consumed {
            assert!(self.is_journaled(call), "call {call} was dropped without a word");
            self.closed.extend(self.calls.remove(&call));
        }
        let still = |id: TimerId| {
            outstanding
                .iter()
                .any(|effect| matches!(effect, Effect::StartTimer { timer, .. } if *timer == id))
        };
        let fired: Vec<TimerId> = self.timers.keys().copied().filter(|id| !still(*id)).collect();
        for timer in fired {
            self.timers.remove(&timer);
        }
        let calls = self.calls.values().cloned().map(Effect::Call);
        let timers = self
            .timers
            .iter()
            .map(|(timer, at)| Effect::StartTimer { timer: *timer, at: *at });
        let subscriptions = self.subscriptions.values().cloned().map(Effect::Subscribe);
        let more = self.machine.wants_to_proceed().then_some(Effect::Yield);
        let expected: Vec<Effect> = calls.chain(timers).chain(subscriptions).chain(more).collect();
        assert_eq!(expected, outstanding, "the machine's books are not the driver's");
        assert_eq!(self.machine.open_calls(), self.calls.len());
        assert_eq!(self.machine.next_timer(), self.timers().first().map(|(at, _)| *at));
        assert_eq!(self.machine.outcome(), self.outcome.as_ref());
        if self.outcome.is_some() {
            assert!(outstanding.is_empty(), "after the end there is still {outstanding:?}");
        }
    }

    fn is_journaled(&self, id: CallId) -> bool {
        self.entries.iter().rev().any(|entry| {
            matches!(entry, Entry::Event(Recorded { event: Event::CallCompleted { call, .. }, .. }) if *call == id)
        })
    }
}

fn begin(
    definition: &Arc<Definition>,
    evaluator: &Evaluator,
    start: &Start,
    traces: &mut Vec<Trace>,
    slice: Option<u64>,
) -> (Machine, Vec<Effect>) {
    let (definition, evaluator) = (Arc::clone(definition), evaluator.clone());
    match slice {
        Some(slice) => Machine::start_with_slice(definition, evaluator, start, traces, slice),
        None => Machine::start(definition, evaluator, start, traces),
    }
}
