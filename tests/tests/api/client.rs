//! Someone with `curl`.

use potok_tests::{PATIENCE, Server};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

/// Greets whoever is named, after a fifth of a second.
pub const GREET: &str = r#"
document: { dsl: '1.0.3', namespace: examples, name: greet, version: '1.0.0' }
input: { schema: { document: { type: object, required: [name], properties: { name: { type: string } } } } }
do:
  - rest: { wait: { milliseconds: 200 } }
  - greet: { set: { greeting: '${ "Hello, \(.name)" }' } }
"#;

/// Rests so long that only a command ends it.
pub const REST: &str = r"
document: { dsl: '1.0.3', namespace: examples, name: rest, version: '1.0.0' }
do:
  - rest: { wait: { hours: 1 } }
";

/// A person, a server, and the directory with its data.
pub struct Person {
    pub server: Server,
    pub data: TempDir,
    client: Client,
}

impl Person {
    /// With a fresh server.
    pub async fn new(arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), arguments).await;
        // An error means that another test was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            server,
            data,
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
        }
    }

    /// The same person, after the server was killed and started again.
    pub async fn after_a_crash(self) -> Self {
        let Self { server, data, client } = self;
        server.kill().await;
        let server = Server::start(data.path(), &[]).await;
        Self { server, data, client }
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url()))
    }

    /// The answer to a request: its status and its body, which is JSON.
    pub async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let response = request
            .send()
            .await
            .unwrap_or_else(|e| panic!("no answer: {e:?}\n{}", self.server.log()));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let json = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect(&text)
        };
        (status, json)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.answer(self.ask(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.answer(self.ask(Method::POST, path).json(body)).await
    }

    pub async fn deploy(&self, text: &str) -> (u16, Value) {
        let request = self
            .ask(Method::PUT, "/api/v1/workflows")
            .header("content-type", "application/yaml");
        self.answer(request.body(text.to_owned())).await
    }
}
