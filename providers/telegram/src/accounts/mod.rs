//! User accounts of an operator, over Telegram's own protocol (MTProto).
//!
//! An account ([`model`]) is a row ([`rows`]); what is secret of it, its session above all, is one sealed document in that row
//! ([`vault`]). A sign-in is remembered there step by step, so that a restart between the code and the password loses
//! nothing ([`sign_in`]). A connection is made when it is needed and closed when it is idle ([`pool`]); an account does one
//! thing at a time, since Telegram destroys a session that is used over two connections.
//!
//! Nothing is tried again here. What Telegram says of an account's health is noted in its row by whoever hears it: a flood
//! wait rests it until then, a report for spam disables it, a session that was ended has to be signed in anew.

mod calls;
mod chats;
mod error;
mod health;
mod model;
mod people;
mod pool;
mod proxies;
mod rows;
mod session;
mod sign_in;
mod srp;
mod vault;
mod warming;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use grammers_tl_types::RemoteCall;
use potok_dsl::Timestamp;
use potok_secrets::Keeper;
use potok_wasm::{Migration, Tables};
use tokio::sync::OwnedMutexGuard;

pub use chats::{Member, Sent};
pub use error::AccountError;
pub(crate) use model::phone_number;
pub use model::{Account, AccountChange, AccountFilter, AccountStatus, NewAccount};
pub(crate) use people::{Added, Person, Place, Whom, listed};
pub use proxies::{Proxy, ProxyChange, ProxyState};
pub use sign_in::{Qr, SignedIn};

use crate::locks::KeyLocks;
use error::Noted;
use pool::{Connection, Pool};
use vault::Vault;

/// The table of accounts, step by step.
pub const MIGRATIONS: [Migration; 3] = rows::MIGRATIONS;

/// How accounts reach Telegram, and what they say they are. The same at sign-in and in use: a device that changes looks
/// like theft of the session.
#[derive(Clone)]
pub struct AccountsConfig {
    /// Where the data centres are; empty: Telegram's own.
    pub centres: Vec<Centre>,
    /// Where keys come from when they are not agreed on with the data centre.
    pub keys: Option<Arc<dyn AuthKeys>>,
    /// How long one call may take, connecting included.
    pub timeout: Duration,
    /// After how long without a call a connection is closed.
    pub idle: Duration,
    /// What the account's device is called in Telegram's list of sessions.
    pub device: String,
}

/// A data centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Centre {
    /// Its number.
    pub id: i32,
    /// Where it is.
    pub address: SocketAddr,
}

/// Keys that a data centre knows already. Telegram has none to give; a local data centre gives nothing else.
#[async_trait]
pub trait AuthKeys: Send + Sync + 'static {
    /// A key that no session has.
    async fn new_key(&self) -> std::io::Result<[u8; 256]>;
}

impl Default for AccountsConfig {
    fn default() -> Self {
        Self {
            centres: Vec::new(),
            keys: None,
            timeout: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            device: "Potok".to_owned(),
        }
    }
}

impl fmt::Debug for AccountsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountsConfig")
            .field("centres", &self.centres)
            .field("timeout", &self.timeout)
            .field("idle", &self.idle)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// The accounts of a node. Every call names the tables that it works on and the time.
#[derive(Debug)]
pub struct Accounts {
    vault: Vault,
    pool: Pool,
    locks: KeyLocks,
}

/// An account that is being worked with: nobody else touches it meanwhile.
pub(crate) struct Held<'a> {
    tables: &'a dyn Tables,
    account: Account,
    vault: vault::Document,
    now: Timestamp,
    _alone: OwnedMutexGuard<()>,
}

impl Held<'_> {
    /// Nothing is asked while Telegram has asked for a rest.
    fn rested(&self) -> Result<(), AccountError> {
        let (id, now) = (self.account.id, self.now);
        match self.account.flood_until {
            Some(until) if until > now => Err(AccountError::Rests { id, until, now }),
            _ => Ok(()),
        }
    }
}

impl Accounts {
    /// Accounts whose secrets are sealed with this key, once there are any. Nothing is asked of Telegram yet.
    #[must_use]
    pub fn new(config: AccountsConfig, keeper: Arc<Keeper>) -> Self {
        Self {
            pool: Pool::new(config),
            vault: Vault::new(keeper),
            locks: KeyLocks::default(),
        }
    }

    /// Adds an account that has yet to sign in.
    ///
    /// # Errors
    /// When the phone number is none or is taken, or the store does not serve.
    pub async fn add(&self, tables: &dyn Tables, new: NewAccount, now: Timestamp) -> Result<Account, AccountError> {
        self.add_once(tables, new, None, now).await
    }

    /// The same, once for one key: a second time gives the account that was added under it.
    pub(super) async fn add_once(
        &self,
        tables: &dyn Tables,
        new: NewAccount,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Account, AccountError> {
        if let Some(key) = key
            && let Some(id) = rows::added_by(tables, key).await?
        {
            return self.get(tables, id).await;
        }
        model::proxy(new.proxy.as_deref())?;
        if let Some(proxy) = new.proxy_id {
            self.proxy(tables, proxy).await?;
        }
        let id = rows::reserve(tables).await?;
        let document = vault::Document::new(&new.api_hash, new.proxy.clone());
        let sealed = self.vault.seal(id, 1, &document)?;
        rows::insert(tables, id, &new, key, sealed, now).await
    }

    /// An account by its id.
    ///
    /// # Errors
    /// When there is none, or the store does not serve.
    pub async fn get(&self, tables: &dyn Tables, id: i64) -> Result<Account, AccountError> {
        Ok(rows::find(tables, id).await?.0)
    }

    /// The accounts that fit, by their ids.
    ///
    /// # Errors
    /// When the store does not serve.
    pub async fn list(&self, tables: &dyn Tables, filter: &AccountFilter) -> Result<Vec<Account>, AccountError> {
        rows::list(tables, filter).await
    }

    /// Changes what people say of an account, and turns it on and off.
    ///
    /// # Errors
    /// When there is none, the phone number is none or is taken, an account that never signed in is to be active, or the
    /// store does not serve.
    pub async fn change(
        &self,
        tables: &dyn Tables,
        id: i64,
        change: AccountChange,
        now: Timestamp,
    ) -> Result<Account, AccountError> {
        let mut held = self.hold(tables, id, now).await?;
        // One of those that are kept takes the place of its own.
        let proxy = change.proxy.clone().or(change.proxy_id.map(|_| None));
        model::proxy(proxy.as_ref().and_then(Option::as_deref))?;
        if let Some(proxy) = change.proxy_id {
            self.proxy(tables, proxy).await?;
        }
        rows::change(tables, &held.account, held.vault.signed_in, &change, now).await?;
        // Whatever was changed, the next call connects anew.
        self.pool.close(id).await;
        if let Some(proxy) = proxy {
            self.keep(&mut held, |document| document.proxy = proxy).await?;
        }
        self.get(tables, id).await
    }

    /// Forgets an account. Its session at Telegram ends when the account was signed in and can be reached.
    ///
    /// # Errors
    /// When there is none, or the store does not serve.
    pub async fn remove(&self, tables: &dyn Tables, id: i64, now: Timestamp) -> Result<(), AccountError> {
        let held = self.hold(tables, id, now).await?;
        if held.vault.signed_in {
            let log_out = grammers_tl_types::functions::auth::LogOut {};
            if let Err(error) = self.connection(&held).await?.call(&log_out).await {
                tracing::warn!(account = id, %error, "the session of a removed account could not be ended");
            }
        }
        self.pool.close(id).await;
        rows::delete(tables, id).await
    }

    /// Calls a method in an account's name: once, within the time that calls have. What the answer says of the account's
    /// health is noted.
    ///
    /// # Errors
    /// [`AccountError`]; nothing is sent when the account is not signed in or rests.
    pub async fn call<R: RemoteCall + Sync>(
        &self,
        tables: &dyn Tables,
        id: i64,
        request: &R,
        now: Timestamp,
    ) -> Result<R::Return, AccountError> {
        let mut held = self.hold_working(tables, id, now).await?;
        let answer = self.ask(&mut held, request).await?;
        rows::used(tables, id, now).await?;
        Ok(answer)
    }

    /// How many accounts are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.pool.len()
    }

    /// Closes all connections.
    pub async fn disconnect(&self) {
        self.pool.close_all().await;
    }

    /// One call of an account that is held, its consequences noted. What the connection learned is kept.
    async fn ask<R: RemoteCall + Sync>(&self, held: &mut Held<'_>, request: &R) -> Result<R::Return, AccountError> {
        let connection = self.connection(held).await?;
        let answer = connection.call(request).await;
        if let Some(keys) = connection.changed_keys() {
            self.keep(held, |document| document.session = Some(keys)).await?;
        }
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if error.connection_is_lost() {
                    self.pool.close(held.account.id).await;
                }
                self.note(held, &error).await?;
                Err(error)
            }
        }
    }

    /// Keeps what an error says of the account.
    async fn note(&self, held: &mut Held<'_>, error: &AccountError) -> Result<(), AccountError> {
        let noted = error.noted(held.now);
        if let Noted::SessionLost | Noted::Banned = noted {
            self.pool.close(held.account.id).await;
            self.keep(held, vault::Document::forget_session).await?;
        }
        rows::note(held.tables, held.account.id, noted, &error.to_string(), held.now).await
    }

    /// Changes the sealed document of an account that is held.
    async fn keep(&self, held: &mut Held<'_>, change: impl FnOnce(&mut vault::Document)) -> Result<(), AccountError> {
        change(&mut held.vault);
        let (id, version) = (held.account.id, held.account.version + 1);
        let sealed = self.vault.seal(id, version, &held.vault)?;
        rows::seal(held.tables, id, version, sealed, held.now).await?;
        held.account.version = version;
        Ok(())
    }

    async fn connection(&self, held: &Held<'_>) -> Result<Arc<Connection>, AccountError> {
        self.pool.get(&held.account, &held.vault).await
    }

    /// Takes an account, so that nobody else works with it.
    async fn hold<'a>(&self, tables: &'a dyn Tables, id: i64, now: Timestamp) -> Result<Held<'a>, AccountError> {
        let alone = self.locks.take(&id.to_string()).await;
        let (account, sealed) = rows::find(tables, id).await?;
        let mut vault = self.vault.open(id, account.version, &sealed)?;
        if let Some(proxy) = account.proxy_id {
            vault.proxy = Some(self.proxy_url(tables, proxy).await?);
        }
        Ok(Held {
            tables,
            account,
            vault,
            now,
            _alone: alone,
        })
    }

    /// Takes an account that is signed in and does not rest.
    async fn hold_working<'a>(
        &self,
        tables: &'a dyn Tables,
        id: i64,
        now: Timestamp,
    ) -> Result<Held<'a>, AccountError> {
        let held = self.hold(tables, id, now).await?;
        if !held.account.status.works() {
            return Err(AccountError::NotActive {
                id,
                status: held.account.status,
                problem: held.account.problem.clone(),
            });
        }
        held.rested()?;
        Ok(held)
    }
}
