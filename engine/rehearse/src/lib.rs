//! Rehearsals: a workflow run in a world that a test describes, without clock, network or store.
//!
//! A [`Plan`] is read from a `*.test.yaml`: cases with an input, what calls are answered with, which events come when, and what is expected
//! of the run. [`rehearse`] drives the machine itself through a case in virtual time, an hour of waiting taking none, and [`judge`] holds
//! what happened against what was expected. [`record`] goes the other way: of the journal of a real run it makes a plan whose one case
//! goes as that run went.
//!
//! Functions that are pure may run as they are, through [`Pure`]. Whatever else a run asks of the world must be in the plan; a call that is
//! not fails the case and names itself.

mod judge;
mod mock;
mod plan;
mod rates;
mod record;
mod report;
mod stage;
mod yaml;

pub use judge::{Verdict, judge};
pub use plan::{Case, Expected, Plan, SCHEMA};
pub use record::{NotRecorded, record};
pub use report::{Report, Tally};
pub use stage::{Performance, Pure, rehearse};
