//! The variables that an expression sees while it is evaluated. Nothing is built before an expression names it.

use std::sync::{Arc, OnceLock};

use potok_dsl::Timestamp;
use potok_expr::Scope as Variables;
use serde_json::{Value, json};

use crate::{
    definition::{Definition, Kind, Place},
    frame::{Block, Body, Frame, FrameId, Role, Task},
    state::Live,
};

/// What surrounds the evaluation of one expression.
pub(crate) struct Scope<'s> {
    pub(crate) definition: &'s Definition,
    pub(crate) state: &'s Live,
    /// `$workflow`, once it was needed.
    pub(crate) workflow: &'s OnceLock<Arc<Value>>,
    pub(crate) place: Place,
    /// The task that the expression belongs to; `None` for the workflow's own.
    pub(crate) task: Option<&'s Task<Arc<Value>>>,
    /// The raw output of the task, once there is one.
    pub(crate) raw_output: Option<&'s Arc<Value>>,
    /// The transformed output of the task, once there is one.
    pub(crate) output: Option<&'s Arc<Value>>,
    /// `$context`, where it is not that of the task's surroundings.
    pub(crate) context: Option<&'s Arc<Value>>,
    /// Variables of a loop or a catch whose block has not been opened.
    pub(crate) extra: &'s [(&'s str, Arc<Value>)],
    /// Whether an extension asks about the task.
    pub(crate) extending: bool,
}

impl Variables for Scope<'_> {
    fn get(&self, name: &str) -> Option<Arc<Value>> {
        if self.place.has(name) {
            return self.argument(name);
        }
        let extra = self.extra.iter().find(|(known, _)| *known == name);
        extra
            .map(|(_, value)| Arc::clone(value))
            .or_else(|| self.surrounding(name))
    }
}

impl Scope<'_> {
    fn argument(&self, name: &str) -> Option<Arc<Value>> {
        match name {
            "context" => Some(match (self.context, self.task) {
                (Some(context), _) => Arc::clone(context),
                (None, Some(task)) => Arc::clone(context_of(self.state, task.parent)),
                (None, None) => Arc::clone(&self.state.context),
            }),
            "input" => self.task.map(|task| Arc::clone(&task.input)),
            "output" => self.output.map(Arc::clone),
            "task" => self.task.map(|task| Arc::new(self.descriptor(task))),
            "workflow" => Some(Arc::clone(
                self.workflow.get_or_init(|| Arc::new(self.workflow_descriptor())),
            )),
            "runtime" => Some(Arc::new(self.runtime_descriptor())),
            "authorization" => {
                let known = self.task.and_then(|task| task.authorization.clone());
                Some(known.unwrap_or_default())
            }
            _ => None,
        }
    }

    /// A variable of the loops and catches around the task, the innermost first; a function sees none of its caller's.
    fn surrounding(&self, name: &str) -> Option<Arc<Value>> {
        let mut parent = self.task?.parent;
        loop {
            let block = self.state.frames.block(parent)?;
            let task = self.state.frames.task(block.parent?)?;
            if let Some(value) = self.variable(block, task, name) {
                return Some(value);
            }
            parent = task.parent;
        }
    }

    fn variable(&self, block: &Block<Arc<Value>>, task: &Task<Arc<Value>>, name: &str) -> Option<Arc<Value>> {
        match (&block.role, &self.definition.node(task.node).kind) {
            (Role::Iteration { item, .. }, Kind::For(each)) if each.each == name => Some(Arc::clone(item)),
            (Role::Iteration { index, .. }, Kind::For(each)) if each.at == name => Some(Arc::new(Value::from(*index))),
            (Role::Iteration { item, index }, Kind::Listen(listen)) => {
                let foreach = listen.foreach.as_ref()?;
                if foreach.item == name {
                    Some(Arc::clone(item))
                } else {
                    (foreach.index == name).then(|| Arc::new(Value::from(*index)))
                }
            }
            (Role::Handler { error }, Kind::Try(tried)) if tried.variable == name => Some(Arc::clone(error)),
            _ => None,
        }
    }

    /// The task itself; in an extension, the task that it extends, with the members of its definition.
    fn descriptor(&self, task: &Task<Arc<Value>>) -> Value {
        let outer = self
            .definition
            .is_extended()
            .then(|| extended(self.state, task.parent, false))
            .flatten();
        let extended = match outer {
            None if !self.extending => return self.task_descriptor(task, self.raw_output),
            None => self.task_descriptor(task, None),
            Some(task) => {
                let output = match &task.body {
                    Body::Extended(extending) => extending.output.as_ref().map(|(output, _)| output),
                    _ => None,
                };
                self.task_descriptor(task, output)
            }
        };
        let node = self.definition.node(outer.unwrap_or(task).node);
        let mut members = node.source.as_object().cloned().unwrap_or_default();
        if let Value::Object(extended) = extended {
            members.extend(extended);
        }
        Value::Object(members)
    }

    fn task_descriptor(&self, task: &Task<Arc<Value>>, output: Option<&Arc<Value>>) -> Value {
        let node = self.definition.node(task.node);
        let mut descriptor = json!({
            "name": node.name.as_ref(),
            "reference": node.reference.as_ref(),
            "definition": node.source.as_ref(),
            "input": task.raw_input.as_ref(),
            "startedAt": moment(task.started_at),
        });
        if let Some(output) = output {
            descriptor["output"] = output.as_ref().clone();
        }
        descriptor
    }

    fn workflow_descriptor(&self) -> Value {
        json!({
            "id": self.state.run.to_string(),
            "definition": self.definition.source.as_ref(),
            "input": self.state.raw_input.as_ref(),
            "startedAt": moment(self.state.started_at),
        })
    }

    /// The version is that of the semantics, not of the program: a run must see the same one after an upgrade.
    fn runtime_descriptor(&self) -> Value {
        json!({ "name": "potok", "version": self.state.semantics.to_string(), "metadata": {} })
    }
}

/// The task whose extension a frame belongs to, if it does; unless it may be far, not out of a function.
pub(crate) fn extended(state: &Live, frame: FrameId, far: bool) -> Option<&Task<Arc<Value>>> {
    let mut next = Some(frame);
    while let Some(frame) = next.and_then(|id| state.frames.get(id)) {
        next = match frame {
            Frame::Block(block) if matches!(block.role, Role::Extension) => return state.frames.task(block.parent?),
            Frame::Block(block) => block.parent,
            Frame::Task(task) if far || state.frames.block(task.parent).is_some() => Some(task.parent),
            Frame::Task(_) => None,
        };
    }
    None
}

/// A moment as the specification's date-time descriptor.
fn moment(at: Timestamp) -> Value {
    json!({
        "iso8601": at.rfc3339(),
        "epoch": { "seconds": at.0.div_euclid(1000), "milliseconds": at.0 },
    })
}

/// `$context` as a frame sees it: that of the innermost parallel iteration or branch around it, else the run's.
pub(crate) fn context_of(state: &Live, frame: FrameId) -> &Arc<Value> {
    let mut next = Some(frame);
    while let Some(frame) = next.and_then(|id| state.frames.get(id)) {
        next = match frame {
            Frame::Block(Block {
                context: Some(context), ..
            }) => return context,
            Frame::Block(block) => block.parent,
            Frame::Task(task) => Some(task.parent),
        };
    }
    &state.context
}

/// Sets `$context` as a frame sees it.
pub(crate) fn set_context(state: &mut Live, frame: FrameId, value: Arc<Value>) {
    let mut next = Some(frame);
    while let Some(id) = next {
        next = match state.frames.get(id) {
            Some(Frame::Block(Block { context: Some(_), .. })) => {
                if let Some(block) = state.frames.block_mut(id) {
                    block.context = Some(value);
                }
                return;
            }
            Some(Frame::Block(block)) => block.parent,
            Some(Frame::Task(task)) => Some(task.parent),
            None => None,
        };
    }
    state.context = value;
}
