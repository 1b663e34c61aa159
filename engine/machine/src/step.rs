//! How a run gets from one state to the next: small steps from a queue, and the consequences of each.
//!
//! Entering a task and beginning an iteration go through the queue, first in, first out, so that parallel iterations take turns
//! and nesting costs no native stack. What follows from a task's end (its block goes on, a task around it ends, an error looks
//! for its `catch`) is settled at once, in a loop, as a chain of [`Signal`]s.

mod admission;
mod again;
mod calls;
mod cancel;
mod emits;
mod ends;
mod enter;
mod extensions;
mod forks;
mod http;
mod listens;
mod loops;
mod rates;
mod run;
mod timers;
mod tries;
mod uri;
mod values;
mod view;

pub(crate) use view::View;

use std::sync::{Arc, OnceLock};

use potok_dsl::{Problem, TaskPath};
use serde_json::Value;

use crate::{
    definition::{Definition, ListId, Next},
    effect::{Effect, TimerId},
    frame::{Block, Frame, FrameId, Role, Task},
    observer::{Observer, Trace, TraceKind},
    state::{Live, Work},
};

/// One slice of work on a run.
pub(crate) struct Step<'m> {
    pub(crate) definition: &'m Definition,
    pub(crate) evaluator: &'m potok_expr::Evaluator,
    pub(crate) workflow: &'m OnceLock<Arc<Value>>,
    pub(crate) state: &'m mut Live,
    pub(crate) observer: &'m mut dyn Observer,
    pub(crate) effects: Vec<Effect>,
}

/// A task outside the slab, as one that begins or ends.
type Taken = Task<Arc<Value>>;

/// What follows from something that has ended.
enum Signal {
    /// A task right under this frame has ended.
    Done {
        parent: FrameId,
        output: Arc<Value>,
        next: Next,
    },
    /// A block has come to its end.
    BlockDone { block: FrameId, output: Arc<Value> },
    /// Something right under this frame has faulted.
    Fault { parent: FrameId, problem: Problem },
    /// What extensions do before or after a task goes on.
    Extend { task: FrameId },
    /// A task right under this frame says that the workflow ends.
    End { parent: FrameId, output: Arc<Value> },
}

impl Step<'_> {
    /// Works through the queue until it is empty, the run is halted, or the slice is used up and the next thing to do would
    /// count.
    ///
    /// So where a slice ends depends on the task count alone, and [`Self::catch_up`] finds the same place.
    pub(crate) fn run(&mut self) {
        let mut used = 0;
        while let Some(counts) = self.next_counts() {
            if counts && used >= self.state.slice {
                self.effects.push(Effect::Yield);
                return;
            }
            used += u64::from(counts);
            self.work();
        }
    }

    /// Works through the queue until so many tasks were entered and the next thing to do would count.
    pub(crate) fn catch_up(&mut self, tasks: u64) {
        self.catch_up_watched(tasks, &mut |_| {});
    }

    /// As [`Self::catch_up`]; `before` is shown the run before each thing that is done.
    pub(crate) fn catch_up_watched(&mut self, tasks: u64, before: &mut dyn FnMut(&Self)) {
        while let Some(counts) = self.next_counts() {
            if counts && self.state.tasks >= tasks {
                return;
            }
            before(self);
            self.work();
        }
    }

    /// Whether the next thing to do counts; `None` when there is nothing to do now.
    fn next_counts(&self) -> Option<bool> {
        if self.state.suspended || self.state.outcome.is_some() {
            return None;
        }
        self.state.queue.front().map(Work::counts)
    }

    fn work(&mut self) {
        let Some(work) = self.state.queue.pop_front() else {
            return;
        };
        self.state.tasks += u64::from(work.counts());
        match work {
            Work::Begin => self.start(),
            Work::Enter { parent, node, input } => self.enter(parent, node, input),
            Work::Iterate { task } => self.iterate(task),
            Work::Ended { call, frame, outcome } => self.call_ended(call, frame, outcome),
            Work::Fired { timer, open } => self.fired(timer, open),
        }
    }

    /// Follows the consequences to their end.
    fn settle(&mut self, signal: Signal) {
        let mut next = Some(signal);
        while let Some(signal) = next {
            next = match signal {
                Signal::Done { parent, output, next } => self.done(parent, output, next),
                Signal::BlockDone { block, output } => self.block_done(block, output),
                Signal::Extend { task } => self.extend(task),
                Signal::Fault { parent, problem } => self.fault(parent, problem),
                Signal::End { parent, output } => {
                    self.end(parent, &output);
                    None
                }
            };
        }
    }

    /// Begins a task list; the first task is put in the queue.
    fn open_block(
        &mut self,
        parent: Option<FrameId>,
        list: ListId,
        path: Arc<str>,
        role: Role<Arc<Value>>,
        context: Option<Arc<Value>>,
    ) -> FrameId {
        self.state.frames.insert(Frame::Block(Block {
            parent,
            list,
            path,
            position: 0,
            visits: std::collections::BTreeMap::new(),
            child: None,
            role,
            context,
        }))
    }

    /// Puts the task at a position of a block in the queue; a position behind the last one ends the block.
    fn advance(&mut self, block: FrameId, position: u32, input: Arc<Value>) -> Option<Signal> {
        let frame = self.state.frames.block_mut(block)?;
        frame.position = position;
        match self.definition.list(frame.list).nodes.get(position as usize) {
            Some(&node) => {
                self.state.queue.push_back(Work::Enter {
                    parent: block,
                    node,
                    input,
                });
                None
            }
            None => Some(Signal::BlockDone { block, output: input }),
        }
    }

    /// The path of a list's tasks: that of the task above, an iteration's index, the list's own segment.
    fn block_path(&self, task: &TaskPath, index: Option<u64>, list: ListId) -> Arc<str> {
        let segment = &self.definition.list(list).segment;
        match index {
            Some(index) => Arc::from(format!("{task}[{index}]{segment}")),
            None => Arc::from(format!("{task}{segment}")),
        }
    }

    fn trace(&mut self, task: &Taken, kind: impl FnOnce() -> TraceKind) {
        if !self.observer.wants() {
            return;
        }
        let node = self.definition.node(task.node);
        self.observer.on(Trace {
            at: self.state.now,
            reference: node.reference.to_string(),
            path: task.path.clone(),
            name: node.name.to_string(),
            label: task.label.clone(),
            kind: kind(),
        });
    }

    fn next_timer_id(&mut self) -> TimerId {
        self.state.timers_started += 1;
        TimerId(self.state.timers_started)
    }
}
