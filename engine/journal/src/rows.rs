//! What is read from a store, and what rows are written: plain data, named as in the tables.
//!
//! Times are milliseconds since 1970-01-01T00:00:00Z. Nothing here is interpreted: a status is text, a definition's lock is JSON.

use std::sync::Arc;

use potok_dsl::{RunId, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::SubscriptionRow;
use crate::write::Message;

/// A run as people and lists see it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// The hash of its definition.
    pub definition: String,
    /// The workflow's namespace.
    pub namespace: String,
    /// The workflow's name.
    pub name: String,
    /// The workflow's version.
    pub version: String,
    /// One of the language's statuses.
    pub status: String,
    /// The input, as given.
    pub input: Value,
    /// The output, once it has completed.
    pub output: Option<Value>,
    /// The problem, once it has faulted.
    pub error: Option<Value>,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// The run that it was made from.
    pub origin: Option<RunId>,
    /// The execution of a task in that run that it begins with.
    pub origin_path: Option<String>,
    /// The trigger that started it.
    pub trigger: Option<String>,
    /// Unique for each workflow (namespace and name).
    pub idempotency_key: Option<String>,
    /// When a node must look at it again, at the latest.
    pub wake_at: Option<i64>,
    /// When it was accepted.
    pub created_at: i64,
    /// When its first task started.
    pub started_at: Option<i64>,
    /// When it was last written.
    pub updated_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Labels for people.
    pub labels: Value,
    /// How often it was recovered without progress.
    pub recoveries: u32,
}

/// A run as a node needs it to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRun {
    /// Its row.
    pub row: RunRow,
    /// Whether it has ended.
    pub finished: bool,
    /// The newest snapshot, and the number of the last entry in it.
    pub snapshot: Option<(u64, Value)>,
    /// The entries after the snapshot, or all when there is none, in order.
    pub entries_after_snapshot: Vec<Value>,
    /// The number of the last durable entry; the `expect_seq` of the next write.
    pub last_seq: u64,
    /// The ordinal of the last row of its timeline.
    pub last_ordinal: Option<u64>,
    /// What it was told and has not heard; `run` is who told it.
    pub messages: Vec<Message>,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionRow>,
}

/// Which runs are wanted: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// Of this version.
    pub version: Option<String>,
    /// In one of these statuses; any, when empty.
    pub status: Vec<String>,
    /// Started by this trigger.
    pub trigger: Option<String>,
    /// Started by this run.
    pub parent: Option<RunId>,
    /// Made from this run.
    pub origin: Option<RunId>,
    /// Accepted at this time or later.
    pub created_from: Option<i64>,
    /// Accepted before this time.
    pub created_before: Option<i64>,
    /// Only those from which no run was made.
    pub alone: bool,
}

/// Where a page of runs ended: give it back to get the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCursor {
    /// When the last run of the page was accepted.
    pub created_at: i64,
    /// Its id.
    pub id: RunId,
}

/// A page of runs, newest first. Inputs and outputs over 4 KiB stay references (`{"$potok.value": "<hash>"}`), so that a page is
/// small whatever its runs carry; [`Store::run_row`](crate::Store::run_row) has them whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunRow>,
    /// Where to go on, when there may be more.
    pub next: Option<RunCursor>,
}

/// One line of a run's timeline; a [`Document`](crate::Document) on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineRow<E = Value> {
    /// Its number in the run's timeline.
    pub ordinal: u64,
    /// What happened.
    pub entry: E,
}

/// A call that was made inside a call of a run, and what it gave.
#[derive(Debug, Clone, PartialEq)]
pub struct InnerCall {
    /// Its number within the outer call.
    pub number: u64,
    /// What was called.
    pub function: String,
    /// The SHA-256 of the arguments.
    pub digest: Hash,
    /// When it was made.
    pub began_at: i64,
    /// When it was answered.
    pub ended_at: i64,
    /// What it gave, or the problem.
    pub outcome: Result<Value, Value>,
}

/// An inner call as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct InnerCallRow {
    /// The outer call.
    pub call: u64,
    /// The execution of the task that makes the outer call.
    pub path: String,
    /// Its number within the outer call.
    pub number: u64,
    /// What was called.
    pub function: String,
    /// When it was made.
    pub began_at: i64,
    /// When it was answered.
    pub ended_at: i64,
    /// The problem, if it gave one.
    pub error: Option<Value>,
}

/// A stored definition: a workflow's text and what it was locked to.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionRow {
    /// The hash of text and lock.
    pub hash: String,
    /// Namespace, name and version.
    pub id: WorkflowId,
    /// The text.
    pub source: String,
    /// What steers it: the hashes that its functions and schemas were locked to.
    pub lock: Value,
    /// A draft is known by its hash alone: there may be any number under one id, none is ever active.
    pub draft: bool,
    /// When it was stored.
    pub created_at: i64,
}

/// Which definitions are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DefinitionFilter {
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// Drafts too.
    pub drafts: bool,
}

/// A stored plugin, without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRow {
    /// The hash of its component.
    pub hash: String,
    /// Its package, such as `potok:book`.
    pub package: String,
    /// Its version.
    pub version: String,
    /// What the operator has granted it.
    pub grants: Vec<String>,
    /// The WIT text that came with it.
    pub wit: Option<String>,
    /// When it was installed.
    pub installed_at: i64,
}

/// The state of a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRow {
    /// The hash of the definition that it belongs to.
    pub definition: String,
    /// Its name within the definition.
    pub key: String,
    /// When it fires next.
    pub next_at: Option<i64>,
    /// What it must remember.
    pub state: Value,
}

/// What is known of a blob besides its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct BlobRow {
    /// The SHA-256 of its bytes.
    pub hash: Hash,
    /// A name for people, such as a file's.
    pub name: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// When it was first stored.
    pub created_at: i64,
}

/// A SHA-256.
pub type Hash = [u8; 32];

/// A value that is stored once, by the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// The SHA-256 of the bytes.
    pub hash: Hash,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

impl StoredValue {
    /// The value of some bytes.
    #[must_use]
    pub fn new(bytes: Arc<[u8]>) -> Self {
        Self {
            hash: hash(&bytes),
            bytes,
        }
    }
}

/// The SHA-256 of some bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> Hash {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// A hash as text: 64 hexadecimal digits.
#[must_use]
pub fn hex(hash: &Hash) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    hash.iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// The hash that 64 hexadecimal digits name, or `None` when they are not.
#[must_use]
pub fn parse_hex(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(hash)
}

/// A value in a row of a provider's table.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
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

/// A row of an answer, in the order of its columns.
pub type SqlRow = Vec<SqlValue>;

/// A statement on a provider's own tables.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlStatement {
    /// One `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `WITH` or `VALUES`, in the subset that SQLite and PostgreSQL share. Parameters are
    /// `$1`, `$2`, …
    pub sql: &'static str,
    /// The parameters in order.
    pub params: Vec<SqlValue>,
}

/// One step in the history of a provider's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderMigration {
    /// The provider that it belongs to, such as `telegram`.
    pub owner: &'static str,
    /// Its number within the provider, from 1.
    pub version: u32,
    /// SQL statements, separated by semicolons, in the subset that SQLite and PostgreSQL share: `BIGINT`, `TEXT`, `DOUBLE
    /// PRECISION`, and `BYTEA` for bytes (SQLite takes any name for a type).
    pub sql: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_64_digits_and_back() {
        let of_nothing = hash(b"");
        assert_eq!(
            hex(&of_nothing),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(parse_hex(&hex(&of_nothing)), Some(of_nothing));
        assert_eq!(parse_hex("e3"), None);
        assert_eq!(parse_hex(&"x".repeat(64)), None);
        assert_eq!(parse_hex(&"é".repeat(32)), None);
    }
}
