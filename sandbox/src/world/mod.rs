//! The Telegram world: people, bots, chats, rights, messages, and the rules between them.
//!
//! No HTTP, no clock, no disk: whoever calls brings the time, and takes away what changed ([`World::take_changes`]) to
//! keep it. Front ends speak their protocol and turn a [`Refusal`] into their own words, so that the same world can stand
//! behind the Bot API and behind MTProto.

mod accounts;
mod limits;
mod model;
mod people;
mod private;
mod refusal;
mod rules;
mod seed;
mod updates;

pub use accounts::{Account, Audience, Device, KeyId, LoginToken, Password, Privacy, SignInRefusal};
pub use limits::{Bucket, RateLimits};
pub use model::{
    AdminRights, Bot, Chat, ChatId, ChatKind, ForwardOrigin, Membership, Message, MessageId, User, UserId,
};
pub use people::{InviteRefusal, Invited, MAX_ADDED_TO_CHANNEL};
pub use private::{PrivateMessage, PrivateRefusal};
pub use refusal::Refusal;
pub use rules::{Post, World};
pub use seed::{
    ChatSeed, DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL, DEFAULT_PHONE, ELSEWHERE_CHANNEL, READ_ONLY_CHANNEL, WorldSeed,
};
pub use updates::{Update, UpdateKind};

/// A change that has to be kept so that the world survives a restart.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A message is new or has another content.
    Message {
        /// Where.
        chat: ChatId,
        /// The whole message.
        message: Message,
    },
    /// A message is gone.
    Deleted {
        /// Where.
        chat: ChatId,
        /// Which.
        message_id: MessageId,
    },
    /// The next message of the chat gets this id. Written when the world is compacted, since ids are never used again.
    NextMessage {
        /// Where.
        chat: ChatId,
        /// The id.
        message_id: MessageId,
    },
    /// Somebody is something else in a chat.
    Member {
        /// Where.
        chat: ChatId,
        /// Who.
        user: UserId,
        /// What.
        membership: Membership,
    },
    /// Somebody has other contacts.
    Contacts {
        /// Whose.
        user: UserId,
        /// All of them.
        contacts: std::collections::BTreeSet<UserId>,
    },
    /// A private message is new.
    Private(PrivateMessage),
    /// A key is new, or someone else is signed in with it.
    Device(Device),
}

#[cfg(test)]
mod tests;
