//! Finding a channel, binding it to a bot, and looking whether the bot may post in it.
//!
//! ```text
//! new ──the bot may post──▶ valid ──rights lost, kicked, gone, token refused──▶ invalid
//!  │                          ▲                                                  │
//!  └──kicked, token refused───┼──────────────────────────────────────────────────┤
//!                             └───────────the bot may post again─────────────────┘
//! ```
//!
//! When Telegram cannot be reached or asks for patience, nothing is known, so nothing changes and the caller is told.
//!
//! What a bot cannot do: an invite link does not tell it which channel it leads to, and it cannot join by one. So an invite
//! link is found among those of the channels that are kept (a bot that may invite sees the channel's own link), and is
//! refused with what to do instead where it is not. A private channel is not seen before the bot is in it; by its id it is
//! kept all the same, and its binding is `new` until then.

use potok_dsl::Problem;
use potok_wasm::CallContext;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bots::{self, KeptBot};
use super::channels::{self, BindingState, KeptChannel};
use super::reference::Reference;
use super::{MOST, missing, refusal, unkept};
use crate::TelegramProvider;
use crate::api::{ApiError, BotApi, Chat};
use crate::channel::Channel;
use crate::verify::{self, within};

/// `add-channel-request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddChannel {
    channel: String,
    bot_id: Option<i64>,
}

/// What a look at a channel has shown.
struct Look {
    chat: Option<Chat>,
    standing: Standing,
}

/// What a bot is to a channel.
enum Standing {
    MayPost,
    /// Not yet, or no more.
    MayNot(String),
    /// As good as never again.
    ShutOut(String),
}

impl TelegramProvider {
    pub(super) async fn add_channel(&self, cx: &CallContext, request: AddChannel) -> Result<Value, Problem> {
        let reference = Reference::parse(&request.channel)?;
        let tables = &*cx.tables;
        let known = match &reference {
            Reference::Known(Channel::Id(id)) => channels::find(tables, *id).await,
            Reference::Known(Channel::Public(name)) => channels::by_name(tables, name).await,
            Reference::Invite(link) => channels::by_invite(tables, link).await,
        };
        let known = known.map_err(unkept)?;
        let wanted = self.wanted(cx, request.bot_id, known.as_ref()).await?;
        let asking = match wanted {
            Some(ref bot) => bot.clone(),
            None => bots::least_loaded(tables)
                .await
                .map_err(unkept)?
                .ok_or_else(no_active_bot)?,
        };
        let channel = match (reference, &known) {
            (Reference::Known(channel), _) => channel,
            (Reference::Invite(_), Some(known)) => Channel::Id(known.id),
            (Reference::Invite(_), None) => return Err(unseen_invitation(&asking)),
        };
        let api = self.api(&asking)?;
        let (id, chat) = within(cx, resolve(&api, &channel)).await?;
        let before = channels::find(tables, id).await.map_err(unkept)?;
        if before.is_none() && channels::count(tables).await.map_err(unkept)? >= MOST {
            return Err(refusal(
                409,
                "too many channels",
                format!("{MOST} channels are kept already"),
            ));
        }
        // A channel that was named in another way than before stays with its bot, too.
        let wanted = match (wanted, &before) {
            (None, Some(before)) => self.wanted(cx, None, Some(before)).await?,
            (wanted, _) => wanted,
        };
        let bound = channels::bind(tables, id, chat.as_ref(), wanted.map(|bot| bot.id), cx.now).await;
        if !bound.map_err(unkept)? {
            return Err(no_active_bot());
        }
        let (channel, bot) = self.look_again(cx, id).await?;
        Ok(json!({
            "channel_id": id,
            "bot_link": bot.link(),
            "message": message(&channel, &bot),
            "state": channel.state.word(),
            "new": before.is_none(),
        }))
    }

    pub(super) async fn check_channel(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let (channel, _) = self.look_again(cx, id).await?;
        Ok(channel.shown())
    }

    /// The bot that a channel is to be bound to: the one that is named, or the one that it has, if that one is active.
    async fn wanted(
        &self,
        cx: &CallContext,
        named: Option<i64>,
        known: Option<&KeptChannel>,
    ) -> Result<Option<KeptBot>, Problem> {
        if let Some(id) = named {
            let bot = self.kept_bot(&*cx.tables, id).await?;
            return bot.map(Some).ok_or_else(|| missing("bot", id));
        }
        let Some(known) = known else { return Ok(None) };
        let bot = self.kept_bot(&*cx.tables, known.bot).await?;
        Ok(bot.filter(|bot| bot.active))
    }

    /// Looks whether a channel's bot may post in it, and records that.
    async fn look_again(&self, cx: &CallContext, id: i64) -> Result<(KeptChannel, KeptBot), Problem> {
        let tables = &*cx.tables;
        let channel = channels::find(tables, id).await.map_err(unkept)?;
        let channel = channel.ok_or_else(|| missing("channel", id))?;
        let bot = self.kept_bot(tables, channel.bot).await?;
        let bot = bot.ok_or_else(|| missing("bot", channel.bot))?;
        let api = self.api(&bot)?;
        let number = u64::try_from(bot.id).unwrap_or_default();
        let looking = async { look(&api, number, id).await.map_err(verify::problem) };
        let Look { chat, standing } = within(cx, looking).await?;
        let (state, reason) = match (&standing, channel.state) {
            (Standing::MayPost, _) => (BindingState::Valid, None),
            (Standing::MayNot(why), BindingState::New) => (BindingState::New, Some(why.as_str())),
            (Standing::MayNot(why), _) | (Standing::ShutOut(why), _) => (BindingState::Invalid, Some(why.as_str())),
        };
        if state == BindingState::Invalid && channel.state != state {
            tracing::warn!(
                channel = id,
                bot = bot.id,
                reason,
                "the bot may not post in its channel any more"
            );
        }
        channels::record(tables, &channel, chat.as_ref(), (state, reason), cx.now)
            .await
            .map_err(unkept)?;
        let channel = channels::find(tables, id).await.map_err(unkept)?;
        Ok((channel.ok_or_else(|| missing("channel", id))?, bot))
    }
}

/// The id of a channel, and what the bot sees of it. One with an id needs not be seen.
async fn resolve(api: &BotApi, channel: &Channel) -> Result<(i64, Option<Chat>), Problem> {
    match (verify::chat(api, channel).await, channel) {
        (Ok(chat), _) if chat.kind.as_deref() == Some("private") => {
            let detail = format!("{channel} is a person or a bot, not a channel or a group");
            Err(refusal(400, "invalid channel", detail))
        }
        (Ok(chat), _) => Ok((chat.id, Some(chat))),
        (Err(ApiError::Refused { code: 400 | 403, .. }), Channel::Id(id)) => Ok((*id, None)),
        (
            Err(ApiError::Refused {
                code: 400, description, ..
            }),
            Channel::Public(name),
        ) => {
            let detail = format!("there is no public channel @{name}, or it is private now (Telegram: {description})");
            Err(refusal(404, "no such channel", detail))
        }
        (Err(error), _) => Err(verify::problem(error)),
    }
}

/// Looks at what a bot is to a channel.
///
/// # Errors
/// When nothing is known of it: Telegram cannot be reached, gives no good answer, or asks for patience.
async fn look(api: &BotApi, bot: u64, channel: i64) -> Result<Look, ApiError> {
    let (chat, standing) = match verify::membership(api, bot, &Channel::Id(channel)).await {
        Ok((chat, membership)) if membership.can_post => (Some(chat), Standing::MayPost),
        Ok((chat, membership)) => (Some(chat), short_of_rights(&membership.status)),
        Err(ApiError::Refused {
            code: 401, description, ..
        }) => {
            let why = format!("Telegram does not accept the bot's token ({description})");
            (None, Standing::ShutOut(why))
        }
        Err(ApiError::Refused {
            code: 403, description, ..
        }) if description.contains("kicked") => (None, Standing::ShutOut(removed())),
        Err(ApiError::Refused {
            code: 400 | 403,
            description,
            ..
        }) => {
            let why = format!("the bot is not in the channel, or there is no such channel any more ({description})");
            (None, Standing::MayNot(why))
        }
        Err(error) => return Err(error),
    };
    Ok(Look { chat, standing })
}

fn removed() -> String {
    "the bot was removed from the channel".to_owned()
}

/// Why one may not post.
fn short_of_rights(status: &str) -> Standing {
    match status {
        "kicked" => Standing::ShutOut(removed()),
        "administrator" => {
            Standing::MayNot("the bot is an administrator without the right to post messages".to_owned())
        }
        "restricted" => Standing::MayNot("the bot may not write messages in the group".to_owned()),
        "left" => Standing::MayNot("the bot is not in the channel".to_owned()),
        _ => Standing::MayNot("the bot is not an administrator of the channel".to_owned()),
    }
}

/// What to do now.
fn message(channel: &KeptChannel, bot: &KeptBot) -> String {
    let (channel_name, bot_name) = (channel.called(), bot.called());
    let reason = channel.reason.as_deref().unwrap_or("it is not known yet");
    match channel.state {
        BindingState::Valid => format!("{bot_name} may post in {channel_name}"),
        BindingState::New => format!(
            "{channel_name} is bound to {bot_name}, which may not post there yet: {reason}. \
             Make it an administrator with the right to post messages"
        ),
        BindingState::Invalid => format!("{bot_name} may not post in {channel_name}: {reason}"),
    }
}

fn no_active_bot() -> Problem {
    let detail = "there is no active bot to bind the channel to: add one, or make one active";
    refusal(409, "no active bot", detail)
}

fn unseen_invitation(bot: &KeptBot) -> Problem {
    let detail = format!(
        "an invite link does not tell a bot which channel it leads to, and no channel that is kept has this one. \
         Make {} an administrator of the channel, then add the channel by its numeric id, by the link of one of its posts, or by @name",
        bot.called()
    );
    refusal(422, "an invite link alone", detail)
}
