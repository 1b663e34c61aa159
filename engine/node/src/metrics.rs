//! What a node counts, for `/metrics` and the benchmarks. Plain atomics: counting costs nothing worth measuring.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a node since its start.
#[derive(Debug, Default)]
pub struct Metrics {
    started: AtomicU64,
    completed: AtomicU64,
    faulted: AtomicU64,
    cancelled: AtomicU64,
    tasks: AtomicU64,
    saves: AtomicU64,
    loaded: AtomicU64,
    calls: AtomicU64,
}

/// A moment's reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Runs accepted.
    pub started: u64,
    /// Runs completed.
    pub completed: u64,
    /// Runs faulted.
    pub faulted: u64,
    /// Runs cancelled.
    pub cancelled: u64,
    /// Task events that became durable.
    pub tasks: u64,
    /// Writes of runs that became durable.
    pub saves: u64,
    /// Runs in memory now.
    pub loaded: u64,
    /// Calls under way now.
    pub calls: u64,
}

impl Metrics {
    /// Reads all counters.
    #[must_use]
    pub fn read(&self) -> Reading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            started: get(&self.started),
            completed: get(&self.completed),
            faulted: get(&self.faulted),
            cancelled: get(&self.cancelled),
            tasks: get(&self.tasks),
            saves: get(&self.saves),
            loaded: get(&self.loaded),
            calls: get(&self.calls),
        }
    }

    pub(crate) fn stands(&self, loaded: usize, calls: usize) {
        self.loaded.store(loaded as u64, Ordering::Relaxed);
        self.calls.store(calls as u64, Ordering::Relaxed);
    }

    pub(crate) fn saved(&self, new: bool, tasks: usize, ended: Option<potok_machine::Status>) {
        use potok_machine::Status;
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        add(&self.saves, 1);
        add(&self.tasks, tasks as u64);
        if new {
            add(&self.started, 1);
        }
        match ended {
            Some(Status::Completed) => add(&self.completed, 1),
            Some(Status::Faulted) => add(&self.faulted, 1),
            Some(Status::Cancelled) => add(&self.cancelled, 1),
            _ => 0,
        };
    }
}
