//! Events in and out of a node: what comes in from outside, what can be read, what leaves the stream when its time is over.

use std::{sync::Arc, time::Duration};

use potok_dsl::{ErrorType, Problem};
use potok_journal::{EventFilter, EventRow, Store, StoreError, Taken, Trim, Write, Written};
use serde_json::Value;

use crate::{
    Node, NodeError, cloudevent,
    core::Input,
    lifecycle,
    shell::{self, Incoming},
};

/// How many events one publication may have.
pub const PUBLISHED_AT_ONCE: usize = 1_000;

/// How many events leave the stream in one write.
const TRIMMED_AT_ONCE: usize = 1_000;

/// How often the stream is trimmed.
const TRIMMED_EVERY: Duration = Duration::from_secs(60);

/// How long events stay in the stream.
#[derive(Debug, Clone)]
pub struct Retention {
    /// No longer than this.
    pub age: Duration,
    /// No more than so many.
    pub count: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(7 * 24 * 3_600),
            count: 1_000_000,
        }
    }
}

impl Node {
    /// Takes events in, all or none. When it returns they are durable: whoever listens for them gets them, whatever happens. An event whose
    /// source and id are known stays as it was.
    ///
    /// # Errors
    /// `Invalid` names the first that is no event and why; else the store's trouble, and publishing again is safe.
    pub async fn publish(&self, events: Vec<Value>) -> Result<Vec<Taken>, NodeError> {
        if events.len() > PUBLISHED_AT_ONCE {
            let detail = format!("at most {PUBLISHED_AT_ONCE} events at once");
            let problem = Problem::new(ErrorType::Validation, "Too many events", detail);
            return Err(NodeError::Invalid(problem));
        }
        let mut incoming = Vec::with_capacity(events.len());
        for (number, mut event) in events.into_iter().enumerate() {
            cloudevent::check(&mut event).map_err(|error| invalid(number, &error.to_string()))?;
            let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
            if lifecycle::is_ours(kind) {
                return Err(invalid(
                    number,
                    "lifecycle events of workflows and tasks are the engine's own",
                ));
            }
            incoming.push(Incoming::loud(Arc::new(event)));
        }
        if incoming.is_empty() {
            return Ok(Vec::new());
        }
        // On a task of its own: whoever asks may go away between the write and the word to those who wait.
        let (stream, shell) = (Arc::clone(self.stream()), self.shell().clone());
        let published = tokio::spawn(async move {
            let (taken, nudges) = stream.take(&incoming).await?;
            shell.happened(Input::Nudged(nudges)).await;
            Ok::<_, StoreError>(taken)
        });
        let taken = published
            .await
            .map_err(|error| NodeError::Unavailable(error.to_string()))?;
        taken.map_err(|error| match error {
            StoreError::Stale => NodeError::Unavailable(error.to_string()),
            other => NodeError::Store(other),
        })
    }

    /// Up to `limit` events of the stream with a number over `after`, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events(&self, filter: &EventFilter, after: u64, limit: usize) -> Result<Vec<EventRow>, NodeError> {
        Ok(self.store().events(filter, after, limit).await?)
    }
}

fn invalid(number: usize, why: &str) -> NodeError {
    let detail = format!("event {}: {why}", number + 1);
    NodeError::Invalid(Problem::new(ErrorType::Validation, "Not a CloudEvent", detail))
}

/// Lets events leave the stream when their time is over, for as long as the node runs. `held` names the first event that must stay.
pub(crate) async fn keep_short(store: Arc<dyn Store>, retention: Retention, held: impl Fn() -> u64 + Send) {
    let age = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
    loop {
        match trim(&*store, age, retention.count, held()).await {
            // There may be more.
            Ok(left) if left >= TRIMMED_AT_ONCE as u64 => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old events could not leave the stream"),
        }
        tokio::time::sleep(TRIMMED_EVERY).await;
    }
}

async fn trim(store: &dyn Store, age: i64, keep: u64, held: u64) -> Result<u64, StoreError> {
    let trim = Trim {
        received_before: shell::now().0.saturating_sub(age),
        keep,
        not_from: held,
        most: TRIMMED_AT_ONCE,
    };
    match store.commit(Write::TrimEvents(trim)).await? {
        Written::Trimmed(left) => Ok(left),
        _ => Ok(0),
    }
}
