//! The table `summaries`: one row for each book, chunk, model and prompt.

use std::fmt::Write as _;

use potok_dsl::Timestamp;
use potok_wasm::{Migration, Param, Row, Statement, TableError, Tables};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "content",
    version: 1,
    sql: "
        CREATE TABLE summaries (
            id TEXT PRIMARY KEY NOT NULL,
            book TEXT NOT NULL,
            chunk TEXT NOT NULL,
            model TEXT NOT NULL,
            prompt TEXT NOT NULL,
            text TEXT NOT NULL,
            used BIGINT NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX summaries_by_book ON summaries (book, model, prompt, chunk);
    ",
}];

/// A summary to keep.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSummary {
    pub(crate) book: String,
    pub(crate) chunk: String,
    pub(crate) text: String,
    pub(crate) model: String,
    pub(crate) prompt: String,
}

/// The summaries of a book that one model made with one prompt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Voice {
    pub(crate) book: String,
    pub(crate) model: String,
    pub(crate) prompt: String,
}

/// A row of `summaries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id, made of what it is a summary of.
    pub id: String,
    /// The blob id of the book.
    pub book: String,
    /// The id of the chunk.
    pub chunk: String,
    /// The model that was asked; empty for the operator's default.
    pub model: String,
    /// The hash of the prompt.
    pub prompt: String,
    /// What the chunk says.
    pub text: String,
    /// Whether a post was made from it.
    pub used: bool,
    /// When it was kept.
    pub created_at: Timestamp,
}

impl Summary {
    /// As the contract has it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "book": self.book,
            "chunk": self.chunk,
            "text": self.text,
            "model": self.model,
            "prompt": self.prompt,
            "used": self.used,
            "created_at": self.created_at.rfc3339(),
        })
    }
}

/// Keeps a summary, or gives back the one that is there.
pub(crate) async fn save(tables: &dyn Tables, new: NewSummary, now: Timestamp) -> Result<Summary, TableError> {
    let id = id([&new.book, &new.chunk, &new.model, &new.prompt]);
    // What is there stays as it is; the update that changes nothing makes it be returned.
    let sql = "INSERT INTO summaries (id, book, chunk, model, prompt, text, used, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
        ON CONFLICT (id) DO UPDATE SET book = excluded.book
        RETURNING id, book, chunk, model, prompt, text, used, created_at";
    let params = vec![
        id.into(),
        new.book.into(),
        new.chunk.into(),
        new.model.into(),
        new.prompt.into(),
        new.text.into(),
        now.0.into(),
    ];
    let row = tables
        .write(vec![Statement { sql, params }])
        .await?
        .into_iter()
        .flatten()
        .next();
    read(row.ok_or_else(|| TableError::Refused("saving a summary returned no row".to_owned()))?)
}

/// The summary of one chunk.
pub(crate) async fn find(tables: &dyn Tables, voice: &Voice, chunk: &str) -> Result<Option<Summary>, TableError> {
    let sql = "SELECT id, book, chunk, model, prompt, text, used, created_at FROM summaries WHERE id = $1";
    let id = id([&voice.book, chunk, &voice.model, &voice.prompt]);
    tables
        .read(Statement {
            sql,
            params: vec![id.into()],
        })
        .await?
        .into_iter()
        .next()
        .map(read)
        .transpose()
}

/// The summaries of a book, oldest first.
pub(crate) async fn list(tables: &dyn Tables, voice: Voice) -> Result<Vec<Summary>, TableError> {
    let sql = "SELECT id, book, chunk, model, prompt, text, used, created_at FROM summaries
        WHERE book = $1 AND model = $2 AND prompt = $3 ORDER BY created_at, chunk";
    tables
        .read(Statement {
            sql,
            params: params(voice),
        })
        .await?
        .into_iter()
        .map(read)
        .collect()
}

/// Which summaries to list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default)]
    pub(crate) book: Option<String>,
    #[serde(default)]
    pub(crate) used: Option<bool>,
    #[serde(default)]
    pub(crate) limit: Option<i64>,
    #[serde(default)]
    pub(crate) offset: Option<i64>,
}

/// The most summaries of a page.
const PAGE: i64 = 1000;

/// A page of summaries, newest first, and how many there are on all pages.
pub(crate) async fn page(tables: &dyn Tables, which: Which) -> Result<(Vec<Summary>, i64), TableError> {
    let book = which.book.unwrap_or_default();
    let used = which.used.map_or(-1, i64::from);
    let sql = "SELECT COUNT(*) FROM summaries WHERE ($1 = '' OR book = $1) AND ($2 = -1 OR used = $2)";
    let params = vec![book.clone().into(), used.into()];
    let total = tables.read(Statement { sql, params }).await?;
    let total = match total.first().and_then(|row| row.first()) {
        Some(Param::Integer(total)) => *total,
        _ => 0,
    };
    let sql = "SELECT id, book, chunk, model, prompt, text, used, created_at FROM summaries \
        WHERE ($1 = '' OR book = $1) AND ($2 = -1 OR used = $2) ORDER BY created_at DESC, id LIMIT $3 OFFSET $4";
    let limit = which.limit.unwrap_or(100).clamp(0, PAGE);
    let params = vec![
        book.into(),
        used.into(),
        limit.into(),
        which.offset.unwrap_or(0).max(0).into(),
    ];
    let rows = tables.read(Statement { sql, params }).await?;
    Ok((rows.into_iter().map(read).collect::<Result<_, _>>()?, total))
}

/// Marks summaries as used; gives how many there were.
pub(crate) async fn mark_used(tables: &dyn Tables, ids: Vec<String>) -> Result<u64, TableError> {
    let mut ids = ids;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(0);
    }
    let sql = "UPDATE summaries SET used = 1 WHERE id = $1 RETURNING id";
    let statements = ids
        .into_iter()
        .map(|id| Statement {
            sql,
            params: vec![id.into()],
        })
        .collect();
    Ok(count(&tables.write(statements).await?))
}

/// Marks the summaries of a book as not used; gives how many there were.
pub(crate) async fn reset(tables: &dyn Tables, voice: Voice) -> Result<u64, TableError> {
    let sql = "UPDATE summaries SET used = 0 WHERE book = $1 AND model = $2 AND prompt = $3 RETURNING id";
    Ok(count(
        &tables
            .write(vec![Statement {
                sql,
                params: params(voice),
            }])
            .await?,
    ))
}

fn params(voice: Voice) -> Vec<Param> {
    vec![voice.book.into(), voice.model.into(), voice.prompt.into()]
}

fn count(answers: &[Vec<Row>]) -> u64 {
    answers.iter().map(|rows| rows.len() as u64).sum()
}

/// The same for the same parts, and for no others: each is hashed with its length.
fn id(parts: [&str; 4]) -> String {
    let hash = parts.iter().fold(Sha256::new(), |hash, part| {
        hash.chain_update((part.len() as u64).to_be_bytes())
            .chain_update(part.as_bytes())
    });
    hash.finalize()[..16]
        .iter()
        .fold(String::with_capacity(32), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
}

fn read(row: Row) -> Result<Summary, TableError> {
    let row: Result<[Param; 8], Row> = row.try_into();
    match row {
        Ok(
            [
                Param::Text(id),
                Param::Text(book),
                Param::Text(chunk),
                Param::Text(model),
                Param::Text(prompt),
                Param::Text(text),
                Param::Integer(used),
                Param::Integer(created_at),
            ],
        ) => Ok(Summary {
            id,
            book,
            chunk,
            model,
            prompt,
            text,
            used: used != 0,
            created_at: Timestamp(created_at),
        }),
        other => Err(TableError::Refused(format!(
            "a row of summaries is not what this provider writes: {other:?}"
        ))),
    }
}
