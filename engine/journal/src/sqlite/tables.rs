//! Providers' statements on their own tables. That a provider keeps to its own is its good manners; what would harm everyone, such as
//! ending the writer's transaction or changing a setting, is refused by the statement's first word.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};

use crate::error::StoreError;
use crate::rows::{SqlRow, SqlStatement, SqlValue};
use crate::sqlite::sql::{error, prepare};
use crate::write::Written;

/// The longest answer of one statement, in bytes.
const ANSWER_LIMIT: usize = 64 << 20;

/// What providers may ask for in a statement.
const DATA: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "REPLACE"];

/// What migrations may do besides.
const DEFINITION: [&str; 3] = ["CREATE", "ALTER", "DROP"];

/// Executes statements, all or none.
pub(crate) fn write(connection: &Connection, statements: &[SqlStatement]) -> Result<Written, StoreError> {
    let rows = statements.iter().map(|statement| {
        check(statement.sql, &DATA)?;
        let params: Vec<&dyn rusqlite::ToSql> = statement.params.iter().map(|param| param as _).collect();
        rows(prepare(connection, statement.sql, &params)?)
    });
    rows.collect::<Result<_, _>>().map(Written::Rows)
}

/// Executes a statement that changes nothing.
pub(crate) fn read(connection: &Connection, statement: &SqlStatement) -> Result<Vec<SqlRow>, StoreError> {
    check(statement.sql, &DATA)?;
    let params: Vec<&dyn rusqlite::ToSql> = statement.params.iter().map(|param| param as _).collect();
    let prepared = prepare(connection, statement.sql, &params)?;
    if !prepared.readonly() {
        return Err(StoreError::Refused(format!("a read may not write: {}", statement.sql)));
    }
    rows(prepared)
}

/// Whether a migration may execute a statement.
pub(crate) fn check_migration(sql: &str) -> Result<(), StoreError> {
    check(sql, &DATA).or_else(|_| check(sql, &DEFINITION))
}

fn check(sql: &str, allowed: &[&str]) -> Result<(), StoreError> {
    let word = first_word(sql);
    if allowed.iter().any(|allowed| word.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "a statement may not begin with '{word}': {sql}"
    )))
}

/// The first word of a statement, after space and comments.
fn first_word(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
        rest = after.trim_start();
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    &rest[..end]
}

fn rows(mut statement: CachedStatement<'_>) -> Result<Vec<SqlRow>, StoreError> {
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let (mut answer, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(error)? {
        let mut cells = Vec::with_capacity(columns);
        for column in 0..columns {
            let cell = cell(row.get_ref(column).map_err(error)?)?;
            size += cell_size(&cell);
            cells.push(cell);
        }
        if size > ANSWER_LIMIT {
            return Err(StoreError::Refused(format!(
                "the answer is over {ANSWER_LIMIT} bytes; ask for less at once"
            )));
        }
        answer.push(cells);
    }
    Ok(answer)
}

fn cell(value: ValueRef<'_>) -> Result<SqlValue, StoreError> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text)
                .map_err(|error| StoreError::Corrupt(format!("a text is not UTF-8: {error}")))?;
            SqlValue::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    })
}

fn cell_size(cell: &SqlValue) -> usize {
    size_of::<SqlValue>()
        + match cell {
            SqlValue::Text(text) => text.len(),
            SqlValue::Blob(bytes) => bytes.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statements_on_data_pass() {
        for good in [
            "SELECT 1",
            " \n-- why\nselect 1",
            "/* a */ /* b */ WITH x AS (SELECT 1) SELECT 1",
            "insert into t values (1)",
        ] {
            assert!(check(good, &DATA).is_ok(), "{good}");
        }
        for bad in [
            "PRAGMA synchronous=OFF",
            "ATTACH 'x' AS y",
            "COMMIT",
            "rollback",
            "SAVEPOINT w",
            "",
            "-- only",
            "EXPLAIN SELECT 1",
            "(SELECT 1)",
            "VACUUM",
            "CREATE TABLE t (a)",
        ] {
            assert!(check(bad, &DATA).is_err(), "{bad}");
        }
        assert!(
            check_migration("CREATE TABLE t (a BIGINT)").is_ok() && check_migration("PRAGMA user_version = 1").is_err()
        );
    }
}
