//! How requests leave: once, with an answer of bounded size, and with what the server says about waiting kept.
//!
//! The library's own transport tries again by itself (one 429 becomes four requests), hides `Retry-After`, reads
//! bodies of any size, and
//! logs what it cannot read. So it gets this one, and sees only good answers that are JSON.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, RETRY_AFTER};

/// The longest answer that is read.
const MAX_ANSWER: usize = 8 << 20;

/// How much of an answer that is no good is kept.
const MAX_EXCERPT: usize = 2048;

/// Makes one request for each call.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    has_key: bool,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request could not be made, or the connection failed.
    #[error("the exchange with the model server failed")]
    Exchange(#[source] reqwest::Error),
    /// The server said no.
    #[error("the model server answered with status {status}")]
    Status {
        status: u16,
        /// In milliseconds.
        retry_after: Option<u64>,
        body: Vec<u8>,
    },
    /// The server said yes, but not in JSON.
    #[error("the model server's answer is not JSON")]
    Garbage { why: String, body: Vec<u8> },
    /// The server said too much.
    #[error("the model server's answer is over {MAX_ANSWER} bytes")]
    TooLarge,
}

impl From<Failure> for OpenAIError {
    fn from(failure: Failure) -> Self {
        Self::Boxed(Box::new(failure))
    }
}

impl Transport {
    pub(crate) fn new(client: reqwest::Client, has_key: bool) -> Self {
        Self { client, has_key }
    }

    async fn exchange(self, request: HttpRequestFactory) -> Result<reqwest::Response, OpenAIError> {
        let mut request = request.build().await?;
        match request.headers_mut().get_mut(AUTHORIZATION) {
            Some(key) if self.has_key => key.set_sensitive(true),
            _ => _ = request.headers_mut().remove(AUTHORIZATION),
        }
        let response = self.client.execute(request).await.map_err(Failure::Exchange)?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(response.headers(), SystemTime::now());
            let body = read(response, MAX_EXCERPT).await.unwrap_or_default().0;
            return Err(Failure::Status {
                status: status.as_u16(),
                retry_after,
                body,
            }
            .into());
        }
        let (mut body, whole) = read(response, MAX_ANSWER).await.map_err(Failure::Exchange)?;
        if !whole {
            return Err(Failure::TooLarge.into());
        }
        if let Err(why) = serde_json::from_slice::<serde_json::Value>(&body) {
            body.truncate(MAX_EXCERPT);
            return Err(Failure::Garbage {
                why: why.to_string(),
                body,
            }
            .into());
        }
        Ok(http::Response::new(body).into())
    }
}

impl tower_service::Service<HttpRequestFactory> for Transport {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        Box::pin(self.clone().exchange(request))
    }
}

/// Reads up to so many bytes; says whether that was all.
async fn read(mut response: reqwest::Response, limit: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body, false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, true))
}

/// How long the server wants to be left alone, in milliseconds: `retry-after-ms` (OpenAI's own), or `Retry-After` as
/// seconds or as a date,
/// which is measured against the server's clock when it tells its time.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(milliseconds);
    }
    let wait = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = wait.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok().map(milliseconds);
    }
    let until = httpdate::parse_http_date(wait).ok()?;
    let now = text(DATE.as_str())
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or(now);
    Some(milliseconds(until.duration_since(now).unwrap_or_default()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn waiting_is_said_in_seconds_milliseconds_or_as_a_date() {
        let wait = |headers: &[(&'static str, &str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            retry_after(&headers, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "7")]), Some(7000));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(500));
        assert_eq!(wait(&[("retry-after", "7"), ("retry-after-ms", "1500")]), Some(1500));
        assert_eq!(wait(&[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")]), Some(60_000));
        let of_the_server = [
            ("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT"),
            ("date", "Thu, 01 Jan 1970 00:00:50 GMT"),
        ];
        assert_eq!(wait(&of_the_server), Some(10_000));
        let past = [
            ("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT"),
            ("date", "Thu, 01 Jan 1970 00:02:00 GMT"),
        ];
        assert_eq!(wait(&past), Some(0));
        for nonsense in ["-1", "soon", "NaN", "1e400", ""] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }
}
