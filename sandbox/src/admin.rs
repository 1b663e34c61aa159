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
//! | `POST /sandbox/channels/{id or @name}/messages/{number}/views` `{views}` | says how often a post was looked at |
//! | `GET /sandbox/users/{id}/messages` | the private messages that somebody has written or received, oldest first |
//! | `POST /sandbox/users/{id}/messages` `{to, text}` | a person writes to another, or to a bot |
//! | `POST /sandbox/mtproto/keys` | a new authorisation key in base64, and where the data centres are |
//! | `POST /sandbox/mtproto/scan` `{token, phone}` | the owner of the number scans the QR code of the token (base64, as in the link) |
//! | `POST /sandbox/mtproto/revoke` `{phone}` | ends all sessions of the owner of the number |
//! | `GET /sandbox/requests` | how often each method was called, and how often met with a fault |

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use poem::http::StatusCode;
use poem::web::{Data, Json, Path, Query};
use poem::{Body, IntoResponse, Response, Route, get, handler, post, put};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bot_api::{ApiError, parse_text, render_message};
use crate::faults::Fault;
use crate::mtproto;
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
        .at("/channels/:chat/messages/:number/views", post(views))
        .at("/users/:user/messages", get(private).post(write_private))
        .at("/mtproto/keys", post(keys))
        .at("/mtproto/scan", post(scan))
        .at("/mtproto/revoke", post(revoke))
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
    let accounts = world.accounts().map(|account| {
        let sessions = world
            .devices()
            .filter(|device| device.user == Some(account.user) && !device.revoked);
        json!({ "account": account, "sessions": sessions.count() })
    });
    let accounts: Vec<Value> = accounts.collect();
    Json(json!({
        "bots": bots,
        "chats": chats.collect::<Vec<_>>(),
        "accounts": accounts,
        "models": shared.models,
    }))
}

#[handler]
fn private(Path(user): Path<i64>, Data(shared): Data<&Arc<Shared>>) -> Response {
    let world = shared.world();
    let mut found: Vec<_> = world.private_messages(user).collect();
    let last = found.split_off(found.len().saturating_sub(MAX_MESSAGES));
    Json(json!({ "messages": last })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Private {
    to: i64,
    text: String,
}

#[handler]
async fn write_private(Path(user): Path<i64>, body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let Private { to, text } = match read(body).await {
        Ok(message) => message,
        Err(response) => return response,
    };
    let written = shared.change(move |world, now| world.write_private((user, to), text, None, now));
    match written.await {
        Ok(Ok(message)) => Json(json!({ "message": message })).into_response(),
        Ok(Err(refusal)) => refuse(StatusCode::FORBIDDEN, &refusal.to_string()),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
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
    let message = Post {
        content,
        ..Post::default()
    };
    let written = shared.change(move |world: &mut World, now| {
        let message = world.send(author, &chat, message, now)?;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Views {
    views: i32,
}

#[handler]
async fn views(Path((chat, number)): Path<(String, i32)>, body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let Views { views } = match read(body).await {
        Ok(views) => views,
        Err(response) => return response,
    };
    let set = shared.change(move |world: &mut World, _| {
        let chat = world.find_chat(&chat).map(|chat| chat.id);
        chat.is_some_and(|chat| world.set_views(chat, number, views))
    });
    match set.await {
        Ok(true) => Json(json!({ "views": views })).into_response(),
        Ok(false) => refuse(StatusCode::NOT_FOUND, "message not found"),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[handler]
async fn keys(Data(shared): Data<&Arc<Shared>>) -> Response {
    match mtproto::new_key(shared).await {
        Ok(key) => Json(json!({
            "auth_key": STANDARD.encode(key),
            "address": shared.mtproto.address().map(|address| address.to_string()),
            "data_centres": mtproto::DATA_CENTRES,
        }))
        .into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    token: String,
    phone: String,
}

#[handler]
async fn scan(body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let Scan { token, phone } = match read(body).await {
        Ok(scan) => scan,
        Err(response) => return response,
    };
    let Ok(token) = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the token is not base64 as in a link tg://login?token=",
        );
    };
    match mtproto::scan(shared, token, phone).await {
        Ok(Ok(())) => Json(json!({ "scanned": true })).into_response(),
        Ok(Err(refusal)) => refuse(StatusCode::BAD_REQUEST, &refusal.to_string()),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    phone: String,
}

#[handler]
async fn revoke(body: Body, Data(shared): Data<&Arc<Shared>>) -> Response {
    let Revoke { phone } = match read(body).await {
        Ok(revoke) => revoke,
        Err(response) => return response,
    };
    let revoked = shared.change(move |world: &mut World, _| {
        let user = world.account_by_phone(&phone)?.user;
        Some(world.revoke(user))
    });
    match revoked.await {
        Ok(Some(count)) => Json(json!({ "sessions": count })).into_response(),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "nobody has this phone number"),
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
