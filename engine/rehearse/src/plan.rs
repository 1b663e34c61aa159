//! The format of a test: the typed form of `*.test.yaml`, held to its schema first, so that a mistake is said with its line.

use indexmap::IndexMap;
use jsonschema::{ValidationError, error::ValidationErrorKind};
use potok_dsl::{Diagnostic, Diagnostics, Millis, Placed, Timestamp, model};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The JSON Schema of a test.
pub const SCHEMA: &str = include_str!("../../../docs/test.schema.json");

/// When a case begins, unless it says so: 2026-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// A test of a workflow.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Plan {
    /// The workflow's file, beside the test; of the same name without `.test` when absent.
    #[serde(default)]
    pub workflow: Option<String>,
    /// What answers calls in every case, after the case's own.
    #[serde(default)]
    pub mocks: Vec<Mock>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One run in one world.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The run's input.
    #[serde(default = "nothing")]
    pub input: Value,
    /// Files that become blobs; their ids go into the input under these names.
    #[serde(default)]
    pub files: IndexMap<String, String>,
    /// When the run begins.
    #[serde(default)]
    pub now: Option<Moment>,
    /// What answers calls; the first that fits does.
    #[serde(default)]
    pub mocks: Vec<Mock>,
    /// Events that come from outside.
    #[serde(default)]
    pub events: Vec<Arrival>,
    /// When the run is cancelled.
    #[serde(default)]
    pub cancel: Option<Span>,
    /// What is expected.
    pub expect: Expected,
}

impl Case {
    /// When the run begins.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now.map_or(BEGINNING, |now| now.0)
    }
}

fn nothing() -> Value {
    Value::Object(Map::new())
}

/// What answers a call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mock {
    /// Calls of this function; `*` stands for any characters, in all of these.
    #[serde(default)]
    pub function: Option<String>,
    /// Requests of this method to this URL: `GET https://example.com/orders/*`.
    #[serde(default)]
    pub http: Option<String>,
    /// Runs of this workflow: `namespace/name` or `namespace/name:version`.
    #[serde(default)]
    pub workflow: Option<String>,
    /// Runs of this shell command.
    #[serde(default)]
    pub shell: Option<String>,
    /// Calls of this task, by its name or its reference.
    #[serde(default)]
    pub task: Option<String>,
    /// Only calls with these arguments: what is given here must be in them.
    #[serde(default)]
    pub with: Option<Value>,
    /// What the task gets.
    #[serde(default, deserialize_with = "given")]
    pub answer: Option<Value>,
    /// The error that it gets.
    #[serde(default)]
    pub error: Option<Fault>,
    /// How long it takes; of answers in a list, those that do not say so.
    #[serde(default)]
    pub after: Option<Span>,
    /// One after the other, the last one again and again.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// How often it answers; after that, those after it are asked.
    #[serde(default)]
    pub times: Option<u64>,
}

impl Mock {
    /// Its answers in order.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        if self.answers.is_empty() {
            return vec![Answer {
                answer: self.answer.clone(),
                error: self.error.clone(),
                after: self.after,
            }];
        }
        let timed = |answer: &Answer| Answer {
            after: answer.after.or(self.after),
            ..answer.clone()
        };
        self.answers.iter().map(timed).collect()
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Answer {
    /// What the task gets.
    #[serde(default, deserialize_with = "given")]
    pub answer: Option<Value>,
    /// The error that it gets.
    #[serde(default)]
    pub error: Option<Fault>,
    /// How long it takes.
    #[serde(default)]
    pub after: Option<Span>,
}

/// Null is an answer too.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// An error.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Its type: a URI, or the last word of a standard one, such as `timeout`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// Its status; that of its type when absent.
    #[serde(default)]
    pub status: Option<u16>,
    /// Its title.
    #[serde(default)]
    pub title: Option<String>,
    /// Its detail.
    #[serde(default)]
    pub detail: Option<String>,
    /// How long it asks to wait before another attempt.
    #[serde(default)]
    pub retry_after: Option<Span>,
    /// Its data.
    #[serde(default)]
    pub data: Option<Value>,
}

/// An event that comes from outside.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Arrival {
    /// So long after the run's start.
    #[serde(default)]
    pub at: Option<Span>,
    /// As soon as this task listens, by its name or its reference.
    #[serde(default)]
    pub when: Option<String>,
    /// The event's attributes; `id`, `source` and `time` are filled in.
    pub event: Map<String, Value>,
}

/// What is expected of a run. What is not said is not looked at.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expected {
    /// How it ends; `completed` when absent, `faulted` when an error is expected.
    #[serde(default)]
    pub status: Option<String>,
    /// Its output, exactly.
    #[serde(default, deserialize_with = "given")]
    pub output: Option<Value>,
    /// What its output contains.
    #[serde(default)]
    pub output_has: Option<Value>,
    /// What its error contains.
    #[serde(default)]
    pub error: Option<Fault>,
    /// Expressions on `{ status, output, error, events, calls, tasks, took }` that hold.
    #[serde(default)]
    pub that: Vec<String>,
    /// The events that it emits, in order; each contains this.
    #[serde(default)]
    pub emitted: Option<Vec<Value>>,
    /// How often tasks run, by name or reference.
    #[serde(default)]
    pub tasks: IndexMap<String, u64>,
    /// Tasks in the order in which they begin, others in between left out.
    #[serde(default)]
    pub order: Vec<String>,
    /// What is called, in order; each contains this. Others in between are left out.
    #[serde(default)]
    pub calls: Vec<Value>,
    /// How much time passes.
    #[serde(default)]
    pub took: Option<Span>,
}

/// A span of time: an ISO 8601 duration or `{ minutes: 5 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Millis);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let period = model::Duration::from_value(&value).map_err(serde::de::Error::custom)?;
        if period.months > 0 {
            let why = format!("{value} has years or months, which have no fixed length; write days, such as P30D");
            return Err(serde::de::Error::custom(why));
        }
        Ok(Self(period.rest))
    }
}

/// A moment (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = Timestamp::parse(&text);
        moment
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not a moment such as 2026-01-31T08:00:00Z")))
    }
}

impl Plan {
    /// Reads a test.
    ///
    /// # Errors
    /// What is wrong with the text, each with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let placed = Placed::parse(file, text)?;
        let value = placed.value();
        let wrong = misfits(&placed, &value);
        if !wrong.is_empty() {
            return Err(Diagnostics::new(file, text, wrong));
        }
        serde_json::from_value(value)
            .map_err(|error| Diagnostics::new(file, text, vec![Diagnostic::new(placed.at(""), error.to_string())]))
    }
}

/// Where a value does not fit the schema of tests.
fn misfits(placed: &Placed, value: &Value) -> Vec<Diagnostic> {
    // Schema and validator are part of the program; a test makes them.
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let validator = match jsonschema::validator_for(&schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Diagnostic::new(placed.at(""), error.to_string())],
    };
    validator
        .iter_errors(value)
        .flat_map(|error| explain(placed, &error))
        .collect()
}

/// What a misfit means, in the words of tests: the schema has few rules of each kind.
fn explain(placed: &Placed, error: &ValidationError<'_>) -> Vec<Diagnostic> {
    let pointer = error.instance_path().as_str();
    let (key, at) = (pointer.rsplit('/').next().unwrap_or_default(), placed.at(pointer));
    let diagnostic = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let unknown = unexpected.iter().map(|name| {
                let at = placed.key_at(&format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")));
                let message = format!("unknown property '{name}'");
                Diagnostic::new(at, message).with_help("docs/reference/testing.md lists what a test knows")
            });
            return unknown.collect();
        }
        ValidationErrorKind::Required { property } => Diagnostic::new(
            at,
            format!("missing property '{}'", property.as_str().unwrap_or_default()),
        ),
        ValidationErrorKind::AnyOf { .. } => Diagnostic::new(at, "this mock does not say which calls it answers")
            .with_help("name a 'function', 'http', 'workflow', 'shell' or 'task'"),
        ValidationErrorKind::Not { .. } => {
            Diagnostic::new(at, "there is an 'answer' and also an 'error'").with_help("a call gets one of the two")
        }
        ValidationErrorKind::OneOfNotValid { .. } => Diagnostic::new(at, format!("'{key}' must be a span of time"))
            .with_help("write text such as PT1H30M or an object such as { hours: 1 }"),
        ValidationErrorKind::Pattern { .. } => {
            Diagnostic::new(at, format!("'{key}' must be a moment")).with_help("write one such as 2026-01-31T08:00:00Z")
        }
        ValidationErrorKind::MinItems { .. } => Diagnostic::new(at, format!("'{key}' is an empty list")),
        _ => Diagnostic::new(at, error.to_string()),
    };
    vec![diagnostic]
}
