//! Errors as OpenAI writes them: `{"error": {message, type, param, code}}`.

use poem::http::StatusCode;
use poem::{IntoResponse, Response};
use serde_json::json;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AiError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
    /// In seconds.
    retry_after: Option<u64>,
}

impl AiError {
    pub(super) fn new(status: StatusCode, message: String, kind: &'static str, code: Option<&'static str>) -> Self {
        Self {
            status,
            message,
            kind,
            param: None,
            code,
            retry_after: None,
        }
    }

    /// 400 about a parameter, if it is about one.
    pub(super) fn invalid(message: String, param: Option<&str>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, message, "invalid_request_error", None);
        Self {
            param: param.map(str::to_owned),
            ..error
        }
    }

    pub(super) fn scripted(status: StatusCode, retry_after: Option<u64>) -> Self {
        let (message, kind, code) = match status.as_u16() {
            429 => ("Rate limit reached.", "requests", Some("rate_limit_exceeded")),
            401 => (
                "Incorrect API key provided.",
                "invalid_request_error",
                Some("invalid_api_key"),
            ),
            400..=499 => ("The request was refused.", "invalid_request_error", None),
            503 => (
                "The engine is currently overloaded, please try again later.",
                "server_error",
                None,
            ),
            _ => (
                "The server had an error while processing your request.",
                "server_error",
                None,
            ),
        };
        Self {
            retry_after,
            ..Self::new(status, message.to_owned(), kind, code)
        }
    }
}

impl IntoResponse for AiError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code }
        });
        let mut response = Response::builder().status(self.status).content_type("application/json");
        if let Some(seconds) = self.retry_after {
            response = response.header("Retry-After", seconds.to_string());
        }
        response.body(body.to_string())
    }
}
