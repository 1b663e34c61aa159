//! Following a run: what its tasks did so far, then what they do, each event once and in order, until the run ends.
//!
//! News comes over the bus, which may lose some; the store does not, so a gap is filled from there. Only what is durable is ever told.

use std::{collections::VecDeque, sync::Arc};

use potok_bus::{Bus, Subscription};
use potok_dsl::{Problem, RunId};
use potok_journal::{Store, StoreError};
use potok_machine::Status;
use serde::{Deserialize, Serialize};

use crate::{RunView, TaskEvent, core::Update};

/// How many events one piece of news carries at most when it is read from the store.
const PAGE: usize = 500;

/// News of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunNews {
    /// The run.
    pub run: RunId,
    /// Its status.
    pub status: Status,
    /// What its tasks did since the last news.
    pub events: Vec<TaskEvent>,
    /// Its output, once it has completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<serde_json::Value>,
    /// Its error, once it has faulted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

impl RunNews {
    pub(crate) fn of(update: &Update) -> Self {
        let events = (update.first..)
            .zip(update.traces.iter())
            .map(|(number, trace)| TaskEvent::new(number, trace));
        let outcome = update.outcome.as_ref();
        Self {
            run: update.run,
            status: update.status,
            events: events.collect(),
            output: outcome.and_then(|o| o.output.as_deref().cloned()),
            error: outcome.and_then(|o| o.error.clone()),
        }
    }

    fn stored(view: &RunView, events: Vec<TaskEvent>) -> Self {
        Self {
            run: view.id,
            status: view.status,
            events,
            output: view.output.clone(),
            error: view.error.clone(),
        }
    }
}

/// The bus subject of a run's news.
pub(crate) fn subject(run: RunId) -> String {
    format!("runs.{run}")
}

/// A run's news, one after the other.
pub struct Following {
    store: Arc<dyn Store>,
    run: RunId,
    subscription: Subscription,
    /// The number of the next event to tell.
    next: u64,
    waiting: VecDeque<RunNews>,
    /// Whether the store is to be asked before the bus is listened to.
    behind: bool,
    ended: bool,
}

impl Following {
    pub(crate) fn new(store: Arc<dyn Store>, bus: &dyn Bus, run: RunId, from: u64) -> Self {
        // Subscribed before the store is asked, so that nothing falls between the two.
        let subscription = bus.subscribe(&subject(run));
        Self {
            store,
            run,
            subscription,
            next: from,
            waiting: VecDeque::new(),
            behind: true,
            ended: false,
        }
    }

    /// The next news; `None` after the run's end was told, or when the run is gone.
    pub async fn next(&mut self) -> Option<RunNews> {
        loop {
            if let Some(news) = self.waiting.pop_front() {
                self.next = news.events.last().map_or(self.next, |event| event.number + 1);
                self.ended |= news.status.is_final() && self.waiting.is_empty() && !self.behind;
                return Some(news);
            }
            if self.ended {
                return None;
            }
            if self.behind {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(run = %self.run, %error, "cannot read a run that is followed");
                    return None;
                }
                continue;
            }
            match self.subscription.next().await {
                Some(Ok(message)) => self.hear(&message.payload),
                Some(Err(_lagged)) => self.behind = true,
                None => return None,
            }
        }
    }

    /// Takes news from the bus; asks the store when some is missing.
    fn hear(&mut self, payload: &[u8]) {
        let Ok(mut news) = serde_json::from_slice::<RunNews>(payload) else {
            return;
        };
        if news.events.first().is_some_and(|event| event.number > self.next) {
            self.behind = true;
            return;
        }
        news.events.retain(|event| event.number >= self.next);
        self.waiting.push_back(news);
    }

    /// Reads what the store has beyond what was told.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let Some(row) = self.store.run_row(self.run).await? else {
            self.ended = true;
            return Ok(());
        };
        let view = RunView::from(row);
        let rows = self.store.timeline(self.run, self.next.checked_sub(1), PAGE).await?;
        let full = !rows.is_empty();
        let events: Vec<TaskEvent> = rows
            .into_iter()
            .filter_map(|row| serde_json::from_value(row.entry).ok())
            .collect();
        self.behind = full;
        self.ended = false;
        self.waiting.push_back(RunNews::stored(&view, events));
        Ok(())
    }
}
