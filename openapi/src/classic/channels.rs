//! Channels: binding, listing, forgetting.

use poem_openapi::{
    OpenApi,
    param::{Header, Path},
    payload::Json,
};
use serde_json::{Value, json};

use super::{
    Desk, Room,
    tasks::task,
    words::{AllChannels, Channel, IsRemoved, NewChannel, OneChannel, Task, read},
};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, MISSING, TYPED},
    params::IdempotencyKey,
    payload,
};

#[derive(Clone)]
pub(super) struct Channels(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Channels {
    /// Add a channel.
    ///
    /// It is bound to the bot that is named, or to the active one with the fewest channels. The task's result is `{channel_id, bot_link, message}`;
    /// the message says whether the bot may post there, and what to do until it may. A channel that is kept already stays with its bot.
    #[oai(path = "/channels", method = "post", operation_id = "addChannel")]
    async fn add(
        &self,
        /// The same key again starts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        channel: payload::Json<NewChannel>,
    ) -> Result<Json<Task>, Failure<{ MALFORMED | CHANGES | BODY | TYPED | MISSING }>> {
        let NewChannel { channel, bot_id } = channel.0;
        let mut input = json!({ "channel": channel.0 });
        if let Some(bot) = bot_id {
            let id = bot.id("bot_id")?;
            self.0
                .look::<{ MISSING }>("telegram.bot", json!({ "id": id }))
                .await
                .map_err(|failure| Failure(failure.0))?;
            input["bot_id"] = json!(id);
        }
        let run = self.0.start("add-channel", input, key.0.map(|key| key.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }

    /// List channels.
    #[oai(path = "/channels", method = "get", operation_id = "listChannels")]
    async fn list(&self) -> Result<Json<AllChannels>, Failure> {
        let listed = self.0.look("telegram.channels", json!({})).await?;
        let channels = read::<Vec<Value>, 0>(listed)?.into_iter().map(Channel::read);
        Ok(Json(AllChannels::new(channels.collect::<Result<_, Failure>>()?)))
    }

    /// Look at a channel.
    #[oai(path = "/channels/:tg_id", method = "get", operation_id = "getChannel")]
    async fn get(&self, tg_id: Path<i64>) -> Result<Json<OneChannel>, Failure<{ MALFORMED | MISSING }>> {
        let channel = self.0.look("telegram.channel", json!({ "id": tg_id.0 })).await?;
        Ok(Json(OneChannel::new(Channel::read(channel)?)))
    }

    /// Remove a channel.
    ///
    /// It is forgotten here; nothing changes at Telegram.
    #[oai(path = "/channels/:tg_id", method = "delete", operation_id = "removeChannel")]
    async fn remove(&self, tg_id: Path<i64>) -> Result<Json<IsRemoved>, Failure<{ MALFORMED | CHANGES | MISSING }>> {
        let removed = self.0.step("telegram.remove-channel", json!({ "id": tg_id.0 })).await?;
        Ok(Json(IsRemoved::new(read(removed)?)))
    }
}
