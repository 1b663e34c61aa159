//! The stage: drives a machine through a case, in virtual time.
//!
//! What comes next is what has the earliest moment: the answer to a call, an event from outside, a timer, in this order when they have the
//! same one. An event that is there is consumed before time goes on. Nothing here waits.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use potok_dsl::{Millis, Problem, RunId, TaskPath, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{
    CallEffect, CallId, Definition, Effect, EmitEffect, Event, LockedFunction, Machine, Outcome, RateRequest, Request,
    SEMANTICS, Start, Status, Subscription, SubscriptionId, TimerId, Trace,
};
use serde_json::{Map, Value};

use crate::{
    mock::{Asked, Mocks, is_task},
    plan::{Case, Mock},
    rates::Rates,
};

/// How many tasks a run may enter before it is said to have no end.
const MOST_TASKS: u64 = 1_000_000;

/// How many things may happen to a run before the same is said.
const MOST_EVENTS: u64 = 200_000;

/// Makes the calls that nothing outside can tell.
pub trait Pure {
    /// Calls a pure function; `key` names the call for ever.
    ///
    /// # Errors
    /// The function's own error.
    fn call(&self, function: &LockedFunction, arguments: &Value, key: &str) -> Result<Value, Problem>;
}

/// What happened in a rehearsal.
#[derive(Debug)]
pub struct Performance {
    /// How the run ended; `None` when it did not.
    pub outcome: Option<Outcome>,
    /// What happened to its tasks.
    pub traces: Vec<Trace>,
    /// What it called, as expectations see it.
    pub calls: Vec<Value>,
    /// The events that it emitted.
    pub emitted: Vec<Value>,
    /// How much time passed.
    pub took: Millis,
    /// Why the rehearsal itself failed.
    pub trouble: Option<String>,
}

/// Runs a case to its end, or to where it cannot go on.
pub fn rehearse(
    definition: &Arc<Definition>,
    evaluator: &Evaluator,
    input: Value,
    case: &Case,
    mocks: &[Mock],
    pure: &dyn Pure,
) -> Performance {
    let now = case.now();
    let start = Start {
        semantics: SEMANTICS,
        run: RunId::from_bytes([1, 146, 0, 0, 0, 0, 112, 0, 128, 0, 0, 0, 0, 0, 0, 1]),
        definition: "test".to_owned(),
        input: Arc::new(input),
        at: now,
        parent: None,
        held: false,
        origin: None,
    };
    let mut traces = Vec::new();
    let (machine, effects) = Machine::start(Arc::clone(definition), evaluator.clone(), &start, &mut traces);
    let mut stage = Stage {
        machine,
        traces,
        start: now,
        now,
        mocks: Mocks::of(&case.mocks, mocks),
        pure,
        answers: BTreeMap::new(),
        timers: BTreeMap::new(),
        arrivals: case
            .events
            .iter()
            .enumerate()
            .filter(|(_, arrival)| arrival.when.is_none())
            .map(|(index, arrival)| {
                (
                    (now.after(arrival.at.map_or(Millis(0), |at| at.0)), index),
                    &arrival.event,
                )
            })
            .collect(),
        waiting: case
            .events
            .iter()
            .filter_map(|arrival| {
                Some((
                    arrival.when.as_deref()?,
                    arrival.at.map_or(Millis(0), |at| at.0),
                    &arrival.event,
                ))
            })
            .collect(),
        cancel: case.cancel.map(|after| now.after(after.0)),
        stream: Vec::new(),
        consumed: BTreeSet::new(),
        open: BTreeMap::new(),
        rates: Rates::default(),
        calls: Vec::new(),
        emitted: Vec::new(),
        outcome: None,
        trouble: None,
        happened: 0,
    };
    stage.absorb(effects);
    stage.play();
    Performance {
        took: stage.now.since(now),
        outcome: stage.outcome,
        traces: stage.traces,
        calls: stage.calls,
        emitted: stage.emitted,
        trouble: stage.trouble,
    }
}

/// An answer on its way.
struct Coming {
    call: CallEffect,
    outcome: Result<Value, Problem>,
}

struct Stage<'p> {
    machine: Machine,
    traces: Vec<Trace>,
    start: Timestamp,
    now: Timestamp,
    mocks: Mocks<'p>,
    pure: &'p dyn Pure,
    answers: BTreeMap<(Timestamp, CallId), Coming>,
    timers: BTreeMap<TimerId, Timestamp>,
    /// Events that come at a moment, in the order of the test where it is the same one.
    arrivals: BTreeMap<(Timestamp, usize), &'p Map<String, Value>>,
    /// Events that come when a task listens, and how long after.
    waiting: VecDeque<(&'p str, Millis, &'p Map<String, Value>)>,
    cancel: Option<Timestamp>,
    /// All events that there were, as a store would keep them.
    stream: Vec<Arc<Value>>,
    consumed: BTreeSet<usize>,
    open: BTreeMap<SubscriptionId, TaskPath>,
    rates: Rates,
    calls: Vec<Value>,
    emitted: Vec<Value>,
    outcome: Option<Outcome>,
    trouble: Option<String>,
    happened: u64,
}

/// What comes next.
enum Next {
    Answer(Timestamp, CallId),
    Arrival(Timestamp, usize),
    Timer(Timestamp, TimerId),
    Cancel(Timestamp),
}

impl Next {
    /// The moment, and the order of those that have the same one.
    fn key(&self) -> (Timestamp, u8) {
        match self {
            Self::Answer(at, _) => (*at, 0),
            Self::Arrival(at, _) => (*at, 1),
            Self::Timer(at, _) => (*at, 2),
            Self::Cancel(at) => (*at, 3),
        }
    }
}

impl Stage<'_> {
    fn play(&mut self) {
        while self.outcome.is_none() && self.trouble.is_none() {
            self.happened += 1;
            if self.machine.tasks() > MOST_TASKS || self.happened > MOST_EVENTS {
                self.trouble = Some("the run goes on and on: no end is in sight".to_owned());
            } else if self.machine.wants_to_proceed() {
                let effects = self.machine.proceed(&mut self.traces);
                self.absorb(effects);
            } else if let Some((subscription, index)) = self.to_consume() {
                self.consumed.insert(index);
                let event = Arc::clone(&self.stream[index]);
                let sequence = index as u64 + 1;
                self.apply(Event::EventConsumed {
                    subscription,
                    sequence,
                    event,
                });
            } else {
                match self.next() {
                    Some(next) => self.go_on(next),
                    None => self.trouble = Some(self.stuck()),
                }
            }
        }
    }

    /// The oldest event that is there and that the run would consume.
    fn to_consume(&self) -> Option<(SubscriptionId, usize)> {
        let fresh = (0..self.stream.len()).filter(|index| !self.consumed.contains(index));
        fresh
            .filter_map(|index| Some((self.machine.accepts(&self.stream[index])?, index)))
            .next()
    }

    fn next(&self) -> Option<Next> {
        let answer = self.answers.keys().next().map(|(at, call)| Next::Answer(*at, *call));
        let arrival = self
            .arrivals
            .keys()
            .next()
            .map(|(at, index)| Next::Arrival(*at, *index));
        let timer = self.timers.iter().min_by_key(|(timer, at)| (**at, **timer));
        let timer = timer.map(|(timer, at)| Next::Timer(*at, *timer));
        let cancel = self.cancel.map(Next::Cancel);
        [answer, arrival, timer, cancel]
            .into_iter()
            .flatten()
            .min_by_key(Next::key)
    }

    fn go_on(&mut self, next: Next) {
        self.now = self.now.max(next.key().0);
        match next {
            Next::Answer(at, id) => {
                let Some(Coming { call, outcome }) = self.answers.remove(&(at, id)) else {
                    return;
                };
                self.apply(Event::CallCompleted {
                    call: call.call,
                    path: call.path,
                    digest: call.digest,
                    outcome: outcome.map(Arc::new),
                    made: None,
                });
            }
            Next::Arrival(at, index) => {
                if let Some(event) = self.arrivals.remove(&(at, index)) {
                    self.receive(event.clone());
                }
            }
            Next::Timer(_, timer) => {
                self.timers.remove(&timer);
                self.apply(Event::TimerFired { timer });
            }
            Next::Cancel(_) => {
                self.cancel = None;
                self.apply(Event::Cancel {
                    reason: Some("the test says so".to_owned()),
                });
            }
        }
    }

    /// An event from outside, completed as a server would.
    fn receive(&mut self, mut event: Map<String, Value>) {
        let number = self.stream.len() + 1;
        for (name, value) in [
            ("specversion", "1.0".to_owned()),
            ("id", format!("event-{number}")),
            ("source", "urn:potok:test".to_owned()),
            ("time", self.now.rfc3339()),
        ] {
            event.entry(name).or_insert_with(|| value.into());
        }
        self.stream.push(Arc::new(Value::Object(event)));
    }

    fn apply(&mut self, event: Event) {
        let recorded = self.machine.record(self.now, event);
        match self.machine.apply(&recorded, &mut self.traces) {
            Ok(effects) => self.absorb(effects),
            Err(mismatch) => self.trouble = Some(mismatch.to_string()),
        }
    }

    fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(call) => self.call(call),
                Effect::CancelCall { call } => self.answers.retain(|(_, open), _| *open != call),
                Effect::StartTimer { timer, at } => drop(self.timers.insert(timer, at)),
                Effect::CancelTimer { timer } => drop(self.timers.remove(&timer)),
                Effect::Subscribe(subscription) => self.subscribe(subscription),
                Effect::Unsubscribe { subscription } => drop(self.open.remove(&subscription)),
                Effect::Emit(EmitEffect { event, .. }) => {
                    self.emitted.push((*event).clone());
                    self.stream.push(event);
                }
                Effect::Finish(outcome) => self.outcome = Some(outcome),
                Effect::Yield => {}
            }
        }
    }

    fn call(&mut self, call: CallEffect) {
        if let Request::Rate(asked) = &call.request {
            let outcome = Ok(RateRequest::given(self.rates.moment(asked, self.now)));
            self.answers.insert((self.now, call.call), Coming { call, outcome });
            return;
        }
        let asked = Asked::of(&call);
        let (outcome, after) = match (self.mocks.answer(&asked), &call.request) {
            (Some(answer), _) => answer,
            (None, Request::Function { function, args }) if call.pure => {
                (self.pure.call(function, args, &call.idempotency_key), Millis(0))
            }
            (None, _) => {
                let message = format!(
                    "the task {} calls {}, and nothing in the test answers it: add a mock, such as {{ task: {}, answer: … }}",
                    call.reference, asked.what, call.reference
                );
                self.trouble.get_or_insert(message);
                return;
            }
        };
        self.calls.push(asked.seen);
        self.answers
            .insert((self.now.after(after), call.call), Coming { call, outcome });
    }

    fn subscribe(&mut self, subscription: Subscription) {
        let reference = reference(&subscription.path);
        self.open.insert(subscription.subscription, subscription.path);
        for (task, after, event) in std::mem::take(&mut self.waiting) {
            if is_task(task, &reference) {
                let index = self.arrivals.len() + self.stream.len() + usize::from(u16::MAX);
                self.arrivals.insert((self.now.after(after), index), event);
            } else {
                self.waiting.push_back((task, after, event));
            }
        }
    }

    fn stuck(&self) -> String {
        let listening: Vec<String> = self.open.values().map(reference).collect();
        let status = self.machine.status();
        if listening.is_empty() || status == Status::Suspended {
            return format!("the run is {status:?} and nothing more will happen");
        }
        format!(
            "after {} the run still listens ({}), and no event in the test is for it",
            crate::report::span(self.now.since(self.start)),
            listening.join(", ")
        )
    }
}

/// The reference of the task that a path is an execution of: without iterations and visits.
fn reference(path: &TaskPath) -> String {
    let mut reference = String::with_capacity(path.0.len());
    let mut rest: &str = &path.0;
    while let Some(at) = rest.find(['[', '#']) {
        reference.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let closed = rest[at..].starts_with('[') && after[digits..].starts_with(']');
        // A bracket or a '#' may be in a task's name too.
        if digits == 0 || (rest[at..].starts_with('[') && !closed) {
            reference.push_str(&rest[at..=at]);
            rest = after;
        } else {
            rest = &after[digits + usize::from(closed)..];
        }
    }
    reference.push_str(rest);
    reference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_reference() {
        for (path, expected) in [
            ("/do/0/a", "/do/0/a"),
            ("/do/1/each[3]/do/0/send#2", "/do/1/each/do/0/send"),
            ("/do/0/a#b", "/do/0/a#b"),
            ("/do/0/a[x]", "/do/0/a[x]"),
        ] {
            assert_eq!(reference(&TaskPath(path.into())), expected);
        }
    }
}
