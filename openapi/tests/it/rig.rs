//! A server to ask, and what it answered.

use std::{path::PathBuf, sync::Arc, time::Duration};

use potok_bus::InProcess;
use potok_calls::{Egress, HttpCaller};
use potok_journal::{SqliteStore, Store};
use potok_node::{KeyPlace, Node, NodeConfig, NodeParts};
use potok_openapi::{Access, Server, ServerConfig, Shipped};
use potok_wasm::{Grants, Host, HostConfig};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// The bytes of a fixture plugin.
pub fn fixture(name: &str) -> Vec<u8> {
    let fixture = potok_plugins::fixtures()
        .iter()
        .find(|component| component.name == name);
    fixture.unwrap().decompress().unwrap()
}

/// A server, its node and a client.
pub struct Rig {
    pub server: Server,
    pub node: Node,
    pub client: Client,
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The answer must be a problem of this status; gives its detail.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.json["status"], status, "{}", self.text);
        assert!(
            self.json["type"].is_string() && self.json["title"].is_string(),
            "{}",
            self.text
        );
        self.json["detail"].as_str().unwrap().to_owned()
    }

    /// The answer must have this status; gives its body.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }
}

/// 32 bytes in base64.
pub const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A host whose compiled code is kept between test runs.
pub fn host() -> Host {
    let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("code"));
    let config = HostConfig {
        cache_dir,
        pool_instances: 16,
        ..HostConfig::default()
    };
    Host::new(config).unwrap()
}

impl Rig {
    /// A server without plugins.
    pub async fn empty() -> Self {
        Self::with(NodeConfig::default()).await
    }

    /// A server without plugins whose node behaves so.
    pub async fn with(config: NodeConfig) -> Self {
        Self::on(Arc::new(SqliteStore::in_memory().unwrap()), KEY, config).await
    }

    /// A server on a store whose secrets have this key.
    pub async fn on(store: Arc<dyn Store>, key: &str, config: NodeConfig) -> Self {
        Self::on_host(store, key, config, host()).await
    }

    /// A server on a store, with a host of its own.
    pub async fn on_host(store: Arc<dyn Store>, key: &str, config: NodeConfig, host: Host) -> Self {
        Self::shipping(store, key, config, host, Vec::new()).await
    }

    /// The same, with workflows that operations start.
    pub async fn shipping(
        store: Arc<dyn Store>,
        key: &str,
        config: NodeConfig,
        host: Host,
        shipped: Vec<Shipped>,
    ) -> Self {
        // An error means that another test was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parts = NodeParts {
            store,
            host,
            http: HttpCaller::new(Egress::new("127.0.0.1".parse().unwrap())),
            shell: None,
            vault: potok_secrets::Vault::default(),
            secrets_key: KeyPlace::text(key.to_owned(), "the test's key"),
            bus: Arc::new(InProcess::default()),
        };
        let node = Node::start(parts, config).await.unwrap();
        let config = ServerConfig {
            listen: "127.0.0.1:0".to_owned(),
            grace: Duration::from_secs(5),
            shipped,
            access: Access::default(),
        };
        let server = Server::start(node.clone(), config).await.unwrap();
        Self {
            server,
            node,
            client: Client::new(),
        }
    }

    /// A server with the plugin `demo`.
    pub async fn with_demo() -> Self {
        let rig = Self::empty().await;
        rig.node
            .install_plugin(&fixture("demo"), &Grants::none())
            .await
            .unwrap();
        rig
    }

    /// A request of the API.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/api/v1{path}", self.server.url()))
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.ask(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.ask(Method::POST, path).json(body)).await
    }

    pub async fn deploy(&self, text: &str) -> Answer {
        answer(
            self.ask(Method::PUT, "/workflows")
                .header("content-type", "application/yaml")
                .body(text.to_owned()),
        )
        .await
    }

    /// What is there besides the API.
    pub async fn outside(&self, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.server.url()))).await
    }
}

/// Sends a request and takes the answer apart.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_eq!(
        headers
            .get("x-content-type-options")
            .map(|value| value.to_str().unwrap()),
        Some("nosniff")
    );
    let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Answer {
        status,
        headers,
        text,
        json,
    }
}

/// Greets.
pub const GREET: &str = r#"
document: { dsl: '1.0.3', namespace: test, name: greet, version: '1.0.0', title: Greet someone }
input:
  schema:
    document:
      type: object
      required: [name]
      additionalProperties: false
      properties: { name: { $ref: '#/$defs/name' } }
      $defs: { name: { type: string, minLength: 1 } }
output: { schema: { document: { type: object, required: [greeting], properties: { greeting: { type: string } } } } }
do:
  - greet: { set: { greeting: '${ "Hello, \(.name)" }' } }
"#;

/// Waits until it is cancelled or a quarter of an hour has passed.
pub const SLEEP: &str = r"
document: { dsl: '1.0.3', namespace: test, name: sleep, version: '1.0.0' }
do:
  - first: { set: { a: 1 } }
  - sleep: { wait: { minutes: 15 } }
";

/// Faults.
pub const FAULT: &str = r"
document: { dsl: '1.0.3', namespace: test, name: fault, version: '1.0.0' }
do:
  - fault:
      raise: { error: { type: 'https://example.com/errors/no', status: 418, title: No, detail: not today } }
";
