//! The API that people already call: bots, channels, messages, accounts and tasks, beside `/api/v1` and in its words.
//!
//! Every operation that changes something is a run: of a function, or of a workflow that is shipped ([`Shelf`]). Every other one asks
//! a function that only looks. So this room knows names of functions and workflows, which anyone can look up, and no provider. It
//! has no logic of its own but its words: answers are `{status, data}`, what goes wrong is `{status: "error", message}`, and a
//! run is a task with the words that clients poll for.

mod accounts;
mod answer;
mod books;
mod bots;
mod channels;
mod document;
mod messages;
mod outreach;
mod parse;
mod proxies;
mod qr;
mod shelf;
mod statistics;
mod tasks;
mod words;

use std::{sync::Arc, time::Duration};

use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route, http::Uri};
use poem_openapi::{OpenApi, OpenApiService, Tags};
use potok_dsl::FunctionName;
use potok_node::{NodeError, RunView, StartRequest};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    api::State,
    failure::{Failure, unavailable},
};

pub(crate) use answer::in_its_words;
pub(crate) use document::{at_root, elsewhere, merge};
use shelf::Shelf;
pub use shelf::{Shipped, shipped};

/// Where its operations begin.
const ROOTS: [&str; 18] = [
    "/bots",
    "/channels",
    "/messages",
    "/tasks",
    "/accounts",
    "/proxies",
    "/api/accounts",
    "/api/parse",
    "/api/invite",
    "/api/bulk_invite",
    "/api/invite_log",
    "/api/campaigns",
    "/api/opt_out",
    "/webhook",
    "/api/book_analyzer",
    "/api/queue_length",
    "/api/stats",
    "/api/logs",
];

/// How long a run is waited for whose end is the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(30);

/// What operations share.
#[derive(Clone)]
pub(crate) struct Desk {
    state: State,
    shelf: Arc<Shelf>,
}

/// What the document sorts these operations by.
#[derive(Tags)]
enum Room {
    /// Telegram: bots, channels, posts and user accounts, as existing clients ask for them.
    #[oai(rename = "telegram")]
    Telegram,
}

impl Desk {
    pub fn new(state: State, shipped: Vec<Shipped>) -> Self {
        let shelf = Arc::new(Shelf::new(shipped));
        Self { state, shelf }
    }

    /// Asks a function that only looks.
    async fn look<const KINDS: u16>(&self, function: &str, arguments: Value) -> Result<Value, Failure<KINDS>> {
        let looked = self.state.node.look(&newest(function), arguments, LOOK).await;
        looked.map_err(unserved)
    }

    /// Calls a function as a run of one step and waits for what it gives.
    async fn step<const KINDS: u16>(&self, function: &str, arguments: Value) -> Result<Value, Failure<KINDS>> {
        let request = StartRequest {
            input: arguments,
            idempotency_key: None,
            labels: Value::Null,
            wait: Some(PATIENCE),
        };
        let called = self.state.node.call_function(&newest(function), request).await;
        outcome(called.map_err(unserved)?.run)
    }

    /// A secret as a run may hold it.
    fn seal<const KINDS: u16>(&self, secret: String) -> Result<Value, Failure<KINDS>> {
        let sealed = self.state.node.secrets().in_flight(&Zeroizing::new(secret));
        sealed
            .map(Value::String)
            .map_err(|error| Failure(unavailable(error.to_string())))
    }

    /// Sees to it that a shipped workflow is deployed, so that its schedule runs.
    async fn ready<const KINDS: u16>(&self, workflow: &str) -> Result<(), Failure<KINDS>> {
        let ready = self.shelf.ready(&self.state, workflow).await;
        ready.map(drop).map_err(|failure| Failure(failure.0))
    }

    /// Starts a shipped workflow; a key that was used before gives the run that it started.
    async fn start<const KINDS: u16>(
        &self,
        workflow: &str,
        input: Value,
        key: Option<String>,
    ) -> Result<RunView, Failure<KINDS>> {
        let ready = self.shelf.ready(&self.state, workflow).await;
        let (namespace, name) = ready.map_err(|failure| Failure(failure.0))?;
        let request = StartRequest {
            input,
            idempotency_key: key,
            labels: Value::Null,
            wait: None,
        };
        Ok(self.state.node.start_run(namespace, name, None, request).await?.run)
    }
}

/// A function that is not there is not the client's fault: the plugin is not installed, or its capability was not granted.
fn unserved<const KINDS: u16>(error: NodeError) -> Failure<KINDS> {
    match error {
        NodeError::NotFound { .. } => Failure(unavailable(error.to_string())),
        error => error.into(),
    }
}

/// What stands against a well-formed request is 422.
fn unusable<const KINDS: u16>(failure: Failure) -> Failure<KINDS> {
    Failure(match failure.0.status {
        400 => failure.0.with_status(422),
        _ => failure.0,
    })
}

/// How many entries a page has when nobody says.
fn page() -> i64 {
    100
}

/// A function by its name, in its newest version.
fn newest(function: &str) -> FunctionName {
    FunctionName {
        name: function.to_owned(),
        version: None,
        catalog: None,
    }
}

/// What a run gave, or why it gave nothing.
fn outcome<const KINDS: u16>(run: RunView) -> Result<Value, Failure<KINDS>> {
    match (run.output, run.error) {
        (Some(output), None) => Ok(output),
        (_, Some(problem)) => Err(Failure(problem)),
        (None, None) => Err(Failure(unavailable(format!(
            "this takes long; GET /tasks/{} says what becomes of it",
            run.id.0
        )))),
    }
}

/// What was given, if it was.
fn text(given: Option<words::Text>) -> Value {
    given.map_or(Value::Null, |text| Value::String(text.0))
}

/// An object of what was given.
fn given<const N: usize>(members: [(&str, Value); N]) -> Value {
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        given
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

/// The API as the framework serves and describes it.
pub(crate) fn service(desk: Desk) -> OpenApiService<impl OpenApi, ()> {
    let all = (
        bots::Bots(desk.clone()),
        channels::Channels(desk.clone()),
        messages::Messages(desk.clone()),
        accounts::Accounts(desk.clone()),
        parse::Parse(desk.clone()),
        outreach::Outreach(desk.clone()),
        proxies::Proxies(desk.clone()),
        books::Books(desk.clone()),
        statistics::Statistics(desk.clone()),
        tasks::Tasks(desk),
    );
    OpenApiService::new(all, "Potok", env!("CARGO_PKG_VERSION"))
}

/// Adds the API to the routes of the server.
pub(crate) fn mount(route: Route, service: OpenApiService<impl OpenApi + 'static, ()>) -> Route {
    let endpoint = Arc::new(
        service
            .into_endpoint()
            .before(|request: Request| async move { Ok(without_slash(request)) })
            .map_to_response(),
    );
    ROOTS.iter().fold(route, |route, root| {
        let endpoint = Arc::clone(&endpoint);
        route.nest_no_strip(root, Shared(endpoint))
    })
}

/// Whether a path is one of this API.
pub(crate) fn has(path: &str) -> bool {
    let beneath = |rest: &str| rest.is_empty() || rest.starts_with('/');
    ROOTS.iter().any(|root| path.strip_prefix(root).is_some_and(beneath))
}

/// One endpoint at several places.
struct Shared<E>(Arc<E>);

impl<E: Endpoint<Output = Response>> Endpoint for Shared<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        self.0.call(request).await
    }
}

/// Clients write `/bots/` and `/bots`; both mean the same.
fn without_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() < path.len() {
        let query = request.uri().query().map(|query| format!("?{query}"));
        if let Ok(uri) = format!("{trimmed}{}", query.unwrap_or_default()).parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}
