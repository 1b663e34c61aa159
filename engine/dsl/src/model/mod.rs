//! The typed form of a workflow: every construct of the schema, whether or not the engine executes it yet.
//!
//! What is text in the language and means an expression stays text here ([`Text`]) with its place, so that later stages can point at it.
//! Values that are data (`set`, `with`, a body) stay JSON ([`Json`]); expressions inside them are found by whoever evaluates them.
//! Order is kept wherever the file has an order.

mod event;
mod policy;
mod potok;
mod task;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use event::*;
pub use policy::*;
pub use potok::*;
pub use task::*;

/// A place in a file: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The line, from 1; 0 where there is no text behind the value.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// Which text it is in: 0 for the workflow's own, and a number for each document that was fetched for it.
    #[serde(skip)]
    pub text: u16,
}

impl Location {
    /// A place in the workflow's own text.
    #[must_use]
    pub fn new(line: u32, column: u32) -> Self {
        Self { line, column, text: 0 }
    }
}

/// Something with the place where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The thing.
    pub value: T,
    /// Where it begins.
    pub at: Location,
}

/// Text: a literal, a runtime expression or a URI template, as the place in the language says.
pub type Text = At<String>;

/// Data that may hold runtime expressions in its strings.
pub type Json = At<Value>;

/// A workflow definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Who the workflow is.
    pub document: Document,
    /// How its input is checked and shaped.
    pub input: Option<Input>,
    /// What its tasks refer to by name.
    pub uses: Use,
    /// What it does.
    pub tasks: TaskList,
    /// How long it may take.
    pub timeout: Option<TimeoutRef>,
    /// How its output is shaped and checked.
    pub output: Option<Output>,
    /// What starts it by itself.
    pub schedule: Option<Schedule>,
    /// How its expressions are evaluated.
    pub evaluate: Option<Evaluate>,
}

/// Who a workflow is.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The version of the language, `1.0.0` to `1.0.3`.
    pub dsl: Text,
    /// The namespace.
    pub namespace: Text,
    /// The name.
    pub name: Text,
    /// The semantic version.
    pub version: Text,
    /// A title for people.
    pub title: Option<Text>,
    /// A summary in Markdown.
    pub summary: Option<Text>,
    /// Labels.
    pub tags: Option<Json>,
    /// Everything else, `metadata.potok` included, as written.
    pub metadata: Option<Json>,
    /// `metadata.potok`, typed.
    pub potok: DocumentPotok,
}

/// What tasks refer to by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Use {
    /// Where it begins; `None` when the workflow has no `use`.
    pub at: Option<Location>,
    /// The sections that were written, empty ones too, in their order.
    pub sections: Vec<UseSection>,
    /// Authentication policies.
    pub authentications: IndexMap<String, At<Authentication>>,
    /// Errors.
    pub errors: IndexMap<String, At<ErrorDefinition>>,
    /// Extensions, in order.
    pub extensions: Vec<(String, At<Extension>)>,
    /// Functions: tasks to be called.
    pub functions: IndexMap<String, Task>,
    /// Retry policies.
    pub retries: IndexMap<String, At<RetryPolicy>>,
    /// Names of secrets.
    pub secrets: Vec<Text>,
    /// Timeouts.
    pub timeouts: IndexMap<String, At<Timeout>>,
    /// Catalogs.
    pub catalogs: IndexMap<String, At<Catalog>>,
}

/// A section of `use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UseSection {
    /// `authentications`.
    Authentications,
    /// `errors`.
    Errors,
    /// `extensions`.
    Extensions,
    /// `functions`.
    Functions,
    /// `retries`.
    Retries,
    /// `secrets`.
    Secrets,
    /// `timeouts`.
    Timeouts,
    /// `catalogs`.
    Catalogs,
}

/// An extension.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// The kind of task that it extends.
    pub extend: Extended,
    /// The condition under which it does.
    pub when: Option<Text>,
    /// What is done before.
    pub before: Option<TaskList>,
    /// What is done after.
    pub after: Option<TaskList>,
}

/// The kind of task that an extension extends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extended {
    /// Every kind.
    All,
    /// `call`.
    Call,
    /// `do` and `fork`.
    Composite,
    /// `emit`.
    Emit,
    /// `for`.
    For,
    /// `listen`.
    Listen,
    /// `raise`.
    Raise,
    /// `run`.
    Run,
    /// `set`.
    Set,
    /// `switch`.
    Switch,
    /// `try`.
    Try,
    /// `wait`.
    Wait,
}

impl Extended {
    pub(crate) const WORDS: [(&str, Self); 12] = [
        ("call", Self::Call),
        ("composite", Self::Composite),
        ("emit", Self::Emit),
        ("for", Self::For),
        ("listen", Self::Listen),
        ("raise", Self::Raise),
        ("run", Self::Run),
        ("set", Self::Set),
        ("switch", Self::Switch),
        ("try", Self::Try),
        ("wait", Self::Wait),
        ("all", Self::All),
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        let word = Self::WORDS.iter().find(|(_, extended)| *extended == self);
        word.map_or("all", |(word, _)| word)
    }

    /// Whether a task is of that kind.
    #[must_use]
    pub fn includes(self, kind: &TaskKind) -> bool {
        match kind {
            TaskKind::Call(_) => matches!(self, Self::All | Self::Call),
            TaskKind::Do(_) | TaskKind::Fork(_) => matches!(self, Self::All | Self::Composite),
            TaskKind::Emit(_) => matches!(self, Self::All | Self::Emit),
            TaskKind::For(_) => matches!(self, Self::All | Self::For),
            TaskKind::Listen(_) => matches!(self, Self::All | Self::Listen),
            TaskKind::Raise(_) => matches!(self, Self::All | Self::Raise),
            TaskKind::Run(_) => matches!(self, Self::All | Self::Run),
            TaskKind::Set(_) => matches!(self, Self::All | Self::Set),
            TaskKind::Switch(_) => matches!(self, Self::All | Self::Switch),
            TaskKind::Try(_) => matches!(self, Self::All | Self::Try),
            TaskKind::Wait(_) => matches!(self, Self::All | Self::Wait),
        }
    }
}

/// A catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// Its root.
    pub endpoint: Endpoint,
}

/// What starts a workflow by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Where it begins.
    pub at: Location,
    /// An interval.
    pub every: Option<At<Duration>>,
    /// A cron expression of five fields, or six with the seconds first.
    pub cron: Option<Text>,
    /// A delay after the run before has ended.
    pub after: Option<At<Duration>>,
    /// Events.
    pub on: Option<At<Consumption>>,
    /// How these events are read, `data` when absent.
    pub read: Option<At<EventRead>>,
}

/// How expressions are evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluate {
    /// The language, `jq` when absent.
    pub language: Option<Text>,
    /// The mode, `strict` when absent.
    pub mode: Option<At<EvaluateMode>>,
}

/// The mode of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum EvaluateMode {
    /// An expression is what stands in `${ }`.
    #[default]
    Strict,
    /// A string that is an expression is one.
    Loose,
}
