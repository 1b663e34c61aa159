//! From the server's response to the task's output.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use potok_dsl::{ErrorType, Problem, model::HttpOutput};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde_json::{Value, json};

use crate::content::Kind;
use crate::mask::Mask;
use crate::request::{headers, place};
use crate::{BODY_LIMIT, HttpRequest, broken};

/// How much of an error's body is kept, in bytes.
const SHOWN: usize = 4 * 1024;

/// The longest wait that a server's `Retry-After` is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Reads a response into the output that the task asked for.
pub(crate) async fn output(
    response: Response,
    request: &HttpRequest,
    sent: &Value,
    mask: &Mask,
) -> Result<Value, Problem> {
    let status = response.status();
    let place = &*place(response.url());
    let kind = Kind::of(
        response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()),
    );
    let shown = headers(response.headers());
    let accepted = status.is_success() || (request.redirect && status.is_redirection());
    if !accepted {
        return Err(refused(response, kind, &shown, place).await);
    }
    let (bytes, whole) = read(response, BODY_LIMIT)
        .await
        .map_err(|error| broken(place, &error))?;
    if !whole {
        return Err(unreadable(format!(
            "{place} answered with more than {BODY_LIMIT} bytes"
        )));
    }
    let bytes = mask.bytes(bytes);
    let mut output = match request.output {
        HttpOutput::Raw => Value::String(STANDARD.encode(bytes)),
        HttpOutput::Content => content(kind, bytes, place)?,
        HttpOutput::Response => json!({
            "request": sent,
            "statusCode": status.as_u16(),
            "headers": shown,
            "content": content(kind, bytes, place)?,
        }),
    };
    mask.value(&mut output);
    Ok(output)
}

/// The error that a status is, with what the server said.
async fn refused(response: Response, kind: Kind, shown: &Value, place: &str) -> Problem {
    let problem = status_problem(&response, place);
    let bytes = read(response, SHOWN).await.map(|(bytes, _)| bytes).unwrap_or_default();
    // What was cut short is no JSON any more.
    let content = content(kind, bytes.clone(), place).unwrap_or_else(|_| text(bytes));
    problem.with_data(json!({ "headers": shown, "content": content }))
}

/// The error that a status is.
pub(crate) fn status_problem(response: &Response, place: &str) -> Problem {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or("Request failed");
    let detail = format!("{place} answered with status {status}");
    let problem = Problem::new(ErrorType::Communication, reason, detail).with_status(status.as_u16());
    match retry_after(response.headers(), SystemTime::now()) {
        Some(milliseconds) => problem.with_retry_after(milliseconds),
        None => problem,
    }
}

/// Reads a body up to a limit; says whether that was all.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok((bytes, false));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, true))
}

/// A body as a value: what JSON says, text as text, bytes in base64; null where there is none.
fn content(kind: Kind, bytes: Vec<u8>, place: &str) -> Result<Value, Problem> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    Ok(match kind {
        Kind::Json => serde_json::from_slice(&bytes).map_err(|e| {
            unreadable(format!(
                "{place} answered with what it calls JSON, which it is not: {e}"
            ))
        })?,
        Kind::Unsaid | Kind::Form | Kind::Text => text(bytes),
        Kind::Binary | Kind::Parts => Value::String(STANDARD.encode(bytes)),
    })
}

/// Text, or base64 where it is not UTF-8.
fn text(bytes: Vec<u8>) -> Value {
    Value::String(String::from_utf8(bytes).unwrap_or_else(|e| STANDARD.encode(e.as_bytes())))
}

fn unreadable(detail: String) -> Problem {
    Problem::new(ErrorType::Communication, "Answer cannot be read", detail).with_status(502)
}

/// `Retry-After` in milliseconds: seconds, or a date, which is measured against the server's clock when it tells its
/// time.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let said = text(RETRY_AFTER)?;
    let wait = match said.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(said).ok()?;
            let now = text(DATE)
                .and_then(|date| httpdate::parse_http_date(date).ok())
                .unwrap_or(now);
            until.duration_since(now).unwrap_or_default()
        }
    };
    u64::try_from(wait.min(LONGEST_WAIT).as_millis()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn waiting_is_said_in_seconds_or_as_a_date() {
        let wait = |headers: &[(&'static str, &str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            retry_after(&headers, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "7")]), Some(7000));
        assert_eq!(wait(&[("retry-after", "18446744073709551615")]), Some(24 * 3_600_000));
        assert_eq!(wait(&[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")]), Some(60_000));
        let theirs = [
            ("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT"),
            ("date", "Thu, 01 Jan 1970 00:00:50 GMT"),
        ];
        assert_eq!(wait(&theirs), Some(10_000));
        for nonsense in ["-1", "soon", ""] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }
}
