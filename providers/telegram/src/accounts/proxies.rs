//! Proxies that accounts go through: rows of their own, so that one can be looked after for all the accounts that it serves.
//!
//! An account has one proxy at a time and keeps it. Where a proxy is cannot be changed while accounts go through it: an exit
//! address that changes looks like theft of the session.

use std::time::{Duration, Instant};

use potok_dsl::Timestamp;
use potok_wasm::{Param, Row, TableError, Tables};
use serde::Serialize;
use tokio_socks::tcp::Socks5Stream;

use super::error::AccountError;
use super::rows::{read, write};
use super::{Accounts, vault::Sealed};
use crate::reader::{Reader, number};

/// The most proxies of one page.
const PAGE: i64 = 1_000;

/// What was found when a proxy was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyState {
    /// Nobody has looked.
    New,
    /// Telegram can be reached through it.
    Valid,
    /// It cannot, for the reason that stands beside it.
    Invalid,
}

impl ProxyState {
    const ALL: [(Self, &'static str); 3] = [(Self::New, "new"), (Self::Valid, "valid"), (Self::Invalid, "invalid")];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|state| state.1 == word).map(|state| state.0)
    }
}

/// A proxy, without its password.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proxy {
    /// Its number here.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Where it is: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who it is used as.
    pub username: Option<String>,
    /// What was found when it was last looked at.
    pub state: ProxyState,
    /// Why it is `invalid`.
    pub problem: Option<String>,
    /// How long it took to reach Telegram through it, in milliseconds.
    pub latency_ms: Option<i64>,
    /// When it was last looked at.
    pub checked_at: Option<Timestamp>,
    /// How many accounts go through it.
    pub accounts: i64,
    #[serde(skip)]
    version: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What people say of a proxy; of one that is kept already, what is left out stays.
#[derive(Clone, Default)]
#[allow(missing_docs)]
pub struct ProxyChange {
    pub name: Option<String>,
    pub host: Option<String>,
    pub port: Option<i64>,
    /// An empty one is none.
    pub username: Option<String>,
    /// An empty one is none.
    pub password: Option<String>,
}

/// Nothing of the password.
impl std::fmt::Debug for ProxyChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyChange")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// A proxy with what is secret of it.
struct Opened {
    proxy: Proxy,
    password: Option<String>,
}

macro_rules! proxies {
    ($which:literal) => {
        concat!(
            "SELECT id, name, host, port, username, state, problem, latency_ms, checked_at, \
             (SELECT COUNT(*) FROM telegram_accounts a WHERE a.proxy_id = telegram_proxies.id), version, created_at, updated_at, \
             key_id, sealed FROM telegram_proxies ",
            $which
        )
    };
}

impl Accounts {
    /// Adds a proxy; under a key that was used before, gives the one that it added.
    ///
    /// # Errors
    /// When it cannot be one, is kept already, or the store does not serve.
    pub async fn add_proxy(
        &self,
        tables: &dyn Tables,
        new: ProxyChange,
        key: &str,
        now: Timestamp,
    ) -> Result<Proxy, AccountError> {
        let rows = read(tables, proxies!("WHERE added_by = $1"), vec![key.into()]).await?;
        if let Some(row) = rows.into_iter().next() {
            return Ok(proxy(row)?.0);
        }
        let (host, port) = place(new.host.as_deref().unwrap_or_default(), new.port.unwrap_or(0))?;
        let username = new.username.filter(|name| !name.is_empty());
        way((&host, port), username.as_deref(), new.password.as_deref())?;
        let id = number(
            &write(
                tables,
                "UPDATE telegram_proxy_ids SET last = last + 1 RETURNING last",
                vec![],
            )
            .await?,
        );
        let sealed = self.seal_password(id, 1, new.password)?;
        let sql = "INSERT INTO telegram_proxies (id, name, host, port, username, state, version, key_id, sealed, added_by, \
                   created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 'new', 1, $6, $7, $8, $9, $10) \
                   ON CONFLICT (host, port, username) DO NOTHING RETURNING id";
        let params = vec![
            id.into(),
            new.name.unwrap_or_default().into(),
            host.clone().into(),
            i64::from(port).into(),
            // A unique index takes nulls for different.
            username.unwrap_or_default().into(),
            sealed.key_id.into(),
            Param::Blob(sealed.bytes),
            key.into(),
            now.0.into(),
            now.0.into(),
        ];
        if write(tables, sql, params).await?.is_empty() {
            return Err(AccountError::ProxyTaken(format!("{host}:{port}")));
        }
        self.proxy(tables, id).await
    }

    /// Changes what people say of a proxy.
    ///
    /// # Errors
    /// When there is none, it is to be elsewhere while accounts go through it, or the store does not serve.
    pub async fn change_proxy(
        &self,
        tables: &dyn Tables,
        id: i64,
        change: ProxyChange,
        now: Timestamp,
    ) -> Result<Proxy, AccountError> {
        let Opened { proxy, password } = self.open_proxy(tables, id).await?;
        let (host, port) = place(
            change.host.as_deref().unwrap_or(&proxy.host),
            change.port.unwrap_or(i64::from(proxy.port)),
        )?;
        if (&host, port) != (&proxy.host, proxy.port) && proxy.accounts > 0 {
            return Err(AccountError::ProxyUsed(id, proxy.accounts));
        }
        let username = change.username.or(proxy.username).unwrap_or_default();
        let password = change.password.or(password);
        way((&host, port), Some(&username), password.as_deref())?;
        let version = proxy.version + 1;
        let sealed = self.seal_password(id, version, password)?;
        let sql = "UPDATE telegram_proxies SET name = $1, host = $2, port = $3, username = $4, version = $5, key_id = $6, \
                   sealed = $7, state = 'new', problem = NULL, updated_at = $8 WHERE id = $9 AND version = $10 \
                   AND NOT EXISTS (SELECT 1 FROM telegram_proxies o WHERE o.host = $2 AND o.port = $3 AND o.username = $4 \
                   AND o.id <> $9) RETURNING id";
        let params = vec![
            change.name.unwrap_or(proxy.name).into(),
            host.clone().into(),
            i64::from(port).into(),
            username.into(),
            version.into(),
            sealed.key_id.into(),
            Param::Blob(sealed.bytes),
            now.0.into(),
            id.into(),
            proxy.version.into(),
        ];
        if write(tables, sql, params).await?.is_empty() {
            return Err(AccountError::ProxyTaken(format!("{host}:{port}")));
        }
        // Whoever goes through it connects anew.
        let bound = read(
            tables,
            "SELECT id FROM telegram_accounts WHERE proxy_id = $1",
            vec![id.into()],
        )
        .await?;
        for row in bound {
            if let Some(Param::Integer(account)) = row.first() {
                let _alone = self.locks.take(&account.to_string()).await;
                self.pool.close(*account).await;
            }
        }
        self.proxy(tables, id).await
    }

    /// Forgets a proxy that no account goes through.
    ///
    /// # Errors
    /// When there is none, accounts go through it, or the store does not serve.
    pub async fn remove_proxy(&self, tables: &dyn Tables, id: i64) -> Result<(), AccountError> {
        let sql = "DELETE FROM telegram_proxies WHERE id = $1 \
                   AND NOT EXISTS (SELECT 1 FROM telegram_accounts WHERE proxy_id = $1) RETURNING id";
        if !write(tables, sql, vec![id.into()]).await?.is_empty() {
            return Ok(());
        }
        let proxy = self.proxy(tables, id).await?;
        Err(AccountError::ProxyUsed(id, proxy.accounts))
    }

    /// A proxy by its number.
    ///
    /// # Errors
    /// When there is none, or the store does not serve.
    pub async fn proxy(&self, tables: &dyn Tables, id: i64) -> Result<Proxy, AccountError> {
        Ok(find(tables, id).await?.0)
    }

    /// The proxies that are kept, by their numbers, and how many there are on all pages.
    ///
    /// # Errors
    /// When the store does not serve.
    pub async fn proxies(
        &self,
        tables: &dyn Tables,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<Proxy>, i64), AccountError> {
        let total = number(&read(tables, "SELECT COUNT(*) FROM telegram_proxies", vec![]).await?);
        let params = vec![limit.clamp(0, PAGE).into(), offset.max(0).into()];
        let rows = read(tables, proxies!("ORDER BY id LIMIT $1 OFFSET $2"), params).await?;
        let proxies = rows.into_iter().map(|row| proxy(row).map(|found| found.0));
        Ok((proxies.collect::<Result<_, _>>()?, total))
    }

    /// Looks whether Telegram can be reached through a proxy, and records it.
    ///
    /// # Errors
    /// When there is none, or the store does not serve; what stands against the proxy is in the answer.
    pub async fn check_proxy(&self, tables: &dyn Tables, id: i64, now: Timestamp) -> Result<Proxy, AccountError> {
        let opened = self.open_proxy(tables, id).await?;
        let begun = Instant::now();
        let reached = reach(&opened, self.pool.first_centre(), self.pool.timeout()).await;
        let latency = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (state, problem, latency) = match reached {
            Ok(()) => ("valid", None, Some(latency)),
            Err(why) => ("invalid", Some(why), None),
        };
        let sql = "UPDATE telegram_proxies SET state = $1, problem = $2, latency_ms = $3, checked_at = $4 \
                   WHERE id = $5 AND version = $6";
        let params = vec![
            state.into(),
            problem.into(),
            latency.into(),
            now.0.into(),
            id.into(),
            opened.proxy.version.into(),
        ];
        write(tables, sql, params).await?;
        self.proxy(tables, id).await
    }

    /// The way through a proxy, with its password.
    pub(super) async fn proxy_url(&self, tables: &dyn Tables, id: i64) -> Result<String, AccountError> {
        let Opened { proxy, password } = self.open_proxy(tables, id).await?;
        way(
            (&proxy.host, proxy.port),
            proxy.username.as_deref(),
            password.as_deref(),
        )
    }

    async fn open_proxy(&self, tables: &dyn Tables, id: i64) -> Result<Opened, AccountError> {
        let (proxy, sealed) = find(tables, id).await?;
        let password = self.vault.open_text(&secret(id), proxy.version, &sealed)?;
        let password = Some(password).filter(|password| !password.is_empty());
        Ok(Opened { proxy, password })
    }

    fn seal_password(&self, id: i64, version: i64, password: Option<String>) -> Result<Sealed, AccountError> {
        self.vault
            .seal_text(&secret(id), version, &password.unwrap_or_default())
    }
}

fn secret(id: i64) -> String {
    format!("telegram proxy {id}")
}

/// Where a proxy can be.
fn place(host: &str, port: i64) -> Result<(String, u16), AccountError> {
    let host = host.trim().to_ascii_lowercase();
    let port = u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or(AccountError::ProxyInvalid)?;
    let url = reqwest::Url::parse(&format!("socks5://{host}:{port}")).map_err(|_| AccountError::ProxyInvalid)?;
    let alone = url.host_str() == Some(host.as_str()) && url.username().is_empty() && url.path().len() <= 1;
    if alone {
        Ok((host, port))
    } else {
        Err(AccountError::ProxyInvalid)
    }
}

/// The address of a proxy, as connections take it.
fn way((host, port): (&str, u16), username: Option<&str>, password: Option<&str>) -> Result<String, AccountError> {
    let mut url = reqwest::Url::parse(&format!("socks5://{host}:{port}")).map_err(|_| AccountError::ProxyInvalid)?;
    if let Some(username) = username.filter(|name| !name.is_empty()) {
        let set = url.set_username(username).and_then(|()| url.set_password(password));
        set.map_err(|()| AccountError::ProxyInvalid)?;
    }
    super::model::proxy(Some(url.as_str()))?;
    Ok(url.to_string())
}

/// Goes through a proxy to Telegram; says why it does not get there.
async fn reach(Opened { proxy, password }: &Opened, to: std::net::SocketAddr, within: Duration) -> Result<(), String> {
    let at = (proxy.host.as_str(), proxy.port);
    let going = async {
        match &proxy.username {
            Some(username) => {
                let password = password.as_deref().unwrap_or_default();
                Socks5Stream::connect_with_password(at, to, username, password).await
            }
            None => Socks5Stream::connect(at, to).await,
        }
    };
    match tokio::time::timeout(within, going).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("it does not let Telegram be reached: {error}")),
        Err(_) => Err(format!("it says nothing: no answer within {within:?}")),
    }
}

async fn find(tables: &dyn Tables, id: i64) -> Result<(Proxy, Sealed), AccountError> {
    let rows = read(tables, proxies!("WHERE id = $1"), vec![id.into()]).await?;
    proxy(rows.into_iter().next().ok_or(AccountError::NoSuchProxy(id))?)
}

fn proxy(row: Row) -> Result<(Proxy, Sealed), AccountError> {
    let mut row = Reader::new("telegram_proxies", row);
    let proxy = Proxy {
        id: row.integer("id")?,
        name: row.text("name")?,
        host: row.text("host")?,
        port: u16::try_from(row.integer("port")?).map_err(|error| TableError::Refused(error.to_string()))?,
        username: Some(row.text("username")?).filter(|name| !name.is_empty()),
        state: row.word("state", ProxyState::parse)?,
        problem: row.optional_text("problem")?,
        latency_ms: row.optional_integer("latency_ms")?,
        checked_at: row.optional_integer("checked_at")?.map(Timestamp),
        accounts: row.integer("accounts")?,
        version: row.integer("version")?,
        created_at: Timestamp(row.integer("created_at")?),
        updated_at: Timestamp(row.integer("updated_at")?),
    };
    let sealed = Sealed {
        key_id: row.text("key_id")?,
        bytes: row.bytes("sealed")?,
    };
    Ok((proxy, sealed))
}
