//! What people look at: the life of each task, told while a machine runs or while a journal is folded again.
//!
//! Traces are derived, never stored by the machine; replaying a journal tells the same story.

use std::{collections::BTreeMap, sync::Arc};

use potok_dsl::{Millis, Problem, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Is told what happens to tasks.
pub trait Observer {
    /// One thing has happened.
    fn on(&mut self, trace: Trace);

    /// Whether traces are wanted at all; making them is skipped when they are not.
    fn wants(&self) -> bool {
        true
    }
}

/// Looks away.
impl Observer for () {
    fn on(&mut self, _: Trace) {}

    fn wants(&self) -> bool {
        false
    }
}

/// Keeps everything.
impl Observer for Vec<Trace> {
    fn on(&mut self, trace: Trace) {
        self.push(trace);
    }
}

/// One thing that happened to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// When: the time of the event that led to it.
    pub at: Timestamp,
    /// The task's reference.
    pub reference: String,
    /// Which execution of it.
    pub path: TaskPath,
    /// The task's name.
    pub name: String,
    /// What people see instead of the name (`metadata.potok.label`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: TraceKind,
}

/// What can happen to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TraceKind {
    /// It began.
    Started {
        /// Its transformed input; the raw one when that could not be made.
        input: Arc<Value>,
    },
    /// Its condition did not hold.
    Skipped,
    /// It waits until its rate lets it begin.
    Delayed {
        /// When that is.
        until: Timestamp,
    },
    /// Its call has ended, and has made several calls in turn.
    Called {
        /// How many.
        calls: u32,
        /// How long they took together.
        took: Millis,
    },
    /// It ran to its end.
    Completed {
        /// Its transformed output.
        output: Arc<Value>,
    },
    /// It ended with an error.
    Faulted {
        /// The error.
        error: Problem,
    },
    /// A `try` will be tried again.
    Retrying {
        /// The number of the attempt that will follow; the first retry is 2.
        attempt: u64,
        /// The error that led to it.
        error: Problem,
        /// When it will begin.
        until: Timestamp,
    },
    /// A `listen` waits for events: correlating has begun.
    Listening,
    /// A `listen` has consumed an event.
    Consumed {
        /// The event's number in the stream that it was read from.
        sequence: u64,
        /// The event.
        cloud_event: Arc<Value>,
    },
    /// A `listen` waits for no more events: correlating is complete.
    Correlated {
        /// The values of its correlations, by name.
        keys: BTreeMap<String, Arc<Value>>,
    },
    /// An `emit` has published an event.
    Emitted {
        /// The event.
        cloud_event: Arc<Value>,
    },
    /// Someone has halted the run while it was open.
    Suspended,
    /// The run goes on.
    Resumed,
    /// It was ended from outside.
    Cancelled,
}
