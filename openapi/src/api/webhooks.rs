//! Webhooks: who is told of events.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use potok_node::NewWebhook;
use uuid::Uuid;

use super::{Room, State};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, Failure, MALFORMED, MISSING, TYPED},
    payload,
    types::{DeadLetters, WantedWebhook, Webhook, Webhooks as List},
};

#[derive(Clone)]
pub(super) struct Webhooks(pub State);

#[derive(ApiResponse)]
enum Registered {
    /// It is registered. Its secret is shown this once.
    #[oai(status = 201)]
    Registered(Json<Webhook>),
}

#[derive(ApiResponse)]
enum Removed {
    /// It is forgotten.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(tag = "Room::Events")]
impl Webhooks {
    /// Register a webhook.
    ///
    /// From now on its URL gets every event that fits, as a CloudEvent (`application/cloudevents+json`) signed by the Standard Webhooks
    /// scheme, in order and at least once. What is refused comes again, later and later, and is put aside in the end.
    #[oai(path = "/webhooks", method = "post", operation_id = "registerWebhook")]
    async fn register(
        &self,
        webhook: payload::Json<WantedWebhook>,
    ) -> Result<Registered, Failure<{ MALFORMED | CHANGES | CONFLICT | BODY | TYPED }>> {
        let WantedWebhook {
            url,
            types,
            sources,
            secret,
        } = webhook.0;
        let new = NewWebhook {
            url,
            types: types.unwrap_or_default(),
            sources: sources.unwrap_or_default(),
            secret,
        };
        let registered = self.0.node.add_webhook(new).await?;
        let mut shown = Webhook::from(registered.webhook);
        shown.secret = Some(registered.secret);
        Ok(Registered::Registered(Json(shown)))
    }

    /// List webhooks.
    ///
    /// The oldest first, without their secrets.
    #[oai(path = "/webhooks", method = "get", operation_id = "listWebhooks")]
    async fn list(&self) -> Result<Json<List>, Failure> {
        let webhooks = self.0.node.webhooks().await?;
        Ok(Json(List {
            webhooks: webhooks.into_iter().map(Webhook::from).collect(),
        }))
    }

    /// Remove a webhook.
    #[oai(path = "/webhooks/:id", method = "delete", operation_id = "removeWebhook")]
    async fn remove(&self, id: Path<Uuid>) -> Result<Removed, Failure<{ MALFORMED | CHANGES | MISSING }>> {
        self.0.node.remove_webhook(&id.0.to_string()).await?;
        Ok(Removed::Removed)
    }

    /// List what could not be delivered to a webhook.
    #[oai(
        path = "/webhooks/:id/dead-letters",
        method = "get",
        operation_id = "listDeadLetters"
    )]
    async fn dead_letters(
        &self,
        id: Path<Uuid>,
        /// With a number over this one: `next` of the page before.
        #[oai(default, validator(maximum(value = "9007199254740991")))]
        after: Query<u64>,
        /// How many at most.
        #[oai(
            default = "super::runs::fifty",
            validator(minimum(value = "1"), maximum(value = "500"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<DeadLetters>, Failure<{ MALFORMED | MISSING }>> {
        let limit = limit.0 as usize;
        let letters = self.0.node.dead_letters(&id.0.to_string(), after.0, limit).await?;
        let next = letters
            .last()
            .map(|letter| letter.sequence)
            .filter(|_| letters.len() == limit);
        Ok(Json(DeadLetters {
            events: letters.into_iter().map(Into::into).collect(),
            next,
        }))
    }
}
