//! Extensions: what is done before and after the tasks that they extend.
//!
//! They lie around a task like the skins of an onion: `before` in the order in which they are written, `after` in the reverse. What
//! they give is not passed on, unless `before` leaves by `exit`: then it stands for what the task would have given.

use std::sync::Arc;

use serde_json::Value;

use super::{Signal, Step, Taken};
use crate::{
    definition::{Next, Node, Place},
    frame::{Body, Extending, FrameId, Role},
    scope::{Scope, extended},
};

impl Step<'_> {
    /// Begins a task with what its extensions do before it.
    pub(super) fn begin_task(&mut self, mut task: Taken, node: &Node) -> Option<Signal> {
        if node.extensions.is_empty() || extended(self.state, task.parent, true).is_some() {
            return self.perform(task, node);
        }
        let applying = node
            .extensions
            .iter()
            .copied()
            .filter(|number| self.applies(&task, *number));
        task.extensions = applying.collect();
        let before = |number: &u32| {
            self.definition
                .extension(*number)
                .is_some_and(|extension| extension.before.is_some())
        };
        if !task.extensions.iter().any(before) {
            return self.perform(task, node);
        }
        self.open_extended(task, node, None)
    }

    fn open_extended(
        &mut self,
        task: Taken,
        node: &Node,
        output: Option<(Arc<Value>, Option<Next>)>,
    ) -> Option<Signal> {
        let (done, child) = (0, None);
        match self.open(task, node, Body::Extended(Extending { done, child, output })) {
            Ok(task) => Some(Signal::Extend { task }),
            Err(signal) => Some(signal),
        }
    }

    /// Whether an extension applies to a task. A condition that fails does not hold: it is asked of tasks of every shape.
    fn applies(&self, task: &Taken, number: u32) -> bool {
        let Some(when) = self
            .definition
            .extension(number)
            .and_then(|extension| extension.when.as_ref())
        else {
            return true;
        };
        let scope = Scope {
            extending: true,
            ..self.scope(task, Place::Task)
        };
        when.test(self.evaluator, &task.input, &scope).unwrap_or(false)
    }

    pub(super) fn is_extended_after(&self, task: &Taken) -> bool {
        let extensions = task
            .extensions
            .iter()
            .filter_map(|number| self.definition.extension(*number));
        { extensions }.any(|extension| extension.after.is_some())
    }

    /// A task has given its output: what its extensions do after it begins.
    pub(super) fn begin_after(&mut self, task: Taken, node: &Node, output: Arc<Value>, next: Option<Next>) -> Signal {
        let parent = task.parent;
        let signal = self.open_extended(task, node, Some((Arc::clone(&output), next)));
        signal.unwrap_or(Signal::Done {
            parent,
            output,
            next: next.unwrap_or(node.then),
        })
    }

    /// The next extension has its turn; after the last one the task itself, or what follows it.
    pub(super) fn extend(&mut self, id: FrameId) -> Option<Signal> {
        let definition = self.definition;
        loop {
            let task = self.state.frames.task_mut(id)?;
            let Body::Extended(extending) = &mut task.body else {
                return None;
            };
            let after = extending.output.is_some();
            let number = if after {
                task.extensions.iter().rev().nth(extending.done)
            } else {
                task.extensions.get(extending.done)
            };
            let Some(number) = number else {
                return self.extension_over(id);
            };
            extending.done += 1;
            let extension = definition.extension(*number)?;
            let Some(list) = (if after { extension.after } else { extension.before }) else {
                continue;
            };
            let input = match &extending.output {
                Some((output, _)) => Arc::clone(output),
                None => Arc::clone(&task.input),
            };
            let path = task.path.clone();
            let path = self.block_path(&path, None, list);
            let block = self.open_block(Some(id), list, path, Role::Extension, None);
            self.adopt(id, block);
            return self.advance(block, 0, input);
        }
    }

    fn extension_over(&mut self, id: FrameId) -> Option<Signal> {
        let mut task = self.state.frames.take_task(id)?;
        let Body::Extended(extending) = std::mem::replace(&mut task.body, Body::Instant) else {
            return None;
        };
        match extending.output {
            None => {
                let definition = self.definition;
                let node = definition.node(task.node);
                self.perform(task, node)
            }
            Some((output, next)) => Some(self.completed(&task, output, next)),
        }
    }

    /// A task of an extension says `exit`: before a task, its output stands for what the task would have given.
    pub(super) fn extension_exits(&mut self, block: FrameId, output: Arc<Value>) -> Option<Signal> {
        let parent = self.state.frames.take_block(block)?.parent?;
        self.set_child(parent, None);
        let task = self.state.frames.task(parent)?;
        if !matches!(&task.body, Body::Extended(extending) if extending.output.is_none()) {
            return self.extend(parent);
        }
        let mut task = self.state.frames.take_task(parent)?;
        task.extensions.clear();
        task.body = Body::Instant;
        Some(self.finish(task, output, None))
    }
}
