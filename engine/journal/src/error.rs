//! What can go wrong with a store: one error for whoever waits for a write or a read.

use potok_dsl::{RunId, WorkflowId};

/// Why a write or a read failed.
///
/// [`StoreError::Unavailable`] of a write means *unknown*: it was not acknowledged, and in rare cases (a disk that fails while it
/// flushes, followed by a crash) it is found later all the same. Writing again with the same `expect_seq` is always safe: it is
/// fenced off when the first write was there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Someone else has written to the run: this writer is fenced off.
    #[error("run {run} stands at entry {found}, not {expected}: another writer has been there; load the run again")]
    Conflict {
        /// The run.
        run: RunId,
        /// The last entry that the writer knew.
        expected: u64,
        /// The last entry that is durable; 0 when there is no such run.
        found: u64,
    },
    /// The workflow was started before under the same idempotency key.
    #[error("run {0} was started under the same idempotency key")]
    Duplicate(RunId),
    /// Its group has no place for the run.
    #[error("run {holder} has the place")]
    Occupied {
        /// The oldest run that has one.
        holder: RunId,
    },
    /// Too many runs of its group wait already.
    #[error("{waiting} runs wait for a place already")]
    Crowded {
        /// How many.
        waiting: u64,
    },
    /// Another text is stored under the same namespace, name and version.
    #[error("workflow {id} is stored with another text; give the changed text a version of its own")]
    DefinitionConflict {
        /// The workflow.
        id: Box<WorkflowId>,
        /// The hash of the definition that is there.
        hash: String,
        /// Its text.
        source_text: String,
    },
    /// A plugin of the same package and version, but with other bytes, is stored.
    #[error(
        "plugin {package}@{version} is installed with other bytes ({hash}); give the changed one a version of its own"
    )]
    PluginConflict {
        /// The package.
        package: String,
        /// The version.
        version: String,
        /// The hash of the plugin that is there.
        hash: String,
    },
    /// It cannot be removed: unfinished runs use it.
    #[error("{what} is used by {runs} unfinished run(s); wait until they have ended, or cancel them")]
    InUse {
        /// What was to be removed.
        what: String,
        /// How many unfinished runs use it.
        runs: u64,
    },
    /// What the write refers to is not there.
    #[error("there is no {0}")]
    Missing(String),
    /// A value is over the ceiling.
    #[error("{what} is {size} bytes as JSON, over the ceiling of {limit}; store it as a blob or make it smaller")]
    TooLarge {
        /// Which value: a JSON pointer into what was written.
        what: String,
        /// Its size in bytes, as far as it was measured.
        size: u64,
        /// The ceiling in bytes.
        limit: u64,
    },
    /// Somebody has begun to wait for events of this kind since the sender asked which shapes concern it: ask again and write again.
    #[error("whom the event concerns has changed meanwhile; try again")]
    Stale,
    /// The write can never succeed as it is; nothing of it stays.
    #[error("the store refused the write: {0}")]
    Refused(String),
    /// The store cannot be used now: a full disk, a failing device, a store that is closed.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the store is damaged: {0}; restore it from a backup, or move the file away to start with an empty store")]
    Corrupt(String),
    /// Another process has the store open.
    #[error("'{path}' is in use by another process{holder}; stop it, or use another data directory")]
    Locked {
        /// The database.
        path: String,
        /// Who has it, where that is known: ` (12345)`.
        holder: String,
    },
    /// The file is a database of something else.
    #[error("'{path}' is not a Potok database; use another data directory")]
    Foreign {
        /// The database.
        path: String,
    },
    /// The database was written by a later version of this program.
    #[error(
        "the tables of '{owner}' are at version {found}, and this program knows only {known}; use the program that wrote them, or a later one"
    )]
    Newer {
        /// Whose tables: `journal`, or a provider's name.
        owner: String,
        /// The version found.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
}
