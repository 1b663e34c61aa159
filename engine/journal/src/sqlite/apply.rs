//! One write inside the writer's transaction: runs here, what is catalogued and providers' tables in the rooms beside.

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::encode::{ENCODING, Encoded, EncodedRow, EncodedRun, EncodedSnapshot, EncodedTimeline, RowTexts};
use crate::error::StoreError;
use crate::rows::{RunRow, StoredValue};
use crate::sqlite::sql::{execute, int, query_one, uint};
use crate::sqlite::{catalog, migrate, tables};
use crate::write::{RunUpdate, Written};

/// Applies a write. Its caller has set a savepoint and takes back what a failed write leaves.
pub(crate) fn apply(connection: &Connection, write: &Encoded) -> Result<Written, StoreError> {
    match write {
        Encoded::Run(run) => apply_run(connection, run),
        Encoded::Definition { row, lock } => catalog::put_definition(connection, row, lock),
        Encoded::Activate {
            namespace,
            name,
            version,
        } => catalog::activate(connection, namespace, name, version.as_deref()),
        Encoded::RemoveDefinition { hash } => catalog::remove_definition(connection, hash),
        Encoded::Plugin { row, grants, bytes } => catalog::put_plugin(connection, row, grants, bytes),
        Encoded::RemovePlugin { hash } => catalog::remove_plugin(connection, hash),
        Encoded::Trigger { row, state } => catalog::put_trigger(connection, row, state),
        Encoded::RemoveTriggers { definition } => catalog::remove_triggers(connection, definition),
        Encoded::Value(value) => put_value(connection, value).map(|()| Written::Value { hash: value.hash }),
        Encoded::Blob {
            value,
            name,
            media_type,
            created_at,
        } => {
            put_value(connection, value)?;
            catalog::put_blob(connection, value, name.as_deref(), media_type.as_deref(), *created_at)
        }
        Encoded::Tables(statements) => tables::write(connection, statements),
        Encoded::Migration(migration) => migrate::apply(connection, migration).map(|()| Written::Done),
        Encoded::All(writes) => writes
            .iter()
            .map(|write| apply(connection, write))
            .collect::<Result<_, _>>()
            .map(Written::All),
        #[cfg(test)]
        Encoded::Panic => panic!("a write that panics"),
    }
}

/// What stands in the store of a run.
struct Standing {
    finished: bool,
    last_seq: u64,
}

fn apply_run(connection: &Connection, write: &EncodedRun) -> Result<Written, StoreError> {
    let run = write.run.bytes();
    match (standing(connection, write.run)?, &write.row) {
        (None, Some(EncodedRow::Open { row, texts })) if write.expect_seq == 0 => {
            open(connection, write, row, texts)?;
        }
        (None, _) if write.expect_seq == 0 => return Err(StoreError::Missing(format!("run {}", write.run))),
        (standing, row) => {
            let found = standing.as_ref().map_or(0, |standing| standing.last_seq);
            if found != write.expect_seq {
                return Err(StoreError::Conflict {
                    run: write.run,
                    expected: write.expect_seq,
                    found,
                });
            }
            if standing.is_some_and(|standing| standing.finished) && write.count > 0 {
                return Err(StoreError::Refused(format!(
                    "run {} has ended and takes no more entries",
                    write.run
                )));
            }
            match row {
                Some(EncodedRow::Update { update, texts }) => change(connection, write, update, texts)?,
                Some(EncodedRow::Open { .. }) => {
                    return Err(StoreError::Refused(format!(
                        "run {} has been opened already",
                        write.run
                    )));
                }
                None if write.finished => finish(connection, write.run)?,
                None => {}
            }
        }
    }
    for value in &write.values {
        put_value(connection, value)?;
    }
    let last_seq = write.expect_seq + write.count;
    if write.count > 0 {
        execute(
            connection,
            "INSERT INTO journal (run, seq, first_seq, encoding, events) VALUES ($1, $2, $3, $4, $5)",
            &[
                &run,
                &int(last_seq),
                &int(write.expect_seq + 1),
                &ENCODING,
                &write.events,
            ],
        )?;
    }
    if let Some(timeline) = &write.timeline {
        put_timeline(connection, write.run, timeline)?;
    }
    match &write.snapshot {
        Some(snapshot) => put_snapshot(connection, write.run, last_seq, snapshot)?,
        None if write.finished && write.expect_seq > 0 => remove_snapshot(connection, write.run)?,
        None => {}
    }
    Ok(Written::Run { last_seq })
}

fn standing(connection: &Connection, run: RunId) -> Result<Option<Standing>, StoreError> {
    query_one(
        connection,
        "SELECT finished, (SELECT MAX(seq) FROM journal WHERE run = $1) FROM runs WHERE id = $1",
        &[&run.bytes()],
        |row| {
            let last: Option<i64> = row.get(1)?;
            Ok(Standing {
                finished: row.get::<_, i64>(0)? != 0,
                last_seq: uint(last.unwrap_or(0)),
            })
        },
    )
}

fn open(connection: &Connection, write: &EncodedRun, row: &RunRow, texts: &RowTexts) -> Result<(), StoreError> {
    if row.id != write.run {
        return Err(StoreError::Refused(format!(
            "the row of run {} does not belong to run {}",
            row.id, write.run
        )));
    }
    if let Some(key) = &row.idempotency_key {
        let same_key = "SELECT id FROM runs WHERE namespace = $1 AND name = $2 AND idempotency_key = $3";
        let found = query_one(connection, same_key, &[&row.namespace, &row.name, key], |row| {
            row.get::<_, [u8; 16]>(0)
        })?;
        if let Some(id) = found {
            return Err(StoreError::Duplicate(RunId::from_bytes(id)));
        }
    }
    let id = row.id.bytes();
    let partition = i64::from(id[15]);
    let wake_at = row.wake_at.filter(|_| !write.finished);
    execute(
        connection,
        "INSERT INTO runs (id, partition, definition, namespace, name, version, status, finished, input, output, error,
            parent, triggered_by, idempotency_key, wake_at, created_at, started_at, updated_at, ended_at, labels, recoveries)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
        &[
            &id,
            &partition,
            &row.definition,
            &row.namespace,
            &row.name,
            &row.version,
            &row.status,
            &i64::from(write.finished),
            &texts.input,
            &texts.output,
            &texts.error,
            &row.parent.map(|parent| parent.bytes()),
            &row.trigger,
            &row.idempotency_key,
            &wake_at,
            &row.created_at,
            &row.started_at,
            &row.updated_at,
            &row.ended_at,
            &texts.labels,
            &i64::from(row.recoveries),
        ],
    )?;
    Ok(())
}

fn change(connection: &Connection, write: &EncodedRun, update: &RunUpdate, texts: &RowTexts) -> Result<(), StoreError> {
    let wake_at = update.wake_at.filter(|_| !write.finished);
    execute(
        connection,
        "UPDATE runs SET status = $2, finished = CASE WHEN $3 = 1 THEN 1 ELSE finished END,
            output = COALESCE($4, output), error = COALESCE($5, error), wake_at = $6,
            started_at = COALESCE($7, started_at), updated_at = $8, ended_at = COALESCE($9, ended_at),
            labels = COALESCE($10, labels), recoveries = $11
         WHERE id = $1",
        &[
            &write.run.bytes(),
            &update.status,
            &i64::from(write.finished),
            &texts.output,
            &texts.error,
            &wake_at,
            &update.started_at,
            &update.updated_at,
            &update.ended_at,
            &texts.labels,
            &i64::from(update.recoveries),
        ],
    )?;
    Ok(())
}

fn finish(connection: &Connection, run: RunId) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE runs SET finished = 1, wake_at = NULL WHERE id = $1",
        &[&run.bytes()],
    )?;
    Ok(())
}

/// Its ordinals only grow.
fn put_timeline(connection: &Connection, run: RunId, timeline: &EncodedTimeline) -> Result<(), StoreError> {
    let inserted = execute(
        connection,
        "INSERT INTO timelines (run, ordinal, first_ordinal, encoding, entries)
         SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM timelines WHERE run = $1 AND ordinal >= $3)",
        &[
            &run.bytes(),
            &int(timeline.last),
            &int(timeline.first),
            &ENCODING,
            &timeline.entries,
        ],
    )?;
    if inserted == 0 {
        let first = timeline.first;
        return Err(StoreError::Refused(format!(
            "the timeline of run {run} has a row {first} or a later one already"
        )));
    }
    Ok(())
}

/// Values that an entry names stay for good; those that only a snapshot names go with it.
fn put_snapshot(
    connection: &Connection,
    run: RunId,
    last_seq: u64,
    snapshot: &EncodedSnapshot,
) -> Result<(), StoreError> {
    let id = run.bytes();
    let held = "SELECT hash FROM snapshot_values WHERE run = $1";
    let held: Vec<[u8; 32]> = crate::sqlite::sql::query(connection, held, &[&id], |row| row.get(0))?;
    for hash in held
        .iter()
        .filter(|hash| !snapshot.values.iter().any(|value| value.hash == **hash))
    {
        execute(
            connection,
            "DELETE FROM snapshot_values WHERE run = $1 AND hash = $2",
            &[&id, hash],
        )?;
    }
    for value in snapshot.values.iter().filter(|value| !held.contains(&value.hash)) {
        execute(
            connection,
            "INSERT INTO snapshot_values (run, hash, bytes)
             SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM \"values\" WHERE hash = $2)
             ON CONFLICT DO NOTHING",
            &[&id, &value.hash, &&value.bytes[..]],
        )?;
    }
    execute(
        connection,
        "INSERT INTO snapshots (run, seq, encoding, state) VALUES ($1, $2, $3, $4)
         ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, encoding = excluded.encoding, state = excluded.state",
        &[&id, &int(last_seq), &ENCODING, &snapshot.state],
    )?;
    Ok(())
}

fn remove_snapshot(connection: &Connection, run: RunId) -> Result<(), StoreError> {
    execute(connection, "DELETE FROM snapshots WHERE run = $1", &[&run.bytes()])?;
    execute(
        connection,
        "DELETE FROM snapshot_values WHERE run = $1",
        &[&run.bytes()],
    )?;
    Ok(())
}

fn put_value(connection: &Connection, value: &StoredValue) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO \"values\" (hash, size, bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[&value.hash, &int(value.bytes.len() as u64), &&value.bytes[..]],
    )?;
    Ok(())
}
