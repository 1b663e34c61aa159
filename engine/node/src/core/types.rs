//! What goes into the core and what comes out of it.

use std::sync::Arc;

use potok_dsl::{Problem, RunId, TaskPath, Timestamp, WorkflowId};
use potok_machine::{
    Admission, CallEffect, CallId, Definition, Entry, Made, Origin, Outcome, Parent, Pattern, Snapshot, Status,
    SubscriptionId, Trace,
};
use serde_json::Value;

/// Someone who waits for an answer; the shell knows who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(pub u64);

/// A definition as the core needs it: compiled, and the hash under which the store keeps it.
#[derive(Clone)]
pub struct Deployed {
    /// The hash of text and lock.
    pub hash: Arc<str>,
    /// The compiled definition.
    pub definition: Arc<Definition>,
}

/// A run that is to be started.
#[derive(Clone)]
pub struct StartRun {
    /// Its id.
    pub run: RunId,
    /// What it runs.
    pub deployed: Deployed,
    /// Its input, as given.
    pub input: Arc<Value>,
    /// The run that started it, if one did.
    pub parent: Option<Parent>,
    /// The run that it is made from, and what it begins with.
    pub origin: Option<Origin>,
    /// The trigger that started it, if one did.
    pub trigger: Option<Arc<str>>,
    /// The key under which its workflow starts it at most once.
    pub idempotency_key: Option<String>,
    /// Labels for people.
    pub labels: Value,
    /// Who wants to know that it is accepted (durable).
    pub client: Option<Client>,
}

/// What people may ask of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// End it as cancelled.
    Cancel(Option<String>),
    /// Let it start nothing new.
    Suspend(Option<String>),
    /// Let it go on.
    Resume,
}

/// A run as the store has it.
pub struct Stored {
    /// What it runs.
    pub deployed: Deployed,
    /// The newest snapshot and the number of the last entry in it.
    pub snapshot: Option<(u64, Kept)>,
    /// The entries after the snapshot.
    pub entries: Vec<Entry>,
    /// How many timeline rows are kept.
    pub timeline: u64,
    /// How often it was recovered without progress.
    pub recoveries: u32,
    /// What started it.
    pub trigger: Option<Arc<str>>,
    /// Its subscriptions.
    pub listeners: Vec<Listener>,
    /// When it is to be woken, as its row says.
    pub wake_at: Option<Timestamp>,
    /// What it was told and has not heard, each with who told it.
    pub messages: Vec<Message>,
}

/// A subscription as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its number.
    pub subscription: SubscriptionId,
    /// The event up to which it has looked.
    pub cursor: u64,
    /// Whether something came since that may be for it.
    pub behind: bool,
}

/// What one run says to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The other run.
    pub run: RunId,
    /// What.
    pub word: Word,
}

/// The words that runs have for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// To the parent: the child has ended.
    Ended,
    /// To a child: nobody waits for it any more.
    Cancel,
    /// To a run that was held: it has a place. From the run that made way, or from itself.
    Admitted,
    /// To a run: another one takes its place.
    Replaced,
}

/// What a snapshot row keeps: the machine's state, and where its timeline stands.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The machine's state.
    pub machine: Snapshot,
    /// The number of traces before it.
    pub traces: u64,
}

/// Why a run could not be loaded.
#[derive(Debug, Clone)]
pub enum LoadFailure {
    /// There is none of that id.
    Missing,
    /// It has ended.
    Ended(Status),
    /// The store is not to be had; try later.
    Unavailable(String),
    /// What is stored cannot be run by this version.
    Incompatible(String),
}

/// Runs that are due.
#[derive(Debug, Clone, Default)]
pub struct DueRuns {
    /// The runs, in the order of their times and ids.
    pub runs: Vec<(Timestamp, RunId)>,
    /// Whether there are more of them.
    pub more: bool,
    /// When the next one after the time asked for is due.
    pub next: Option<Timestamp>,
}

/// Runs for which an event came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nudges {
    /// The runs.
    pub runs: Vec<RunId>,
    /// Whether there are others.
    pub more: bool,
}

/// Runs that the store marks as those for which something came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BehindRuns {
    /// The runs, in the order of their ids.
    pub runs: Vec<RunId>,
    /// Whether there are more of them.
    pub more: bool,
}

/// What a subscription looks for in the stream of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// An event that fits one of these.
    pub patterns: Vec<Pattern>,
    /// With a number over this one; since the run was accepted, when there is none.
    pub cursor: Option<u64>,
}

/// What was found in the stream of events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Events with their numbers, in order.
    pub events: Vec<(u64, Arc<Value>)>,
    /// Everything up to this number was looked at.
    pub upto: u64,
    /// Whether there is more after that.
    pub more: bool,
}

/// What becomes of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub enum ListenChange {
    /// It begins, or changes.
    Set {
        /// Its number.
        subscription: SubscriptionId,
        /// What it wants from now on; `None` leaves what it wanted.
        patterns: Option<Vec<Pattern>>,
        /// The event up to which it has looked; `None` leaves that.
        cursor: Option<u64>,
    },
    /// It ends.
    Close {
        /// Its number.
        subscription: SubscriptionId,
    },
}

/// What came of a write that is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durable {
    /// For whom there is something in it.
    pub nudges: Nudges,
    /// What the store has said to runs because of it, in the name of the run that was written.
    pub said: Vec<Message>,
}

/// How a write ended.
#[derive(Debug, Clone)]
pub enum SaveFailure {
    /// Another run of the workflow has the same idempotency key.
    Duplicate(RunId),
    /// Someone else has written to the run.
    Fenced(String),
    /// It can never be written.
    Refused(String),
    /// The run may not start.
    Rejected(Problem),
    /// The store is not to be had; try later.
    Unavailable(String),
}

/// What happens to the core.
pub enum Input {
    /// A run is wanted.
    Start(StartRun),
    /// Something is asked of a run.
    Command {
        /// The run.
        run: RunId,
        /// What is asked.
        command: Command,
        /// Who asks.
        client: Client,
    },
    /// Someone wants to know how a run ends.
    Wait {
        /// The run.
        run: RunId,
        /// Who.
        client: Client,
    },
    /// Someone wants to know that a run which was started is accepted, and has not asked so far.
    Accepted {
        /// The run.
        run: RunId,
        /// Who.
        client: Client,
    },
    /// They no longer want to know.
    Forget {
        /// The run.
        run: RunId,
        /// Who.
        client: Client,
    },
    /// A call has ended.
    CallDone {
        /// The run.
        run: RunId,
        /// The call.
        call: CallId,
        /// The task that made it.
        path: TaskPath,
        /// What was called.
        digest: String,
        /// How it ended.
        outcome: Result<Arc<Value>, Problem>,
        /// What it called in turn.
        made: Option<Made>,
    },
    /// The definition of a run that a call wants is known.
    Child {
        /// The run that makes the call.
        parent: RunId,
        /// The call.
        call: CallId,
        /// The run that it wants.
        start: Box<StartRun>,
    },
    /// A run that a call wants is there already and has not ended.
    ChildThere {
        /// The run that makes the call.
        parent: RunId,
        /// The call.
        call: CallId,
        /// The run that it wants.
        child: RunId,
    },
    /// A write has ended.
    Saved {
        /// The run.
        run: RunId,
        /// How.
        result: Result<Durable, SaveFailure>,
    },
    /// A run was read from the store.
    Loaded {
        /// The run.
        run: RunId,
        /// What was read.
        result: Result<Box<Stored>, LoadFailure>,
    },
    /// The store was asked for runs that are due.
    Due(Result<DueRuns, String>),
    /// An event came in, and these may want it.
    Nudged(Nudges),
    /// The store was asked for whom something came.
    Behind(Result<BehindRuns, String>),
    /// The stream of events was looked into for a run.
    Looked {
        /// The run.
        run: RunId,
        /// What was found.
        result: Result<Found, String>,
    },
    /// The node stops: everything that is loaded is written down.
    Stop,
    /// Time has passed, or there is work to go on with.
    Tick,
}

/// What the core wants done.
pub enum Output {
    /// Write this; answer with [`Input::Saved`].
    Save(Box<Save>),
    /// Make this call; answer with [`Input::CallDone`]. One that wants a run of another workflow is answered with [`Input::Child`] or
    /// [`Input::ChildThere`], unless that run has ended.
    StartCall {
        /// The run.
        run: RunId,
        /// The call.
        effect: Box<CallEffect>,
        /// Whether it may have left before.
        again: bool,
    },
    /// Nobody wants that call's result any more.
    CancelCall {
        /// The run.
        run: RunId,
        /// The call.
        call: CallId,
    },
    /// Throw away what was said to a run that never was.
    Silence(RunId),
    /// Read a run; answer with [`Input::Loaded`].
    Load(RunId),
    /// Read a run with its whole journal and no snapshot, which this version cannot use; answer with [`Input::Loaded`].
    LoadWhole(RunId),
    /// Ask the store which runs are due, in the order of their times and ids; answer with [`Input::Due`].
    QueryDue {
        /// Due until then.
        until: Timestamp,
        /// Those after this one.
        after: Option<(Timestamp, RunId)>,
        /// How many at most.
        limit: u32,
    },
    /// Look into the stream of events for a run; answer with [`Input::Looked`].
    Look {
        /// The run.
        run: RunId,
        /// What each of its subscriptions wants.
        wanted: Vec<Wanted>,
        /// About how many events at most.
        limit: u32,
    },
    /// Ask the store for which runs something came, in the order of their ids; answer with [`Input::Behind`].
    QueryBehind {
        /// Those after this one.
        after: Option<RunId>,
        /// How many at most.
        limit: u32,
    },
    /// Tell a client.
    Answer(Client, Answer),
    /// Tell whoever follows the run: what is in it is durable.
    Publish(Update),
    /// Everything is written down.
    Stopped,
}

/// What a client is told.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The run is accepted: it will be there after a crash.
    Started(RunId),
    /// The run exists already, under the same idempotency key.
    Exists(RunId),
    /// The run has ended so.
    Ended(Outcome),
    /// The command has been taken; the run's status now.
    Taken(Status),
    /// There is no such run.
    Missing,
    /// The run may not start, and has not.
    Rejected(Problem),
    /// It cannot be done in the run's status.
    Refused(Status),
    /// The store is not to be had.
    Failed(String),
}

/// News of a run.
#[derive(Clone)]
pub struct Update {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its status now.
    pub status: Status,
    /// The number of the first trace.
    pub first: u64,
    /// What its tasks did.
    pub traces: Arc<Vec<Trace>>,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// The trigger that had started it.
    pub trigger: Option<Arc<str>>,
}

/// One write: a run's new entries, its row, and what is derived from them.
#[derive(Clone)]
pub struct Save {
    /// The run.
    pub run: RunId,
    /// The number of entries that are durable already.
    pub after: u64,
    /// What it runs.
    pub definition: Arc<Definition>,
    /// New entries.
    pub entries: Vec<Entry>,
    /// What a new run's row begins with.
    pub opening: Option<Opening>,
    /// Its status.
    pub status: Status,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// When it must be looked at again, at the latest; the beginning of time for as soon as a node is there.
    pub wake_at: Option<Timestamp>,
    /// The time of the write.
    pub at: Timestamp,
    /// How often it was recovered without progress.
    pub recoveries: u32,
    /// Its state after the last entry.
    pub snapshot: Option<Arc<Kept>>,
    /// The number of the first trace.
    pub first_trace: u64,
    /// What its tasks did.
    pub traces: Arc<Vec<Trace>>,
    /// Events that it emits: in the stream once this is durable, each once however often it is written.
    pub emits: Vec<Arc<Value>>,
    /// What becomes of its subscriptions.
    pub listening: Vec<ListenChange>,
    /// The numbers of the events that it has consumed.
    pub consumed: Vec<u64>,
    /// What it says to other runs.
    pub messages: Vec<Message>,
    /// The runs whose messages it has heard.
    pub heard: Vec<RunId>,
    /// Calls that are over and may have made others in turn: what is kept of those goes.
    pub over: Vec<CallId>,
}

/// The part of a run's row that never changes.
#[derive(Clone)]
pub struct Opening {
    /// The definition's hash.
    pub definition: Arc<str>,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The input, as given.
    pub input: Arc<Value>,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// The run that it was made from, and with which of its tasks it begins.
    pub origin: Option<(RunId, Option<TaskPath>)>,
    /// The trigger that started it.
    pub trigger: Option<Arc<str>>,
    /// The key under which its workflow starts it at most once.
    pub idempotency_key: Option<String>,
    /// Labels for people.
    pub labels: Value,
    /// When it was accepted.
    pub at: Timestamp,
    /// The place that it needs before it begins.
    pub admission: Option<Admission>,
}
