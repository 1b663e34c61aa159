//! Writes of runs: the fence, the row, the journal, the timeline, the snapshot.

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::encode::{ENCODING, EncodedRow, EncodedRun, EncodedSnapshot, EncodedTimeline, RowTexts};
use crate::error::StoreError;
use crate::rows::RunRow;
use crate::sqlite::apply::put_value;
use crate::sqlite::inner;
use crate::sqlite::outbox;
use crate::sqlite::retire;
use crate::sqlite::slots;
use crate::sqlite::sql::{execute, int, query, query_one, uint};
use crate::sqlite::write_events;
use crate::write::{RunUpdate, Written};

/// How exactly a row tells when it was written last, in milliseconds.
const UPDATED_EVERY: i64 = 1_000;

/// Reads a [`Standing`].
pub(super) const STANDING: &str = "SELECT finished, status, wake_at, updated_at, recoveries, (SELECT MAX(seq) FROM journal WHERE run = $1),
    EXISTS (SELECT 1 FROM outbox WHERE run = $1), (SELECT MAX(ordinal) FROM timelines WHERE run = $1) FROM runs WHERE id = $1";

/// What stands in the store of a run.
struct Standing {
    finished: bool,
    last_seq: u64,
    status: String,
    wake_at: Option<i64>,
    updated_at: i64,
    recoveries: i64,
    /// Whether it was told something that it has not heard.
    told: bool,
    /// The last row of its timeline.
    last_ordinal: Option<u64>,
}

/// Applies the write of one run.
pub(crate) fn apply(connection: &Connection, write: &EncodedRun) -> Result<Written, StoreError> {
    let run = write.run.bytes();
    outbox::hear(connection, write.run, &write.heard)?;
    let standing = standing(connection, write.run)?;
    let last_ordinal = standing.as_ref().and_then(|standing| standing.last_ordinal);
    match (standing, &write.row) {
        (None, Some(EncodedRow::Open { row, texts })) if write.expect_seq == 0 => open(connection, write, row, texts)?,
        (None, _) if write.expect_seq == 0 => return Err(StoreError::Missing(format!("run {}", write.run))),
        (None, _) => return Err(conflict(write, 0)),
        (Some(standing), _) if standing.last_seq != write.expect_seq => return Err(conflict(write, standing.last_seq)),
        (Some(standing), _) if standing.finished && write.count > 0 => {
            return Err(StoreError::Refused(format!(
                "run {} has ended and takes no more entries",
                write.run
            )));
        }
        (Some(_), Some(EncodedRow::Open { .. })) => {
            return Err(StoreError::Refused(format!(
                "run {} has been opened already",
                write.run
            )));
        }
        (Some(standing), Some(EncodedRow::Update { update, texts })) => {
            change(connection, write, &standing, update, texts)?;
        }
        (Some(_), None) if write.finished => finish(connection, write.run)?,
        (Some(_), None) => {}
    }
    for value in &write.values {
        put_value(connection, value, true)?;
    }
    retire::mention(connection, &run, &write.mentions)?;
    if write.finished {
        outbox::silence(connection, write.run)?;
    }
    inner::close(connection, write)?;
    outbox::send(connection, write.run, &write.messages)?;
    let said = slots::of_run(connection, write)?;
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
        put_timeline(connection, write.run, last_ordinal, timeline)?;
    }
    match &write.snapshot {
        Some(snapshot) => put_snapshot(connection, write.run, last_seq, snapshot)?,
        None if write.finished && write.expect_seq > 0 => remove_snapshot(connection, write.run)?,
        None => {}
    }
    let nudges = write_events::of_run(connection, write)?;
    Ok(Written::Run { last_seq, nudges, said })
}

fn conflict(write: &EncodedRun, found: u64) -> StoreError {
    StoreError::Conflict {
        run: write.run,
        expected: write.expect_seq,
        found,
    }
}

fn standing(connection: &Connection, run: RunId) -> Result<Option<Standing>, StoreError> {
    query_one(connection, STANDING, &[&run.bytes()], |row| {
        Ok(Standing {
            finished: row.get::<_, i64>(0)? != 0,
            status: row.get(1)?,
            wake_at: row.get(2)?,
            updated_at: row.get(3)?,
            recoveries: row.get(4)?,
            last_seq: uint(row.get::<_, Option<i64>>(5)?.unwrap_or(0)),
            told: row.get::<_, i64>(6)? != 0,
            last_ordinal: row.get::<_, Option<i64>>(7)?.map(uint),
        })
    })
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
    // Nobody but its parent can have said something to a run that was not there.
    let told = row.parent.is_some() && outbox::waits(connection, row.id)?;
    let wake_at = if told { Some(0) } else { row.wake_at };
    let wake_at = wake_at.filter(|_| !write.finished);
    execute(
        connection,
        "INSERT INTO runs (id, partition, definition, namespace, name, version, status, finished, input, output, error,
            parent, triggered_by, idempotency_key, wake_at, created_at, started_at, updated_at, ended_at, labels, recoveries,
            origin, origin_path, events_after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
            (SELECT last FROM event_stream))",
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
            &row.origin.map(|origin| origin.bytes()),
            &row.origin_path,
        ],
    )?;
    Ok(())
}

/// Sets what an update brings. Columns with an index are set only when they change: setting them writes the index. Most updates change nothing
/// but the time of the last write, which is set once in a while: it would cost every step the writing of one page more.
fn change(
    connection: &Connection,
    write: &EncodedRun,
    standing: &Standing,
    update: &RunUpdate,
    texts: &RowTexts,
) -> Result<(), StoreError> {
    let wake_at = if standing.told { Some(0) } else { update.wake_at };
    let wake_at = wake_at.filter(|_| !write.finished);
    let finished = standing.finished || write.finished;
    if (finished, &update.status, wake_at) != (standing.finished, &standing.status, standing.wake_at) {
        execute(
            connection,
            "UPDATE runs SET status = $2, finished = $3, wake_at = $4 WHERE id = $1",
            &[&write.run.bytes(), &update.status, &i64::from(finished), &wake_at],
        )?;
    }
    let brings = texts.output.is_some()
        || texts.error.is_some()
        || texts.labels.is_some()
        || update.started_at.is_some()
        || update.ended_at.is_some()
        || update.status != standing.status
        || i64::from(update.recoveries) != standing.recoveries;
    if !brings && !finished && (standing.updated_at..standing.updated_at + UPDATED_EVERY).contains(&update.updated_at) {
        return Ok(());
    }
    execute(
        connection,
        "UPDATE runs SET output = COALESCE($2, output), error = COALESCE($3, error),
            started_at = COALESCE($4, started_at), updated_at = $5, ended_at = COALESCE($6, ended_at),
            labels = COALESCE($7, labels), recoveries = $8
         WHERE id = $1",
        &[
            &write.run.bytes(),
            &texts.output,
            &texts.error,
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
fn put_timeline(
    connection: &Connection,
    run: RunId,
    last: Option<u64>,
    timeline: &EncodedTimeline,
) -> Result<(), StoreError> {
    let first = timeline.first;
    if last.is_some_and(|last| last >= first) {
        return Err(StoreError::Refused(format!(
            "the timeline of run {run} has a row {first} or a later one already"
        )));
    }
    execute(
        connection,
        "INSERT INTO timelines (run, ordinal, first_ordinal, encoding, entries) VALUES ($1, $2, $3, $4, $5)",
        &[
            &run.bytes(),
            &int(timeline.last),
            &int(timeline.first),
            &ENCODING,
            &timeline.entries,
        ],
    )?;
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
    let held: Vec<[u8; 32]> = query(connection, held, &[&id], |row| row.get(0))?;
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
        // One that is there already may be there for another run alone.
        execute(
            connection,
            "INSERT INTO mentions (owner, hash) SELECT $1, $2 WHERE EXISTS (SELECT 1 FROM \"values\" WHERE hash = $2)
             ON CONFLICT DO NOTHING",
            &[&id, &value.hash],
        )?;
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
