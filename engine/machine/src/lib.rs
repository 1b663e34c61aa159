//! The run state machine: a workflow's definition and the events of a run in, effects out.

mod effect;
mod error;
mod event;
mod lock;
mod observer;

pub use effect::{CallEffect, CallId, Effect, HttpOutput, HttpRequest, Outcome, Request, Status, TimerId};
pub use error::{Incompatible, Mismatch};
pub use event::{Entry, Event, Recorded, Start};
pub use lock::{Lock, LockedFunction};
pub use observer::{Observer, Trace, TraceKind};

/// The version of machine and expressions: what a run does with the same events. Each run pins it in its [`Start`].
pub const SEMANTICS: u32 = 1;
