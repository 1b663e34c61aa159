//! `potok serve` as a process, and what a client asks of it.

use std::collections::VecDeque;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Nothing that is waited for takes longer, on a busy machine either.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// So many lines of the engine's log are shown when something is wrong.
const LOG_LINES: usize = 40;

const JSON: &str = "application/json";

/// A running engine. Dropping it kills it.
pub struct Engine {
    child: Child,
    url: String,
    client: Client,
    log: Log,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap();
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

impl Engine {
    /// Starts on a data directory and waits until it listens. Of this process's own settings it gets none.
    pub async fn start(data: &Path, settings: &[(&str, String)]) -> Self {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POTOK_")) {
            command.env_remove(name);
        }
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .current_dir(data)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the engine can be started");
        let log = Log::default();
        let stderr = child.stderr.take().expect("it is piped");
        let mut url = read_log(BufReader::new(stderr), log.clone());
        let listening = tokio::time::timeout(PATIENCE, url.wait_for(Option::is_some)).await;
        let url = match listening {
            Ok(Ok(url)) => url.clone().expect("waited for"),
            Ok(Err(_)) => panic!("the engine ended before it listened:\n{}", log.text()),
            Err(_) => panic!("the engine did not listen within {PATIENCE:?}:\n{}", log.text()),
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            child,
            url,
            client: Client::builder().timeout(PATIENCE).build().expect("a client"),
            log,
        }
    }

    /// What it logged last.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// `SIGKILL`, and waits until the process is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the engine was running");
    }

    /// `SIGTERM`, and waits for the end.
    pub async fn stop(mut self) -> ExitStatus {
        let id = self.child.id().expect("the engine is running");
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .await;
        assert!(
            sent.expect("there is a shell").success(),
            "the engine had ended by itself:\n{}",
            self.log()
        );
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended
            .expect("the engine stops when it is told to")
            .expect("it can be waited for")
    }

    pub async fn deploy(&self, workflow: &str) {
        let request = self
            .request(Method::PUT, "/workflows")
            .header("content-type", "application/yaml");
        self.answer(request.body(workflow.to_owned())).await;
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
        self.client.request(method, format!("{}/api/v1{path}", self.url))
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

/// Reads the log to its end, so that the engine never waits for a reader; tells the address as soon as it stands there.
fn read_log(stderr: impl AsyncBufReadExt + Unpin + Send + 'static, log: Log) -> watch::Receiver<Option<String>> {
    let (found, url) = watch::channel(None);
    tokio::spawn(async move {
        let mut lines = stderr.lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, rest)) = line.split_once("listening on ") {
                found.send_replace(rest.split_whitespace().next().map(str::to_owned));
            }
            log.push(line);
        }
    });
    url
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

/// The binary: `$POTOK`, or the one beside this test, built if need be.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("POTOK") {
            return PathBuf::from(path);
        }
        let test = std::env::current_exe().expect("this test has a path");
        let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        let target = profile.parent().expect("target/<profile>");
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "-p", "potok", "--target-dir"])
            .arg(target);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo can be started");
        assert!(built.success(), "the binary cannot be built");
        profile.join("potok")
    })
}
