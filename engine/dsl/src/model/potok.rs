//! `metadata.potok`: what the language lacks, typed.

use super::{At, Text};

/// `document.metadata.potok`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DocumentPotok {
    /// How the schedule behaves.
    pub schedule: Option<At<SchedulePotok>>,
    /// How many runs of a key at once.
    pub concurrency: Option<At<Concurrency>>,
}

/// `metadata.potok.schedule`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchedulePotok {
    /// An IANA time zone such as `Europe/Moscow`; UTC when absent.
    pub timezone: Option<Text>,
    /// What happens when a run is due while the one before it still runs.
    pub overlap: Option<Overlap>,
    /// What happens with times that passed while no node was up.
    pub catch_up: Option<CatchUp>,
}

/// What happens when a run is due while the one before it still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// It is left out.
    Skip,
    /// It starts when the other has ended.
    Queue,
    /// It starts beside it.
    Allow,
}

/// What happens with times that passed while no node was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last of them is made up for.
    Latest,
    /// All of them are made up for, up to 100.
    All,
}

/// `metadata.potok.concurrency`.
#[derive(Debug, Clone, PartialEq)]
pub struct Concurrency {
    /// An expression for the key; one key for all when absent.
    pub key: Option<Text>,
    /// How many at once.
    pub limit: u32,
    /// What happens with one too many.
    pub on_conflict: OnConflict,
}

/// What happens with one run too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// It waits.
    Queue,
    /// It is refused.
    Reject,
    /// It takes the place of the one that runs.
    Replace,
}

/// `metadata.potok` of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskPotok {
    /// On a `for`: iterations at once.
    pub parallel: Option<At<u32>>,
    /// On a `for`: the output is the array of the iterations' outputs.
    pub collect: Option<At<bool>>,
    /// How often, across all runs.
    pub rate: Option<At<Rate>>,
    /// On a call: instead of the derived key.
    pub idempotency_key: Option<Text>,
    /// On a call: what happens with it after a crash in its middle.
    pub delivery: Option<At<Delivery>>,
    /// On a `run: workflow`: when the version is chosen.
    pub bind: Option<At<Bind>>,
    /// What people see.
    pub label: Option<Text>,
}

/// When the version of a workflow that another one runs is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bind {
    /// When the one that runs it is deployed.
    Deploy,
    /// Each time that it starts.
    Start,
}

/// `metadata.potok.rate`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// How many.
    pub limit: u32,
    /// In which span.
    pub per: RatePer,
    /// An expression for the key; one key for all when absent.
    pub key: Option<Text>,
}

/// The span of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RatePer {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// What happens with a call after a crash in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It is repeated, under the same idempotency key.
    AtLeastOnce,
    /// It faults.
    AtMostOnce,
}
