//! The state of a run as another definition has it: each open task is found by the names on the way to it.
//!
//! Positions change when tasks are put in or taken out, names seldom do. So lists are compared name by name, and only as far as something is
//! open: what is done already, or not begun yet, may differ in any way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use potok_dsl::TaskPath;
use serde_json::Value;

use crate::{
    definition::{Call, Definition, Kind, ListId, NodeId},
    frame::{Block, Body, Frame, FrameId, Phase, Role, Task},
    state::{Live, Work},
};

type Found<T> = Result<T, String>;

pub(crate) fn transfer(mut state: Live, from: &Definition, into: &Definition) -> Found<Live> {
    let mut mover = Mover {
        from,
        into,
        lists: HashMap::new(),
        tasks: HashMap::new(),
    };
    // Each frame comes after the one above it.
    for id in state.frames.names() {
        let moved = match state.frames.get(id) {
            Some(Frame::Block(block)) => Frame::Block(mover.block(id, block.clone())?),
            Some(Frame::Task(task)) => Frame::Task(mover.task(id, task.clone())?),
            None => continue,
        };
        if let Some(frame) = state.frames.get_mut(id) {
            *frame = moved;
        }
    }
    let mut queue = std::mem::take(&mut state.queue);
    for work in &mut queue {
        if let Work::Enter { parent, node, .. } = work
            && state.frames.get(*parent).is_some()
        {
            *node = mover.child(*parent, *node)?;
        }
    }
    // What belongs to frames that are gone means nothing any more.
    queue.retain(|work| !matches!(work, Work::Enter { parent, .. } if state.frames.get(*parent).is_none()));
    state.queue = queue;
    for open in state.subscriptions.values_mut() {
        if let Some(task) = state.frames.task(open.frame) {
            open.effect.path = task.path.clone();
        }
    }
    Ok(state)
}

struct Mover<'d> {
    from: &'d Definition,
    into: &'d Definition,
    /// The list that each block does now, its path now, and how long that was.
    lists: HashMap<FrameId, (ListId, Arc<str>, usize)>,
    /// The task that each task was and is, with its path now.
    tasks: HashMap<FrameId, (NodeId, NodeId, TaskPath)>,
}

impl Mover<'_> {
    fn block(&mut self, id: FrameId, mut block: Block<Arc<Value>>) -> Found<Block<Arc<Value>>> {
        let (old, length) = (block.list, block.path.len());
        (block.list, block.path) = match block.parent {
            None => (self.into.root, Arc::from("/do")),
            Some(parent) => {
                let (was, is, path) = self
                    .tasks
                    .get(&parent)
                    .cloned()
                    .ok_or("a list of an unknown task is open")?;
                let list = self.list(was, is, block.list, &block.role)?;
                let segment = &self.into.list(list).segment;
                let path = match &block.role {
                    Role::Iteration { index, .. } => format!("{path}[{index}]{segment}"),
                    _ => format!("{path}{segment}"),
                };
                (list, Arc::from(path))
            }
        };
        self.lists.insert(id, (block.list, Arc::clone(&block.path), length));
        // Where it stands is where the task that is under way or next stands.
        if let Some(node) = self.from.list(old).nodes.get(block.position as usize) {
            block.position = self.position(block.list, *node)?;
        }
        let visits = std::mem::take(&mut block.visits);
        let visits = visits.into_iter().filter_map(|(position, times)| {
            let node = self.from.list(old).nodes.get(position as usize)?;
            Some((self.position(block.list, *node).ok()?, times))
        });
        block.visits = visits.collect::<BTreeMap<_, _>>();
        Ok(block)
    }

    fn task(&mut self, id: FrameId, mut task: Task<Arc<Value>>) -> Found<Task<Arc<Value>>> {
        let was = task.node;
        let is = self.child(task.parent, was)?;
        let (old, new) = (self.from.node(was), self.into.node(is));
        let path = match (self.lists.get(&task.parent), self.tasks.get(&task.parent)) {
            (Some((_, list, length)), _) => {
                // What is left behind its place is the number of the visit.
                let visit = task.path.0.get(length + old.segment.len()..).unwrap_or_default();
                format!("{list}{}{visit}", new.segment)
            }
            (None, Some((.., caller))) => format!("{caller}{}", new.segment),
            (None, None) => return Err("an unknown task is open".to_owned()),
        };
        self.fits(&task, was, is)?;
        task.node = is;
        task.path = TaskPath(path.into());
        self.tasks.insert(id, (was, is, task.path.clone()));
        Ok(task)
    }

    /// The node of a task under a frame.
    fn child(&self, parent: FrameId, node: NodeId) -> Found<NodeId> {
        if let Some((list, ..)) = self.lists.get(&parent) {
            let position = self.position(*list, node)?;
            return Ok(self.into.list(*list).nodes[position as usize]);
        }
        let (_, caller, _) = self.tasks.get(&parent).ok_or("a task of an unknown one is open")?;
        match &self.into.node(*caller).kind {
            Kind::Call(call) => match call.as_ref() {
                Call::Task { node: function, .. } if self.into.node(*function).name == self.from.node(node).name => {
                    Ok(*function)
                }
                _ => Err(self.other(*caller, "it calls another function")),
            },
            _ => Err(self.other(*caller, "it calls no function")),
        }
    }

    /// Where the task of that name stands in a list.
    fn position(&self, list: ListId, node: NodeId) -> Found<u32> {
        let wanted = self.from.node(node);
        let nodes = (0u32..).zip(&self.into.list(list).nodes);
        let found = { nodes }.find(|(_, node)| self.into.node(**node).name == wanted.name);
        found
            .map(|(position, _)| position)
            .ok_or_else(|| format!("it has no task '{}' where {} was", wanted.name, wanted.reference))
    }

    /// The list of a task that stands for one of the same task before.
    fn list(&self, was: NodeId, is: NodeId, list: ListId, role: &Role<Arc<Value>>) -> Found<ListId> {
        let missing = || self.other(is, "it has no such tasks inside");
        if let Role::Extension = role {
            let segment = &self.from.list(list).segment;
            let extensions = (0..).map_while(|number| self.into.extension(number));
            let mut lists = extensions.flat_map(|extension| extension.before.into_iter().chain(extension.after));
            return lists
                .find(|list| self.into.list(*list).segment == *segment)
                .ok_or_else(missing);
        }
        match (&self.from.node(was).kind, &self.into.node(is).kind) {
            (Kind::Do(_), Kind::Do(list)) => Ok(*list),
            (Kind::For(_), Kind::For(each)) => Ok(each.list),
            (Kind::Try(_), Kind::Try(tried)) => match role {
                Role::Handler { .. } => tried.handler.ok_or_else(missing),
                _ => Ok(tried.list),
            },
            (Kind::Fork(_), Kind::Fork(fork)) => {
                let Role::Branch { index } = role else {
                    return Err(missing());
                };
                let branch = usize::try_from(*index).ok().and_then(|index| fork.branches.get(index));
                branch.copied().ok_or_else(missing)
            }
            (Kind::Listen(_), Kind::Listen(listen)) => listen
                .foreach
                .as_ref()
                .and_then(|foreach| foreach.list)
                .ok_or_else(missing),
            _ => Err(missing()),
        }
    }

    /// Whether what a task is doing can go on as another task.
    fn fits(&self, task: &Task<Arc<Value>>, was: NodeId, is: NodeId) -> Found<()> {
        let (old, new) = (self.from.node(was), self.into.node(is));
        let same_kind = std::mem::discriminant(&old.kind) == std::mem::discriminant(&new.kind);
        if !same_kind {
            return Err(self.other(is, "it is of another kind"));
        }
        let extension = |definition: &Definition, number: u32| {
            let extension = definition.extension(number)?;
            let list = extension.before.or(extension.after)?;
            Some(definition.list(list).segment.to_string())
        };
        if task
            .extensions
            .iter()
            .any(|number| extension(self.from, *number) != extension(self.into, *number))
        {
            return Err(self.other(is, "it is extended in another way"));
        }
        let fits = match (&task.body, &old.kind, &new.kind) {
            (Body::Queued { .. }, ..) => new.rate.is_some(),
            (Body::For(_), Kind::For(old), Kind::For(new)) => {
                old.collect == new.collect && old.parallel.is_some() == new.parallel.is_some()
            }
            (Body::Try(trying), _, Kind::Try(new)) => !matches!(trying.phase, Phase::Catching) || new.handler.is_some(),
            (Body::Fork(_), Kind::Fork(old), Kind::Fork(new)) => {
                let names = |definition: &Definition, branches: &[ListId]| {
                    let nodes = branches
                        .iter()
                        .filter_map(|list| definition.list(*list).nodes.first().copied());
                    nodes
                        .map(|node| Arc::clone(&definition.node(node).name))
                        .collect::<Vec<_>>()
                };
                old.compete == new.compete && names(self.from, &old.branches) == names(self.into, &new.branches)
            }
            (Body::Listen(_), ..) => old.source == new.source,
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(self.other(is, "it goes about it in another way"))
        }
    }

    fn other(&self, is: NodeId, why: &str) -> String {
        format!("{} is under way, and there {why}", self.into.node(is).reference)
    }
}
