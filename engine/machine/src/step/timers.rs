//! Time passes: timeouts, pauses before another attempt, waits.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem, Timestamp};

use super::{Signal, Step};
use crate::{
    effect::{Effect, TimerId},
    frame::{Body, Extending, FrameId, Phase},
    state::{OpenTimer, Purpose},
};

impl Step<'_> {
    pub(crate) fn start_timer(&mut self, at: Timestamp, purpose: Purpose) -> TimerId {
        let timer = self.next_timer_id();
        self.state.timers.insert(timer, OpenTimer { at, purpose });
        self.effects.push(Effect::StartTimer { timer, at });
        timer
    }

    /// Cancels a timer that has not fired.
    pub(super) fn close_timer(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer
            && self.state.timers.remove(&timer).is_some()
        {
            self.effects.push(Effect::CancelTimer { timer });
        }
    }

    /// A timer's moment has come. What it was for may be gone.
    pub(crate) fn fired(&mut self, timer: TimerId, open: OpenTimer) {
        let signal = match open.purpose {
            Purpose::Workflow => {
                self.state.timeout = None;
                let mut problem = timed_out("the workflow", open.at.since(self.state.started_at).0);
                problem.instance = Some("/timeout".to_owned());
                self.fail(problem);
                None
            }
            Purpose::Task(id) => self.task_timed_out(id, timer, open.at),
            Purpose::Attempt(id) => self.attempt_timed_out(id, timer),
            Purpose::Retry(id) => self.pause_over(id, timer),
            Purpose::Wait(id) => self.wait_over(id, timer),
            Purpose::Turn(id) => self.turn_has_come(id, timer),
        };
        if let Some(signal) = signal {
            self.settle(signal);
        }
    }

    fn task_timed_out(&mut self, id: FrameId, timer: TimerId, at: Timestamp) -> Option<Signal> {
        let task = self
            .state
            .frames
            .task_mut(id)
            .filter(|task| task.timeout == Some(timer))?;
        task.timeout = None;
        let problem = timed_out("the task", at.since(task.started_at).0);
        self.cancel_inside(id);
        let task = self.state.frames.take_task(id)?;
        Some(self.faulted(task, problem))
    }

    /// Ends everything that a task has begun, but not the task.
    pub(super) fn cancel_inside(&mut self, id: FrameId) {
        let Some(task) = self.state.frames.task(id) else { return };
        match &task.body {
            Body::Instant => {}
            Body::Child { child } | Body::Extended(Extending { child, .. }) => {
                if let Some(child) = *child {
                    self.cancel(child);
                }
            }
            Body::Try(trying) => {
                let (child, timer) = (trying.child, trying.timer);
                if let Some(child) = child {
                    self.cancel(child);
                }
                self.close_timer(timer);
            }
            Body::For(looping) => {
                let running: Vec<FrameId> = looping.running.values().copied().collect();
                for iteration in running {
                    self.cancel(iteration);
                }
            }
            Body::Fork(forking) => {
                let running: Vec<FrameId> = forking.running.values().copied().collect();
                for branch in running {
                    self.cancel(branch);
                }
            }
            Body::Listen(listening) => {
                let (subscription, until, running) = (listening.subscription, listening.until, listening.running);
                if let Some(running) = running {
                    self.cancel(running);
                }
                self.unsubscribe(subscription, until);
            }
            Body::Call { call } | Body::Asking { call } => {
                let call = *call;
                self.cancel_call(call);
            }
            Body::Wait { timer } | Body::Queued { timer, .. } => {
                let timer = *timer;
                self.close_timer(Some(timer));
            }
        }
    }

    fn attempt_timed_out(&mut self, id: FrameId, timer: TimerId) -> Option<Signal> {
        let task = self.state.frames.task_mut(id)?;
        let reference = Arc::clone(&self.definition.node(task.node).reference);
        let Body::Try(trying) = &mut task.body else { return None };
        if trying.timer != Some(timer) || !matches!(trying.phase, Phase::Trying) {
            return None;
        }
        trying.timer = None;
        if let Some(child) = trying.child.take() {
            self.cancel(child);
        }
        let mut problem = Problem::new(
            ErrorType::Timeout,
            "Timed out",
            "an attempt took longer than limit.attempt.duration",
        );
        problem.instance = Some(reference.to_string());
        self.caught(id, problem)
    }

    fn pause_over(&mut self, id: FrameId, timer: TimerId) -> Option<Signal> {
        let task = self.state.frames.task_mut(id)?;
        let Body::Try(trying) = &mut task.body else { return None };
        if trying.timer != Some(timer) || !matches!(trying.phase, Phase::Pausing) {
            return None;
        }
        trying.timer = None;
        self.attempt(id)
    }

    fn wait_over(&mut self, id: FrameId, timer: TimerId) -> Option<Signal> {
        let task = self.state.frames.task(id)?;
        if !matches!(task.body, Body::Wait { timer: waiting } if waiting == timer) {
            return None;
        }
        let task = self.state.frames.take_task(id)?;
        let output = Arc::clone(&task.input);
        Some(self.finish(task, output, None))
    }
}

fn timed_out(what: &str, after: u64) -> Problem {
    Problem::new(
        ErrorType::Timeout,
        "Timed out",
        format!("{what} took longer than {after} ms"),
    )
}
