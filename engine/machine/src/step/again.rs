//! A run that goes on with the state of another one; a task that begins again.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem, TaskPath, Timestamp};

use super::{
    Step,
    calls::{digest_of, key_of},
    rates::turn_key,
};
use crate::{
    definition::NodeId,
    effect::{CallEffect, Effect, Request, SubscriptionId},
    frame::{Body, Frame, FrameId},
    observer::TraceKind,
    request::Parent,
    snapshot::{self, Snapshot},
    state::{Live, Work},
};

impl Step<'_> {
    /// Begins with the state of the run that this one was made from, as if no time had passed since: what is open there is open here, under
    /// this run's own keys.
    pub(crate) fn take_over(&mut self, seed: &Snapshot) {
        let kept = match snapshot::open(seed.clone(), self.definition) {
            Ok(kept) => kept,
            Err(why) => {
                let detail = format!("what the run begins with cannot be read: {why}");
                return self.fail(Problem::new(ErrorType::Runtime, "No beginning", detail));
            }
        };
        let (before, now, made_from) = (kept.now, self.state.now, kept.run);
        *self.state = Live {
            run: self.state.run,
            definition: self.state.definition.clone(),
            parent: self.state.parent,
            now,
            slice: self.state.slice,
            suspended: self.state.suspended,
            ..kept
        };
        self.queue_anew();
        self.move_times(now.0.saturating_sub(before.0));
        let frames = self.state.frames.names();
        for frame in &frames {
            if let Some(task) = self.state.frames.task(*frame).cloned() {
                self.trace(&task, || TraceKind::Started {
                    input: Arc::clone(&task.input),
                });
            }
        }
        let calls: Vec<_> = self.state.calls.keys().copied().collect();
        for call in calls {
            let Some(open) = self.state.calls.get(&call) else {
                continue;
            };
            let mut effect = open.effect.clone();
            self.own(&mut effect, made_from);
            self.effects.push(Effect::Call(effect.clone()));
            if let Some(open) = self.state.calls.get_mut(&call) {
                open.effect = effect;
            }
        }
        let timers = self.state.timers.iter().map(|(timer, open)| Effect::StartTimer {
            timer: *timer,
            at: open.at,
        });
        self.effects.extend(timers);
        let subscriptions: Vec<SubscriptionId> = self.state.subscriptions.keys().copied().collect();
        for subscription in subscriptions {
            let Some(frame) = self.state.subscriptions.get(&subscription).map(|open| open.frame) else {
                continue;
            };
            let patterns = self.view().patterns(frame, subscription);
            if let Some(open) = self.state.subscriptions.get_mut(&subscription) {
                open.effect.patterns = patterns;
                self.effects.push(Effect::Subscribe(open.effect.clone()));
            }
        }
    }

    /// Has tasks that wait for their turn ask for another: the moments that they had belong to the other run.
    fn queue_anew(&mut self) {
        let effects = self.effects.len();
        for frame in self.state.frames.names() {
            let queued = |task: &super::Taken| matches!(task.body, Body::Queued { .. });
            if self.state.frames.task(frame).is_some_and(queued) {
                self.begin_again(frame);
            }
        }
        // What it would take back was never asked for.
        self.effects.truncate(effects);
    }

    /// Moves everything that a run knows of time.
    fn move_times(&mut self, by: i64) {
        let moved = |at: Timestamp| Timestamp(at.0.saturating_add(by));
        self.state.started_at = moved(self.state.started_at);
        for open in self.state.timers.values_mut() {
            open.at = moved(open.at);
        }
        for frame in self.state.frames.names() {
            if let Some(task) = self.state.frames.task_mut(frame) {
                task.started_at = moved(task.started_at);
            }
        }
    }

    /// Makes a call that another run has made this run's own. A key that the workflow gives itself stays.
    fn own(&self, effect: &mut CallEffect, made_by: potok_dsl::RunId) {
        let run = self.state.run;
        match &mut effect.request {
            Request::Rate(asked) => {
                asked.asked_at = self.state.now;
                effect.idempotency_key = turn_key(run, &effect.path, effect.call);
            }
            Request::Workflow(wanted) => {
                wanted.run = self.child(&effect.path, effect.call);
                wanted.parent = Parent {
                    run,
                    depth: self.state.parent.map_or(0, |parent| parent.depth) + 1,
                    awaits: wanted.parent.awaits,
                };
            }
            _ => {}
        }
        effect.digest = digest_of(&effect.request);
        if effect.idempotency_key == key_of(made_by, &effect.path) {
            effect.idempotency_key = key_of(run, &effect.path);
        }
    }

    /// The task that is entered next, when that is what is done next: the path that its execution will have.
    pub(crate) fn entered_next(&self) -> Option<(TaskPath, NodeId)> {
        let Some(Work::Enter { parent, node, .. }) = self.state.queue.front() else {
            return None;
        };
        let segment = &self.definition.node(*node).segment;
        let path = match self.state.frames.get(*parent)? {
            Frame::Task(caller) => format!("{}{segment}", caller.path),
            Frame::Block(block) => {
                let before = block.visits.get(&block.position).copied().unwrap_or(0);
                let again = self.definition.list(block.list).revisits && before > 0;
                let visit = if again {
                    format!("#{}", before + 1)
                } else {
                    String::new()
                };
                format!("{}{segment}{visit}", block.path)
            }
        };
        Some((TaskPath(path.into()), *node))
    }

    /// Has an open task begin again, with its raw input: whatever it has begun is ended, and it is to be entered once more.
    pub(crate) fn begin_again(&mut self, id: FrameId) {
        self.cancel_inside(id);
        let Some(task) = self.state.frames.take_task(id) else {
            return;
        };
        self.close_timer(task.timeout);
        self.set_child(task.parent, None);
        if let Some(block) = self.state.frames.block_mut(task.parent)
            && let Some(visits) = block.visits.get_mut(&block.position)
        {
            // It is the same execution, not another one.
            *visits = visits.saturating_sub(1);
        }
        self.state.queue.push_back(Work::Enter {
            parent: task.parent,
            node: task.node,
            input: task.raw_input,
        });
    }
}
