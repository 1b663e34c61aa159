//! Telegram for plugins, by bots through the Bot API: the capabilities `potok:telegram/bot` (posting) and
//! `potok:telegram/registry` (bots and channels that are kept as rows); and an operator's user accounts, over MTProto ([`accounts`]).
//!
//! It promises one thing above all: **a post is sent at most once for one idempotency key**, whatever crashes when.
//! The Bot
//! API knows no such key, so the promise is kept by a row that is written before anything leaves ([`post`]), and by
//! people,
//! who settle what became of a post whose answer was lost ([`TelegramProvider::settle`]).
//!
//! Limits are kept, not worked around: messages to one channel are spaced out ([`Pacing`]), and when Telegram says
//! that it is
//! flooded, the bot rests for as long as it asks.
//!
//! This crate knows no workflow and no engine: its rows go through [`potok_wasm::Tables`], its answers are JSON.

pub mod accounts;
mod api;
mod channel;
mod config;
mod locks;
mod markdown;
mod message;
mod outreach;
mod pace;
mod post;
mod reader;
mod registry;
mod rows;
mod settle;
mod settle_calls;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use potok_dsl::{ErrorType, Problem};
use potok_secrets::Keeper;
use potok_wasm::{CallContext, Migration, Provider, TableError, Tables};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use config::{ConfigError, Pacing, TelegramConfig};
pub use rows::{Post, PostState};
pub use settle::{SettleError, Settlement};

use accounts::Accounts;
use api::BotApi;
use config::Gate;
use locks::KeyLocks;
use pace::Pacer;

/// The tables of bots' posts, of bots and channels, of accounts, and of people and campaigns.
const MIGRATIONS: &[Migration] = &[
    rows::MIGRATION,
    registry::MIGRATION,
    accounts::MIGRATIONS[0],
    accounts::MIGRATIONS[1],
    accounts::MIGRATIONS[2],
    outreach::MIGRATION,
];

/// The WIT interfaces that this crate serves.
const INTERFACES: &[&str] = &["potok:telegram/bot", REGISTRY, ACCOUNTS, OUTREACH];

/// The one of bots and channels that are kept.
const REGISTRY: &str = "potok:telegram/registry";

/// The one of user accounts.
const ACCOUNTS: &str = "potok:telegram/accounts";

/// The one of people and campaigns.
const OUTREACH: &str = "potok:telegram/outreach";

/// The name of the bot that is meant when none is named.
const DEFAULT_BOT: &str = "default";

/// The most messages that are on their way at once.
const MAX_SENDING: usize = 64;

/// Posts through bots. Cheap to share behind an `Arc`; it keeps no connection open between posts.
#[derive(Debug)]
pub struct TelegramProvider {
    /// Those of the configuration, by name.
    bots: BTreeMap<String, BotApi>,
    gate: Gate,
    keeper: Arc<Keeper>,
    accounts: Accounts,
    pacer: Arc<Pacer>,
    locks: KeyLocks,
    /// Bounds the requests that outlive their callers.
    sending: Arc<Semaphore>,
    /// After how many milliseconds an intent without an answer can have no answer any more.
    intent_lost_after_ms: i64,
}

impl TelegramProvider {
    /// A provider for these bots. Nothing is asked of Telegram yet; `verify` does that.
    ///
    /// # Errors
    /// [`ConfigError`] when an address or a token cannot be one.
    ///
    /// # Panics
    /// When no TLS provider was installed (`rustls::crypto::CryptoProvider::install_default`), which the binary does
    /// first thing.
    pub fn new(config: TelegramConfig) -> Result<Self, ConfigError> {
        let (gate, bots) = config.open()?;
        let timeout = config.timeout;
        Ok(Self {
            bots,
            gate,
            accounts: Accounts::new(config.accounts, Arc::clone(&config.keeper)),
            keeper: config.keeper,
            pacer: Arc::new(Pacer::new(config.pacing)),
            locks: KeyLocks::default(),
            sending: Arc::new(Semaphore::new(MAX_SENDING)),
            intent_lost_after_ms: i64::try_from(timeout.as_millis())
                .unwrap_or(i64::MAX / 2)
                .saturating_add(60_000),
        })
    }

    /// The operator's user accounts.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// A bot by its name in the configuration, or by the id of one that is kept.
    async fn bot(&self, tables: &dyn Tables, name: &str) -> Result<BotApi, Problem> {
        if let Some(configured) = self.bots.get(name) {
            return Ok(configured.clone());
        }
        if let Ok(id) = name.parse()
            && let Some(kept) = self.kept_bot(tables, id).await?
        {
            return self.api(&kept);
        }
        let known: Vec<_> = self.bots.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let detail = format!(
            "there is no bot '{name}'; configured are: {known}. Add its token to the configuration, or add the bot and name it by its id"
        );
        Err(Problem::new(ErrorType::Configuration, "unknown bot", detail))
    }
}

#[async_trait]
impl Provider for TelegramProvider {
    fn interfaces(&self) -> &[&'static str] {
        INTERFACES
    }

    fn migrations(&self) -> &[Migration] {
        MIGRATIONS
    }

    async fn call(&self, cx: &CallContext, interface: &str, function: &str, args: Value) -> Result<Value, Problem> {
        match interface {
            REGISTRY => return self.registry(cx, function, args).await,
            ACCOUNTS => return self.account_calls(cx, function, args).await,
            OUTREACH => return self.outreach(cx, function, args).await,
            _ => {}
        }
        match function {
            "post" => self.post(cx, arguments(args)?).await,
            "verify" => self.verify(cx, arguments(args)?).await,
            "unknown-posts" => self.list_unknown(cx).await,
            "posts" => self.list_posts(cx, arguments(args)?).await,
            "settle-post" => self.settle_one(cx, arguments(args)?).await,
            _ => Err(unknown_function(interface, function)),
        }
    }
}

fn unknown_function(interface: &str, function: &str) -> Problem {
    let detail = format!("{interface} has no function '{function}'");
    Problem::new(ErrorType::Runtime, "unknown function", detail)
}

/// The one parameter that functions here have.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments<T> {
    request: T,
}

fn arguments<T: DeserializeOwned>(args: Value) -> Result<T, Problem> {
    serde_json::from_value::<Arguments<T>>(args)
        .map(|arguments| arguments.request)
        .map_err(|e| Problem::new(ErrorType::Validation, "invalid request", e.to_string()))
}

/// What a store that does not serve means for a post.
fn store_problem(error: &TableError) -> Problem {
    unrecorded("the post could not be recorded", error)
}

/// What a store that does not serve means for a call.
fn unrecorded(title: &str, error: &TableError) -> Problem {
    let problem = Problem::new(ErrorType::Runtime, title, error.to_string());
    match error {
        TableError::TooLarge { .. } => problem.with_status(413),
        TableError::Unavailable(_) => problem.with_status(503),
        _ => problem,
    }
}
