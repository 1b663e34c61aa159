//! What an account does in chats that it belongs to: writing once, and listing members where it is an administrator.

use grammers_tl_types::{enums as e, functions as f, types as t};
use potok_dsl::Timestamp;
use potok_wasm::Tables;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::error::AccountError;
use super::{Accounts, Held, rows};

/// The most members that are listed.
const MAX_MEMBERS: usize = 1_000;
/// How many Telegram gives at once.
const PAGE: i32 = 200;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Sent {
    /// It was sent now.
    Now {
        /// Its number in the chat, when Telegram has told it.
        message_id: Option<i32>,
    },
    /// It had been sent before under the same key.
    Before,
}

/// A member of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Telegram's number of the person.
    pub id: i64,
    /// The first name.
    pub name: Option<String>,
    /// Without `@`.
    pub username: Option<String>,
    /// Whether it is a bot.
    pub bot: bool,
    /// Whether it is an administrator or the owner.
    pub administrator: bool,
}

impl Accounts {
    /// Writes a text into a channel or group, by its `@name`. A second time under the same key sends nothing: Telegram itself
    /// knows the message by a number that is derived from the key.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn send(
        &self,
        tables: &dyn Tables,
        id: i64,
        (chat, text): (&str, &str),
        key: &str,
        now: Timestamp,
    ) -> Result<Sent, AccountError> {
        let mut held = self.hold_working(tables, id, now).await?;
        let channel = self.resolve(&mut held, chat).await?;
        let random_id = random_id(id, key);
        let answer = self.ask(&mut held, &message(peer(&channel), text, random_id)).await;
        let sent = match answer {
            Ok(updates) => Sent::Now {
                message_id: number(&updates, random_id),
            },
            Err(AccountError::Refused { name, .. }) if name == "RANDOM_ID_DUPLICATE" => Sent::Before,
            Err(error) => return Err(error),
        };
        if let Sent::Now { .. } = sent {
            rows::sent(tables, id, now).await?;
        }
        Ok(sent)
    }

    /// The members of a channel or group that the account administers, at most `limit` of at most 1,000.
    ///
    /// # Errors
    /// [`AccountError`]; any other chat is refused.
    pub async fn members(
        &self,
        tables: &dyn Tables,
        id: i64,
        chat: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Member>, AccountError> {
        let mut held = self.hold_working(tables, id, now).await?;
        let channel = self.resolve(&mut held, chat).await?;
        self.administers(&mut held, chat, &channel).await?;
        let limit = limit.min(MAX_MEMBERS);
        let (mut members, mut seen) = (Vec::new(), 0);
        while members.len() < limit {
            let request = f::channels::GetParticipants {
                channel: channel.clone().into(),
                filter: e::ChannelParticipantsFilter::ChannelParticipantsRecent,
                offset: seen,
                limit: PAGE,
                hash: 0,
            };
            let e::channels::ChannelParticipants::Participants(page) = self.ask(&mut held, &request).await? else {
                break;
            };
            if page.participants.is_empty() {
                break;
            }
            seen += i32::try_from(page.participants.len()).unwrap_or(PAGE);
            let found = page.participants.iter().filter_map(|one| member(one, &page.users));
            members.extend(found);
            if seen >= page.count {
                break;
            }
        }
        members.truncate(limit);
        rows::used(tables, id, now).await?;
        Ok(members)
    }

    pub(super) async fn administers(
        &self,
        held: &mut Held<'_>,
        chat: &str,
        channel: &t::InputChannel,
    ) -> Result<(), AccountError> {
        let request = f::channels::GetParticipant {
            channel: channel.clone().into(),
            participant: e::InputPeer::PeerSelf,
        };
        let refused = || {
            AccountError::NotAdministered(format!(
                "the account {} is no administrator of {chat}: members are listed only where it is one",
                held.account.id
            ))
        };
        let not_there = refused();
        match self.ask(held, &request).await {
            Ok(e::channels::ChannelParticipant::Participant(own)) => match own.participant {
                e::ChannelParticipant::Admin(_) | e::ChannelParticipant::Creator(_) => Ok(()),
                _ => Err(not_there),
            },
            Err(AccountError::Refused { name, .. })
                if matches!(
                    name.as_str(),
                    "USER_NOT_PARTICIPANT" | "CHANNEL_PRIVATE" | "CHAT_ADMIN_REQUIRED"
                ) =>
            {
                Err(not_there)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn resolve(&self, held: &mut Held<'_>, chat: &str) -> Result<t::InputChannel, AccountError> {
        let request = f::contacts::ResolveUsername {
            username: chat.trim_start_matches('@').to_owned(),
            referer: None,
        };
        let e::contacts::ResolvedPeer::Peer(found) = self.ask(held, &request).await?;
        let channel = found.chats.into_iter().find_map(|chat| match chat {
            e::Chat::Channel(channel) => Some(t::InputChannel {
                channel_id: channel.id,
                access_hash: channel.access_hash?,
            }),
            _ => None,
        });
        channel.ok_or_else(|| {
            AccountError::NotAdministered(format!("{chat} is no channel or group that the account sees"))
        })
    }
}

/// The number by which Telegram knows a message again.
pub(super) fn random_id(account: i64, key: &str) -> i64 {
    let hash = digest(&SHA256, format!("potok telegram message\n{account}\n{key}").as_bytes());
    hash.as_ref()
        .first_chunk()
        .map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

pub(super) fn message(peer: e::InputPeer, text: &str, random_id: i64) -> f::messages::SendMessage {
    f::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        message: text.to_owned(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

fn peer(channel: &t::InputChannel) -> e::InputPeer {
    t::InputPeerChannel {
        channel_id: channel.channel_id,
        access_hash: channel.access_hash,
    }
    .into()
}

/// The number that a message got.
fn number(updates: &e::Updates, random_id: i64) -> Option<i32> {
    match updates {
        e::Updates::UpdateShortSentMessage(sent) => Some(sent.id),
        e::Updates::Updates(updates) => updates.updates.iter().find_map(|update| match update {
            e::Update::MessageId(named) if named.random_id == random_id => Some(named.id),
            _ => None,
        }),
        _ => None,
    }
}

/// Who is in the chat; `None` for one who was thrown out or has left.
fn member(participant: &e::ChannelParticipant, users: &[e::User]) -> Option<Member> {
    let (id, administrator) = match participant {
        e::ChannelParticipant::Participant(member) => (member.user_id, false),
        e::ChannelParticipant::ParticipantSelf(member) => (member.user_id, false),
        e::ChannelParticipant::Creator(member) => (member.user_id, true),
        e::ChannelParticipant::Admin(member) => (member.user_id, true),
        e::ChannelParticipant::Banned(_) | e::ChannelParticipant::Left(_) => return None,
    };
    let user = users.iter().find_map(|user| match user {
        e::User::User(user) if user.id == id => Some(user),
        _ => None,
    });
    Some(Member {
        id,
        name: user.and_then(|user| user.first_name.clone()),
        username: user.and_then(|user| user.username.clone()),
        bot: user.is_some_and(|user| user.bot),
        administrator,
    })
}
