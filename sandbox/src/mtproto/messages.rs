//! Writing and reading messages.

use grammers_tl_types::{self as tl, functions as f};

use super::channels::visible;
use super::peers::{self, channel_id};
use super::rpc::{Call, RpcError, blank};
use super::seconds;
use crate::text::{Entity, EntityKind, Formatted, MAX_MESSAGE_UNITS, utf16_len};
use crate::world::{Chat, ChatKind, Message, Post, UserId};

/// The most messages of one answer.
const MAX_AT_ONCE: usize = 100;

/// A message with the same `random_id` is taken once; the second time is an error, not a second message.
pub(super) fn send_message(
    call: &mut Call<'_>,
    request: f::messages::SendMessage,
) -> Result<tl::enums::Updates, RpcError> {
    let me = call.me()?;
    let other = call.other(me, &request.peer)?;
    if request.message.trim().is_empty() {
        return Err(RpcError::bad_request("MESSAGE_EMPTY"));
    }
    if utf16_len(&request.message) > MAX_MESSAGE_UNITS {
        return Err(RpcError::bad_request("MESSAGE_TOO_LONG"));
    }
    if request.reply_markup.is_some() || request.schedule_date.is_some() || request.send_as.is_some() {
        return Err(RpcError::bad_request("PARAMETER_NOT_IN_SANDBOX"));
    }
    if let Some(other) = other {
        return send_private(call, me, other, request);
    }
    let id = call.place(me, &request.peer)?;
    let entities = request.entities.unwrap_or_default();
    let post = Post {
        content: Formatted {
            entities: entities.iter().map(read_entity).collect::<Result<_, _>>()?,
            text: request.message,
        },
        protected: request.noforwards,
        ..Post::default()
    };
    let sent = call
        .world
        .send_once(me, &id.to_string(), request.random_id, post, call.now)?;
    let Some(message) = sent else {
        return Err(RpcError::new(500, "RANDOM_ID_DUPLICATE"));
    };
    let chat = visible(call, me, id)?;
    let named = tl::types::UpdateMessageId {
        id: message.id,
        random_id: request.random_id,
    };
    let new = tl::types::UpdateNewChannelMessage {
        message: shown(me, chat, &message)?,
        pts: message.id,
        pts_count: 1,
    };
    Ok(tl::types::Updates {
        updates: vec![named.into(), new.into()],
        users: peers::users(call.world, me, [me])?,
        chats: vec![peers::chat(me, chat)?],
        date: seconds(call.now),
        seq: 0,
    }
    .into())
}

fn send_private(
    call: &mut Call<'_>,
    me: UserId,
    other: UserId,
    request: f::messages::SendMessage,
) -> Result<tl::enums::Updates, RpcError> {
    let sent = call
        .world
        .write_private((me, other), request.message, Some(request.random_id), call.now)?;
    let message = sent.ok_or_else(|| RpcError::new(500, "RANDOM_ID_DUPLICATE"))?;
    Ok(tl::types::UpdateShortSentMessage {
        out: true,
        id: message.id,
        pts: message.id,
        pts_count: 1,
        date: seconds(message.sent_at),
        media: None,
        entities: None,
        ttl_period: None,
    }
    .into())
}

/// The latest messages, or those before `offset_id`; newest first.
pub(super) fn get_history(
    call: &mut Call<'_>,
    request: f::messages::GetHistory,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let me = call.me()?;
    let id = call.place(me, &request.peer)?;
    let chat = visible(call, me, id)?;
    let before = if request.offset_id > 0 {
        request.offset_id
    } else {
        i32::MAX
    };
    let limit = usize::try_from(request.limit).unwrap_or(0).min(MAX_AT_ONCE);
    let skip = usize::try_from(request.add_offset).unwrap_or(0);
    let fits = |message: &&Message| {
        (request.offset_date <= 0 || seconds(message.sent_at) < request.offset_date)
            && (request.max_id <= 0 || message.id < request.max_id)
            && message.id > request.min_id
    };
    let found = chat.messages.range(..before).rev().map(|(_, message)| message);
    let page: Vec<&Message> = found.filter(fits).skip(skip).take(limit).collect();
    answer(call, me, chat, page)
}

/// Messages by their numbers; in the place of those that do not exist stands an empty one.
pub(super) fn get_messages(
    call: &mut Call<'_>,
    request: f::channels::GetMessages,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let me = call.me()?;
    let id = call.channel(me, &request.channel)?;
    let chat = visible(call, me, id)?;
    let mut messages = Vec::new();
    for wanted in request.id.iter().take(MAX_AT_ONCE) {
        let tl::enums::InputMessage::Id(wanted) = wanted else {
            return Err(RpcError::bad_request("MESSAGE_IDS_NOT_IN_SANDBOX"));
        };
        messages.push(match chat.messages.get(&wanted.id) {
            Some(message) => shown(me, chat, message)?,
            None => tl::types::MessageEmpty {
                id: wanted.id,
                peer_id: None,
            }
            .into(),
        });
    }
    list(call, me, chat, messages)
}

fn answer(
    call: &Call<'_>,
    me: UserId,
    chat: &Chat,
    page: Vec<&Message>,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let messages = page.into_iter().map(|message| shown(me, chat, message));
    list(call, me, chat, messages.collect::<Result<_, _>>()?)
}

fn list(
    call: &Call<'_>,
    me: UserId,
    chat: &Chat,
    messages: Vec<tl::enums::Message>,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let authors = messages.iter().filter_map(|message| match message {
        tl::enums::Message::Message(message) => match &message.from_id {
            Some(tl::enums::Peer::User(user)) => Some(user.user_id),
            _ => None,
        },
        _ => None,
    });
    let authors: std::collections::BTreeSet<UserId> = authors.collect();
    let count = i32::try_from(chat.messages.len()).unwrap_or(i32::MAX);
    let users = peers::users(call.world, me, authors)?;
    let list = blank!(tl::types::messages::ChannelMessages; 0i32, chat.next_message, count, messages,
        Vec::<tl::enums::ForumTopic>::new(), vec![peers::chat(me, chat)?], users)?;
    Ok(list.into())
}

/// A message as `viewer` sees it. In a channel the channel writes.
fn shown(viewer: UserId, chat: &Chat, message: &Message) -> Result<tl::enums::Message, RpcError> {
    let place = tl::enums::Peer::Channel(tl::types::PeerChannel {
        channel_id: channel_id(chat.id),
    });
    let text = message.content.text.clone();
    let mut shown = blank!(tl::types::Message; 0i32, 0i32, message.id, place, seconds(message.sent_at), text)?;
    shown.edit_date = message.edited_at.map(seconds);
    shown.noforwards = message.protected;
    let entities: Vec<_> = message.content.entities.iter().filter_map(show_entity).collect();
    shown.entities = (!entities.is_empty()).then_some(entities);
    match chat.kind {
        ChatKind::Channel => {
            shown.post = true;
            shown.views = Some(message.views);
            shown.forwards = Some(0);
        }
        ChatKind::Supergroup => {
            shown.out = message.author == viewer;
            shown.from_id = Some(
                tl::types::PeerUser {
                    user_id: message.author,
                }
                .into(),
            );
        }
    }
    Ok(shown.into())
}

/// An entity of the client's; kinds that the world does not have are refused by name.
fn read_entity(entity: &tl::enums::MessageEntity) -> Result<Entity, RpcError> {
    use tl::enums::MessageEntity as E;
    let (offset, length, kind) = match entity {
        E::Bold(e) => (e.offset, e.length, EntityKind::Bold),
        E::Italic(e) => (e.offset, e.length, EntityKind::Italic),
        E::Underline(e) => (e.offset, e.length, EntityKind::Underline),
        E::Strike(e) => (e.offset, e.length, EntityKind::Strikethrough),
        E::Spoiler(e) => (e.offset, e.length, EntityKind::Spoiler),
        E::Code(e) => (e.offset, e.length, EntityKind::Code),
        E::Pre(e) => {
            let language = Some(e.language.clone()).filter(|language| !language.is_empty());
            (e.offset, e.length, EntityKind::Pre { language })
        }
        E::TextUrl(e) => (e.offset, e.length, EntityKind::TextLink { url: e.url.clone() }),
        E::Blockquote(e) if e.collapsed => (e.offset, e.length, EntityKind::ExpandableBlockquote),
        E::Blockquote(e) => (e.offset, e.length, EntityKind::Blockquote),
        E::Mention(e) => (e.offset, e.length, EntityKind::Mention),
        E::Hashtag(e) => (e.offset, e.length, EntityKind::Hashtag),
        E::Url(e) => (e.offset, e.length, EntityKind::Url),
        _ => return Err(RpcError::bad_request("ENTITY_NOT_IN_SANDBOX")),
    };
    let bounds = (usize::try_from(offset), usize::try_from(length));
    let (Ok(offset), Ok(length)) = bounds else {
        return Err(RpcError::bad_request("ENTITY_BOUNDS_INVALID"));
    };
    Ok(Entity { offset, length, kind })
}

/// An entity as the protocol has it; custom emoji and mentions of people by id are shown as plain text.
fn show_entity(entity: &Entity) -> Option<tl::enums::MessageEntity> {
    use tl::types as t;
    let offset = i32::try_from(entity.offset).ok()?;
    let length = i32::try_from(entity.length).ok()?;
    Some(match &entity.kind {
        EntityKind::Mention => t::MessageEntityMention { offset, length }.into(),
        EntityKind::Hashtag => t::MessageEntityHashtag { offset, length }.into(),
        EntityKind::Cashtag => t::MessageEntityCashtag { offset, length }.into(),
        EntityKind::BotCommand => t::MessageEntityBotCommand { offset, length }.into(),
        EntityKind::Url => t::MessageEntityUrl { offset, length }.into(),
        EntityKind::Email => t::MessageEntityEmail { offset, length }.into(),
        EntityKind::Bold => t::MessageEntityBold { offset, length }.into(),
        EntityKind::Italic => t::MessageEntityItalic { offset, length }.into(),
        EntityKind::Underline => t::MessageEntityUnderline { offset, length }.into(),
        EntityKind::Strikethrough => t::MessageEntityStrike { offset, length }.into(),
        EntityKind::Spoiler => t::MessageEntitySpoiler { offset, length }.into(),
        EntityKind::Code => t::MessageEntityCode { offset, length }.into(),
        EntityKind::Pre { language } => {
            let language = language.clone().unwrap_or_default();
            t::MessageEntityPre {
                offset,
                length,
                language,
            }
            .into()
        }
        EntityKind::TextLink { url } => {
            let url = url.clone();
            t::MessageEntityTextUrl { offset, length, url }.into()
        }
        EntityKind::Blockquote | EntityKind::ExpandableBlockquote => {
            let collapsed = entity.kind == EntityKind::ExpandableBlockquote;
            t::MessageEntityBlockquote {
                collapsed,
                offset,
                length,
            }
            .into()
        }
        EntityKind::TextMention { .. } | EntityKind::CustomEmoji { .. } => return None,
    })
}
