//! `fork`: branches at once, all of them or the first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{Signal, Step, Taken};
use crate::{
    definition::{Fork, Kind, Node},
    frame::{Block, Body, Forking, FrameId, Role},
    merge::Merge,
    scope::{context_of, set_context},
};

impl Step<'_> {
    pub(super) fn perform_fork(&mut self, task: Taken, node: &Node, fork: &Fork) -> Option<Signal> {
        let (input, path) = (Arc::clone(&task.input), task.path.clone());
        let forking = Forking {
            running: BTreeMap::new(),
            skipped: BTreeSet::new(),
            outputs: vec![None; fork.branches.len()],
            merge: Merge::default(),
        };
        let id = match self.open(task, node, Body::Fork(forking)) {
            Ok(id) => id,
            Err(signal) => return Some(signal),
        };
        let context = Arc::clone(context_of(self.state, id));
        let mut running = BTreeMap::new();
        for (index, &list) in (0u64..).zip(&fork.branches) {
            let path = self.block_path(&path, None, list);
            let context = Some(Arc::clone(&context));
            running.insert(
                index,
                self.open_block(Some(id), list, path, Role::Branch { index }, context),
            );
        }
        let blocks: Vec<FrameId> = running.values().copied().collect();
        self.forking(id)?.running = running;
        for block in blocks {
            // A branch has one task, which goes into the queue.
            self.advance(block, 0, Arc::clone(&input));
        }
        None
    }

    fn forking(&mut self, id: FrameId) -> Option<&mut Forking<Arc<Value>>> {
        match &mut self.state.frames.task_mut(id)?.body {
            Body::Fork(forking) => Some(forking),
            _ => None,
        }
    }

    /// A task of this block was skipped: when it is a branch, it cannot win.
    pub(super) fn note_skipped(&mut self, block: FrameId) {
        if let Some(block) = self.state.frames.block(block)
            && let (Role::Branch { index }, Some(parent)) = (&block.role, block.parent)
        {
            let index = *index;
            if let Some(forking) = self.forking(parent) {
                forking.skipped.insert(index);
            }
        }
    }

    pub(super) fn branch_done(&mut self, id: FrameId, block: Block<Arc<Value>>, output: Arc<Value>) -> Option<Signal> {
        let Role::Branch { index } = block.role else {
            return None;
        };
        let definition = self.definition;
        let before = Arc::clone(context_of(self.state, id));
        let Kind::Fork(fork) = &definition.node(self.state.frames.task(id)?.node).kind else {
            return None;
        };
        let forking = self.forking(id)?;
        forking.running.remove(&index);
        let wins = fork.compete && !forking.skipped.contains(&index);
        if let Some(after) = &block.context {
            forking.merge.note(index, &before, after);
        }
        if let Some(place) = usize::try_from(index)
            .ok()
            .and_then(|index| forking.outputs.get_mut(index))
        {
            *place = Some(Arc::clone(&output));
        }
        if !wins && !forking.running.is_empty() {
            return None;
        }
        let merge = std::mem::take(&mut forking.merge);
        let outputs = std::mem::take(&mut forking.outputs);
        self.cancel_inside(id);
        let task = self.state.frames.take_task(id)?;
        set_context(self.state, task.parent, merge.result(&before));
        let output = match (fork.compete, wins) {
            (true, true) => output,
            // Nobody has run: nobody has won.
            (true, false) => Arc::clone(&task.input),
            (false, _) => Arc::new(outputs.into_iter().flatten().map(Arc::unwrap_or_clone).collect()),
        };
        Some(self.finish(task, output, None))
    }
}
