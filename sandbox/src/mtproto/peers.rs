//! People and chats as the protocol shows them, and as clients refer to them.
//!
//! An access hash is good for the one account that it was given to, so that a client that lends them about is found out.

use grammers_tl_types as tl;

use super::cipher::sha256;
use super::rpc::{Call, RpcError, blank};
use super::seconds;
use crate::world::{AdminRights, Chat, ChatId, ChatKind, Membership, User, UserId, World};

/// `-100…` of the Bot API is this number below zero, less the channel's own.
const CHANNELS: i64 = -1_000_000_000_000;

pub(super) fn channel_id(chat: ChatId) -> i64 {
    CHANNELS - chat
}

pub(super) fn chat_id(channel: i64) -> ChatId {
    CHANNELS.saturating_sub(channel)
}

fn access_hash(viewer: UserId, peer: i64) -> i64 {
    let hash = sha256(&[b"potok sandbox access", &viewer.to_le_bytes(), &peer.to_le_bytes()]);
    hash.as_ref()
        .first_chunk()
        .map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

impl Call<'_> {
    /// Whom the client means; `me` is who calls.
    pub(super) fn user(&self, me: UserId, input: &tl::enums::InputUser) -> Result<UserId, RpcError> {
        match input {
            tl::enums::InputUser::UserSelf => Ok(me),
            tl::enums::InputUser::User(user) => self.known(me, user.user_id, user.access_hash),
            _ => Err(RpcError::bad_request("USER_ID_INVALID")),
        }
    }

    fn known(&self, me: UserId, user: UserId, hash: i64) -> Result<UserId, RpcError> {
        let right = user == me || hash == access_hash(me, user);
        if right && self.world.user(user).is_some() {
            Ok(user)
        } else {
            Err(RpcError::bad_request("USER_ID_INVALID"))
        }
    }

    /// The person that the client means by a peer.
    pub(super) fn person(&self, me: UserId, input: &tl::enums::InputPeer) -> Result<UserId, RpcError> {
        match input {
            tl::enums::InputPeer::PeerSelf => Ok(me),
            tl::enums::InputPeer::User(user) => self.known(me, user.user_id, user.access_hash),
            _ => Err(RpcError::bad_request("PARTICIPANT_ID_INVALID")),
        }
    }

    /// The chat that the client means.
    pub(super) fn channel(&self, me: UserId, input: &tl::enums::InputChannel) -> Result<ChatId, RpcError> {
        match input {
            tl::enums::InputChannel::Channel(channel) => self.chat(me, channel.channel_id, channel.access_hash),
            _ => Err(RpcError::bad_request("CHANNEL_INVALID")),
        }
    }

    /// The person whom the client means by a peer; `None` for a chat.
    pub(super) fn other(&self, me: UserId, input: &tl::enums::InputPeer) -> Result<Option<UserId>, RpcError> {
        match input {
            tl::enums::InputPeer::User(user) => self.known(me, user.user_id, user.access_hash).map(Some),
            _ => Ok(None),
        }
    }

    /// The chat that the client means by a peer.
    pub(super) fn place(&self, me: UserId, input: &tl::enums::InputPeer) -> Result<ChatId, RpcError> {
        match input {
            tl::enums::InputPeer::Channel(channel) => self.chat(me, channel.channel_id, channel.access_hash),
            tl::enums::InputPeer::User(_) | tl::enums::InputPeer::PeerSelf => {
                Err(RpcError::bad_request("PRIVATE_CHAT_NOT_IN_SANDBOX"))
            }
            _ => Err(RpcError::bad_request("PEER_ID_INVALID")),
        }
    }

    fn chat(&self, me: UserId, channel: i64, hash: i64) -> Result<ChatId, RpcError> {
        let id = chat_id(channel);
        if self.world.chat(id).is_some() && hash == access_hash(me, id) {
            Ok(id)
        } else {
            Err(RpcError::bad_request("CHANNEL_INVALID"))
        }
    }
}

/// A person or a bot, as `viewer` sees them: the number only of contacts and of oneself.
pub(super) fn user(world: &World, viewer: UserId, user: &User) -> Result<tl::enums::User, RpcError> {
    let mut shown = blank!(tl::types::User; 0i32, 0i32, user.id)?;
    shown.is_self = user.id == viewer;
    shown.contact = world.has_contact(viewer, user.id);
    shown.mutual_contact = shown.contact && world.has_contact(user.id, viewer);
    shown.access_hash = Some(access_hash(viewer, user.id));
    shown.first_name = Some(user.first_name.clone());
    shown.username = user.username.clone();
    shown.bot = user.is_bot;
    shown.bot_info_version = user.is_bot.then_some(1);
    if shown.is_self || shown.contact {
        shown.phone = world.account(user.id).map(|account| account.phone.clone());
    }
    Ok(shown.into())
}

/// People by their ids; who does not exist is left out.
pub(super) fn users(
    world: &World,
    viewer: UserId,
    ids: impl IntoIterator<Item = UserId>,
) -> Result<Vec<tl::enums::User>, RpcError> {
    let known = ids.into_iter().filter_map(|id| world.user(id));
    known.map(|found| user(world, viewer, found)).collect()
}

/// A chat as `viewer` sees it.
pub(super) fn chat(viewer: UserId, chat: &Chat) -> Result<tl::enums::Chat, RpcError> {
    let id = channel_id(chat.id);
    let membership = chat.membership(viewer);
    if *membership == Membership::Kicked || !(membership.is_present() || chat.is_public()) {
        let forbidden = tl::types::ChannelForbidden {
            broadcast: chat.kind == ChatKind::Channel,
            megagroup: chat.kind == ChatKind::Supergroup,
            monoforum: false,
            id,
            access_hash: access_hash(viewer, chat.id),
            title: chat.title.clone(),
            until_date: None,
        };
        return Ok(forbidden.into());
    }
    let photo = tl::enums::ChatPhoto::Empty;
    let mut shown = blank!(tl::types::Channel; 0i32, 0i32, id, chat.title.clone(), photo, 0i32)?;
    shown.access_hash = Some(access_hash(viewer, chat.id));
    shown.broadcast = chat.kind == ChatKind::Channel;
    shown.megagroup = chat.kind == ChatKind::Supergroup;
    shown.username = chat.username.clone();
    shown.creator = *membership == Membership::Creator;
    shown.left = !membership.is_present();
    if membership.is_administrator() {
        shown.admin_rights = Some(rights(membership.rights())?);
    }
    shown.participants_count = i32::try_from(present(chat).count()).ok();
    Ok(shown.into())
}

/// Who is in a chat.
pub(super) fn present(chat: &Chat) -> impl Iterator<Item = (UserId, &Membership)> {
    chat.members
        .iter()
        .filter(|(_, membership)| membership.is_present())
        .map(|(user, membership)| (*user, membership))
}

pub(super) fn rights(rights: AdminRights) -> Result<tl::enums::ChatAdminRights, RpcError> {
    let mut shown = blank!(tl::types::ChatAdminRights; 0i32)?;
    shown.post_messages = rights.can_post_messages;
    shown.edit_messages = rights.can_edit_messages;
    shown.delete_messages = rights.can_delete_messages;
    shown.invite_users = rights.can_invite_users;
    shown.change_info = rights.can_change_info;
    shown.ban_users = rights.can_restrict_members;
    shown.add_admins = rights.can_promote_members;
    // An administrator without any right of these is one all the same.
    shown.other = true;
    Ok(shown.into())
}

/// An update that brings nothing but the chats and people that belong to an answer.
pub(super) fn nothing_new(now: i64, users: Vec<tl::enums::User>, chats: Vec<tl::enums::Chat>) -> tl::enums::Updates {
    tl::types::Updates {
        updates: Vec::new(),
        users,
        chats,
        date: seconds(now),
        seq: 0,
    }
    .into()
}
