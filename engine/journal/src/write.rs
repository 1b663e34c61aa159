//! What can be written. Each [`Write`] stands or falls as a whole, and alone.

use std::sync::Arc;

use potok_dsl::RunId;
use serde_json::Value;

use crate::document::Document;
use crate::events::{NewEvent, Nudges, SubscriptionChange, Taken, Trim};
use crate::rows::{
    DefinitionRow, Hash, InnerCall, PluginRow, RunRow, SqlRow, SqlStatement, StoredValue, TimelineRow, TriggerRow,
};

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// New entries of one run, and what goes with them. Gives [`Written::Run`].
    Run(Box<RunWrite>),
    /// Stores a definition. The same text under a known id is no error: [`Written::Definition`] names the one that is there.
    Definition(Box<DefinitionRow>),
    /// Chooses the active version of a workflow; `None` goes back to the newest.
    Activate {
        /// The workflow's namespace.
        namespace: String,
        /// The workflow's name.
        name: String,
        /// The version.
        version: Option<String>,
    },
    /// Removes a definition and its triggers; refused while unfinished runs use it.
    RemoveDefinition {
        /// Its hash.
        hash: String,
    },
    /// Stores a plugin; the same hash again changes its grants.
    Plugin {
        /// What is known of it.
        row: Box<PluginRow>,
        /// Its component.
        bytes: Arc<[u8]>,
    },
    /// Removes a plugin. Whether anything has it locked is the node's business.
    RemovePlugin {
        /// Its hash.
        hash: String,
    },
    /// Sets the state of a trigger.
    Trigger(TriggerRow),
    /// Removes all triggers of a definition.
    RemoveTriggers {
        /// The definition's hash.
        definition: String,
    },
    /// Stores bytes by their content. Gives [`Written::Value`].
    Value {
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// Stores bytes by their content and lists them as a blob. Gives [`Written::Value`].
    Blob {
        /// The bytes.
        bytes: Arc<[u8]>,
        /// A name for people; a later one replaces it.
        name: Option<String>,
        /// The media type; a later one replaces it.
        media_type: Option<String>,
        /// The time.
        created_at: i64,
    },
    /// Keeps a call that was made inside a call of an unfinished run, until the outer one is over ([`RunWrite::over`]). Kept again, it
    /// replaces the former. It shows that the run gets on: its recoveries begin anew.
    Inner(Box<InnerWrite>),
    /// Throws away what was said to a run that never was.
    Silence {
        /// The run.
        run: RunId,
    },
    /// Asks for a moment under a rate. Gives [`Written::Reserved`].
    Reserve(Reservation),
    /// Executes statements on a provider's tables. Gives [`Written::Rows`].
    Tables(Vec<SqlStatement>),
    /// Events come in, all or none. Gives [`Written::Events`].
    Events(Vec<NewEvent>),
    /// The oldest events leave the stream, and shapes that nobody has any more. Gives [`Written::Trimmed`].
    TrimEvents(Trim),
    /// A run that has ended is on its way out: nobody sees it any more, and [`Write::Sweep`] removes it. Refused while it, or the run that has
    /// started it, has not ended.
    Retire {
        /// The run.
        run: RunId,
    },
    /// Removes rows of runs that are on their way out, and values that nothing mentions any more. Gives [`Written::Swept`].
    Sweep {
        /// About how many rows at most.
        most: usize,
    },
    /// Removes blobs that nothing mentions, of those that are named and were stored before a time. Gives [`Written::Swept`].
    SweepBlobs {
        /// Which ones may go.
        hashes: Vec<Hash>,
        /// Only those that were stored for the last time before this.
        before: i64,
    },
    /// Several writes of which all stand or none, such as the run that a trigger starts and the trigger's new state. They cannot be nested.
    /// Gives [`Written::All`].
    All(Vec<Write>),
}

/// What a write gives back once it is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// Nothing.
    Done,
    /// The run's entries are durable.
    Run {
        /// The number of the last one; the `expect_seq` of the run's next write.
        last_seq: u64,
        /// Runs that may want one of its events; the run itself, when something that came before is for it.
        nudges: Nudges,
        /// What the store itself has said to runs because of this write: that they have a place, or that another takes theirs.
        said: Vec<Message>,
    },
    /// The definition is stored.
    Definition {
        /// The hash of the one that is there: another than the given one when the same text was stored before under another lock.
        hash: String,
        /// Whether it is new.
        created: bool,
    },
    /// The bytes are stored.
    Value {
        /// Their hash.
        hash: Hash,
    },
    /// The events are durable.
    Events {
        /// What became of each.
        taken: Vec<Taken>,
        /// Runs that may want one of them.
        nudges: Nudges,
    },
    /// The moment that was given, now or to the same key before.
    Reserved(i64),
    /// How many events have left the stream.
    Trimmed(u64),
    /// How many rows were removed; nothing is left to be removed when there was none.
    Swept(u64),
    /// The rows of each statement.
    Rows(Vec<Vec<SqlRow>>),
    /// What each write of a [`Write::All`] gives.
    All(Vec<Written>),
}

/// A moment that is asked for: of those of one rate at most `limit` lie in any `span`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// What shares the moments.
    pub rate: String,
    /// Who asks: the same key gets the same moment, until that is over.
    pub key: String,
    /// How many moments.
    pub limit: u32,
    /// In which span, in milliseconds.
    pub span: i64,
    /// The time.
    pub now: i64,
    /// The earliest moment that is of use.
    pub earliest: i64,
}

/// A call that was made inside a call of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct InnerWrite {
    /// The run.
    pub run: RunId,
    /// The outer call; its number is never used again in the run.
    pub call: u64,
    /// The execution of the task that makes the outer call, for people.
    pub path: String,
    /// What was made, and what it gave.
    pub inner: InnerCall,
}

/// New entries of one run: one row of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct RunWrite {
    /// The run.
    pub run: RunId,
    /// The number of the last entry that is durable, 0 for a new run. Anything else gives a conflict.
    pub expect_seq: u64,
    /// The new entries; may be empty.
    pub entries: Vec<Document>,
    /// Values that must be durable with the entries.
    pub values: Vec<StoredValue>,
    /// What becomes of the run's row. A new run needs [`RowChange::Open`].
    pub row: Option<RowChange>,
    /// The state after the last entry; replaces the older one.
    pub snapshot: Option<Value>,
    /// New rows of the timeline, in order.
    pub timeline: Vec<TimelineRow<Document>>,
    /// Events that the run emits; one that is in the stream already stays as it is.
    pub events: Vec<NewEvent>,
    /// What becomes of its subscriptions, in order.
    pub subscriptions: Vec<SubscriptionChange>,
    /// The numbers of events that it has consumed: it is not shown them again.
    pub consumed: Vec<u64>,
    /// The run has ended: it takes no more entries and no more events, and its snapshot goes, unless the write brings one.
    pub finished: bool,
    /// The place that a run needs to begin. The store says [`ADMITTED`] to the run when it has it, with this write or later.
    pub slot: Option<Slot>,
    /// What it says to other runs.
    pub messages: Vec<Message>,
    /// The runs whose messages it has heard.
    pub heard: Vec<RunId>,
    /// Its calls that are over: what was kept of the calls inside them goes.
    pub over: Vec<u64>,
}

/// The store's word to a run that has got its place; it comes from the run that made way, or from itself.
pub const ADMITTED: &str = "admitted";

/// The store's word to a run whose place another one takes.
pub const REPLACED: &str = "replaced";

/// How many runs may wait for a place in one group.
pub const MOST_WAITING: u64 = 1_000;

/// A place among the runs of a group. A run has it, or waits for it, until it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What shares the places.
    pub group: String,
    /// How many places there are.
    pub limit: u32,
    /// What happens when all are taken.
    pub conflict: Conflict,
}

/// What happens when all places of a group are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The run waits; it is refused when too many do.
    Queue,
    /// The run is refused.
    Reject,
    /// The oldest runs are told to make way, and the run waits until they have.
    Replace,
}

/// What one run says to another. It stays until that one has heard it or has ended, and until then that one is due at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The other run.
    pub run: RunId,
    /// What is said.
    pub word: String,
}

impl RunWrite {
    /// A write of nothing yet.
    #[must_use]
    pub fn new(run: RunId, expect_seq: u64) -> Self {
        Self {
            run,
            expect_seq,
            entries: Vec::new(),
            values: Vec::new(),
            row: None,
            snapshot: None,
            timeline: Vec::new(),
            events: Vec::new(),
            subscriptions: Vec::new(),
            consumed: Vec::new(),
            finished: false,
            slot: None,
            messages: Vec::new(),
            heard: Vec::new(),
            over: Vec::new(),
        }
    }
}

/// What becomes of a run's row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// It begins.
    Open(Box<RunRow>),
    /// Its changing columns are set.
    Update(RunUpdate),
}

impl From<RunRow> for RowChange {
    fn from(row: RunRow) -> Self {
        Self::Open(Box::new(row))
    }
}

impl From<RunUpdate> for RowChange {
    fn from(update: RunUpdate) -> Self {
        Self::Update(update)
    }
}

/// The columns of a run's row that change.
#[derive(Debug, Clone, PartialEq)]
pub struct RunUpdate {
    /// The status.
    pub status: String,
    /// The output; `None` leaves what is there.
    pub output: Option<Value>,
    /// The problem; `None` leaves what is there.
    pub error: Option<Value>,
    /// When a node must look at the run again; `None` for never.
    pub wake_at: Option<i64>,
    /// When its first task started; `None` leaves what is there.
    pub started_at: Option<i64>,
    /// The time of the write. Where nothing else changes, the row may keep an earlier one of the same second.
    pub updated_at: i64,
    /// When it ended; `None` leaves what is there.
    pub ended_at: Option<i64>,
    /// Labels; `None` leaves what is there.
    pub labels: Option<Value>,
    /// How often it was recovered without progress.
    pub recoveries: u32,
}
