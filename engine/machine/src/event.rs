//! What comes in: the events that a run consumes, in the form in which a journal keeps them.
//!
//! Everything here is serialised and self-describing: a journal written today is read by a machine of tomorrow.

use std::sync::Arc;

use potok_dsl::{Millis, Problem, RunId, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::{CallId, SubscriptionId, TimerId, is_false};
use crate::origin::Origin;
use crate::request::Parent;

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The version of machine and expressions that the run was started with; see [`crate::SEMANTICS`].
    pub semantics: u32,
    /// The run.
    pub run: RunId,
    /// The hash of the definition that it runs.
    pub definition: String,
    /// The workflow's raw input.
    pub input: Arc<Value>,
    /// When it began.
    pub at: Timestamp,
    /// The run that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Whether it begins only when it is admitted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held: bool,
    /// The run that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What can happen to a run after it has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A call has ended.
    CallCompleted {
        /// Which one.
        call: CallId,
        /// Where it was made.
        path: TaskPath,
        /// What was called, as [`crate::CallEffect::digest`] says.
        digest: String,
        /// What it gave.
        outcome: Result<Arc<Value>, Problem>,
        /// What it called in turn; `None` when that was nothing, or not counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<Made>,
    },
    /// A timer's moment has come.
    TimerFired {
        /// Which one.
        timer: TimerId,
    },
    /// An event that the run listens for, as [`crate::Machine::accepts`] has said a moment ago.
    EventConsumed {
        /// Under which subscription.
        subscription: SubscriptionId,
        /// The event's number in the stream that it was read from.
        sequence: u64,
        /// The event, a `CloudEvent` 1.0 as JSON.
        event: Arc<Value>,
    },
    /// A run that was held begins.
    Admitted,
    /// Nothing new starts until the run is resumed.
    Suspend {
        /// Why.
        reason: Option<String>,
    },
    /// The run goes on.
    Resume,
    /// The run ends as cancelled.
    Cancel {
        /// Why.
        reason: Option<String>,
    },
}

/// The calls that were made inside a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// How many.
    pub calls: u32,
    /// How long they took together.
    pub took: Millis,
}

/// An event with the moment of its entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When it entered.
    pub at: Timestamp,
    /// The machine's task count when it entered: a replay applies it there.
    pub tasks: u64,
    /// What happened.
    pub event: Event,
}

/// One entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "camelCase")]
pub enum Entry {
    /// The first one.
    Start(Start),
    /// Every later one.
    Event(Recorded),
}
