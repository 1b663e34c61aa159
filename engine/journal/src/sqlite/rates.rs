//! Moments that are given out, so that no more than so many lie in any span of time.
//!
//! A new moment lies at least a span after the one that is so many places from the latest. Then whatever else is there or comes, no span holds
//! more. What is over is forgotten with the moments that follow, a few at a time.

use rusqlite::Connection;

use crate::error::StoreError;
use crate::sqlite::sql::{execute, query_one};
use crate::write::Reservation;

/// Gives out a moment; the same to the same key.
pub(crate) fn reserve(connection: &Connection, asked: &Reservation) -> Result<i64, StoreError> {
    let Reservation {
        rate,
        key,
        limit,
        span,
        now,
        earliest,
    } = asked;
    let given = "SELECT moment FROM reservations WHERE rate = $1 AND key = $2";
    if let Some(moment) = query_one(connection, given, &[rate, key], |row| row.get(0))? {
        return Ok(moment);
    }
    let before = query_one(
        connection,
        "SELECT moment FROM reservations WHERE rate = $1 ORDER BY moment DESC LIMIT 1 OFFSET $2",
        &[rate, &i64::from(limit.saturating_sub(1))],
        |row| row.get::<_, i64>(0),
    )?;
    let moment = before.map_or(*earliest, |before| before.saturating_add(*span).max(*earliest));
    forget(connection, *now)?;
    execute(
        connection,
        "INSERT INTO reservations (rate, key, moment, over_at) VALUES ($1, $2, $3, $4)",
        &[rate, key, &moment, &moment.saturating_add(*span)],
    )?;
    Ok(moment)
}

/// Forgets moments that count no more: more at a time than come.
fn forget(connection: &Connection, now: i64) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM reservations WHERE (rate, key) IN
            (SELECT rate, key FROM reservations WHERE over_at <= $1 ORDER BY over_at LIMIT 16)",
        &[&now],
    )?;
    Ok(())
}
