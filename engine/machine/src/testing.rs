//! For tests of this crate and of whoever drives machines: random workflows, and a driver that keeps the books.
//!
//! Behind the feature `testing`. Everything is decided by a seed, so that a failure comes again.
//!
//! - [`eventful`] makes a definition of every construct that the machine executes, as JSON text for [`potok_dsl::parse`], [`workflow`]
//!   one that neither emits nor listens; [`compiled`] compiles it against [`lock`], whose functions [`answer`] plays; [`event`] makes what
//!   it may listen for.
//! - [`Driver`] runs a machine in memory: it journals what it applies, tracks open calls and timers by the effects alone, and
//!   panics when the machine's effects contradict each other (a call cancelled twice, an effect after the end, …).

mod driver;
mod generate;
mod random;

pub use driver::Driver;
pub use generate::{answer, compiled, event, eventful, lock, workflow};
pub use random::Random;
