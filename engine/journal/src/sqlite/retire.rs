//! Runs that leave the store, and what nothing mentions any more.
//!
//! Who mentions a value or a blob (a run, an event, a definition, providers' tables) is written down with what mentions it. What was mentioned
//! by something that goes is looked at then: it goes too when nothing else mentions it. A blob stays for a while besides, for whoever has
//! stored it may be about to use it.

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::error::StoreError;
use crate::rows::Hash;
use crate::sqlite::sql::{execute, int, query, query_one};
use crate::write::Written;

/// Who mentions what stands in providers' tables: that stays, for what they do with their rows is not known here.
pub(crate) const TABLES: &[u8] = b"tables";

/// Who an event is, among those who mention values.
pub(crate) fn of_event(sequence: i64) -> Vec<u8> {
    [b"e".as_slice(), &sequence.to_be_bytes()].concat()
}

/// Who a definition is.
pub(crate) fn of_definition(hash: &str) -> Vec<u8> {
    format!("definition {hash}").into_bytes()
}

/// Writes down that someone mentions values.
pub(crate) fn mention(connection: &Connection, owner: &[u8], hashes: &[Hash]) -> Result<(), StoreError> {
    for hash in hashes {
        execute(
            connection,
            "INSERT INTO mentions (owner, hash) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[&owner, hash],
        )?;
    }
    Ok(())
}

/// Someone goes, and up to `most` of its mentions with it; how many that were.
pub(crate) fn forget(connection: &Connection, owner: &[u8], most: usize) -> Result<usize, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mentioned = "SELECT hash FROM mentions WHERE owner = $1 LIMIT $2";
    let hashes: Vec<Hash> = query(connection, mentioned, &[&owner, &most], |row| row.get(0))?;
    for hash in &hashes {
        execute(
            connection,
            "DELETE FROM mentions WHERE owner = $1 AND hash = $2",
            &[&owner, hash],
        )?;
        collect(connection, hash)?;
    }
    Ok(hashes.len())
}

/// The events up to one have left.
pub(crate) fn forget_events(connection: &Connection, upto: i64) -> Result<(), StoreError> {
    let (first, last) = (of_event(0), of_event(upto));
    let owners = "SELECT DISTINCT owner FROM mentions WHERE owner >= $1 AND owner <= $2 AND LENGTH(owner) = 9";
    let owners: Vec<Vec<u8>> = query(connection, owners, &[&first, &last], |row| row.get(0))?;
    for owner in owners {
        forget(connection, &owner, usize::MAX)?;
    }
    Ok(())
}

/// Removes a value that nothing mentions any more, unless it is a blob.
fn collect(connection: &Connection, hash: &Hash) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM \"values\" WHERE hash = $1 AND counted = 1 AND NOT EXISTS (SELECT 1 FROM mentions WHERE hash = $1)
            AND NOT EXISTS (SELECT 1 FROM blobs WHERE hash = $1)",
        &[hash],
    )?;
    Ok(())
}

/// A run is on its way out.
pub(crate) fn retire(connection: &Connection, run: RunId) -> Result<Written, StoreError> {
    let changed = execute(
        connection,
        "UPDATE runs SET leaving = 1, idempotency_key = NULL WHERE id = $1 AND finished = 1 AND NOT EXISTS
            (SELECT 1 FROM runs AS parent WHERE parent.id = runs.parent AND parent.finished = 0)",
        &[&run.bytes()],
    )?;
    if changed == 0 {
        return Err(StoreError::Refused(format!(
            "run {run} stays: it has not ended, or the run that started it has not"
        )));
    }
    Ok(Written::Done)
}

/// Removes rows of runs that are on their way out; the run's own row goes last.
pub(crate) fn sweep(connection: &Connection, most: usize) -> Result<Written, StoreError> {
    let mut removed = 0;
    while removed < most {
        let leaving = "SELECT id FROM runs WHERE leaving = 1 LIMIT 1";
        let Some(run) = query_one(connection, leaving, &[], |row| row.get::<_, [u8; 16]>(0))? else {
            break;
        };
        let mut left = most - removed;
        for (table, number) in [("journal", "seq"), ("timelines", "ordinal")] {
            let gone = remove_first(connection, table, number, run, left)?;
            left -= gone.min(left);
        }
        if left > 0 {
            left -= forget(connection, &run, left)?.min(left);
        }
        if left == 0 {
            removed = most;
            break;
        }
        for rest in [
            "DELETE FROM snapshots WHERE run = $1",
            "DELETE FROM snapshot_values WHERE run = $1",
            "DELETE FROM consumed WHERE run = $1",
            "DELETE FROM runs WHERE id = $1",
        ] {
            execute(connection, rest, &[&run])?;
        }
        removed = most - left + 1;
    }
    Ok(Written::Swept(removed as u64))
}

/// Removes the first rows of a run in a table of numbered rows; how many.
fn remove_first(
    connection: &Connection,
    table: &'static str,
    number: &'static str,
    run: [u8; 16],
    most: usize,
) -> Result<usize, StoreError> {
    let sql = format!(
        "DELETE FROM {table} WHERE run = $1 AND {number} <=
            (SELECT MAX({number}) FROM (SELECT {number} FROM {table} WHERE run = $1 ORDER BY {number} LIMIT $2) AS oldest)"
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    execute(connection, &sql, &[&run, &most])
}

/// Removes blobs that are still mentioned by nothing.
pub(crate) fn sweep_blobs(connection: &Connection, hashes: &[Hash], before: i64) -> Result<Written, StoreError> {
    let mut removed = 0;
    for hash in hashes {
        let gone = execute(
            connection,
            "DELETE FROM blobs WHERE hash = $1 AND kept_at < $2 AND NOT EXISTS (SELECT 1 FROM mentions WHERE hash = $1)
                AND EXISTS (SELECT 1 FROM \"values\" WHERE hash = $1 AND counted = 1)",
            &[hash, &before],
        )?;
        if gone > 0 {
            collect(connection, hash)?;
            removed += 1;
        }
    }
    Ok(Written::Swept(removed))
}

pub(crate) fn retirable(connection: &Connection, before: i64, limit: usize) -> Result<Vec<RunId>, StoreError> {
    query(
        connection,
        "SELECT id FROM runs WHERE finished = 1 AND leaving = 0 AND ended_at < $1 AND NOT EXISTS
            (SELECT 1 FROM runs AS parent WHERE parent.id = runs.parent AND parent.finished = 0)
         ORDER BY ended_at, id LIMIT $2",
        &[&before, &i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| row.get(0).map(RunId::from_bytes),
    )
}

pub(crate) fn oldest_of_newest(connection: &Connection, count: u64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT ended_at FROM runs WHERE finished = 1 AND leaving = 0 AND ended_at IS NOT NULL
        ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET $1";
    let others = int(count.saturating_sub(1));
    query_one(connection, sql, &[&others], |row| row.get(0))
}

pub(crate) fn unmentioned_blobs(connection: &Connection, before: i64, limit: usize) -> Result<Vec<Hash>, StoreError> {
    query(
        connection,
        "SELECT hash FROM blobs WHERE kept_at < $1 AND NOT EXISTS (SELECT 1 FROM mentions WHERE mentions.hash = blobs.hash)
            AND EXISTS (SELECT 1 FROM \"values\" AS stored WHERE stored.hash = blobs.hash AND stored.counted = 1)
         ORDER BY kept_at, hash LIMIT $2",
        &[&before, &i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| row.get(0),
    )
}
