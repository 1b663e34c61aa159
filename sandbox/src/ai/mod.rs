//! The OpenAI-compatible model server: `/v1/models`, `/v1/chat/completions`.
//!
//! The model behind it is [`crate::summary`]; [`prompt`] says how a prompt is read. Parameters that steer chance
//! (`temperature`, `seed`, …) are accepted and change nothing, since nothing here is left to chance. Those that would
//! change the answer and are not supported (`tools`, `n` over 1, a JSON `response_format`, …) are refused.

mod chat;
mod error;
mod instruction;
mod prompt;

use std::sync::Arc;

use futures::stream;
use poem::http::{StatusCode, header};
use poem::web::sse::{Event, SSE};
use poem::web::{Data, Path};
use poem::{Body, IntoResponse, Request, Response, Route, get, handler, post};
use serde_json::{Value, json};

use crate::faults::Target;
use crate::state::{Shared, now_ms};
use chat::{Answer, ChatRequest};
use error::AiError;

/// The largest body, in bytes.
const MAX_BODY: usize = 8 << 20;

pub(crate) fn routes() -> Route {
    Route::new()
        .at("/models", get(models))
        .at("/models/:model", get(model))
        .at("/chat/completions", post(completions))
        .at("/*path", unknown)
}

/// The body that a scripted status comes with.
pub(crate) fn scripted_error(status: StatusCode, retry_after: Option<u64>) -> Response {
    AiError::scripted(status, retry_after).into_response()
}

#[handler]
async fn models(request: &Request, Data(shared): Data<&Arc<Shared>>) -> Response {
    let process = async {
        let list = || {
            authorize(shared, request)?;
            let list: Vec<Value> = shared.models.iter().map(|name| describe(name)).collect();
            Ok::<_, AiError>(json!({ "object": "list", "data": list }))
        };
        respond(list())
    };
    shared
        .serve((Target::Ai, "models"), request.remote_addr(), process)
        .await
}

#[handler]
async fn model(request: &Request, Path(name): Path<String>, Data(shared): Data<&Arc<Shared>>) -> Response {
    let process = async {
        let found = || {
            authorize(shared, request)?;
            known_model(shared, &name).map(describe)
        };
        respond(found())
    };
    shared
        .serve((Target::Ai, "models"), request.remote_addr(), process)
        .await
}

#[handler]
async fn completions(request: &Request, body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let process = async {
        match complete(shared, request, body).await {
            Ok((answer, chat)) if chat.stream => stream_of(&answer, chat.include_usage()),
            Ok((answer, _)) => respond(Ok(answer.completion())),
            Err(error) => error.into_response(),
        }
    };
    shared
        .serve((Target::Ai, "chat/completions"), request.remote_addr(), process)
        .await
}

#[handler]
fn unknown(request: &Request) -> Response {
    let what = format!(
        "Unknown request URL: {} {}",
        request.method(),
        request.original_uri().path()
    );
    AiError::new(
        StatusCode::NOT_FOUND,
        what,
        "invalid_request_error",
        Some("unknown_url"),
    )
    .into_response()
}

async fn complete(shared: &Arc<Shared>, request: &Request, body: Body) -> Result<(Answer, ChatRequest), AiError> {
    authorize(shared, request)?;
    let bytes = body.into_bytes_limit(MAX_BODY).await.map_err(|error| match error {
        poem::error::ReadBodyError::PayloadTooLarge => {
            let what = format!("The request is larger than {MAX_BODY} bytes.");
            AiError::new(StatusCode::PAYLOAD_TOO_LARGE, what, "invalid_request_error", None)
        }
        other => AiError::invalid(format!("The body could not be read: {other}"), None),
    })?;
    let chat = ChatRequest::read(&bytes)?;
    known_model(shared, &chat.model)?;
    let work = chat.clone();
    // A book's worth of text takes the ranking a while: not on the threads that serve others.
    let answer = tokio::task::spawn_blocking(move || chat::answer(&work, now_ms() / 1_000)).await;
    let answer = answer.map_err(|error| {
        AiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The model failed: {error}"),
            "server_error",
            None,
        )
    })?;
    Ok((answer?, chat))
}

fn authorize(shared: &Shared, request: &Request) -> Result<(), AiError> {
    let Some(key) = &shared.api_key else { return Ok(()) };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if given.trim() == key => Ok(()),
        given => {
            let what = match given {
                Some(_) => "Incorrect API key provided.",
                None => {
                    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth."
                }
            };
            Err(AiError::new(
                StatusCode::UNAUTHORIZED,
                what.to_owned(),
                "invalid_request_error",
                Some("invalid_api_key"),
            ))
        }
    }
}

fn known_model<'a>(shared: &'a Shared, name: &str) -> Result<&'a str, AiError> {
    let found = shared.models.iter().find(|known| *known == name);
    found.map(String::as_str).ok_or_else(|| {
        let what = format!("The model `{name}` does not exist or you do not have access to it.");
        AiError::new(
            StatusCode::NOT_FOUND,
            what,
            "invalid_request_error",
            Some("model_not_found"),
        )
    })
}

fn describe(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 1_700_000_000, "owned_by": "potok-sandbox" })
}

fn respond(answer: Result<Value, AiError>) -> Response {
    match answer {
        Ok(value) => Response::builder()
            .content_type("application/json")
            .body(value.to_string()),
        Err(error) => error.into_response(),
    }
}

fn stream_of(answer: &Answer, include_usage: bool) -> Response {
    let mut events: Vec<Event> = answer
        .chunks(include_usage)
        .iter()
        .map(|chunk| Event::message(chunk.to_string()))
        .collect();
    events.push(Event::message("[DONE]"));
    SSE::new(stream::iter(events)).into_response()
}
