//! What all requests share: the world, its store, the scripted faults, the counts, and the sign to stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use poem::Response;
use poem::http::StatusCode;
use poem::web::RemoteAddr;
use serde::Serialize;
use tokio::sync::watch;

use crate::connections::Connections;
use crate::faults::{FaultKind, Faults, Target};
use crate::mtproto::Mtproto;
use crate::store::Store;
use crate::world::World;

/// Shared by all requests.
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Its lock orders changes, so that the file tells them in the order in which they happened.
    store: tokio::sync::Mutex<Option<Store>>,
    /// Counts changes of the world: long polls wait on it.
    changed: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    pub(crate) faults: Faults,
    pub(crate) mtproto: Mtproto,
    pub(crate) connections: Connections,
    counts: Mutex<BTreeMap<(&'static str, String), Count>>,
    /// By bot: which long poll is the latest.
    polls: Mutex<BTreeMap<i64, u64>>,
    pub(crate) models: Vec<String>,
    pub(crate) api_key: Option<String>,
}

/// How often a method was called.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Count {
    /// In all.
    pub(crate) total: u64,
    /// Of these, met with a scripted fault.
    pub(crate) faulted: u64,
}

/// More methods than this are counted as `other`: names come from outside.
const MAX_COUNTED: usize = 200;

/// A change could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox could not keep the change: {0}")]
pub(crate) struct NotKept(String);

impl Shared {
    pub(crate) fn new(
        world: World,
        store: Option<Store>,
        connections: Connections,
        models: Vec<String>,
        api_key: Option<String>,
    ) -> Self {
        Self {
            world: Mutex::new(world),
            store: tokio::sync::Mutex::new(store),
            changed: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            faults: Faults::default(),
            mtproto: Mtproto::default(),
            connections,
            counts: Mutex::default(),
            polls: Mutex::default(),
            models,
            api_key,
        }
    }

    /// The world, to look at. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and keeps the change. Runs to its end even when the client goes away in the middle.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut World, i64) -> T + Send + 'static,
    ) -> Result<T, NotKept> {
        let shared = self.clone();
        let done = tokio::spawn(async move {
            let mut store = shared.store.lock().await;
            let (outcome, changes) = {
                let mut world = shared.world();
                (change(&mut world, now_ms()), world.take_changes())
            };
            if let Some(store) = store.as_mut().filter(|_| !changes.is_empty()) {
                let kept = store.append(&changes, || shared.world().everything()).await;
                kept.map_err(|error| NotKept(error.to_string()))?;
            }
            shared.changed.send_modify(|count| *count += 1);
            Ok(outcome)
        });
        done.await.map_err(|error| NotKept(error.to_string()))?
    }

    /// Wakes whenever the world may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins a long poll of a bot and ends the one before; the number tells which is the latest.
    pub(crate) fn begin_poll(&self, bot: i64) -> u64 {
        let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = polls.entry(bot).or_default();
        *latest += 1;
        let latest = *latest;
        drop(polls);
        self.changed.send_modify(|count| *count += 1);
        latest
    }

    /// Whether a long poll is still the latest of its bot.
    pub(crate) fn is_latest_poll(&self, bot: i64, poll: u64) -> bool {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner).get(&bot) == Some(&poll)
    }

    /// Says that it is time to stop: hanging requests are let go.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until it is time to stop.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// How often each method was called.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, BTreeMap<String, Count>> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_target: BTreeMap<&'static str, BTreeMap<String, Count>> =
            ["bot", "ai", "mtproto"].map(|target| (target, BTreeMap::new())).into();
        for ((target, method), count) in counts.iter() {
            by_target.entry(target).or_default().insert(method.clone(), *count);
        }
        by_target
    }

    /// Answers a request: counts it, and does to it what the script says.
    pub(crate) async fn serve(
        &self,
        (target, method): (Target, &str),
        peer: &RemoteAddr,
        process: impl Future<Output = Response>,
    ) -> Response {
        let fault = self.faults.take(target, method);
        self.count(target, method, fault.is_some());
        match fault {
            None => process.await,
            Some(FaultKind::Hang) => self.hang(peer).await,
            Some(FaultKind::HangBeforeAnswer) => {
                process.await;
                self.hang(peer).await
            }
            Some(FaultKind::CloseBeforeProcessing) => self.slam(peer),
            Some(FaultKind::CloseBeforeAnswer) => {
                process.await;
                self.slam(peer)
            }
            Some(FaultKind::Slow(milliseconds)) => {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(milliseconds)) => process.await,
                    () = self.stopped() => self.slam(peer),
                }
            }
            Some(FaultKind::Garbage) => Response::builder()
                .content_type("text/html")
                .body("<html><body>It works!</body></html>"),
            Some(FaultKind::Status { status, retry_after }) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                scripted_error(target, status, retry_after)
            }
            // An error of another protocol: of this one it is merely an error.
            Some(FaultKind::Rpc { .. }) => scripted_error(target, StatusCode::INTERNAL_SERVER_ERROR, None),
        }
    }

    async fn hang(&self, peer: &RemoteAddr) -> Response {
        self.stopped().await;
        self.slam(peer)
    }

    fn slam(&self, peer: &RemoteAddr) -> Response {
        self.connections.slam(peer);
        Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).finish()
    }

    /// Counts a call.
    pub(crate) fn count(&self, target: Target, method: &str, faulted: bool) {
        let target = match target {
            Target::Bot => "bot",
            Target::Ai => "ai",
            Target::Mtproto => "mtproto",
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (target, method.to_owned());
        if counts.len() >= MAX_COUNTED && !counts.contains_key(&key) {
            key.1 = "other".to_owned();
        }
        let count = counts.entry(key).or_default();
        count.total += 1;
        count.faulted += u64::from(faulted);
    }
}

fn scripted_error(target: Target, status: StatusCode, retry_after: Option<u64>) -> Response {
    match target {
        Target::Ai => crate::ai::scripted_error(status, retry_after),
        Target::Bot | Target::Mtproto => crate::bot_api::scripted_error(status, retry_after),
    }
}

/// The time, in Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|passed| i64::try_from(passed.as_millis()).ok())
        .unwrap_or(0)
}
