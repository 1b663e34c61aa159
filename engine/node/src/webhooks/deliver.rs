//! One webhook's way along the stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use potok_calls::HttpCaller;
use potok_journal::{EventFilter, EventRow, StoreError};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{DeadLetter, Webhook, WebhookConfig, rows::Rows, sealed_as, sign};
use crate::{secrets::StoredSecrets, shell::now};

/// How many events are read at once.
const PAGE: usize = 64;

/// How many events may pass that concern nobody before that is written down.
const PASSED: u64 = 1_000;

/// How long the store is left alone after it was not to be had.
const RETRY: Duration = Duration::from_secs(1);

/// A webhook that is delivered.
pub(super) struct Delivery {
    pub rows: Rows,
    pub secrets: Arc<StoredSecrets>,
    pub http: Arc<HttpCaller>,
    pub config: WebhookConfig,
    pub news: watch::Receiver<u64>,
    pub done: Arc<AtomicU64>,
    pub hook: Webhook,
}

impl Delivery {
    /// Sends what is there and what comes, for as long as the node runs.
    pub async fn run(mut self) {
        let mut written = self.hook.cursor;
        loop {
            match self.page(&mut written).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(webhook = %self.hook.id, %error, "a webhook waits for the store");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            if self.news.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends a page; whether there may be more.
    async fn page(&mut self, written: &mut u64) -> Result<bool, StoreError> {
        self.news.mark_unchanged();
        // Asked first, so that nothing which comes meanwhile is passed over.
        let newest = self.rows.0.last_event().await?;
        let events = self.rows.0.events(&self.filter(), self.hook.cursor, PAGE).await?;
        let Some(last) = events.last().map(|event| event.sequence) else {
            self.pass(newest);
            if self.hook.cursor >= *written + PASSED {
                self.rows.progress(&self.hook).await?;
                *written = self.hook.cursor;
            }
            return Ok(false);
        };
        for event in &events {
            if self.hook.wants(&event.event) {
                self.deliver(event).await?;
            }
            self.pass(event.sequence);
        }
        self.pass(last);
        self.rows.progress(&self.hook).await?;
        *written = self.hook.cursor;
        Ok(true)
    }

    /// What can be said of the wanted events without looking at each.
    fn filter(&self) -> EventFilter {
        let whole = self.hook.types.iter().all(|kind| !kind.ends_with('*'));
        EventFilter {
            kinds: if whole { self.hook.types.clone() } else { Vec::new() },
            sources: self.hook.sources.clone(),
            quiet: self.hook.lifecycle() != 0,
        }
    }

    fn pass(&mut self, sequence: u64) {
        self.hook.cursor = self.hook.cursor.max(sequence);
        self.done.store(self.hook.cursor, Ordering::Relaxed);
    }

    /// Sends an event until it is taken, or has been refused for too long.
    async fn deliver(&mut self, event: &EventRow) -> Result<(), StoreError> {
        let mut delay = self.config.first_delay;
        loop {
            let Err((why, wait)) = self.send(event).await else {
                self.hook.failing_since = None;
                self.hook.last_error = None;
                return Ok(());
            };
            let at = now().0;
            let since = *self.hook.failing_since.get_or_insert(at);
            tracing::debug!(webhook = %self.hook.id, sequence = event.sequence, %why, "an event was not taken");
            self.hook.last_error = Some(why.clone());
            let give_up = i64::try_from(self.config.give_up.as_millis()).unwrap_or(i64::MAX);
            if at.saturating_sub(since) >= give_up {
                return self.bury(event, at, why).await;
            }
            self.rows.progress(&self.hook).await?;
            tokio::time::sleep(wait.unwrap_or(delay).max(delay)).await;
            delay = (delay * 2).min(self.config.longest_delay);
        }
    }

    async fn bury(&mut self, event: &EventRow, at: i64, reason: String) -> Result<(), StoreError> {
        tracing::warn!(webhook = %self.hook.id, sequence = event.sequence, %reason, "an event is given up");
        let letter = DeadLetter {
            sequence: event.sequence,
            at,
            reason,
            event: event.event.clone(),
        };
        self.pass(event.sequence);
        self.hook.failing_since = None;
        self.rows.bury(&self.hook, &letter).await
    }

    /// Sends an event once; why it was not taken, and how long the server wants to be left alone.
    async fn send(&self, event: &EventRow) -> Result<(), (String, Option<Duration>)> {
        let body = event.event.to_string().into_bytes();
        let (id, timestamp) = (format!("{}.{}", self.hook.id, event.sequence), now().0 / 1_000);
        let secret = self.secrets.unseal(&sealed_as(&self.hook.id), &self.hook.secret);
        let key = secret
            .map_err(|error| (error.to_string(), None))
            .map(|secret| sign::key(&secret))?;
        let key = Zeroizing::new(key.unwrap_or_default());
        let headers = [
            ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
            ("webhook-signature", sign::signature(&key, &id, timestamp, &body)),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
        ];
        match self
            .http
            .post(&self.hook.url, &headers, body, self.config.timeout)
            .await
        {
            Ok(posted) if posted.is_success() => Ok(()),
            Ok(posted) => Err((format!("the server answered {}", posted.status), posted.retry_after)),
            Err(error) => Err((error.to_string(), None)),
        }
    }
}
