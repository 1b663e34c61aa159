//! The world's things as the Bot API writes them.

use serde_json::{Map, Value, json};

use crate::text::{Entity, EntityKind};
use crate::world::{
    AdminRights, Bot, Chat, ChatKind, Membership, Message, PrivateMessage, Update, User, UserId, World,
};

/// `User`.
pub(super) fn user(user: &User) -> Value {
    let mut value = json!({ "id": user.id, "is_bot": user.is_bot, "first_name": user.first_name });
    if let Some(username) = &user.username {
        value["username"] = json!(username);
    }
    value
}

/// The `User` that `getMe` answers.
pub(super) fn me(bot: &Bot) -> Value {
    let mut value = user(&bot.user);
    for (capability, able) in [
        ("can_join_groups", true),
        ("can_read_all_group_messages", false),
        ("supports_inline_queries", false),
        ("can_connect_to_business", false),
        ("has_main_web_app", false),
    ] {
        value[capability] = json!(able);
    }
    value
}

/// `Chat`.
pub(super) fn chat(chat: &Chat) -> Value {
    let kind = match chat.kind {
        ChatKind::Channel => "channel",
        ChatKind::Supergroup => "supergroup",
    };
    let mut value = json!({ "id": chat.id, "title": chat.title, "type": kind });
    if let Some(username) = &chat.username {
        value["username"] = json!(username);
    }
    value
}

/// `Message` in a private chat, as its author sees it.
pub(super) fn private_message(world: &World, message: &PrivateMessage) -> Value {
    let other = world.user(message.to);
    let mut chat = json!({ "id": message.to, "type": "private" });
    chat["first_name"] = json!(other.map(|user| &user.first_name));
    json!({
        "message_id": message.id,
        "date": message.sent_at / 1_000,
        "from": world.user(message.from).map(user),
        "chat": chat,
        "text": message.text,
    })
}

/// `ChatFullInfo`, as someone with these rights sees it.
pub(super) fn full_chat(info: &Chat, seen_with: AdminRights) -> Value {
    let mut value = chat(info);
    if seen_with.can_invite_users {
        value["invite_link"] = json!(format!("https://t.me/+{:x}", info.id.unsigned_abs()));
    }
    if let Some(username) = &info.username {
        value["active_usernames"] = json!([username]);
    }
    value["has_visible_history"] = json!(true);
    value["accent_color_id"] = json!(0);
    value["max_reaction_count"] = json!(11);
    value["accepted_gift_types"] = json!({
        "unlimited_gifts": false,
        "limited_gifts": false,
        "unique_gifts": false,
        "premium_subscription": false,
        "gifts_from_channels": false,
    });
    value
}

/// `ChatMember`.
pub(super) fn member(who: &User, membership: &Membership, kind: ChatKind) -> Value {
    let status = match membership {
        Membership::Creator => "creator",
        Membership::Administrator(_) => "administrator",
        Membership::Member => "member",
        Membership::Left => "left",
        Membership::Kicked => "kicked",
    };
    let mut value = json!({ "user": user(who), "status": status });
    match membership {
        Membership::Creator => value["is_anonymous"] = json!(false),
        Membership::Kicked => value["until_date"] = json!(0),
        Membership::Administrator(granted) => rights(&mut value, *granted, kind),
        Membership::Member | Membership::Left => {}
    }
    value
}

fn rights(value: &mut Value, granted: AdminRights, kind: ChatKind) {
    let AdminRights {
        can_post_messages,
        can_edit_messages,
        can_delete_messages,
        can_invite_users,
        can_change_info,
        can_restrict_members,
        can_promote_members,
    } = granted;
    let mut all = vec![
        ("can_be_edited", false),
        ("can_manage_chat", true),
        ("can_change_info", can_change_info),
        ("can_delete_messages", can_delete_messages),
        ("can_invite_users", can_invite_users),
        ("can_restrict_members", can_restrict_members),
        ("can_promote_members", can_promote_members),
        ("can_manage_video_chats", false),
        ("can_post_stories", false),
        ("can_edit_stories", false),
        ("can_delete_stories", false),
        ("can_send_welcome_messages", false),
        ("is_anonymous", false),
    ];
    match kind {
        ChatKind::Channel => {
            all.extend([
                ("can_post_messages", can_post_messages),
                ("can_edit_messages", can_edit_messages),
            ]);
        }
        ChatKind::Supergroup => all.extend([("can_pin_messages", false), ("can_manage_topics", false)]),
    }
    for (right, granted) in all {
        value[right] = json!(granted);
    }
}

/// `Message`.
pub(crate) fn message(world: &World, place: &Chat, message: &Message) -> Value {
    let mut value = Map::new();
    value.insert("message_id".to_owned(), json!(message.id));
    let here = chat(place);
    match place.kind {
        ChatKind::Channel => {
            value.insert("sender_chat".to_owned(), here.clone());
        }
        ChatKind::Supergroup => {
            value.insert("from".to_owned(), known_user(world, message.author));
        }
    }
    value.insert("chat".to_owned(), here);
    value.insert("date".to_owned(), json!(message.sent_at / 1_000));
    if let Some(edited_at) = message.edited_at {
        value.insert("edit_date".to_owned(), json!(edited_at / 1_000));
    }
    if let Some(origin) = &message.forwarded {
        let date = origin.sent_at / 1_000;
        let from_channel = world
            .chats()
            .find(|chat| chat.id == origin.chat && chat.kind == ChatKind::Channel);
        let origin = match from_channel {
            Some(channel) => {
                json!({ "type": "channel", "chat": chat(channel), "message_id": origin.message_id, "date": date })
            }
            None => json!({ "type": "user", "sender_user": known_user(world, origin.author), "date": date }),
        };
        value.insert("forward_origin".to_owned(), origin);
    }
    if message.protected {
        value.insert("has_protected_content".to_owned(), json!(true));
    }
    value.insert("text".to_owned(), json!(message.content.text));
    if !message.content.entities.is_empty() {
        let entities = message
            .content
            .entities
            .iter()
            .map(|found| entity(world, found))
            .collect();
        value.insert("entities".to_owned(), Value::Array(entities));
    }
    if let Some(options) = &message.link_preview {
        value.insert("link_preview_options".to_owned(), options.clone());
    }
    Value::Object(value)
}

/// `Update`.
pub(super) fn update(world: &World, update: &Update) -> Option<Value> {
    let place = world.chats().find(|chat| chat.id == update.chat)?;
    let mut value = json!({ "update_id": update.id });
    value[update.kind.name()] = message(world, place, &update.message);
    Some(value)
}

fn known_user(world: &World, id: UserId) -> Value {
    world
        .user(id)
        .map_or_else(|| json!({ "id": id, "is_bot": false, "first_name": "" }), user)
}

fn entity(world: &World, entity: &Entity) -> Value {
    match &entity.kind {
        EntityKind::TextMention { user_id } => json!({
            "offset": entity.offset,
            "length": entity.length,
            "type": "text_mention",
            "user": known_user(world, *user_id),
        }),
        _ => serde_json::to_value(entity).unwrap_or_default(),
    }
}
