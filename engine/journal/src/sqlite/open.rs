//! Opening a database file: who may, whether it is ours, how it is set up.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;
use crate::sqlite::schema::{MIGRATIONS, MIGRATIONS_TABLE};
use crate::sqlite::{Config, migrate, sql};

/// "POTK": by this SQLite files are told apart (`file` shows it too).
pub(crate) const APPLICATION_ID: i32 = 0x504f_544b;

/// How many prepared statements a connection keeps; more than there are of ours.
const STATEMENTS: usize = 160;

/// Holds a database for this process; given up when it is dropped, or when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let fail = |error: std::io::Error| {
            StoreError::Unavailable(format!(
                "the lock file '{}' cannot be written: {}",
                path.display(),
                told(&error)
            ))
        };
        let mut file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it only makes the message better.
                let _ = (&file).take(20).read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() {
                    String::new()
                } else {
                    format!(" (process {holder})")
                };
                return Err(StoreError::Locked {
                    path: database.display().to_string(),
                    holder,
                });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(fail(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(fail)?;
        writeln!(file, "{}", std::process::id()).map_err(fail)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a process that was forked and has yet to become another program has it open too.
    fn drop(&mut self) {
        // What cannot be given up here is given up with the process.
        let _ = self.file.unlock();
    }
}

/// Creates the directory and the file if need be, for their owner alone. SQLite gives its other files the same permissions.
pub(crate) fn create(database: &Path) -> Result<(), StoreError> {
    let fail = |error: std::io::Error| {
        StoreError::Unavailable(format!("'{}' cannot be written: {}", database.display(), told(&error)))
    };
    if let Some(directory) = database.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory).map_err(fail)?;
    }
    private(OpenOptions::new().write(true).create(true).truncate(false))
        .open(database)
        .map_err(fail)?;
    Ok(())
}

/// What the system says, and what can be done about it.
fn told(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            format!("{error}; make room on the disk")
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            format!("{error}; make the data directory writable, or use another one")
        }
        _ => error.to_string(),
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The writer's connection to a file, its tables up to date.
pub(crate) fn writer(database: &Path, config: &Config) -> Result<Connection, StoreError> {
    let named = |failure: StoreError| named(database, failure);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)
        .map_err(sql::error)
        .map_err(named)?;
    check_application(&connection, database).map_err(named)?;
    let mode: String = pragma(&connection, "PRAGMA journal_mode = WAL").map_err(named)?;
    if mode != "wal" {
        let path = database.display();
        let why = format!(
            "'{path}' cannot have a write-ahead log there (its journal mode stays '{mode}'); is it a network drive?"
        );
        return Err(StoreError::Unavailable(why));
    }
    set_up(connection, config).map_err(named)
}

/// A writer's connection to a database that lives as long as it does.
pub(crate) fn memory(config: &Config) -> Result<Connection, StoreError> {
    set_up(Connection::open_in_memory().map_err(sql::error)?, config)
}

/// A reader's connection.
pub(crate) fn reader(database: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(sql::error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    steady(&connection)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(sql::error)?;
    execute_batch(
        &connection,
        "PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA trusted_schema = OFF",
    )?;
    Ok(connection)
}

/// A reader's connection to a file that was not opened before.
pub(crate) fn reader_of_ours(database: &Path) -> Result<Connection, StoreError> {
    let opened = reader(database).and_then(|connection| {
        check_application(&connection, database)?;
        Ok(connection)
    });
    opened.map_err(|failure| named(database, failure))
}

/// Refuses the database of another program, before anything in it is changed.
fn check_application(connection: &Connection, database: &Path) -> Result<(), StoreError> {
    let id: i32 = pragma(connection, "PRAGMA application_id")?;
    let tables: i64 = pragma(connection, "SELECT COUNT(*) FROM sqlite_schema")?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    Err(StoreError::Foreign {
        path: database.display().to_string(),
    })
}

fn set_up(connection: Connection, config: &Config) -> Result<Connection, StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    steady(&connection)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(sql::error)?;
    // The writer copies the log into the database itself, when nobody waits for it.
    execute_batch(
        &connection,
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 16777216;
         PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
    )?;
    migrate_own(&connection)?;
    if let Some(bytes) = config.max_bytes {
        let page_size: i64 = pragma(&connection, "PRAGMA page_size")?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page_size.max(1);
        let _: i64 = pragma(&connection, &format!("PRAGMA max_page_count = {}", pages.max(1)))?;
    }
    Ok(connection)
}

fn migrate_own(connection: &Connection) -> Result<(), StoreError> {
    // Together, so that no crash leaves a file that has tables and does not say whose.
    let transaction = connection.unchecked_transaction().map_err(sql::error)?;
    execute_batch(
        &transaction,
        &format!("PRAGMA application_id = {APPLICATION_ID}; {MIGRATIONS_TABLE}"),
    )?;
    transaction.commit().map_err(sql::error)?;
    for migration in migrate::pending(connection, &MIGRATIONS)? {
        let transaction = connection.unchecked_transaction().map_err(sql::error)?;
        migrate::apply(&transaction, &migration)?;
        transaction.commit().map_err(sql::error)?;
    }
    Ok(())
}

/// A statement's plan does not depend on its parameters. Else SQLite prepares many a statement again for each set of them, which costs more than
/// they do: every write of a run has one. No table has statistics that a better plan could come from.
fn steady(connection: &Connection) -> Result<(), StoreError> {
    let set = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    set.map(|_| ()).map_err(sql::error)
}

fn execute_batch(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.execute_batch(sql).map_err(sql::error)
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> Result<T, StoreError> {
    connection.query_row(sql, [], |row| row.get(0)).map_err(sql::error)
}

/// A failure with the file that it is about.
fn named(database: &Path, failure: StoreError) -> StoreError {
    let path = database.display();
    match failure {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("'{path}': {why}")),
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("'{path}': {why}")),
        StoreError::Refused(why) => StoreError::Corrupt(format!("'{path}': {why}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_lock_is_given_up_though_a_forked_process_has_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("potok.db");
        let lock = Lock::take(&database).unwrap();
        // As a fork has it.
        let _inherited = lock.file.try_clone().unwrap();
        assert!(matches!(Lock::take(&database), Err(StoreError::Locked { .. })));
        drop(lock);
        Lock::take(&database).unwrap();
    }
}
