//! The language's own calls, as far as they are executed: `call: http`.
//!
//! A request comes in with every expression resolved, and a JSON value or a [`Problem`] goes out. One call is one
//! request: nothing is tried
//! again here (the workflow's `retry` decides that), and no redirection is followed. The specification's `redirect`
//! says whether a
//! status of 3xx is an error, no more; a workflow that wants to follow one sees its `Location` with `output: response`.
//!
//! This crate knows no workflow and no store; it keeps no state but two pools of connections.

mod body;
mod content;
mod request;
mod response;

use std::time::{Duration, Instant};

use indexmap::IndexMap;
use potok_dsl::{ErrorType, Problem, model::HttpOutput};
use reqwest::{Client, Url, redirect::Policy};
use serde_json::Value;

use request::place;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

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
    /// Parameters to be appended to the URI's own.
    pub query: IndexMap<String, String>,
    /// The body; `None` when there is none. It leaves as JSON, unless the workflow names a content type: an object
    /// leaves as a form when
    /// that is the type, text leaves as it is when the type is not JSON.
    pub body: Option<Value>,
    /// What the output is.
    pub output: HttpOutput,
    /// Whether a redirection (status 3xx) is a success. None is followed: the workflow sees it.
    pub redirect: bool,
    /// `{ "basic": { username, password } }` or `{ "bearer": { token } }`.
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
    /// To the world, through the proxy that the environment may name.
    outward: Client,
    /// To this machine.
    local: Client,
}

/// The caller could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("HTTP calls cannot be made")]
pub struct SetupError(#[source] reqwest::Error);

impl HttpCaller {
    /// A caller.
    ///
    /// # Errors
    /// When the proxy that the environment names is none.
    ///
    /// # Panics
    /// When no TLS provider was installed (`rustls::crypto::CryptoProvider::install_default`), which the binary does
    /// first thing.
    pub fn new() -> Result<Self, SetupError> {
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT)
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("potok/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            outward: builder().build().map_err(SetupError)?,
            local: builder().no_proxy().build().map_err(SetupError)?,
        })
    }

    /// Makes a call and gives the output that the task asks for.
    ///
    /// # Errors
    /// A [`Problem`]:
    /// - `configuration` for a request that cannot be made;
    /// - `communication` with the server's status for an answer that is no success, with its `Retry-After`, headers
    ///   and the beginning of
    ///   its body; with 503 for a server that cannot be reached, 502 for one that broke off or whose answer cannot be
    /// read;
    /// - `timeout` after the deadline.
    pub async fn call(&self, request: &HttpRequest, cx: HttpContext) -> Result<Value, Problem> {
        let HttpContext {
            idempotency_key,
            deadline,
        } = cx;
        let url = request::url(request)?;
        let place = place(&url);
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late(&place));
        }
        let client = if is_loopback(&url) { &self.local } else { &self.outward };
        let built = request::build(client, url, request, &idempotency_key)?;
        let exchange = async {
            let sent = request::shown(&built);
            let response = client.execute(built).await.map_err(|error| broken(&place, &error))?;
            response::output(response, request, &sent, &place).await
        };
        tokio::time::timeout(left, exchange)
            .await
            .unwrap_or_else(|_| Err(late(&place)))
    }
}

/// Whether an address is on this machine, where no proxy is to be asked.
fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn late(place: &str) -> Problem {
    Problem::new(
        ErrorType::Timeout,
        "Request timed out",
        format!("{place} did not answer in time"),
    )
}

/// A server that could not be reached, broke off, or sent what cannot be read. The message leaves out reqwest's own
/// first line: the URI in it
/// may hold a secret.
fn broken(place: &str, error: &reqwest::Error) -> Problem {
    let mut why = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why.push(cause.to_string());
        source = cause.source();
    }
    let why = why.join(": ");
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
