//! Events: what is emitted, and what is waited for.

use indexmap::IndexMap;

use super::{At, Export, Json, Location, Output, TaskList, Text};

/// Attributes of an event by name, in order: `type`, `source`, `data`, …, and extensions of `CloudEvents`.
pub type Attributes = IndexMap<String, Json>;

/// `emit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Emit {
    /// The event's attributes (`event.with`); expressions in strings.
    pub with: Attributes,
}

/// How events are consumed: `listen.to`, `schedule.on`, and what ends a listening.
#[derive(Debug, Clone, PartialEq)]
pub enum Consumption {
    /// One event for each of the filters.
    All(Vec<At<EventFilter>>),
    /// Events that fit one of the filters; without filters, every event.
    Any {
        /// The filters.
        filters: Vec<At<EventFilter>>,
        /// When to stop; after the first event when absent.
        until: Option<Until>,
    },
    /// One event.
    One(Box<At<EventFilter>>),
}

impl Consumption {
    /// The filters, in order.
    #[must_use]
    pub fn filters(&self) -> &[At<EventFilter>] {
        match self {
            Self::All(filters) | Self::Any { filters, .. } => filters,
            Self::One(filter) => std::slice::from_ref(filter),
        }
    }
}

/// When to stop listening.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// As soon as this expression holds of what was consumed.
    Condition(Text),
    /// As soon as these events were consumed; never one with an `until` of its own.
    Events(Box<At<Consumption>>),
}

/// Which events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventFilter {
    /// What their attributes must be.
    pub with: Attributes,
    /// What they must have in common with others, by name.
    pub correlate: Option<IndexMap<String, Correlate>>,
}

/// A correlation.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlate {
    /// Where it begins.
    pub at: Location,
    /// The expression that gives the value of an event.
    pub from: Text,
    /// The value that is expected, a constant or an expression; that of the first event when absent.
    pub expect: Option<Text>,
}

/// How an event is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum EventRead {
    /// Its data.
    #[default]
    Data,
    /// All of it.
    Envelope,
    /// Its data as it came.
    Raw,
}

/// `foreach`: what is done for each event that is consumed.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreach {
    /// Where it begins.
    pub at: Location,
    /// The variable of the event; `item` when absent.
    pub item: Option<Text>,
    /// The variable of the index; `index` when absent.
    pub index: Option<Text>,
    /// What is done.
    pub tasks: Option<TaskList>,
    /// How what comes of an event is shaped and checked.
    pub output: Option<Output>,
    /// What an event leaves in `$context`.
    pub export: Option<Export>,
}
