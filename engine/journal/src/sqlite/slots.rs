//! Places of runs in their groups: who has one, who waits, who has to make way.
//!
//! All of it happens in the writer's transactions, where everything has an order: a run takes a place or waits for one with its first write, and
//! gives it up with its last, which hands it to the oldest that waits. The word of it goes through the outbox, so that it survives a crash.

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::encode::EncodedRun;
use crate::error::StoreError;
use crate::sqlite::outbox;
use crate::sqlite::sql::{execute, query, query_one, uint};
use crate::write::{ADMITTED, Conflict, MOST_WAITING, Message, REPLACED, Slot};

/// What becomes of places with the write of a run; what is said to whom.
pub(crate) fn of_run(connection: &Connection, write: &EncodedRun) -> Result<Vec<Message>, StoreError> {
    let said = match &write.slot {
        _ if write.finished => leave(connection, write.run)?,
        Some(slot) if write.expect_seq == 0 => take(connection, write.run, slot)?,
        _ => Vec::new(),
    };
    outbox::send(connection, write.run, &said)?;
    Ok(said)
}

/// A run takes a place, or waits for one.
fn take(connection: &Connection, run: RunId, slot: &Slot) -> Result<Vec<Message>, StoreError> {
    let Slot { group, limit, conflict } = slot;
    let waiting = waiting(connection, group)?;
    let free = waiting == 0 && holders(connection, group)? < u64::from(*limit);
    if !free && *conflict == Conflict::Reject {
        return Err(StoreError::Occupied {
            holder: oldest(connection, group)?.unwrap_or(run),
        });
    }
    if !free && waiting >= MOST_WAITING {
        return Err(StoreError::Crowded { waiting });
    }
    execute(
        connection,
        "INSERT INTO slots (run, pool, number, places, holds, leaves)
         VALUES ($1, $2, (SELECT COALESCE(MAX(number), 0) + 1 FROM slots WHERE pool = $2), $3, $4, 0)",
        &[&run.bytes(), group, &i64::from(*limit), &i64::from(free)],
    )?;
    let mut said = Vec::new();
    if free {
        said.push(say(run, ADMITTED));
    }
    if *conflict == Conflict::Replace {
        for old in surplus(connection, group, *limit)? {
            execute(
                connection,
                "UPDATE slots SET leaves = 1 WHERE run = $1",
                &[&old.bytes()],
            )?;
            said.push(say(old, REPLACED));
        }
    }
    Ok(said)
}

/// A run has ended: its place goes to the oldest that waits.
fn leave(connection: &Connection, run: RunId) -> Result<Vec<Message>, StoreError> {
    let group = "SELECT pool FROM slots WHERE run = $1";
    let Some(group) = query_one(connection, group, &[&run.bytes()], |row| row.get::<_, String>(0))? else {
        return Ok(Vec::new());
    };
    execute(connection, "DELETE FROM slots WHERE run = $1", &[&run.bytes()])?;
    let mut said = Vec::new();
    let mut held = holders(connection, &group)?;
    while let Some((next, places)) = next(connection, &group)?
        && held < places
    {
        execute(
            connection,
            "UPDATE slots SET holds = 1 WHERE run = $1",
            &[&next.bytes()],
        )?;
        said.push(say(next, ADMITTED));
        held += 1;
    }
    Ok(said)
}

fn say(run: RunId, word: &str) -> Message {
    Message {
        run,
        word: word.to_owned(),
    }
}

fn holders(connection: &Connection, group: &str) -> Result<u64, StoreError> {
    count(
        connection,
        "SELECT COUNT(*) FROM slots WHERE pool = $1 AND holds = 1",
        group,
    )
}

/// How many wait; those that have to make way wait for nothing.
fn waiting(connection: &Connection, group: &str) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM slots WHERE pool = $1 AND holds = 0 AND leaves = 0";
    count(connection, sql, group)
}

fn count(connection: &Connection, sql: &str, group: &str) -> Result<u64, StoreError> {
    let found = query_one(connection, sql, &[&group], |row| row.get::<_, i64>(0))?;
    Ok(uint(found.unwrap_or(0)))
}

/// The run that has had its place for longest.
fn oldest(connection: &Connection, group: &str) -> Result<Option<RunId>, StoreError> {
    let sql = "SELECT run FROM slots WHERE pool = $1 ORDER BY holds DESC, number LIMIT 1";
    query_one(connection, sql, &[&group], |row| row.get(0).map(RunId::from_bytes))
}

/// The run that has waited for longest, and how many places it finds enough.
fn next(connection: &Connection, group: &str) -> Result<Option<(RunId, u64)>, StoreError> {
    query_one(
        connection,
        "SELECT run, places FROM slots WHERE pool = $1 AND holds = 0 AND leaves = 0 ORDER BY number LIMIT 1",
        &[&group],
        |row| Ok((RunId::from_bytes(row.get(0)?), uint(row.get(1)?))),
    )
}

/// All but the newest, of those that need not make way yet.
fn surplus(connection: &Connection, group: &str, limit: u32) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT run FROM slots WHERE pool = $1 AND leaves = 0 ORDER BY number DESC";
    let runs = query(connection, sql, &[&group], |row| row.get(0).map(RunId::from_bytes))?;
    Ok(runs.into_iter().skip(limit as usize).collect())
}
