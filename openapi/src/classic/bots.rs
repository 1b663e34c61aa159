//! Bots: adding, changing, removing, looking.

use poem_openapi::{OpenApi, param::Path, payload::Json};
use potok_dsl::Problem;
use serde_json::json;

use super::{
    Desk, Room,
    words::{AllBots, BotChange, BotIsKept, IsRemoved, NewBot, OneBot, read},
};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, Failure, MALFORMED, MISSING, TYPED},
    payload,
};

#[derive(Clone)]
pub(super) struct Bots(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Bots {
    /// Add a bot.
    ///
    /// Telegram is asked whose token it is; 503 says why it could not be or did not accept it. The same bot again is not new; it
    /// gets the token that was sent last. The token is kept sealed and never told.
    #[oai(path = "/bots", method = "post", operation_id = "addBot")]
    async fn add(
        &self,
        bot: payload::Json<NewBot>,
    ) -> Result<Json<BotIsKept>, Failure<{ MALFORMED | CHANGES | BODY | TYPED }>> {
        let token = self.0.seal(bot.0.token)?;
        let added = self.0.step("telegram.add-bot", json!({ "token": token })).await;
        let added = added.map_err(|failure: Failure| Failure(not_verified(failure.0)))?;
        Ok(Json(BotIsKept::new(read(added)?)))
    }

    /// List bots.
    #[oai(path = "/bots", method = "get", operation_id = "listBots")]
    async fn list(&self) -> Result<Json<AllBots>, Failure> {
        let bots = self.0.look("telegram.bots", json!({})).await?;
        Ok(Json(AllBots::new(read(bots)?)))
    }

    /// Look at a bot.
    #[oai(path = "/bots/:id", method = "get", operation_id = "getBot")]
    async fn get(&self, id: Path<i64>) -> Result<Json<OneBot>, Failure<{ MALFORMED | MISSING }>> {
        let bot = self.0.look("telegram.bot", json!({ "id": id.0 })).await?;
        Ok(Json(OneBot::new(read(bot)?)))
    }

    /// Change a bot.
    ///
    /// A new token is asked of Telegram as when a bot is added, and has to be the same bot's. What is not said stays.
    #[oai(path = "/bots/:id", method = "patch", operation_id = "changeBot")]
    async fn change(
        &self,
        id: Path<i64>,
        change: payload::Json<BotChange>,
    ) -> Result<Json<OneBot>, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT | BODY | TYPED }>> {
        let BotChange { token, active } = change.0;
        let token = token.map(|token| self.0.seal(token)).transpose()?;
        let request = json!({ "id": id.0, "token": token, "active": active });
        let changed = self.0.step("telegram.update-bot", request).await;
        let changed = changed.map_err(|failure: Failure| match failure.0.status {
            400 | 404 | 409 => Failure(failure.0),
            _ => Failure(not_verified(failure.0)),
        })?;
        Ok(Json(OneBot::new(read(changed)?)))
    }

    /// Remove a bot.
    ///
    /// While channels are bound to it, it stays (409).
    #[oai(path = "/bots/:id", method = "delete", operation_id = "removeBot")]
    async fn remove(
        &self,
        id: Path<i64>,
    ) -> Result<Json<IsRemoved>, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT }>> {
        let removed = self.0.step("telegram.remove-bot", json!({ "id": id.0 })).await?;
        Ok(Json(IsRemoved::new(read(removed)?)))
    }
}

/// Whatever the reason is, the token could not be verified; clients know that as 503.
fn not_verified(problem: Problem) -> Problem {
    problem.with_status(503)
}
