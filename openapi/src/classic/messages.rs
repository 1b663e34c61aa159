//! Messages: posts to channels that are kept.

use poem_openapi::{OpenApi, param::Header, payload::Json};
use serde_json::json;

use super::{
    Desk, Room,
    tasks::task,
    words::{NewMessage, Task},
};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, MISSING, TYPED},
    params::IdempotencyKey,
    payload,
};

#[derive(Clone)]
pub(super) struct Messages(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Messages {
    /// Post a message.
    ///
    /// By the bot that the channel is bound to, at most once for one task. The task's result is what became of it: `sent` with the message's id and
    /// link, or `unknown` when Telegram's answer was lost; then it is not sent again before somebody has looked.
    #[oai(path = "/messages", method = "post", operation_id = "postMessage")]
    async fn post(
        &self,
        /// The same key again posts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        message: payload::Json<NewMessage>,
    ) -> Result<Json<Task>, Failure<{ MALFORMED | CHANGES | BODY | TYPED | MISSING }>> {
        let NewMessage { channel_id, message } = message.0;
        let id = channel_id.id("channel_id")?;
        self.0
            .look::<{ MISSING }>("telegram.channel", json!({ "id": id }))
            .await
            .map_err(|failure| Failure(failure.0))?;
        let input = json!({ "channel": id.to_string(), "text": message });
        let run = self.0.start("post", input, key.0.map(|key| key.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }
}
