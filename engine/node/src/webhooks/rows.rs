//! Webhooks as rows: who is told of what, how far each is, and what could not be delivered.

use std::sync::Arc;

use potok_journal::{ProviderMigration, SqlRow, SqlStatement, SqlValue, Store, StoreError, Write};
use serde_json::Value;

use super::{DeadLetter, Webhook};
use crate::secrets::Sealed;

const OWNER: &str = "webhooks";

pub(super) const MIGRATIONS: [ProviderMigration; 1] = [ProviderMigration {
    owner: OWNER,
    version: 1,
    sql: "
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    types TEXT NOT NULL,
    sources TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    cursor BIGINT NOT NULL,
    failing_since BIGINT,
    last_error TEXT
);
CREATE TABLE webhook_dead_letters (
    webhook TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (webhook, sequence)
);
",
}];

/// How many events that could not be delivered are kept of a webhook.
const DEAD_LETTERS: i64 = 1_000;

/// The rows of webhooks.
#[derive(Clone)]
pub(super) struct Rows(pub Arc<dyn Store>);

impl Rows {
    pub async fn insert(&self, hook: &Webhook) -> Result<(), StoreError> {
        let [key, sealed] = hook.secret.columns();
        self.write(vec![SqlStatement {
            sql: "INSERT INTO webhooks (id, url, types, sources, key_id, sealed, created_at, cursor)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params: vec![
                text(&hook.id),
                text(&hook.url),
                list(&hook.types),
                list(&hook.sources),
                key,
                sealed,
                SqlValue::Integer(hook.created_at),
                number(hook.cursor),
            ],
        }])
        .await
    }

    pub async fn remove(&self, id: &str) -> Result<(), StoreError> {
        let by_id = |sql| SqlStatement {
            sql,
            params: vec![text(id)],
        };
        self.write(vec![
            by_id("DELETE FROM webhooks WHERE id = $1"),
            by_id("DELETE FROM webhook_dead_letters WHERE webhook = $1"),
        ])
        .await
    }

    pub async fn all(&self) -> Result<Vec<Webhook>, StoreError> {
        let rows = self.read(
            "SELECT id, url, types, sources, key_id, sealed, created_at, cursor, failing_since, last_error
             FROM webhooks ORDER BY created_at, id",
            vec![],
        );
        rows.await?
            .into_iter()
            .map(|row| webhook(row).ok_or_else(damaged))
            .collect()
    }

    /// Writes down how far a webhook is.
    pub async fn progress(&self, hook: &Webhook) -> Result<(), StoreError> {
        self.write(vec![progress(hook)]).await
    }

    /// Gives an event up.
    pub async fn bury(&self, hook: &Webhook, letter: &DeadLetter) -> Result<(), StoreError> {
        self.write(vec![
            SqlStatement {
                sql: "INSERT INTO webhook_dead_letters (webhook, sequence, at, reason, event)
                      SELECT id, $2, $3, $4, $5 FROM webhooks WHERE id = $1 ON CONFLICT DO NOTHING",
                params: vec![
                    text(&hook.id),
                    number(letter.sequence),
                    SqlValue::Integer(letter.at),
                    text(&letter.reason),
                    text(&letter.event.to_string()),
                ],
            },
            SqlStatement {
                sql: "DELETE FROM webhook_dead_letters WHERE webhook = $1 AND sequence <
                      (SELECT MIN(sequence) FROM (SELECT sequence FROM webhook_dead_letters WHERE webhook = $1
                       ORDER BY sequence DESC LIMIT $2) AS newest)",
                params: vec![text(&hook.id), SqlValue::Integer(DEAD_LETTERS)],
            },
            progress(hook),
        ])
        .await
    }

    pub async fn dead_letters(&self, id: &str, after: u64, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(
            "SELECT sequence, at, reason, event FROM webhook_dead_letters WHERE webhook = $1 AND sequence > $2
             ORDER BY sequence LIMIT $3",
            vec![text(id), number(after), SqlValue::Integer(limit)],
        );
        rows.await?
            .into_iter()
            .map(|row| dead_letter(row).ok_or_else(damaged))
            .collect()
    }

    async fn write(&self, statements: Vec<SqlStatement>) -> Result<(), StoreError> {
        self.0.commit(Write::Tables(statements)).await.map(|_| ())
    }

    async fn read(&self, sql: &'static str, params: Vec<SqlValue>) -> Result<Vec<SqlRow>, StoreError> {
        self.0.read_rows(SqlStatement { sql, params }).await
    }
}

fn progress(hook: &Webhook) -> SqlStatement {
    SqlStatement {
        sql: "UPDATE webhooks SET cursor = $2, failing_since = $3, last_error = $4 WHERE id = $1",
        params: vec![
            text(&hook.id),
            number(hook.cursor),
            hook.failing_since.map_or(SqlValue::Null, SqlValue::Integer),
            hook.last_error.as_deref().map_or(SqlValue::Null, text),
        ],
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

fn list(texts: &[String]) -> SqlValue {
    SqlValue::Text(Value::from(texts.to_vec()).to_string())
}

fn number(number: u64) -> SqlValue {
    SqlValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn damaged() -> StoreError {
    StoreError::Corrupt("a row of a webhook is not what was written".to_owned())
}

fn webhook(row: SqlRow) -> Option<Webhook> {
    let [
        id,
        url,
        types,
        sources,
        key,
        sealed,
        created_at,
        cursor,
        failing_since,
        last_error,
    ] = row.try_into().ok()?;
    Some(Webhook {
        id: as_text(id)?,
        url: as_text(url)?,
        types: serde_json::from_str(&as_text(types)?).ok()?,
        sources: serde_json::from_str(&as_text(sources)?).ok()?,
        secret: Sealed::kept(as_text(key)?, as_bytes(sealed)?),
        created_at: as_number(created_at)?,
        cursor: u64::try_from(as_number(cursor)?).ok()?,
        failing_since: as_number(failing_since),
        last_error: as_text(last_error),
    })
}

fn dead_letter(row: SqlRow) -> Option<DeadLetter> {
    let [sequence, at, reason, event] = row.try_into().ok()?;
    Some(DeadLetter {
        sequence: u64::try_from(as_number(sequence)?).ok()?,
        at: as_number(at)?,
        reason: as_text(reason)?,
        event: serde_json::from_str(&as_text(event)?).ok()?,
    })
}

fn as_text(value: SqlValue) -> Option<String> {
    match value {
        SqlValue::Text(text) => Some(text),
        _ => None,
    }
}

fn as_bytes(value: SqlValue) -> Option<Vec<u8>> {
    match value {
        SqlValue::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

fn as_number(value: SqlValue) -> Option<i64> {
    match value {
        SqlValue::Integer(number) => Some(number),
        _ => None,
    }
}
