//! Moments for tasks with a rate: the store gives them out.

use std::sync::Arc;

use potok_dsl::{Problem, RunId, Timestamp};
use potok_journal::{Reservation, Store, StoreError, Write, Written};
use potok_machine::{CallEffect, RateRequest};
use serde_json::Value;

use super::{RETRY, now};

/// What asks for moments; cheap to clone.
#[derive(Clone)]
pub(super) struct Rates {
    store: Arc<dyn Store>,
}

impl Rates {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The moment that a call asks for. A store that is not to be had is asked until it is.
    pub async fn moment(&self, run: RunId, effect: &CallEffect, asked: &RateRequest) -> Result<Arc<Value>, Problem> {
        loop {
            match self.reserve(effect, asked).await {
                Ok(at) => return Ok(Arc::new(RateRequest::given(at))),
                Err(error) => {
                    tracing::warn!(%run, path = %effect.path, %error, "a task cannot be told when it may begin; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn reserve(&self, effect: &CallEffect, asked: &RateRequest) -> Result<Timestamp, StoreError> {
        let now = now();
        let earliest = asked.earliest(now);
        let reservation = Reservation {
            rate: asked.group.clone(),
            key: effect.idempotency_key.clone(),
            limit: asked.limit,
            span: i64::try_from(asked.span.0).unwrap_or(i64::MAX),
            now: now.0,
            earliest: earliest.0,
        };
        match self.store.commit(Write::Reserve(reservation)).await? {
            Written::Reserved(at) => Ok(Timestamp(at)),
            _ => Ok(earliest),
        }
    }
}
