//! Members of the operator's own groups and channels, as a task.

use poem_openapi::{Object, OpenApi, param::Header, payload::Json};
use serde_json::json;

use super::{
    Desk, Room,
    tasks::task,
    words::{Task, Text},
};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, TYPED},
    params::IdempotencyKey,
    payload,
};

/// Whose members to list.
#[derive(Debug, Object)]
pub(super) struct Wanted {
    /// The account that looks. It has to be an administrator there.
    account_id: i64,
    /// The group or channel: `@name`.
    #[oai(validator(min_length = "1", max_length = "64"))]
    chat: Text,
    /// How many at most; 1,000 without one.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    limit: Option<i64>,
}

#[derive(Clone)]
pub(super) struct Parse(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Parse {
    /// List members.
    ///
    /// Of a group or channel that the account administers; the task of any other one fails with the reason. The task's result is `{count, people, text,
    /// csv}`: without bots, each person once.
    #[oai(path = "/api/parse", method = "post", operation_id = "parseMembers")]
    async fn parse(
        &self,
        /// The same key again starts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        wanted: payload::Json<Wanted>,
    ) -> Result<Json<Task>, Failure<{ MALFORMED | CHANGES | BODY | TYPED }>> {
        let Wanted {
            account_id,
            chat,
            limit,
        } = wanted.0;
        let input = json!({ "account": account_id, "chat": chat.0, "limit": limit.unwrap_or(1_000) });
        let run = self.0.start("parse-members", input, key.0.map(|key| key.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }
}
