//! What is open: one frame for each task that has begun and not ended, one for each task list that is being done.
//!
//! Frames form a tree by their parents: a *block* does a list of tasks for the task above it (the outermost for the workflow),
//! a *task* is in a block, or under the `call` that runs it as a function. Tasks that end where they begin (`set`, `switch`,
//! `raise`) never become frames.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use potok_dsl::{TaskPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    definition::{ListId, Next, NodeId},
    effect::{CallId, TimerId},
    listening::Listening,
    merge::Merge,
    slab::pairs,
};

/// Names a frame for ever: its place, and a number that no other frame in the run ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FrameId {
    pub(crate) index: u32,
    pub(crate) serial: u64,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "camelCase")]
pub(crate) enum Frame<V> {
    Block(Block<V>),
    Task(Task<V>),
}

impl<V> Frame<V> {
    pub(crate) fn as_task(&self) -> Option<&Task<V>> {
        match self {
            Self::Task(task) => Some(task),
            Self::Block(_) => None,
        }
    }

    pub(crate) fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Frame<U>, E> {
        Ok(match self {
            Self::Block(block) => Frame::Block(block.map(f)?),
            Self::Task(task) => Frame::Task(task.map(f)?),
        })
    }
}

/// A task list that is being done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block<V> {
    /// The task that it is done for; `None` for the workflow's own.
    pub(crate) parent: Option<FrameId>,
    pub(crate) list: ListId,
    /// The path that its tasks' segments are appended to.
    pub(crate) path: Arc<str>,
    /// Which task of the list is next or under way.
    pub(crate) position: u32,
    /// How often each task of the list was visited; kept only where a `then` can lead back.
    #[serde(with = "pairs", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) visits: BTreeMap<u32, u64>,
    /// The task that is under way.
    pub(crate) child: Option<FrameId>,
    pub(crate) role: Role<V>,
    /// `$context` of a parallel iteration or a branch.
    pub(crate) context: Option<V>,
}

impl<V> Block<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Block<U>, E> {
        Ok(Block {
            parent: self.parent,
            list: self.list,
            path: self.path,
            position: self.position,
            visits: self.visits,
            child: self.child,
            role: match self.role {
                Role::Plain => Role::Plain,
                Role::Iteration { index, item } => Role::Iteration { index, item: f(item)? },
                Role::Branch { index } => Role::Branch { index },
                Role::Extension => Role::Extension,
                Role::Handler { error } => Role::Handler { error: f(error)? },
            },
            context: option(self.context, f)?,
        })
    }
}

/// What a block is to the task above it, and so what variables it adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Role<V> {
    /// The list of a `do`, of a `try`, of the workflow.
    Plain,
    /// An iteration of a `for`, or what a `listen` does for an event.
    Iteration { index: u64, item: V },
    /// What an extension does before or after a task.
    Extension,
    /// A branch of a `fork`.
    Branch { index: u64 },
    /// What a `catch` does.
    Handler { error: V },
}

/// A task that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task<V> {
    pub(crate) parent: FrameId,
    pub(crate) node: NodeId,
    pub(crate) path: TaskPath,
    /// What people see, evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) raw_input: V,
    pub(crate) input: V,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<TimerId>,
    /// What `$authorization` is, where the task reads it and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization: Option<V>,
    /// The extensions that apply to this execution, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) extensions: Vec<u32>,
    pub(crate) body: Body<V>,
}

impl<V> Task<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Task<U>, E> {
        Ok(Task {
            parent: self.parent,
            node: self.node,
            path: self.path,
            label: self.label,
            started_at: self.started_at,
            raw_input: f(self.raw_input)?,
            input: f(self.input)?,
            timeout: self.timeout,
            authorization: option(self.authorization, f)?,
            extensions: self.extensions,
            body: self.body.map(f)?,
        })
    }
}

/// What a task is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "doing", rename_all = "camelCase")]
pub(crate) enum Body<V> {
    /// Nothing yet, or nothing that lasts.
    Instant,
    /// `do`, or a `call` of a task in `use.functions`.
    Child {
        child: Option<FrameId>,
    },
    /// `call`: waits for a call.
    Call {
        call: CallId,
    },
    /// Has a rate: waits to be told its moment.
    Asking {
        call: CallId,
    },
    /// Has a rate: waits for its moment.
    Queued {
        timer: TimerId,
        until: Timestamp,
    },
    /// `wait`: waits for a timer.
    Wait {
        timer: TimerId,
    },
    /// Its extensions do what comes before it or after it.
    Extended(Extending<V>),
    Fork(Forking<V>),
    Listen(Box<Listening<V>>),
    For(Looping<V>),
    Try(Trying),
}

impl<V> Body<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Body<U>, E> {
        Ok(match self {
            Self::Instant => Body::Instant,
            Self::Child { child } => Body::Child { child },
            Self::Call { call } => Body::Call { call },
            Self::Asking { call } => Body::Asking { call },
            Self::Queued { timer, until } => Body::Queued { timer, until },
            Self::Wait { timer } => Body::Wait { timer },
            Self::Extended(extending) => Body::Extended(extending.map(f)?),
            Self::Fork(forking) => Body::Fork(forking.map(f)?),
            Self::Listen(listening) => Body::Listen(Box::new(listening.map(f)?)),
            Self::For(looping) => Body::For(looping.map(f)?),
            Self::Try(trying) => Body::Try(trying),
        })
    }
}

/// The state of a task whose extensions are at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Extending<V> {
    /// How many of the extensions have had their turn.
    pub(crate) done: usize,
    pub(crate) child: Option<FrameId>,
    /// What the task gave and what it says comes next; `None` before it has begun.
    pub(crate) output: Option<(V, Option<Next>)>,
}

impl<V> Extending<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Extending<U>, E> {
        let output = self.output.map(|(output, next)| Ok((f(output)?, next)));
        Ok(Extending {
            done: self.done,
            child: self.child,
            output: output.transpose()?,
        })
    }
}

/// The state of a `fork`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Forking<V> {
    /// The branches under way.
    #[serde(with = "pairs")]
    pub(crate) running: BTreeMap<u64, FrameId>,
    /// The branches that had nothing to do: they do not win.
    pub(crate) skipped: BTreeSet<u64>,
    /// What the others gave.
    pub(crate) outputs: Vec<Option<V>>,
    /// What the branches have done to `$context`.
    pub(crate) merge: Merge<V>,
}

impl<V> Forking<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Forking<U>, E> {
        let outputs = self.outputs.into_iter().map(|output| option(output, f));
        Ok(Forking {
            running: self.running,
            skipped: self.skipped,
            outputs: outputs.collect::<Result<_, E>>()?,
            merge: self.merge.map(f)?,
        })
    }
}

/// The state of a `for`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Looping<V> {
    /// The array that it iterates.
    pub(crate) items: V,
    /// The iteration to begin next.
    pub(crate) next: u64,
    /// The iterations under way.
    #[serde(with = "pairs")]
    pub(crate) running: BTreeMap<u64, FrameId>,
    /// Whether the next iteration is in the queue.
    pub(crate) queued: bool,
    /// The output of the last iteration that has ended (of the one with the highest index, when they run at once) and its index;
    /// the loop's input before.
    pub(crate) last: V,
    pub(crate) last_index: u64,
    /// What `collect` has collected, by index.
    pub(crate) collected: Vec<Option<V>>,
    /// What parallel iterations have done to `$context`.
    pub(crate) merge: Merge<V>,
}

impl<V> Looping<V> {
    fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Looping<U>, E> {
        Ok(Looping {
            items: f(self.items)?,
            next: self.next,
            running: self.running,
            queued: self.queued,
            last: f(self.last)?,
            last_index: self.last_index,
            collected: self
                .collected
                .into_iter()
                .map(|value| option(value, f))
                .collect::<Result<_, E>>()?,
            merge: self.merge.map(f)?,
        })
    }
}

/// The state of a `try`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trying {
    /// Which attempt this is, from 1.
    pub(crate) attempt: u64,
    pub(crate) phase: Phase,
    pub(crate) child: Option<FrameId>,
    /// The timer of this attempt, or of the pause before the next.
    pub(crate) timer: Option<TimerId>,
}

pub(crate) fn option<V, U, E>(value: Option<V>, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Option<U>, E> {
    value.map(f).transpose()
}

/// Where a `try` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    /// It does what is tried.
    Trying,
    /// It waits before it tries again.
    Pausing,
    /// It does what `catch` says.
    Catching,
}
