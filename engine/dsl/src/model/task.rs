//! Tasks: what all have in common, and what each kind does.

use std::fmt;

use serde_json::Value;

use super::{
    At, AuthenticationRef, Consumption, Duration, Emit, Endpoint, ErrorRef, EventRead, Export, ExternalResource,
    Foreach, Input, Json, Location, Output, RetryRef, TaskPotok, Text, TimeoutRef,
};

/// Named tasks in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskList(pub Vec<TaskItem>);

/// One named task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskItem {
    /// Its name.
    pub name: Text,
    /// What it is.
    pub task: Task,
}

/// A task: what all have in common, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Where it begins (its first key).
    pub at: Location,
    /// The condition under which it runs; an expression, with or without `${ }`.
    pub condition: Option<Text>,
    /// How its input is checked and shaped.
    pub input: Option<Input>,
    /// How its output is shaped and checked.
    pub output: Option<Output>,
    /// What it leaves in `$context`.
    pub export: Option<Export>,
    /// How long it may take.
    pub timeout: Option<TimeoutRef>,
    /// What comes next.
    pub then: Option<At<Flow>>,
    /// Everything else, `metadata.potok` included, as written.
    pub metadata: Option<Json>,
    /// `metadata.potok`, typed.
    pub potok: TaskPotok,
    /// What it does.
    pub kind: TaskKind,
    /// Where the key stands that says what it does.
    pub kind_at: Location,
    /// The task as written (the value under its name), for `$task.definition`.
    pub source: Value,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskKind {
    /// Calls a service or a function.
    Call(Call),
    /// Does tasks in sequence.
    Do(TaskList),
    /// Does branches at once.
    Fork(Fork),
    /// Emits an event.
    Emit(Emit),
    /// Does tasks for each item.
    For(For),
    /// Waits for events.
    Listen(Listen),
    /// Raises an error.
    Raise(At<ErrorRef>),
    /// Runs a process or a workflow.
    Run(Run),
    /// Sets data: an object, or an expression.
    Set(Json),
    /// Chooses what comes next.
    Switch(Vec<SwitchCase>),
    /// Does tasks and catches their errors.
    Try(Try),
    /// Waits for a time.
    Wait(At<Duration>),
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `call: http`.
    Http(Box<HttpCall>),
    /// `call: openapi`.
    OpenApi(Box<OpenApiCall>),
    /// `call: asyncapi`, its arguments as written.
    AsyncApi(Json),
    /// `call: grpc`, its arguments as written.
    Grpc(Json),
    /// `call: a2a`, its arguments as written.
    A2a(Json),
    /// `call: mcp`, its arguments as written.
    Mcp(Json),
    /// A function of `use.functions`, of a catalog, or behind a URI.
    Function {
        /// The function's name as written.
        name: Text,
        /// Its arguments; expressions in strings.
        with: Option<Json>,
    },
}

/// `with` of `call: http`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    /// The method.
    pub method: Text,
    /// Where to.
    pub endpoint: Endpoint,
    /// An object of strings, or an expression.
    pub headers: Option<Json>,
    /// The body.
    pub body: Option<Json>,
    /// An object of strings, or an expression.
    pub query: Option<Json>,
    /// What the task's output is.
    pub output: HttpOutput,
    /// Where that was written; `None` when it is the default.
    pub output_at: Option<Location>,
    /// Whether redirects (status 3xx) are a success.
    pub redirect: bool,
    /// Where that was written; `None` when it is the default.
    pub redirect_at: Option<Location>,
}

/// `with` of `call: openapi`.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenApiCall {
    /// The document that describes the operation.
    pub document: At<ExternalResource>,
    /// The operation's id.
    pub operation: Text,
    /// An object: the operation's parameters by their names.
    pub parameters: Option<Json>,
    /// How to authenticate with the API.
    pub authentication: Option<At<AuthenticationRef>>,
    /// What the task's output is.
    pub output: HttpOutput,
    /// Where that was written; `None` when it is the default.
    pub output_at: Option<Location>,
    /// Whether redirects (status 3xx) are a success.
    pub redirect: bool,
    /// Where that was written; `None` when it is the default.
    pub redirect_at: Option<Location>,
}

/// What the output of an HTTP call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum HttpOutput {
    /// The body's bytes in base64.
    Raw,
    /// The body, deserialised when it can be.
    #[default]
    Content,
    /// `{ request, statusCode, headers, content }`.
    Response,
}

/// `fork`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// The branches.
    pub branches: TaskList,
    /// Whether the first to finish wins.
    pub compete: bool,
    /// Where that was written; `None` when it is the default.
    pub compete_at: Option<Location>,
}

/// `for`.
#[derive(Debug, Clone, PartialEq)]
pub struct For {
    /// The variable of the item; `item` when absent.
    pub each: Option<Text>,
    /// An expression that gives an array, or the array itself.
    pub items: Json,
    /// The variable of the index; `index` when absent.
    pub at: Option<Text>,
    /// The condition under which iterating goes on.
    pub condition: Option<Text>,
    /// What each iteration does.
    pub tasks: TaskList,
}

/// `listen`.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// What to wait for.
    pub to: At<Consumption>,
    /// How events are read, `data` when absent.
    pub read: Option<At<EventRead>>,
    /// What to do for each event.
    pub foreach: Option<Foreach>,
}

impl Listen {
    /// The tasks that are done for each event.
    #[must_use]
    pub fn tasks(&self) -> Option<&TaskList> {
        self.foreach.as_ref().and_then(|foreach| foreach.tasks.as_ref())
    }
}

/// `run`.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What is run.
    pub process: RunProcess,
    /// Its members as written.
    pub properties: Json,
    /// Whether to wait for it.
    pub wait: bool,
    /// Where that was written (`await`); `None` when it is the default.
    pub wait_at: Option<Location>,
    /// `stdout`, `stderr`, `code`, `all` or `none`.
    pub output: Option<Text>,
}

impl Run {
    /// Which workflow it runs; `None` when it runs something else.
    #[must_use]
    pub fn workflow(&self) -> Option<WorkflowRef> {
        let member = |name: &str| self.properties.value.get(name).and_then(Value::as_str);
        (self.process == RunProcess::Workflow).then_some(())?;
        Some(WorkflowRef {
            namespace: member("namespace")?.to_owned(),
            name: member("name")?.to_owned(),
            version: member("version").unwrap_or(WORKFLOW_LATEST).to_owned(),
        })
    }
}

/// The version that means the active one.
pub const WORKFLOW_LATEST: &str = "latest";

/// A workflow as another one names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkflowRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version, or [`WORKFLOW_LATEST`].
    pub version: String,
}

impl fmt::Display for WorkflowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.version)
    }
}

/// What `run` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunProcess {
    /// A container.
    Container,
    /// A script.
    Script,
    /// A shell command.
    Shell,
    /// A workflow.
    Workflow,
}

/// A case of `switch`.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchCase {
    /// Its name.
    pub name: Text,
    /// The condition; the default case has none.
    pub when: Option<Text>,
    /// What comes next.
    pub then: At<Flow>,
}

/// `try`.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    /// What is tried.
    pub tasks: TaskList,
    /// What is caught.
    pub catch: Catch,
}

/// `catch`.
#[derive(Debug, Clone, PartialEq)]
pub struct Catch {
    /// Where it begins.
    pub at: Location,
    /// Which errors, by their members; all of them when it is absent or empty.
    pub errors: Option<ErrorFilter>,
    /// The variable of the error; `error` when absent.
    pub variable: Option<Text>,
    /// The condition under which it is caught.
    pub when: Option<Text>,
    /// The condition under which it is not.
    pub except_when: Option<Text>,
    /// How it is tried again.
    pub retry: Option<RetryRef>,
    /// What is done when it is not tried (again).
    pub tasks: Option<TaskList>,
    /// What comes next after an error was caught.
    pub then: Option<At<Flow>>,
}

/// `catch.errors.with`; every member given must match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorFilter {
    /// The type's URI.
    pub kind: Option<Text>,
    /// The status.
    pub status: Option<At<u16>>,
    /// The instance.
    pub instance: Option<Text>,
    /// The title.
    pub title: Option<Text>,
    /// The detail.
    pub detail: Option<Text>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flow {
    /// The next task.
    Continue,
    /// The scope ends.
    Exit,
    /// The workflow ends.
    End,
    /// The task of that name in the same scope.
    To(String),
}
