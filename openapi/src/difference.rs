//! What differed between two runs, as the schema shows it.

use poem_openapi::Object;
use potok_node::{RunDiff, TaskEnd};
use serde_json::Value;
use uuid::Uuid;

use crate::types::ProblemObject;

/// What differs between a run and another one.
#[derive(Debug, Object)]
#[oai(rename = "RunDiff")]
pub(crate) struct Diff {
    run: Uuid,
    /// The run that it was compared with.
    with: Uuid,
    /// What differs of the runs as wholes.
    differences: Vec<Difference>,
    /// The executions of tasks that went another way, or are there in one of the runs only. What the run has of the one that it was made from
    /// is no difference.
    tasks: Vec<TaskDifference>,
    /// Whether there are more than are told of.
    more: bool,
}

/// Something that two runs have in different ways; absent where a run has none.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Difference {
    /// `workflow`, `input`, `status`, `output` or `error`.
    what: String,
    this: Option<Value>,
    with: Option<Value>,
}

/// An execution of a task that went another way; absent where a run does not have it.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct TaskDifference {
    path: String,
    name: String,
    this: Option<Outcome>,
    with: Option<Outcome>,
}

/// What came of a task.
#[derive(Debug, Object)]
#[oai(rename = "TaskOutcome", skip_serializing_if_is_none)]
struct Outcome {
    /// The last thing that it did, as in a history.
    event: String,
    /// Its output; of a large one only its kind and length, under `$omitted`.
    output: Option<Value>,
    error: Option<ProblemObject>,
}

impl From<TaskEnd> for Outcome {
    fn from(end: TaskEnd) -> Self {
        Self {
            event: end.event,
            output: end.output,
            error: end.error.map(Into::into),
        }
    }
}

impl From<RunDiff> for Diff {
    fn from(diff: RunDiff) -> Self {
        let differences = diff.differences.into_iter().map(|found| Difference {
            what: found.what.to_owned(),
            this: found.this,
            with: found.that,
        });
        let tasks = diff.tasks.into_iter().map(|task| TaskDifference {
            path: task.path,
            name: task.name,
            this: task.this.map(Into::into),
            with: task.that.map(Into::into),
        });
        Self {
            run: diff.run.0,
            with: diff.with.0,
            differences: differences.collect(),
            tasks: tasks.collect(),
            more: diff.more,
        }
    }
}
