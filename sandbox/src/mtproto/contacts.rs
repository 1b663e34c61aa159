//! Finding people: oneself, by name, by phone number.

use grammers_tl_types::{self as tl, functions as f};

use super::peers::{self, channel_id};
use super::rpc::{Call, RpcError};

/// The most people that are looked at or imported at once.
const MAX_AT_ONCE: usize = 200;

pub(super) fn get_users(call: &mut Call<'_>, request: f::users::GetUsers) -> Result<Vec<tl::enums::User>, RpcError> {
    let me = call.me()?;
    let wanted = request.id.iter().take(MAX_AT_ONCE).map(|id| call.user(me, id));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    peers::users(call.world, me, wanted)
}

pub(super) fn resolve_username(
    call: &mut Call<'_>,
    request: f::contacts::ResolveUsername,
) -> Result<tl::enums::contacts::ResolvedPeer, RpcError> {
    let me = call.me()?;
    let name = request.username.trim_start_matches('@');
    if let Some(chat) = call.world.find_chat(&format!("@{name}")) {
        let peer = tl::types::PeerChannel {
            channel_id: channel_id(chat.id),
        };
        return Ok(tl::types::contacts::ResolvedPeer {
            peer: peer.into(),
            chats: vec![peers::chat(me, chat)?],
            users: Vec::new(),
        }
        .into());
    }
    let user = call.world.find_user(name);
    let user = user.ok_or_else(|| RpcError::bad_request("USERNAME_NOT_OCCUPIED"))?;
    Ok(tl::types::contacts::ResolvedPeer {
        peer: tl::types::PeerUser { user_id: user.id }.into(),
        chats: Vec::new(),
        users: vec![peers::user(call.world, me, user)?],
    }
    .into())
}

/// Who is not found, or does not want to be, is left out without a word.
pub(super) fn import_contacts(
    call: &mut Call<'_>,
    request: f::contacts::ImportContacts,
) -> Result<tl::enums::contacts::ImportedContacts, RpcError> {
    let me = call.me()?;
    let (mut imported, mut retry) = (Vec::new(), Vec::new());
    for (index, contact) in request.contacts.into_iter().enumerate() {
        let tl::enums::InputContact::InputPhoneContact(contact) = contact;
        if index >= MAX_AT_ONCE {
            retry.push(contact.client_id);
        } else if let Some(user_id) = call.world.import_contact(me, &contact.phone) {
            let client_id = contact.client_id;
            imported.push(tl::types::ImportedContact { user_id, client_id });
        }
    }
    let users = peers::users(call.world, me, imported.iter().map(|contact| contact.user_id))?;
    Ok(tl::types::contacts::ImportedContacts {
        imported: imported.into_iter().map(Into::into).collect(),
        popular_invites: Vec::new(),
        retry_contacts: retry,
        users,
    }
    .into())
}

pub(super) fn delete_contacts(
    call: &mut Call<'_>,
    request: f::contacts::DeleteContacts,
) -> Result<tl::enums::Updates, RpcError> {
    let me = call.me()?;
    let ids = request.id.iter().map(|id| call.user(me, id));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    call.world.delete_contacts(me, &ids);
    let users = peers::users(call.world, me, ids)?;
    Ok(peers::nothing_new(call.now, users, Vec::new()))
}
