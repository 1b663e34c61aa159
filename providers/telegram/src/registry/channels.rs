//! Channels as rows, each with the bot that it is bound to and how that binding stands.

use potok_dsl::{Problem, Timestamp};
use potok_wasm::{CallContext, Param, Row, Statement, TableError, Tables};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MOST, missing, unkept};
use crate::TelegramProvider;
use crate::api::Chat;
use crate::channel::Channel;
use crate::reader::Reader;

/// Columns in the order in which [`channel`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, title, username, invite_link, bot, ",
            "(SELECT username FROM telegram_bots WHERE telegram_bots.id = telegram_channels.bot), ",
            "state, reason, checked_at, created_at FROM telegram_channels ",
            $rest
        )
    };
}

/// How a binding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BindingState {
    /// The bot could not post yet.
    New,
    /// The bot may post.
    Valid,
    /// The bot may not post any more.
    Invalid,
}

impl BindingState {
    const ALL: [(Self, &'static str); 3] = [(Self::New, "new"), (Self::Valid, "valid"), (Self::Invalid, "invalid")];

    pub(super) fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|state| state.0 == self)
            .map_or("new", |state| state.1)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|state| state.1 == word).map(|state| state.0)
    }
}

/// `channels-request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    states: Option<Vec<BindingState>>,
}

/// A row of `telegram_channels`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeptChannel {
    pub(super) id: i64,
    pub(super) title: Option<String>,
    pub(super) username: Option<String>,
    invite_link: Option<String>,
    pub(super) bot: i64,
    bot_username: Option<String>,
    pub(super) state: BindingState,
    pub(super) reason: Option<String>,
    checked_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl KeptChannel {
    /// `kept-channel` of the WIT.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "title": self.title,
            "username": self.username,
            "link": self.username.as_ref().map(|name| format!("https://t.me/{name}")),
            "invite_link": self.invite_link,
            "bot_id": self.bot,
            "bot_link": self.bot_username.as_ref().map(|name| format!("https://t.me/{name}")),
            "state": self.state.word(),
            "reason": self.reason,
            "checked_at": self.checked_at.map(Timestamp::rfc3339),
            "created_at": self.created_at.rfc3339(),
        })
    }

    /// What people call it.
    pub(super) fn called(&self) -> String {
        let name = self.username.as_ref().map(|name| format!("@{name}"));
        name.or_else(|| self.title.as_ref().map(|title| format!("'{title}'")))
            .unwrap_or_else(|| self.id.to_string())
    }
}

impl TelegramProvider {
    pub(super) async fn list_channels(&self, cx: &CallContext, wanted: Wanted) -> Result<Value, Problem> {
        let statement = Statement {
            sql: select!("ORDER BY id LIMIT $1"),
            params: vec![MOST.into()],
        };
        let rows = cx.tables.read(statement).await.map_err(unkept)?;
        let channels = rows.into_iter().map(channel).collect::<Result<Vec<_>, _>>();
        let asked_for = |channel: &&KeptChannel| {
            wanted
                .states
                .as_ref()
                .is_none_or(|states| states.contains(&channel.state))
        };
        let channels = channels.map_err(unkept)?;
        Ok(channels.iter().filter(asked_for).map(KeptChannel::shown).collect())
    }

    pub(super) async fn show_channel(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let channel = find(&*cx.tables, id).await.map_err(unkept)?;
        Ok(channel.ok_or_else(|| missing("channel", id))?.shown())
    }

    pub(super) async fn remove_channel(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let statement = Statement {
            sql: "DELETE FROM telegram_channels WHERE id = $1 RETURNING id",
            params: vec![id.into()],
        };
        let removed = cx.tables.write(vec![statement]).await.map_err(unkept)?;
        match removed.first() {
            Some(rows) if !rows.is_empty() => Ok(json!({ "id": id })),
            _ => Err(missing("channel", id)),
        }
    }

    /// The bot that a channel is bound to.
    pub(crate) async fn bound_bot(&self, tables: &dyn Tables, channel: &Channel) -> Result<Option<i64>, Problem> {
        let found = match channel {
            Channel::Id(id) => find(tables, *id).await,
            Channel::Public(name) => by_name(tables, name).await,
        };
        Ok(found.map_err(unkept)?.map(|channel| channel.bot))
    }
}

pub(super) async fn find(tables: &dyn Tables, id: i64) -> Result<Option<KeptChannel>, TableError> {
    one(tables, select!("WHERE id = $1"), id.into()).await
}

/// By its name in lower case.
pub(super) async fn by_name(tables: &dyn Tables, name: &str) -> Result<Option<KeptChannel>, TableError> {
    one(
        tables,
        select!("WHERE lower(username) = $1 ORDER BY updated_at DESC LIMIT 1"),
        name.into(),
    )
    .await
}

pub(super) async fn by_invite(tables: &dyn Tables, link: &str) -> Result<Option<KeptChannel>, TableError> {
    one(
        tables,
        select!("WHERE invite_link = $1 ORDER BY id LIMIT 1"),
        link.into(),
    )
    .await
}

async fn one(tables: &dyn Tables, sql: &'static str, param: Param) -> Result<Option<KeptChannel>, TableError> {
    let rows = tables
        .read(Statement {
            sql,
            params: vec![param],
        })
        .await?;
    rows.into_iter().next().map(channel).transpose()
}

pub(super) async fn count(tables: &dyn Tables) -> Result<i64, TableError> {
    let sql = "SELECT COUNT(*) FROM telegram_channels";
    let rows = tables.read(Statement { sql, params: vec![] }).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Param::Integer(count)) => Ok(*count),
        other => Err(TableError::Refused(format!("the number of channels is {other:?}"))),
    }
}

/// Binds a channel to a bot; to the active one with the fewest channels, chosen in the transaction, when none is named.
/// A binding that is valid stays so while its bot stays. Gives whether there was an active bot to bind it to.
pub(super) async fn bind(
    tables: &dyn Tables,
    id: i64,
    chat: Option<&Chat>,
    bot: Option<i64>,
    now: Timestamp,
) -> Result<bool, TableError> {
    let statement = Statement {
        sql: "INSERT INTO telegram_channels (id, title, username, invite_link, bot, state, created_at, updated_at) \
              SELECT $1, $2, $3, $4, telegram_bots.id, 'new', $5, $5 FROM telegram_bots \
              WHERE active = 1 AND telegram_bots.id = COALESCE($6, telegram_bots.id) \
              ORDER BY (SELECT COUNT(*) FROM telegram_channels AS others WHERE others.bot = telegram_bots.id \
              AND others.state <> 'invalid'), telegram_bots.id LIMIT 1 \
              ON CONFLICT (id) DO UPDATE SET title = COALESCE(excluded.title, telegram_channels.title), \
              username = COALESCE(excluded.username, telegram_channels.username), \
              invite_link = COALESCE(excluded.invite_link, telegram_channels.invite_link), \
              state = CASE WHEN telegram_channels.bot = excluded.bot AND telegram_channels.state = 'valid' \
              THEN 'valid' ELSE 'new' END, \
              reason = NULL, bot = excluded.bot, updated_at = excluded.updated_at RETURNING bot",
        params: vec![
            id.into(),
            chat.and_then(|chat| chat.title.clone()).into(),
            chat.and_then(|chat| chat.username.clone()).into(),
            chat.and_then(|chat| chat.invite_link.clone()).into(),
            now.0.into(),
            bot.into(),
        ],
    };
    let written = tables.write(vec![statement]).await?;
    Ok(written.first().is_some_and(|rows| !rows.is_empty()))
}

/// Records how a binding stands, unless the channel was bound to another bot meanwhile.
pub(super) async fn record(
    tables: &dyn Tables,
    channel: &KeptChannel,
    chat: Option<&Chat>,
    (state, reason): (BindingState, Option<&str>),
    now: Timestamp,
) -> Result<(), TableError> {
    let statement = Statement {
        sql: "UPDATE telegram_channels SET state = $1, reason = $2, checked_at = $3, updated_at = $3, \
              title = COALESCE($4, title), username = COALESCE($5, username), invite_link = COALESCE($6, invite_link) \
              WHERE id = $7 AND bot = $8",
        params: vec![
            state.word().into(),
            reason.map(str::to_owned).into(),
            now.0.into(),
            chat.and_then(|chat| chat.title.clone()).into(),
            chat.and_then(|chat| chat.username.clone()).into(),
            chat.and_then(|chat| chat.invite_link.clone()).into(),
            channel.id.into(),
            channel.bot.into(),
        ],
    };
    tables.write(vec![statement]).await.map(|_| ())
}

fn channel(row: Row) -> Result<KeptChannel, TableError> {
    let mut row = Reader::new("telegram_channels", row);
    Ok(KeptChannel {
        id: row.integer("id")?,
        title: row.optional_text("title")?,
        username: row.optional_text("username")?,
        invite_link: row.optional_text("invite_link")?,
        bot: row.integer("bot")?,
        bot_username: row.optional_text("bot_username")?,
        state: row.word("state", BindingState::parse)?,
        reason: row.optional_text("reason")?,
        checked_at: row.optional_integer("checked_at")?.map(Timestamp),
        created_at: Timestamp(row.integer("created_at")?),
    })
}
