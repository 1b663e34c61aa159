//! The calls that were made inside a call of a run. They are of use until the outer call is over, and go with the write that says so.
//!
//! A run that has ended takes none any more and leaves none: so what a call writes after nobody waits for it stays no longer than the run.

use std::collections::HashMap;

use rusqlite::Connection;

use potok_dsl::RunId;

use crate::encode::{ENCODING, EncodedInner, EncodedRun};
use crate::error::StoreError;
use crate::rows::{Hash, InnerCall, InnerCallRow};
use crate::sqlite::read_runs::{PAGE_BYTES, parse};
use crate::sqlite::retire;
use crate::sqlite::sql::{each_row, error, execute, int, query_one, uint};
use crate::values::join;

/// Keeps an inner call of a run that goes on.
pub(crate) fn put(connection: &Connection, write: &EncodedInner) -> Result<(), StoreError> {
    let (run, call, inner) = (write.write.run.bytes(), int(write.write.call), &write.write.inner);
    let recoveries = "SELECT recoveries FROM runs WHERE id = $1 AND finished = 0";
    match query_one(connection, recoveries, &[&run], |row| row.get::<_, i64>(0))? {
        None => return Err(StoreError::Missing(format!("unfinished run {}", write.write.run))),
        Some(0) => {}
        Some(_) => {
            execute(connection, "UPDATE runs SET recoveries = 0 WHERE id = $1", &[&run])?;
        }
    }
    retire::mention(connection, &run, &write.mentions)?;
    for value in &write.values {
        execute(
            connection,
            "INSERT INTO inner_values (run, call, hash, bytes) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &[&run, &call, &value.hash, &&value.bytes[..]],
        )?;
    }
    execute(
        connection,
        "INSERT INTO inner_calls (run, call, number, path, function, digest, began_at, ended_at, failed, encoding, outcome)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (run, call, number) DO UPDATE SET path = excluded.path, function = excluded.function,
            digest = excluded.digest, began_at = excluded.began_at, ended_at = excluded.ended_at,
            failed = excluded.failed, encoding = excluded.encoding, outcome = excluded.outcome",
        &[
            &run,
            &call,
            &int(inner.number),
            &write.write.path,
            &inner.function,
            &inner.digest,
            &inner.began_at,
            &inner.ended_at,
            &i64::from(inner.outcome.is_err()),
            &ENCODING,
            &write.outcome,
        ],
    )?;
    Ok(())
}

/// What goes with the write of a run: what was kept of its calls that are over; everything, when it has ended.
pub(crate) fn close(connection: &Connection, write: &EncodedRun) -> Result<(), StoreError> {
    let run = write.run.bytes();
    if write.finished {
        // One that ends with its first write has made no call that could have been kept.
        if write.expect_seq > 0 && execute(connection, "DELETE FROM inner_calls WHERE run = $1", &[&run])? > 0 {
            execute(connection, "DELETE FROM inner_values WHERE run = $1", &[&run])?;
        }
        return Ok(());
    }
    for call in &write.over {
        let call = int(*call);
        let of_call = "DELETE FROM inner_calls WHERE run = $1 AND call = $2";
        if execute(connection, of_call, &[&run, &call])? > 0 {
            execute(
                connection,
                "DELETE FROM inner_values WHERE run = $1 AND call = $2",
                &[&run, &call],
            )?;
        }
    }
    Ok(())
}

/// Inner calls after a number.
pub(crate) fn page(
    connection: &Connection,
    run: RunId,
    call: u64,
    after: u64,
    limit: usize,
) -> Result<Vec<InnerCall>, StoreError> {
    let (run, call) = (run.bytes(), int(call));
    let (mut page, mut cache, mut taken) = (Vec::new(), HashMap::new(), 0);
    let sql = "SELECT number, function, digest, began_at, ended_at, failed, encoding, outcome FROM inner_calls
               WHERE run = $1 AND call = $2 AND number > $3 ORDER BY number LIMIT $4";
    each_row(
        connection,
        sql,
        &[&run, &call, &int(after), &int(limit as u64)],
        |row| {
            let encoding: i64 = row.get(6).map_err(error)?;
            if encoding != ENCODING {
                return Err(StoreError::Corrupt(format!(
                    "an inner call has the unknown encoding {encoding}"
                )));
            }
            let stored: Vec<u8> = row.get(7).map_err(error)?;
            let mut outcome = parse("an inner call", &stored)?;
            taken += stored.len();
            join(&mut outcome, &mut cache, &mut |hash: &Hash| {
                let sql = "SELECT bytes FROM inner_values WHERE run = $1 AND call = $2 AND hash = $3";
                let bytes: Option<Vec<u8>> = query_one(connection, sql, &[&run, &call, hash], |row| row.get(0))?;
                taken += bytes.as_ref().map_or(0, Vec::len);
                Ok(bytes)
            })?;
            let failed: i64 = row.get(5).map_err(error)?;
            page.push(InnerCall {
                number: uint(row.get(0).map_err(error)?),
                function: row.get(1).map_err(error)?,
                digest: row.get(2).map_err(error)?,
                began_at: row.get(3).map_err(error)?,
                ended_at: row.get(4).map_err(error)?,
                outcome: if failed == 0 { Ok(outcome) } else { Err(outcome) },
            });
            Ok(taken < PAGE_BYTES)
        },
    )?;
    Ok(page)
}

/// The newest inner calls of a run, in order. Of what they gave only problems are read; a large part of one stays a reference.
pub(crate) fn newest(connection: &Connection, run: RunId, limit: usize) -> Result<Vec<InnerCallRow>, StoreError> {
    let mut rows = Vec::new();
    let sql = "SELECT call, path, number, function, began_at, ended_at, CASE WHEN failed = 1 THEN outcome END
               FROM inner_calls WHERE run = $1 ORDER BY call DESC, number DESC LIMIT $2";
    each_row(connection, sql, &[&run.bytes(), &int(limit as u64)], |row| {
        let problem: Option<Vec<u8>> = row.get(6).map_err(error)?;
        rows.push(InnerCallRow {
            call: uint(row.get(0).map_err(error)?),
            path: row.get(1).map_err(error)?,
            number: uint(row.get(2).map_err(error)?),
            function: row.get(3).map_err(error)?,
            began_at: row.get(4).map_err(error)?,
            ended_at: row.get(5).map_err(error)?,
            error: problem.map(|problem| parse("an inner call", &problem)).transpose()?,
        });
        Ok(true)
    })?;
    rows.reverse();
    Ok(rows)
}
