//! The typed form of a workflow: every construct of the schema, whether or not the engine executes it yet.
//!
//! What is text in the language and means an expression stays text here ([`Text`]) with its place, so that later stages can point at it.
//! Values that are data (`set`, `with`, a body) stay JSON ([`Json`]); expressions inside them are found by whoever evaluates them.
//! Order is kept wherever the file has an order.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Millis;

/// A place in a file: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The line, from 1; 0 where there is no text behind the value.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
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

/// `document.metadata.potok`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DocumentPotok {
    /// How the schedule behaves.
    pub schedule: Option<At<SchedulePotok>>,
    /// How many runs of a key at once.
    pub concurrency: Option<At<Concurrency>>,
}

/// `metadata.potok.schedule`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchedulePotok {
    /// An IANA time zone such as `Europe/Moscow`; UTC when absent.
    pub timezone: Option<Text>,
    /// What happens when a run is due while the one before it still runs.
    pub overlap: Option<Overlap>,
    /// What happens with times that passed while no node was up.
    pub catch_up: Option<CatchUp>,
}

/// What happens when a run is due while the one before it still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// It is left out.
    Skip,
    /// It starts when the other has ended.
    Queue,
    /// It starts beside it.
    Allow,
}

/// What happens with times that passed while no node was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last of them is made up for.
    Latest,
    /// All of them are made up for, up to 100.
    All,
}

/// `metadata.potok.concurrency`.
#[derive(Debug, Clone, PartialEq)]
pub struct Concurrency {
    /// An expression for the key; one key for all when absent.
    pub key: Option<Text>,
    /// How many at once.
    pub limit: u32,
    /// What happens with one too many.
    pub on_conflict: OnConflict,
}

/// What happens with one run too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// It waits.
    Queue,
    /// It is refused.
    Reject,
    /// It takes the place of the one that runs.
    Replace,
}

/// `metadata.potok` of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskPotok {
    /// On a `for`: iterations at once.
    pub parallel: Option<At<u32>>,
    /// On a `for`: the output is the array of the iterations' outputs.
    pub collect: Option<At<bool>>,
    /// How often, across all runs.
    pub rate: Option<At<Rate>>,
    /// On a call: instead of the derived key.
    pub idempotency_key: Option<Text>,
    /// On a call: what happens with it after a crash in its middle.
    pub delivery: Option<At<Delivery>>,
    /// What people see.
    pub label: Option<Text>,
}

/// `metadata.potok.rate`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// How many.
    pub limit: u32,
    /// In which span.
    pub per: RatePer,
    /// An expression for the key; one key for all when absent.
    pub key: Option<Text>,
}

/// The span of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RatePer {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// What happens with a call after a crash in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It is repeated, under the same idempotency key.
    AtLeastOnce,
    /// It faults.
    AtMostOnce,
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
    Emit(Json),
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
    /// `call: openapi`, its arguments as written.
    OpenApi(Json),
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

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// A URI, a URI template or an expression.
    pub uri: Text,
    /// Whether it was written as the URI alone, not as an object.
    pub shorthand: bool,
    /// How to authenticate there.
    pub authentication: Option<At<AuthenticationRef>>,
}

/// An authentication policy by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthenticationRef {
    /// The name of one in `use.authentications`.
    Use(Text),
    /// One in place.
    Inline(Authentication),
}

/// An authentication policy. Its members stay data: `{ username, password }`, `{ token }`, `{ use: secret }`, …
#[derive(Debug, Clone, PartialEq)]
pub struct Authentication {
    /// The scheme.
    pub scheme: AuthenticationScheme,
    /// Its members as written.
    pub properties: Json,
}

/// The scheme of an authentication policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthenticationScheme {
    /// HTTP basic.
    Basic,
    /// A bearer token.
    Bearer,
    /// HTTP digest.
    Digest,
    /// OAuth 2.
    OAuth2,
    /// OpenID Connect.
    Oidc,
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
    /// What to wait for, as written.
    pub to: Json,
    /// `data`, `envelope` or `raw`.
    pub read: Option<Text>,
    /// What to do for each event, as written but for its `do`.
    pub foreach: Option<Json>,
    /// The tasks of `foreach.do`.
    pub foreach_tasks: Option<TaskList>,
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

/// A retry policy by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum RetryRef {
    /// The name of one in `use.retries`.
    Use(Text),
    /// One in place.
    Inline(At<RetryPolicy>),
}

/// A retry policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetryPolicy {
    /// The condition under which to retry.
    pub when: Option<Text>,
    /// The condition under which not to.
    pub except_when: Option<Text>,
    /// The delay, or its first value.
    pub delay: Option<At<Duration>>,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The object under the backoff's name as written; `None` when no backoff was written.
    pub backoff_properties: Option<Json>,
    /// Where `limit` was written.
    pub limit_at: Option<Location>,
    /// Where `limit.attempt` was written.
    pub attempt_at: Option<Location>,
    /// The most retries.
    pub attempts: Option<u64>,
    /// The longest that one attempt may take.
    pub attempt_duration: Option<At<Duration>>,
    /// The longest that all attempts may take.
    pub duration: Option<At<Duration>>,
    /// The least random addition to the delay.
    pub jitter_from: Option<At<Duration>>,
    /// The greatest random addition to the delay.
    pub jitter_to: Option<At<Duration>>,
}

/// How a delay grows from retry to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Backoff {
    /// It does not.
    #[default]
    Constant,
    /// By itself each time.
    Linear,
    /// To the double each time.
    Exponential,
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

/// An error by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorRef {
    /// The name of one in `use.errors`.
    Use(Text),
    /// One in place.
    Inline(ErrorDefinition),
}

/// An error.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorDefinition {
    /// Its type: a URI or an expression.
    pub kind: Text,
    /// Its status (a number; the reference lets it be an expression too).
    pub status: Json,
    /// Its instance: a JSON pointer or an expression.
    pub instance: Option<Text>,
    /// Its title: text or an expression.
    pub title: Option<Text>,
    /// Its detail: text or an expression.
    pub detail: Option<Text>,
}

/// A span of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    /// A fixed one.
    Fixed {
        /// How long.
        span: Millis,
        /// How it was written: an ISO 8601 duration, or an object such as `{ "minutes": 5 }`.
        written: Value,
    },
    /// An expression that gives an ISO 8601 duration or a duration object.
    Expression(String),
}

/// A timeout by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeoutRef {
    /// The name of one in `use.timeouts`.
    Use(Text),
    /// One in place.
    Inline(At<Timeout>),
}

/// A timeout.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeout {
    /// After how long.
    pub after: At<Duration>,
}

/// `input`.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What it must look like.
    pub schema: Option<Schema>,
    /// What is made of it: an expression (string) or an object with expressions.
    pub from: Option<Json>,
}

/// `output`.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What it must look like.
    pub schema: Option<Schema>,
    /// What is made of it: an expression (string) or an object with expressions.
    pub shape: Option<Json>,
}

/// `export`.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// What the context must look like.
    pub schema: Option<Schema>,
    /// The new context: an expression (string) or an object with expressions.
    pub shape: Option<Json>,
}

/// A schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The format, `json` when absent.
    pub format: Option<Text>,
    /// Where it is.
    pub source: SchemaSource,
}

/// Where a schema is.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaSource {
    /// In place.
    Document(Json),
    /// Elsewhere.
    Resource(At<ExternalResource>),
}

/// Something kept elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalResource {
    /// Its name.
    pub name: Option<Text>,
    /// Where it is.
    pub endpoint: Endpoint,
}

/// An extension.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// The kind of task that it extends.
    pub extend: Text,
    /// The condition under which it does.
    pub when: Option<Text>,
    /// What is done before.
    pub before: Option<TaskList>,
    /// What is done after.
    pub after: Option<TaskList>,
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
    /// Events, as written.
    pub on: Option<Json>,
    /// `data`, `envelope` or `raw`.
    pub read: Option<Text>,
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
