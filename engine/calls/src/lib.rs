//! The language's own calls, as far as they are executed: `call: http`, `run: shell`.
//!
//! A request comes in with every expression resolved, and a JSON value or a [`Problem`] goes out. Nothing is tried again here: the
//! workflow's `retry` decides that. A redirection is an error, or is followed where the workflow says `redirect`.
//!
//! Whatever leaves goes through [`Egress`], which keeps to the operator's policy. This crate knows no workflow and no store; it keeps no
//! state but pools of connections and the tokens that it was given.

mod auth;
mod body;
mod content;
mod egress;
mod fetch;
mod mask;
pub mod openapi;
mod parts;
mod post;
mod redirect;
mod request;
mod response;
mod shell;

use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;
use potok_dsl::{ErrorType, Problem, model::HttpOutput};
use reqwest::{Request, Response, StatusCode};
use serde_json::Value;

use auth::{Credentials, Tokens};
pub use reqwest::Url;

pub use egress::{AddressKind, Egress, EgressPolicy, Refused, RuleError, SendError, SetupError};
pub use fetch::{DOCUMENT_LIMIT, Document, parse as parse_document};
use mask::Mask;
pub use post::{PostError, Posted, check_address};
use request::place;
pub use shell::{MOST_DETACHED, OUTPUT_LIMIT, ProcessOutput, Shell, ShellCommand};

/// The largest body that is taken, in bytes, after decompression.
pub const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// An HTTP request, every expression in it resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// The method, in any case of letters.
    pub method: String,
    /// The URI, `http` or `https`.
    pub uri: String,
    /// The headers.
    pub headers: IndexMap<String, String>,
    /// Parameters to be appended to the URI's own, in order; a name may come several times.
    pub query: Vec<(String, String)>,
    /// The body; `None` when there is none. It leaves as JSON, unless the workflow names a content type: an object
    /// leaves as a form when
    /// that is the type, text leaves as it is when the type is not JSON.
    pub body: Option<Value>,
    /// What the output is.
    pub output: HttpOutput,
    /// Whether redirections are followed, and one that cannot be is a success; otherwise a status of 3xx is an error.
    pub redirect: bool,
    /// An object with one member that is named for the scheme (`basic`, `bearer`, `oauth2`, `oidc`) and holds the policy's members.
    pub authentication: Option<Value>,
}

/// What goes with a call.
#[derive(Debug, Clone)]
pub struct HttpContext {
    /// The same for every attempt; sent as `Idempotency-Key` with methods that change something.
    pub idempotency_key: String,
    /// When the answer is no longer of use.
    pub deadline: Instant,
}

/// Makes HTTP calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpCaller {
    egress: Egress,
    tokens: Arc<Tokens>,
}

impl HttpCaller {
    /// A caller whose requests leave this way.
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self {
            egress,
            tokens: Arc::default(),
        }
    }

    /// Makes a call and gives the output that the task asks for.
    ///
    /// # Errors
    /// A [`Problem`]:
    /// - `configuration` for a request that cannot be made;
    /// - `authentication` when no token is to be had for it;
    /// - `authorization` for one that may not go where it leads;
    /// - `communication` with the server's status for an answer that is no success, with its `Retry-After`, headers and the beginning of
    ///   its body; with 503 for a server that cannot be reached, 502 for one that broke off or whose answer cannot be read;
    /// - `timeout` after the deadline.
    pub async fn call(&self, request: &HttpRequest, cx: HttpContext) -> Result<Value, Problem> {
        let url = request::url(request)?;
        let place = place(&url);
        let left = cx.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late(&place));
        }
        let credentials = request.authentication.as_ref().map(Credentials::read).transpose()?;
        let exchange = async {
            let (sent, response, mask) = self.authenticated(url, request, &cx, credentials.as_ref()).await?;
            let output = response::output(response, request, &sent, &mask).await;
            output.map_err(|problem| mask.problem(problem))
        };
        tokio::time::timeout(left, exchange)
            .await
            .unwrap_or_else(|_| Err(late(&place)))
    }

    /// Sends a request with what it authenticates itself with. A token that the server does not accept is asked for anew, once.
    async fn authenticated(
        &self,
        url: Url,
        request: &HttpRequest,
        cx: &HttpContext,
        credentials: Option<&Credentials>,
    ) -> Result<(Value, Response, Mask), Problem> {
        let mut refused = None;
        loop {
            let header = match credentials {
                Some(credentials) => Some(credentials.header(&self.tokens, &self.egress, refused.as_ref()).await?),
                None => None,
            };
            let built = request::build(url.clone(), request, &cx.idempotency_key, header.clone())?;
            let (sent, response) = self.exchange(built, request.redirect).await?;
            let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
            if unauthorized && refused.is_none() && credentials.is_some_and(Credentials::can_be_renewed) {
                refused = header;
                continue;
            }
            let mask = match header {
                Some(header) if credentials.is_some_and(Credentials::can_be_renewed) => Mask::of(&header),
                _ => Mask::default(),
            };
            return Ok((sent, response, mask));
        }
    }

    /// Sends a request and follows redirections if asked to; gives the last request, as it is shown, with its answer.
    async fn exchange(&self, request: Request, follow: bool) -> Result<(Value, Response), Problem> {
        let first = request.url().clone();
        let mut next = request;
        let mut followed = 0;
        loop {
            let sent = request::shown(&next);
            let place = place(next.url());
            // Bodies are bytes, so there is always a copy.
            let again = next.try_clone().filter(|_| follow);
            let response = self.egress.send(next).await.map_err(|error| unsent(&place, error))?;
            match again.map_or(Ok(None), |again| redirect::next(&response, again))? {
                None => return Ok((sent, response)),
                Some(_) if followed == redirect::MOST => return Err(redirect::too_many(&first, response.status())),
                Some(request) => next = request,
            }
            followed += 1;
        }
    }
}

fn late(place: &str) -> Problem {
    Problem::new(
        ErrorType::Timeout,
        "Request timed out",
        format!("{place} did not answer in time"),
    )
}

/// A request that got no answer.
fn unsent(place: &str, error: SendError) -> Problem {
    match error {
        SendError::Refused(refused) => Problem::new(
            ErrorType::Authorization,
            "Address refused",
            format!("{place}: {refused}"),
        ),
        SendError::Setup(error) => Problem::new(
            ErrorType::Configuration,
            "Request not made",
            format!("{place}: {error}"),
        ),
        SendError::Failed(error) => broken(place, &error),
    }
}

/// A server that could not be reached, broke off, or sent what cannot be read.
fn broken(place: &str, error: &reqwest::Error) -> Problem {
    let why = egress::reasons(error);
    if error.is_timeout() {
        return Problem::new(ErrorType::Timeout, "Request timed out", format!("{place}: {why}"));
    }
    let (title, status) = if error.is_connect() {
        ("Server not reached", 503)
    } else {
        ("Connection broken", 502)
    };
    Problem::new(ErrorType::Communication, title, format!("{place}: {why}")).with_status(status)
}
