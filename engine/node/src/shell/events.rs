//! The stream of events between the core and the store: keys are computed here, for the store evaluates nothing.
//!
//! Between asking which shapes concern an event and writing it someone may begin to wait; then the store refuses the write as stale, and it
//! is made again with the keys that were missing.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use potok_dsl::RunId;
use potok_expr::Evaluator;
use potok_journal::{
    NewEvent, RunWrite, Shape, Store, StoreError, SubscriptionChange, SubscriptionRow, Taken, Write, Written,
};
use potok_machine::{Pattern, SubscriptionId, correlated};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    now,
    store::{Io, heard},
};
use crate::{
    core::{BehindRuns, Durable, Found, Input, ListenChange, Listener, Nudges, Save, Wanted},
    lifecycle,
};

/// How often an event is written anew because someone began to wait for it.
const ATTEMPTS: usize = 16;

/// The way into the stream.
pub(crate) struct Stream {
    store: Arc<dyn Store>,
    evaluator: Evaluator,
    /// Changes whenever something came in.
    news: watch::Sender<u64>,
    /// Which lifecycle events webhooks want, and which runs and triggers do.
    webhooks: AtomicU8,
    listeners: AtomicU8,
}

/// An event that comes in.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    /// A complete CloudEvent as JSON.
    pub event: Arc<Value>,
    /// Whether only those get it who name its type.
    pub quiet: bool,
}

impl Incoming {
    /// An event for everyone whom it fits.
    pub fn loud(event: Arc<Value>) -> Self {
        Self { event, quiet: false }
    }
}

impl Stream {
    pub fn new(store: Arc<dyn Store>, evaluator: Evaluator) -> Self {
        Self {
            store,
            evaluator,
            news: watch::Sender::new(0),
            webhooks: AtomicU8::new(0),
            listeners: AtomicU8::new(0),
        }
    }

    /// Says which lifecycle events all webhooks want.
    pub fn webhooks_want(&self, lifecycle: u8) {
        self.webhooks.store(lifecycle, Ordering::Relaxed);
    }

    /// Says that someone listens for a type.
    pub fn listens_for(&self, kind: &str) {
        self.listeners.fetch_or(lifecycle::asked(kind), Ordering::Relaxed);
    }

    /// Finds out which lifecycle events runs listen for that were under way when the last node stopped.
    pub async fn recover(&self) -> Result<(), StoreError> {
        for beginning in ["workflow.", "task."] {
            let beginning = format!("{}{beginning}", lifecycle::PREFIX);
            if self.store.waits_for(&beginning).await? {
                self.listens_for(&beginning);
            }
        }
        Ok(())
    }

    /// Everything that goes into the stream with what a run writes.
    pub fn of_save(&self, save: &Save) -> Vec<Incoming> {
        let patterns = save.listening.iter().filter_map(|change| match change {
            ListenChange::Set { patterns, .. } => patterns.as_deref(),
            ListenChange::Close { .. } => None,
        });
        for kind in patterns.flatten().filter_map(|pattern| pattern.kind.as_deref()) {
            self.listens_for(kind);
        }
        let mut events: Vec<_> = save.emits.iter().cloned().map(Incoming::loud).collect();
        let wanted = self.webhooks.load(Ordering::Relaxed) | self.listeners.load(Ordering::Relaxed);
        if wanted != 0 {
            events.extend(lifecycle::of(save, wanted));
        }
        events
    }

    /// Changes whenever something came in.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Takes events in, all or none; durable when it returns.
    pub async fn take(&self, events: &[Incoming]) -> Result<(Vec<Taken>, Nudges), StoreError> {
        for _ in 0..ATTEMPTS {
            match self.store.commit(Write::Events(self.keyed(events).await?)).await {
                Ok(Written::Events { taken, nudges }) => {
                    self.tell(taken.iter().any(|taken| taken.new));
                    return Ok((taken, lift(nudges)));
                }
                Ok(_) => break,
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Stale)
    }

    /// Writes what a run did together with the events that it emits.
    pub async fn commit_run(&self, mut write: RunWrite, emits: &[Incoming]) -> Result<Durable, StoreError> {
        if emits.is_empty() {
            return self.written(write, false).await;
        }
        for _ in 0..ATTEMPTS {
            write.events = self.keyed(emits).await?;
            match self.written(write.clone(), true).await {
                Err(StoreError::Stale) => {}
                other => return other,
            }
        }
        Err(StoreError::Stale)
    }

    async fn written(&self, write: RunWrite, emits: bool) -> Result<Durable, StoreError> {
        match self.store.commit(Write::Run(Box::new(write))).await? {
            Written::Run { nudges, said, .. } => {
                self.tell(emits);
                Ok(Durable {
                    nudges: lift(nudges),
                    said: said.into_iter().filter_map(heard).collect(),
                })
            }
            _ => Ok(Durable::default()),
        }
    }

    fn tell(&self, something: bool) {
        if something {
            self.news.send_modify(|number| *number = number.wrapping_add(1));
        }
    }

    /// Events with their keys under every shape that concerns them.
    async fn keyed(&self, events: &[Incoming]) -> Result<Vec<NewEvent>, StoreError> {
        let received_at = now().0;
        let mut list = Vec::with_capacity(events.len());
        for Incoming { event, quiet } in events {
            let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (kind, source) = (text("type"), text("source"));
            let shapes = self.store.shapes(&kind, &source, *quiet).await?;
            let keys = shapes
                .iter()
                .map(|shape| (shape.hash, self.key(shape, event)))
                .collect();
            list.push(NewEvent {
                source,
                id: text("id"),
                kind,
                quiet: *quiet,
                event: event.as_ref().clone(),
                received_at,
                keys,
            });
        }
        Ok(list)
    }

    fn key(&self, shape: &Shape, event: &Value) -> Option<potok_journal::Hash> {
        let values = shape
            .expressions
            .iter()
            .map(|text| correlated(text, &self.evaluator, event));
        let values: Vec<Value> = values.collect::<Option<_>>()?;
        Some(shape.key(&values))
    }
}

impl Io {
    /// Looks into the stream for a run.
    pub fn look(&self, run: RunId, wanted: Vec<Wanted>, limit: u32) {
        let (store, shell) = (Arc::clone(&self.store), self.shell.clone());
        tokio::spawn(async move {
            let wanted: Vec<_> = wanted.into_iter().map(lower).collect();
            let found = store.look(run, &wanted, limit as usize).await;
            let result = found.map_err(|error| error.to_string()).map(|found| Found {
                events: found
                    .events
                    .into_iter()
                    .map(|(number, event)| (number, Arc::new(event)))
                    .collect(),
                upto: found.upto,
                more: found.more,
            });
            shell.happened(Input::Looked { run, result }).await;
        });
    }

    /// Asks for which runs something came.
    pub fn query_behind(&self, after: Option<RunId>, limit: u32) {
        let (store, shell) = (Arc::clone(&self.store), self.shell.clone());
        tokio::spawn(async move {
            let runs = store.behind(after, limit as usize).await;
            let behind = runs.map_err(|error| error.to_string()).map(|runs| BehindRuns {
                more: runs.len() == limit as usize,
                runs,
            });
            shell.happened(Input::Behind(behind)).await;
        });
    }
}

/// A subscription as the store has it, in the core's words.
pub(super) fn listener(row: SubscriptionRow) -> Listener {
    Listener {
        subscription: SubscriptionId(row.subscription),
        cursor: row.cursor,
        behind: row.behind,
    }
}

/// What becomes of a subscription, in the store's words.
pub(super) fn change(change: &ListenChange) -> SubscriptionChange {
    match change {
        ListenChange::Set {
            subscription,
            patterns,
            cursor,
        } => SubscriptionChange::Set {
            subscription: subscription.0,
            patterns: patterns.as_ref().map(|patterns| patterns.iter().map(pattern).collect()),
            cursor: *cursor,
        },
        ListenChange::Close { subscription } => SubscriptionChange::Close {
            subscription: subscription.0,
        },
    }
}

fn pattern(pattern: &Pattern) -> potok_journal::Pattern {
    let correlations = pattern.correlations.iter();
    potok_journal::Pattern {
        kind: pattern.kind.clone().unwrap_or_default(),
        source: pattern.source.clone().unwrap_or_default(),
        correlations: correlations.map(|c| (c.from.clone(), c.value.clone())).collect(),
    }
}

fn lower(wanted: Wanted) -> potok_journal::Wanted {
    potok_journal::Wanted {
        patterns: wanted.patterns.iter().map(pattern).collect(),
        cursor: wanted.cursor,
    }
}

fn lift(nudges: potok_journal::Nudges) -> Nudges {
    Nudges {
        runs: nudges.runs,
        more: nudges.more,
    }
}
