//! Why the machine refuses an event or a snapshot.

use potok_dsl::TaskPath;

use crate::effect::{CallId, SubscriptionId, TimerId};

/// An event that cannot have happened to this run as this machine sees it. The machine has not consumed it; the run is to be
/// suspended with this message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// A completion of a call that was never made.
    #[error(
        "the journal holds a completion of call {call} ({path}, digest {digest}), but this machine has made only {made} calls: \
         the run was journaled by another version"
    )]
    UnknownCall {
        /// The call.
        call: CallId,
        /// Where the journal says that it was made.
        path: TaskPath,
        /// What the journal says was called.
        digest: String,
        /// How many calls were made.
        made: u64,
    },
    /// A completion of a call that was another one here.
    #[error(
        "the journal holds a completion of call {call} as {path} (digest {digest}), but this machine made it as {expected_path} \
         (digest {expected_digest}): the run was journaled by another version"
    )]
    OtherCall {
        /// The call.
        call: CallId,
        /// Where the journal says that it was made.
        path: TaskPath,
        /// What the journal says was called.
        digest: String,
        /// Where it was made here.
        expected_path: TaskPath,
        /// What was called here.
        expected_digest: String,
    },
    /// A timer that was never started.
    #[error(
        "the journal holds timer {timer}, but this machine has started only {started} timers: the run was journaled by another version"
    )]
    UnknownTimer {
        /// The timer.
        timer: TimerId,
        /// How many timers were started.
        started: u64,
    },
    /// A subscription that was never made.
    #[error(
        "the journal holds an event for subscription {subscription}, but this machine has made only {made} subscriptions: the run was \
         journaled by another version"
    )]
    UnknownSubscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// How many subscriptions were made.
        made: u64,
    },
    /// An event that the listener does not take.
    #[error(
        "the journal holds event {sequence} for subscription {subscription}, which does not take it here: the run was journaled by \
         another version"
    )]
    OtherEvent {
        /// The subscription.
        subscription: SubscriptionId,
        /// The event's number.
        sequence: u64,
    },
    /// An event from a place that the run does not come to.
    #[error(
        "the journal holds an event that entered after {recorded} tasks, but this machine stands at {machine}: the run was \
         journaled by another version"
    )]
    Tasks {
        /// Where the event entered.
        recorded: u64,
        /// Where the machine stands.
        machine: u64,
    },
    /// A run of another version.
    #[error(
        "the run was started with semantics {run}, this machine knows {machine}: run it with the version that started it"
    )]
    Semantics {
        /// What the run was started with.
        run: u32,
        /// What the machine knows.
        machine: u32,
    },
    /// A run that was made from another one, whose state cannot be read.
    #[error("the state of the other run that it was made from cannot be read: {0}")]
    Origin(Incompatible),
}

/// A snapshot that this machine cannot go on from. Replay the journal instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatible {
    /// A snapshot in another encoding.
    #[error("the snapshot is in version {found} of its encoding, this machine reads {known}")]
    Version {
        /// The snapshot's.
        found: u32,
        /// The machine's.
        known: u32,
    },
    /// A run of another version.
    #[error("the run was started with semantics {run}, this machine knows {machine}")]
    Semantics {
        /// What the run was started with.
        run: u32,
        /// What the machine knows.
        machine: u32,
    },
    /// A snapshot of another definition.
    #[error("the snapshot belongs to definition {found}, not to {given}")]
    Definition {
        /// The fingerprint in the snapshot.
        found: String,
        /// The fingerprint of the definition given.
        given: String,
    },
    /// A snapshot that refers to what it does not hold.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
}
