//! A task, a block, the run ends: well, with an error, or because a task says so.

use std::sync::Arc;

use potok_dsl::Problem;
use serde_json::Value;

use super::{Signal, Step, Taken};
use crate::{
    definition::{Kind, Next, Place},
    effect::{Effect, Outcome, Status},
    frame::{Block, Body, Frame, FrameId, Phase, Role},
    observer::TraceKind,
    scope::{context_of, set_context},
    secrets,
};

impl Step<'_> {
    /// A task has done what it is there for: its output is shaped, checked and exported. `next` overrides its `then`.
    pub(super) fn finish(&mut self, task: Taken, raw_output: Arc<Value>, next: Option<Next>) -> Signal {
        let definition = self.definition;
        let node = definition.node(task.node);
        match self.hand_over(&task, raw_output) {
            Ok(output) => {
                if self.is_extended_after(&task) {
                    return self.begin_after(task, node, output, next);
                }
                self.completed(&task, output, next)
            }
            Err(problem) => self.faulted(task, problem),
        }
    }

    /// A task is over, with everything that its extensions do.
    pub(super) fn completed(&mut self, task: &Taken, output: Arc<Value>, next: Option<Next>) -> Signal {
        self.close_timer(task.timeout);
        self.trace(task, || TraceKind::Completed {
            output: Arc::clone(&output),
        });
        Signal::Done {
            parent: task.parent,
            output,
            next: next.unwrap_or(self.definition.node(task.node).then),
        }
    }

    fn hand_over(&mut self, task: &Taken, raw_output: Arc<Value>) -> Result<Arc<Value>, Problem> {
        let definition = self.definition;
        let node = definition.node(task.node);
        let output = match &node.output.shape {
            None => raw_output.clone(),
            Some(shape) => {
                let mut scope = self.scope(task, Place::OutputAs);
                scope.raw_output = Some(&raw_output);
                Arc::new(self.shape(shape, &raw_output, &scope, "output.as")?)
            }
        };
        if let Some(schema) = &node.output.schema {
            schema.check(&output, "the task's output")?;
        }
        let context = match &node.export.shape {
            None => None,
            Some(shape) => {
                let mut scope = self.scope(task, Place::ExportAs);
                scope.raw_output = Some(&raw_output);
                scope.output = Some(&output);
                Some(Arc::new(self.shape(shape, &output, &scope, "export.as")?))
            }
        };
        if let Some(schema) = &node.export.schema {
            schema.check(
                context.as_ref().unwrap_or(context_of(self.state, task.parent)),
                "the exported context",
            )?;
        }
        if let Some(context) = context {
            set_context(self.state, task.parent, context);
        }
        Ok(output)
    }

    /// A task ends with an error.
    pub(super) fn faulted(&mut self, task: Taken, mut problem: Problem) -> Signal {
        if problem.instance.is_none() {
            problem.instance = Some(self.definition.node(task.node).reference.to_string());
        }
        self.close_timer(task.timeout);
        self.trace(&task, || TraceKind::Faulted { error: problem.clone() });
        Signal::Fault {
            parent: task.parent,
            problem,
        }
    }

    pub(super) fn done(&mut self, parent: FrameId, output: Arc<Value>, next: Next) -> Option<Signal> {
        if next == Next::End {
            return Some(Signal::End { parent, output });
        }
        self.set_child(parent, None);
        let Some(block) = self.state.frames.block(parent) else {
            // What ended is the function that a call has run.
            let caller = self.state.frames.take_task(parent)?;
            return Some(self.finish(caller, output, None));
        };
        if next == Next::Exit && matches!(block.role, Role::Extension) {
            return self.extension_exits(parent, output);
        }
        match next {
            Next::Exit | Next::End => Some(Signal::BlockDone { block: parent, output }),
            Next::Continue => self.advance(parent, block.position + 1, output),
            Next::To(position) => self.advance(parent, position, output),
        }
    }

    pub(super) fn block_done(&mut self, block: FrameId, output: Arc<Value>) -> Option<Signal> {
        let block = self.state.frames.take_block(block)?;
        let Some(parent) = block.parent else {
            self.complete(&output, None);
            return None;
        };
        self.set_child(parent, None);
        let task = self.state.frames.task(parent)?;
        match &task.body {
            Body::For(_) => self.iteration_done(parent, block, output),
            Body::Extended(_) => self.extend(parent),
            Body::Fork(_) => self.branch_done(parent, block, output),
            Body::Listen(_) => self.event_done(parent, block, output),
            Body::Try(trying) => {
                let timer = trying.timer;
                let caught = matches!(trying.phase, Phase::Catching);
                self.close_timer(timer);
                let task = self.state.frames.take_task(parent)?;
                let next = match &self.definition.node(task.node).kind {
                    Kind::Try(tried) if caught => tried.then,
                    _ => None,
                };
                Some(self.finish(task, output, next))
            }
            _ => {
                let task = self.state.frames.take_task(parent)?;
                Some(self.finish(task, output, None))
            }
        }
    }

    pub(super) fn fault(&mut self, parent: FrameId, problem: Problem) -> Option<Signal> {
        let block = match self.state.frames.get(parent)? {
            Frame::Block(_) => self.state.frames.take_block(parent)?,
            Frame::Task(_) => {
                // The function that a call has run.
                let caller = self.state.frames.take_task(parent)?;
                return Some(self.faulted(caller, problem));
            }
        };
        let Block { parent, role, .. } = block;
        let Some(parent) = parent else {
            self.fail(problem);
            return None;
        };
        self.set_child(parent, None);
        let task = self.state.frames.task_mut(parent)?;
        match &mut task.body {
            Body::Try(trying) if matches!(trying.phase, Phase::Trying) => self.caught(parent, problem),
            Body::For(looping) => {
                if let Role::Iteration { index, .. } = role {
                    looping.running.remove(&index);
                }
                self.fault_around(parent, problem)
            }
            Body::Fork(forking) => {
                if let Role::Branch { index } = role {
                    forking.running.remove(&index);
                }
                self.fault_around(parent, problem)
            }
            Body::Listen(_) => self.fault_around(parent, problem),
            _ => {
                let task = self.state.frames.take_task(parent)?;
                Some(self.faulted(task, problem))
            }
        }
    }

    /// A task ends with an error, and with it whatever else it has begun.
    pub(super) fn fault_around(&mut self, id: FrameId, problem: Problem) -> Option<Signal> {
        self.cancel_inside(id);
        let task = self.state.frames.take_task(id)?;
        Some(self.faulted(task, problem))
    }

    /// A task says that the workflow ends. The tasks around it end with its output; whatever else is open is cancelled.
    pub(super) fn end(&mut self, parent: FrameId, output: &Arc<Value>) {
        let context = Arc::clone(context_of(self.state, parent));
        let mut around = Vec::new();
        let mut next = Some(parent);
        while let Some(frame) = next.and_then(|id| self.state.frames.get(id)) {
            around.extend(next);
            next = match frame {
                Frame::Block(block) => block.parent,
                Frame::Task(task) => Some(task.parent),
            };
        }
        if let Some(root) = self.state.root {
            self.cancel_all(root, |id| {
                around.contains(&id).then(|| TraceKind::Completed {
                    output: Arc::clone(output),
                })
            });
        }
        self.complete(output, Some(&context));
    }

    /// The run comes to its end; its output is shaped and checked.
    fn complete(&mut self, output: &Arc<Value>, context: Option<&Arc<Value>>) {
        match self.workflow_output(output, context) {
            Ok(output) => {
                self.conclude(Outcome {
                    status: Status::Completed,
                    output: Some(output),
                    error: None,
                });
            }
            Err(problem) => self.fail(problem),
        }
    }

    /// The run ends with an error.
    pub(crate) fn fail(&mut self, problem: Problem) {
        self.conclude(Outcome {
            status: Status::Faulted,
            output: None,
            error: Some(problem),
        });
    }

    /// Ends everything that is open, and the run.
    pub(crate) fn conclude(&mut self, outcome: Outcome) {
        if let Some(root) = self.state.root.take() {
            self.cancel(root);
        }
        let timeout = self.state.timeout.take();
        self.close_timer(timeout);
        self.state.queue.clear();
        let outcome = secrets::show_outcome(outcome);
        self.state.outcome = Some(outcome.clone());
        self.effects.push(Effect::Finish(outcome));
    }
}
