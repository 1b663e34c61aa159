//! The store on SQLite: one file, one writer on a thread of its own, a few readers.
//!
//! - `open` creates, locks and sets up a database; `schema` and `migrate` bring its tables up to date.
//! - `writer` does group commit; `apply`, `write_runs`, `write_events`, `write_catalog` and `tables` are what a single write does.
//! - `retire` lets runs leave, and collects what nothing mentions any more.
//! - `inner` keeps the calls inside a call, `outbox` what runs say to each other, `slots` and `rates` places and moments.
//! - `trouble` knows whether the disk can be written.
//! - `readers` lends connections; `read_runs`, `read_events` and `read_catalog` are the reads.
//! - `sql` is how all of them speak to SQLite.

mod apply;
mod inner;
mod migrate;
mod open;
mod outbox;
mod rates;
mod read_catalog;
mod read_events;
mod read_runs;
mod readers;
mod retire;
mod schema;
mod slots;
mod sql;
mod tables;
mod trouble;
mod write_catalog;
mod write_events;
mod write_runs;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use potok_dsl::{RunId, WorkflowId};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::encode::{Encoded, encode};
use crate::error::StoreError;
use crate::events::{EventFilter, EventRow, Found, Shape, Wanted};
use crate::metrics::{Counters, Metrics, add};
use crate::rows::{
    BlobRow, DefinitionFilter, DefinitionRow, Hash, InnerCall, InnerCallRow, LoadedRun, PluginRow, ProviderMigration,
    RunCursor, RunFilter, RunPage, RunRow, SqlRow, SqlStatement, SqlValue, TimelineRow, TriggerRow,
};
use crate::store::Store;
use crate::write::{Write, Written};
use readers::Readers;
use trouble::Trouble;
use writer::{Job, WriteJob, Writer};

/// How a [`SqliteStore`] is set up. The default is right for a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many reads are made at a time.
    pub readers: usize,
    /// The most writes that share a transaction.
    pub batch_writes: usize,
    /// A transaction is closed when it has at least this many bytes.
    pub batch_bytes: usize,
    /// The most writes that wait for the writer; further ones wait to be taken.
    pub queue_writes: usize,
    /// The most bytes that wait for the writer; further writes wait to be taken.
    pub queue_bytes: usize,
    /// The database grows no further than this, as if the disk were full.
    pub max_bytes: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            readers: 3,
            batch_writes: 1_000,
            batch_bytes: 8 << 20,
            queue_writes: 4_096,
            queue_bytes: 256 << 20,
            max_bytes: None,
        }
    }
}

/// How many entries are read at once of a file that another process may have.
const JOURNAL_PAGE: usize = 1_000;

/// The unit in which pending bytes are counted.
const SHARE: usize = 1 << 10;

/// A store in one SQLite file. Dropping it waits until what was handed over is written.
pub struct SqliteStore {
    /// Gone when the store is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// `None` for a database that only the writer's connection can see.
    readers: Option<Arc<Readers>>,
    /// The memory that pending writes may have, in units of [`SHARE`].
    memory: Arc<Semaphore>,
    memory_size: usize,
    counters: Arc<Counters>,
    trouble: Arc<Trouble>,
    /// Given up last.
    _lock: Option<open::Lock>,
}

impl SqliteStore {
    /// Opens a database file, creates it where there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// `Locked` when another process has it; `Foreign`, `Newer` or `Corrupt` when it is not one that can be used, nothing in it being
    /// changed then; `Unavailable` when it cannot be created or opened.
    pub fn open(path: impl AsRef<Path>, config: &Config) -> Result<Self, StoreError> {
        let path = path.as_ref();
        open::create(path)?;
        let lock = open::Lock::take(path)?;
        let connection = open::writer(path, config)?;
        let readers = Readers::open(path, config.readers)?;
        Self::start(connection, Some(readers), Some(lock), config)
    }

    /// The plugins in a database file, with their components, in the order in which they were installed. Another process may have the
    /// file; nothing in it is changed, and none is created.
    ///
    /// # Errors
    /// `Foreign` when it is not one of ours, `Unavailable` or `Corrupt` when it cannot be read.
    pub fn plugins_in(path: impl AsRef<Path>) -> Result<Vec<(PluginRow, Vec<u8>)>, StoreError> {
        let connection = open::reader_of_ours(path.as_ref())?;
        let mut plugins = Vec::new();
        for row in read_catalog::plugins(&connection)? {
            plugins.extend(read_catalog::plugin(&connection, &row.hash)?);
        }
        Ok(plugins)
    }

    /// The definitions in a database file that are deployed for good. Another process may have the file, as with [`Self::plugins_in`].
    ///
    /// # Errors
    /// As [`Self::plugins_in`].
    pub fn definitions_in(path: impl AsRef<Path>) -> Result<Vec<DefinitionRow>, StoreError> {
        let connection = open::reader_of_ours(path.as_ref())?;
        read_catalog::definitions(&connection, &DefinitionFilter::default(), None, usize::MAX >> 1)
    }

    /// The rows of a table in a database file; none when there is no such table. Another process may have the file, as above.
    ///
    /// # Errors
    /// As [`Self::plugins_in`], and `Refused` for a statement that is wrong.
    pub fn rows_in(path: impl AsRef<Path>, table: &str, statement: &SqlStatement) -> Result<Vec<SqlRow>, StoreError> {
        let connection = open::reader_of_ours(path.as_ref())?;
        let named = SqlStatement {
            sql: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = $1",
            params: vec![SqlValue::Text(table.to_owned())],
        };
        if tables::read(&connection, &named)?.is_empty() {
            return Ok(Vec::new());
        }
        tables::read(&connection, statement)
    }

    /// Gives the entries of a run's journal with their numbers, in order; whether there is such a run. Another process may have the file, as above.
    ///
    /// # Errors
    /// As [`Self::plugins_in`], and what `give` says: nothing is given after that.
    pub fn journal_in<E: From<StoreError>>(
        path: impl AsRef<Path>,
        run: RunId,
        mut give: impl FnMut(u64, Value) -> Result<(), E>,
    ) -> Result<bool, E> {
        let connection = open::reader_of_ours(path.as_ref())?;
        let mut last = 0;
        loop {
            // Page by page, so that nobody's writes wait for whoever reads.
            let page = read_runs::journal_page(&connection, run, last, JOURNAL_PAGE)?;
            if page.is_empty() {
                return Ok(last > 0 || read_runs::run_row(&connection, run)?.is_some());
            }
            for (number, entry) in page {
                last = number;
                give(number, entry)?;
            }
        }
    }

    /// A store that is gone with the process; for one-off runs and tests.
    ///
    /// # Errors
    /// `Unavailable` when there is no memory or no thread to be had.
    pub fn in_memory() -> Result<Self, StoreError> {
        let config = Config::default();
        Self::start(open::memory(&config)?, None, None, &config)
    }

    fn start(
        connection: Connection,
        readers: Option<Readers>,
        lock: Option<open::Lock>,
        config: &Config,
    ) -> Result<Self, StoreError> {
        let counters = Arc::new(Counters::new());
        let trouble = Arc::new(Trouble::default());
        let writer = Writer::new(connection, config, Arc::clone(&counters), Arc::clone(&trouble))?;
        let (jobs, queue) = mpsc::channel(config.queue_writes.max(1));
        let writer = std::thread::Builder::new()
            .name("potok-journal".to_owned())
            .spawn(move || writer.work(queue))
            .map_err(|error| StoreError::Unavailable(format!("the journal's thread cannot be started: {error}")))?;
        let memory_size = (config.queue_bytes / SHARE).clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            jobs: Some(jobs),
            writer: Some(writer),
            readers: readers.map(Arc::new),
            memory: Arc::new(Semaphore::new(memory_size)),
            memory_size,
            counters,
            trouble,
            _lock: lock,
        })
    }

    /// Hands a write to the writer and waits for its answer.
    async fn write(&self, write: Encoded) -> Result<Written, StoreError> {
        let size = write.size();
        // One write that is larger than all the memory there is for writes has it to itself.
        let share = size.div_ceil(SHARE).clamp(1, self.memory_size);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.memory)
            .acquire_many_owned(share)
            .await
            .map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let place = self.jobs()?.reserve().await.map_err(|_| closed())?;
        add(&self.counters.queued, 1);
        place.send(Job::Write(WriteJob {
            write,
            size,
            reply,
            _share: share,
        }));
        answer
            .await
            .map_err(|_| StoreError::Unavailable("the writer failed on this transaction; see the log".to_owned()))?
    }

    async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        add(&self.counters.reads, 1);
        // One transaction: a read of several statements sees one state of the store.
        let read = |connection: &Connection| {
            let transaction = connection.unchecked_transaction().map_err(sql::error)?;
            read(&transaction)
        };
        if let Some(readers) = &self.readers {
            return readers.read(read).await;
        }
        let (reply, answer) = oneshot::channel();
        let job = Job::Read(Box::new(move |connection| {
            let _ = reply.send(read(connection));
        }));
        self.jobs()?.send(job).await.map_err(|_| closed())?;
        answer
            .await
            .map_err(|_| StoreError::Unavailable("a read failed; see the log".to_owned()))?
    }

    fn jobs(&self) -> Result<&mpsc::Sender<Job>, StoreError> {
        self.jobs.as_ref().ok_or_else(closed)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so.
            let _ = writer.join();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, write: Write) -> Result<Written, StoreError> {
        self.write(encode(write).await?).await
    }

    async fn apply_migrations(&self, migrations: &[ProviderMigration]) -> Result<(), StoreError> {
        let all = migrations.to_vec();
        if let Some(own) = all.iter().find(|migration| migration.owner == schema::OWNER) {
            return Err(StoreError::Refused(format!(
                "'{}' is the journal's own name",
                own.owner
            )));
        }
        for migration in self.read(move |connection| migrate::pending(connection, &all)).await? {
            self.write(Encoded::Migration(migration)).await?;
        }
        Ok(())
    }

    async fn load_run(&self, run: RunId) -> Result<Option<LoadedRun>, StoreError> {
        self.read(move |connection| read_runs::load_run(connection, run)).await
    }

    async fn load_runs(&self, runs: &[RunId]) -> Vec<Result<Option<LoadedRun>, StoreError>> {
        let all = runs.to_vec();
        let read = move |connection: &Connection| {
            let load = |run: &RunId| read_runs::load_run(connection, *run);
            Ok(all.iter().map(load).collect())
        };
        match self.read(read).await {
            Ok(loaded) => loaded,
            Err(why) => runs.iter().map(|_| Err(why.clone())).collect(),
        }
    }

    async fn run_row(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.read(move |connection| read_runs::run_row(connection, run)).await
    }

    async fn journal_page(&self, run: RunId, after: u64, limit: usize) -> Result<Vec<(u64, Value)>, StoreError> {
        self.read(move |connection| read_runs::journal_page(connection, run, after, limit))
            .await
    }

    async fn list_runs(
        &self,
        filter: &RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> Result<RunPage, StoreError> {
        let filter = filter.clone();
        self.read(move |connection| read_runs::list_runs(connection, &filter, after, limit))
            .await
    }

    async fn count_runs(&self, filter: &RunFilter, after: Option<RunCursor>, most: u64) -> Result<u64, StoreError> {
        let filter = filter.clone();
        self.read(move |connection| read_runs::count_runs(connection, &filter, after, most))
            .await
    }

    async fn timeline(&self, run: RunId, after: Option<u64>, limit: usize) -> Result<Vec<TimelineRow>, StoreError> {
        self.read(move |connection| read_runs::timeline(connection, run, after, limit))
            .await
    }

    async fn last_of_timeline(&self, run: RunId) -> Result<Option<TimelineRow>, StoreError> {
        self.read(move |connection| read_runs::last_of_timeline(connection, run))
            .await
    }

    async fn inner_calls(&self, run: RunId, call: u64, after: u64, limit: usize) -> Result<Vec<InnerCall>, StoreError> {
        self.read(move |connection| inner::page(connection, run, call, after, limit))
            .await
    }

    async fn open_inner_calls(&self, run: RunId, limit: usize) -> Result<Vec<InnerCallRow>, StoreError> {
        self.read(move |connection| inner::newest(connection, run, limit)).await
    }

    async fn due(
        &self,
        until: i64,
        after: Option<(i64, RunId)>,
        limit: usize,
    ) -> Result<Vec<(i64, RunId)>, StoreError> {
        self.read(move |connection| read_runs::due(connection, until, after, limit))
            .await
    }

    async fn next_wake(&self, after: i64) -> Result<Option<i64>, StoreError> {
        self.read(move |connection| read_runs::next_wake(connection, after))
            .await
    }

    async fn retirable(&self, before: i64, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.read(move |connection| retire::retirable(connection, before, limit))
            .await
    }

    async fn oldest_of_newest(&self, count: u64) -> Result<Option<i64>, StoreError> {
        self.read(move |connection| retire::oldest_of_newest(connection, count))
            .await
    }

    async fn unmentioned_blobs(&self, before: i64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        self.read(move |connection| retire::unmentioned_blobs(connection, before, limit))
            .await
    }

    async fn definition(&self, hash: &str) -> Result<Option<DefinitionRow>, StoreError> {
        let hash = hash.to_owned();
        self.read(move |connection| read_catalog::definition(connection, &hash))
            .await
    }

    async fn definition_by_id(&self, id: &WorkflowId) -> Result<Option<DefinitionRow>, StoreError> {
        let id = id.clone();
        self.read(move |connection| read_catalog::definition_by_id(connection, &id))
            .await
    }

    async fn active_definition(&self, namespace: &str, name: &str) -> Result<Option<DefinitionRow>, StoreError> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.read(move |connection| read_catalog::active_definition(connection, &namespace, &name))
            .await
    }

    async fn active_definitions(&self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.read(read_catalog::active_definitions).await
    }

    async fn definitions(
        &self,
        filter: &DefinitionFilter,
        after: Option<&DefinitionRow>,
        limit: usize,
    ) -> Result<Vec<DefinitionRow>, StoreError> {
        let (filter, after) = (filter.clone(), after.cloned());
        self.read(move |connection| read_catalog::definitions(connection, &filter, after.as_ref(), limit))
            .await
    }

    async fn unfinished_runs(&self, definition: &str) -> Result<u64, StoreError> {
        let hash = definition.to_owned();
        self.read(move |connection| write_catalog::unfinished_runs(connection, &hash))
            .await
    }

    async fn plugins(&self) -> Result<Vec<PluginRow>, StoreError> {
        self.read(read_catalog::plugins).await
    }

    async fn plugin(&self, hash: &str) -> Result<Option<(PluginRow, Vec<u8>)>, StoreError> {
        let hash = hash.to_owned();
        self.read(move |connection| read_catalog::plugin(connection, &hash))
            .await
    }

    async fn triggers(&self) -> Result<Vec<TriggerRow>, StoreError> {
        self.read(read_catalog::triggers).await
    }

    async fn shapes(&self, kind: &str, source: &str, quiet: bool) -> Result<Vec<Shape>, StoreError> {
        let (kind, source) = (kind.to_owned(), source.to_owned());
        self.read(move |connection| read_events::shapes(connection, &kind, &source, quiet))
            .await
    }

    async fn waits_for(&self, beginning: &str) -> Result<bool, StoreError> {
        let beginning = beginning.to_owned();
        self.read(move |connection| read_events::waits_for(connection, &beginning))
            .await
    }

    async fn events(&self, filter: &EventFilter, after: u64, limit: usize) -> Result<Vec<EventRow>, StoreError> {
        let filter = filter.clone();
        self.read(move |connection| read_events::events(connection, &filter, after, limit))
            .await
    }

    async fn last_event(&self) -> Result<u64, StoreError> {
        self.read(read_events::last).await
    }

    async fn look(&self, run: RunId, wanted: &[Wanted], limit: usize) -> Result<Found, StoreError> {
        let wanted = wanted.to_vec();
        self.read(move |connection| read_events::look(connection, run, &wanted, limit))
            .await
    }

    async fn behind(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.read(move |connection| read_events::behind(connection, after, limit))
            .await
    }

    async fn value(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let hash = *hash;
        self.read(move |connection| read_runs::bytes_of(connection, &hash))
            .await
    }

    async fn blob(&self, hash: &Hash) -> Result<Option<BlobRow>, StoreError> {
        let hash = *hash;
        self.read(move |connection| read_catalog::blob(connection, &hash)).await
    }

    async fn blobs(&self, after: Option<&BlobRow>, limit: usize) -> Result<Vec<BlobRow>, StoreError> {
        let after = after.cloned();
        self.read(move |connection| read_catalog::blobs(connection, after.as_ref(), limit))
            .await
    }

    async fn read_rows(&self, statement: SqlStatement) -> Result<Vec<SqlRow>, StoreError> {
        self.read(move |connection| tables::read(connection, &statement)).await
    }

    async fn writable(&self) -> Result<(), StoreError> {
        if let Some(why) = self.trouble.recent() {
            return Err(why);
        }
        if self.trouble.is_there() {
            self.write(Encoded::Probe).await?;
        }
        Ok(())
    }

    fn metrics(&self) -> Metrics {
        self.counters.read()
    }
}
