//! Calls under way, stopped when nobody wants the result any more.
//!
//! Handing a call to another thread and its result back costs several times what a short call does. So a function that is known to be
//! short is begun where it is asked for: it has one turn, which the host's clock ends after some milliseconds at the latest. When many
//! are asked for at once, half of them go together to another thread. What is not done after its turn goes on as a task of its own.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use potok_dsl::{ErrorType, Problem, RunId};
use potok_machine::{CallEffect, CallId, Request, WorkflowRequest};
use tokio::task::{AbortHandle, unconstrained};

use super::{Executor, Message, Shell, children::Children, exec::Ended, now, rates::Rates};
use crate::core::Input;

/// What takes longer than this is better off on another thread.
const SHORT: Duration = Duration::from_micros(200);

/// How many calls of a function go to other threads at once after one that was not done in its turn.
const AWAY: u32 = 64;

/// From so many short calls at once on they are shared with another thread.
const SHARED: usize = 4;

/// The most functions whose calls are remembered.
const FUNCTIONS: usize = 4_096;

/// Calls under way.
pub(super) struct Calls {
    executor: Arc<Executor>,
    children: Children,
    rates: Rates,
    shell: Shell,
    under_way: HashMap<(RunId, CallId), Place>,
    paces: HashMap<String, Pace>,
    /// Short calls that are to be begun.
    short: Vec<Call>,
}

/// Where a call is.
enum Place {
    /// It has its turn, here or with others on another thread.
    Turn,
    /// It is a task of its own.
    Task(AbortHandle),
}

/// A call, which gives what the core is to know of its end.
pub(crate) struct Call {
    run: RunId,
    call: CallId,
    function: String,
    work: BoxFuture<'static, Input>,
}

/// Calls that have had their turn.
#[derive(Default)]
pub(crate) struct Turns {
    /// What came of those that are done.
    pub done: Vec<Input>,
    /// Those that are not.
    pub left: Vec<Call>,
    /// How long those took that are done.
    pub took: Vec<(String, Duration)>,
}

/// How a function's calls went.
#[derive(Default)]
struct Pace {
    /// How long one takes, about.
    takes: Duration,
    /// How many more go to other threads.
    away: u32,
}

impl Calls {
    pub fn new(executor: Executor, children: Children, rates: Rates, shell: Shell) -> Self {
        Self {
            executor: Arc::new(executor),
            children,
            rates,
            shell,
            under_way: HashMap::new(),
            paces: HashMap::new(),
            short: Vec::new(),
        }
    }

    /// Starts a call, perhaps `again`, or takes note of it for [`Self::turn`]; its end is reported as [`Input::CallDone`].
    pub fn start(&mut self, run: RunId, effect: Box<CallEffect>, again: bool) {
        match &effect.request {
            Request::Workflow(wanted) => {
                let wanted = wanted.clone();
                self.find(run, effect, wanted);
            }
            Request::Function { function, .. } if self.is_short(&function.function) => {
                let call = self.call(run, effect, again);
                self.under_way.insert((run, call.call), Place::Turn);
                self.short.push(call);
            }
            _ => {
                let call = self.call(run, effect, again);
                self.spawn(call);
            }
        }
    }

    /// Gives the short calls that were started their turn; what comes of them is appended.
    pub fn turn(&mut self, ended: &mut Vec<Input>) {
        let mut mine = std::mem::take(&mut self.short);
        if mine.len() >= SHARED {
            let theirs = mine.split_off(mine.len() / 2);
            let shell = self.shell.clone();
            tokio::spawn(async move {
                let turns = Turns::of(theirs);
                // A node that has stopped needs no results.
                let _ = shell.send(Message::Turns(turns)).await;
            });
        }
        self.short = Vec::with_capacity(mine.len());
        self.had(Turns::of(mine), ended);
    }

    /// Takes calls back that have had their turn.
    pub fn had(&mut self, turns: Turns, ended: &mut Vec<Input>) {
        for (function, took) in turns.took {
            if let Some(pace) = self.paces.get_mut(&function) {
                pace.takes = (pace.takes * 7 + took) / 8;
            }
        }
        ended.extend(turns.done);
        for call in turns.left {
            if let Some(pace) = self.paces.get_mut(&call.function) {
                pace.away = AWAY;
            }
            // One that nobody wants any more ends here.
            if self.under_way.contains_key(&(call.run, call.call)) {
                self.spawn(call);
            }
        }
    }

    /// Whether calls of a function are done in their turn, as far as is known.
    fn is_short(&mut self, function: &str) -> bool {
        if !self.paces.contains_key(function) {
            if self.paces.len() >= FUNCTIONS {
                self.paces.clear();
            }
            self.paces.insert(function.to_owned(), Pace::default());
        }
        let Some(pace) = self.paces.get_mut(function) else {
            return false;
        };
        if pace.away > 0 {
            pace.away -= 1;
            return false;
        }
        if pace.takes > SHORT {
            // Once in a while it is looked at again.
            pace.away = AWAY;
            pace.takes = SHORT;
            return false;
        }
        true
    }

    fn call(&self, run: RunId, effect: Box<CallEffect>, again: bool) -> Call {
        let executor = Arc::clone(&self.executor);
        let rates = matches!(effect.request, Request::Rate(_)).then(|| self.rates.clone());
        let (call, path, digest) = (effect.call, effect.path.clone(), effect.digest.clone());
        let function = match &effect.request {
            Request::Function { function, .. } => function.function.clone(),
            _ => String::new(),
        };
        let work = async move {
            let work = async {
                match (&effect.request, rates) {
                    (Request::Rate(asked), Some(rates)) => {
                        Ended::from(Box::pin(rates.moment(run, &effect, asked)).await)
                    }
                    _ => executor.execute(run, effect, now(), again).await,
                }
            };
            // A panic in a provider is an error of one step, not a call that never ends.
            let work = AssertUnwindSafe(work).catch_unwind();
            let Ended { outcome, made } = work.await.unwrap_or_else(|_| Ended::from(Err(crashed())));
            Input::CallDone {
                run,
                call,
                path,
                digest,
                outcome,
                made,
            }
        };
        Call {
            run,
            call,
            function,
            work: work.boxed(),
        }
    }

    /// Makes a call a task of its own.
    fn spawn(&mut self, call: Call) {
        let shell = self.shell.clone();
        let work = call.work;
        let task = tokio::spawn(async move { shell.happened(work.await).await });
        self.under_way
            .insert((call.run, call.call), Place::Task(task.abort_handle()));
    }

    /// Looks for the run that a call wants.
    fn find(&mut self, run: RunId, effect: Box<CallEffect>, wanted: WorkflowRequest) {
        let (children, shell, call) = (self.children.clone(), self.shell.clone(), effect.call);
        let task = tokio::spawn(async move {
            let found = children.find(run, &effect, &wanted).await;
            shell.happened(found).await;
        });
        self.under_way.insert((run, call), Place::Task(task.abort_handle()));
    }

    /// Stops a call.
    pub fn cancel(&mut self, run: RunId, call: CallId) {
        if let Some(Place::Task(task)) = self.under_way.remove(&(run, call)) {
            task.abort();
        }
        self.short.retain(|short| (short.run, short.call) != (run, call));
    }

    /// How many calls have not reported.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// A call has reported.
    pub fn done(&mut self, run: RunId, call: CallId) {
        self.under_way.remove(&(run, call));
    }
}

impl Turns {
    /// Gives each call one turn.
    fn of(calls: Vec<Call>) -> Self {
        let mut turns = Self::default();
        for mut call in calls {
            let begun = Instant::now();
            // It is asked whether it is done, and told by nobody when it may be: the task that it becomes asks again.
            match unconstrained(&mut call.work).now_or_never() {
                Some(ended) => {
                    turns.done.push(ended);
                    turns.took.push((call.function, begun.elapsed()));
                }
                None => turns.left.push(call),
            }
        }
        turns
    }
}

fn crashed() -> Problem {
    Problem::new(
        ErrorType::Runtime,
        "Call crashed",
        "the provider or the host failed while it served the call; see the log",
    )
}
