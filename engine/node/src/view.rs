//! What people are shown: runs, their histories, deployed workflows.

use potok_dsl::{Millis, Problem, RunId, Timestamp, WorkflowId};
use potok_expr::secret;
use potok_journal::InnerCallRow;
use potok_machine::{Status, Trace, TraceKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Values in a timeline are shown up to this many bytes; of a larger one the beginning is shown.
const SHOWN: usize = 16 * 1024;

/// A run as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The hash of the definition that it runs.
    pub definition: String,
    /// What it is doing.
    pub status: Status,
    /// Its input, as given.
    pub input: Value,
    /// Its output, once it has completed.
    pub output: Option<Value>,
    /// Its error, once it has faulted.
    pub error: Option<Problem>,
    /// The run that started it, if one did.
    pub parent: Option<RunId>,
    /// The run that it was made from, if it was.
    pub origin: Option<OriginView>,
    /// What started it, if that was a trigger.
    pub trigger: Option<String>,
    /// The key under which it was started.
    pub idempotency_key: Option<String>,
    /// Labels.
    pub labels: Value,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was written last, to a second.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it goes on by itself, if it only waits.
    pub wake_at: Option<Timestamp>,
}

/// The run that a run was made from, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginView {
    /// That run.
    pub run: RunId,
    /// The execution of a task in that run that this one begins with; `None` when it begins with the workflow, or goes on as a whole.
    pub path: Option<String>,
}

/// One line of a run's history: something that one of its tasks did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEvent {
    /// Its number in the run, from 0.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What: `started`, `skipped`, `delayed`, `called`, `completed`, `faulted`, `retrying`, `listening`, `consumed`, `correlated`,
    /// `emitted`, `suspended`, `resumed`, `cancelled`.
    pub event: String,
    /// The task's name.
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The task's reference.
    pub reference: String,
    /// The execution of the task.
    pub path: String,
    /// The input of a task that started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The output of a task that completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The error of a task that faulted or is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// The number of the attempt that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// When the attempt follows, or when a task with a rate begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How many capability calls its plugin has made, when those were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// How long they took together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Millis>,
}

impl TaskEvent {
    /// A trace as people see it.
    #[must_use]
    pub fn new(number: u64, trace: &Trace) -> Self {
        let mut event = Self {
            number,
            at: trace.at,
            event: String::new(),
            name: trace.name.clone(),
            label: trace
                .label
                .as_deref()
                .map(|label| secret::shown_text(label).into_owned()),
            reference: trace.reference.clone(),
            path: trace.path.to_string(),
            input: None,
            output: None,
            error: None,
            attempt: None,
            until: None,
            calls: None,
            took: None,
        };
        let kind = match &trace.kind {
            TraceKind::Started { input } => {
                event.input = Some(shown(input));
                "started"
            }
            TraceKind::Skipped => "skipped",
            TraceKind::Delayed { until } => {
                event.until = Some(*until);
                "delayed"
            }
            TraceKind::Called { calls, took } => {
                event.calls = Some(*calls);
                event.took = Some(*took);
                "called"
            }
            TraceKind::Completed { output } => {
                event.output = Some(shown(output));
                "completed"
            }
            TraceKind::Faulted { error } => {
                event.error = Some(told(error));
                "faulted"
            }
            TraceKind::Retrying { attempt, error, until } => {
                event.attempt = Some(*attempt);
                event.error = Some(told(error));
                event.until = Some(*until);
                "retrying"
            }
            TraceKind::Listening => "listening",
            TraceKind::Consumed { cloud_event, .. } => {
                event.output = Some(shown(cloud_event));
                "consumed"
            }
            TraceKind::Correlated { .. } => "correlated",
            TraceKind::Emitted { cloud_event } => {
                event.output = Some(shown(cloud_event));
                "emitted"
            }
            TraceKind::Suspended => "suspended",
            TraceKind::Resumed => "resumed",
            TraceKind::Cancelled => "cancelled",
        };
        kind.clone_into(&mut event.event);
        event
    }
}

/// A capability call that a plugin has made, inside a call that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InnerCall {
    /// The execution of the task that calls the plugin.
    pub path: String,
    /// Its number within the plugin's call, from 1.
    pub number: u64,
    /// What was called: `potok:ai/chat.complete`.
    pub function: String,
    /// When it was made.
    pub at: Timestamp,
    /// How long it took.
    pub took: Millis,
    /// The problem that came of it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

impl From<InnerCallRow> for InnerCall {
    fn from(row: InnerCallRow) -> Self {
        Self {
            path: row.path,
            number: row.number,
            function: row.function,
            at: Timestamp(row.began_at),
            took: Timestamp(row.ended_at).since(Timestamp(row.began_at)),
            error: row.error.and_then(|error| serde_json::from_value(error).ok()),
        }
    }
}

/// A value for a timeline: whole when it is small, with marks where there are placeholders of secrets; else its kind and its size.
fn shown(value: &Value) -> Value {
    let mut budget = SHOWN;
    if fits(value, &mut budget) {
        let mut value = value.clone();
        secret::shown(&mut value);
        return value;
    }
    let (kind, size) = match value {
        Value::String(text) => ("string", text.len()),
        Value::Array(items) => ("array", items.len()),
        Value::Object(members) => ("object", members.len()),
        _ => return value.clone(),
    };
    json!({ "$omitted": { "type": kind, "length": size } })
}

/// An error for a timeline: marks where there are placeholders of secrets.
fn told(error: &Problem) -> Problem {
    let mut error = error.clone();
    error.change(&secret::shown_text, &secret::shown);
    error
}

/// Whether a value's text is no longer than the budget; looks at no more of it than that.
fn fits(value: &Value, budget: &mut usize) -> bool {
    let own = match value {
        Value::String(text) => text.len() + 2,
        Value::Array(_) | Value::Object(_) => 2,
        _ => 8,
    };
    let Some(rest) = budget.checked_sub(own) else {
        return false;
    };
    *budget = rest;
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, budget)),
        Value::Object(members) => members.iter().all(|(key, member)| {
            *budget = budget.saturating_sub(key.len() + 3);
            fits(member, budget)
        }),
        _ => true,
    }
}

/// A deployed workflow as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView {
    /// Namespace, name and version.
    #[serde(flatten)]
    pub id: WorkflowId,
    /// The hash of text and lock.
    pub definition: String,
    /// Whether it is the version that starts when none is named, and whose triggers live.
    pub active: bool,
    /// Whether it is a draft: its text may change under the same version.
    pub draft: bool,
    /// A title for people.
    pub title: Option<String>,
    /// A summary in Markdown.
    pub summary: Option<String>,
    /// When it was deployed.
    pub deployed_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_values_are_not_shown_whole() {
        let small = json!({ "a": [1, 2, { "b": "c" }] });
        assert_eq!(shown(&small), small);
        let large = json!(vec!["x".repeat(1_000); 20]);
        assert_eq!(shown(&large), json!({ "$omitted": { "type": "array", "length": 20 } }));
    }
}
