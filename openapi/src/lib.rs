//! The HTTP server: everything that a node does, as an OpenAPI that describes itself.
//!
//! Handlers are thin: they turn requests into calls of [`potok_node::Node`] and its answers into responses. What has its own schema (a deployed
//! workflow with an `input.schema`, a function) appears in `/openapi.json` as an operation of its own. Errors are problem details
//! (RFC 9457), whoever they come from.

mod api;
mod failure;
mod listen;
mod metrics;
mod payload;
mod schema31;
mod spec;
mod stream;
mod types;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use poem::{
    Endpoint, EndpointExt, IntoResponse, Route,
    endpoint::make,
    get,
    middleware::CatchPanic,
};
use poem_openapi::OpenApiService;
use potok_node::Node;
use tokio::sync::watch;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens: `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: String,
    /// How long requests under way may take when the server stops.
    pub grace: Duration,
}

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {source}; choose another address with --listen")]
pub struct ListenError {
    listen: String,
    #[source]
    source: io::Error,
}

impl Server {
    /// Listens, and serves until it is stopped.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(node: Node, config: ServerConfig) -> Result<Self, ListenError> {
        let failed = |source| ListenError { listen: config.listen.clone(), source };
        let acceptor = listen::Acceptor::bind(&config.listen).await.map_err(failed)?;
        let address = acceptor.address();
        let (stop, stopping) = watch::channel(false);
        let app = app(node, stopping.clone());
        let mut signal = stopping;
        let task = tokio::spawn(poem::Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(
            app,
            async move {
                // An error means that the sender is gone, which is a stop as well.
                let _ = signal.wait_for(|stop| *stop).await;
            },
            Some(config.grace),
        ));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests and waits for those under way, as long as its configuration says.
    pub async fn stop(self) {
        // Nobody listens any more: then it has stopped already.
        let _ = self.stop.send(true);
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the server did not stop cleanly");
        }
    }
}

/// Everything under one roof.
fn app(node: Node, stopping: watch::Receiver<bool>) -> impl Endpoint {
    let state = api::State { node: node.clone(), stopping };
    let service = OpenApiService::new(api::all(state), "Potok", env!("CARGO_PKG_VERSION"))
        .description("Durable YAML workflows whose steps are WebAssembly functions.")
        .server("/api/v1");
    let base: Arc<serde_json::Value> = Arc::new(serde_json::from_str(&service.spec()).unwrap_or_default());
    let docs = service.scalar_html().replace("/api/v1/openapi", "/openapi");
    let described = node.clone();
    let counted = node.clone();
    Route::new()
        .nest("/api/v1", service)
        .at("/api/health", get(make(move |_| health(node.clone()))))
        .at("/metrics", get(make(move |_| metrics::scrape(counted.clone()))))
        .at("/openapi.json", get(make(move |_| spec::document(described.clone(), Arc::clone(&base)))))
        .at("/docs", get(make(move |_| {
            let page = poem::web::Html(docs.clone()).into_response();
            async move { Ok::<_, poem::Error>(page) }
        })))
        .catch_all_error(failure::from_error)
        .with(CatchPanic::new().with_handler(|_| failure::crashed()))
}

/// Whether the node can take work: its store answers.
async fn health(node: Node) -> poem::Result<poem::Response> {
    match node.ready().await {
        Ok(()) => Ok(poem::web::Json(serde_json::json!({ "status": "ok" })).into_response()),
        Err(error) => Err(failure::Failure::from(error).into()),
    }
}
