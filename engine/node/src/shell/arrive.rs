//! Triggers on their way along the stream of events: each reads by a cursor of its own and starts runs.
//!
//! A start carries the idempotency key of its trigger and of the event that completed its group, and the trigger's state is written after the
//! start is durable: a crash between the two comes to the same event again, and finds the run already there.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use potok_expr::Evaluator;
use potok_journal::{EventFilter, EventRow, Store, StoreError, TriggerRow, Write};
use serde_json::Value;
use tokio::{sync::watch, task::AbortHandle};

use super::{RETRY, Shell, Stream, triggers::fire};
use crate::{
    deploy::{Deployments, Prepared},
    lifecycle,
    schedule::{ArrivalState, Arrivals, Offered, TriggerKey},
};

/// The name of such a trigger within its definition.
const KIND: &str = "on";

/// How many events are read at once.
const PAGE: usize = 64;

/// How many events may pass that do not concern a trigger before that is written down.
const PASSED: u64 = 1_000;

/// What all triggers of a node share.
pub(crate) struct Watch {
    pub store: Arc<dyn Store>,
    pub stream: Arc<Stream>,
    pub shell: Shell,
    pub deployments: Arc<Deployments>,
    pub evaluator: Evaluator,
}

/// All triggers of a node that events fire.
pub(crate) struct Watchers {
    shared: Arc<Watch>,
    running: Mutex<HashMap<String, Running>>,
}

/// A trigger that is watched, and how far it is.
struct Running(AbortHandle, Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watchers {
    pub fn new(shared: Watch) -> Self {
        Self {
            shared: Arc::new(shared),
            running: Mutex::default(),
        }
    }

    /// Watches a definition's trigger, if it has one and is not watched already: from where it was when the node starts, else from now on.
    pub async fn watch(&self, prepared: &Prepared, resume: bool) -> Result<(), StoreError> {
        let hash = prepared.deployed.hash.to_string();
        let Some(arrival) = &prepared.arrival else {
            return Ok(());
        };
        if self.running().contains_key(&hash) {
            return Ok(());
        }
        let mut arrivals = Arrivals::new(Arc::clone(arrival), self.shared.evaluator.clone());
        for kind in arrivals.patterns().iter().filter_map(|pattern| pattern.kind.as_deref()) {
            self.shared.stream.listens_for(kind);
        }
        let known = if resume { self.shared.known(&hash).await? } else { None };
        let cursor = match known {
            Some(state) => {
                self.shared.reopen(&mut arrivals, &state).await?;
                state.cursor
            }
            None => self.shared.store.last_event().await?,
        };
        let done = Arc::new(AtomicU64::new(cursor));
        let watcher = Watcher {
            shared: Arc::clone(&self.shared),
            news: self.shared.stream.news(),
            own: format!("/{}/{}/", prepared.id().namespace, prepared.id().name),
            key: format!("{hash}/{KIND}").into(),
            filter: filter(&arrivals),
            written: cursor,
            done: Arc::clone(&done),
            hash: hash.clone(),
            arrivals,
            cursor,
        };
        watcher.save().await?;
        let task = tokio::spawn(watcher.run()).abort_handle();
        self.running().insert(hash, Running(task, done));
        Ok(())
    }

    /// Watches a definition's trigger no longer.
    pub fn unwatch(&self, hash: &str) {
        self.running().remove(hash);
    }

    /// Watches nothing any more.
    pub fn stop(&self) {
        self.running().clear();
    }

    /// The first event that some trigger is still to look at.
    pub fn held_from(&self) -> u64 {
        let running = self.running();
        let next = running
            .values()
            .map(|one| one.1.load(Ordering::Relaxed).saturating_add(1));
        next.min().unwrap_or(u64::MAX)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The state that the store has of a trigger.
    async fn known(&self, hash: &str) -> Result<Option<ArrivalState>, StoreError> {
        let rows = self.store.triggers().await?;
        let row = rows.into_iter().find(|row| row.definition == hash && row.key == KIND);
        Ok(row.and_then(|row| serde_json::from_value(row.state).ok()))
    }

    /// Opens the groups of a state. A group whose events have left the stream is gone with them.
    async fn reopen(&self, arrivals: &mut Arrivals, state: &ArrivalState) -> Result<(), StoreError> {
        let any = EventFilter {
            quiet: true,
            ..EventFilter::default()
        };
        for numbers in &state.groups {
            let mut events = Vec::with_capacity(numbers.len());
            for number in numbers {
                let found = self.store.events(&any, number.saturating_sub(1), 1).await?;
                let found = found.into_iter().find(|event| event.sequence == *number);
                events.extend(found.map(|event| (event.sequence, Arc::new(event.event))));
            }
            if events.len() < numbers.len() || !arrivals.reopen(events) {
                tracing::warn!("events that waited for others have left the stream; what came with them is given up");
            }
        }
        Ok(())
    }
}

/// What can be said of the wanted events without looking at each.
fn filter(arrivals: &Arrivals) -> EventFilter {
    let kinds: Option<Vec<String>> = arrivals.patterns().iter().map(|pattern| pattern.kind.clone()).collect();
    let mut kinds = kinds.unwrap_or_default();
    kinds.sort();
    kinds.dedup();
    EventFilter {
        kinds,
        ..EventFilter::default()
    }
}

/// A trigger that is watched.
struct Watcher {
    shared: Arc<Watch>,
    news: watch::Receiver<u64>,
    /// What the sources of its own workflow's lifecycle events begin with.
    own: String,
    key: TriggerKey,
    hash: String,
    filter: EventFilter,
    arrivals: Arrivals,
    cursor: u64,
    written: u64,
    done: Arc<AtomicU64>,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            match self.page().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(trigger = %self.key, %error, "a trigger waits for the store");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            if self.news.changed().await.is_err() {
                return;
            }
        }
    }

    /// Looks at a page of the stream; whether there may be more.
    async fn page(&mut self) -> Result<bool, StoreError> {
        self.news.mark_unchanged();
        // Asked first, so that nothing which comes meanwhile is passed over.
        let newest = self.shared.store.last_event().await?;
        let events = self.shared.store.events(&self.filter, self.cursor, PAGE).await?;
        if events.is_empty() {
            self.pass(newest);
            if self.cursor >= self.written + PASSED {
                self.save().await?;
                self.written = self.cursor;
            }
            return Ok(false);
        }
        let mut kept = false;
        for event in events {
            kept |= self.take(event).await?;
        }
        if kept {
            self.save().await?;
            self.written = self.cursor;
        }
        Ok(true)
    }

    /// Offers an event; whether it changed what is to be remembered and was not written down yet.
    async fn take(&mut self, row: EventRow) -> Result<bool, StoreError> {
        let event = Arc::new(row.event);
        let offered = if self.is_of_own_run(&event) {
            Offered::Passed
        } else {
            self.arrivals.offer(row.sequence, &event)
        };
        if let Offered::Complete(input) = &offered {
            self.start(row.sequence, input).await;
        }
        self.pass(row.sequence);
        match offered {
            Offered::Passed => Ok(false),
            Offered::Kept => Ok(true),
            Offered::Complete(_) => {
                self.save().await?;
                self.written = self.cursor;
                Ok(false)
            }
        }
    }

    /// A workflow that is started by lifecycle events is not started by its own: it would never end.
    fn is_of_own_run(&self, event: &Value) -> bool {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        lifecycle::is_ours(text("type")) && text("source").starts_with(&self.own)
    }

    /// Starts a run; tries until it is durable.
    async fn start(&self, sequence: u64, input: &Arc<Value>) {
        loop {
            let mark = sequence.to_string();
            match fire(
                &self.shared.deployments,
                &self.shared.shell,
                &self.key,
                &mark,
                Arc::clone(input),
            )
            .await
            {
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(trigger = %self.key, %error, "a trigger's run could not be started; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn pass(&mut self, sequence: u64) {
        self.cursor = self.cursor.max(sequence);
        self.done.store(self.cursor, Ordering::Relaxed);
    }

    async fn save(&self) -> Result<(), StoreError> {
        let state = ArrivalState {
            cursor: self.cursor,
            groups: self.arrivals.groups(),
        };
        let row = TriggerRow {
            definition: self.hash.clone(),
            key: KIND.to_owned(),
            next_at: None,
            state: serde_json::to_value(&state).unwrap_or_default(),
        };
        self.shared.store.commit(Write::Trigger(row)).await.map(|_| ())
    }
}
