//! What goes wrong, in this API's words.

use poem::{
    Response,
    http::{HeaderValue, header},
};
use potok_dsl::Problem;
use serde_json::json;

use crate::failure::PROBLEM_JSON;

/// An answer as it is, or, where it is a problem, as `{status: "error", message}` under the same HTTP status.
pub(crate) async fn in_its_words(mut response: Response) -> Response {
    if response.content_type() != Some(PROBLEM_JSON) {
        return response;
    }
    let bytes = response.take_body().into_bytes().await.unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_slice(&bytes).ok();
    let message = problem.map_or_else(|| "the request failed".to_owned(), |problem| message(&problem));
    response.set_body(json!({ "status": "error", "message": message }).to_string());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A problem in words.
pub(super) fn message(problem: &Problem) -> String {
    match (&problem.title, &problem.detail) {
        (Some(title), Some(detail)) => format!("{title}: {detail}"),
        (Some(text), None) | (None, Some(text)) => text.clone(),
        (None, None) => problem.kind.clone(),
    }
}
