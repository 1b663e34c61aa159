//! A workflow as the machine runs it: a flat arena of tasks in which every expression, schema and policy is compiled.
//!
//! Made once when a workflow is deployed or loaded, immutable, shared by all its runs. Tasks and task lists are numbered in the
//! order in which the compiler meets them, which depends on the definition's text alone: snapshots refer to them by number.

mod call;
mod compile;
mod concurrency;
mod events;
mod kinds;
mod pieces;
mod rate;
mod run;
mod schema;
mod text;
mod uri;
mod variables;

use std::{borrow::Cow, sync::Arc};

use potok_dsl::{Diagnostic, Period, Problem, WorkflowId, model};
use potok_expr::{Evaluator, Expression, SecretPath, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use call::{
    Authentication, Binding, Call, Delivery, HttpTemplate, OpenApiTemplate, ShellTemplate, WorkflowTemplate,
};
pub(crate) use concurrency::Concurrency;
pub(crate) use events::{Emit, Foreach, Listen, Until};
pub(crate) use rate::Rate;
pub(crate) use schema::Schema;
pub(crate) use text::TextTemplate;
use text::escape;
pub(crate) use uri::{Uri, UriPart, UriTemplate, UriVariable};
pub(crate) use variables::Place;

use crate::lock::Lock;

/// The number of a task in its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct NodeId(pub(crate) u32);

/// The number of a task list in its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ListId(pub(crate) u32);

/// A compiled workflow.
#[derive(Debug)]
pub struct Definition {
    id: WorkflowId,
    fingerprint: String,
    nodes: Vec<Node>,
    lists: Vec<List>,
    extensions: Vec<Extension>,
    pub(crate) root: ListId,
    pub(crate) input: Intake,
    pub(crate) output: Shaping,
    pub(crate) timeout: Option<Span>,
    pub(crate) concurrency: Option<Concurrency>,
    secrets: Vec<SecretPath>,
    /// The definition as an object, for `$workflow.definition`.
    pub(crate) source: Arc<Value>,
}

impl Definition {
    /// Compiles a workflow for the machine: what [`potok_dsl::parse`] has found sound, [`potok_dsl::unsupported`] included.
    ///
    /// # Errors
    /// Everything that cannot be compiled, each with its place: a bad expression, a variable that does not exist where it is
    /// used, an invalid schema, a function that is missing in the lock, a `then` that leads nowhere, a name that `use` does
    /// not define, a construct that is not executed.
    pub fn compile(workflow: &model::Workflow, lock: &Lock, evaluator: &Evaluator) -> Result<Self, Vec<Diagnostic>> {
        compile::compile(workflow, lock, evaluator)
    }

    /// Which workflow it is.
    #[must_use]
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// Whether its runs begin only when they are admitted, for there may be too many of them; see [`crate::Machine::admission`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.concurrency.is_some()
    }

    /// The secrets that it reads, sorted. Whatever its runs do, they read no other.
    #[must_use]
    pub fn secrets(&self) -> &[SecretPath] {
        &self.secrets
    }

    /// A short hash of the definition: a snapshot's numbers mean something in this one alone.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn list(&self, id: ListId) -> &List {
        &self.lists[id.0 as usize]
    }

    pub(crate) fn extension(&self, number: u32) -> Option<&Extension> {
        self.extensions.get(number as usize)
    }

    /// Whether there are extensions at all.
    pub(crate) fn is_extended(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// Whether a value can be the workflow's input.
    ///
    /// # Errors
    /// What its schema has against it.
    pub fn check_input(&self, input: &Value) -> Result<(), Problem> {
        match &self.input.schema {
            Some(schema) => schema.check(input, "the workflow's input"),
            None => Ok(()),
        }
    }

    pub(crate) fn has_node(&self, id: NodeId) -> bool {
        (id.0 as usize) < self.nodes.len()
    }

    pub(crate) fn has_list(&self, id: ListId) -> bool {
        (id.0 as usize) < self.lists.len()
    }
}

/// Tasks in sequence.
#[derive(Debug)]
pub(crate) struct List {
    /// What it adds to the path of the task that it belongs to: `/do`, `/try`, `/catch/do`.
    pub(crate) segment: Cow<'static, str>,
    pub(crate) nodes: Vec<NodeId>,
    /// Whether a `then` can lead back, so that visits must be counted.
    pub(crate) revisits: bool,
}

/// An extension.
#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) when: Option<Expression>,
    pub(crate) before: Option<ListId>,
    pub(crate) after: Option<ListId>,
}

/// One task.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    /// What it adds to the path of its list: `/0/step`.
    pub(crate) segment: String,
    pub(crate) reference: Arc<str>,
    pub(crate) condition: Option<Expression>,
    pub(crate) input: Intake,
    pub(crate) output: Shaping,
    pub(crate) export: Shaping,
    pub(crate) timeout: Option<Span>,
    pub(crate) rate: Option<Rate>,
    pub(crate) then: Next,
    pub(crate) label: Option<TextTemplate>,
    pub(crate) kind: Kind,
    /// The extensions of its kind, by their numbers.
    pub(crate) extensions: Vec<u32>,
    /// Whether one of its expressions reads `$authorization`.
    pub(crate) authorized: bool,
    /// The task as written, for `$task.definition`.
    pub(crate) source: Arc<Value>,
}

/// How an input is checked, then shaped.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    pub(crate) schema: Option<Schema>,
    pub(crate) from: Option<Shape>,
}

/// How a value is shaped, then checked.
#[derive(Debug, Default)]
pub(crate) struct Shaping {
    pub(crate) shape: Option<Shape>,
    pub(crate) schema: Option<Schema>,
}

/// What makes one value of another.
#[derive(Debug)]
pub(crate) enum Shape {
    Expression(Expression),
    /// An expression that gives its own text when it fails.
    Loose(Expression, String),
    Template(Template),
}

/// A span of time.
#[derive(Debug)]
pub(crate) enum Span {
    Fixed(Period),
    Expression(Expression),
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Next {
    Continue,
    Exit,
    End,
    /// The task at that position of the same list.
    To(u32),
}

/// What a task does.
#[derive(Debug)]
pub(crate) enum Kind {
    Do(ListId),
    Fork(Box<Fork>),
    Emit(Box<Emit>),
    Listen(Box<Listen>),
    For(Box<Loop>),
    Set(Shape),
    Switch {
        cases: Vec<(Expression, Next)>,
        default: Option<Next>,
    },
    Try(Box<Try>),
    Raise(Box<Raise>),
    Wait(Span),
    Call(Box<Call>),
}

/// `fork`.
#[derive(Debug)]
pub(crate) struct Fork {
    /// A list of one task for each branch.
    pub(crate) branches: Vec<ListId>,
    pub(crate) compete: bool,
}

/// `for`.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) items: Shape,
    pub(crate) each: String,
    pub(crate) at: String,
    pub(crate) condition: Option<Expression>,
    pub(crate) list: ListId,
    /// How many iterations at once; `None` for one after the other, each with the output of the one before.
    pub(crate) parallel: Option<u32>,
    pub(crate) collect: bool,
}

/// `try`.
#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) list: ListId,
    pub(crate) filter: model::ErrorFilter,
    pub(crate) variable: String,
    pub(crate) when: Option<Expression>,
    pub(crate) except_when: Option<Expression>,
    pub(crate) retry: Option<Retry>,
    pub(crate) handler: Option<ListId>,
    pub(crate) then: Option<Next>,
}

/// A retry policy.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) when: Option<Expression>,
    pub(crate) except_when: Option<Expression>,
    pub(crate) delay: Option<Span>,
    pub(crate) backoff: model::Backoff,
    pub(crate) increment: Option<Span>,
    pub(crate) multiplier: f64,
    pub(crate) max_delay: Option<Span>,
    pub(crate) attempts: Option<u64>,
    pub(crate) attempt_duration: Option<Span>,
    pub(crate) duration: Option<Span>,
    pub(crate) jitter_from: Option<Span>,
    pub(crate) jitter_to: Option<Span>,
}

/// `raise`.
#[derive(Debug)]
pub(crate) struct Raise {
    pub(crate) kind: TextTemplate,
    pub(crate) status: Template,
    pub(crate) instance: Option<TextTemplate>,
    pub(crate) title: Option<TextTemplate>,
    pub(crate) detail: Option<TextTemplate>,
}
