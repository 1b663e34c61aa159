//! Counters of a store, for `/metrics` and the bench: plain numbers to read, atomics to count with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of [`Histogram::seconds`], in microseconds.
const COMMIT_BOUNDS: [u64; 14] = [
    100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600, 1_638_400, 6_553_600,
];

/// Upper bounds of the buckets of writes a transaction.
const BATCH_BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024];

/// What a store has done since it was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// Transactions that became durable. Each flushed the log once.
    pub commits: u64,
    /// Times that the log was copied into the database. Each flushes up to three times.
    pub checkpoints: u64,
    /// Flushes of the disk: one a commit and three a checkpoint.
    pub flushes: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Writes that were refused, fenced off or duplicates.
    pub refused: u64,
    /// Writes that failed because the store was not available.
    pub failed: u64,
    /// Journal entries that became durable.
    pub entries: u64,
    /// Bytes of what was written, as it was handed over.
    pub bytes: u64,
    /// Reads that were served.
    pub reads: u64,
    /// Writes that wait for the writer now.
    pub queue_depth: u64,
    /// How long `COMMIT` took, with its flush, in microseconds.
    pub commit_micros: Histogram,
    /// Acknowledged and refused writes a transaction.
    pub batch: Histogram,
}

/// A histogram: for each upper bound how many were at or below it but over the one before; the last count has no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The upper bounds.
    pub bounds: &'static [u64],
    /// How many fell into each bucket; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all that was counted.
    pub sum: u64,
}

impl Histogram {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The counting side of a [`Histogram`].
#[derive(Debug)]
struct Buckets<const N: usize> {
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    over: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Buckets<N> {
    fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; N],
            over: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn count(&self, value: u64) {
        let bucket = self.bounds.iter().zip(&self.counts).find(|(bound, _)| value <= **bound);
        add(bucket.map_or(&self.over, |(_, count)| count), 1);
        add(&self.sum, value);
    }

    fn read(&self) -> Histogram {
        let counts = self.counts.iter().chain([&self.over]).map(get).collect();
        Histogram {
            bounds: self.bounds,
            counts,
            sum: get(&self.sum),
        }
    }
}

/// The counting side of [`Metrics`].
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) queued: AtomicU64,
    commit_micros: Buckets<14>,
    batch: Buckets<10>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            commits: zero(),
            checkpoints: zero(),
            writes: zero(),
            refused: zero(),
            failed: zero(),
            entries: zero(),
            bytes: zero(),
            reads: zero(),
            queued: zero(),
            commit_micros: Buckets::new(&COMMIT_BOUNDS),
            batch: Buckets::new(&BATCH_BOUNDS),
        }
    }

    /// A transaction of so many writes became durable; its `COMMIT` took so long.
    pub(crate) fn committed(&self, writes: usize, took: Duration) {
        add(&self.commits, 1);
        self.commit_micros
            .count(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.batch.count(writes as u64);
    }

    pub(crate) fn read(&self) -> Metrics {
        let (commits, checkpoints) = (get(&self.commits), get(&self.checkpoints));
        Metrics {
            commits,
            checkpoints,
            flushes: commits + 3 * checkpoints,
            writes: get(&self.writes),
            refused: get(&self.refused),
            failed: get(&self.failed),
            entries: get(&self.entries),
            bytes: get(&self.bytes),
            reads: get(&self.reads),
            queue_depth: get(&self.queued),
            commit_micros: self.commit_micros.read(),
            batch: self.batch.read(),
        }
    }
}

/// Counts up.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Counts down.
pub(crate) fn sub(counter: &AtomicU64, by: u64) {
    counter.fetch_sub(by, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_at_or_below_each_bound() {
        let counters = Counters::new();
        counters.committed(1, Duration::from_micros(100));
        counters.committed(2, Duration::from_micros(101));
        counters.committed(5_000, Duration::from_secs(60));
        let read = counters.read();
        assert_eq!(read.commit_micros.counts[..2], [1, 1]);
        assert_eq!(read.commit_micros.counts.last(), Some(&1));
        assert_eq!((read.commit_micros.count(), read.commit_micros.sum), (3, 60_000_201));
        assert_eq!(
            (read.batch.counts[0], read.batch.counts[1], read.batch.counts[10]),
            (1, 1, 1)
        );
        assert_eq!((read.commits, read.flushes), (3, 3));
    }
}
