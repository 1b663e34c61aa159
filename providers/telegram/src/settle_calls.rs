//! The settling of posts as functions of the capability, so that people do it with `potok call` or over the HTTP API.

use std::time::Instant;

use potok_dsl::{ErrorType, Problem};
use potok_wasm::CallContext;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    TelegramProvider,
    post::Posted,
    rows::Post,
    settle::{SettleError, Settlement},
    store_problem,
};

/// `settle-request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleRequest {
    key: String,
    settlement: Found,
    message_id: Option<i64>,
}

/// `settlement` of the WIT.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    Sent,
    SendAgain,
}

impl TelegramProvider {
    /// `unknown-posts`.
    pub(crate) async fn list_unknown(&self, cx: &CallContext) -> Result<Value, Problem> {
        let posts = self.unknown_posts(&*cx.tables, cx.now).await;
        let posts = posts.map_err(|error| store_problem(&error))?;
        Ok(posts.iter().map(shown).collect())
    }

    /// `settle-post`: records what was found; what is to be sent again is sent at once.
    pub(crate) async fn settle_one(&self, cx: &CallContext, request: SettleRequest) -> Result<Value, Problem> {
        let settlement = match request.settlement {
            Found::Sent => Settlement::Sent {
                message_id: request.message_id,
            },
            Found::SendAgain => Settlement::SendAgain,
        };
        match self.settle(&*cx.tables, &request.key, settlement, cx.now).await {
            // Settled before a crash, by this very call: then only the sending is left.
            Err(SettleError::NotUnknown { .. }) if matches!(settlement, Settlement::SendAgain) => {}
            Err(error) => return Err(refused(&error)),
            Ok(post) if matches!(settlement, Settlement::Sent { .. }) => return Ok(Posted::from(post).to_json()),
            Ok(_) => {}
        }
        let left = cx.deadline.saturating_duration_since(Instant::now());
        self.resend(cx.tables.clone(), &request.key, cx.now, left).await
    }
}

/// `unknown-post` of the WIT.
fn shown(post: &Post) -> Value {
    let source = post
        .book
        .as_ref()
        .zip(post.chunk.as_ref())
        .map(|(book, chunk)| json!({ "book": book, "chunk": chunk, "prompt": post.prompt, "model": post.model }));
    json!({
        "key": post.key,
        "bot": post.bot,
        "channel": post.channel,
        "text": post.content,
        "source": source,
        "since": post.updated_at.rfc3339(),
    })
}

fn refused(error: &SettleError) -> Problem {
    let problem =
        |status| Problem::new(ErrorType::Validation, "post not settled", error.to_string()).with_status(status);
    match error {
        SettleError::NotFound(_) => problem(404),
        SettleError::InProgress(_) | SettleError::NotUnknown { .. } => problem(409),
        SettleError::Store(error) => store_problem(error),
    }
}
