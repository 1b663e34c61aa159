//! The command line as people and scripts use it: exit codes, what goes to which stream, and what bad input gets for an answer.
//!
//! Every test starts the real binary in a directory of its own and talks to nothing but this machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod book_routes;
mod books;
mod diagnostics;
mod editing;
mod exit_codes;
mod help;
mod inputs;
mod journal;
mod models;
mod pipeline;
mod plugins;
mod rig;
mod runs;
mod sandbox;
mod secrets;
mod server;
mod surface;
