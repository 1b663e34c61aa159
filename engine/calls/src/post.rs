//! Messages of the engine itself to a server that an operator has named: one POST, and whether it was taken.

use std::time::Duration;

use reqwest::{Method, Request, Url, header::HeaderValue};

use crate::{HttpCaller, SendError};

/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// How a server took a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The status of its answer.
    pub status: u16,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Posted {
    /// Whether it has the message.
    #[must_use]
    pub fn is_success(self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why a message cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// It is no address.
    #[error("'{0}' is no URL; write one such as https://example.com/hook")]
    Address(String),
    /// A header cannot be sent.
    #[error("the header '{0}' cannot be sent")]
    Header(&'static str),
    /// No answer came in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// It may not leave, or did not get through.
    #[error(transparent)]
    Unsent(#[from] SendError),
}

/// Checks that something is an address to which messages can be sent.
///
/// # Errors
/// [`PostError::Address`].
pub fn check_address(url: &str) -> Result<(), PostError> {
    address(url).map(|_| ())
}

fn address(text: &str) -> Result<Url, PostError> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    url.ok_or_else(|| PostError::Address(text.to_owned()))
}

impl HttpCaller {
    /// Sends a message. No redirection is followed, and nothing of the answer is read but its head.
    ///
    /// # Errors
    /// [`PostError`]: no answer came, whatever its status.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Posted, PostError> {
        let mut request = Request::new(Method::POST, address(url)?);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| PostError::Header(name))?;
            request.headers_mut().insert(*name, value);
        }
        *request.body_mut() = Some(body.into());
        let sent = tokio::time::timeout(limit, self.egress.send(request)).await;
        let response = sent.map_err(|_| PostError::Late(limit))??;
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok());
        Ok(Posted {
            status: response.status().as_u16(),
            retry_after: retry_after
                .and_then(|text| text.trim().parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_server_and_no_password() {
        for good in ["https://example.com/hook?a=b", "http://127.0.0.1:9/x"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "https://me:secret@example.com/",
            "file:///etc/passwd",
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
