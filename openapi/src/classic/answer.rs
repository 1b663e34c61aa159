//! What goes wrong, in this API's words.

use poem::{IntoResponse, Response, http::header};
use potok_dsl::Problem;
use serde_json::json;

use crate::failure::{self, PROBLEM_JSON};

/// Any error as `{status: "error", message}`, under its HTTP status.
pub(super) async fn from_error(error: poem::Error) -> Response {
    let mut response = failure::from_error(error).await;
    if response.content_type() != Some(PROBLEM_JSON) {
        return response;
    }
    let bytes = response.take_body().into_bytes().await.unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_slice(&bytes).ok();
    let message = problem.map_or_else(|| "the request failed".to_owned(), |problem| message(&problem));
    let mut answer = Response::builder()
        .status(response.status())
        .content_type("application/json")
        .body(json!({ "status": "error", "message": message }).to_string());
    if let Some(after) = response.headers().get(header::RETRY_AFTER) {
        answer.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    answer.into_response()
}

/// A problem in words.
pub(super) fn message(problem: &Problem) -> String {
    match (&problem.title, &problem.detail) {
        (Some(title), Some(detail)) => format!("{title}: {detail}"),
        (Some(text), None) | (None, Some(text)) => text.clone(),
        (None, None) => problem.kind.clone(),
    }
}
