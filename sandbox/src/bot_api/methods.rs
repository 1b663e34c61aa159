//! The methods that the sandbox knows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::params::Params;
use super::render;
use crate::state::Shared;
use crate::world::{Bot, Post, PrivateRefusal, Refusal};

/// The longest long poll, in seconds.
const MAX_POLL_SECONDS: i64 = 50;

const METHODS: [&str; 14] = [
    "getMe",
    "getChat",
    "getChatMember",
    "getChatMemberCount",
    "getChatAdministrators",
    "sendMessage",
    "editMessageText",
    "editMessageReplyMarkup",
    "deleteMessage",
    "copyMessage",
    "forwardMessage",
    "getUpdates",
    "getWebhookInfo",
    "deleteWebhook",
];

/// The name as documented; methods are called in any case. An unknown one stays as it is.
pub(super) fn canonical(method: &str) -> String {
    let known = METHODS.iter().find(|known| known.eq_ignore_ascii_case(method));
    known.map_or_else(|| method.chars().take(64).collect(), |known| (*known).to_owned())
}

/// Does what a method says.
pub(super) async fn call(shared: &Arc<Shared>, bot: &Bot, method: &str, params: &Params) -> Result<Value, ApiError> {
    let me = bot.user.id;
    let only = |known: &[&str]| params.only(method, known);
    match method {
        "getMe" => only(&[]).map(|()| render::me(bot)),
        "getChat" => {
            only(&["chat_id"])?;
            let world = shared.world();
            let chat = world.visible_chat(me, &params.chat("chat_id")?)?;
            Ok(render::full_chat(chat, chat.membership(me).rights()))
        }
        "getChatMember" => {
            only(&["chat_id", "user_id"])?;
            get_chat_member(shared, me, &params.chat("chat_id")?, params.user_id()?)
        }
        "getChatMemberCount" => {
            only(&["chat_id"])?;
            let world = shared.world();
            let chat = world.visible_chat(me, &params.chat("chat_id")?)?;
            Ok(json!(
                chat.members.values().filter(|member| member.is_present()).count()
            ))
        }
        "getChatAdministrators" => {
            only(&["chat_id"])?;
            get_chat_administrators(shared, me, &params.chat("chat_id")?)
        }
        "sendMessage" => {
            only(&[
                "chat_id",
                "text",
                "parse_mode",
                "entities",
                "disable_notification",
                "protect_content",
                "link_preview_options",
                "disable_web_page_preview",
            ])?;
            send_message(shared, me, params).await
        }
        "editMessageText" => {
            let known = [
                "chat_id",
                "message_id",
                "text",
                "parse_mode",
                "entities",
                "link_preview_options",
            ];
            only(&[&known[..], &["disable_web_page_preview"]].concat())?;
            edit_message_text(shared, me, params).await
        }
        "editMessageReplyMarkup" => {
            only(&["chat_id", "message_id"])?;
            let world = shared.world();
            world.editable(me, &params.chat("chat_id")?, params.message_id())?;
            // Messages of the sandbox have no keyboards, so there is never one to take away.
            Err(Refusal::NotModified.into())
        }
        "deleteMessage" => {
            only(&["chat_id", "message_id"])?;
            let (chat, message) = (params.chat("chat_id")?, params.message_id());
            shared
                .change(move |world, now| world.delete(me, &chat, message, now))
                .await??;
            Ok(json!(true))
        }
        "copyMessage" | "forwardMessage" => {
            only(&[
                "chat_id",
                "from_chat_id",
                "message_id",
                "disable_notification",
                "protect_content",
            ])?;
            resend(shared, me, params, method == "forwardMessage").await
        }
        "getUpdates" => {
            only(&["offset", "limit", "timeout", "allowed_updates"])?;
            get_updates(shared, me, params).await
        }
        "getWebhookInfo" => {
            only(&[])?;
            let waiting = shared.world().waiting_updates(me);
            Ok(json!({ "url": "", "has_custom_certificate": false, "pending_update_count": waiting }))
        }
        "deleteWebhook" => {
            only(&["drop_pending_updates"])?;
            if params.flag("drop_pending_updates") {
                shared.world().drop_updates(me);
            }
            Ok(json!(true))
        }
        _ => Err(ApiError::new(404, "Not Found: method not found".to_owned())),
    }
}

fn get_chat_member(shared: &Shared, me: i64, chat: &str, user: i64) -> Result<Value, ApiError> {
    let world = shared.world();
    // Everyone may ask about itself.
    let chat = if user == me {
        world.visible_chat(me, chat)?
    } else {
        world.chat_with_members(me, chat)?
    };
    let who = world.user(user).ok_or(Refusal::MemberNotFound)?;
    Ok(render::member(who, chat.membership(user), chat.kind))
}

fn get_chat_administrators(shared: &Shared, me: i64, chat: &str) -> Result<Value, ApiError> {
    let world = shared.world();
    let chat = world.chat_with_members(me, chat)?;
    let administrators = chat
        .members
        .iter()
        .filter(|(_, membership)| membership.is_administrator());
    let administrators = administrators.filter_map(|(id, membership)| {
        let who = world.user(*id)?;
        // Other bots are not shown.
        (!who.is_bot || *id == me).then(|| render::member(who, membership, chat.kind))
    });
    Ok(administrators.collect())
}

async fn send_message(shared: &Arc<Shared>, me: i64, params: &Params) -> Result<Value, ApiError> {
    let content = params.formatted()?;
    let post = Post {
        content,
        protected: params.flag("protect_content"),
        link_preview: params.link_preview()?,
        random_id: None,
    };
    let chat = params.chat("chat_id")?;
    if let Some(person) = chat.parse().ok().filter(|id: &i64| *id > 0) {
        let text = post.content.text;
        let sent = shared.change(move |world, now| {
            let sent = world.write_private((me, person), text, None, now)?;
            Ok::<_, PrivateRefusal>(sent.map(|message| render::private_message(world, &message)))
        });
        return Ok(sent.await??.unwrap_or_default());
    }
    let sent = shared.change(move |world, now| {
        let message = world.send(me, &chat, post, now)?;
        Ok::<_, Refusal>(
            world
                .find_chat(&chat)
                .map(|place| render::message(world, place, &message)),
        )
    });
    Ok(sent.await??.unwrap_or_default())
}

async fn edit_message_text(shared: &Arc<Shared>, me: i64, params: &Params) -> Result<Value, ApiError> {
    let post = Post {
        content: params.formatted()?,
        protected: false,
        link_preview: params.link_preview()?,
        random_id: None,
    };
    let (chat, message_id) = (params.chat("chat_id")?, params.message_id());
    let edited = shared.change(move |world, now| {
        let message = world.edit(me, &chat, message_id, post, now)?;
        Ok::<_, Refusal>(
            world
                .find_chat(&chat)
                .map(|place| render::message(world, place, &message)),
        )
    });
    Ok(edited.await??.unwrap_or_default())
}

async fn resend(shared: &Arc<Shared>, me: i64, params: &Params, forward: bool) -> Result<Value, ApiError> {
    let (to, from) = (params.chat("chat_id")?, params.chat("from_chat_id")?);
    let (message_id, protected) = (params.message_id(), params.flag("protect_content"));
    let sent = shared.change(move |world, now| {
        let message = world.resend(me, &to, (&from, message_id), forward, protected, now)?;
        let whole = world
            .find_chat(&to)
            .map(|place| render::message(world, place, &message));
        Ok::<_, Refusal>(if forward {
            whole.unwrap_or_default()
        } else {
            json!({ "message_id": message.id })
        })
    });
    Ok(sent.await??)
}

async fn get_updates(shared: &Arc<Shared>, me: i64, params: &Params) -> Result<Value, ApiError> {
    let offset = params.number("offset", 0);
    let limit = usize::try_from(params.number("limit", 100).clamp(1, 100)).unwrap_or(100);
    let seconds = params.number("timeout", 0).clamp(0, MAX_POLL_SECONDS).unsigned_abs();
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut allowed = params.words("allowed_updates");
    let poll = shared.begin_poll(me);
    let mut changes = shared.changes();
    loop {
        changes.mark_unchanged();
        if !shared.is_latest_poll(me, poll) {
            let other =
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
            return Err(ApiError::new(409, other.to_owned()));
        }
        let updates: Vec<Value> = {
            let mut world = shared.world();
            let updates = world.updates(me, offset, limit, allowed.take());
            updates
                .iter()
                .filter_map(|update| render::update(&world, update))
                .collect()
        };
        if !updates.is_empty() {
            return Ok(updates.into());
        }
        tokio::select! {
            changed = timeout_at(deadline, changes.changed()) => {
                if changed.is_err() {
                    return Ok(json!([]));
                }
            }
            () = shared.stopped() => return Ok(json!([])),
        }
    }
}
