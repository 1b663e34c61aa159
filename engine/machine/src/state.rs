//! All that a run is between two events. A snapshot is exactly this.
//!
//! Types that hold values are generic in how: a live state holds them shared (`Arc<Value>`), a snapshot holds their numbers in
//! one table of values. `map` turns one into the other; a field that holds a value cannot be forgotten in it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use potok_dsl::{Problem, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    definition::NodeId,
    effect::{CallEffect, CallId, Outcome, Subscription, SubscriptionId, TimerId, is_false},
    frame::FrameId,
    request::Parent,
    slab::{Slab, pairs},
    snapshot::Snapshot,
};

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound(serialize = "V: Clone + Serialize", deserialize = "V: Deserialize<'de>")
)]
pub(crate) struct State<V> {
    pub(crate) semantics: u32,
    pub(crate) run: RunId,
    /// The hash of the definition, as the start named it.
    pub(crate) definition: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Parent>,
    pub(crate) started_at: Timestamp,
    /// The time of the last event that was consumed: the only time that anything in a run sees.
    pub(crate) now: Timestamp,
    /// How many tasks have been entered and iterations begun.
    pub(crate) tasks: u64,
    /// How many of them one slice may take.
    pub(crate) slice: u64,
    pub(crate) suspended: bool,
    /// Whether it waits to be admitted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) held: bool,
    /// The workflow's raw input.
    pub(crate) raw_input: V,
    /// `$context`, where no parallel iteration has a copy of its own.
    pub(crate) context: V,
    pub(crate) timeout: Option<TimerId>,
    pub(crate) calls_made: u64,
    pub(crate) timers_started: u64,
    /// The workflow's own block, until the run has ended.
    pub(crate) root: Option<FrameId>,
    pub(crate) frames: Slab<V>,
    pub(crate) queue: VecDeque<Work<V>>,
    #[serde(with = "pairs")]
    pub(crate) calls: BTreeMap<CallId, OpenCall>,
    #[serde(with = "pairs")]
    pub(crate) timers: BTreeMap<TimerId, OpenTimer>,
    #[serde(default)]
    pub(crate) subscriptions_made: u64,
    #[serde(with = "pairs", default)]
    pub(crate) subscriptions: BTreeMap<SubscriptionId, OpenSubscription>,
    pub(crate) outcome: Option<Outcome>,
    /// What it begins with, until it has begun: the state of the run that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<Arc<Snapshot>>,
}

/// The state of a run in memory.
pub(crate) type Live = State<Arc<Value>>;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "camelCase")]
pub(crate) enum Work<V> {
    /// Begin the workflow.
    Begin,
    /// Enter a task: of a block at its position, or the function that a call runs.
    Enter { parent: FrameId, node: NodeId, input: V },
    /// Begin the next iteration of a loop, or what is done for the next event.
    Iterate { task: FrameId },
    /// A call has ended while the run was suspended.
    Ended {
        call: CallId,
        frame: FrameId,
        outcome: Result<V, Problem>,
    },
    /// A timer has fired while the run was suspended.
    Fired { timer: TimerId, open: OpenTimer },
}

impl<V> Work<V> {
    /// Whether doing it counts as a task.
    pub(crate) fn counts(&self) -> bool {
        matches!(self, Self::Enter { .. } | Self::Iterate { .. })
    }

    pub(crate) fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Work<U>, E> {
        Ok(match self {
            Self::Begin => Work::Begin,
            Self::Enter { parent, node, input } => Work::Enter {
                parent,
                node,
                input: f(input)?,
            },
            Self::Iterate { task } => Work::Iterate { task },
            Self::Ended { call, frame, outcome } => {
                let outcome = match outcome {
                    Ok(value) => Ok(f(value)?),
                    Err(problem) => Err(problem),
                };
                Work::Ended { call, frame, outcome }
            }
            Self::Fired { timer, open } => Work::Fired { timer, open },
        })
    }
}

/// A call that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenCall {
    pub(crate) frame: FrameId,
    pub(crate) effect: CallEffect,
}

/// A subscription that is open, as it was asked for last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenSubscription {
    pub(crate) frame: FrameId,
    pub(crate) effect: Subscription,
}

/// A timer that has not fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenTimer {
    pub(crate) at: Timestamp,
    pub(crate) purpose: Purpose,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", content = "frame", rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// The workflow may take no longer.
    Workflow,
    /// A task may take no longer.
    Task(FrameId),
    /// One attempt of a `try` may take no longer.
    Attempt(FrameId),
    /// A `try` is to be tried again.
    Retry(FrameId),
    /// A `wait` is over.
    Wait(FrameId),
    /// A task that has a rate may begin.
    Turn(FrameId),
}

impl<V> State<V> {
    /// The same with values held in another way.
    pub(crate) fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<State<U>, E> {
        Ok(State {
            semantics: self.semantics,
            run: self.run,
            definition: self.definition,
            parent: self.parent,
            started_at: self.started_at,
            now: self.now,
            tasks: self.tasks,
            slice: self.slice,
            suspended: self.suspended,
            held: self.held,
            raw_input: f(self.raw_input)?,
            context: f(self.context)?,
            timeout: self.timeout,
            calls_made: self.calls_made,
            timers_started: self.timers_started,
            root: self.root,
            frames: self.frames.map(f)?,
            queue: self
                .queue
                .into_iter()
                .map(|work| work.map(f))
                .collect::<Result<_, _>>()?,
            calls: self.calls,
            timers: self.timers,
            subscriptions_made: self.subscriptions_made,
            subscriptions: self.subscriptions,
            outcome: self.outcome,
            seed: self.seed,
        })
    }
}
