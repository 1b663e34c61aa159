//! The floor under everything that is durable: rows written one by one by SQLite alone, on the same file system, in the same run.
//!
//! A busy machine changes every time on it, the floor too. So the ratio to the floor says more than the time.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::STEPS;
use crate::exit::Failure;

/// Bytes of a row: about what a step leaves in the journal.
const ROW: usize = 300;

/// A table of its own beside the store's database.
pub struct Floor {
    connection: Connection,
}

impl Floor {
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(directory.join("floor.db")).map_err(failed)?;
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE steps (id INTEGER PRIMARY KEY, body BLOB)";
        connection.execute_batch(settings).map_err(failed)?;
        Ok(Self { connection })
    }

    /// How long as many commits of one row take as a workflow has steps.
    pub fn measure(&self) -> Result<Duration, Failure> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO steps (body) VALUES (?1)")
            .map_err(failed)?;
        let row = [7_u8; ROW];
        let start = Instant::now();
        for _ in 0..STEPS {
            insert.execute([row.as_slice()]).map_err(failed)?;
        }
        Ok(start.elapsed())
    }
}

fn failed(error: rusqlite::Error) -> Failure {
    Failure::Other(format!("the floor cannot be measured: {error}"))
}
