//! `potok serve` as a process, and what a client asks of it.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use potok_tests::{PATIENCE, Server, potok_binary};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::process::Command;

const JSON: &str = "application/json";

/// A running engine. Dropping it kills it.
pub struct Engine {
    server: Server,
    client: Client,
}

impl Engine {
    /// Starts on a data directory. A `potok.toml` in it is the configuration.
    pub async fn start(data: &Path) -> Self {
        Self::start_by(Command::new(potok_binary()), data).await
    }

    /// The same by a command that becomes the binary.
    pub async fn start_by(command: Command, data: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            server: Server::start_by(command, data, &[]).await,
            client: Client::builder().timeout(PATIENCE).build().expect("a client"),
        }
    }

    /// Where it serves.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// What it logged last.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// `SIGKILL`, and waits until the process is gone.
    pub async fn kill(self) {
        self.server.kill().await;
    }

    /// `SIGTERM`, and waits for the end, which has to be a good one.
    pub async fn stop(self) {
        let log = self.log();
        let ended = self.server.terminate().await;
        assert!(ended.success(), "the engine stopped with {ended}:\n{log}");
    }

    pub async fn deploy(&self, workflow: &str) {
        let request = self
            .request(Method::PUT, "/workflows")
            .header("content-type", "application/yaml");
        self.answer(request.body(workflow.to_owned())).await;
    }

    /// Installs a plugin.
    pub async fn install(&self, component: Vec<u8>, grants: &[&str]) {
        let grants: Vec<(&str, &str)> = grants.iter().map(|grant| ("grant", *grant)).collect();
        let request = self.request(Method::POST, "/plugins").query(&grants);
        self.answer(request.header("content-type", "application/wasm").body(component))
            .await;
    }

    /// Stores bytes and gives their id.
    pub async fn store_blob(&self, bytes: Vec<u8>) -> String {
        let request = self
            .request(Method::POST, "/blobs")
            .header("content-type", "application/octet-stream");
        text(&self.answer(request.body(bytes)).await["id"])
    }

    /// Starts a run of `namespace/name` under an idempotency key and gives its id.
    pub async fn start_run(&self, workflow: &str, input: &Value, key: &str) -> String {
        let request = self.request(Method::POST, &format!("/workflows/{workflow}/runs"));
        let request = request.header("content-type", JSON).header("idempotency-key", key);
        text(&self.answer(request.body(input.to_string())).await["id"])
    }

    /// Tries to start a run, whatever the answer.
    pub async fn try_start(&self, workflow: &str, input: &Value, key: &str) -> Told {
        let request = self.request(Method::POST, &format!("/workflows/{workflow}/runs"));
        let request = request.header("content-type", JSON).header("idempotency-key", key);
        self.told(request.body(input.to_string())).await
    }

    /// Tries to deploy a workflow, whatever the answer.
    pub async fn try_deploy(&self, workflow: &str) -> Told {
        let request = self
            .request(Method::PUT, "/workflows")
            .header("content-type", "application/yaml");
        self.told(request.body(workflow.to_owned())).await
    }

    /// Tries to cancel a run, whatever the answer.
    pub async fn try_cancel(&self, id: &str) -> Told {
        let request = self.request(Method::POST, &format!("/runs/{id}/cancel"));
        self.told(request.header("content-type", JSON).body("{}")).await
    }

    /// What it says of its health.
    pub async fn health(&self) -> Told {
        let url = format!("{}/api/health", self.server.url());
        self.told(self.client.get(url)).await
    }

    pub async fn add_webhook(&self, webhook: &Value) {
        let request = self.request(Method::POST, "/webhooks").header("content-type", JSON);
        self.answer(request.body(webhook.to_string())).await;
    }

    /// The stream of events; the first 500.
    pub async fn events(&self) -> Vec<Value> {
        let page = self.answer(self.request(Method::GET, "/events?limit=500")).await;
        page["events"].as_array().expect("a page of events").clone()
    }

    /// Cancels a run; durable when it returns.
    pub async fn cancel(&self, id: &str) {
        let request = self.request(Method::POST, &format!("/runs/{id}/cancel"));
        self.answer(request.header("content-type", JSON).body("{}")).await;
    }

    /// Makes a run from another one: `retry`, `restart`, `fork`.
    pub async fn make(&self, id: &str, how: &str, what: &Value) -> Value {
        let request = self.request(Method::POST, &format!("/runs/{id}/{how}"));
        self.answer(request.header("content-type", JSON).body(what.to_string()))
            .await
    }

    pub async fn run(&self, id: &str) -> Value {
        self.answer(self.request(Method::GET, &format!("/runs/{id}"))).await
    }

    /// The runs of a workflow, the newest first; the first 500.
    pub async fn runs(&self, name: &str) -> Vec<Value> {
        let page = self
            .answer(self.request(Method::GET, &format!("/runs?limit=500&name={name}")))
            .await;
        page["runs"].as_array().expect("a page of runs").clone()
    }

    /// All that a run's tasks did.
    pub async fn history(&self, id: &str) -> Vec<Value> {
        let (mut events, mut from) = (Vec::new(), Some(0));
        while let Some(number) = from {
            let page = self
                .answer(self.request(Method::GET, &format!("/runs/{id}/history?from={number}")))
                .await;
            events.extend(page["events"].as_array().expect("a page of events").iter().cloned());
            from = page["next"].as_u64();
        }
        events
    }

    /// What plugins have asked of capabilities in calls that are under way.
    pub async fn calls(&self, id: &str) -> Vec<Value> {
        let page = self
            .answer(self.request(Method::GET, &format!("/runs/{id}/history?limit=500")))
            .await;
        page["calls"].as_array().cloned().unwrap_or_default()
    }

    /// The run, as soon as it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        eventually(&format!("run {id} ends"), || async {
            let run = self.run(id).await;
            let status = text(&run["status"]);
            // A suspended run goes on only when a person says so.
            assert_ne!(status, "suspended", "{run:#}\n{}", self.log());
            ["completed", "faulted", "cancelled"]
                .contains(&status.as_str())
                .then_some(run)
        })
        .await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/api/v1{path}", self.server.url()))
    }

    async fn told(&self, request: RequestBuilder) -> Told {
        let response = request.send().await;
        let response = response.unwrap_or_else(|error| panic!("no answer: {error:?}\n{}", self.log()));
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let (status, kind, retry_after) = (
            response.status().as_u16(),
            header("content-type"),
            header("retry-after"),
        );
        let body = response.text().await.expect("a whole answer");
        Told {
            status,
            kind: kind.unwrap_or_default(),
            retry_after,
            body: serde_json::from_str(&body).unwrap_or_else(|error| panic!("{status}: {error}: {body}")),
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Value {
        let response = request.send().await;
        let response = response.unwrap_or_else(|error| panic!("no answer: {error:?}\n{}", self.log()));
        let (url, status) = (response.url().clone(), response.status());
        let body = response.text().await.expect("a whole answer");
        assert!(
            [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED].contains(&status),
            "{url}: {status}: {body}\n{}",
            self.log()
        );
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{url}: {error}: {body}"))
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    /// The content type.
    pub kind: String,
    pub retry_after: Option<String>,
    pub body: Value,
}

/// Asks until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A string of an answer.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a string is expected, not {value}"))
        .to_owned()
}
