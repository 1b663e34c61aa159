//! What is kept of the capability calls inside one call of a function, so that it goes on after a crash where it was.
//!
//! The guest runs from its start again, with the same clock and the same random numbers, so it asks for the same things in the same order.
//! What was answered before comes from the ledger; the first call of which the ledger knows nothing is really made. Calls of pure capabilities
//! are numbered like all others and kept nowhere: they give the same again. A guest makes one call at a time (the component model's
//! concurrency is off), so numbers have one order.

use async_trait::async_trait;
use potok_dsl::{Problem, Timestamp};
use serde_json::Value;

/// A capability call that a guest makes.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its number within the call of the function, from 1.
    pub number: u32,
    /// The interface without version: `potok:ai/chat`.
    pub interface: &'a str,
    /// The function's name in WIT.
    pub function: &'a str,
    /// The arguments.
    pub args: &'a Value,
}

/// What a capability call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// As the guest is to see it.
    pub outcome: Result<Value, Problem>,
    /// When: the guest's clock moves on to there.
    pub at: Timestamp,
}

/// How a capability call is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// It was made before.
    Known(Answered),
    /// It is to be made; the time now.
    Make(Timestamp),
}

/// The capability calls of one call of a function. Those of pure capabilities do not get here.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The guest asks. A call that is to be made leaves when this returns: so it returns when nothing that was answered before can be lost.
    ///
    /// # Errors
    /// What ends the call of the function: the guest asks for something else than before, or for too much, or the ledger cannot be kept.
    async fn ask(&self, asked: Asked<'_>) -> Result<Turn, Problem>;

    /// What the call that was asked for last has given; gives what the guest is to see of it.
    async fn answer(&self, outcome: Result<Value, Problem>) -> Answered;

    /// The guest has returned.
    ///
    /// # Errors
    /// When it should have asked for more first, as it did before.
    async fn returned(&self) -> Result<(), Problem>;
}
