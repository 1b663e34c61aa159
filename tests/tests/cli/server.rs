//! `potok serve`: whatever is thrown at it, it goes on.

use potok_sandbox::{Fault, FaultKind, Sandbox, SandboxConfig, Target};
use potok_tests::PATIENCE;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    models::chunk,
    rig::{Potok, Running, client, fixture},
};

struct Server {
    running: Running,
    base: String,
    client: Client,
}

impl Server {
    async fn start(potok: &Potok, arguments: &[&str]) -> Self {
        let mut running =
            potok.start(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"], arguments].concat());
        let line = running.told("listening on").await;
        let base = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned();
        Self {
            running,
            base,
            client: client(),
        }
    }

    /// Posts and gives the status and the JSON of the answer.
    async fn post(&self, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.client.post(format!("{}/api/v1{path}", self.base));
        let answer = request.header("content-type", kind).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Calls a function; gives the run.
    async fn call(&self, function: &str, input: &Value) -> Value {
        let (status, run) = self
            .post(&format!("/functions/{function}"), "application/json", input.to_string())
            .await;
        assert_eq!(status, 200, "{function}: {run}");
        run
    }

    /// It answers as on the first day: its health, and a call.
    async fn well(&self, after: &str) {
        let health = self
            .client
            .get(format!("{}/api/health", self.base))
            .send()
            .await
            .unwrap();
        assert_eq!(health.status(), 200, "after {after}");
        assert_eq!(health.json::<Value>().await.unwrap()["status"], "ok", "after {after}");
        let run = self
            .call(
                "text.split",
                &json!({ "chapters": [{ "title": "One", "text": "Hello world." }] }),
            )
            .await;
        assert_eq!(run["status"], "completed", "after {after}: {run}");
    }

    /// Announces a definition of a size and sends none of it; gives the status line of the answer.
    async fn refuses_early(&self, size: usize) -> String {
        let address = self.base.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "PUT /api/v1/workflows HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/yaml\r\ncontent-length: {size}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut status = String::new();
        let mut answer = BufReader::new(connection);
        timeout(PATIENCE, answer.read_line(&mut status)).await.unwrap().unwrap();
        status
    }

    async fn stop(mut self) {
        self.running.signal("TERM");
        let (code, out, err) = self.running.ended().await;
        assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}

#[tokio::test]
async fn plugins_that_misbehave_leave_the_server_well() {
    let potok = Potok::with_demo().await.with("POTOK_NODE_CALL_TIMEOUT", "3");
    let server = Server::start(&potok, &[]).await;
    for (function, input, title) in [
        ("demo.trap", json!({ "message": "ouch" }), "Plugin trapped"),
        ("demo.spin", json!({}), "Deadline exceeded"),
        ("demo.eat-memory", json!({}), "Memory limit reached"),
        ("demo.large", json!({ "bytes": 100_000_000 }), "Result too large"),
        ("demo.recurse", json!({ "depth": 0 }), "Plugin trapped"),
    ] {
        let run = server.call(function, &input).await;
        assert_eq!(
            (&run["status"], &run["error"]["title"]),
            (&json!("faulted"), &json!(title)),
            "{function}: {run}"
        );
        server.well(function).await;
    }
    // All at once.
    let together = ["demo.spin", "demo.eat-memory", "demo.trap", "demo.recurse"];
    let input = [json!({}), json!({}), json!({ "message": "x" }), json!({ "depth": 0 })];
    let calls = tokio::join!(
        server.call(together[0], &input[0]),
        server.call(together[1], &input[1]),
        server.call(together[2], &input[2]),
        server.call(together[3], &input[3]),
        server.well("nothing yet"),
    );
    for run in [&calls.0, &calls.1, &calls.2, &calls.3] {
        assert_eq!(run["status"], "faulted", "{run}");
    }
    server.well("all of them").await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_leaves_the_server_well() {
    let potok = Potok::new();
    let server = Server::start(&potok, &[]).await;
    let (status, problem) = server.post("/plugins", "application/wasm", fixture("ungranted")).await;
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("potok:ungranted/nobody"),
        "{problem}"
    );
    server.well("an ungranted plugin").await;

    let deep = "[".repeat(100_000);
    for (name, body) in [("malformed", "{"), ("deep", deep.as_str()), ("empty", "")] {
        let (status, problem) = server
            .post("/functions/text.split", "application/json", body.to_owned())
            .await;
        assert!(
            (400..500).contains(&status) || problem["status"] == "faulted",
            "{name}: {status} {problem}"
        );
        server.well(name).await;
    }

    let deploy = |text: String| {
        server
            .client
            .put(format!("{}/api/v1/workflows", server.base))
            .header("content-type", "application/yaml")
            .body(text)
            .send()
    };
    for text in ["document: {\n  dsl: [".to_owned(), format!("a: {deep}")] {
        let answer = deploy(text).await.unwrap();
        assert!(answer.status().is_client_error(), "{}", answer.status());
        server.well("a broken definition").await;
    }
    assert!(server.refuses_early(10_000_000).await.contains(" 413 "));
    server.well("a huge body").await;
    server.stop().await;
}

#[tokio::test]
async fn books_that_are_none_leave_the_server_well() {
    let potok = Potok::new();
    let server = Server::start(&potok, &[]).await;
    for (bytes, kind) in [
        (b"%PDF-1.7\n1 0 obj\n<<".to_vec(), "urn:potok:book:broken"),
        (b"\x89PNG\r\n\x1a\n0000".to_vec(), "urn:potok:book:unsupported"),
    ] {
        let (status, blob) = server.post("/blobs", "application/octet-stream", bytes).await;
        assert!(status == 200 || status == 201, "{status} {blob}");
        let run = server.call("book.extract", &json!({ "book": blob["id"] })).await;
        assert_eq!(
            (&run["status"], &run["error"]["type"]),
            (&json!("faulted"), &json!(kind)),
            "{run}"
        );
        server.well(kind).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_misbehaves_leaves_the_server_well() {
    let model = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let potok = Potok::new()
        .with("POTOK_AI_BASE_URL", &model.openai_url())
        .with("POTOK_AI_MODEL", potok_sandbox::DEFAULT_MODEL)
        .with("POTOK_AI_TIMEOUT", "1");
    let server = Server::start(&potok, &[]).await;
    for (kind, status) in [
        (FaultKind::Hang, 408),
        (
            FaultKind::Status {
                status: 429,
                retry_after: Some(7),
            },
            429,
        ),
        (FaultKind::Garbage, 502),
        (FaultKind::CloseBeforeAnswer, 502),
    ] {
        assert!(model.inject(Fault {
            target: Target::Ai,
            method: None,
            after: 0,
            times: 1,
            kind: kind.clone()
        }));
        let run = server.call("content.summarize", &chunk()).await;
        assert_eq!(
            (&run["status"], &run["error"]["status"]),
            (&json!("faulted"), &json!(status)),
            "{kind:?}: {run}"
        );
        server.well(&format!("{kind:?}")).await;
    }
    let run = server.call("content.summarize", &chunk()).await;
    assert_eq!(run["status"], "completed", "{run}");
    server.stop().await;
}
