//! The settling of posts as functions of the capability, so that people do it with `potok call` or over the HTTP API.

use std::time::Instant;

use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_wasm::CallContext;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    TelegramProvider,
    post::Posted,
    rows::{self, Post, PostState, Which},
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

/// `posts-request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostsRequest {
    channel: Option<String>,
    book: Option<String>,
    state: Option<String>,
    limit: Option<i64>,
    offset: Option<i64>,
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

    /// `posts`.
    pub(crate) async fn list_posts(&self, cx: &CallContext, request: PostsRequest) -> Result<Value, Problem> {
        let which = Which {
            channel: request.channel,
            book: request.book,
            state: request.state.as_deref().and_then(PostState::parse),
        };
        let page = rows::page(
            &*cx.tables,
            which,
            request.limit.unwrap_or(100),
            request.offset.unwrap_or(0),
        )
        .await;
        let (posts, total) = page.map_err(|error| store_problem(&error))?;
        Ok(json!({ "posts": posts.iter().map(kept).collect::<Vec<_>>(), "total": total }))
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

/// `source` of the WIT.
fn source(post: &Post) -> Option<Value> {
    let made_from = post.book.as_ref().zip(post.chunk.as_ref());
    made_from.map(|(book, chunk)| json!({ "book": book, "chunk": chunk, "prompt": post.prompt, "model": post.model }))
}

/// `kept-post` of the WIT.
fn kept(post: &Post) -> Value {
    json!({
        "bot": post.bot,
        "channel": post.channel,
        "text": post.content,
        "state": post.state.name().replace('_', "-"),
        "reason": post.error,
        "message_id": post.message_id,
        "url": post.url,
        "attempts": post.attempts,
        "source": source(post),
        "published_at": post.published_at.map(Timestamp::rfc3339),
        "created_at": post.created_at.rfc3339(),
        "updated_at": post.updated_at.rfc3339(),
    })
}

/// `unknown-post` of the WIT.
fn shown(post: &Post) -> Value {
    let source = source(post);
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
