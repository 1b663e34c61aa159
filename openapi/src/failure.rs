//! Errors as problem details (RFC 9457): ours, the framework's and a panic's alike.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse,
    error::{ParseParamError, ParsePathError},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::Type,
};
use potok_dsl::{Diagnostic, ErrorType, Problem};
use potok_journal::StoreError;
use potok_node::{NodeError, deploy::DeployError};
use serde_json::{Value, json};

use crate::types::ProblemObject;

/// The content type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The request has something that can be malformed.
pub(crate) const MALFORMED: u16 = 1;
/// It changes something, so other sites may not ask for it.
pub(crate) const CHANGES: u16 = 2;
/// It names something that may not be there.
pub(crate) const MISSING: u16 = 4;
/// It can stand against what is there.
pub(crate) const CONFLICT: u16 = 8;
/// It has a body.
pub(crate) const BODY: u16 = 16;
/// It has a body that is held to its content type.
pub(crate) const TYPED: u16 = 32;
/// What is given can be sound and still not be usable.
pub(crate) const UNUSABLE: u16 = 64;
/// Too much may wait already.
pub(crate) const CROWDED: u16 = 128;
/// Every operation can meet these.
const ALWAYS: u16 = u16::MAX;

/// When an operation may answer with a status, and what that means.
const STATUSES: [(u16, u16, &str); 11] = [
    (MALFORMED, 400, "The request is malformed."),
    (CHANGES, 403, "A page of another site may not ask for this."),
    (MISSING, 404, "There is no such thing."),
    (BODY, 408, "The body did not come in time."),
    (CONFLICT, 409, "It stands against what is there."),
    (BODY, 413, "The body is too large."),
    (TYPED, 415, "The body is not of a content type that is taken here."),
    (UNUSABLE, 422, "What was given cannot be used; the problem says why."),
    (CROWDED, 429, "Too much of it waits already; try again later."),
    (ALWAYS, 500, "A fault of the server."),
    (ALWAYS, 503, "The server cannot do it now; try again."),
];

/// A request that could not be served. `KINDS` says which statuses its operation declares.
#[derive(Debug)]
pub(crate) struct Failure<const KINDS: u16 = 0>(pub Problem);

/// A problem of the request: its status and what it is called.
pub(crate) fn refusal(status: u16, title: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ErrorType::Validation, title, detail).with_status(status)
}

impl<const KINDS: u16> Failure<KINDS> {
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self(refusal(400, "Bad request", detail))
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self(refusal(404, "Not found", detail))
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self(Problem::new(ErrorType::Runtime, "Internal error", detail))
    }

    fn schema() -> MetaSchemaRef {
        ProblemObject::schema_ref()
    }
}

impl<const KINDS: u16> From<Problem> for Failure<KINDS> {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl<const KINDS: u16> From<NodeError> for Failure<KINDS> {
    fn from(error: NodeError) -> Self {
        let message = error.to_string();
        Self(match error {
            NodeError::Invalid(problem) => problem,
            NodeError::NotFound { .. } => refusal(404, "Not found", message),
            NodeError::Conflict(_) => refusal(409, "Conflict", message),
            NodeError::TooLarge(_) => refusal(413, "Too large", message),
            NodeError::Store(error) => store_problem(&error),
            _ => unavailable(message),
        })
    }
}

impl<const KINDS: u16> From<DeployError> for Failure<KINDS> {
    fn from(error: DeployError) -> Self {
        Self(match error {
            DeployError::Invalid(diagnostics) => refusal(422, "Invalid definition", diagnostics.to_string())
                .with_data(diagnostics.list.iter().map(diagnosis).collect()),
            DeployError::Store(error) => store_problem(&error),
            other => other.problem(),
        })
    }
}

fn diagnosis(diagnostic: &Diagnostic) -> Value {
    let Diagnostic {
        at,
        severity,
        message,
        help,
    } = diagnostic;
    let mut told = json!({ "line": at.line, "column": at.column, "severity": severity, "message": message });
    if let Some(help) = help {
        told["help"] = json!(help);
    }
    told
}

fn store_problem(error: &StoreError) -> Problem {
    let message = error.to_string();
    match error {
        StoreError::Missing(_) => refusal(404, "Not found", message),
        StoreError::InUse { .. }
        | StoreError::PluginConflict { .. }
        | StoreError::DefinitionConflict { .. }
        | StoreError::Duplicate(_)
        | StoreError::Conflict { .. } => refusal(409, "Conflict", message),
        StoreError::TooLarge { .. } => refusal(413, "Too large", message),
        StoreError::Unavailable(_) | StoreError::Locked { .. } => unavailable(message),
        _ => Problem::new(ErrorType::Runtime, "Internal error", message),
    }
}

/// The server cannot do it now.
pub(crate) fn unavailable(detail: impl Into<String>) -> Problem {
    Problem::new(ErrorType::Runtime, "Not available", detail)
        .with_status(503)
        .with_retry_after(1_000)
}

impl<const KINDS: u16> IntoResponse for Failure<KINDS> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::builder().status(status).content_type(PROBLEM_JSON);
        if let Some(after) = self.0.retry_after_ms {
            response = response.header("retry-after", after.div_ceil(1000));
        }
        response.body(body)
    }
}

impl<const KINDS: u16> From<Failure<KINDS>> for poem::Error {
    fn from(failure: Failure<KINDS>) -> Self {
        poem::Error::from_response(failure.into_response())
    }
}

impl<const KINDS: u16> ApiResponse for Failure<KINDS> {
    fn meta() -> MetaResponses {
        let response = |(_, status, description): (u16, u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: PROBLEM_JSON,
                schema: Self::schema(),
            }],
            headers: vec![],
        };
        let declared = STATUSES
            .into_iter()
            .filter(|(when, ..)| *when == ALWAYS || when & KINDS != 0);
        MetaResponses {
            responses: declared.map(response).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ProblemObject::register(registry);
    }
}

/// Whatever else went wrong on the way to or from a handler.
pub(crate) async fn from_error(error: poem::Error) -> Response {
    // An error that is a response of ours already says it all.
    if error.is_from_response() {
        return error.into_response();
    }
    let status = error.status();
    let title = status.canonical_reason().unwrap_or("Error");
    let kind = if status.is_server_error() {
        ErrorType::Runtime
    } else {
        ErrorType::Validation
    };
    if status.is_server_error() {
        tracing::error!(%status, %error, "request failed");
    }
    let detail = match status {
        StatusCode::NOT_FOUND => "there is nothing at this path; /openapi.json and /docs say what there is".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => {
            "this path does not take this method; the header Allow names those that it takes".to_owned()
        }
        _ => say(&error),
    };
    Failure::<0>(Problem::new(kind, title, detail).with_status(status.as_u16())).into_response()
}

/// An error of the framework in our words.
fn say(error: &poem::Error) -> String {
    if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
        return format!("the parameter '{name}': {}", plain(reason));
    }
    if let Some(ParsePathError { reason, .. }) = error.downcast_ref() {
        return format!("in the path: {}", plain(reason));
    }
    error.to_string()
}

/// A reason without the framework's names of types.
pub(crate) fn plain(reason: &str) -> &str {
    let reason = reason.split(" (occurred while parsing \"").next().unwrap_or_default();
    let named = reason
        .strip_prefix("failed to parse \"")
        .and_then(|rest| rest.split_once("\": "));
    named.map_or(reason, |(_, plain)| plain)
}

/// The answer after a panic in a handler.
pub(crate) fn crashed() -> Response {
    Failure::<0>::internal("the server failed at this request; see its log").into_response()
}
