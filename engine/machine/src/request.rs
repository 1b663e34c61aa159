//! What `run` asks for: a run of another workflow, a process of the operating system. What a task with a rate asks for: a moment.

use std::sync::Arc;

use indexmap::IndexMap;
use potok_dsl::{ErrorType, Millis, Problem, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How deeply runs may be nested: a run whose parents are this many starts no other.
pub const MOST_NESTED: u32 = 32;

/// Who started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// How many parents there are above the run that this one started, itself included.
    pub depth: u32,
    /// Whether it waits for the end.
    pub awaits: bool,
}

/// A run of another workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRequest {
    /// Its id: derived from the run that starts it and the call, so that it starts once, however often it is asked for.
    pub run: RunId,
    /// The workflow's namespace.
    pub namespace: String,
    /// The workflow's name.
    pub name: String,
    /// The version as written; `latest` is the active one.
    pub version: String,
    /// The hash of the definition; `None` when it is looked up when the run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Its input.
    pub input: Arc<Value>,
    /// Who starts it.
    pub parent: Parent,
}

/// A command for the shell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShellRequest {
    /// The command, as a shell reads it.
    pub command: String,
    /// What the command knows as `$1`, `$2`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
    /// Its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// What the task's output is.
    pub output: ProcessOutput,
    /// Whether the task waits for its end.
    pub awaits: bool,
}

/// What the output of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessOutput {
    /// What it wrote to its standard output.
    Stdout,
    /// What it wrote to its standard error.
    Stderr,
    /// Its exit code.
    Code,
    /// `{ code, stdout, stderr }`.
    All,
    /// Nothing.
    None,
}

/// A moment at which a task may begin. Of one group there are at most `limit` moments in any `span`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateRequest {
    /// What shares the moments: a hash of workflow, task and key.
    pub group: String,
    /// How many moments.
    pub limit: u32,
    /// In which span.
    pub span: Millis,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How far ahead the moment lies at least: whoever asks was too late for the one before by half of that.
    #[serde(default)]
    pub ahead: Millis,
}

impl RateRequest {
    /// The earliest moment that can be given when it is so late.
    #[must_use]
    pub fn earliest(&self, now: Timestamp) -> Timestamp {
        self.asked_at.max(now).after(self.ahead)
    }

    /// What the call gives.
    #[must_use]
    pub fn given(at: Timestamp) -> Value {
        json!({ "at": at })
    }

    /// The moment that a call has given.
    pub(crate) fn moment(given: &Value) -> Result<Timestamp, Problem> {
        let at = given.get("at").and_then(Value::as_i64).map(Timestamp);
        at.ok_or_else(|| Problem::new(ErrorType::Runtime, "No moment", "the store gave no moment for the task"))
    }
}
