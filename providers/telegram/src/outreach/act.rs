//! What is done with one person, and what each answer of Telegram's means for the row and for the campaign.
//!
//! Adding somebody is not known to Telegram by a number of ours, so a row that was being worked on when a crash came is gone
//! on with by looking first whether the person is in the channel. Messages carry a number that is made of the row: written
//! again, they are not sent again.

use std::time::Duration;

use frankenstein::methods::SendMessageParams;
use frankenstein::types::ChatId;
use potok_dsl::{Problem, Timestamp};
use potok_wasm::Tables;

use super::campaigns::{self, Campaign, Effect, Invite, Mode, Status, Verdict};
use super::list::{telegram_id, whom};
use super::{people, unkept};
use crate::accounts::{AccountError, Added, Held, Person, Place};
use crate::api::{ApiError, SentMessage};
use crate::channel::Channel;
use crate::{DEFAULT_BOT, TelegramProvider};

/// A row that failed for reasons of its account's is tried so often.
pub(super) const TRIES: i64 = 5;

/// An account that cannot reach Telegram is left alone for so long.
const UNREACHABLE: Duration = Duration::from_secs(600);

/// What became of one person, and what follows.
pub(super) type Became = (Verdict, Effect);

/// How far things had come when an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was done yet that the person could see.
    Before,
    /// It may have been done.
    Doing,
}

/// What stops the work on a row.
enum Halt {
    Account(Stage, AccountError),
    Store(Problem),
}

impl From<potok_wasm::TableError> for Halt {
    fn from(error: potok_wasm::TableError) -> Self {
        Self::Store(unkept(&error))
    }
}

fn before(error: AccountError) -> Halt {
    Halt::Account(Stage::Before, error)
}

fn doing(error: AccountError) -> Halt {
    Halt::Account(Stage::Doing, error)
}

fn ended(status: Status, reason: impl Into<String>) -> Became {
    let reason = Some(reason.into()).filter(|reason| !reason.is_empty());
    (Verdict { status, reason }, Effect::Pause)
}

impl TelegramProvider {
    /// Does with a person what the campaign is for, in the name of one account.
    pub(super) async fn act(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: &Invite,
        account: i64,
        again: bool,
        now: Timestamp,
    ) -> Result<Became, Problem> {
        let mut held = match self.accounts.take(tables, account, now).await {
            Ok(held) => held,
            Err(error) => return self.judge(tables, invite, account, Stage::Before, &error, now).await,
        };
        let done = self.with_account(&mut held, tables, campaign, invite, again, now).await;
        drop(held);
        match done {
            Ok(became) => Ok(became),
            Err(Halt::Store(problem)) => Err(problem),
            Err(Halt::Account(stage, error)) => self.judge(tables, invite, account, stage, &error, now).await,
        }
    }

    async fn with_account(
        &self,
        held: &mut Held<'_>,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: &Invite,
        again: bool,
        now: Timestamp,
    ) -> Result<Became, Halt> {
        let accounts = &self.accounts;
        let Some(whom) = whom(&invite.person) else {
            let why =
                "only the number at Telegram is known, by which nobody can be found: give a phone number or a @name";
            return Ok((ended(Status::Failed, why).0, Effect::None));
        };
        let place = accounts.own_place(held, &campaign.channel).await.map_err(before)?;
        let called = invite.name.as_deref().unwrap_or_default();
        let found = accounts.find_person(held, &whom, called).await.map_err(before)?;
        let Some(person) = found else {
            return Ok(ended(
                Status::Failed,
                "Telegram knows nobody by it who lets himself be found",
            ));
        };
        let became = self
            .with_person(held, tables, (campaign, invite), (&place, &person), again, now)
            .await;
        accounts.let_go(held, &person).await;
        became
    }

    async fn with_person(
        &self,
        held: &mut Held<'_>,
        tables: &dyn Tables,
        (campaign, invite): (&Campaign, &Invite),
        (place, person): (&Place, &Person),
        again: bool,
        now: Timestamp,
    ) -> Result<Became, Halt> {
        if person.bot {
            return Ok(ended(Status::Failed, "it is a bot"));
        }
        if let Some(why) = people::stands_against_found(tables, &invite.person, person, now).await? {
            return Ok(ended(Status::Skipped, why));
        }
        let accounts = &self.accounts;
        let there = again && accounts.belongs(held, place, person).await.map_err(before)?;
        if !there {
            match accounts.add_person(held, place, person).await {
                Ok(Added::Yes) => {}
                Ok(Added::Forbidden) => {
                    let why = "the person's privacy settings forbid adding";
                    return self
                        .link_instead(held, tables, (campaign, invite), (place, person), why)
                        .await;
                }
                Err(AccountError::Refused { name, .. }) if name == "USER_ALREADY_PARTICIPANT" => {
                    return Ok(ended(Status::Skipped, "is in the channel already"));
                }
                Err(AccountError::Refused { name, .. }) if may_be_linked(&name) => {
                    let why = in_words(&name);
                    return self
                        .link_instead(held, tables, (campaign, invite), (place, person), &why)
                        .await;
                }
                Err(error) => return Err(doing(error)),
            }
        }
        let (Mode::InviteAndMessage, Some(template)) = (campaign.mode, &campaign.message) else {
            return Ok(ended(Status::Invited, ""));
        };
        let text = filled(template, campaign, invite, person, None);
        match accounts.write_to(held, person, &text, &message_key(invite)).await {
            Ok(()) => Ok(ended(Status::Invited, "")),
            Err(AccountError::Refused { name, .. }) => {
                let why = format!("added; the message was not sent: {}", in_words(&name));
                Ok(ended(Status::Invited, why))
            }
            // Added it is; what stands against the account stops the campaign all the same.
            Err(error @ (AccountError::Flood(..) | AccountError::Reported(_) | AccountError::Banned(_))) => {
                let verdict = ended(Status::Invited, format!("added; the message was not sent: {error}")).0;
                Ok((verdict, effect_of(&error, now)))
            }
            Err(error) => Err(doing(error)),
        }
    }

    /// Sends the personal link to one who may not be added, if the campaign is to.
    async fn link_instead(
        &self,
        held: &mut Held<'_>,
        tables: &dyn Tables,
        (campaign, invite): (&Campaign, &Invite),
        (place, person): (&Place, &Person),
        why: &str,
    ) -> Result<Became, Halt> {
        let Some(template) = &campaign.link_message else {
            return Ok(ended(Status::Failed, why));
        };
        let link = match &invite.link {
            Some(link) => link.clone(),
            None => {
                let link = self.accounts.personal_link(held, place).await.map_err(before)?;
                campaigns::keep_link(tables, invite, &link).await?;
                link
            }
        };
        let text = filled(template, campaign, invite, person, Some(&link));
        match self.accounts.write_to(held, person, &text, &message_key(invite)).await {
            Ok(()) => Ok(ended(Status::LinkSent, why)),
            Err(AccountError::Refused { name, .. }) => {
                let why = format!("{why}; the link was not sent: {}", in_words(&name));
                Ok(ended(Status::Failed, why))
            }
            Err(error) => Err(doing(error)),
        }
    }

    /// Looks whether a person whose row is unknown is in the channel, in the name of another account than the row's.
    pub(super) async fn look(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: &Invite,
        account: i64,
        now: Timestamp,
    ) -> Result<Became, Problem> {
        let looked = async {
            let mut held = self.accounts.take(tables, account, now).await?;
            let place = self.accounts.own_place(&mut held, &campaign.channel).await?;
            let Some(whom) = whom(&invite.person) else {
                return Ok(false);
            };
            let called = invite.name.as_deref().unwrap_or_default();
            let Some(person) = self.accounts.find_person(&mut held, &whom, called).await? else {
                return Ok(false);
            };
            let there = self.accounts.belongs(&mut held, &place, &person).await;
            self.accounts.let_go(&mut held, &person).await;
            there
        };
        match looked.await {
            Ok(true) => Ok(ended(Status::Invited, "was found in the channel")),
            Ok(false) => {
                let why = "is not in the channel; whether a message was sent is not known";
                Ok(ended(Status::Unknown, why))
            }
            Err(error) => {
                let verdict = ended(Status::Unknown, format!("could not be looked for: {error}")).0;
                Ok((verdict, effect_of(&error, now)))
            }
        }
    }

    /// Lets the channel's bot write to a person who has written to it.
    pub(super) async fn message_by_bot(
        &self,
        tables: &dyn Tables,
        campaign: &Campaign,
        invite: &Invite,
        now: Timestamp,
    ) -> Result<Became, Problem> {
        let Some(id) = telegram_id(&invite.person).or(people::telegram_id_of(tables, &invite.person)
            .await
            .map_err(|error| unkept(&error))?)
        else {
            let why = "a bot writes to people by their number at Telegram, and that of this one is not known";
            return Ok((ended(Status::Failed, why).0, Effect::None));
        };
        let bound = self.bound_bot(tables, &Channel::parse(&campaign.channel)?).await?;
        let name = bound.map_or_else(|| DEFAULT_BOT.to_owned(), |bot| bot.to_string());
        let bot = self.bot(tables, &name).await?;
        let template = campaign.message.as_deref().unwrap_or_default();
        let text = fill(template, campaign, invite.name.as_deref().unwrap_or_default(), None);
        let params = SendMessageParams::builder()
            .chat_id(ChatId::Integer(id))
            .text(text)
            .build();
        Ok(match bot.call::<_, SentMessage>("sendMessage", &params).await {
            Ok(_) => ended(Status::LinkSent, ""),
            Err(ApiError::Refused {
                code: 429, retry_after, ..
            }) => {
                let until = Timestamp(now.0 + i64::try_from(retry_after.unwrap_or(1)).unwrap_or(3_600) * 1_000);
                let why = "Telegram has asked the bot to pause".to_owned();
                (ended(Status::Queued, why.clone()).0, Effect::Rest(until, why))
            }
            Err(ApiError::Refused { description, .. }) => ended(Status::Failed, description),
            Err(ApiError::NotSent(why)) => {
                let until = Timestamp(now.0 + 60_000);
                (ended(Status::Queued, why.clone()).0, Effect::Rest(until, why))
            }
            Err(ApiError::Lost(why)) => ended(Status::Unknown, format!("{why}; it is not sent again")),
        })
    }

    /// What an error means for the row and the campaign.
    async fn judge(
        &self,
        tables: &dyn Tables,
        invite: &Invite,
        account: i64,
        stage: Stage,
        error: &AccountError,
        now: Timestamp,
    ) -> Result<Became, Problem> {
        let why = error.to_string();
        let effect = effect_of(error, now);
        let status = match error {
            AccountError::Store(_) | AccountError::Seal(_) => {
                return Err(
                    Problem::new(potok_dsl::ErrorType::Runtime, "the account cannot be used", why).with_status(503),
                );
            }
            AccountError::NoAnswer(_) | AccountError::Unreachable(_) | AccountError::Odd(_) => {
                let until = Timestamp(now.0 + i64::try_from(UNREACHABLE.as_millis()).unwrap_or(0));
                let rested = self.accounts.rest(tables, account, until, &why, now).await;
                rested.map_err(Problem::from)?;
                match stage {
                    Stage::Before => Status::Queued,
                    Stage::Doing => Status::Unknown,
                }
            }
            AccountError::Refused { code, name } if !stops(name) => match (code, stage) {
                (500.., Stage::Doing) => Status::Unknown,
                (500.., Stage::Before) => Status::Queued,
                _ => return Ok(ended(Status::Failed, in_words(name))),
            },
            _ => Status::Queued,
        };
        if status == Status::Queued && effect == Effect::Pause && invite.retry_count + 1 >= TRIES {
            return Ok(ended(Status::Failed, format!("after {TRIES} tries: {why}")));
        }
        let reason = Some(why);
        Ok((Verdict { status, reason }, effect))
    }
}

/// What an error of one account means for the whole campaign: it is never gone on with by another account when Telegram has
/// asked for a rest or people have complained.
fn effect_of(error: &AccountError, now: Timestamp) -> Effect {
    match error {
        AccountError::Flood(seconds, _) => {
            let until = Timestamp(now.0.saturating_add(i64::from(*seconds) * 1_000));
            Effect::Rest(until, error.to_string())
        }
        AccountError::Rests { until, .. } => Effect::Rest(*until, error.to_string()),
        AccountError::Reported(_) | AccountError::Banned(_) | AccountError::NotAdministered(_) => {
            Effect::Stop(error.to_string())
        }
        AccountError::Refused { name, .. } if stops(name) => Effect::Stop(format!(
            "{}: look at the channel and at the rights of its accounts",
            in_words(name)
        )),
        _ => Effect::Pause,
    }
}

/// Whether a refusal is one of the channel's, not of the person's.
fn stops(name: &str) -> bool {
    matches!(
        name,
        "CHAT_ADMIN_REQUIRED"
            | "CHAT_WRITE_FORBIDDEN"
            | "CHANNEL_PRIVATE"
            | "CHANNEL_INVALID"
            | "CHAT_INVALID"
            | "USERNAME_NOT_OCCUPIED"
            | "USERNAME_INVALID"
            | "USER_BANNED_IN_CHANNEL"
    )
}

/// Whether one who may not be added may come by a link.
fn may_be_linked(name: &str) -> bool {
    matches!(
        name,
        "USER_PRIVACY_RESTRICTED" | "USER_NOT_MUTUAL_CONTACT" | "USERS_TOO_MUCH" | "CHAT_MEMBER_ADD_FAILED"
    )
}

/// Telegram's word, and what it says.
fn in_words(name: &str) -> String {
    let meaning = match name {
        "USER_PRIVACY_RESTRICTED" => "the person's privacy settings forbid it",
        "USER_NOT_MUTUAL_CONTACT" => "the person has left before and is no mutual contact",
        "USERS_TOO_MUCH" => "the channel has too many members for adding more: they have to come by a link",
        "USER_CHANNELS_TOO_MUCH" => "the person is in too many channels",
        "USER_KICKED" => "the person was removed from the channel",
        "USER_BLOCKED" | "USER_IS_BLOCKED" => "the person has blocked the account",
        "USER_BOT" | "BOT_GROUPS_BLOCKED" => "it is a bot",
        "INPUT_USER_DEACTIVATED" => "the person's account was deleted",
        "USER_ID_INVALID" | "PEER_ID_INVALID" => "Telegram does not know the person",
        "PRIVACY_PREMIUM_REQUIRED" => "the person takes messages from subscribers of Premium only",
        "CHAT_ADMIN_REQUIRED" => "the account has no right to invite",
        "CHANNEL_PRIVATE" => "the channel is private, or the account was removed from it",
        "CHANNEL_INVALID" => "the channel is not to be seen any more",
        _ => return format!("Telegram refuses: {name}"),
    };
    format!("{meaning} ({name})")
}

fn message_key(invite: &Invite) -> String {
    format!("campaign/{}/{}", invite.campaign, invite.line)
}

fn filled(template: &str, campaign: &Campaign, invite: &Invite, person: &Person, link: Option<&str>) -> String {
    let name = invite.name.as_deref().or(person.name.as_deref()).unwrap_or_default();
    fill(template, campaign, name, link)
}

/// A template with what is known put in. What is put in is not looked through again.
fn fill(template: &str, campaign: &Campaign, name: &str, link: Option<&str>) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((word, tail)) = after.split_once("}}") else {
            text.push_str("{{");
            rest = after;
            continue;
        };
        match (word.trim(), link) {
            ("channel", _) => text.push_str(&campaign.channel),
            ("name", _) => text.push_str(name),
            ("link", Some(link)) => text.push_str(link),
            _ => {
                text.push_str("{{");
                text.push_str(word);
                text.push_str("}}");
            }
        }
        rest = tail;
    }
    text.push_str(rest);
    text
}
