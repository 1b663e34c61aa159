//! Reads of the stream: by filter, and for a run by what it waits for.
//!
//! An event has a key under a shape only if the shape was there when it came. What came before is found by type and source, between
//! where a subscription stands and where its shape began; that is little, for a subscription begins where its run has.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Row};

use potok_dsl::RunId;

use crate::encode::{ENCODING, EncodedPattern};
use crate::error::StoreError;
use crate::events::{EventFilter, EventRow, Found, Shape, SubscriptionRow, Wanted};
use crate::rows::Hash;
use crate::sqlite::read_runs::{Conditions, bytes_of, parse};
use crate::sqlite::sql::{each_row, error, int, query, query_one, uint};
use crate::values::join;

/// A page of events ends when it has taken this many bytes from the store.
const PAGE_BYTES: usize = 8 << 20;

/// The shapes that concern an event.
pub(crate) const SHAPES: &str =
    "SELECT shape, expressions FROM subscription_shapes WHERE type IN ($1, $2) AND source IN ($3, '')";

/// The events with a key that a run has not consumed.
pub(crate) const KEYED: &str = "SELECT sequence FROM event_keys AS k WHERE key = $1 AND sequence > $2
        AND NOT EXISTS (SELECT 1 FROM consumed AS c WHERE c.run = $3 AND c.sequence = k.sequence)
     ORDER BY sequence LIMIT $4";

/// The runs for which something came.
pub(crate) const BEHIND: &str =
    "SELECT DISTINCT run FROM subscriptions WHERE latest > cursor AND run > $1 ORDER BY run LIMIT $2";

/// The number of the newest event.
pub(crate) fn last(connection: &Connection) -> Result<u64, StoreError> {
    let last = "SELECT last FROM event_stream";
    Ok(query_one(connection, last, &[], |row| row.get(0))?.map_or(0, uint))
}

pub(crate) fn shapes(connection: &Connection, kind: &str, source: &str, quiet: bool) -> Result<Vec<Shape>, StoreError> {
    let any_kind = if quiet { kind } else { "" };
    let rows = query(connection, SHAPES, &[&kind, &any_kind, &source], |row| {
        Ok((row.get::<_, Hash>(0)?, row.get::<_, String>(1)?))
    })?;
    rows.into_iter()
        .map(|(hash, expressions)| {
            let expressions = serde_json::from_str(&expressions)
                .map_err(|error| StoreError::Corrupt(format!("a shape's expressions are not a list: {error}")))?;
            Ok(Shape { hash, expressions })
        })
        .collect()
}

/// Whether there is a shape whose type begins so.
pub(crate) fn waits_for(connection: &Connection, beginning: &str) -> Result<bool, StoreError> {
    let first = "SELECT type FROM subscription_shapes WHERE type >= $1 ORDER BY type LIMIT 1";
    let first = query_one(connection, first, &[&beginning], |row| row.get::<_, String>(0))?;
    Ok(first.is_some_and(|kind| kind.starts_with(beginning)))
}

pub(crate) fn events(
    connection: &Connection,
    filter: &EventFilter,
    after: u64,
    limit: usize,
) -> Result<Vec<EventRow>, StoreError> {
    let mut list = Conditions::default();
    list.add("sequence >", Some(int(after)));
    list.one_of("type", &filter.kinds);
    list.one_of("source", &filter.sources);
    if filter.kinds.is_empty() && !filter.quiet {
        list.add("quiet =", Some(0));
    }
    let limit = list.param(i64::try_from(limit).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT sequence, received_at, encoding, event FROM events{} ORDER BY sequence LIMIT {limit}",
        list.where_clause()
    );
    let (mut page, mut taken) = (Vec::new(), 0);
    each_row(connection, &sql, &list.params(), |row| {
        let (event, size) = read_event(connection, row)?;
        taken += size;
        page.push(event);
        Ok(taken < PAGE_BYTES)
    })?;
    Ok(page)
}

/// A row of `sequence, received_at, encoding, event`, and how many bytes it is.
fn read_event(connection: &Connection, row: &Row<'_>) -> Result<(EventRow, usize), StoreError> {
    let sequence = uint(row.get(0).map_err(error)?);
    let encoding: i64 = row.get(2).map_err(error)?;
    if encoding != ENCODING {
        return Err(StoreError::Corrupt(format!(
            "event {sequence} has the unknown encoding {encoding}"
        )));
    }
    let bytes: Vec<u8> = row.get(3).map_err(error)?;
    let (mut event, mut size) = (parse("an event", &bytes)?, bytes.len());
    join(&mut event, &mut HashMap::new(), &mut |hash| {
        let bytes = bytes_of(connection, hash)?;
        size += bytes.as_ref().map_or(0, Vec::len);
        Ok(bytes)
    })?;
    let event = EventRow {
        sequence,
        event,
        received_at: row.get(1).map_err(error)?,
    };
    Ok((event, size))
}

pub(crate) fn subscriptions(connection: &Connection, run: RunId) -> Result<Vec<SubscriptionRow>, StoreError> {
    query(
        connection,
        "SELECT subscription, cursor, latest FROM subscriptions WHERE run = $1 ORDER BY subscription",
        &[&run.bytes()],
        |row| {
            let (cursor, latest): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(SubscriptionRow {
                subscription: uint(row.get(0)?),
                cursor: uint(cursor),
                behind: latest > cursor,
            })
        },
    )
}

pub(crate) fn behind(connection: &Connection, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, StoreError> {
    // Ids are compared as bytes, and the empty ones come before all others.
    let after = after.map_or_else(Vec::new, |run| run.bytes().to_vec());
    query(
        connection,
        BEHIND,
        &[&after, &i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| row.get(0).map(RunId::from_bytes),
    )
}

/// Numbers of events, and how far they were looked for.
struct Numbers {
    found: Vec<i64>,
    /// The last one looked at, when there may be more.
    stopped: Option<i64>,
}

impl Numbers {
    fn new(found: Vec<i64>, limit: usize) -> Self {
        let stopped = found.last().copied().filter(|_| found.len() >= limit);
        Self { found, stopped }
    }
}

/// Numbers of up to `limit` events after a cursor that fit a pattern and that the run has not consumed: those with the key, and those
/// from before the shape.
fn fitting(
    connection: &Connection,
    run: [u8; 16],
    pattern: &EncodedPattern,
    cursor: i64,
    limit: usize,
) -> Result<[Numbers; 2], StoreError> {
    let since = "SELECT since FROM subscription_shapes WHERE shape = $1";
    let since = query_one(connection, since, &[&pattern.shape], |row| row.get::<_, i64>(0))?.unwrap_or(i64::MAX);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let keyed = query(
        connection,
        KEYED,
        &[&pattern.key, &cursor.max(since), &run, &most],
        |row| row.get(0),
    )?;
    let mut early = Conditions::default();
    early.add("sequence >", Some(cursor));
    early.add("sequence <=", Some(since));
    early.equal("type", Some(&pattern.kind).filter(|kind| !kind.is_empty()));
    early.equal("source", Some(&pattern.source).filter(|source| !source.is_empty()));
    if pattern.kind.is_empty() {
        early.add("quiet =", Some(0));
    }
    let id = early.param(run);
    let consumed = format!("NOT EXISTS (SELECT 1 FROM consumed AS c WHERE c.run = {id} AND c.sequence = e.sequence)");
    early.texts.push(consumed);
    let most = early.param(most);
    let sql = format!(
        "SELECT sequence FROM events AS e{} ORDER BY sequence LIMIT {most}",
        early.where_clause()
    );
    let early = query(connection, &sql, &early.params(), |row| row.get(0))?;
    Ok([Numbers::new(keyed, limit), Numbers::new(early, limit)])
}

/// Whether anything after a cursor may fit a pattern and was not consumed by the run.
pub(crate) fn any(
    connection: &Connection,
    run: [u8; 16],
    pattern: &EncodedPattern,
    cursor: i64,
) -> Result<bool, StoreError> {
    let parts = fitting(connection, run, pattern, cursor, 1)?;
    Ok(parts.iter().any(|part| !part.found.is_empty()))
}

pub(crate) fn look(connection: &Connection, run: RunId, wanted: &[Wanted], limit: usize) -> Result<Found, StoreError> {
    let limit = limit.max(1);
    let id = run.bytes();
    let begun = "SELECT events_after FROM runs WHERE id = $1";
    let begun = query_one(connection, begun, &[&id], |row| row.get::<_, i64>(0))?.unwrap_or(0);
    let (mut numbers, mut upto, mut more) = (BTreeSet::new(), int(last(connection)?), false);
    for want in wanted {
        let cursor = want.cursor.map_or(begun, int);
        for pattern in &want.patterns {
            for part in fitting(connection, id, &EncodedPattern::of(pattern), cursor, limit)? {
                more |= part.stopped.is_some();
                upto = upto.min(part.stopped.unwrap_or(i64::MAX));
                numbers.extend(part.found);
            }
        }
    }
    let (mut found, mut taken) = (Found::default(), 0);
    for number in numbers.into_iter().filter(|number| *number <= upto) {
        if taken >= PAGE_BYTES {
            more = true;
            upto = number - 1;
            break;
        }
        let sql = "SELECT sequence, received_at, encoding, event FROM events WHERE sequence = $1";
        each_row(connection, sql, &[&number], |row| {
            let (event, size) = read_event(connection, row)?;
            taken += size;
            found.events.push((event.sequence, event.event));
            Ok(false)
        })?;
    }
    Ok(Found {
        upto: uint(upto),
        more,
        ..found
    })
}
