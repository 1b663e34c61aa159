//! The run state machine: a workflow's definition and the events of a run in, effects out.
//!
//! [`Definition::compile`] makes of a workflow what [`Machine`] runs. A machine is moved by events alone ([`Machine::apply`]) and
//! answers with [`Effect`]s: calls to make, timers to start, the run's end. The same start and the same events give the same
//! effects, wherever and whenever they are applied; so a journal of events is all that a run needs to survive. A [`Snapshot`]
//! saves the replaying, an [`Observer`] is told what people want to see.
//!
//! Absent on purpose: input and output, clocks, randomness, threads, async. The only time is that of the last event; jitter and
//! keys are hashes of run, path and attempt. The crate knows the language and its expressions, and nothing of plugins, stores or
//! networks.
//!
//! ```
//! use std::sync::Arc;
//! use potok_dsl::{RunId, Timestamp};
//! use potok_machine::{Definition, Effect, Event, Lock, Machine, SEMANTICS, Start};
//!
//! let text = "
//! document: { dsl: '1.0.3', namespace: examples, name: greet, version: '1.0.0' }
//! do:
//!   - rest: { wait: { seconds: 5 } }
//!   - greet: { set: { greeting: '${ \"Hello, \" + .name }' } }
//! ";
//! let parsed = potok_dsl::parse("greet.yaml", text)?;
//! let evaluator = potok_expr::Evaluator::native();
//! let definition = Definition::compile(&parsed.workflow, &Lock::default(), &evaluator).map_err(|list| format!("{list:?}"))?;
//!
//! let input = Arc::new(serde_json::json!({ "name": "Ann" }));
//! let (run, at) = (RunId::from_bytes([1; 16]), Timestamp(0));
//! let start = Start { semantics: SEMANTICS, run, definition: parsed.hash, input, at, parent: None, held: false, origin: None };
//! let (mut machine, effects) = Machine::start(Arc::new(definition), evaluator, &start, &mut ());
//! let [Effect::StartTimer { timer, at: Timestamp(5_000) }] = effects[..] else { panic!("{effects:?}") };
//!
//! let recorded = machine.record(Timestamp(5_000), Event::TimerFired { timer }); // to be journaled
//! let effects = machine.apply(&recorded, &mut ())?;
//! let [Effect::Finish(outcome)] = &effects[..] else { panic!("{effects:?}") };
//! assert_eq!(outcome.output.as_deref(), Some(&serde_json::json!({ "greeting": "Hello, Ann" })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the language leaves open
//! - A skipped task (`if`) leads to the next one in its list, whatever its `then` says; its export does not happen.
//! - `exit` ends the innermost list: a `do`, an iteration (the next one follows), what is tried, what a `catch` does. `end` ends
//!   the workflow with that task's output and the context as that task sees it; the tasks around it end with the same output,
//!   theirs is not shaped or exported.
//! - A `catch` with a retry policy and neither `do` nor `then` lets the error through when the policy gives up; one without all
//!   three swallows it, and the `try` gives its input. What `catch.do` begins with is the input of the `try`.
//! - `limit.attempt.count` counts retries: 5 means six attempts. An attempt that takes longer than `limit.attempt.duration` ends
//!   with a timeout error that goes through the `catch` like any other.
//! - A `call` of a task in `use.functions` gives it the evaluated `with` (an empty object when there is none) as raw input; it
//!   sees `$context`, but no variable of the loops and catches around the call.
//! - Branches of a `fork` are scopes of their own: `exit` and `continue` end the branch, `end` the workflow. A branch that faults ends the
//!   others and the fork. In a race (`compete`) a branch that is skipped does not win, and only the winner's exports count.
//! - An event that is emitted has an id derived from run and path, so it is the same event when a `try` emits it again.
//! - A `listen` takes an event by the first filter that is open; what ends it (`until`) comes first; of several listeners the oldest takes
//!   it. Filters and correlations are settled in the module `filter`, what is kept in `listening`. While a run is suspended, or while too
//!   many events wait for `foreach`, its subscriptions rest.
//! - `foreach` begins each time with the input of the `listen`; `until` is tested when an event was consumed and again when it was worked on.
//! - Extensions lie around a task like the skins of an onion, see the module `extensions`. What they do is not extended itself.
//! - Functions of `use.functions` may call themselves; how deep is bounded when they run.
//! - Months of a duration are those of the calendar, in UTC, from the moment at which it begins.
//! - `$runtime.version` is the version of the semantics, so that it stays the same when the program is upgraded.
//! - A `run: workflow` whose task is tried again starts another run: the runs of all attempts are there to be seen.
//! - A run of a workflow that limits how many there are at once is held until it is admitted: then it begins, and so do its timeout and
//!   `$workflow.startedAt`. It can be cancelled and suspended before.
//! - A task with a rate asks for its moment after `if` and `input`; its extensions, its timeout and `$task.startedAt` begin with its work. One
//!   that comes too late for its moment (the run was suspended, no node was there) asks for another.
//! - `$secrets.name` is a placeholder that the host resolves when a call leaves (see [`potok_expr::secret`]). What comes into a run holds
//!   none, and what a run ends with shows marks in their places: so no placeholder comes from or goes to another run.
//! - A run that is made from another one begins with that one's state, as if no time had passed: its timers, and the moments at which its
//!   tasks began, are moved by the time that lay between. Open calls are made again under its own keys.
//! - What happens to the workflow as a whole has the instance `/input`, `/output` or `/timeout`.

mod admission;
mod cloudevent;
mod cut;
mod definition;
mod digest;
mod effect;
mod error;
mod event;
mod filter;
mod frame;
mod listening;
mod lock;
mod machine;
mod merge;
mod observer;
mod origin;
mod request;
mod retry;
mod scope;
mod secrets;
mod slab;
mod snapshot;
mod state;
mod step;
#[cfg(feature = "testing")]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub mod testing;
mod transfer;

pub use admission::{Admission, OnConflict};
pub use cloudevent::{correlated, read_event};
pub use definition::Definition;
pub use effect::{
    CallEffect, CallId, Correlation, Effect, EmitEffect, HttpOutput, HttpRequest, OpenApiRequest, Outcome, Pattern,
    QueryValue, Request, Status, Subscription, SubscriptionId, TimerId,
};
pub use error::{Incompatible, Mismatch};
pub use event::{Entry, Event, Made, Recorded, Start};
pub use lock::{Lock, LockedDocument, LockedFunction, LockedOperation, LockedSchema, LockedWorkflow};
pub use machine::Machine;
pub use observer::{Observer, Trace, TraceKind};
pub use origin::{NoOrigin, Origin, Point};
pub use request::{MOST_NESTED, Parent, ProcessOutput, RateRequest, ShellRequest, WorkflowRequest};
pub use snapshot::Snapshot;

/// The version of machine and expressions: what a run does with the same events. Each run pins it in its [`Start`].
pub const SEMANTICS: u32 = 1;
