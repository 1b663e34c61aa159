//! The engine as a process, killed with `SIGKILL` and started again on the same data: what was promised holds.
//!
//! Seeds decide where it dies. `POTOK_TEST_TIER=all` tries more of them, `POTOK_SEED=n` only the one. `POTOK` names the binary;
//! without it the one beside the test is built.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod children;
mod disk;
mod engine;
mod events;
mod failpoint;
mod inner;
mod made;
mod once;
mod oracle;
mod outside;
mod pipeline;
mod places;
mod recovery;
mod seeds;
mod small;
mod storm;
