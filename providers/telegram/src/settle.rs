//! What people do about posts of which nobody knows what became of them.

use std::sync::Arc;
use std::time::Duration;

use potok_dsl::{Problem, Timestamp};
use potok_wasm::{TableError, Tables};
use serde_json::Value;
use tokio::time::Instant;

use crate::channel::Channel;
use crate::post::{Posted, Sending};
use crate::rows::{self, Became, Draft, Post, PostState};
use crate::{TelegramProvider, store_problem};

/// What a person has found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is in the channel.
    Sent {
        /// The message's id there, when the person has looked it up.
        message_id: Option<i64>,
    },
    /// It is not there: it may be sent again, by the next call with its key or by [`TelegramProvider::resend`].
    SendAgain,
}

/// Why a post was not settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// There is no such post.
    #[error("there is no post with the key '{0}'")]
    NotFound(String),
    /// It is being sent at this moment.
    #[error("the post '{0}' is being sent at this moment: wait for its answer")]
    InProgress(String),
    /// What became of it is known.
    #[error("the post '{key}' is {state:?}: there is nothing to settle")]
    NotUnknown {
        /// Its key.
        key: String,
        /// What became of it.
        state: PostState,
    },
    /// The store did not serve.
    #[error(transparent)]
    Store(#[from] TableError),
}

impl TelegramProvider {
    /// The posts that a person has to look at, oldest first, up to 1000: those that are `unknown`, and intents that a
    /// crash has left so long
    /// ago that no answer can come any more.
    ///
    /// # Errors
    /// When the store does not serve.
    pub async fn unknown_posts(&self, tables: &dyn Tables, now: Timestamp) -> Result<Vec<Post>, TableError> {
        rows::unknown(tables, Timestamp(now.0.saturating_sub(self.intent_lost_after_ms))).await
    }

    /// A post by its key.
    ///
    /// # Errors
    /// When the store does not serve.
    pub async fn find_post(&self, tables: &dyn Tables, key: &str) -> Result<Option<Post>, TableError> {
        rows::find(tables, key).await
    }

    /// Records what a person has found out about a post, and gives it as it is now.
    ///
    /// # Errors
    /// [`SettleError`] when the post is not one of which nothing is known.
    pub async fn settle(
        &self,
        tables: &dyn Tables,
        key: &str,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Post, SettleError> {
        let _guard = self
            .locks
            .try_take(key)
            .ok_or_else(|| SettleError::InProgress(key.to_owned()))?;
        let post = rows::find(tables, key)
            .await?
            .ok_or_else(|| SettleError::NotFound(key.to_owned()))?;
        let changed = match settlement {
            _ if !self.is_open(&post, now) => return Err(not_unknown(&post)),
            Settlement::SendAgain => rows::allow_again(tables, key, post.attempts, now).await?,
            Settlement::Sent { message_id } => {
                let url = message_id.and_then(|id| Channel::parse(&post.channel).ok()?.url(None, id));
                let became = Became::Sent {
                    message_id,
                    url,
                    published_at: None,
                };
                rows::record(tables, key, post.attempts, &became, now).await?
            }
        };
        let post = rows::find(tables, key)
            .await?
            .ok_or_else(|| SettleError::NotFound(key.to_owned()))?;
        if changed { Ok(post) } else { Err(not_unknown(&post)) }
    }

    /// Sends a post again that was settled as [`Settlement::SendAgain`], or that has failed, as it was written then.
    /// One that was sent is
    /// answered from its row. The answer is `posted` of the WIT.
    ///
    /// # Errors
    /// As the function `post`; 404 when there is no such post.
    pub async fn resend(
        &self,
        tables: Arc<dyn Tables>,
        key: &str,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<Value, Problem> {
        let deadline = Instant::now() + timeout;
        let guard = self.take(key, deadline).await?;
        let Some(post) = rows::find(&*tables, key).await.map_err(|e| store_problem(&e))? else {
            let error = SettleError::NotFound(key.to_owned());
            return Err(
                Problem::new(potok_dsl::ErrorType::Validation, "no such post", error.to_string()).with_status(404),
            );
        };
        let posted = match post.state {
            PostState::Sent => Posted::from(post),
            PostState::Unknown | PostState::Intent => Posted::Unknown,
            PostState::Failed | PostState::ToSend => {
                let sending = Sending::new(self, Draft::from(post), tables, now).await?;
                self.send(sending, guard, deadline).await?
            }
        };
        Ok(posted.to_json())
    }

    /// Whether nobody knows what became of a post, nor will.
    fn is_open(&self, post: &Post, now: Timestamp) -> bool {
        match post.state {
            PostState::Unknown => true,
            PostState::Intent => now.0.saturating_sub(post.updated_at.0) > self.intent_lost_after_ms,
            PostState::Sent | PostState::Failed | PostState::ToSend => false,
        }
    }
}

fn not_unknown(post: &Post) -> SettleError {
    SettleError::NotUnknown {
        key: post.key.clone(),
        state: post.state,
    }
}
