//! What goes out: what a run asks of the world, and what became of it in the end.

use std::{fmt, sync::Arc};

use indexmap::IndexMap;
use potok_dsl::{ErrorType, Millis, Problem, TaskPath, Timestamp, model};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    lock::LockedFunction,
    request::{RateRequest, ShellRequest, WorkflowRequest},
};

/// The number of a call within its run, from 1; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a timer within its run, from 1; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimerId(pub u64);

impl fmt::Display for TimerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a subscription within its run, from 1; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub u64);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that a run asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "camelCase")]
pub enum Effect {
    /// Make a call and report its completion.
    Call(CallEffect),
    /// Nobody waits for this call any more: stop it if that is possible. Its completion is ignored.
    CancelCall {
        /// Which one.
        call: CallId,
    },
    /// Report when this moment has come.
    StartTimer {
        /// Under which number.
        timer: TimerId,
        /// The moment.
        at: Timestamp,
    },
    /// Nobody waits for this timer any more.
    CancelTimer {
        /// Which one.
        timer: TimerId,
    },
    /// Offer the run events that fit. Sent again under the same number when what fits has changed: it takes the place of the former.
    Subscribe(Subscription),
    /// Nobody listens under this number any more.
    Unsubscribe {
        /// Which one.
        subscription: SubscriptionId,
    },
    /// Publish an event.
    Emit(EmitEffect),
    /// The run has ended; nothing follows.
    Finish(Outcome),
    /// There is more to do at once: call [`crate::Machine::proceed`] when others had their turn.
    Yield,
}

/// A call that a task asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallEffect {
    /// Its number.
    pub call: CallId,
    /// The execution of the task that makes it.
    pub path: TaskPath,
    /// The reference of the task that makes it.
    pub reference: String,
    /// A short hash of what is called with which arguments.
    pub digest: String,
    /// The same for every attempt of this execution of the task.
    pub idempotency_key: String,
    /// What is called.
    pub request: Request,
    /// Whether nothing outside can tell that it was made.
    pub pure: bool,
    /// Whether it leaves at most once: made again it could be made twice. Whoever cannot tell whether it has left does not make it, and reports
    /// [`CallEffect::unknown`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub once: bool,
    /// The run's time when it was made: the clock that a function sees begins there, however often the call is made. `None` for one that an
    /// earlier version has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How long its task lets it take; `None` when the task says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Millis>,
    /// The secrets that the run's workflow reads (as [`potok_expr::SecretPath`] writes them): one that was sent by an earlier call may come
    /// back with this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl CallEffect {
    /// What a call that leaves at most once gives when nobody knows whether it has left.
    #[must_use]
    pub fn unknown() -> Problem {
        Problem::new(
            ErrorType::Runtime,
            "Call may have been made",
            "the node stopped while the call was under way; it is not known whether it was made, and it is not repeated (delivery: atMostOnce)",
        )
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What is called. All expressions in it have been evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Request {
    /// A function of a plugin.
    Function {
        /// Which one.
        function: LockedFunction,
        /// Its arguments, an object.
        args: Arc<Value>,
    },
    /// An HTTP request.
    Http(HttpRequest),
    /// An operation of an API that an OpenAPI document describes.
    OpenApi(OpenApiRequest),
    /// A run of another workflow.
    Workflow(WorkflowRequest),
    /// A command for the shell.
    Shell(ShellRequest),
    /// A moment at which a task may begin.
    Rate(RateRequest),
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// The method as written.
    pub method: String,
    /// The URI.
    pub uri: String,
    /// The headers.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// The query's parameters, to be appended to those that the URI has.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, QueryValue>,
    /// The body; `None` when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What the task's output is.
    pub output: HttpOutput,
    /// Whether redirects (status 3xx) are a success.
    pub redirect: bool,
    /// How to authenticate: an object with one member, named for the scheme (`basic`, `bearer`, `digest`, `oauth2`, `oidc`),
    /// that holds the policy's members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Value>,
}

/// An operation of an API with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenApiRequest {
    /// The document's URI as written.
    pub document: String,
    /// The operation's id.
    pub operation_id: String,
    /// The operation, as it was locked.
    pub operation: Arc<Value>,
    /// Its parameters by their names.
    pub parameters: Map<String, Value>,
    /// What the task's output is.
    pub output: HttpOutput,
    /// Whether redirects (status 3xx) are a success.
    pub redirect: bool,
    /// As in [`HttpRequest::authentication`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Value>,
}

/// One value of a query's parameter, or several.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum QueryValue {
    /// One.
    One(String),
    /// Several: the parameter comes as often.
    Many(Vec<String>),
}

impl QueryValue {
    /// The values, in order.
    #[must_use]
    pub fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// What the output of an HTTP call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpOutput {
    /// The body's bytes in base64.
    Raw,
    /// The body, deserialised when it can be.
    Content,
    /// `{ request, statusCode, headers, content }`.
    Response,
}

impl From<model::HttpOutput> for HttpOutput {
    fn from(output: model::HttpOutput) -> Self {
        match output {
            model::HttpOutput::Raw => Self::Raw,
            model::HttpOutput::Content => Self::Content,
            model::HttpOutput::Response => Self::Response,
        }
    }
}

/// Which events a run is to be offered. All open subscriptions of a run together are offered events in the order of their receipt;
/// [`crate::Machine::accepts`] decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its number.
    pub subscription: SubscriptionId,
    /// The execution of the task that listens.
    pub path: TaskPath,
    /// An event fits when it fits one of them. Without any the subscription rests: nothing fits, and it goes on where it was as soon as
    /// it has patterns again.
    pub patterns: Vec<Pattern>,
}

/// What is known of events that may be consumed: enough to find them by an index, not enough to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pattern {
    /// The event's type; `None` when any may fit.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The event's source; `None` when any may fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The correlations whose value is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlations: Vec<Correlation>,
}

/// A value that an event must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Correlation {
    /// The text of the expression that gives it, applied to the whole event; it uses no variables. See [`crate::correlated`].
    pub from: String,
    /// What it must give.
    pub value: Value,
}

/// An event to be published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmitEffect {
    /// The execution of the task that emits it.
    pub path: TaskPath,
    /// A complete `CloudEvent` 1.0 as JSON. Its id is derived from run and path, so that it is the same when it is emitted again.
    pub event: Arc<Value>,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has been accepted but not begun: it waits for its turn.
    Pending,
    /// It computes, or waits for calls.
    Running,
    /// It waits for nothing but time.
    Waiting,
    /// Someone has halted it.
    Suspended,
    /// Someone has ended it.
    Cancelled,
    /// An error that nobody caught has ended it.
    Faulted,
    /// It has run to its end.
    Completed,
}

impl Status {
    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Faulted | Self::Completed)
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Completed, faulted or cancelled.
    pub status: Status,
    /// What a completed run gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Arc<Value>>,
    /// Why a faulted run faulted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}
