//! Folds the journal of a run up to a point, for another run to go on from there.
//!
//! The journal keeps events only, so the state at any moment is found by folding what came before. A point is always where a task begins:
//! nothing of it has happened, and everything around it is as it was.

use std::sync::Arc;

use potok_dsl::TaskPath;
use potok_expr::Evaluator;

use crate::{
    SEMANTICS,
    definition::Definition,
    effect::Status,
    error::Mismatch,
    event::{Entry, Event, Recorded, Start},
    machine::{Machine, SLICE},
    observer::{Observer, Trace, TraceKind},
    origin::{NoOrigin, Origin, Point},
    secrets, snapshot,
    state::{Live, Purpose, Work},
    transfer,
};

/// How many tasks are computed beyond the last event of a run that has not ended.
const MOST_BEYOND: u64 = 1_000_000;

pub(crate) fn cut(
    definition: &Arc<Definition>,
    evaluator: &Evaluator,
    entries: &[Entry],
    point: &Point,
    into: &Definition,
) -> Result<Origin, NoOrigin> {
    let Some((Entry::Start(start), events)) = entries.split_first() else {
        return Err(NoOrigin::NoStart);
    };
    if start.semantics != SEMANTICS {
        return Err(NoOrigin::Mismatch(Mismatch::Semantics {
            run: start.semantics,
            machine: SEMANTICS,
        }));
    }
    let fold = Fold {
        definition,
        evaluator,
        start,
        events,
    };
    let (mut state, path) = match point {
        Point::Fault => fold.at_fault()?,
        Point::Task { at, input } => {
            let (mut state, path) = fold.at_task(at)?;
            if let (Some(Work::Enter { input: raw, .. }), Some(edited)) = (state.queue.front_mut(), input) {
                *raw = secrets::admit(&Arc::new(edited.clone()));
            }
            (state, Some(path))
        }
    };
    if definition.fingerprint() != into.fingerprint() {
        state = fold.transferred(state, into)?;
    }
    Ok(Origin {
        run: start.run,
        path,
        state: Some(Arc::new(snapshot::take(&state, into.fingerprint()))),
    })
}

/// A journal and what it is folded with.
struct Fold<'f> {
    definition: &'f Arc<Definition>,
    evaluator: &'f Evaluator,
    start: &'f Start,
    events: &'f [Entry],
}

impl Fold<'_> {
    fn accepted(&self) -> Machine {
        Machine::accepted(Arc::clone(self.definition), self.evaluator.clone(), self.start, SLICE)
    }

    /// A machine with a state, for what is done to it without any event.
    fn holding(&self, state: Live) -> Machine {
        let mut machine = self.accepted();
        *machine.state_mut() = state;
        machine
    }

    /// The state when a task began for the last time.
    fn at_task(&self, at: &str) -> Result<(Live, TaskPath), NoOrigin> {
        let mut search = Search::new(at);
        let mut machine = self.accepted();
        Self::begin(&mut machine, &mut ());
        let mut last = 0;
        for entry in self.events {
            let recorded = event(entry)?;
            consume(&mut machine, recorded, &mut search, &mut ())?;
            last = recorded.tasks;
        }
        let mut nobody = ();
        let mut step = machine.step(&mut nobody);
        step.catch_up_watched(last.saturating_add(MOST_BEYOND), &mut |step| {
            search.look(step.state, step.entered_next(), self.definition);
        });
        search.found(self.start)
    }

    /// The state in which the task that faulted begins, once more or for the first time.
    fn at_fault(&self) -> Result<(Live, Option<TaskPath>), NoOrigin> {
        let mut chain = Chain::default();
        let mut machine = self.replayed(&mut chain)?;
        match machine.outcome().map(|outcome| outcome.status) {
            Some(Status::Faulted) => {}
            Some(Status::Completed) => return Err(NoOrigin::NoFault("it has completed")),
            Some(_) => return Err(NoOrigin::NoFault("it was cancelled")),
            None => return Err(NoOrigin::NoFault("it has not ended")),
        }
        machine = self.accepted();
        let Some((last, before)) = self.events.split_last() else {
            return self.within(machine, None, chain.path()?);
        };
        let last = event(last)?;
        let mut nobody = Search::new("");
        Self::begin(&mut machine, &mut ());
        for entry in before {
            consume(&mut machine, event(entry)?, &mut nobody, &mut ())?;
        }
        machine.step(&mut ()).catch_up(last.tasks);
        // Up to the fault time has passed.
        let state = machine.state_mut();
        state.now = state.now.max(last.at);
        if let Some(state) = self.given_more_time(&machine, last) {
            return Ok((state, None));
        }
        let path = chain.path()?;
        let frames = &machine.state().frames;
        let open = frames
            .names()
            .into_iter()
            .find(|frame| frames.task(*frame).is_some_and(|task| task.path == path));
        match open {
            Some(frame) => {
                let mut nobody = ();
                let mut step = machine.step(&mut nobody);
                step.state.suspended = false;
                step.begin_again(frame);
                Ok((machine.state().clone(), Some(path)))
            }
            None => self.within(machine, Some(last), path),
        }
    }

    /// The state when a task began that began and faulted after the last event.
    fn within(
        &self,
        mut machine: Machine,
        last: Option<&Recorded>,
        path: TaskPath,
    ) -> Result<(Live, Option<TaskPath>), NoOrigin> {
        let mut search = Search::new(&path.0);
        match last {
            None => Self::begin(&mut machine, &mut ()),
            Some(recorded) => consume(&mut machine, recorded, &mut search, &mut ())?,
        }
        machine.step(&mut ()).catch_up_watched(u64::MAX, &mut |step| {
            search.look(step.state, step.entered_next(), self.definition);
        });
        search.found(self.start).map(|(state, path)| (state, Some(path)))
    }

    /// A run that took too long as a whole goes on where it was, and has its time once more.
    fn given_more_time(&self, machine: &Machine, last: &Recorded) -> Option<Live> {
        let Event::TimerFired { timer } = last.event else {
            return None;
        };
        let mut state = machine.state().clone();
        let span = state.started_at;
        let open = state
            .timers
            .get_mut(&timer)
            .filter(|open| open.purpose == Purpose::Workflow)?;
        open.at = state.now.after(open.at.since(span));
        state.suspended = false;
        Some(state)
    }

    /// Begins without going on: what follows is done, and seen, when the next event comes.
    fn begin(machine: &mut Machine, observer: &mut dyn Observer) {
        if !machine.state().held && !machine.state().suspended {
            machine.step(observer).start();
        }
    }

    /// The run as its journal leaves it.
    fn replayed(&self, observer: &mut dyn Observer) -> Result<Machine, NoOrigin> {
        let mut machine = self.accepted();
        let (mut nobody, mut last) = (Search::new(""), 0);
        Self::begin(&mut machine, observer);
        for entry in self.events {
            let recorded = event(entry)?;
            consume(&mut machine, recorded, &mut nobody, observer)?;
            last = recorded.tasks;
        }
        machine.step(observer).catch_up(last.saturating_add(MOST_BEYOND));
        Ok(machine)
    }

    /// The state as another definition has it. Calls that are under way are made anew, as that definition makes them.
    fn transferred(&self, state: Live, into: &Definition) -> Result<Live, NoOrigin> {
        let mut machine = self.holding(state);
        let mut nobody = ();
        let mut step = machine.step(&mut nobody);
        let calling: Vec<_> = step.state.calls.values().map(|open| open.frame).collect();
        for frame in calling {
            step.begin_again(frame);
        }
        transfer::transfer(machine.state().clone(), self.definition, into).map_err(NoOrigin::Unlike)
    }
}

fn event(entry: &Entry) -> Result<&Recorded, NoOrigin> {
    match entry {
        Entry::Event(recorded) => Ok(recorded),
        Entry::Start(_) => Err(NoOrigin::NoStart),
    }
}

/// Goes on to where an event entered, and takes it in.
fn consume(
    machine: &mut Machine,
    recorded: &Recorded,
    search: &mut Search<'_>,
    observer: &mut dyn Observer,
) -> Result<(), NoOrigin> {
    let definition = machine.definition();
    let mut step = machine.step(observer);
    step.catch_up_watched(recorded.tasks, &mut |step| {
        search.look(step.state, step.entered_next(), &definition);
    });
    if step.state.outcome.is_some() {
        return Ok(());
    }
    if step.state.tasks != recorded.tasks {
        return Err(NoOrigin::Mismatch(Mismatch::Tasks {
            recorded: recorded.tasks,
            machine: step.state.tasks,
        }));
    }
    step.consume(recorded)?;
    Ok(())
}

/// Looks for the beginning of a task.
struct Search<'s> {
    at: &'s str,
    /// The last time that the task of exactly that path began.
    path: Option<(Live, TaskPath)>,
    /// The last time that a task of that reference began.
    reference: Option<(Live, TaskPath)>,
    /// Whether others of that reference began before.
    several: bool,
}

impl<'s> Search<'s> {
    fn new(at: &'s str) -> Self {
        Self {
            at,
            path: None,
            reference: None,
            several: false,
        }
    }

    fn look(&mut self, state: &Live, next: Option<(TaskPath, crate::definition::NodeId)>, definition: &Definition) {
        let Some((path, node)) = next else { return };
        if *path.0 == *self.at {
            self.path = Some((state.clone(), path));
        } else if *definition.node(node).reference == *self.at {
            self.several |= self.reference.as_ref().is_some_and(|(_, known)| *known != path);
            self.reference = Some((state.clone(), path));
        }
    }

    fn found(self, start: &Start) -> Result<(Live, TaskPath), NoOrigin> {
        match (self.path, self.reference) {
            (Some(found), _) => Ok(found),
            (None, Some((_, last))) if self.several => Err(NoOrigin::Several {
                reference: self.at.to_owned(),
                last,
            }),
            (None, Some(found)) => Ok(found),
            (None, None) => {
                let origin = start.origin.as_ref().filter(|origin| origin.state.is_some());
                Err(NoOrigin::NotReached {
                    at: self.at.to_owned(),
                    hint: origin.map_or_else(String::new, |origin| {
                        format!(" itself; it was made from run {}, which may have", origin.run)
                    }),
                })
            }
        }
    }
}

/// The tasks that faulted one because of the other, the innermost first.
#[derive(Default)]
struct Chain(Vec<TaskPath>);

impl Observer for Chain {
    fn on(&mut self, trace: Trace) {
        match trace.kind {
            TraceKind::Faulted { .. } => {
                let goes_on = self.0.last().is_some_and(|inner| is_within(inner, &trace.path));
                if !goes_on {
                    self.0.clear();
                }
                self.0.push(trace.path);
            }
            // What was open beside it ends with it.
            TraceKind::Cancelled => {}
            _ => self.0.clear(),
        }
    }
}

impl Chain {
    fn path(mut self) -> Result<TaskPath, NoOrigin> {
        if self.0.is_empty() {
            return Err(NoOrigin::NoFault(
                "it ended as a whole, by its input, its output or its time limit",
            ));
        }
        Ok(self.0.swap_remove(0))
    }
}

/// Whether one execution of a task is a part of another.
fn is_within(inner: &TaskPath, outer: &TaskPath) -> bool {
    let rest = inner.0.strip_prefix(&*outer.0);
    rest.is_some_and(|rest| rest.starts_with(['/', '[']))
}
