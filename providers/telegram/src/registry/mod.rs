//! Bots and channels that are kept as rows: the capability `potok:telegram/registry`.
//!
//! A bot is known by Telegram's own id, so that adding it again is the same bot; its token is kept sealed, and is asked of
//! Telegram before it is kept. A channel is bound to one bot, the one that is named or the active one with the fewest
//! channels. A binding is `new` until the bot may post in the channel, then `valid`, and `invalid` with the reason once
//! that is lost ([`bind`]).
//!
//! All is idempotent, so a call that is made again after a crash does what it did before.

mod bind;
mod bots;
mod channels;
mod reference;

use potok_dsl::{ErrorType, Problem};
use potok_secrets::SealError;
use potok_wasm::{CallContext, Migration, TableError};
use serde::Deserialize;
use serde_json::Value;

use crate::{REGISTRY, TelegramProvider, arguments, unknown_function, unrecorded};

/// The most bots, and the most channels, that are kept.
pub(crate) const MOST: i64 = 10_000;

pub(crate) const MIGRATION: Migration = Migration {
    owner: "telegram-registry",
    version: 1,
    sql: "
        CREATE TABLE telegram_bots (
            id BIGINT PRIMARY KEY NOT NULL,
            username TEXT,
            name TEXT NOT NULL,
            token TEXT NOT NULL,
            active BIGINT NOT NULL,
            verified_at BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE TABLE telegram_channels (
            id BIGINT PRIMARY KEY NOT NULL,
            title TEXT,
            username TEXT,
            invite_link TEXT,
            bot BIGINT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            checked_at BIGINT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX telegram_channels_by_bot ON telegram_channels (bot);
        CREATE INDEX telegram_channels_by_username ON telegram_channels (username);
    ",
};

/// A request that names a thing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: i64,
}

impl TelegramProvider {
    /// Serves a function of the registry.
    pub(crate) async fn registry(&self, cx: &CallContext, function: &str, args: Value) -> Result<Value, Problem> {
        match function {
            "add-bot" => self.add_bot(cx, arguments(args)?).await,
            "update-bot" => self.update_bot(cx, arguments(args)?).await,
            "remove-bot" => self.remove_bot(cx, arguments::<Named>(args)?.id).await,
            "bots" => self.list_bots(cx).await,
            "bot" => self.show_bot(cx, arguments::<Named>(args)?.id).await,
            "add-channel" => self.add_channel(cx, arguments(args)?).await,
            "remove-channel" => self.remove_channel(cx, arguments::<Named>(args)?.id).await,
            "channels" => self.list_channels(cx, arguments(args)?).await,
            "channel" => self.show_channel(cx, arguments::<Named>(args)?.id).await,
            "check-channel" => self.check_channel(cx, arguments::<Named>(args)?.id).await,
            _ => Err(unknown_function(REGISTRY, function)),
        }
    }
}

/// There is no such thing.
fn missing(what: &str, id: i64) -> Problem {
    refusal(
        404,
        &format!("no such {what}"),
        format!("there is no {what} with the id {id}"),
    )
}

/// What stands against a request.
fn refusal(status: u16, title: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ErrorType::Validation, title, detail).with_status(status)
}

/// What a store that does not serve means for what is kept here.
fn unkept(error: TableError) -> Problem {
    unrecorded("bots and channels cannot be read or kept", &error)
}

/// A token that cannot be sealed or opened.
fn sealing(error: &SealError) -> Problem {
    Problem::new(
        ErrorType::Configuration,
        "the bot's token cannot be kept or opened",
        error.to_string(),
    )
    .with_status(503)
}
