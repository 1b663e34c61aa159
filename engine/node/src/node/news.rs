//! Who is told of what happens: webhooks, and whoever follows a run.

use std::sync::Arc;

use potok_dsl::RunId;

use super::{Node, NodeError};
use crate::{DeadLetter, Following, NewWebhook, Registered, Webhook};

impl Node {
    /// Registers a webhook: its server is told of events that come from now on.
    ///
    /// # Errors
    /// `Invalid` says what is wrong with it; `Conflict` when there are too many.
    pub async fn add_webhook(&self, new: NewWebhook) -> Result<Registered, NodeError> {
        self.0.webhooks.add(new).await
    }

    /// All webhooks, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, NodeError> {
        self.0.webhooks.all().await
    }

    /// Forgets a webhook, and what could not be delivered to it.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn remove_webhook(&self, id: &str) -> Result<(), NodeError> {
        if self.0.webhooks.remove(id).await? {
            return Ok(());
        }
        Err(NodeError::missing("webhook", id))
    }

    /// Up to `limit` events with a number over `after` that could not be delivered to a webhook.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn dead_letters(&self, id: &str, after: u64, limit: usize) -> Result<Vec<DeadLetter>, NodeError> {
        if !self.webhooks().await?.iter().any(|hook| hook.id == id) {
            return Err(NodeError::missing("webhook", id));
        }
        self.0.webhooks.dead_letters(id, after, limit).await
    }
}

impl Node {
    /// Follows a run from an event's number on: what was, then what comes, until it ends.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn follow(&self, run: RunId, from: u64) -> Result<Following, NodeError> {
        let following = Following::new(Arc::clone(&self.0.store), &*self.0.bus, run, from);
        self.run(run).await?;
        Ok(following)
    }
}
