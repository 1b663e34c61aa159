//! Connections: one for an account, made when it is needed and closed when it is idle.
//!
//! The library waits for an answer without end, and a proxy that says nothing blocks it altogether; so every call has a
//! time, and what does not end in time is ended.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use grammers_mtsender::{ConnectionParams, NoRetries, SenderPool, SenderPoolHandle};
use grammers_session::{Session, SessionData};
use grammers_tl_types::RemoteCall;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::error::AccountError;
use super::model::Account;
use super::session::AccountSession;
use super::vault::{CentreKey, Document, Keys, key_text};
use super::{AccountsConfig, Centre};

/// So long a connection may take to end of itself.
const END_WITHIN: Duration = Duration::from_secs(1);

/// The data centre that a new session begins at, when it is there.
const FIRST: i32 = 2;

/// The connections of a node.
#[derive(Debug)]
pub(super) struct Pool {
    config: AccountsConfig,
    open: Arc<Open>,
    reaper: OnceLock<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Open(Mutex<HashMap<i64, Arc<Connection>>>);

/// One account's connection.
pub(super) struct Connection {
    handle: SenderPoolHandle,
    session: Arc<AccountSession>,
    runner: Mutex<Option<JoinHandle<()>>>,
    used: Mutex<Instant>,
    timeout: Duration,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Open {
    fn all(&self) -> MutexGuard<'_, HashMap<i64, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the connections of which this is true.
    fn take(&self, wanted: impl Fn(&Arc<Connection>) -> bool) -> Vec<Arc<Connection>> {
        self.all()
            .extract_if(|_, connection| wanted(connection))
            .map(|(_, connection)| connection)
            .collect()
    }
}

impl Pool {
    pub(super) fn new(config: AccountsConfig) -> Self {
        Self {
            config,
            open: Arc::default(),
            reaper: OnceLock::new(),
        }
    }

    /// Keys for a new session: those that a local data centre gives, or none yet.
    pub(super) async fn fresh_keys(&self) -> Result<Keys, AccountError> {
        let mut centres = Vec::new();
        for Centre { id, address } in self.centres() {
            let key = match &self.config.keys {
                None => None,
                Some(keys) => {
                    let key = keys.new_key().await;
                    Some(key_text(
                        &key.map_err(|error| AccountError::Unreachable(error.to_string()))?,
                    ))
                }
            };
            centres.push(CentreKey { id, address, key });
        }
        let first = centres.iter().find(|centre| centre.id == FIRST).or(centres.first());
        Ok(Keys {
            home: first.map_or(FIRST, |centre| centre.id),
            centres,
        })
    }

    /// Where a session begins.
    pub(super) fn first_centre(&self) -> std::net::SocketAddr {
        let centres = self.centres();
        let first = centres.iter().find(|centre| centre.id == FIRST).or(centres.first());
        first.map_or_else(|| (std::net::Ipv4Addr::LOCALHOST, 0).into(), |centre| centre.address)
    }

    /// How long one call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    fn centres(&self) -> Vec<Centre> {
        if !self.config.centres.is_empty() {
            return self.config.centres.clone();
        }
        let own = SessionData::default().dc_options.into_values();
        own.map(|option| Centre {
            id: option.id,
            address: option.ipv4.into(),
        })
        .collect()
    }

    /// The connection of an account that is held by the caller.
    pub(super) async fn get(&self, account: &Account, document: &Document) -> Result<Arc<Connection>, AccountError> {
        let open = self.open.all().get(&account.id).cloned();
        if let Some(connection) = open {
            if connection.runs() {
                return Ok(connection);
            }
            self.close(account.id).await;
        }
        let not_signed_in = || AccountError::SessionLost("there is none".to_owned());
        let keys = document.session.as_ref().ok_or_else(not_signed_in)?;
        let connection = Arc::new(self.connect(account, document, keys));
        self.open.all().insert(account.id, connection.clone());
        self.reaper
            .get_or_init(|| tokio::spawn(reap(Arc::downgrade(&self.open), self.config.idle)));
        Ok(connection)
    }

    /// Keys with the data centres where they are today: those of the configuration may have moved.
    fn today(&self, keys: &Keys) -> Keys {
        let mut keys = keys.clone();
        for kept in &mut keys.centres {
            if let Some(today) = self.config.centres.iter().find(|centre| centre.id == kept.id) {
                kept.address = today.address;
            }
        }
        keys
    }

    fn connect(&self, account: &Account, document: &Document, keys: &Keys) -> Connection {
        let session = Arc::new(AccountSession::new(&self.today(keys)));
        // Every member is named: the default asks the operating system about itself, slowly.
        let params = ConnectionParams {
            device_model: self.config.device.clone(),
            system_version: "1".to_owned(),
            app_version: env!("CARGO_PKG_VERSION").to_owned(),
            system_lang_code: "en".to_owned(),
            lang_code: "en".to_owned(),
            proxy_url: document.proxy.clone(),
            use_ipv6: false,
            retry_policy: Box::new(NoRetries),
            updates_channel_capacity: NonZeroUsize::MIN,
            __non_exhaustive: (),
        };
        let pool = SenderPool::with_configuration(session.clone(), account.api_id, params);
        Connection {
            handle: pool.handle.thin,
            session,
            runner: Mutex::new(Some(tokio::spawn(pool.runner.run()))),
            used: Mutex::new(Instant::now()),
            timeout: self.config.timeout,
        }
    }

    /// Closes an account's connection, and waits until it is closed: two at once destroy the session.
    pub(super) async fn close(&self, account: i64) {
        let connection = self.open.all().remove(&account);
        if let Some(connection) = connection {
            connection.end().await;
        }
    }

    pub(super) async fn close_all(&self) {
        for connection in self.open.take(|_| true) {
            connection.end().await;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.all().len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for connection in self.open.take(|_| true) {
            connection.abort();
        }
        if let Some(reaper) = self.reaper.get() {
            reaper.abort();
        }
    }
}

impl Connection {
    /// Calls a method at the account's data centre.
    pub(super) async fn call<R: RemoteCall + Sync>(&self, request: &R) -> Result<R::Return, AccountError> {
        let home = self.session.home_dc_id();
        let home = home.map_err(|error| AccountError::SessionLost(error.to_string()))?;
        let answer = timeout(self.timeout, self.handle.invoke_in_dc(home, request)).await;
        self.touch();
        match answer {
            Ok(answer) => answer.map_err(AccountError::from_invocation),
            Err(_) => Err(AccountError::NoAnswer(self.timeout)),
        }
    }

    /// Goes to another data centre: the account lives there.
    pub(super) async fn move_to(&self, centre: i32) -> Result<(), AccountError> {
        if let Ok(before) = self.session.home_dc_id() {
            self.handle.disconnect_from_dc(before);
        }
        let moved = self.session.set_home_dc_id(centre).await;
        moved.map_err(|error| AccountError::SessionLost(error.to_string()))
    }

    /// The session's keys, when they are not those that it began with.
    pub(super) fn changed_keys(&self) -> Option<Keys> {
        self.session.take_changes()
    }

    fn runner(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.runner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is of use: a server that breaks the protocol makes the library panic.
    fn runs(&self) -> bool {
        self.runner().as_ref().is_some_and(|runner| !runner.is_finished())
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_for(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn abort(&self) {
        if let Some(runner) = self.runner().take() {
            runner.abort();
        }
    }

    async fn end(&self) {
        self.handle.quit();
        let Some(mut runner) = self.runner().take() else { return };
        if timeout(END_WITHIN, &mut runner).await.is_err() {
            runner.abort();
            // Either it is cancelled, or it has ended just now.
            let _ = runner.await;
        }
    }
}

/// Closes what is idle, for as long as there is a pool. Whoever makes a call holds the connection meanwhile.
async fn reap(open: Weak<Open>, idle: Duration) {
    let pause = (idle / 4).max(Duration::from_millis(10));
    loop {
        tokio::time::sleep(pause).await;
        let Some(open) = open.upgrade() else { return };
        for connection in open.take(|connection| Arc::strong_count(connection) == 1 && connection.idle_for() >= idle) {
            connection.end().await;
        }
    }
}
