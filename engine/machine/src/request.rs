//! What `run` asks for: a run of another workflow, a process of the operating system.

use std::sync::Arc;

use indexmap::IndexMap;
use potok_dsl::RunId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
