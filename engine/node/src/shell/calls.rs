//! Calls under way: one task each, stopped when nobody wants the result any more.

use std::{collections::HashMap, panic::AssertUnwindSafe};

use futures::FutureExt;
use potok_dsl::{ErrorType, Problem, RunId};
use potok_machine::{CallEffect, CallId, Request, WorkflowRequest};
use tokio::task::AbortHandle;

use super::{Executor, Shell, children::Children, exec::Ended, now, rates::Rates};
use crate::core::Input;

/// Calls under way.
pub(super) struct Calls {
    executor: Executor,
    children: Children,
    rates: Rates,
    shell: Shell,
    under_way: HashMap<(RunId, CallId), AbortHandle>,
}

impl Calls {
    pub fn new(executor: Executor, children: Children, rates: Rates, shell: Shell) -> Self {
        Self {
            executor,
            children,
            rates,
            shell,
            under_way: HashMap::new(),
        }
    }

    /// Starts a call, perhaps `again`; its end is reported as [`Input::CallDone`].
    pub fn start(&mut self, run: RunId, effect: CallEffect, again: bool) {
        if let Request::Workflow(wanted) = &effect.request {
            let wanted = wanted.clone();
            return self.find(run, effect, wanted);
        }
        let (executor, rates, shell) = (self.executor.clone(), self.rates.clone(), self.shell.clone());
        let (call, path, digest) = (effect.call, effect.path.clone(), effect.digest.clone());
        let task = tokio::spawn(async move {
            let work = async {
                match &effect.request {
                    Request::Rate(asked) => Ended::from(rates.moment(run, &effect, asked).await),
                    _ => executor.execute(run, effect, now(), again).await,
                }
            };
            // A panic in a provider is an error of one step, not a call that never ends.
            let work = AssertUnwindSafe(work).catch_unwind();
            let Ended { outcome, made } = work.await.unwrap_or_else(|_| Ended::from(Err(crashed())));
            shell
                .happened(Input::CallDone {
                    run,
                    call,
                    path,
                    digest,
                    outcome,
                    made,
                })
                .await;
        });
        self.under_way.insert((run, call), task.abort_handle());
    }

    /// Looks for the run that a call wants.
    fn find(&mut self, run: RunId, effect: CallEffect, wanted: WorkflowRequest) {
        let (children, shell, call) = (self.children.clone(), self.shell.clone(), effect.call);
        let task = tokio::spawn(async move {
            let found = children.find(run, &effect, &wanted).await;
            shell.happened(found).await;
        });
        self.under_way.insert((run, call), task.abort_handle());
    }

    /// Stops a call.
    pub fn cancel(&mut self, run: RunId, call: CallId) {
        if let Some(task) = self.under_way.remove(&(run, call)) {
            task.abort();
        }
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

fn crashed() -> Problem {
    Problem::new(
        ErrorType::Runtime,
        "Call crashed",
        "the provider or the host failed while it served the call; see the log",
    )
}
