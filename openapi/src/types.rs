//! What the API speaks of, as its schema shows it.

use poem_openapi::{Enum, Object};
use potok_dsl::{Diagnostic, Problem, Timestamp, WorkflowId};
use potok_journal::EventRow;
use potok_node::{Deployment, RunView, TaskEvent, WorkflowView};
use serde_json::Value;
use uuid::Uuid;

use crate::time::Time;

/// Problem details (RFC 9457).
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ProblemObject {
    /// A URI that names the kind of error.
    #[oai(rename = "type")]
    kind: String,
    /// The HTTP status.
    status: u16,
    /// A summary, the same for every error of the kind.
    title: Option<String>,
    /// What happened and what to do about it.
    detail: Option<String>,
    /// The reference of the task that raised it.
    instance: Option<String>,
    /// How long to wait before trying again.
    retry_after_ms: Option<u64>,
    /// Anything a program may want to know: diagnostics, a diff.
    data: Option<Value>,
}

impl From<Problem> for ProblemObject {
    fn from(problem: Problem) -> Self {
        let Problem {
            kind,
            status,
            title,
            detail,
            instance,
            retry_after_ms,
            data,
        } = problem;
        Self {
            kind,
            status,
            title,
            detail,
            instance,
            retry_after_ms,
            data,
        }
    }
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Running,
    Waiting,
    Suspended,
    Cancelled,
    Faulted,
    Completed,
}

macro_rules! same_names {
    ($($name:ident),*) => {
        impl From<potok_machine::Status> for Status {
            fn from(status: potok_machine::Status) -> Self {
                match status { $(potok_machine::Status::$name => Self::$name),* }
            }
        }
    };
}
impl Status {
    /// The status as the store writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Faulted => "faulted",
            Self::Completed => "completed",
        }
    }
}

same_names!(Pending, Running, Waiting, Suspended, Cancelled, Faulted, Completed);

/// Namespace, name and version of a workflow.
#[derive(Debug, Clone, Object)]
#[oai(rename = "WorkflowId")]
pub(crate) struct Workflow {
    pub namespace: String,
    pub name: String,
    pub version: String,
}

impl From<WorkflowId> for Workflow {
    fn from(id: WorkflowId) -> Self {
        Self {
            namespace: id.namespace,
            name: id.name,
            version: id.version,
        }
    }
}

/// The run that a run was made from.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
struct Origin {
    run: Uuid,
    /// The execution of a task in that run that this one begins with; absent when it begins with the workflow, or goes on as a whole.
    path: Option<String>,
}

/// A run.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Run {
    /// Its id, a UUID of version 7.
    pub id: Uuid,
    workflow: Workflow,
    /// The hash of the definition that it runs.
    definition: String,
    pub status: Status,
    /// Its input, as given.
    input: Value,
    /// Its output, once it has completed.
    output: Option<Value>,
    /// Its error, once it has faulted.
    error: Option<ProblemObject>,
    /// The run that started it, if one did.
    parent: Option<Uuid>,
    /// The run that it was made from, if it was.
    origin: Option<Origin>,
    /// What started it, if that was a trigger.
    trigger: Option<String>,
    /// The key under which it was started.
    idempotency_key: Option<String>,
    created_at: Time,
    updated_at: Time,
    ended_at: Option<Time>,
    /// When it goes on by itself, if it only waits.
    wake_at: Option<Time>,
}

impl From<RunView> for Run {
    fn from(view: RunView) -> Self {
        Self {
            id: view.id.0,
            workflow: view.workflow.into(),
            definition: view.definition,
            status: view.status.into(),
            input: view.input,
            output: view.output,
            error: view.error.map(Into::into),
            parent: view.parent.map(|parent| parent.0),
            origin: view.origin.map(|origin| Origin {
                run: origin.run.0,
                path: origin.path,
            }),
            trigger: view.trigger,
            idempotency_key: view.idempotency_key,
            created_at: Time(view.created_at),
            updated_at: Time(view.updated_at),
            ended_at: view.ended_at.map(Time),
            wake_at: view.wake_at.filter(|at| at.0 > 0).map(Time),
        }
    }
}

/// A run in a list: all of it but its input and its output, which can be large.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct RunSummary {
    /// Its id, a UUID of version 7.
    id: Uuid,
    workflow: Workflow,
    /// The hash of the definition that it runs.
    definition: String,
    status: Status,
    /// Its error, once it has faulted.
    error: Option<ProblemObject>,
    /// The run that started it, if one did.
    parent: Option<Uuid>,
    /// The run that it was made from, if it was.
    origin: Option<Origin>,
    /// What started it, if that was a trigger.
    trigger: Option<String>,
    /// The key under which it was started.
    idempotency_key: Option<String>,
    created_at: Time,
    updated_at: Time,
    ended_at: Option<Time>,
    /// When it goes on by itself, if it only waits.
    wake_at: Option<Time>,
}

impl From<RunView> for RunSummary {
    fn from(view: RunView) -> Self {
        let Run {
            id,
            workflow,
            definition,
            status,
            error,
            parent,
            origin,
            trigger,
            idempotency_key,
            created_at,
            updated_at,
            ended_at,
            wake_at,
            ..
        } = Run::from(view);
        Self {
            id,
            workflow,
            definition,
            status,
            error,
            parent,
            origin,
            trigger,
            idempotency_key,
            created_at,
            updated_at,
            ended_at,
            wake_at,
        }
    }
}

/// A page of runs, the newest first.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Runs {
    pub runs: Vec<RunSummary>,
    /// What to give as `cursor` for the next page; absent on the last one.
    pub next: Option<String>,
}

/// What a task did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum EventKind {
    Started,
    Skipped,
    Delayed,
    Called,
    Completed,
    Faulted,
    Retrying,
    Listening,
    Consumed,
    Correlated,
    Emitted,
    Suspended,
    Resumed,
    Cancelled,
}

impl EventKind {
    fn named(name: &str) -> Self {
        match name {
            "skipped" => Self::Skipped,
            "delayed" => Self::Delayed,
            "called" => Self::Called,
            "completed" => Self::Completed,
            "faulted" => Self::Faulted,
            "retrying" => Self::Retrying,
            "listening" => Self::Listening,
            "consumed" => Self::Consumed,
            "correlated" => Self::Correlated,
            "emitted" => Self::Emitted,
            "suspended" => Self::Suspended,
            "resumed" => Self::Resumed,
            "cancelled" => Self::Cancelled,
            _ => Self::Started,
        }
    }
}

/// Something that a task did.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Event {
    /// Its number in the run, from 0.
    pub number: u64,
    time: Time,
    event: EventKind,
    name: String,
    label: Option<String>,
    /// The task's reference, a JSON pointer.
    reference: String,
    /// The execution of the task: its reference with iterations and visits.
    path: String,
    /// What it began with; of a large value only its kind and length, under `$omitted`.
    input: Option<Value>,
    output: Option<Value>,
    error: Option<ProblemObject>,
    attempt: Option<u64>,
    until: Option<Time>,
    /// How many capability calls its plugin has made, when those were several.
    calls: Option<u32>,
    /// How long they took together, in milliseconds.
    took: Option<u64>,
}

impl From<TaskEvent> for Event {
    fn from(event: TaskEvent) -> Self {
        Self {
            number: event.number,
            time: Time(event.at),
            event: EventKind::named(&event.event),
            name: event.name,
            label: event.label,
            reference: event.reference,
            path: event.path,
            input: event.input,
            output: event.output,
            error: event.error.map(Into::into),
            attempt: event.attempt,
            until: event.until.map(Time),
            calls: event.calls,
            took: event.took.map(|took| took.0),
        }
    }
}

/// A capability call that a plugin has made, inside a call that is under way.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct InnerCall {
    /// The execution of the task that calls the plugin.
    path: String,
    /// Its number within the plugin's call, from 1. Calls of pure capabilities are counted and not listed.
    number: u64,
    /// What was called: interface and function.
    function: String,
    /// When it was made.
    time: Time,
    /// How long it took, in milliseconds.
    took: u64,
    /// The problem that came of it, if one did.
    error: Option<ProblemObject>,
}

impl From<potok_node::InnerCall> for InnerCall {
    fn from(call: potok_node::InnerCall) -> Self {
        Self {
            path: call.path,
            number: call.number,
            function: call.function,
            time: Time(call.at),
            took: call.took.0,
            error: call.error.map(Into::into),
        }
    }
}

/// A page of a run's history.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct History {
    pub events: Vec<Event>,
    /// What to give as `from` for the next page; absent on the last one.
    pub next: Option<u64>,
    /// On the last page: the newest capability calls inside the calls of plugins that are under way now, in order, up to `limit` of them.
    pub calls: Option<Vec<InnerCall>>,
}

/// A deployment.
#[derive(Debug, Object)]
pub(crate) struct Deployed {
    pub workflow: Workflow,
    /// The hash of the text and of what it is bound to.
    definition: String,
    /// Whether it is new; the same text again changes nothing.
    pub created: bool,
    /// What looks wrong with the text and does not stand in the way: tasks that are never reached, catches that never match, …
    warnings: Vec<Warning>,
}

/// Something that looks wrong with a definition.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Warning {
    /// The line of the text, from 1.
    line: u32,
    /// The character in the line, from 1.
    column: u32,
    /// What looks wrong.
    message: String,
    /// What to do about it.
    help: Option<String>,
}

impl From<Diagnostic> for Warning {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            line: diagnostic.at.line,
            column: diagnostic.at.column,
            message: diagnostic.message,
            help: diagnostic.help,
        }
    }
}

impl From<Deployment> for Deployed {
    fn from(deployment: Deployment) -> Self {
        Self {
            workflow: deployment.id.into(),
            definition: deployment.definition,
            created: deployment.created,
            warnings: deployment.warnings.into_iter().map(Into::into).collect(),
        }
    }
}

/// A deployed workflow.
#[derive(Debug, Object)]
#[oai(rename = "Workflow", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WorkflowObject {
    namespace: String,
    name: String,
    version: String,
    definition: String,
    /// Whether it is the version that starts when none is named, and whose triggers live.
    active: bool,
    /// Whether its text may change under the same version.
    draft: bool,
    title: Option<String>,
    summary: Option<String>,
    deployed_at: Time,
    /// The text, when one workflow was asked for.
    pub source: Option<String>,
}

impl From<WorkflowView> for WorkflowObject {
    fn from(view: WorkflowView) -> Self {
        let WorkflowId {
            namespace,
            name,
            version,
        } = view.id;
        Self {
            namespace,
            name,
            version,
            definition: view.definition,
            active: view.active,
            draft: view.draft,
            title: view.title,
            summary: view.summary,
            deployed_at: Time(view.deployed_at),
            source: None,
        }
    }
}

/// Deployed workflows.
#[derive(Debug, Object)]
pub(crate) struct Workflows {
    pub workflows: Vec<WorkflowObject>,
}

/// A function that workflows can call.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Function {
    name: String,
    version: String,
    /// The hash of the component that has it.
    component: String,
    docs: Option<String>,
    /// Whether nothing outside can tell that it was called.
    pure: bool,
    /// The JSON Schema of its arguments.
    input_schema: Value,
    /// The JSON Schema of its result.
    output_schema: Value,
}

impl From<&potok_wasm::FunctionInfo> for Function {
    fn from(info: &potok_wasm::FunctionInfo) -> Self {
        Self {
            name: info.name.clone(),
            version: info.version.clone(),
            component: info.component.clone(),
            docs: info.docs.clone(),
            pure: info.pure,
            input_schema: info.input_schema.clone(),
            output_schema: info.output_schema.clone(),
        }
    }
}

/// Functions that workflows can call.
#[derive(Debug, Object)]
pub(crate) struct Functions {
    pub functions: Vec<Function>,
}

/// A plugin.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Plugin {
    /// The hash of the component.
    hash: String,
    package: String,
    version: String,
    docs: Option<String>,
    /// Whether nothing outside can tell that its functions were called.
    pure: bool,
    /// The functions that it has.
    functions: Vec<String>,
    /// The capabilities that it imports.
    imports: Vec<String>,
}

impl From<&potok_wasm::PluginInfo> for Plugin {
    fn from(info: &potok_wasm::PluginInfo) -> Self {
        Self {
            hash: info.hash.clone(),
            package: info.package.clone(),
            version: info.version.clone(),
            docs: info.docs.clone(),
            pure: info.pure,
            functions: info.functions.iter().map(|f| f.canonical.clone()).collect(),
            imports: info.imports.iter().map(|i| i.interface.clone()).collect(),
        }
    }
}

/// Installed plugins.
#[derive(Debug, Object)]
pub(crate) struct Plugins {
    pub plugins: Vec<Plugin>,
}

/// A stored blob.
#[derive(Debug, Object)]
pub(crate) struct Blob {
    /// Its id, `blob:sha256:…`: the same bytes have the same id.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A secret that is kept in the store.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Secret {
    /// Its name: `$secrets.name` in workflows.
    pub name: String,
    /// How often it was set.
    pub version: u64,
    /// When it was last set.
    pub updated_at: Time,
}

/// Secrets by name.
#[derive(Debug, Clone, Object)]
pub(crate) struct Secrets {
    /// The secrets.
    pub secrets: Vec<Secret>,
}

/// Events that were taken, in the order in which they came.
#[derive(Debug, Object)]
pub(crate) struct TakenEvents {
    pub events: Vec<TakenEvent>,
}

/// What became of an event.
#[derive(Debug, Object)]
pub(crate) struct TakenEvent {
    /// Its number in the stream.
    pub sequence: u64,
    /// Whether one of the same source and id was there already.
    pub duplicate: bool,
}

/// A page of the stream.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct EventPage {
    pub events: Vec<StreamEvent>,
    /// What to give as `after` for the next page; absent on the last one.
    pub next: Option<u64>,
}

/// An event of the stream.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct StreamEvent {
    /// Its number in the stream.
    sequence: u64,
    /// When it was received.
    received_at: Time,
    /// The CloudEvent.
    event: Value,
}

impl From<EventRow> for StreamEvent {
    fn from(row: EventRow) -> Self {
        Self {
            sequence: row.sequence,
            received_at: Time(Timestamp(row.received_at)),
            event: row.event,
        }
    }
}

/// A webhook that is wanted.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct WantedWebhook {
    /// Where events are to be sent, `http` or `https`.
    pub url: String,
    /// Types to send: whole, or the beginning and `*`. When there are none, all but lifecycle events.
    pub types: Option<Vec<String>>,
    /// Sources to send; when there are none, all.
    pub sources: Option<Vec<String>>,
    /// What to sign with: `whsec_` and 24 to 64 bytes in base64. Left out, one is made.
    pub secret: Option<String>,
}

/// A server that is told of events.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Webhook {
    id: Uuid,
    url: String,
    types: Vec<String>,
    sources: Vec<String>,
    created_at: Time,
    /// Everything up to the event of this number is done with.
    cursor: u64,
    /// Since when the next event is refused.
    failing_since: Option<Time>,
    /// Why, the last time.
    last_error: Option<String>,
    /// What events are signed with; shown when the webhook is registered, and never again.
    pub secret: Option<String>,
}

impl From<potok_node::Webhook> for Webhook {
    fn from(hook: potok_node::Webhook) -> Self {
        Self {
            id: Uuid::try_parse(&hook.id).unwrap_or_default(),
            url: hook.url,
            types: hook.types,
            sources: hook.sources,
            created_at: Time(Timestamp(hook.created_at)),
            cursor: hook.cursor,
            failing_since: hook.failing_since.map(|at| Time(Timestamp(at))),
            last_error: hook.last_error,
            secret: None,
        }
    }
}

/// All webhooks.
#[derive(Debug, Object)]
pub(crate) struct Webhooks {
    pub webhooks: Vec<Webhook>,
}

/// Events that could not be delivered.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct DeadLetters {
    pub events: Vec<DeadLetter>,
    /// What to give as `after` for the next page; absent on the last one.
    pub next: Option<u64>,
}

/// An event that could not be delivered.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    /// Its number in the stream.
    sequence: u64,
    /// When it was given up.
    given_up_at: Time,
    /// Why.
    reason: String,
    /// The CloudEvent.
    event: Value,
}

impl From<potok_node::DeadLetter> for DeadLetter {
    fn from(letter: potok_node::DeadLetter) -> Self {
        Self {
            sequence: letter.sequence,
            given_up_at: Time(Timestamp(letter.at)),
            reason: letter.reason,
            event: letter.event,
        }
    }
}
