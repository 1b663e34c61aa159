//! What went wrong, in words that help and without the key.

use std::error::Error;
use std::time::Duration;

use async_openai::error::OpenAIError;
use potok_dsl::{ErrorType, Problem};
use serde_json::{Value, json};

use crate::transport::Failure;

/// How much of what a server said is shown, in characters.
const MAX_SHOWN: usize = 500;

/// The key, to be taken out of whatever is shown: some servers repeat it.
pub(crate) struct Secret(Option<String>);

impl Secret {
    pub(crate) fn new(key: Option<String>) -> Self {
        Self(key)
    }

    /// A text without the key, short enough to be shown.
    pub(crate) fn hide(&self, text: &str) -> String {
        let text = match &self.0 {
            Some(key) => text.replace(key.as_str(), "[key]"),
            None => text.to_owned(),
        };
        let mut shown: String = text
            .chars()
            .take(MAX_SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if text.chars().nth(MAX_SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }

    /// A body without the key, cut short.
    pub(crate) fn hide_bytes(&self, body: &[u8]) -> String {
        self.hide(&String::from_utf8_lossy(body))
    }
}

/// No answer came in time.
pub(crate) fn late(timeout: Duration) -> Problem {
    let detail = format!("the model did not answer within {timeout:?}, or within the time that the call had left");
    Problem::new(ErrorType::Timeout, "the model took too long", detail)
}

/// An answer that is none.
pub(crate) fn garbage(detail: String, data: Value) -> Problem {
    Problem::new(ErrorType::Communication, "the model's answer cannot be used", detail)
        .with_status(502)
        .with_data(data)
}

/// The problem that a failed request is.
pub(crate) fn of(error: &OpenAIError, secret: &Secret) -> Problem {
    let failure = match error {
        OpenAIError::Boxed(boxed) => boxed.downcast_ref::<Failure>(),
        _ => None,
    };
    match failure {
        Some(Failure::Exchange(error)) => exchange(error, secret),
        Some(Failure::Status {
            status,
            retry_after,
            body,
        }) => refused(*status, *retry_after, body, secret),
        Some(Failure::Garbage { why, body }) => {
            let received = secret.hide_bytes(body);
            garbage(
                format!("it is not JSON ({why}): {received}"),
                json!({ "received": received }),
            )
        }
        Some(failure @ Failure::TooLarge) => garbage(failure.to_string(), Value::Null),
        None => {
            let detail = secret.hide(&chain(error));
            Problem::new(ErrorType::Runtime, "the model could not be asked", detail)
        }
    }
}

fn exchange(error: &reqwest::Error, secret: &Secret) -> Problem {
    let detail = secret.hide(&chain(error));
    if error.is_timeout() {
        return Problem::new(ErrorType::Timeout, "the model server took too long", detail);
    }
    if error.is_connect() {
        return Problem::new(ErrorType::Communication, "the model server cannot be reached", detail).with_status(503);
    }
    Problem::new(
        ErrorType::Communication,
        "the connection to the model server broke",
        detail,
    )
    .with_status(502)
}

fn refused(status: u16, retry_after: Option<u64>, body: &[u8], secret: &Secret) -> Problem {
    let (kind, title) = match status {
        401 => (ErrorType::Authentication, "the model server does not accept the key"),
        403 => (ErrorType::Authorization, "the model server does not allow that"),
        429 => (ErrorType::Communication, "the model server is being asked too much"),
        503 => (ErrorType::Communication, "the model server is busy"),
        300..=399 => (
            ErrorType::Configuration,
            "the model server is elsewhere: check the base URL",
        ),
        _ => (ErrorType::Communication, "the model server refused the request"),
    };
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = &parsed["error"];
    let message = said["message"]
        .as_str()
        .or(said.as_str())
        .or(parsed["message"].as_str());
    let detail = message.map_or_else(|| secret.hide_bytes(body), |message| secret.hide(message));
    let word = |member: &str| said[member].as_str().map(|word| secret.hide(word));
    let problem = Problem::new(
        kind,
        title,
        if detail.trim().is_empty() {
            format!("status {status}")
        } else {
            detail
        },
    )
    .with_status(status)
    .with_data(json!({ "code": word("code"), "type": word("type") }));
    match retry_after {
        Some(milliseconds) => problem.with_retry_after(milliseconds),
        None => problem,
    }
}

/// An error with its causes, which is where a broken connection says why.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
