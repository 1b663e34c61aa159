//! Writes of the stream: events that come in, subscriptions that begin and end, what was consumed, and what leaves in the end.
//!
//! An event and the marks of those who may want it are one transaction: after a crash the marks say who is to look.

use std::collections::BTreeSet;

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::encode::{ENCODING, EncodedEvent, EncodedPattern, EncodedRun, EncodedSubscription};
use crate::error::StoreError;
use crate::events::{Nudges, Taken, Trim};
use crate::sqlite::apply::put_value;
use crate::sqlite::read_events::{self, last};
use crate::sqlite::retire;
use crate::sqlite::sql::{execute, int, query, query_one, uint};
use crate::write::Written;

/// Marks who waits for a key.
pub(crate) const MARK: &str = "UPDATE subscriptions SET latest = $2
    WHERE (run, subscription) IN (SELECT run, subscription FROM subscription_keys WHERE key = $1) RETURNING run";

/// Runs that are named at once; the others are found by their marks.
const NUDGES: usize = 1_024;

/// Runs that may want something, each once.
#[derive(Default)]
struct Nudged {
    runs: BTreeSet<[u8; 16]>,
    more: bool,
}

impl Nudged {
    fn add(&mut self, run: [u8; 16]) {
        if self.runs.len() < NUDGES {
            self.runs.insert(run);
        } else {
            self.more |= !self.runs.contains(&run);
        }
    }

    fn done(self) -> Nudges {
        Nudges {
            runs: self.runs.into_iter().map(RunId::from_bytes).collect(),
            more: self.more,
        }
    }
}

/// Takes events in.
pub(crate) fn put(connection: &Connection, events: &[EncodedEvent]) -> Result<Written, StoreError> {
    let mut nudged = Nudged::default();
    let taken = put_each(connection, events, &mut nudged)?;
    Ok(Written::Events {
        taken,
        nudges: nudged.done(),
    })
}

/// What a run's write does to the stream. Its events go before its subscriptions: a run that begins to listen finds them by looking.
pub(crate) fn of_run(connection: &Connection, write: &EncodedRun) -> Result<Nudges, StoreError> {
    let mut nudged = Nudged::default();
    put_each(connection, &write.emits, &mut nudged)?;
    let run = write.run.bytes();
    for sequence in &write.consumed {
        let consumed = "INSERT INTO consumed (run, sequence) VALUES ($1, $2)";
        execute(connection, consumed, &[&run, &int(*sequence)])?;
    }
    if write.finished {
        forget(connection, run)?;
        return Ok(nudged.done());
    }
    for change in &write.subscriptions {
        match change {
            EncodedSubscription::Set {
                subscription,
                patterns,
                cursor,
            } => {
                if set(connection, run, int(*subscription), patterns.as_deref(), *cursor)? {
                    nudged.add(run);
                }
            }
            EncodedSubscription::Close { subscription } => close(connection, run, int(*subscription))?,
        }
    }
    Ok(nudged.done())
}

fn put_each(connection: &Connection, events: &[EncodedEvent], nudged: &mut Nudged) -> Result<Vec<Taken>, StoreError> {
    events.iter().map(|event| put_one(connection, event, nudged)).collect()
}

fn put_one(connection: &Connection, event: &EncodedEvent, nudged: &mut Nudged) -> Result<Taken, StoreError> {
    let row = &event.row;
    let known = "SELECT sequence FROM events WHERE source = $1 AND id = $2";
    let known = query_one(connection, known, &[&row.source, &row.id], |row| row.get::<_, i64>(0))?;
    if let Some(sequence) = known {
        return Ok(Taken {
            sequence: uint(sequence),
            new: false,
        });
    }
    for shape in read_events::shapes(connection, &row.kind, &row.source, row.quiet)? {
        if !row.keys.iter().any(|(known, _)| *known == shape.hash) {
            return Err(StoreError::Stale);
        }
    }
    for value in &event.values {
        put_value(connection, value, true)?;
    }
    let sequence = int(last(connection)? + 1);
    retire::mention(connection, &retire::of_event(sequence), &event.mentions)?;
    execute(connection, "UPDATE event_stream SET last = $1", &[&sequence])?;
    execute(
        connection,
        "INSERT INTO events (sequence, source, id, type, quiet, received_at, encoding, event)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &sequence,
            &row.source,
            &row.id,
            &row.kind,
            &i64::from(row.quiet),
            &row.received_at,
            &ENCODING,
            &event.body,
        ],
    )?;
    for key in row.keys.iter().filter_map(|(_, key)| key.as_ref()) {
        execute(
            connection,
            "INSERT INTO event_keys (key, sequence) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[key, &sequence],
        )?;
        let runs = query(connection, MARK, &[key, &sequence], |row| row.get::<_, [u8; 16]>(0))?;
        runs.into_iter().for_each(|run| nudged.add(run));
    }
    Ok(Taken {
        sequence: uint(sequence),
        new: true,
    })
}

/// Sets a subscription; whether there is something that it may want.
fn set(
    connection: &Connection,
    run: [u8; 16],
    subscription: i64,
    patterns: Option<&[EncodedPattern]>,
    cursor: Option<u64>,
) -> Result<bool, StoreError> {
    // A new one begins where its run has begun.
    execute(
        connection,
        "INSERT INTO subscriptions (run, subscription, cursor, latest)
         SELECT id, $2, events_after, events_after FROM runs WHERE id = $1 ON CONFLICT DO NOTHING",
        &[&run, &subscription],
    )?;
    if let Some(cursor) = cursor {
        execute(
            connection,
            "UPDATE subscriptions SET cursor = $3 WHERE run = $1 AND subscription = $2",
            &[&run, &subscription, &int(cursor)],
        )?;
    }
    if let Some(patterns) = patterns {
        remove_keys(connection, run, subscription)?;
        for pattern in patterns {
            put_pattern(connection, run, subscription, pattern)?;
        }
        let standing = "SELECT cursor FROM subscriptions WHERE run = $1 AND subscription = $2";
        let standing = query_one(connection, standing, &[&run, &subscription], |row| row.get::<_, i64>(0))?;
        let cursor = standing.unwrap_or(0);
        let mut waits = false;
        for pattern in patterns {
            waits = waits || read_events::any(connection, run, pattern, cursor)?;
        }
        let latest = if waits { int(last(connection)?) } else { cursor };
        execute(
            connection,
            "UPDATE subscriptions SET latest = $3 WHERE run = $1 AND subscription = $2",
            &[&run, &subscription, &latest],
        )?;
    }
    let behind = "SELECT 1 FROM subscriptions WHERE run = $1 AND subscription = $2 AND latest > cursor";
    Ok(query_one(connection, behind, &[&run, &subscription], |_| Ok(()))?.is_some())
}

fn put_pattern(
    connection: &Connection,
    run: [u8; 16],
    subscription: i64,
    pattern: &EncodedPattern,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO subscription_shapes (shape, type, source, expressions, since)
         SELECT $1, $2, $3, $4, last FROM event_stream WHERE 1 = 1 ON CONFLICT DO NOTHING",
        &[&pattern.shape, &pattern.kind, &pattern.source, &pattern.expressions],
    )?;
    execute(
        connection,
        "INSERT INTO subscription_keys (key, run, subscription, shape, type, source) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        &[
            &pattern.key,
            &run,
            &subscription,
            &pattern.shape,
            &pattern.kind,
            &pattern.source,
        ],
    )?;
    Ok(())
}

fn close(connection: &Connection, run: [u8; 16], subscription: i64) -> Result<(), StoreError> {
    remove_keys(connection, run, subscription)?;
    execute(
        connection,
        "DELETE FROM subscriptions WHERE run = $1 AND subscription = $2",
        &[&run, &subscription],
    )?;
    Ok(())
}

fn remove_keys(connection: &Connection, run: [u8; 16], subscription: i64) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM subscription_keys WHERE run = $1 AND subscription = $2",
        &[&run, &subscription],
    )?;
    Ok(())
}

/// A run that has ended listens no more.
fn forget(connection: &Connection, run: [u8; 16]) -> Result<(), StoreError> {
    for table in [
        "DELETE FROM subscription_keys WHERE run = $1",
        "DELETE FROM subscriptions WHERE run = $1",
        "DELETE FROM consumed WHERE run = $1",
    ] {
        execute(connection, table, &[&run])?;
    }
    Ok(())
}

/// Lets the oldest events leave, but none that a subscription is marked to look at, and then the shapes that nobody has any more.
pub(crate) fn trim(connection: &Connection, trim: &Trim) -> Result<Written, StoreError> {
    let kept_from = query_one(
        connection,
        "SELECT MIN(cursor) FROM subscriptions WHERE latest > cursor",
        &[],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    let kept_from = kept_from.flatten().map_or(i64::MAX, |cursor| cursor.saturating_add(1));
    let too_many = int(last(connection)?).saturating_sub(int(trim.keep));
    let horizon = query_one(
        connection,
        "SELECT MAX(sequence) FROM (SELECT sequence, received_at FROM events ORDER BY sequence LIMIT $1) AS oldest
         WHERE (received_at < $2 OR sequence <= $3) AND sequence < $4 AND sequence < $5",
        &[
            &i64::try_from(trim.most).unwrap_or(i64::MAX),
            &trim.received_before,
            &too_many,
            &kept_from,
            &int(trim.not_from),
        ],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    let mut left = 0;
    if let Some(horizon) = horizon.flatten() {
        left = execute(connection, "DELETE FROM events WHERE sequence <= $1", &[&horizon])?;
        retire::forget_events(connection, horizon)?;
        execute(connection, "DELETE FROM event_keys WHERE sequence <= $1", &[&horizon])?;
        execute(connection, "DELETE FROM consumed WHERE sequence <= $1", &[&horizon])?;
    }
    execute(
        connection,
        "DELETE FROM subscription_shapes WHERE NOT EXISTS
            (SELECT 1 FROM subscription_keys AS held WHERE held.shape = subscription_shapes.shape)",
        &[],
    )?;
    Ok(Written::Trimmed(left as u64))
}
