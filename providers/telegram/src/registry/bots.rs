//! Bots as rows: adding, changing, removing, and the token, which nobody sees again.

use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_secrets::IN_FLIGHT;
use potok_wasm::{CallContext, Param, Row, Statement, TableError, Tables};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{MOST, missing, refusal, sealing, unkept};
use crate::TelegramProvider;
use crate::api::BotApi;
use crate::config::is_token;
use crate::reader::Reader;
use crate::verify::{self, Me, within};

/// Columns in the order in which [`bot`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, username, name, token, active, verified_at, created_at, updated_at, ",
            "(SELECT COUNT(*) FROM telegram_channels WHERE telegram_channels.bot = telegram_bots.id) FROM telegram_bots ",
            $rest
        )
    };
}

/// `add-bot-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddBot {
    token: String,
}

/// `update-bot-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateBot {
    id: i64,
    token: Option<String>,
    active: Option<bool>,
}

/// A row of `telegram_bots`.
#[derive(Clone, PartialEq)]
pub(crate) struct KeptBot {
    pub(crate) id: i64,
    username: Option<String>,
    name: String,
    /// Sealed.
    token: String,
    pub(crate) active: bool,
    verified_at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    channels: i64,
}

impl KeptBot {
    /// `kept-bot` of the WIT.
    fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "username": self.username,
            "link": self.link(),
            "active": self.active,
            "channels": self.channels,
            "verified_at": self.verified_at.rfc3339(),
            "created_at": self.created_at.rfc3339(),
            "updated_at": self.updated_at.rfc3339(),
        })
    }

    /// Where people find it.
    pub(super) fn link(&self) -> Option<String> {
        self.username.as_ref().map(|name| format!("https://t.me/{name}"))
    }

    /// What people call it.
    pub(super) fn called(&self) -> String {
        self.username
            .as_ref()
            .map_or_else(|| self.name.clone(), |name| format!("@{name}"))
    }
}

impl TelegramProvider {
    pub(super) async fn add_bot(&self, cx: &CallContext, request: AddBot) -> Result<Value, Problem> {
        let token = self.plain(request.token)?;
        let me = self.verified(cx, &token).await?;
        let id = id_of(&me)?;
        let known = find(&*cx.tables, id).await.map_err(unkept)?;
        if known.is_none() && count(&*cx.tables).await.map_err(unkept)? >= MOST {
            return Err(refusal(409, "too many bots", format!("{MOST} bots are kept already")));
        }
        let new = self.keep(cx, id, &me, &token).await?;
        Ok(json!({ "id": id, "new": new }))
    }

    pub(super) async fn update_bot(&self, cx: &CallContext, request: UpdateBot) -> Result<Value, Problem> {
        let UpdateBot { id, token, active } = request;
        find(&*cx.tables, id)
            .await
            .map_err(unkept)?
            .ok_or_else(|| missing("bot", id))?;
        if let Some(token) = token {
            let token = self.plain(token)?;
            let me = self.verified(cx, &token).await?;
            if id_of(&me)? != id {
                let detail = format!("the token is that of the bot {}, not of {id}", me.id);
                return Err(refusal(409, "another bot's token", detail));
            }
            self.keep(cx, id, &me, &token).await?;
        }
        if let Some(active) = active {
            let statement = Statement {
                sql: "UPDATE telegram_bots SET active = $1, updated_at = $2 WHERE id = $3 AND active <> $1",
                params: vec![i64::from(active).into(), cx.now.0.into(), id.into()],
            };
            cx.tables.write(vec![statement]).await.map_err(unkept)?;
        }
        self.show_bot(cx, id).await
    }

    /// Removes a bot that no channel is bound to.
    pub(super) async fn remove_bot(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let statement = Statement {
            sql: "DELETE FROM telegram_bots WHERE id = $1 \
                  AND NOT EXISTS (SELECT 1 FROM telegram_channels WHERE bot = $1) RETURNING id",
            params: vec![id.into()],
        };
        let removed = cx.tables.write(vec![statement]).await.map_err(unkept)?;
        if removed.first().is_some_and(|rows| !rows.is_empty()) {
            return Ok(json!({ "id": id }));
        }
        let bot = find(&*cx.tables, id).await.map_err(unkept)?;
        let bot = bot.ok_or_else(|| missing("bot", id))?;
        let detail = format!(
            "{} is bound to {} channels: remove these, or add them again with another bot, first",
            bot.called(),
            bot.channels
        );
        Err(refusal(409, "the bot has channels", detail))
    }

    pub(super) async fn list_bots(&self, cx: &CallContext) -> Result<Value, Problem> {
        let statement = Statement {
            sql: select!("ORDER BY id LIMIT $1"),
            params: vec![MOST.into()],
        };
        let rows = cx.tables.read(statement).await.map_err(unkept)?;
        let bots = rows.into_iter().map(bot).collect::<Result<Vec<_>, _>>();
        Ok(bots.map_err(unkept)?.iter().map(KeptBot::shown).collect())
    }

    pub(super) async fn show_bot(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let bot = find(&*cx.tables, id).await.map_err(unkept)?;
        Ok(bot.ok_or_else(|| missing("bot", id))?.shown())
    }

    /// A bot that is kept.
    pub(crate) async fn kept_bot(&self, tables: &dyn Tables, id: i64) -> Result<Option<KeptBot>, Problem> {
        find(tables, id).await.map_err(unkept)
    }

    /// The way to Telegram of a kept bot that may be used.
    pub(crate) fn api(&self, bot: &KeptBot) -> Result<BotApi, Problem> {
        if !bot.active {
            let detail = format!("{} is not active: nothing is sent or asked by it", bot.called());
            return Err(Problem::new(ErrorType::Configuration, "the bot is not active", detail).with_status(409));
        }
        let token = self.keeper.open_text(&at_rest(bot.id), &bot.token);
        let token = token.map_err(|error| sealing(&error))?.unwrap_or_default();
        self.way(&token)
    }

    fn way(&self, token: &str) -> Result<BotApi, Problem> {
        self.gate
            .bot(token)
            .map_err(|error| Problem::new(ErrorType::Configuration, "no way to Telegram", error.to_string()))
    }

    /// The token, unsealed when whoever took it in has sealed it.
    fn plain(&self, given: String) -> Result<Zeroizing<String>, Problem> {
        let given = Zeroizing::new(given);
        let opened = self.keeper.open_text(IN_FLIGHT, &given);
        let token = opened.map_err(|error| sealing(&error))?.unwrap_or(given);
        let token = Zeroizing::new(token.trim().to_owned());
        if is_token(&token) {
            return Ok(token);
        }
        let detail = "this is no bot's token: BotFather gives tokens such as 123456:AbC-dEf";
        Err(refusal(400, "invalid token", detail))
    }

    /// Whom Telegram says that a token belongs to.
    async fn verified(&self, cx: &CallContext, token: &str) -> Result<Me, Problem> {
        let api = self.way(token)?;
        within(cx, async { verify::me(&api).await.map_err(verify::problem) }).await
    }

    /// Keeps a bot that Telegram knows; whether it is new.
    async fn keep(&self, cx: &CallContext, id: i64, me: &Me, token: &str) -> Result<bool, Problem> {
        let sealed = self.keeper.seal_text(&at_rest(id), token);
        let sealed = sealed.map_err(|error| sealing(&error))?;
        let now = cx.now.0;
        let known = Statement {
            sql: "UPDATE telegram_bots SET username = $1, name = $2, token = $3, verified_at = $4, updated_at = $4 \
                  WHERE id = $5 RETURNING id",
            params: vec![
                me.username.clone().into(),
                me.first_name.clone().into(),
                sealed.clone().into(),
                now.into(),
                id.into(),
            ],
        };
        let unknown = Statement {
            sql: "INSERT INTO telegram_bots (id, username, name, token, active, verified_at, created_at, updated_at) \
                  VALUES ($1, $2, $3, $4, 1, $5, $5, $5) ON CONFLICT (id) DO NOTHING RETURNING id",
            params: vec![
                id.into(),
                me.username.clone().into(),
                me.first_name.clone().into(),
                sealed.into(),
                now.into(),
            ],
        };
        let written = cx.tables.write(vec![known, unknown]).await.map_err(unkept)?;
        Ok(written.first().is_none_or(Vec::is_empty))
    }
}

/// What a bot's token is sealed under.
fn at_rest(id: i64) -> String {
    format!("telegram bot {id}")
}

fn id_of(me: &Me) -> Result<i64, Problem> {
    i64::try_from(me.id).map_err(|_| refusal(502, "no good answer from Telegram", format!("a bot's id is {}", me.id)))
}

async fn find(tables: &dyn Tables, id: i64) -> Result<Option<KeptBot>, TableError> {
    let statement = Statement {
        sql: select!("WHERE id = $1"),
        params: vec![id.into()],
    };
    tables.read(statement).await?.into_iter().next().map(bot).transpose()
}

/// The active bot with the fewest channels that are not invalid.
pub(super) async fn least_loaded(tables: &dyn Tables) -> Result<Option<KeptBot>, TableError> {
    let statement = Statement {
        sql: select!(
            "WHERE active = 1 ORDER BY (SELECT COUNT(*) FROM telegram_channels WHERE telegram_channels.bot = telegram_bots.id \
             AND telegram_channels.state <> 'invalid'), id LIMIT 1"
        ),
        params: vec![],
    };
    tables.read(statement).await?.into_iter().next().map(bot).transpose()
}

async fn count(tables: &dyn Tables) -> Result<i64, TableError> {
    let sql = "SELECT COUNT(*) FROM telegram_bots";
    let rows = tables.read(Statement { sql, params: vec![] }).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Param::Integer(count)) => Ok(*count),
        other => Err(TableError::Refused(format!("the number of bots is {other:?}"))),
    }
}

fn bot(row: Row) -> Result<KeptBot, TableError> {
    let mut row = Reader::new("telegram_bots", row);
    Ok(KeptBot {
        id: row.integer("id")?,
        username: row.optional_text("username")?,
        name: row.text("name")?,
        token: row.text("token")?,
        active: row.integer("active")? != 0,
        verified_at: Timestamp(row.integer("verified_at")?),
        created_at: Timestamp(row.integer("created_at")?),
        updated_at: Timestamp(row.integer("updated_at")?),
        channels: row.integer("channels")?,
    })
}
