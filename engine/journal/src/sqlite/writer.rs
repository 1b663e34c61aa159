//! The one writer: a thread that takes everything pending, writes it in one transaction, and answers when that is durable.
//!
//! A write that is refused takes nothing with it but itself: the others are written again, each within a savepoint of its own. Most transactions
//! have no such write, and a savepoint costs a copy of every page that changes. When the store fails as a whole (a full disk, a failing device)
//! everyone in the transaction is told, and the next transaction is tried as if nothing had been.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::encode::Encoded;
use crate::error::StoreError;
use crate::metrics::{Counters, add, sub};
use crate::sqlite::Config;
use crate::sqlite::apply::apply;
use crate::sqlite::sql::{self, is_of_store};
use crate::sqlite::trouble::Trouble;
use crate::write::Written;

/// From so many pages on the log is copied into the database when nobody waits.
const CHECKPOINT_PAGES: i64 = 1_000;

/// From so many on it is copied even though someone waits.
const CHECKPOINT_PAGES_BUSY: i64 = 2_000;

/// From so many on readers are waited for, so that the log can begin anew.
const CHECKPOINT_PAGES_FULL: i64 = 32_000;

/// What the writer is given to do.
pub(crate) enum Job {
    Write(WriteJob),
    /// A read on the writer's own connection, for a database that has no other.
    Read(Box<dyn FnOnce(&Connection) + Send>),
}

/// A write and who waits for it.
pub(crate) struct WriteJob {
    pub(crate) write: Encoded,
    pub(crate) size: usize,
    pub(crate) reply: oneshot::Sender<Result<Written, StoreError>>,
    /// The write's share of the memory that pending writes may have.
    pub(crate) _share: OwnedSemaphorePermit,
}

/// The writer's side of a store.
pub(crate) struct Writer {
    connection: Connection,
    counters: Arc<Counters>,
    trouble: Arc<Trouble>,
    batch_writes: usize,
    batch_bytes: usize,
    /// The length of the log in pages after the last commit.
    log_pages: Arc<AtomicI64>,
}

impl Writer {
    pub(crate) fn new(
        mut connection: Connection,
        config: &Config,
        counters: Arc<Counters>,
        trouble: Arc<Trouble>,
    ) -> Result<Self, StoreError> {
        let log_pages = Arc::new(AtomicI64::new(0));
        let pages = Arc::clone(&log_pages);
        let hook = move |_: &mut Wal, length| {
            pages.store(i64::from(length), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(sql::error)?;
        let (batch_writes, batch_bytes) = (config.batch_writes.max(1), config.batch_bytes);
        Ok(Self {
            connection,
            counters,
            trouble,
            batch_writes,
            batch_bytes,
            log_pages,
        })
    }

    /// Works until nobody can give it anything any more and everything is done.
    pub(crate) fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            // A panic must not end the writer: whoever waited learns of it by losing the other end of the reply.
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(first, &mut jobs)));
            if turn.is_err() {
                tracing::error!("the journal's writer panicked; what it was writing has failed");
            }
        }
        self.checkpoint(CheckpointMode::TRUNCATE);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the journal was not closed cleanly; it will be recovered when it is opened");
        }
    }

    /// Takes what is pending up to the limits of a transaction, writes it, and then serves the reads that came between.
    fn turn(&mut self, first: Job, jobs: &mut mpsc::Receiver<Job>) {
        let (mut writes, mut reads, mut size) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(write) => {
                    size += write.size;
                    writes.push(write);
                }
                Job::Read(read) => reads.push(read),
            }
            let full =
                writes.len() >= self.batch_writes || reads.len() >= self.batch_writes || size >= self.batch_bytes;
            next = if full { None } else { jobs.try_recv().ok() };
        }
        if !writes.is_empty() {
            sub(&self.counters.queued, writes.len() as u64);
            self.write(writes);
        }
        for read in reads {
            read(&self.connection);
        }
        self.tend_log(jobs.is_empty());
    }

    /// Writes in one transaction and answers. When one write has spoilt it for all, or all together fill the disk, each is tried alone.
    fn write(&mut self, writes: Vec<WriteJob>) {
        match self.transaction(&writes) {
            Ok(results) => {
                for (write, result) in writes.into_iter().zip(results) {
                    self.answer(write, result);
                }
            }
            Err(Failed { divide: true, .. }) if writes.len() > 1 => {
                for write in writes {
                    self.write(vec![write]);
                }
            }
            Err(Failed { why, .. }) => {
                self.trouble.comes(&why, self.connection.path());
                for write in writes {
                    self.answer(write, Err(why.clone()));
                }
            }
        }
    }

    fn transaction(&mut self, writes: &[WriteJob]) -> Result<Vec<Result<Written, StoreError>>, Failed> {
        let results = self.begin_and_apply(writes).and_then(|results| {
            let start = Instant::now();
            self.execute("COMMIT")?;
            if results.iter().any(Result::is_ok) {
                self.counters.committed(writes.len(), start.elapsed());
                self.trouble.goes();
            }
            Ok(results)
        });
        results.inspect_err(|_| self.roll_back())
    }

    fn begin_and_apply(&self, writes: &[WriteJob]) -> Result<Vec<Result<Written, StoreError>>, Failed> {
        self.begin()?;
        let mut results = Vec::with_capacity(writes.len());
        for job in writes {
            match self.apply(&job.write) {
                Ok(written) => results.push(Ok(written)),
                Err(why) if is_of_store(&why) => return Err(why.into()),
                // Alone it has nobody to take with it.
                Err(why) if writes.len() == 1 => {
                    self.begin()?;
                    return Ok(vec![Err(why)]);
                }
                Err(_) => return self.apply_each(writes),
            }
        }
        Ok(results)
    }

    /// Begins a transaction; whatever one has left open, by a panic too, is taken back.
    fn begin(&self) -> Result<(), Failed> {
        self.roll_back();
        self.execute("BEGIN IMMEDIATE")
    }

    /// Applies writes of which some are refused.
    fn apply_each(&self, writes: &[WriteJob]) -> Result<Vec<Result<Written, StoreError>>, Failed> {
        self.begin()?;
        writes.iter().map(|job| self.apply_apart(&job.write)).collect()
    }

    fn apply(&self, write: &Encoded) -> Result<Written, StoreError> {
        catch_unwind(AssertUnwindSafe(|| apply(&self.connection, write))).unwrap_or_else(|_| {
            tracing::error!("a write of the journal panicked");
            Err(StoreError::Refused(
                "the store panicked on this write; please report it with the log".to_owned(),
            ))
        })
    }

    /// Applies one write within a savepoint. The inner result is the write's own, the outer one that of the store.
    fn apply_apart(&self, write: &Encoded) -> Result<Result<Written, StoreError>, Failed> {
        self.execute("SAVEPOINT one")?;
        let applied = self.apply(write);
        match applied {
            Err(why) if is_of_store(&why) => return Err(why.into()),
            // The write has ended the transaction of all (`INSERT OR ROLLBACK`).
            Err(why) if self.connection.is_autocommit() => return Err(Failed { why, divide: true }),
            Ok(_) => {}
            Err(_) => self.execute("ROLLBACK TO one")?,
        }
        self.execute("RELEASE one")?;
        Ok(applied)
    }

    fn answer(&self, job: WriteJob, result: Result<Written, StoreError>) {
        match &result {
            Ok(_) => {
                add(&self.counters.writes, 1);
                add(&self.counters.entries, job.write.entries());
                add(&self.counters.bytes, job.size as u64);
            }
            Err(why) if is_of_store(why) => add(&self.counters.failed, 1),
            Err(_) => add(&self.counters.refused, 1),
        }
        // Who does not wait any more does not want to know.
        let _ = job.reply.send(result);
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(failed) = self.execute("ROLLBACK")
        {
            tracing::error!(error = %failed.why, "a transaction of the journal cannot be rolled back");
        }
    }

    fn execute(&self, sql: &'static str) -> Result<(), Failed> {
        sql::execute(&self.connection, sql, &[])
            .map(|_| ())
            .map_err(Failed::from)
    }

    /// Copies the log into the database when it has grown, at a moment when nobody waits if there is one.
    fn tend_log(&self, idle: bool) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages >= CHECKPOINT_PAGES_FULL {
            self.checkpoint(CheckpointMode::RESTART);
        } else if pages >= CHECKPOINT_PAGES_BUSY || (idle && pages >= CHECKPOINT_PAGES) {
            self.checkpoint(CheckpointMode::PASSIVE);
        }
    }

    fn checkpoint(&self, mode: CheckpointMode) {
        if self.log_pages.load(Ordering::Relaxed) == 0 {
            return;
        }
        match self.connection.wal_checkpoint_v2(Some("main"), mode) {
            Ok((log, copied)) => {
                add(&self.counters.checkpoints, 1);
                // What readers still hold back is counted on, so that it is not tried again at every commit.
                let left = if log == copied { 0 } else { CHECKPOINT_PAGES / 2 };
                self.log_pages.store(left, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "the journal's log could not be copied into the database"),
        }
    }
}

/// A failure of the store as a whole.
struct Failed {
    why: StoreError,
    /// Whether some of the writes may succeed if each is tried alone.
    divide: bool,
}

impl From<StoreError> for Failed {
    fn from(why: StoreError) -> Self {
        let divide = matches!(&why, StoreError::Unavailable(text) if text.starts_with(sql::DISK_FULL));
        // A statement of the writer's own that is refused is the store's failure, not a write's.
        let why = match why {
            StoreError::Refused(text) => StoreError::Unavailable(text),
            other => other,
        };
        Self { why, divide }
    }
}
