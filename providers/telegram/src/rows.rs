//! The table `posts`: one row for each idempotency key, which says what became of its message.
//!
//! ```text
//!            claim             sent
//! (no row) ────────▶ intent ────────▶ sent
//!                    │ ▲ ▲ │ lost, or found after a crash
//!            refused │ │ │ └────────▶ unknown ──settle──▶ sent
//!                    ▼ │ │                 │
//!                 failed └── to_send ◀─────┘ settle
//! ```
//!
//! `attempts` counts the intents. What became of a request is recorded for the attempt that it belongs to, so that a
//! late answer
//! never overwrites what a later attempt did.

use potok_dsl::Timestamp;
use potok_wasm::{Migration, Param, Row, Statement, TableError, Tables};
use serde::Serialize;

use crate::message::Format;
use crate::reader::{Reader, number};

/// The most posts that are listed at once.
const LIST: i64 = 1000;

pub(crate) const MIGRATION: Migration = Migration {
    owner: "telegram",
    version: 1,
    sql: "
        CREATE TABLE posts (
            key TEXT PRIMARY KEY NOT NULL,
            bot TEXT NOT NULL,
            channel TEXT NOT NULL,
            content TEXT NOT NULL,
            format TEXT NOT NULL,
            book TEXT,
            chunk TEXT,
            prompt TEXT,
            model TEXT,
            state TEXT NOT NULL,
            message_id BIGINT,
            url TEXT,
            published_at BIGINT,
            error TEXT,
            attempts BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX posts_by_state ON posts (state, updated_at);
    ",
};

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PostState {
    /// It is about to be sent, or a crash came before its answer.
    Intent,
    /// It is in the channel.
    Sent,
    /// It was about to be sent and no answer came: a person has to look.
    Unknown,
    /// It was definitely not sent.
    Failed,
    /// A person has said that it is to be sent again.
    ToSend,
}

impl PostState {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Intent, "intent"),
        (Self::Sent, "sent"),
        (Self::Unknown, "unknown"),
        (Self::Failed, "failed"),
        (Self::ToSend, "to_send"),
    ];

    /// The word that the table has for it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|state| state.0 == self)
            .map_or("", |state| state.1)
    }

    /// By its word, whichever way it joins its parts.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.replace('-', "_");
        Self::ALL.iter().find(|state| state.1 == word).map(|state| state.0)
    }
}

/// A row of `posts`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Post {
    /// The idempotency key of the call.
    pub key: String,
    /// The name of the bot.
    pub bot: String,
    /// The channel: `@name` or an id.
    pub channel: String,
    /// The text as the plugin gave it.
    pub content: String,
    /// How the text is read: `markdown` or `plain`.
    pub format: Format,
    /// The blob id of the book that it was made from.
    pub book: Option<String>,
    /// The id of the chunk that it was made from.
    pub chunk: Option<String>,
    /// The prompt that it was made with.
    pub prompt: Option<String>,
    /// The model that wrote it.
    pub model: Option<String>,
    /// What became of it.
    pub state: PostState,
    /// The message's id in the channel.
    pub message_id: Option<i64>,
    /// Where it can be read, when the channel is public.
    pub url: Option<String>,
    /// When Telegram took it.
    pub published_at: Option<Timestamp>,
    /// Why it was not sent, or why that is not known.
    pub error: Option<String>,
    /// How often it was about to be sent.
    pub attempts: i64,
    /// When it was first about to be sent.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// What is to be posted, before anything has become of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) key: String,
    pub(crate) bot: String,
    pub(crate) channel: String,
    pub(crate) content: String,
    pub(crate) format: Format,
    pub(crate) book: Option<String>,
    pub(crate) chunk: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) model: Option<String>,
}

impl From<Post> for Draft {
    fn from(post: Post) -> Self {
        let Post {
            key,
            bot,
            channel,
            content,
            format,
            book,
            chunk,
            prompt,
            model,
            ..
        } = post;
        Self {
            key,
            bot,
            channel,
            content,
            format,
            book,
            chunk,
            prompt,
            model,
        }
    }
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Became {
    Sent {
        message_id: Option<i64>,
        url: Option<String>,
        published_at: Option<Timestamp>,
    },
    Unknown(String),
    Failed(String),
}

pub(crate) async fn find(tables: &dyn Tables, key: &str) -> Result<Option<Post>, TableError> {
    let sql = "SELECT key, bot, channel, content, format, book, chunk, prompt, model, state, message_id, url, published_at, \
               error, attempts, created_at, updated_at FROM posts WHERE key = $1";
    let rows = tables
        .read(Statement {
            sql,
            params: vec![key.into()],
        })
        .await?;
    rows.into_iter().next().map(post).transpose()
}

/// Posts of which nobody knows what became of them, oldest first: those that are marked so, and intents so old that no
/// answer can
/// come any more.
pub(crate) async fn unknown(tables: &dyn Tables, intents_before: Timestamp) -> Result<Vec<Post>, TableError> {
    let sql = "SELECT key, bot, channel, content, format, book, chunk, prompt, model, state, message_id, url, published_at, \
               error, attempts, created_at, updated_at FROM posts \
               WHERE state = 'unknown' OR (state = 'intent' AND updated_at < $1) ORDER BY updated_at, key LIMIT $2";
    let params = vec![intents_before.0.into(), LIST.into()];
    tables
        .read(Statement { sql, params })
        .await?
        .into_iter()
        .map(post)
        .collect()
}

/// Which posts to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    pub(crate) channel: Option<String>,
    pub(crate) book: Option<String>,
    pub(crate) state: Option<PostState>,
}

/// A page of posts, newest first, and how many there are on all pages.
pub(crate) async fn page(
    tables: &dyn Tables,
    which: Which,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Post>, i64), TableError> {
    let state = which.state.map_or("", PostState::name);
    let params = vec![
        which.channel.unwrap_or_default().into(),
        which.book.unwrap_or_default().into(),
        state.into(),
    ];
    let sql = "SELECT COUNT(*) FROM posts WHERE ($1 = '' OR channel = $1) AND ($2 = '' OR book = $2) AND ($3 = '' OR state = $3)";
    let total = tables
        .read(Statement {
            sql,
            params: params.clone(),
        })
        .await?;
    let total = number(&total);
    let sql = "SELECT key, bot, channel, content, format, book, chunk, prompt, model, state, message_id, url, published_at, \
               error, attempts, created_at, updated_at FROM posts WHERE ($1 = '' OR channel = $1) AND ($2 = '' OR book = $2) \
               AND ($3 = '' OR state = $3) ORDER BY created_at DESC, key LIMIT $4 OFFSET $5";
    let mut params = params;
    params.extend([limit.clamp(0, LIST).into(), offset.max(0).into()]);
    let rows = tables.read(Statement { sql, params }).await?;
    Ok((rows.into_iter().map(post).collect::<Result<_, _>>()?, total))
}

/// Records that the draft is about to be sent and gives the number of the attempt; `None` when the key's row is in a
/// state from which
/// nothing may be sent.
pub(crate) async fn claim(tables: &dyn Tables, draft: &Draft, now: Timestamp) -> Result<Option<i64>, TableError> {
    let sql = "INSERT INTO posts (key, bot, channel, content, format, book, chunk, prompt, model, state, attempts, created_at, \
               updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'intent', 1, $10, $11) \
               ON CONFLICT (key) DO UPDATE SET bot = excluded.bot, channel = excluded.channel, content = excluded.content, \
               format = excluded.format, book = excluded.book, chunk = excluded.chunk, prompt = excluded.prompt, \
               model = excluded.model, state = 'intent', error = NULL, attempts = posts.attempts + 1, \
               updated_at = excluded.updated_at \
               WHERE posts.state IN ('failed', 'to_send') RETURNING attempts";
    let draft = draft.clone();
    let params = vec![
        draft.key.into(),
        draft.bot.into(),
        draft.channel.into(),
        draft.content.into(),
        draft.format.name().into(),
        draft.book.into(),
        draft.chunk.into(),
        draft.prompt.into(),
        draft.model.into(),
        now.0.into(),
        now.0.into(),
    ];
    let rows = tables.write(vec![Statement { sql, params }]).await?;
    match rows.first().and_then(|rows| rows.first()).and_then(|row| row.first()) {
        None => Ok(None),
        Some(Param::Integer(attempt)) => Ok(Some(*attempt)),
        Some(other) => Err(TableError::Refused(format!("attempts is {other:?}"))),
    }
}

/// Records what became of an attempt. A message that is known to be sent is so whatever was thought of the attempt
/// meanwhile; the rest
/// is said only of an attempt of which nothing is known yet. Gives whether a row was there to say it of.
pub(crate) async fn record(
    tables: &dyn Tables,
    key: &str,
    attempt: i64,
    became: &Became,
    now: Timestamp,
) -> Result<bool, TableError> {
    let statement = match became {
        Became::Sent {
            message_id,
            url,
            published_at,
        } => Statement {
            sql: "UPDATE posts SET state = 'sent', message_id = $1, url = $2, published_at = $3, error = NULL, updated_at = $4 \
                  WHERE key = $5 AND attempts = $6 AND state IN ('intent', 'unknown', 'to_send') RETURNING attempts",
            params: vec![
                (*message_id).into(),
                url.clone().into(),
                published_at.map(|at| at.0).into(),
                now.0.into(),
                key.into(),
                attempt.into(),
            ],
        },
        Became::Unknown(error) => Statement {
            sql: "UPDATE posts SET state = 'unknown', error = $1, updated_at = $2 \
                  WHERE key = $3 AND attempts = $4 AND state = 'intent' RETURNING attempts",
            params: vec![error.as_str().into(), now.0.into(), key.into(), attempt.into()],
        },
        Became::Failed(error) => Statement {
            sql: "UPDATE posts SET state = 'failed', error = $1, updated_at = $2 \
                  WHERE key = $3 AND attempts = $4 AND state IN ('intent', 'unknown') RETURNING attempts",
            params: vec![error.as_str().into(), now.0.into(), key.into(), attempt.into()],
        },
    };
    Ok(tables
        .write(vec![statement])
        .await?
        .first()
        .is_some_and(|rows| !rows.is_empty()))
}

/// Allows an attempt whose outcome is not known to be made again.
pub(crate) async fn allow_again(
    tables: &dyn Tables,
    key: &str,
    attempt: i64,
    now: Timestamp,
) -> Result<bool, TableError> {
    let sql = "UPDATE posts SET state = 'to_send', updated_at = $1 \
               WHERE key = $2 AND attempts = $3 AND state IN ('intent', 'unknown') RETURNING attempts";
    let params = vec![now.0.into(), key.into(), attempt.into()];
    Ok(tables
        .write(vec![Statement { sql, params }])
        .await?
        .first()
        .is_some_and(|rows| !rows.is_empty()))
}

fn post(row: Row) -> Result<Post, TableError> {
    let mut row = Reader::new("posts", row);
    Ok(Post {
        key: row.text("key")?,
        bot: row.text("bot")?,
        channel: row.text("channel")?,
        content: row.text("content")?,
        format: row.word("format", Format::parse)?,
        book: row.optional_text("book")?,
        chunk: row.optional_text("chunk")?,
        prompt: row.optional_text("prompt")?,
        model: row.optional_text("model")?,
        state: row.word("state", PostState::parse)?,
        message_id: row.optional_integer("message_id")?,
        url: row.optional_text("url")?,
        published_at: row.optional_integer("published_at")?.map(Timestamp),
        error: row.optional_text("error")?,
        attempts: row.integer("attempts")?,
        created_at: Timestamp(row.integer("created_at")?),
        updated_at: Timestamp(row.integer("updated_at")?),
    })
}
