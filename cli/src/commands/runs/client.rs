//! A server as its API shows it: requests, and what is said when they go wrong.

use std::{error::Error, time::Duration};

use potok_dsl::Problem;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use crate::{config::Config, exit::Failure};

/// How long one request may take. None of those that are made here waits for a run.
const PATIENCE: Duration = Duration::from_secs(60);

/// The way to a server.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl Client {
    /// The server that the configuration names; no request is made yet.
    ///
    /// # Errors
    /// When its address is none.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let named = if config.server.is_empty() {
            format!("http://{}", config.listen)
        } else {
            config.server.clone()
        };
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let base = Url::parse(&named).ok().filter(usable).ok_or_else(|| {
            Failure::Usage(format!(
                "'{named}' is no address of a server; one is http://127.0.0.1:8080"
            ))
        })?;
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Failure::Other(format!("no request can be made: {error}")))?;
        Ok(Self {
            http,
            base,
            token: config.token.clone(),
        })
    }

    /// Reads something.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.send(self.request(Method::GET, path, query)?).await
    }

    /// Asks for something.
    pub async fn post(&self, path: &[&str], query: &[(&str, String)], body: &Value) -> Result<Value, Failure> {
        self.send(self.request(Method::POST, path, query)?.json(body)).await
    }

    /// The same; with the same key again it is done once.
    pub async fn post_once(&self, path: &[&str], key: Option<&str>, body: &Value) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path, &[])?.json(body);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        self.send(request).await
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> Result<RequestBuilder, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::Usage(format!("{} is no address of a server", self.base)))?
            .pop_if_empty()
            .extend(["api", "v1", "runs"])
            .extend(path);
        let request = self.http.request(method, url).query(query);
        Ok(if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.stranger(status));
        }
        match status {
            StatusCode::UNAUTHORIZED if self.token.is_empty() => Err(Failure::Other(format!(
                "{} wants to know who asks (401); give a token with --token or POTOK_TOKEN",
                self.base
            ))),
            StatusCode::UNAUTHORIZED => Err(Failure::Other(format!("{} does not take the token (401)", self.base))),
            _ => Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => refused(status, problem),
                Err(_) => self.stranger(status),
            }),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_timeout() {
            return Failure::Other(format!("{base} does not answer within {} s", PATIENCE.as_secs()));
        }
        // The last cause says it: "connection refused", "unknown host".
        let mut why: &dyn Error = error;
        while let Some(cause) = why.source() {
            why = cause;
        }
        Failure::Other(format!(
            "no server is to be reached at {base}: {why}; is 'potok serve' running there? --server names another"
        ))
    }

    fn stranger(&self, status: StatusCode) -> Failure {
        Failure::Other(format!(
            "{} answers {status}, and not as a server of Potok does",
            self.base
        ))
    }
}

/// A problem that the server has told.
fn refused(status: StatusCode, problem: Problem) -> Failure {
    let said = problem.detail.clone().or_else(|| problem.title.clone());
    match (status, said) {
        (StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, Some(said)) => Failure::Usage(said),
        (StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE, Some(said)) => {
            Failure::Other(said)
        }
        _ => Failure::Problem(Box::new(problem)),
    }
}
