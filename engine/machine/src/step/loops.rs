//! `for`: one iteration after the other, or several at once.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    Signal, Step, Taken,
    values::{brief, wrong},
};
use crate::{
    definition::{Kind, Loop, Node, Place},
    frame::{Block, Body, FrameId, Looping, Role},
    merge::Merge,
    scope::{context_of, set_context},
    state::Work,
};

impl Step<'_> {
    pub(super) fn perform_for(&mut self, task: Taken, node: &Node, each: &Loop) -> Option<Signal> {
        let items = self.shape(&each.items, &task.input, &self.scope(&task, Place::Task), "for.in");
        let items = match items {
            Ok(items @ Value::Array(_)) => Arc::new(items),
            Ok(other) => {
                let problem = wrong(format!("for.in must give an array, not {}", brief(&other)));
                return Some(self.faulted(task, problem));
            }
            Err(problem) => return Some(self.faulted(task, problem)),
        };
        let input = Arc::clone(&task.input);
        if length(&items) == 0 {
            let output = if each.collect {
                Arc::new(Value::Array(Vec::new()))
            } else {
                input
            };
            return Some(self.finish(task, output, None));
        }
        let looping = Looping {
            items,
            next: 0,
            running: BTreeMap::new(),
            queued: true,
            last: input,
            last_index: 0,
            collected: Vec::new(),
            merge: Merge::default(),
        };
        match self.open(task, node, Body::For(looping)) {
            Ok(id) => {
                self.state.queue.push_back(Work::Iterate { task: id });
                None
            }
            Err(signal) => Some(signal),
        }
    }

    /// Begins the next iteration, or what is done for the next event, unless the task has been ended in the meantime.
    pub(super) fn iterate(&mut self, id: FrameId) {
        let listens = |task: &Taken| matches!(task.body, Body::Listen(_));
        let signal = if self.state.frames.task(id).is_some_and(listens) {
            self.next_event(id)
        } else {
            self.next_iteration(id)
        };
        if let Some(signal) = signal {
            self.settle(signal);
        }
    }

    fn next_iteration(&mut self, id: FrameId) -> Option<Signal> {
        let definition = self.definition;
        let task = self.state.frames.task_mut(id)?;
        let Kind::For(each) = &definition.node(task.node).kind else {
            return None;
        };
        let Body::For(looping) = &mut task.body else {
            return None;
        };
        looping.queued = false;
        let index = looping.next;
        let item = Arc::new(looping.items.get(usize::try_from(index).ok()?)?.clone());
        let (path, parallel) = (task.path.clone(), each.parallel.is_some());
        let input = if parallel {
            Arc::clone(&task.input)
        } else {
            Arc::clone(&looping.last)
        };
        if let Some(condition) = &each.condition {
            let extra = [
                (each.each.as_str(), Arc::clone(&item)),
                (each.at.as_str(), Arc::new(Value::from(index))),
            ];
            let task = self.state.frames.task(id)?;
            match self.test(condition, task, &input, &extra, "while") {
                Ok(true) => {}
                Ok(false) => return self.loop_done(id),
                Err(problem) => {
                    let task = self.state.frames.take_task(id)?;
                    return Some(self.faulted(task, problem));
                }
            }
        }
        let context = parallel.then(|| Arc::clone(context_of(self.state, id)));
        let path = self.block_path(&path, Some(index), each.list);
        let block = self.open_block(Some(id), each.list, path, Role::Iteration { index, item }, context);
        let task = self.state.frames.task_mut(id)?;
        let Body::For(looping) = &mut task.body else {
            return None;
        };
        looping.next = index + 1;
        looping.running.insert(index, block);
        let room = each.parallel.is_some_and(|most| looping.running.len() < most as usize);
        let more = looping.next < length(&looping.items);
        let signal = self.advance(block, 0, input);
        if room && more {
            self.queue_iteration(id);
        }
        signal
    }

    fn queue_iteration(&mut self, id: FrameId) {
        if let Some(task) = self.state.frames.task_mut(id)
            && let Body::For(looping) = &mut task.body
            && !looping.queued
        {
            looping.queued = true;
            self.state.queue.push_back(Work::Iterate { task: id });
        }
    }

    pub(super) fn iteration_done(
        &mut self,
        id: FrameId,
        block: Block<Arc<Value>>,
        output: Arc<Value>,
    ) -> Option<Signal> {
        let Role::Iteration { index, .. } = block.role else {
            return None;
        };
        let definition = self.definition;
        let before = block.context.as_ref().map(|_| Arc::clone(context_of(self.state, id)));
        let task = self.state.frames.task_mut(id)?;
        let Kind::For(each) = &definition.node(task.node).kind else {
            return None;
        };
        let Body::For(looping) = &mut task.body else {
            return None;
        };
        looping.running.remove(&index);
        if each.collect {
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            if looping.collected.len() <= place {
                looping.collected.resize(place + 1, None);
            }
            looping.collected[place] = Some(Arc::clone(&output));
        }
        if let (Some(before), Some(after)) = (&before, &block.context) {
            looping.merge.note(index, before, after);
        }
        if index >= looping.last_index {
            looping.last = output;
            looping.last_index = index;
        }
        if looping.next < length(&looping.items) {
            self.queue_iteration(id);
            None
        } else if looping.running.is_empty() {
            self.loop_done(id)
        } else {
            None
        }
    }

    /// All iterations have ended, or `while` does not hold any more.
    fn loop_done(&mut self, id: FrameId) -> Option<Signal> {
        let mut task = self.state.frames.take_task(id)?;
        let Kind::For(each) = &self.definition.node(task.node).kind else {
            return None;
        };
        let Body::For(looping) = std::mem::replace(&mut task.body, Body::Instant) else {
            return None;
        };
        if each.parallel.is_some() {
            let before = Arc::clone(context_of(self.state, task.parent));
            let merged = looping.merge.result(&before);
            set_context(self.state, task.parent, merged);
        }
        let output = if each.collect {
            let collected = looping.collected.into_iter().flatten().map(Arc::unwrap_or_clone);
            Arc::new(Value::Array(collected.collect()))
        } else {
            looping.last
        };
        Some(self.finish(task, output, None))
    }
}

fn length(items: &Value) -> u64 {
    items.as_array().map_or(0, |items| items.len() as u64)
}
