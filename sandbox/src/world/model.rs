//! What there is in the world.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::Formatted;

/// The id of a person or a bot.
pub type UserId = i64;
/// The id of a chat as the Bot API writes it: `-100…` for channels and supergroups.
pub type ChatId = i64;
/// The number of a message in its chat, from 1, never used twice.
pub type MessageId = i32;

/// A person or a bot's face.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Positive.
    pub id: UserId,
    /// Whether it is a bot.
    pub is_bot: bool,
    /// Shown name.
    pub first_name: String,
    /// Without `@`.
    pub username: Option<String>,
}

/// A bot: a user that programs speak for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bot {
    /// Its face.
    pub user: User,
    /// The secret that its program shows: `<user id>:<35 characters>`.
    pub token: String,
}

/// What kind of chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// One speaks to many; posts are the channel's.
    Channel,
    /// Many speak to many.
    Supergroup,
}

/// A chat, its people and its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    /// `-100…`.
    pub id: ChatId,
    /// Channel or supergroup.
    pub kind: ChatKind,
    /// Shown name.
    pub title: String,
    /// Without `@`; a chat that has none is private: only its members see it.
    pub username: Option<String>,
    /// Who is in it, and who was.
    pub members: BTreeMap<UserId, Membership>,
    /// By number; the oldest go when there are too many.
    pub messages: BTreeMap<MessageId, Message>,
    /// The number of the next message.
    pub next_message: MessageId,
}

/// What a user is to a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Membership {
    /// The owner.
    Creator,
    /// Has some rights.
    Administrator(AdminRights),
    /// Subscribed or joined.
    Member,
    /// Not in it.
    Left,
    /// Thrown out.
    Kicked,
}

/// What an administrator may do; named as in the Bot API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct AdminRights {
    pub can_post_messages: bool,
    pub can_edit_messages: bool,
    pub can_delete_messages: bool,
    pub can_invite_users: bool,
    pub can_change_info: bool,
    pub can_restrict_members: bool,
    pub can_promote_members: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in its chat.
    pub id: MessageId,
    /// Who wrote it; in a channel readers see the channel instead.
    pub author: UserId,
    /// When, in Unix milliseconds.
    pub sent_at: i64,
    /// When it was last edited, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<i64>,
    /// What it says.
    #[serde(flatten)]
    pub content: Formatted,
    /// Where it was forwarded from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<ForwardOrigin>,
    /// Whether it must not be forwarded or copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// How its link is shown, as the author asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_preview: Option<Value>,
    /// How often it was looked at; counted in channels only.
    #[serde(default)]
    pub views: i32,
    /// The number by which its author, when he sends it again, is told that he has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_id: Option<i64>,
}

/// Where a forwarded message was first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardOrigin {
    /// The chat.
    pub chat: ChatId,
    /// Its number there.
    pub message_id: MessageId,
    /// Who wrote it.
    pub author: UserId,
    /// When, in Unix milliseconds.
    pub sent_at: i64,
}

impl Membership {
    /// Whether one with this status is in the chat.
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Creator | Self::Administrator(_) | Self::Member)
    }

    /// Whether it is the owner or an administrator.
    pub fn is_administrator(&self) -> bool {
        matches!(self, Self::Creator | Self::Administrator(_))
    }

    /// The rights that come with it.
    pub fn rights(&self) -> AdminRights {
        match self {
            Self::Creator => AdminRights::all(),
            Self::Administrator(rights) => *rights,
            _ => AdminRights::default(),
        }
    }
}

impl AdminRights {
    /// Everything.
    pub fn all() -> Self {
        Self {
            can_post_messages: true,
            can_edit_messages: true,
            can_delete_messages: true,
            can_invite_users: true,
            can_change_info: true,
            can_restrict_members: true,
            can_promote_members: true,
        }
    }
}

impl Chat {
    /// What `user` is here; one who was never here has left.
    pub fn membership(&self, user: UserId) -> &Membership {
        self.members.get(&user).unwrap_or(&Membership::Left)
    }

    /// Whether it has a public name.
    pub fn is_public(&self) -> bool {
        self.username.is_some()
    }
}
