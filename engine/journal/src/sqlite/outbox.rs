//! What runs say to each other. A message stays until the run that it is for has heard it, or has ended.
//!
//! A run with a message that it has not heard is due at once, whatever its own row says: so after a crash it is found like any other.

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::error::StoreError;
use crate::sqlite::sql::{execute, query, query_one};
use crate::write::Message;

/// Puts messages down, but for those to runs that have ended.
pub(crate) fn send(connection: &Connection, from: RunId, messages: &[Message]) -> Result<(), StoreError> {
    for Message { run, word } in messages {
        execute(
            connection,
            "INSERT INTO outbox (run, sender, word)
             SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = $1 AND finished = 1)
             ON CONFLICT DO NOTHING",
            &[&run.bytes(), &from.bytes(), word],
        )?;
        execute(
            connection,
            "UPDATE runs SET wake_at = 0 WHERE id = $1 AND finished = 0",
            &[&run.bytes()],
        )?;
    }
    Ok(())
}

/// A run has heard what these have said to it.
pub(crate) fn hear(connection: &Connection, run: RunId, senders: &[RunId]) -> Result<(), StoreError> {
    for sender in senders {
        execute(
            connection,
            "DELETE FROM outbox WHERE run = $1 AND sender = $2",
            &[&run.bytes(), &sender.bytes()],
        )?;
    }
    Ok(())
}

/// A run hears nothing any more.
pub(crate) fn silence(connection: &Connection, run: RunId) -> Result<(), StoreError> {
    execute(connection, "DELETE FROM outbox WHERE run = $1", &[&run.bytes()])?;
    Ok(())
}

/// Whether there is something that a run has not heard.
pub(crate) fn waits(connection: &Connection, run: RunId) -> Result<bool, StoreError> {
    let found = "SELECT EXISTS (SELECT 1 FROM outbox WHERE run = $1)";
    let found = query_one(connection, found, &[&run.bytes()], |row| row.get::<_, i64>(0))?;
    Ok(found.is_some_and(|found| found != 0))
}

/// What a run has not heard, each with its sender.
pub(crate) fn messages(connection: &Connection, run: RunId) -> Result<Vec<Message>, StoreError> {
    let sql = "SELECT sender, word FROM outbox WHERE run = $1 ORDER BY sender, word";
    query(connection, sql, &[&run.bytes()], |row| {
        Ok(Message {
            run: RunId::from_bytes(row.get(0)?),
            word: row.get(1)?,
        })
    })
}
