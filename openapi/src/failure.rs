//! Errors as problem details (RFC 9457): ours, the framework's and a panic's alike.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::Type,
};
use potok_dsl::{ErrorType, Problem};
use potok_node::{NodeError, deploy::DeployError};

use crate::types::ProblemObject;

/// The content type of problem details.
const PROBLEM_JSON: &str = "application/problem+json";

/// The statuses that any operation may answer with, and what each means.
const STATUSES: [(u16, &str); 8] = [
    (400, "The request is malformed."),
    (404, "There is no such thing."),
    (409, "It stands against what is there."),
    (413, "The body is too large."),
    (415, "The body is not of a content type that is taken here."),
    (422, "What was given cannot be used; the problem says why."),
    (500, "A fault of the server."),
    (503, "The store is not to be had; try again."),
];

/// A request that could not be served.
#[derive(Debug)]
pub(crate) struct Failure(pub Problem);

impl Failure {
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self(Problem::new(ErrorType::Validation, "Bad request", detail))
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let message = error.to_string();
        let problem = |kind, title: &str, status| Problem::new(kind, title, message.clone()).with_status(status);
        Self(match error {
            NodeError::Invalid(problem) => problem,
            NodeError::NotFound { .. } => problem(ErrorType::Validation, "Not found", 404),
            NodeError::Conflict(_) => problem(ErrorType::Validation, "Conflict", 409),
            NodeError::TooLarge(_) => problem(ErrorType::Validation, "Too large", 413),
            _ => problem(ErrorType::Runtime, "Not available", 503),
        })
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        let mut problem = error.problem();
        if let DeployError::Invalid(_) = error {
            problem.status = 422;
        }
        Self(problem)
    }
}

impl IntoResponse for Failure {
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

impl From<Failure> for poem::Error {
    fn from(failure: Failure) -> Self {
        poem::Error::from_response(failure.into_response())
    }
}

impl ApiResponse for Failure {
    fn meta() -> MetaResponses {
        let response = |(status, description): (u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: PROBLEM_JSON, schema: Self::schema() }],
            headers: vec![],
        };
        MetaResponses { responses: STATUSES.into_iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemObject::register(registry);
    }
}

impl Failure {
    fn schema() -> MetaSchemaRef {
        ProblemObject::schema_ref()
    }
}

/// Whatever else went wrong on the way to or from a handler.
pub(crate) async fn from_error(error: poem::Error) -> Response {
    let status = error.status();
    let message = error.to_string();
    // An error that is a response of ours already says it all.
    let ready = error.is_from_response();
    if ready {
        return error.into_response();
    }
    let kind = if status.is_server_error() { ErrorType::Runtime } else { ErrorType::Validation };
    let title = status.canonical_reason().unwrap_or("Error");
    if status.is_server_error() {
        tracing::error!(%status, %message, "request failed");
    }
    Failure(Problem::new(kind, title, message).with_status(status.as_u16())).into_response()
}

/// The answer after a panic in a handler.
pub(crate) fn crashed() -> Response {
    let problem = Problem::new(ErrorType::Runtime, "Internal error", "the server failed at this request; see its log");
    Failure(problem).into_response()
}
