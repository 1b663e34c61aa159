//! Triggers that time fires, without IO: what is due, what of it is started, what waits.
//!
//! A start carries the idempotency key of its trigger and time, and the trigger's state is written after the start is durable: a crash
//! between the two finds the same time due again and the run already there.

mod arrive;
mod plan;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use potok_dsl::{
    Millis, Period, RunId, Timestamp,
    model::{CatchUp, Overlap},
};
use serde::{Deserialize, Serialize};

pub use arrive::{ArrivalState, Arrivals, MOST_GROUPS, Offered, arrival};
pub use plan::{Plan, PlanError, Rhythm};

/// Queues and catch-ups end here.
pub const MOST_WAITING: usize = 100;

/// Names a trigger: the definition's hash and which of its schedules.
pub type TriggerKey = Arc<str>;

/// What the store keeps of a trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerState {
    /// When it is due next.
    pub next_at: Option<Timestamp>,
    /// Times that were due and wait for their start.
    pub waiting: VecDeque<Timestamp>,
    /// The run that it started last, while it goes on.
    pub active: Option<RunId>,
}

/// What a scheduler wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Start a run under this trigger's key and time; then say [`Scheduler::started`].
    Fire(TriggerKey, Timestamp),
    /// Write the trigger's state.
    Save(TriggerKey, TriggerState),
}

struct Trigger {
    plan: Plan,
    state: TriggerState,
    starting: Option<Timestamp>,
    /// A run that ended before anybody could say that it had started, and when: a short run is over before its start is acknowledged.
    ended: Option<(RunId, Timestamp)>,
}

/// All triggers of a node.
#[derive(Default)]
pub struct Scheduler {
    triggers: BTreeMap<TriggerKey, Trigger>,
}

impl Scheduler {
    /// Adds a trigger, or takes it up again with the state that the store had. Times that passed meanwhile are treated as its plan says.
    pub fn set(
        &mut self,
        key: TriggerKey,
        plan: Plan,
        state: Option<TriggerState>,
        now: Timestamp,
        acts: &mut Vec<Act>,
    ) {
        let mut state = state.unwrap_or_else(|| TriggerState {
            next_at: plan.first(now),
            ..TriggerState::default()
        });
        let missed = passed(&plan, &mut state, now);
        match plan.catch_up {
            CatchUp::None => {}
            CatchUp::Latest => state.waiting.extend(missed.last()),
            CatchUp::All => state.waiting.extend(missed),
        }
        state.waiting.truncate(MOST_WAITING);
        if state.active.is_none() && state.next_at.is_none() && state.waiting.is_empty() {
            state.next_at = plan.after_end(now);
        }
        acts.push(Act::Save(Arc::clone(&key), state.clone()));
        let mut trigger = Trigger {
            plan,
            state,
            starting: None,
            ended: None,
        };
        trigger.start_next(&key, acts);
        self.triggers.insert(key, trigger);
    }

    /// Takes a trigger away.
    pub fn remove(&mut self, key: &str) {
        self.triggers.remove(key);
    }

    /// The triggers that there are, with their states.
    pub fn states(&self) -> impl Iterator<Item = (&TriggerKey, &TriggerState)> {
        self.triggers.iter().map(|(key, trigger)| (key, &trigger.state))
    }

    /// When [`Scheduler::tick`] is wanted.
    #[must_use]
    pub fn wakeup(&self) -> Option<Timestamp> {
        self.triggers.values().filter_map(|t| t.state.next_at).min()
    }

    /// Fires what is due.
    pub fn tick(&mut self, now: Timestamp, acts: &mut Vec<Act>) {
        for (key, trigger) in &mut self.triggers {
            if trigger.state.next_at.is_some_and(|at| at <= now) {
                trigger.due(key, now, acts);
            }
            trigger.start_next(key, acts);
        }
    }

    /// A start has become durable (or was found to be already), or could not be made and is given up.
    pub fn started(&mut self, key: &str, run: Option<RunId>, acts: &mut Vec<Act>) {
        let Some((key, trigger)) = self
            .triggers
            .get_key_value(key)
            .map(|(k, _)| Arc::clone(k))
            .and_then(|k| {
                let trigger = self.triggers.get_mut(&k)?;
                Some((k, trigger))
            })
        else {
            return;
        };
        trigger.starting = None;
        trigger.state.waiting.pop_front();
        trigger.state.active = run.or(trigger.state.active);
        let ended = trigger.ended.take();
        if let Some((_, at)) = ended.filter(|(ended, _)| trigger.state.active == Some(*ended)) {
            trigger.over(at);
        }
        acts.push(Act::Save(Arc::clone(&key), trigger.state.clone()));
        trigger.start_next(&key, acts);
    }

    /// A run that a trigger had started has ended.
    pub fn ended(&mut self, key: &str, run: RunId, now: Timestamp, acts: &mut Vec<Act>) {
        let key: TriggerKey = Arc::from(key);
        let Some(trigger) = self.triggers.get_mut(&key) else {
            return;
        };
        if trigger.state.active != Some(run) {
            trigger.ended = trigger.starting.map(|_| (run, now));
            return;
        }
        trigger.over(now);
        acts.push(Act::Save(Arc::clone(&key), trigger.state.clone()));
        trigger.start_next(&key, acts);
    }
}

impl Trigger {
    /// The run that it started last has ended.
    fn over(&mut self, at: Timestamp) {
        self.state.active = None;
        if let Some(next) = self.plan.after_end(at) {
            self.state.next_at = Some(next);
        }
    }

    /// Its time has come.
    fn due(&mut self, key: &TriggerKey, now: Timestamp, acts: &mut Vec<Act>) {
        let due = passed(&self.plan, &mut self.state, now);
        let running = self.state.active.is_some() || self.starting.is_some();
        for at in due {
            let skipped = self.plan.overlap == Overlap::Skip && (running || !self.state.waiting.is_empty());
            if !skipped && self.state.waiting.len() < MOST_WAITING {
                self.state.waiting.push_back(at);
            }
        }
        acts.push(Act::Save(Arc::clone(key), self.state.clone()));
    }

    /// Starts the first of what waits, if it may.
    fn start_next(&mut self, key: &TriggerKey, acts: &mut Vec<Act>) {
        let free = self.state.active.is_none() || self.plan.overlap == Overlap::Allow;
        let Some(&at) = self.state.waiting.front().filter(|_| free && self.starting.is_none()) else {
            return;
        };
        self.starting = Some(at);
        acts.push(Act::Fire(Arc::clone(key), at));
    }
}

/// The times that have passed, at most [`MOST_WAITING`] (the latest ones); the state's next time lies after `now` then.
fn passed(plan: &Plan, state: &mut TriggerState, now: Timestamp) -> Vec<Timestamp> {
    let mut times = VecDeque::new();
    if let (Some(at), Rhythm::Every(Period { months: 0, rest })) = (state.next_at, &plan.rhythm) {
        // Years of missed seconds are not to be counted one by one.
        let behind = now.since(at).0 / rest.0;
        let skipped = behind.saturating_sub(MOST_WAITING as u64);
        state.next_at = Some(at.after(Millis(skipped * rest.0)));
    }
    while let Some(at) = state.next_at.filter(|at| *at <= now) {
        if times.len() == MOST_WAITING {
            times.pop_front();
        }
        times.push_back(at);
        state.next_at = plan.next(at);
    }
    times.into()
}

#[cfg(test)]
mod tests;
