//! What stands behind a capability: the contract between the host and the crates under `providers/`.
//!
//! A provider speaks JSON, so that it can live in this process or on another node. It keeps its rows in tables of its
//! own, written through the engine's one writer ([`Tables`]), so that an intent it records is durable when the write
//! returns.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use potok_dsl::{Problem, RunId, TaskPath, Timestamp};
use serde_json::Value;

/// What a provider knows of the call it serves. Cheap to clone.
#[derive(Clone)]
pub struct CallContext {
    /// The run that the call belongs to; `None` for a call outside any run (a test, a check at install).
    pub run: Option<RunId>,
    /// The execution of the task that made the call.
    pub path: TaskPath,
    /// The same for every attempt of the call; see [`CallContext::call_key`] for the single capability calls inside it.
    pub idempotency_key: Arc<str>,
    /// The number of this capability call within its plugin call, from 1.
    pub sequence: u32,
    /// When the answer is no longer of use.
    pub deadline: Instant,
    /// The engine's time when the call was started. Within a guest its clock begins there.
    pub now: Timestamp,
    /// Whether the arguments hold secrets: then nothing that the plugin writes is logged.
    pub confidential: bool,
    /// The provider's own tables.
    pub tables: Arc<dyn Tables>,
}

impl CallContext {
    /// The idempotency key of this capability call: the same for every attempt of the plugin call it is in, another for each
    /// capability call in it.
    #[must_use]
    pub fn call_key(&self) -> String {
        format!("{}/{}", self.idempotency_key, self.sequence)
    }
}

/// The host code behind a capability.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The WIT interfaces it serves, without version: `potok:ai/chat`.
    fn interfaces(&self) -> &[&'static str];

    /// Whether plugins that use it stay pure: true only for what is content-addressed and changes nothing that anyone could see.
    fn pure(&self) -> bool {
        false
    }

    /// This provider held to a narrower grant: for `telegram:accounts/*` it is asked for `accounts/*`. `None` when it knows no such
    /// narrowing; then the grant is refused, never widened.
    fn narrowed(self: Arc<Self>, to: &str) -> Option<Arc<dyn Provider>> {
        let _ = to;
        None
    }

    /// The tables that it needs, in the order in which they came to be; applied before the first call.
    fn migrations(&self) -> &[Migration] {
        &[]
    }

    /// Serves one call. `interface` is one of [`Provider::interfaces`], `function` the WIT function in kebab-case, `args` an object of
    /// its parameters in snake_case. The value is the function's result, or the `ok` side of a `result<t, fault>`.
    ///
    /// # Errors
    /// A [`Problem`]; it reaches the plugin as the `err` side where the function returns one, else it is the error of the step.
    async fn call(&self, cx: &CallContext, interface: &str, function: &str, args: Value) -> Result<Value, Problem>;
}

/// One step in the history of a provider's tables.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The provider that it belongs to, such as `telegram`.
    pub owner: &'static str,
    /// Its number within the provider, from 1.
    pub version: u32,
    /// SQL statements, separated by semicolons, in the subset that SQLite and PostgreSQL share.
    pub sql: &'static str,
}

/// A statement with its parameters: `$1`, `$2`, … in the text.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text, in the subset that SQLite and PostgreSQL share.
    pub sql: &'static str,
    /// The parameters in order.
    pub params: Vec<Param>,
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A 64-bit float.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}
impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of an answer, in the order of its columns.
pub type Row = Vec<Param>;

/// The tables of providers, and the content-addressed values beside them.
#[async_trait]
pub trait Tables: Send + Sync + 'static {
    /// Executes statements in one transaction through the engine's one writer; durable when it returns. Gives the rows of
    /// each statement (those of a `RETURNING`, else none).
    ///
    /// # Errors
    /// [`TableError`] when a statement is refused (nothing of the transaction stays) or the store is not to be had.
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, TableError>;

    /// Reads rows, of what is durable.
    ///
    /// # Errors
    /// As [`Tables::write`].
    async fn read(&self, statement: Statement) -> Result<Vec<Row>, TableError>;

    /// Stores bytes by their content and gives their id, `sha256:…`. The same bytes have the same id.
    ///
    /// # Errors
    /// When they are over the ceiling or the store is not to be had.
    async fn put_blob(&self, bytes: Vec<u8>) -> Result<String, TableError>;

    /// The bytes of a blob by its id (`blob:sha256:…` or `sha256:…`), or `None`.
    ///
    /// # Errors
    /// When the store is not to be had.
    async fn get_blob(&self, id: &str) -> Result<Option<Arc<Vec<u8>>>, TableError>;
}

/// Why a table could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A constraint or the statement's text stood against it; nothing was written.
    #[error("the store refused the statement: {0}")]
    Refused(String),
    /// The value is larger than the store takes.
    #[error("a value of {size} bytes is over the ceiling of {limit}")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The ceiling.
        limit: u64,
    },
    /// The store is not to be had.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

/// Tables for where there are none: everything is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unavailable;

#[async_trait]
impl Tables for Unavailable {
    async fn write(&self, _: Vec<Statement>) -> Result<Vec<Vec<Row>>, TableError> {
        Err(TableError::Unavailable("this call has no store".to_owned()))
    }
    async fn read(&self, _: Statement) -> Result<Vec<Row>, TableError> {
        Err(TableError::Unavailable("this call has no store".to_owned()))
    }
    async fn put_blob(&self, _: Vec<u8>) -> Result<String, TableError> {
        Err(TableError::Unavailable("this call has no store".to_owned()))
    }
    async fn get_blob(&self, _: &str) -> Result<Option<Arc<Vec<u8>>>, TableError> {
        Err(TableError::Unavailable("this call has no store".to_owned()))
    }
}
