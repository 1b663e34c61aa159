//! Runs that are made from other runs: where one begins, and why it cannot.

use std::sync::Arc;

use potok_dsl::{RunId, TaskPath};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{error::Mismatch, snapshot::Snapshot};

/// The run that a run was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// That run.
    pub run: RunId,
    /// The execution of a task, in that run, that this one begins with; `None` when it is no single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<TaskPath>,
    /// That run as it was then; `None` when this one begins with the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Arc<Snapshot>>,
}

/// Where a run that is made from another one begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    /// With the task that faulted and whose error ended the run. What else was completed by then is.
    Fault,
    /// With a task, as it was when that one began for the last time.
    Task {
        /// Its path; or its reference, when it was executed once.
        at: String,
        /// What it gets instead of its raw input.
        input: Option<Value>,
    },
}

/// Why no run can be made from another one there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoOrigin {
    /// The journal is not whole.
    #[error("its journal does not begin with a start")]
    NoStart,
    /// The journal is not one of this definition under this version.
    #[error("its journal cannot be read again: {0}")]
    Mismatch(#[from] Mismatch),
    /// There is nothing to try again.
    #[error("no task of it has faulted: {0}; restart it from a task instead")]
    NoFault(&'static str),
    /// The run has not come to that task.
    #[error("it has not come to a task '{at}'{hint}; its history names the paths of its tasks")]
    NotReached {
        /// The path or reference.
        at: String,
        /// Where else that may be.
        hint: String,
    },
    /// A reference of which there is more than one execution.
    #[error("the task '{reference}' was executed more than once; name one of its paths, such as '{last}'")]
    Several {
        /// The reference.
        reference: String,
        /// The path of the last execution.
        last: TaskPath,
    },
    /// The new definition has no place for what is open.
    #[error("the other version cannot go on from there: {0}")]
    Unlike(String),
}
