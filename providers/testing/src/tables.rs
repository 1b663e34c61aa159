//! Tables in memory, on SQLite, that can fail at any write.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use potok_wasm::{Migration, Param, Row, Statement, TableError, Tables};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error};
use sha2::{Digest, Sha256};

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// Nothing is written, and the caller is told so.
    Refused,
    /// It is written, but the caller is told that the store is not to be had.
    AnswerLost,
    /// It is written, but the caller is never told.
    NoAnswer,
    /// Nothing is written, and the caller is never told.
    Lost,
}

type Script = dyn Fn(&[Statement]) -> Fate + Send + Sync;

/// Tables in memory.
pub struct MemoryTables {
    connection: Mutex<Connection>,
    blobs: Mutex<HashMap<String, Arc<Vec<u8>>>>,
    blob_reads: Mutex<u64>,
    script: Mutex<Box<Script>>,
}

impl fmt::Debug for MemoryTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTables").finish_non_exhaustive()
    }
}

impl MemoryTables {
    /// Tables as they are after the migrations.
    ///
    /// # Panics
    /// When a migration is not accepted.
    #[must_use]
    pub fn new(migrations: &[Migration]) -> Arc<Self> {
        let connection = Connection::open_in_memory().unwrap_or_else(|e| panic!("SQLite in memory: {e}"));
        for migration in migrations {
            connection
                .execute_batch(migration.sql)
                .unwrap_or_else(|e| panic!("migration {}/{}: {e}", migration.owner, migration.version));
        }
        Arc::new(Self {
            connection: Mutex::new(connection),
            blobs: Mutex::default(),
            blob_reads: Mutex::new(0),
            script: Mutex::new(Box::new(|_| Fate::Done)),
        })
    }

    /// From now on the script says what becomes of each write.
    pub fn script(&self, script: impl Fn(&[Statement]) -> Fate + Send + Sync + 'static) {
        *guard(&self.script) = Box::new(script);
    }

    /// How often a blob was asked for.
    #[must_use]
    pub fn blob_reads(&self) -> u64 {
        *guard(&self.blob_reads)
    }

    /// The rows of a query.
    ///
    /// # Panics
    /// When SQLite does not accept it.
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Row> {
        rows(&guard(&self.connection), sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }
}

#[async_trait]
impl Tables for MemoryTables {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, TableError> {
        let fate = guard(&self.script)(&statements);
        if fate == Fate::Refused {
            return Err(TableError::Unavailable("scripted".to_owned()));
        }
        if fate == Fate::Lost {
            return std::future::pending().await;
        }
        let answer =
            transact(&mut guard(&self.connection), &statements).map_err(|e| TableError::Refused(e.to_string()));
        match fate {
            Fate::AnswerLost => Err(TableError::Unavailable("scripted".to_owned())),
            Fate::NoAnswer => std::future::pending().await,
            Fate::Done | Fate::Refused | Fate::Lost => answer,
        }
    }

    async fn read(&self, statement: Statement) -> Result<Vec<Row>, TableError> {
        rows(&guard(&self.connection), statement.sql, &statement.params).map_err(|e| TableError::Refused(e.to_string()))
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<String, TableError> {
        const LIMIT: u64 = 64 << 20;
        if bytes.len() as u64 > LIMIT {
            return Err(TableError::TooLarge {
                size: bytes.len() as u64,
                limit: LIMIT,
            });
        }
        let hash = Sha256::digest(&bytes);
        let id = format!(
            "sha256:{}",
            hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        );
        guard(&self.blobs).insert(id.clone(), Arc::new(bytes));
        Ok(id)
    }

    async fn get_blob(&self, id: &str) -> Result<Option<Arc<Vec<u8>>>, TableError> {
        *guard(&self.blob_reads) += 1;
        Ok(guard(&self.blobs).get(id.strip_prefix("blob:").unwrap_or(id)).cloned())
    }
}

fn guard<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn transact(connection: &mut Connection, statements: &[Statement]) -> Result<Vec<Vec<Row>>, Error> {
    let transaction = connection.transaction()?;
    let answers = statements
        .iter()
        .map(|statement| rows(&transaction, statement.sql, &statement.params))
        .collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(answers)
}

fn rows(connection: &Connection, sql: &str, params: &[Param]) -> Result<Vec<Row>, Error> {
    let mut statement = connection.prepare(sql)?;
    for (number, param) in params.iter().enumerate() {
        // SQLite numbers `$n` by first appearance: go by name.
        if let Some(index) = statement.parameter_index(&format!("${}", number + 1))? {
            statement.raw_bind_parameter(index, value(param))?;
        }
    }
    let columns = statement.column_count();
    let mut found = Vec::new();
    let mut cursor = statement.raw_query();
    while let Some(row) = cursor.next()? {
        found.push(
            (0..columns)
                .map(|column| row.get_ref(column).map(param))
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(found)
}

fn value(param: &Param) -> Value {
    match param {
        Param::Null => Value::Null,
        Param::Integer(integer) => Value::Integer(*integer),
        Param::Real(real) => Value::Real(*real),
        Param::Text(text) => Value::Text(text.clone()),
        Param::Blob(bytes) => Value::Blob(bytes.clone()),
    }
}

fn param(value: ValueRef<'_>) -> Param {
    match value {
        ValueRef::Null => Param::Null,
        ValueRef::Integer(integer) => Param::Integer(integer),
        ValueRef::Real(real) => Param::Real(real),
        ValueRef::Text(text) => Param::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Param::Blob(bytes.to_vec()),
    }
}
