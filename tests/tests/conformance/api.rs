//! The server under test, through its public HTTP API alone.

use std::{path::Path, sync::Mutex, time::Duration};

use potok_tests::{PATIENCE, Server};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::Semaphore, time::sleep};

/// How many servers run, and scenarios at once. Most scenarios wait for something most of the time.
pub const SERVERS: usize = 6;

/// A run that takes longer has hung.
const RUN: &str = "90s";

/// What every server here may do that no server may by default: reach the doubles, which listen on loopback.
pub const CONFIGURATION: &str = include_str!("../../conformance/potok.toml");

static FREE: Mutex<Vec<Potok>> = Mutex::new(Vec::new());
static PLACES: Semaphore = Semaphore::const_new(SERVERS);

/// A running server.
pub struct Potok {
    server: Server,
    client: Client,
    _data: TempDir,
}

/// What the API answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The body of an answer that must not be an error.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(
            self.status < 300,
            "the API answered {}: {}",
            self.status,
            pretty(&self.body)
        );
        self.body
    }
}

impl Potok {
    /// A server for one scenario: one that another has given back, or a new one.
    pub async fn borrow() -> Self {
        PLACES.acquire().await.expect("it is never closed").forget();
        let free = FREE.lock().unwrap().pop();
        match free {
            Some(potok) => potok,
            None => Self::start(CONFIGURATION).await,
        }
    }

    /// Gives it back, without what the scenario deployed and started.
    pub async fn give_back(self) {
        if self.is_alive().await {
            self.clear().await;
            FREE.lock().unwrap().push(self);
        }
        PLACES.add_permits(1);
    }

    /// Ends all servers that nobody has.
    pub async fn end_all() {
        let free = std::mem::take(&mut *FREE.lock().unwrap());
        for potok in free {
            potok.server.kill().await;
        }
    }

    /// A server of its own, with a configuration of its own.
    pub async fn start(configuration: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("potok.toml"), configuration).unwrap();
        let server = Server::start(data.path(), &[]).await;
        // An error means that it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            server,
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            _data: data,
        }
    }

    /// Where its files are.
    pub fn data(&self) -> &Path {
        self._data.path()
    }

    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The last lines of the server's log.
    pub fn log(&self) -> String {
        self.server.log()
    }

    pub async fn is_alive(&self) -> bool {
        let answer = self.request(Method::GET, "/api/health").send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url()))
    }

    pub async fn answer(&self, request: RequestBuilder) -> Answer {
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}\n{}", self.log()));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    /// Deploys a text.
    pub async fn deploy(&self, text: &str) -> Answer {
        let request = self
            .request(Method::PUT, "/api/v1/workflows")
            .header("content-type", "application/yaml");
        self.answer(request.body(text.to_owned())).await
    }

    /// Starts a run, and waits for its end if it is asked to.
    pub async fn run(&self, workflow: &str, input: &Value, wait: bool) -> Answer {
        let wait = if wait { format!("?wait={RUN}") } else { String::new() };
        self.post(&format!("/api/v1/workflows/{workflow}/runs{wait}"), input)
            .await
    }

    /// A run.
    pub async fn look(&self, run: &str) -> Value {
        self.get(&format!("/api/v1/runs/{run}")).await.ok()
    }

    /// Steers a run: `cancel`, `suspend`, `resume`.
    pub async fn steer(&self, run: &str, command: &str) -> Answer {
        self.post(&format!("/api/v1/runs/{run}/{command}"), &json!({})).await
    }

    /// What the tasks of a run did, the first thousands.
    pub async fn history(&self, run: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut from = Some(0);
        while let Some(number) = from.filter(|_| events.len() < 5000) {
            let page = self
                .get(&format!("/api/v1/runs/{run}/history?limit=500&from={number}"))
                .await
                .ok();
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
            from = page["next"].as_u64();
        }
        events
    }

    /// All runs of what is deployed now, oldest first.
    pub async fn runs(&self, filter: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/runs?limit=500&{filter}")).await.ok();
        let mut runs = page["runs"].as_array().cloned().unwrap_or_default();
        runs.reverse();
        runs
    }

    async fn clear(&self) {
        let webhooks = self.get("/api/v1/webhooks").await;
        for webhook in webhooks.body["webhooks"].as_array().into_iter().flatten() {
            let path = format!("/api/v1/webhooks/{}", webhook["id"].as_str().unwrap_or_default());
            self.answer(self.request(Method::DELETE, &path)).await;
        }
        const OPEN: &str = "status=pending&status=running&status=waiting&status=suspended";
        // One that another runs goes after that one.
        let removed = eventually(async || {
            for run in self.runs(OPEN).await {
                self.steer(run["id"].as_str().unwrap_or_default(), "cancel").await;
            }
            let deployed = self.get("/api/v1/workflows").await.ok();
            let deployed = deployed["workflows"].as_array().cloned().unwrap_or_default();
            for workflow in &deployed {
                let part = |name: &str| workflow[name].as_str().unwrap_or_default().to_owned();
                let (namespace, name, version) = (part("namespace"), part("name"), part("version"));
                let path = format!("/api/v1/workflows/{namespace}/{name}/{version}");
                self.answer(self.request(Method::DELETE, &path)).await;
            }
            deployed.is_empty().then_some(())
        });
        assert!(removed.await.is_some(), "what a scenario deployed cannot be removed");
    }
}

/// Asks until there is an answer, for as long as a scenario may take.
pub async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> Option<T> {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ask().await {
            return Some(found);
        }
        if tokio::time::Instant::now() > until {
            return None;
        }
        sleep(Duration::from_millis(15)).await;
    }
}

/// A value as people read it.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
