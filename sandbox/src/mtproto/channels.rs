//! Groups and channels: what they are, who is in them, and how people come in.

use grammers_tl_types::{self as tl, functions as f};

use super::peers::{self, channel_id, present};
use super::rpc::{Call, RpcError, blank};
use super::seconds;
use crate::world::{Chat, Membership, User, UserId};

/// The most members of one answer.
const MAX_MEMBERS: usize = 200;

pub(super) fn get_channels(
    call: &mut Call<'_>,
    request: f::channels::GetChannels,
) -> Result<tl::enums::messages::Chats, RpcError> {
    let me = call.me()?;
    let chats = request.id.iter().take(MAX_MEMBERS).map(|id| {
        let chat = call.channel(me, id)?;
        visible(call, me, chat).and_then(|chat| peers::chat(me, chat))
    });
    let chats = chats.collect::<Result<Vec<_>, _>>()?;
    Ok(tl::types::messages::Chats { chats }.into())
}

pub(super) fn get_full_channel(
    call: &mut Call<'_>,
    request: f::channels::GetFullChannel,
) -> Result<tl::enums::messages::ChatFull, RpcError> {
    let me = call.me()?;
    let id = call.channel(me, &request.channel)?;
    let chat = visible(call, me, id)?;
    let settings = blank!(tl::types::PeerNotifySettings; 0i32)?;
    let photo = tl::types::PhotoEmpty { id: 0 };
    let mut full = blank!(tl::types::ChannelFull; 0i32, 0i32, channel_id(id), String::new(), 0i32, 0i32, 0i32,
        tl::enums::Photo::Empty(photo), tl::enums::PeerNotifySettings::Settings(settings),
        Vec::<tl::enums::BotInfo>::new(), 1i32)?;
    full.participants_count = i32::try_from(present(chat).count()).ok();
    full.can_view_participants = call.world.chat_with_members(me, &id.to_string()).is_ok();
    if chat.membership(me).is_administrator() {
        let administrators = present(chat).filter(|(_, membership)| membership.is_administrator());
        full.admins_count = i32::try_from(administrators.count()).ok();
    }
    Ok(tl::types::messages::ChatFull {
        full_chat: full.into(),
        chats: vec![peers::chat(me, chat)?],
        users: Vec::new(),
    }
    .into())
}

/// Members of channels are shown to administrators only.
pub(super) fn get_participants(
    call: &mut Call<'_>,
    request: f::channels::GetParticipants,
) -> Result<tl::enums::channels::ChannelParticipants, RpcError> {
    use tl::enums::ChannelParticipantsFilter as Filter;
    let me = call.me()?;
    let id = call.channel(me, &request.channel)?;
    let chat = call.world.chat_with_members(me, &id.to_string())?;
    let fits = |user: &User, membership: &Membership| match &request.filter {
        Filter::ChannelParticipantsRecent => Ok(true),
        Filter::ChannelParticipantsAdmins => Ok(membership.is_administrator()),
        Filter::ChannelParticipantsBots => Ok(user.is_bot),
        Filter::ChannelParticipantsSearch(search) => Ok(named(user, &search.q)),
        _ => Err(RpcError::bad_request("FILTER_NOT_IN_SANDBOX")),
    };
    let mut found = Vec::new();
    for (user, membership) in present(chat) {
        let Some(user) = call.world.user(user) else { continue };
        if fits(user, membership)? {
            found.push((user.id, membership));
        }
    }
    let skip = usize::try_from(request.offset).unwrap_or(0);
    let limit = usize::try_from(request.limit).unwrap_or(0).min(MAX_MEMBERS);
    let count = i32::try_from(found.len()).unwrap_or(i32::MAX);
    let page: Vec<_> = found.into_iter().skip(skip).take(limit).collect();
    let users = peers::users(call.world, me, page.iter().map(|(user, _)| *user))?;
    let participants = page
        .into_iter()
        .map(|(user, membership)| participant(me, user, membership));
    Ok(tl::types::channels::ChannelParticipants {
        count,
        participants: participants.collect::<Result<_, _>>()?,
        chats: vec![peers::chat(me, chat)?],
        users,
    }
    .into())
}

/// Everybody sees himself; others are shown as the list of members is.
pub(super) fn get_participant(
    call: &mut Call<'_>,
    request: f::channels::GetParticipant,
) -> Result<tl::enums::channels::ChannelParticipant, RpcError> {
    let me = call.me()?;
    let id = call.channel(me, &request.channel)?;
    let user = call.person(me, &request.participant)?;
    let chat = if user == me {
        visible(call, me, id)?
    } else {
        call.world.chat_with_members(me, &id.to_string())?
    };
    let membership = chat.membership(user);
    if !membership.is_present() {
        return Err(RpcError::bad_request("USER_NOT_PARTICIPANT"));
    }
    Ok(tl::types::channels::ChannelParticipant {
        participant: participant(me, user, membership)?,
        chats: vec![peers::chat(me, chat)?],
        users: peers::users(call.world, me, [user])?,
    }
    .into())
}

/// Whose privacy forbids it is named as missing: the call succeeds all the same.
pub(super) fn invite_to_channel(
    call: &mut Call<'_>,
    request: f::channels::InviteToChannel,
) -> Result<tl::enums::messages::InvitedUsers, RpcError> {
    let me = call.me()?;
    let id = call.channel(me, &request.channel)?;
    visible(call, me, id)?;
    let users = request.users.iter().map(|user| call.user(me, user));
    let users = users.collect::<Result<Vec<_>, _>>()?;
    let invited = call.world.invite(me, id, &users)?;
    let chat = visible(call, me, id)?;
    let shown = peers::users(call.world, me, invited.added)?;
    let missing = invited.missing.into_iter().map(|user_id| tl::types::MissingInvitee {
        premium_would_allow_invite: false,
        premium_required_for_pm: false,
        user_id,
    });
    Ok(tl::types::messages::InvitedUsers {
        updates: peers::nothing_new(call.now, shown, vec![peers::chat(me, chat)?]),
        missing_invitees: missing.map(Into::into).collect(),
    }
    .into())
}

pub(super) fn export_chat_invite(
    call: &mut Call<'_>,
    request: f::messages::ExportChatInvite,
) -> Result<tl::enums::ExportedChatInvite, RpcError> {
    let me = call.me()?;
    let id = call.place(me, &request.peer)?;
    visible(call, me, id)?;
    let link = call.world.invite_link(me, id)?;
    let mut invite = blank!(tl::types::ChatInviteExported; 0i32, link, me, seconds(call.now))?;
    invite.request_needed = request.request_needed;
    invite.expire_date = request.expire_date;
    invite.usage_limit = request.usage_limit;
    invite.title = request.title;
    Ok(invite.into())
}

pub(super) fn visible<'a>(call: &'a Call<'_>, me: UserId, chat: i64) -> Result<&'a Chat, RpcError> {
    Ok(call.world.visible_chat(me, &chat.to_string())?)
}

fn named(user: &User, part: &str) -> bool {
    let part = part.to_lowercase();
    let name = user.username.as_deref().unwrap_or_default().to_lowercase();
    user.first_name.to_lowercase().contains(&part) || name.contains(&part)
}

fn participant(
    viewer: UserId,
    user: UserId,
    membership: &Membership,
) -> Result<tl::enums::ChannelParticipant, RpcError> {
    let all = || peers::rights(membership.rights());
    Ok(match membership {
        Membership::Creator => blank!(tl::types::ChannelParticipantCreator; 0i32, user, all()?)?.into(),
        Membership::Administrator(_) => {
            blank!(tl::types::ChannelParticipantAdmin; 0i32, user, user, 0i32, all()?)?.into()
        }
        _ if user == viewer => blank!(tl::types::ChannelParticipantSelf; 0i32, user, user, 0i32)?.into(),
        _ => blank!(tl::types::ChannelParticipant; 0i32, user, 0i32)?.into(),
    })
}
