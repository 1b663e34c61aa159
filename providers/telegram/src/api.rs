//! The Bot API over HTTP, and what can be said of a request that got no good answer.
//!
//! The parameters are `frankenstein`'s types; the transport and the answers are our own. Its client reads bodies of
//! any size,
//! forgets the HTTP status of an answer that is no JSON, and fails on an answer with an unexpected member: a message
//! that was
//! sent would be taken for one that may not have been. Here an answer needs no more than what is looked at.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// One bot's way to the Bot API. Its `Debug` shows no token.
#[derive(Clone)]
pub(crate) struct BotApi {
    client: reqwest::Client,
    /// Up to and with the token; never shown.
    prefix: String,
    timeout: Duration,
}

impl fmt::Debug for BotApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotApi")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A request that got no good answer. What matters is whether it can have had an effect.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ApiError {
    /// It never left: there was no connection.
    #[error("Telegram cannot be reached: {0}")]
    NotSent(String),
    /// Telegram said no; it had no effect.
    #[error("{description}")]
    Refused {
        /// The Bot API's error code, 400 to 499.
        code: u16,
        /// Its own words.
        description: String,
        /// How many seconds to wait, when that is the reason.
        retry_after: Option<u64>,
    },
    /// It left and no answer came that says what became of it.
    #[error("{0}")]
    Lost(String),
}

impl BotApi {
    pub(crate) fn new(client: reqwest::Client, base_url: &str, token: &str, timeout: Duration) -> Self {
        Self {
            client,
            prefix: format!("{}/bot{token}", base_url.trim_end_matches('/')),
            timeout,
        }
    }

    /// Calls a method: one request, no second try.
    pub(crate) async fn call<P, T>(&self, method: &str, params: &P) -> Result<T, ApiError>
    where
        P: Serialize + Sync,
        T: DeserializeOwned,
    {
        let request = self
            .client
            .post(format!("{}/{method}", self.prefix))
            .json(params)
            .build()
            .map_err(|e| ApiError::NotSent(chain(&e.without_url())))?;
        let exchange = async {
            let response = self
                .client
                .execute(request)
                .await
                .map_err(|e| failed(&e.without_url()))?;
            let status = response.status().as_u16();
            let retry_after = retry_after(&response);
            let body = read(response).await?;
            decide(status, retry_after, &body)
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::Lost(format!(
                "Telegram did not answer within {:?}",
                self.timeout
            ))),
        }
    }
}

/// What a message that was sent says about itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct SentMessage {
    pub(crate) message_id: i64,
    /// Unix time in seconds.
    pub(crate) date: Option<i64>,
    pub(crate) chat: Option<Chat>,
}

/// A chat, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Chat {
    pub(crate) id: i64,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) username: Option<String>,
    /// Of `getChat` alone, for administrators who may invite.
    pub(crate) invite_link: Option<String>,
}

/// Every answer of the Bot API.
#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    #[serde(default)]
    result: serde_json::Value,
    description: Option<String>,
    error_code: Option<u16>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

fn failed(error: &reqwest::Error) -> ApiError {
    if error.is_connect() {
        return ApiError::NotSent(chain(&error));
    }
    ApiError::Lost(format!(
        "the connection to Telegram broke before its answer: {}",
        chain(&error)
    ))
}

fn retry_after(response: &reqwest::Response) -> Option<u64> {
    response
        .headers()
        .get(reqwest::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failed(&e.without_url()))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ApiError::Lost(format!("Telegram's answer is over {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an answer means. A status of 4xx is a refusal whoever gave it (Telegram, or a gateway that did not pass the
/// request on),
/// but for 408, which a gateway may say after passing it on.
fn decide<T: DeserializeOwned>(status: u16, retry_after: Option<u64>, body: &[u8]) -> Result<T, ApiError> {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
        let description = format!(
            "the answer (status {status}) is not one of the Bot API: {}",
            excerpt(body)
        );
        return Err(match refusal(status) {
            Some(code) => ApiError::Refused {
                code,
                description,
                retry_after,
            },
            None => ApiError::Lost(description),
        });
    };
    if envelope.ok {
        return serde_json::from_value(envelope.result)
            .map_err(|e| ApiError::Lost(format!("the answer lacks what it should say: {e}")));
    }
    let code = envelope.error_code.unwrap_or(status);
    let description = envelope
        .description
        .unwrap_or_else(|| format!("error {code} without a description"));
    let retry_after = envelope
        .parameters
        .and_then(|parameters| parameters.retry_after)
        .or(retry_after);
    Err(match refusal(code) {
        Some(code) => ApiError::Refused {
            code,
            description,
            retry_after,
        },
        None => ApiError::Lost(format!("Telegram failed ({code}): {description}")),
    })
}

fn refusal(code: u16) -> Option<u16> {
    ((400..500).contains(&code) && code != 408).then_some(code)
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]);
    text.chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// An error with its causes, which is where a broken connection says why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn answer(status: u16, body: &str) -> Result<SentMessage, ApiError> {
        decide(status, None, body.as_bytes())
    }

    #[test]
    fn a_sent_message_needs_no_more_than_its_id() {
        let sent = answer(
            200,
            r#"{"ok":true,"result":{"message_id":7,"new_member":{"of":["later"]}}}"#,
        )
        .unwrap();
        assert_eq!(
            sent,
            SentMessage {
                message_id: 7,
                date: None,
                chat: None
            }
        );
    }

    #[test]
    fn only_a_definite_no_is_a_refusal() {
        let refused = |result| matches!(result, Err(ApiError::Refused { .. }));
        let lost = |result| matches!(result, Err(ApiError::Lost(_)));
        assert!(refused(answer(
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#
        )));
        assert!(refused(answer(413, "<html>too large</html>")));
        assert!(lost(answer(408, "<html>timeout</html>")));
        assert!(lost(answer(502, "<html>bad gateway</html>")));
        assert!(lost(answer(
            500,
            r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#
        )));
        assert!(lost(answer(200, "<html>hello</html>")));
        assert!(lost(answer(200, "")));
        assert!(lost(answer(200, r#"{"ok":true,"result":true}"#)));
        assert!(lost(answer(200, r#"{"ok":false}"#)), "an error that does not say which");
        assert!(
            lost(answer(302, "")),
            "a redirect is not followed, and whoever sent it may have passed the request on"
        );
    }

    #[test]
    fn a_flood_says_how_long_to_wait() {
        let flood = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 70000","parameters":{"retry_after":70000}}"#;
        let Err(ApiError::Refused { code, retry_after, .. }) = answer(429, flood) else {
            panic!("a refusal")
        };
        assert_eq!((code, retry_after), (429, Some(70_000)));
        let Err(ApiError::Refused { retry_after, .. }) = decide::<SentMessage>(429, Some(3), b"slow down") else {
            panic!("a refusal")
        };
        assert_eq!(retry_after, Some(3), "from the header of a gateway");
    }
}
