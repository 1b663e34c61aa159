//! What the Bot API answers when it does not do what was asked.

use poem::http::StatusCode;

use crate::state::NotKept;
use crate::text::TextError;
use crate::world::{PrivateRefusal, Refusal};

/// `{ok: false, error_code, description, parameters}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) description: String,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(code: u16, description: String) -> Self {
        Self {
            code,
            description,
            retry_after: None,
        }
    }

    /// `Bad Request: …`
    pub(crate) fn bad_request(what: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad Request: {what}"))
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not Found".to_owned())
    }

    fn too_fast(seconds: u64) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {seconds}"),
            retry_after: Some(seconds),
        }
    }

    pub(crate) fn scripted(status: StatusCode, retry_after: Option<u64>) -> Self {
        match (status.as_u16(), retry_after) {
            (429, seconds) => Self::too_fast(seconds.unwrap_or(1)),
            (code, retry_after) => {
                let description = status.canonical_reason().unwrap_or("Error").to_owned();
                Self {
                    code,
                    description,
                    retry_after,
                }
            }
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooFast { seconds } => Self::too_fast(seconds),
            Refusal::NotMember(_) | Refusal::Kicked(_) => Self::new(403, format!("Forbidden: {refusal}")),
            other => Self::bad_request(other),
        }
    }
}

impl From<PrivateRefusal> for ApiError {
    fn from(refusal: PrivateRefusal) -> Self {
        match refusal {
            PrivateRefusal::Nobody => Self::bad_request(refusal),
            other => Self::new(403, format!("Forbidden: {other}")),
        }
    }
}

impl From<TextError> for ApiError {
    fn from(error: TextError) -> Self {
        Self::bad_request(error)
    }
}

impl From<NotKept> for ApiError {
    fn from(error: NotKept) -> Self {
        Self::new(500, format!("Internal Server Error: {error}"))
    }
}
