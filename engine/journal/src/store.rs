//! The store as the rest of the engine sees it: it speaks of runs, definitions and values, not of SQL.

use async_trait::async_trait;
use potok_dsl::{RunId, WorkflowId};
use serde_json::Value;

use crate::error::StoreError;
use crate::events::{EventFilter, EventRow, Found, Shape, Wanted};
use crate::metrics::Metrics;
use crate::rows::{
    BlobRow, DefinitionFilter, DefinitionRow, Hash, InnerCall, InnerCallRow, LoadedRun, PluginRow, ProviderMigration,
    RunCursor, RunFilter, RunPage, RunRow, SqlRow, SqlStatement, TimelineRow, TriggerRow,
};
use crate::write::{Write, Written};

/// A durable store.
///
/// Writes that are pending together share one transaction, and each is answered when that is durable; one that is refused
/// fails alone. A write that was handed over happens even when its future is dropped. Reads see what is durable, and everything whose
/// write was answered before the read began.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes; durable when it returns. Waits while the writer has too much before it.
    ///
    /// # Errors
    /// Any [`StoreError`] of a write; nothing of the write stays, except as said there of `Unavailable`.
    async fn commit(&self, write: Write) -> Result<Written, StoreError>;

    /// Brings tables of providers up to date: the migrations that were not applied before, in the order of their versions, each in a
    /// transaction. Every owner's migrations must be given whole.
    ///
    /// # Errors
    /// `Newer` when the tables are ahead of what is given; `Refused` when a migration fails, or was changed after it was applied.
    async fn apply_migrations(&self, migrations: &[ProviderMigration]) -> Result<(), StoreError>;

    /// What a node needs to go on with a run; `None` when there is none of that id.
    async fn load_run(&self, run: RunId) -> Result<Option<LoadedRun>, StoreError>;

    /// The same for several runs with one read, in their order.
    async fn load_runs(&self, runs: &[RunId]) -> Vec<Result<Option<LoadedRun>, StoreError>>;

    /// A run's row, its values whole.
    async fn run_row(&self, run: RunId) -> Result<Option<RunRow>, StoreError>;

    /// Up to `limit` entries of a run after the one numbered `after`, each with its number. A page may be shorter than asked, not
    /// empty, when its values are large.
    async fn journal_page(&self, run: RunId, after: u64, limit: usize) -> Result<Vec<(u64, Value)>, StoreError>;

    /// All entries of a run, in order.
    async fn journal(&self, run: RunId) -> Result<Vec<Value>, StoreError> {
        let mut entries = Vec::new();
        loop {
            let page = self.journal_page(run, entries.len() as u64, 10_000).await?;
            if page.is_empty() {
                return Ok(entries);
            }
            entries.extend(page.into_iter().map(|(_, entry)| entry));
        }
    }

    /// Up to `limit` runs, newest first, after where another page ended.
    async fn list_runs(
        &self,
        filter: &RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> Result<RunPage, StoreError>;

    /// How many runs pass a filter, after where a page ended; no more than `most` are counted.
    async fn count_runs(&self, filter: &RunFilter, after: Option<RunCursor>, most: u64) -> Result<u64, StoreError>;

    /// Up to `limit` rows of a run's timeline with an ordinal over `after`. A page may be shorter than asked, not empty, when its
    /// values are large.
    async fn timeline(&self, run: RunId, after: Option<u64>, limit: usize) -> Result<Vec<TimelineRow>, StoreError>;

    /// The last row of a run's timeline.
    async fn last_of_timeline(&self, run: RunId) -> Result<Option<TimelineRow>, StoreError>;

    /// Up to `limit` calls that were made inside a call of a run, in order, after the one numbered `after`. A page may be shorter than asked,
    /// not empty, when its values are large.
    async fn inner_calls(&self, run: RunId, call: u64, after: u64, limit: usize) -> Result<Vec<InnerCall>, StoreError>;

    /// The newest inner calls of a run, up to `limit`, in order: those of calls that are not over.
    async fn open_inner_calls(&self, run: RunId, limit: usize) -> Result<Vec<InnerCallRow>, StoreError>;

    /// Unfinished runs whose `wake_at` is at or before a time, with it, in the order of `(wake_at, id)`: those after a given one.
    async fn due(&self, until: i64, after: Option<(i64, RunId)>, limit: usize)
    -> Result<Vec<(i64, RunId)>, StoreError>;

    /// The earliest `wake_at` after a time, of all unfinished runs.
    async fn next_wake(&self, after: i64) -> Result<Option<i64>, StoreError>;

    /// Up to `limit` runs that have ended before a time, and are of no use to a run that has not, the oldest first.
    async fn retirable(&self, before: i64, limit: usize) -> Result<Vec<RunId>, StoreError>;

    /// When the oldest of the newest so many runs that have ended has ended; `None` when there are fewer.
    async fn oldest_of_newest(&self, count: u64) -> Result<Option<i64>, StoreError>;

    /// Up to `limit` blobs that nothing mentions and that were stored for the last time before a time.
    async fn unmentioned_blobs(&self, before: i64, limit: usize) -> Result<Vec<Hash>, StoreError>;

    /// A definition by its hash.
    async fn definition(&self, hash: &str) -> Result<Option<DefinitionRow>, StoreError>;

    /// A definition by its id; never a draft.
    async fn definition_by_id(&self, id: &WorkflowId) -> Result<Option<DefinitionRow>, StoreError>;

    /// The active version of a workflow: the one that was chosen, else the newest by semantic version.
    async fn active_definition(&self, namespace: &str, name: &str) -> Result<Option<DefinitionRow>, StoreError>;

    /// The active version of every workflow.
    async fn active_definitions(&self) -> Result<Vec<DefinitionRow>, StoreError>;

    /// Up to `limit` definitions, by namespace, name, version and hash, after another one.
    async fn definitions(
        &self,
        filter: &DefinitionFilter,
        after: Option<&DefinitionRow>,
        limit: usize,
    ) -> Result<Vec<DefinitionRow>, StoreError>;

    /// How many unfinished runs use a definition.
    async fn unfinished_runs(&self, definition: &str) -> Result<u64, StoreError>;

    /// All plugins, without their bytes, in the order in which they were installed.
    async fn plugins(&self) -> Result<Vec<PluginRow>, StoreError>;

    /// A plugin with its component.
    async fn plugin(&self, hash: &str) -> Result<Option<(PluginRow, Vec<u8>)>, StoreError>;

    /// All triggers.
    async fn triggers(&self) -> Result<Vec<TriggerRow>, StoreError>;

    /// The shapes that concern an event of a type and source: those that name both, one of them, or, unless it is quiet, neither type.
    async fn shapes(&self, kind: &str, source: &str, quiet: bool) -> Result<Vec<Shape>, StoreError>;

    /// Whether somebody waits for a type that begins so.
    async fn waits_for(&self, beginning: &str) -> Result<bool, StoreError>;

    /// Up to `limit` events that fit a filter and have a number over `after`, in order. A page may be shorter than asked, not empty,
    /// when its events are large.
    async fn events(&self, filter: &EventFilter, after: u64, limit: usize) -> Result<Vec<EventRow>, StoreError>;

    /// The number of the newest event; 0 when there never was one.
    async fn last_event(&self) -> Result<u64, StoreError>;

    /// Up to about `limit` events that may be for a run.
    async fn look(&self, run: RunId, wanted: &[Wanted], limit: usize) -> Result<Found, StoreError>;

    /// Up to `limit` runs with a subscription for which something came, in the order of their ids, after another one.
    async fn behind(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, StoreError>;

    /// The bytes of a value or blob.
    async fn value(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError>;

    /// What is known of a blob.
    async fn blob(&self, hash: &Hash) -> Result<Option<BlobRow>, StoreError>;

    /// Up to `limit` blobs, newest first, after another one.
    async fn blobs(&self, after: Option<&BlobRow>, limit: usize) -> Result<Vec<BlobRow>, StoreError>;

    /// Rows of a provider's tables.
    ///
    /// # Errors
    /// `Refused` for a statement that is wrong, that writes, or whose answer is over 64 MiB.
    async fn read_rows(&self, statement: SqlStatement) -> Result<Vec<SqlRow>, StoreError>;

    /// Whether the store can be written: not when a write has failed for the store's sake a moment ago. When the last one did, this is tried by
    /// a write that changes nothing.
    ///
    /// # Errors
    /// Why it cannot.
    async fn writable(&self) -> Result<(), StoreError>;

    /// What the store has done since it was opened.
    fn metrics(&self) -> Metrics;
}
