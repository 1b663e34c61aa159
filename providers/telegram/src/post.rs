//! Sending a post at most once for one idempotency key.
//!
//! 1. The key's row is looked up. `sent` and `unknown` are answered from it; an `intent` was left by a crash and
//!    becomes `unknown`.
//! 2. The post waits for its turn ([`crate::pace`]).
//! 3. The intent is recorded, durably. From here on a crash leaves it open whether the message was sent.
//! 4. The message is sent: one request, no second try.
//! 5. What became of it is recorded: `sent`; `failed` when it definitely was not (no connection, or Telegram said no);
//!    `unknown`
//!    when the connection broke, nothing came in time, or the answer says neither.
//!
//! Steps 4 and 5 run in a task of their own, so that a caller that goes away (its deadline, a cancelled run) does not
//! lose the answer:
//! the next call with the same key waits for it.
//!
//! **Why an intent cannot be settled by looking.** A bot has no way to see whether its own message is in a channel:
//! updates bring a bot
//! the posts of others, not its own; there is no method that reads a channel's history; `getChat` shows the pinned
//! message only. Editing
//! or forwarding guessed message ids would tell whether *a* message is there, not whether it is this one, and would
//! change or repeat
//! messages of people who did not ask for that. A session of a user account can look; until there is one, a person does
//! ([`crate::settle`]).

use std::sync::Arc;
use std::time::Duration;

use frankenstein::methods::SendMessageParams;
use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_wasm::{CallContext, TableError, Tables};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::api::{ApiError, BotApi, SentMessage};
use crate::channel::Channel;
use crate::message::{Format, Message};
use crate::pace::Pacer;
use crate::rows::{self, Became, Draft, Post, PostState};
use crate::{DEFAULT_BOT, TelegramProvider, store_problem};

/// How long to wait before recording an outcome is tried again. A record that never succeeds makes an `unknown` of
/// what is known.
const RECORD_AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// `post-request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostRequest {
    bot: Option<String>,
    channel: String,
    text: String,
    format: Option<Format>,
    source: Option<Source>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    book: Option<String>,
    chunk: Option<String>,
    prompt: Option<String>,
    model: Option<String>,
}

impl TelegramProvider {
    pub(crate) async fn post(&self, cx: &CallContext, request: PostRequest) -> Result<Value, Problem> {
        let key = cx.call_key();
        let deadline = Instant::from_std(cx.deadline);
        let guard = self.take(&key, deadline).await?;
        let posted = match rows::find(&*cx.tables, &key).await.map_err(|e| store_problem(&e))? {
            Some(post) if post.state == PostState::Intent => after_crash(&*cx.tables, &post, cx.now).await?,
            Some(post) if post.state == PostState::Sent => Posted::from(post),
            Some(post) if post.state == PostState::Unknown => Posted::Unknown,
            _ => {
                let draft = self.draft(&*cx.tables, key, request).await?;
                let sending = Sending::new(self, draft, cx.tables.clone(), cx.now).await?;
                self.send(sending, guard, deadline).await?
            }
        };
        Ok(posted.to_json())
    }

    /// What is to be posted, by the bot that is asked for; else by the one that the channel is bound to, or the default one.
    async fn draft(&self, tables: &dyn Tables, key: String, request: PostRequest) -> Result<Draft, Problem> {
        let source = request.source.unwrap_or_default();
        let bot = match request.bot {
            Some(bot) => bot,
            None => {
                let bound = self.bound_bot(tables, &Channel::parse(&request.channel)?).await?;
                bound.map_or_else(|| DEFAULT_BOT.to_owned(), |bot| bot.to_string())
            }
        };
        Ok(Draft {
            key,
            bot,
            channel: request.channel,
            content: request.text,
            format: request.format.unwrap_or_default(),
            book: source.book,
            chunk: source.chunk,
            prompt: source.prompt,
            model: source.model,
        })
    }

    /// Sends what may be sent: there is no row, or it is `failed` or `to_send`.
    pub(crate) async fn send(
        &self,
        mut sending: Sending,
        guard: OwnedMutexGuard<()>,
        deadline: Instant,
    ) -> Result<Posted, Problem> {
        if Instant::now() >= deadline {
            return Err(late("no time is left to send the post"));
        }
        self.pacer
            .wait(&sending.draft.bot, &sending.channel.to_string(), deadline)
            .await?;
        let Ok(Ok(permit)) = tokio::time::timeout_at(deadline, self.sending.clone().acquire_owned()).await else {
            return Err(late("too many posts are being sent at once"));
        };
        let claimed = rows::claim(&*sending.tables, &sending.draft, sending.now)
            .await
            .map_err(|e| store_problem(&e))?;
        let Some(attempt) = claimed else {
            let detail = "another node is sending this post at this moment; nothing was sent here";
            let problem = Problem::new(ErrorType::Communication, "post in progress", detail);
            return Err(problem.with_status(409).with_retry_after(1000));
        };
        sending.attempt = attempt;
        let task = tokio::spawn(async move {
            let result = sending.run().await;
            drop((guard, permit));
            result
        });
        match tokio::time::timeout_at(deadline, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Problem::new(
                ErrorType::Runtime,
                "post not followed",
                "the task that sends the post has ended early",
            )),
            Err(_) => Err(late(
                "the post was sent and Telegram's answer is still awaited; the next attempt takes it up",
            )),
        }
    }

    /// Waits until no other call with this key is going on.
    pub(crate) async fn take(&self, key: &str, deadline: Instant) -> Result<OwnedMutexGuard<()>, Problem> {
        tokio::time::timeout_at(deadline, self.locks.take(key))
            .await
            .map_err(|_| late("an earlier attempt of the same post is still going on"))
    }
}

fn late(detail: &str) -> Problem {
    Problem::new(ErrorType::Timeout, "post not finished in time", detail)
}

/// An intent that nobody is working on was left by a crash.
async fn after_crash(tables: &dyn Tables, post: &Post, now: Timestamp) -> Result<Posted, Problem> {
    let became = Became::Unknown("the process ended between the intent and Telegram's answer".to_owned());
    let recorded = rows::record(tables, &post.key, post.attempts, &became, now)
        .await
        .map_err(|e| store_problem(&e))?;
    if recorded {
        tracing::warn!(key = %post.key, channel = %post.channel, "post unknown after a crash");
        return Ok(Posted::Unknown);
    }
    // It was settled in this moment, by a person or by a late answer.
    match rows::find(tables, &post.key).await.map_err(|e| store_problem(&e))? {
        Some(post) if post.state == PostState::Sent => Ok(Posted::from(post)),
        _ => Ok(Posted::Unknown),
    }
}

/// What a call answers: `posted` of the WIT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Posted {
    Sent {
        message_id: Option<i64>,
        url: Option<String>,
        published_at: Option<Timestamp>,
    },
    Unknown,
}

impl From<Post> for Posted {
    fn from(post: Post) -> Self {
        Self::Sent {
            message_id: post.message_id,
            url: post.url,
            published_at: post.published_at,
        }
    }
}

impl Posted {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Sent {
                message_id,
                url,
                published_at,
            } => json!({
                "state": "sent",
                "message_id": message_id,
                "url": url,
                "published_at": published_at.map(Timestamp::rfc3339),
            }),
            Self::Unknown => json!({ "state": "unknown", "message_id": null, "url": null, "published_at": null }),
        }
    }
}

/// A post on its way, with all that it needs to outlive its caller.
#[derive(Clone)]
pub(crate) struct Sending {
    api: BotApi,
    pacer: Arc<Pacer>,
    tables: Arc<dyn Tables>,
    pub(crate) draft: Draft,
    channel: Channel,
    message: Message,
    attempt: i64,
    now: Timestamp,
}

impl Sending {
    /// Looks at all that could be wrong with a post before anything is recorded.
    pub(crate) async fn new(
        provider: &TelegramProvider,
        draft: Draft,
        tables: Arc<dyn Tables>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let channel = Channel::parse(&draft.channel)?;
        let message = Message::new(&draft.content, draft.format)?;
        let api = provider.bot(&*tables, &draft.bot).await?;
        Ok(Self {
            api,
            pacer: provider.pacer.clone(),
            tables,
            draft,
            channel,
            message,
            attempt: 0,
            now,
        })
    }

    async fn run(&self) -> Result<Posted, Problem> {
        let text = self.message.text.clone();
        let params = SendMessageParams::builder()
            .chat_id(self.channel.chat_id())
            .text(text)
            .maybe_parse_mode(self.message.parse_mode)
            .build();
        match self.api.call::<_, SentMessage>("sendMessage", &params).await {
            Ok(sent) => Ok(self.sent(&sent).await),
            Err(ApiError::Lost(why)) => {
                tracing::warn!(key = %self.draft.key, channel = %self.channel, %why, "post unknown");
                self.record(&Became::Unknown(why)).await;
                Ok(Posted::Unknown)
            }
            Err(ApiError::NotSent(why)) => {
                self.record(&Became::Failed(format!("Telegram cannot be reached: {why}")))
                    .await;
                let detail = format!("{why}; the message was not sent");
                Err(Problem::new(ErrorType::Communication, "Telegram cannot be reached", detail).with_status(503))
            }
            Err(ApiError::Refused {
                code,
                description,
                retry_after,
            }) => {
                if let Some(seconds) = retry_after {
                    self.pacer.rest(&self.draft.bot, seconds, Instant::now());
                }
                self.record(&Became::Failed(format!("{code}: {description}"))).await;
                let problem = refused(code, &description, retry_after);
                let data = json!({ "bot": self.draft.bot, "channel": self.channel.to_string() });
                Err(problem.with_data(data))
            }
        }
    }

    async fn sent(&self, sent: &SentMessage) -> Posted {
        let username = sent.chat.as_ref().and_then(|chat| chat.username.as_deref());
        let url = self.channel.url(username, sent.message_id);
        let published_at = sent.date.map(|seconds| Timestamp(seconds.saturating_mul(1000)));
        let message_id = Some(sent.message_id);
        self.record(&Became::Sent {
            message_id,
            url: url.clone(),
            published_at,
        })
        .await;
        Posted::Sent {
            message_id,
            url,
            published_at,
        }
    }

    /// A record that cannot be made does not change what is known here: the caller is told the truth, and the row
    /// stays an intent, from
    /// which nothing is sent again.
    async fn record(&self, became: &Became) {
        let mut again = RECORD_AGAIN.into_iter();
        loop {
            let Err(error) = rows::record(&*self.tables, &self.draft.key, self.attempt, became, self.now).await else {
                return;
            };
            let wait = again.next().filter(|_| matches!(error, TableError::Unavailable(_)));
            let Some(wait) = wait else {
                tracing::error!(key = %self.draft.key, ?became, %error, "what became of a post could not be recorded");
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }
}

/// Telegram's no as an error that a workflow can act on.
pub(crate) fn refused(code: u16, description: &str, retry_after: Option<u64>) -> Problem {
    let (kind, title) = match code {
        401 => (ErrorType::Authentication, "Telegram does not accept the bot's token"),
        403 => (ErrorType::Authorization, "the bot may not do that"),
        429 => (ErrorType::Communication, "Telegram is being asked too much"),
        _ => (ErrorType::Communication, "Telegram has refused the request"),
    };
    let problem = Problem::new(kind, title, description).with_status(code);
    match retry_after {
        Some(seconds) => problem.with_retry_after(seconds.saturating_mul(1000)),
        None => problem,
    }
}
