//! `/sandbox/…`: looking into the world and scripting faults. No such thing exists at Telegram or at a model's vendor:
//! tests and the demo use it, providers never do.
//!
//! | request | answer |
//! |---|---|
//! | `GET /sandbox/state` | bots with tokens, chats with members and the number of messages |
//! | `GET /sandbox/channels/{id or @name}/messages?after=N&limit=M` | the chat, and its messages as `Message` of the Bot API with `author` besides; oldest first, at most 1,000 |
//! | `POST /sandbox/channels/{id or @name}/messages` `{text, parse_mode?, author?}` | a person (user 11 unless told) writes |
//! | `PUT /sandbox/channels/{id or @name}/members/{user}` with a [`Membership`]: `{"status": "kicked"}` | the user is that now |
//! | `POST /sandbox/faults` with a [`Fault`] or a list of them | what is still to come |
//! | `GET`, `DELETE /sandbox/faults` | what is still to come; forget it |
//! | `GET /sandbox/requests` | how often each method was called, and how often met with a fault |

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::{Data, Json, Path, Query};
use poem::{Body, IntoResponse, Response, Route, get, handler, put};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bot_api::{ApiError, parse_text, render_message};
use crate::faults::Fault;
use crate::state::Shared;
use crate::world::{Membership, Post, Refusal, World};

/// The largest body, in bytes.
const MAX_BODY: usize = 1 << 20;
/// The most messages of one answer.
const MAX_MESSAGES: usize = 1_000;

pub(crate) fn routes() -> Route {
    Route::new()
        .at("/state", get(state))
        .at("/requests", get(requests))
        .at("/faults", get(faults).post(script).delete(forget))
        .at("/channels/:chat/messages", get(messages).post(write))
        .at("/channels/:chat/members/:user", put(promote))
}

#[handler]
fn state(Data(shared): Data<&Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let bots: Vec<Value> = world
        .bots()
        .map(|bot| json!({ "user": bot.user, "token": bot.token }))
        .collect();
    let chats = world.chats().map(|chat| {
        json!({
            "id": chat.id,
            "kind": chat.kind,
            "title": chat.title,
            "username": chat.username,
            "members": chat.members,
            "messages": chat.messages.len(),
        })
    });
    Json(json!({ "bots": bots, "chats": chats.collect::<Vec<_>>(), "models": shared.models }))
}

#[handler]
fn requests(Data(shared): Data<&Arc<Shared>>) -> Response {
    Json(shared.counts()).into_response()
}

#[handler]
fn faults(Data(shared): Data<&Arc<Shared>>) -> Json<Value> {
    Json(json!({ "faults": shared.faults.list() }))
}

#[handler]
fn forget(Data(shared): Data<&Arc<Shared>>) -> Json<Value> {
    shared.faults.clear();
    Json(json!({ "faults": [] }))
}

#[handler]
async fn script(body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let value: Value = match read(body).await {
        Ok(value) => value,
        Err(response) => return response,
    };
    let list = if value.is_array() { value } else { json!([value]) };
    let list: Vec<Fault> = match serde_json::from_value(list) {
        Ok(list) => list,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    if !list.into_iter().all(|fault| shared.faults.add(fault)) {
        return refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "too many scripted faults; DELETE /sandbox/faults forgets them",
        );
    }
    Json(json!({ "faults": shared.faults.list() })).into_response()
}

#[derive(Deserialize)]
struct Window {
    #[serde(default)]
    after: i32,
    #[serde(default = "everything")]
    limit: usize,
}

fn everything() -> usize {
    MAX_MESSAGES
}

#[handler]
fn messages(Path(chat): Path<String>, Query(window): Query<Window>, Data(shared): Data<&Arc<Shared>>) -> Response {
    let world = shared.world();
    let Some(found) = world.find_chat(&chat) else {
        return refuse(StatusCode::NOT_FOUND, "chat not found");
    };
    let later = (std::ops::Bound::Excluded(window.after), std::ops::Bound::Unbounded);
    let messages = found.messages.range(later).take(window.limit.min(MAX_MESSAGES));
    let messages: Vec<Value> = messages
        .map(|(_, message)| {
            let mut value = render_message(&world, found, message);
            value["author"] = json!(message.author);
            value
        })
        .collect();
    let chat = json!({ "id": found.id, "username": found.username, "title": found.title });
    Json(json!({ "chat": chat, "count": found.messages.len(), "messages": messages })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
    #[serde(default)]
    parse_mode: String,
    #[serde(default = "owner")]
    author: i64,
}

fn owner() -> i64 {
    11
}

#[handler]
async fn write(Path(chat): Path<String>, body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let Written {
        text,
        parse_mode,
        author,
    } = match read(body).await {
        Ok(written) => written,
        Err(response) => return response,
    };
    let content = match parse_text(&text, &parse_mode, "") {
        Ok(content) => content,
        Err(ApiError { description, .. }) => return refuse(StatusCode::BAD_REQUEST, &description),
    };
    let post = Post {
        content,
        ..Post::default()
    };
    let written = shared.change(move |world: &mut World, now| {
        let message = world.send(author, &chat, post, now)?;
        Ok::<_, Refusal>(
            world
                .find_chat(&chat)
                .map(|place| render_message(world, place, &message)),
        )
    });
    match written.await {
        Ok(Ok(message)) => Json(message).into_response(),
        Ok(Err(refusal)) => refuse(StatusCode::BAD_REQUEST, &refusal.to_string()),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[handler]
async fn promote(Path((chat, user)): Path<(String, i64)>, body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let membership: Membership = match read(body).await {
        Ok(membership) => membership,
        Err(response) => return response,
    };
    let told = membership.clone();
    let changed = shared.change(move |world: &mut World, _| {
        let (id, known) = (world.find_chat(&chat)?.id, world.user(user).is_some());
        known.then(|| world.set_membership(id, user, membership))
    });
    match changed.await {
        Ok(Some(())) => Json(told).into_response(),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "there is no such chat, or nobody has this id"),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn read<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, Response> {
    let bytes = body.into_bytes_limit(MAX_BODY).await;
    let bytes = bytes.map_err(|error| refuse(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refuse(StatusCode::BAD_REQUEST, &error.to_string()))
}

fn refuse(status: StatusCode, why: &str) -> Response {
    Json(json!({ "error": why })).with_status(status).into_response()
}
