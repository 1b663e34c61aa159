//! Reading rows: every column is what this provider writes there, or the row is refused.

use potok_wasm::{Param, Row, TableError};

/// The columns of a row, one after the other.
pub(crate) struct Reader {
    table: &'static str,
    columns: std::vec::IntoIter<Param>,
}

impl Reader {
    pub(crate) fn new(table: &'static str, row: Row) -> Self {
        let columns = row.into_iter();
        Self { table, columns }
    }

    pub(crate) fn optional_text(&mut self, column: &str) -> Result<Option<String>, TableError> {
        match self.columns.next() {
            Some(Param::Text(text)) => Ok(Some(text)),
            Some(Param::Null) => Ok(None),
            other => Err(self.unexpected(column, &other)),
        }
    }

    pub(crate) fn text(&mut self, column: &str) -> Result<String, TableError> {
        self.optional_text(column)?
            .ok_or_else(|| self.unexpected(column, &None))
    }

    pub(crate) fn word<T>(&mut self, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, TableError> {
        let word = self.text(column)?;
        parse(&word).ok_or_else(|| self.unexpected(column, &Some(Param::Text(word))))
    }

    pub(crate) fn optional_integer(&mut self, column: &str) -> Result<Option<i64>, TableError> {
        match self.columns.next() {
            Some(Param::Integer(integer)) => Ok(Some(integer)),
            Some(Param::Null) => Ok(None),
            other => Err(self.unexpected(column, &other)),
        }
    }

    pub(crate) fn integer(&mut self, column: &str) -> Result<i64, TableError> {
        self.optional_integer(column)?
            .ok_or_else(|| self.unexpected(column, &None))
    }

    pub(crate) fn bytes(&mut self, column: &str) -> Result<Vec<u8>, TableError> {
        match self.columns.next() {
            Some(Param::Blob(bytes)) => Ok(bytes),
            other => Err(self.unexpected(column, &other)),
        }
    }

    fn unexpected(&self, column: &str, value: &Option<Param>) -> TableError {
        let table = self.table;
        TableError::Refused(format!(
            "{table}.{column} holds {value:?}, which no version of this provider writes"
        ))
    }
}

/// The one number that a statement gives; 0 when it gives none.
pub(crate) fn number(rows: &[Row]) -> i64 {
    match rows.first().and_then(|row| row.first()) {
        Some(Param::Integer(number)) => *number,
        _ => 0,
    }
}
