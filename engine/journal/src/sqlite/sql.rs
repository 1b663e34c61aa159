//! Statements on a connection: prepared once, parameters by number, errors told apart.

use rusqlite::types::{ToSql, ToSqlOutput, Value as Cell, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, Row};

use crate::error::StoreError;
use crate::rows::SqlValue;

/// How the failure for want of space begins.
pub(crate) const DISK_FULL: &str = "the disk is full";

/// Parameters in the order of their numbers.
pub(crate) type Params<'a> = &'a [&'a dyn ToSql];

/// Executes a statement and gives the number of rows that it changed.
pub(crate) fn execute(connection: &Connection, sql: &str, params: Params<'_>) -> Result<usize, StoreError> {
    prepare(connection, sql, params)?.raw_execute().map_err(error)
}

/// The rows of a statement, one after the other, until `each` says that it has enough.
pub(crate) fn each_row<F>(connection: &Connection, sql: &str, params: Params<'_>, mut each: F) -> Result<(), StoreError>
where
    F: FnMut(&Row<'_>) -> Result<bool, StoreError>,
{
    let mut statement = prepare(connection, sql, params)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(error)? {
        if !each(row)? {
            break;
        }
    }
    Ok(())
}

/// All rows of a statement.
pub(crate) fn query<T, F>(connection: &Connection, sql: &str, params: Params<'_>, read: F) -> Result<Vec<T>, StoreError>
where
    F: Fn(&Row<'_>) -> rusqlite::Result<T>,
{
    let mut found = Vec::new();
    each_row(connection, sql, params, |row| {
        found.push(read(row).map_err(error)?);
        Ok(true)
    })?;
    Ok(found)
}

/// The first row of a statement.
pub(crate) fn query_one<T, F>(
    connection: &Connection,
    sql: &str,
    params: Params<'_>,
    read: F,
) -> Result<Option<T>, StoreError>
where
    F: Fn(&Row<'_>) -> rusqlite::Result<T>,
{
    let mut statement = prepare(connection, sql, params)?;
    let mut rows = statement.raw_query();
    rows.next().map_err(error)?.map(read).transpose().map_err(error)
}

/// A statement with its parameters bound. SQLite takes `$1` for a name and numbers names as they appear, so they are bound by name.
pub(crate) fn prepare<'c>(
    connection: &'c Connection,
    sql: &str,
    params: Params<'_>,
) -> Result<CachedStatement<'c>, StoreError> {
    const NAMES: [&str; 24] = [
        "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16", "$17",
        "$18", "$19", "$20", "$21", "$22", "$23", "$24",
    ];
    let mut statement = connection.prepare_cached(sql).map_err(error)?;
    if statement.parameter_count() != params.len() {
        let (wants, given) = (statement.parameter_count(), params.len());
        return Err(StoreError::Refused(format!(
            "the statement has {wants} parameter(s), {given} were given: {sql}"
        )));
    }
    for (index, param) in params.iter().enumerate() {
        let bound = match NAMES.get(index) {
            Some(name) => statement.raw_bind_parameter(*name, param),
            None => statement.raw_bind_parameter(format!("${}", index + 1).as_str(), param),
        };
        bound.map_err(error)?;
    }
    Ok(statement)
}

/// A number as SQL has it. What is counted here (entries, bytes, ordinals) never comes near the limit.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored by [`int`].
pub(crate) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Cell::Null),
            Self::Integer(number) => ToSqlOutput::Owned(Cell::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Cell::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// A failure of SQLite as the store's own: of the store as a whole, or of the one statement.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    let Some(code) = error.sqlite_error_code() else {
        return match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => StoreError::Corrupt(text),
            _ => StoreError::Refused(text),
        };
    };
    match code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
        ErrorCode::DiskFull => StoreError::Unavailable(format!("{DISK_FULL}; make room on it")),
        ErrorCode::ReadOnly => StoreError::Unavailable(format!("{text}; make the disk and the file writable")),
        ErrorCode::SystemIoFailure => {
            StoreError::Unavailable(format!("{text}; see whether the disk is full, read-only or failing"))
        }
        ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport => StoreError::Unavailable(text),
        _ => StoreError::Refused(text),
    }
}

/// Whether a failure is the store's and not the one write's.
pub(crate) fn is_of_store(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_))
}
