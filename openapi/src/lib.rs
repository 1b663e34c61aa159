//! The HTTP server: everything that a node does, as an OpenAPI that describes itself.
//!
//! Handlers are thin: they turn requests into calls of [`potok_node::Node`] and its answers into responses. What has its own schema (a
//! deployed workflow with an `input.schema`, a function) appears in `/openapi.json` as an operation of its own. Errors are problem details
//! (RFC 9457), whoever they come from.
//!
//! Whom [`Access`] names may ask; without anybody, whoever reaches the address may, which is why it is a loopback address unless told
//! otherwise. This room knows no store and no plugin but through the node.

mod access;
mod api;
mod classic;
mod cloudevents;
mod difference;
mod docs;
mod failure;
mod frame;
mod inputs;
mod listen;
mod metrics;
mod params;
mod payload;
mod reason;
mod restart;
mod schema31;
mod spec;
mod stream;
mod time;
mod types;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use poem::{
    Endpoint, EndpointExt, IntoResponse, Request, Response, Route,
    endpoint::make,
    get,
    middleware::{CatchPanic, Compression},
    web::Redirect,
};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService};
use potok_node::Node;
use serde_json::Value;
use tokio::sync::watch;

pub use access::{Access, AccessError};
use api::State;
pub use classic::{Shipped, shipped};

/// Where the API is.
const BASE: &str = "/api/v1";

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(120);

/// What is there besides the API.
const READ_ONLY: [&str; 5] = ["/", "/api/health", "/metrics", "/openapi.json", "/docs"];

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens: `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: String,
    /// How long requests under way may take when the server stops.
    pub grace: Duration,
    /// The workflows that operations start; each is deployed when it is first needed.
    pub shipped: Vec<Shipped>,
    /// Who may use it.
    pub access: Access,
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
        let failed = |source| ListenError {
            listen: config.listen.clone(),
            source,
        };
        let acceptor = listen::Acceptor::bind(&config.listen).await.map_err(failed)?;
        let address = acceptor.address();
        let (stop, stopping) = watch::channel(false);
        let app = app(node, config.shipped, config.access, stopping.clone());
        let mut signal = stopping;
        let server = poem::Server::new_with_acceptor(acceptor).idle_timeout(IDLE);
        let task = tokio::spawn(server.run_with_graceful_shutdown(
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

/// The API as the framework serves and describes it.
fn service(state: State) -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(api::all(state), "Potok", env!("CARGO_PKG_VERSION"))
        .description("Durable YAML workflows whose steps are WebAssembly functions.")
        .license(LicenseObject::new("Apache-2.0").identifier("Apache-2.0"))
        .server(BASE)
}

/// The document without what is deployed.
fn describe(service: &OpenApiService<impl OpenApi, ()>, classic: &OpenApiService<impl OpenApi, ()>) -> Value {
    let written = |spec: String| schema31::convert(serde_json::from_str(&spec).unwrap_or_default());
    classic::merge(spec::complete(written(service.spec())), written(classic.spec()))
}

/// Everything under one roof.
fn app(node: Node, shipped: Vec<Shipped>, access: Access, stopping: watch::Receiver<bool>) -> impl Endpoint {
    let state = State::new(node.clone(), stopping);
    let classic = classic::service(classic::Desk::new(state.clone(), shipped));
    let service = service(state);
    let mut base = describe(&service, &classic);
    access.describe(&mut base);
    let access = Arc::new(access);
    let (own, at_root) = (classic::elsewhere(&base), classic::at_root(&base));
    let routes = Arc::new(frame::Routes::new(&[(&own, BASE), (&at_root, "")], &READ_ONLY));
    let page = bytes::Bytes::from(docs::page(&service.swagger_ui_html()).unwrap_or_default());
    let describer = Arc::new(spec::Describer::new(node.clone(), base));
    let since = Instant::now();
    let counted = node.clone();
    classic::mount(Route::new(), classic)
        .at(
            "/",
            get(make(|_| {
                std::future::ready(Redirect::temporary("docs").into_response())
            })),
        )
        .nest(BASE, service)
        .at("/api/health", get(make(move |_| health(node.clone()))))
        .at("/metrics", get(make(move |_| metrics::scrape(counted.clone(), since))))
        .at(
            "/openapi.json",
            get(make(move |_| {
                let describer = Arc::clone(&describer);
                async move { describer.respond().await }
            }))
            .with(Compression::new()),
        )
        .at(
            "/docs",
            get(make(move |_| std::future::ready(docs::respond(&page)))).with(Compression::new()),
        )
        .catch_all_error(failure::from_error)
        .with(CatchPanic::new().with_handler(|_| failure::crashed()))
        .around(move |endpoint, request: Request| {
            let (routes, access) = (Arc::clone(&routes), Arc::clone(&access));
            let classic = classic::has(request.uri().path());
            async move {
                let response = frame::serve(endpoint, &routes, &access, request).await;
                Ok::<Response, poem::Error>(match classic {
                    true => classic::in_its_words(response).await,
                    false => response,
                })
            }
        })
}

/// Whether the node can take work: its store answers.
async fn health(node: Node) -> poem::Result<Response> {
    match node.ready().await {
        Ok(()) => Ok(poem::web::Json(serde_json::json!({ "status": "ok" })).into_response()),
        Err(error) => Err(failure::Failure::<0>::from(error).into()),
    }
}
