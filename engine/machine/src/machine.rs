//! The machine: a run's state and the few ways to move it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use potok_dsl::{Problem, RunId, TaskPath, Timestamp};
use potok_expr::Evaluator;
use serde_json::Value;

use crate::{
    SEMANTICS,
    admission::Admission,
    cut,
    definition::Definition,
    effect::{CallId, Effect, Outcome, Status, SubscriptionId},
    error::{Incompatible, Mismatch},
    event::{Entry, Event, Recorded, Start},
    observer::{Observer, TraceKind},
    origin::{NoOrigin, Origin, Point},
    request::Parent,
    secrets,
    slab::Slab,
    snapshot::{self, Snapshot},
    state::{Live, Purpose, State, Work},
    step::{Step, View},
};

/// How many tasks one slice enters before it lets others have their turn. Part of the semantics: where an event enters between
/// two tasks of a run depends on it.
pub(crate) const SLICE: u64 = 2_000;

/// A run of a workflow.
pub struct Machine {
    definition: Arc<Definition>,
    evaluator: Evaluator,
    /// `$workflow`, once an expression has asked for it.
    workflow: OnceLock<Arc<Value>>,
    /// Why it takes no event: it was made from a run whose state it cannot read.
    refuses: Option<Incompatible>,
    state: Live,
}

impl Machine {
    /// Begins a run. A start of other [`SEMANTICS`] gives a halted machine that refuses every event and says why.
    pub fn start(
        definition: Arc<Definition>,
        evaluator: Evaluator,
        start: &Start,
        observer: &mut dyn Observer,
    ) -> (Self, Vec<Effect>) {
        Self::start_with_slice(definition, evaluator, start, observer, SLICE)
    }

    /// As [`Self::start`], with slices of another size.
    pub(crate) fn start_with_slice(
        definition: Arc<Definition>,
        evaluator: Evaluator,
        start: &Start,
        observer: &mut dyn Observer,
        slice: u64,
    ) -> (Self, Vec<Effect>) {
        let mut machine = Self::accepted(definition, evaluator, start, slice);
        if machine.state.suspended || machine.state.held {
            return (machine, Vec::new());
        }
        let mut step = machine.step(observer);
        step.start();
        step.run();
        let effects = step.effects;
        (machine, effects)
    }

    /// A run before anything has happened to it.
    pub(crate) fn accepted(definition: Arc<Definition>, evaluator: Evaluator, start: &Start, slice: u64) -> Self {
        let input = secrets::admit(&start.input);
        let seed = start.origin.as_ref().and_then(|origin| origin.state.clone());
        let unreadable = seed
            .as_ref()
            .and_then(|seed| snapshot::open(Snapshot::clone(seed), &definition).err());
        let state = State {
            semantics: start.semantics,
            run: start.run,
            definition: start.definition.clone(),
            parent: start.parent,
            started_at: start.at,
            now: start.at,
            tasks: 0,
            slice,
            suspended: start.semantics != SEMANTICS || unreadable.is_some(),
            held: start.held,
            raw_input: Arc::clone(&input),
            context: input,
            timeout: None,
            calls_made: 0,
            timers_started: 0,
            root: None,
            frames: Slab::new(),
            queue: std::collections::VecDeque::new(),
            calls: std::collections::BTreeMap::new(),
            timers: std::collections::BTreeMap::new(),
            subscriptions_made: 0,
            subscriptions: std::collections::BTreeMap::new(),
            outcome: None,
            seed,
        };
        Self {
            definition,
            evaluator,
            workflow: OnceLock::new(),
            refuses: unreadable,
            state,
        }
    }

    /// What a new run begins with that is made from a run with this journal. It may go on with another definition, where that has a place for
    /// everything that is open at that point.
    ///
    /// # Errors
    /// [`NoOrigin`]: why there is no such point.
    pub fn origin(
        definition: &Arc<Definition>,
        evaluator: &Evaluator,
        entries: &[Entry],
        point: &Point,
        into: &Definition,
    ) -> Result<Origin, NoOrigin> {
        cut::cut(definition, evaluator, entries, point, into)
    }

    /// What the run needs before it begins; `None` when its workflow limits nothing.
    ///
    /// # Errors
    /// An input that the workflow does not take, or a key that cannot be had of it: then the run is not to be started.
    pub fn admission(&mut self) -> Result<Option<Admission>, Problem> {
        // Not the run's own: it tells when the run has begun, and it has not.
        let workflow = OnceLock::new();
        let step = Step {
            definition: &self.definition,
            evaluator: &self.evaluator,
            workflow: &workflow,
            state: &mut self.state,
            observer: &mut (),
            effects: Vec::new(),
        };
        step.admission()
    }

    /// Whether it waits to be admitted.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state.held
    }

    /// Puts the machine's task count to an event that is about to be applied.
    #[must_use]
    pub fn record(&self, at: Timestamp, event: Event) -> Recorded {
        Recorded {
            at,
            tasks: self.state.tasks,
            event,
        }
    }

    /// Consumes an event: a live one, which [`Self::record`] has made a moment ago, or one from the journal, before which the
    /// machine first goes on to where the event entered.
    ///
    /// Events that mean nothing any more (of a call or a timer that is closed, anything after the end) change nothing.
    ///
    /// # Errors
    /// An event that cannot have happened to this run as this machine sees it. It has not been consumed.
    pub fn apply(&mut self, recorded: &Recorded, observer: &mut dyn Observer) -> Result<Vec<Effect>, Mismatch> {
        if self.state.semantics != SEMANTICS {
            return Err(Mismatch::Semantics {
                run: self.state.semantics,
                machine: SEMANTICS,
            });
        }
        if let Some(why) = &self.refuses {
            return Err(Mismatch::Origin(why.clone()));
        }
        if self.state.outcome.is_some() {
            return Ok(Vec::new());
        }
        let mut step = self.step(observer);
        step.catch_up(recorded.tasks);
        if step.state.outcome.is_some() {
            return Ok(step.effects);
        }
        if step.state.tasks != recorded.tasks {
            return Err(Mismatch::Tasks {
                recorded: recorded.tasks,
                machine: step.state.tasks,
            });
        }
        if step.consume(recorded)? {
            step.run();
        } else if step.has_work() {
            step.effects.push(Effect::Yield);
        }
        Ok(step.effects)
    }

    /// Goes on after [`Effect::Yield`]. Nothing comes in here, no time either: what a run does next follows from the events that it has
    /// consumed, so it does the same when it goes on at another moment, or anew after a crash.
    pub fn proceed(&mut self, observer: &mut dyn Observer) -> Vec<Effect> {
        let mut step = self.step(observer);
        step.run();
        step.effects
    }

    /// Whether there is something to do without any event.
    #[must_use]
    pub fn wants_to_proceed(&self) -> bool {
        !self.state.suspended && self.state.outcome.is_none() && !self.state.queue.is_empty()
    }

    /// What the run waits for, to be asked for again after a recovery: open calls, timers and subscriptions in their order, and
    /// [`Effect::Yield`] when it wants to proceed.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Effect> {
        let calls = self.state.calls.values().map(|open| Effect::Call(open.effect.clone()));
        let timers = self.state.timers.iter().map(|(timer, open)| Effect::StartTimer {
            timer: *timer,
            at: open.at,
        });
        let subscriptions = self.state.subscriptions.values();
        let subscriptions = subscriptions.map(|open| Effect::Subscribe(open.effect.clone()));
        let more = self.wants_to_proceed().then_some(Effect::Yield);
        calls.chain(timers).chain(subscriptions).chain(more).collect()
    }

    /// The run as it is, to be kept.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        snapshot::take(&self.state, self.definition.fingerprint())
    }

    /// The run as it was kept.
    ///
    /// # Errors
    /// A snapshot of another version, of another definition, or a damaged one: replay the journal instead.
    pub fn restore(
        definition: Arc<Definition>,
        evaluator: Evaluator,
        snapshot: Snapshot,
    ) -> Result<Self, Incompatible> {
        let state = snapshot::open(snapshot, &definition)?;
        Ok(Self {
            definition,
            evaluator,
            workflow: OnceLock::new(),
            refuses: None,
            state,
        })
    }

    /// The oldest open subscription that would consume an event now; `None` when nobody in the run wants it.
    #[must_use]
    pub fn accepts(&self, event: &Value) -> Option<SubscriptionId> {
        if self.state.suspended || self.state.outcome.is_some() {
            return None;
        }
        let view = View {
            definition: &self.definition,
            evaluator: &self.evaluator,
            workflow: &self.workflow,
            state: &self.state,
        };
        let mut open = self.state.subscriptions.iter();
        open.find(|(subscription, open)| view.fitting(**subscription, open, event).is_some())
            .map(|(subscription, _)| *subscription)
    }

    /// What the run is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = &self.state;
        match &state.outcome {
            Some(outcome) => outcome.status,
            None if state.suspended => Status::Suspended,
            None if state.held => Status::Pending,
            None if state.queue.is_empty() && state.calls.is_empty() => Status::Waiting,
            None => Status::Running,
        }
    }

    /// How many tasks have been entered and iterations begun.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.state.tasks
    }

    /// Which run it is.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.state.run
    }

    /// The run that started it.
    #[must_use]
    pub fn parent(&self) -> Option<Parent> {
        self.state.parent
    }

    /// The moment of the next timer.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.state.timers.values().map(|open| open.at).min()
    }

    /// How many calls have been made and not completed.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.state.calls.len()
    }

    /// How the run ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.state.outcome.as_ref()
    }

    pub(crate) fn definition(&self) -> Arc<Definition> {
        Arc::clone(&self.definition)
    }

    pub(crate) fn state(&self) -> &Live {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut Live {
        &mut self.state
    }

    pub(crate) fn step<'m>(&'m mut self, observer: &'m mut dyn Observer) -> Step<'m> {
        Step {
            definition: &self.definition,
            evaluator: &self.evaluator,
            workflow: &self.workflow,
            state: &mut self.state,
            observer,
            effects: Vec::new(),
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("run", &self.state.run)
            .field("workflow", &self.definition.id().to_string())
            .field("status", &self.status())
            .field("tasks", &self.state.tasks)
            .finish_non_exhaustive()
    }
}

impl Step<'_> {
    /// Checks and shapes the workflow's input, and begins.
    pub(crate) fn start(&mut self) {
        if let Some(seed) = self.state.seed.take() {
            return self.take_over(&seed);
        }
        self.state.started_at = self.state.now;
        let begun = self.workflow_input().and_then(|input| {
            self.state.context = Arc::clone(&input);
            let timeout = self.workflow_timeout(&input)?;
            Ok((input, timeout))
        });
        match begun {
            Ok((input, timeout)) => {
                if let Some(span) = timeout {
                    self.state.timeout = Some(self.start_timer(self.state.now.after(span), Purpose::Workflow));
                }
                self.begin(input);
            }
            Err(problem) => self.fail(problem),
        }
    }

    /// Whether there is something to do without any event.
    fn has_work(&self) -> bool {
        !self.state.suspended && !self.state.queue.is_empty()
    }

    /// Takes an event in; whether it meant anything.
    pub(crate) fn consume(&mut self, recorded: &Recorded) -> Result<bool, Mismatch> {
        match &recorded.event {
            Event::CallCompleted {
                call,
                path,
                digest,
                outcome,
                made,
            } => {
                if !self.is_open_call(*call, path, digest)? {
                    return Ok(false);
                }
                self.pass(recorded.at);
                self.complete_call(*call, secrets::admit_result(outcome), *made);
            }
            Event::TimerFired { timer } => {
                if timer.0 > self.state.timers_started {
                    return Err(Mismatch::UnknownTimer {
                        timer: *timer,
                        started: self.state.timers_started,
                    });
                }
                let Some(open) = self.state.timers.remove(timer) else {
                    return Ok(false);
                };
                self.pass(recorded.at);
                if self.state.suspended {
                    self.state.queue.push_back(Work::Fired { timer: *timer, open });
                } else {
                    self.fired(*timer, open);
                }
            }
            Event::EventConsumed {
                subscription,
                sequence,
                event,
            } => {
                let made = self.state.subscriptions_made;
                if subscription.0 == 0 || subscription.0 > made {
                    return Err(Mismatch::UnknownSubscription {
                        subscription: *subscription,
                        made,
                    });
                }
                if !self.state.subscriptions.contains_key(subscription) {
                    return Ok(false);
                }
                let Some(filter) = self.view().takes(*subscription, event) else {
                    return Err(Mismatch::OtherEvent {
                        subscription: *subscription,
                        sequence: *sequence,
                    });
                };
                self.pass(recorded.at);
                self.event_consumed(*subscription, *sequence, &secrets::admit(event), filter);
            }
            Event::Admitted => {
                if !self.state.held {
                    return Ok(false);
                }
                self.pass(recorded.at);
                self.state.held = false;
                self.state.queue.push_back(Work::Begin);
            }
            Event::Suspend { .. } => {
                if self.state.suspended {
                    return Ok(false);
                }
                self.pass(recorded.at);
                self.state.suspended = true;
                self.refresh_all();
                self.trace_all(|| TraceKind::Suspended);
            }
            Event::Resume => {
                if !self.state.suspended {
                    return Ok(false);
                }
                self.pass(recorded.at);
                self.state.suspended = false;
                self.refresh_all();
                self.trace_all(|| TraceKind::Resumed);
            }
            Event::Cancel { .. } => {
                self.pass(recorded.at);
                self.conclude(Outcome {
                    status: Status::Cancelled,
                    output: None,
                    error: None,
                });
            }
        }
        Ok(true)
    }

    /// Time never runs backwards in a run.
    fn pass(&mut self, at: Timestamp) {
        self.state.now = self.state.now.max(at);
    }

    fn is_open_call(&self, call: CallId, path: &TaskPath, digest: &str) -> Result<bool, Mismatch> {
        let made = self.state.calls_made;
        if call.0 == 0 || call.0 > made {
            return Err(Mismatch::UnknownCall {
                call,
                path: path.clone(),
                digest: digest.to_owned(),
                made,
            });
        }
        let Some(open) = self.state.calls.get(&call) else {
            return Ok(false);
        };
        if open.effect.path != *path || open.effect.digest != digest {
            return Err(Mismatch::OtherCall {
                call,
                path: path.clone(),
                digest: digest.to_owned(),
                expected_path: open.effect.path.clone(),
                expected_digest: open.effect.digest.clone(),
            });
        }
        Ok(true)
    }
}
