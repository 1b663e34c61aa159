//! The language: Open Workflow DSL text in, a typed definition out.
//!
//! Two things live here. The *words* that every other room uses ([`RunId`], [`Problem`], [`Timestamp`], …), because this
//! crate is the one that all of them may know. And the *language* itself: [`parse`] turns text into [`model`], the typed form of a
//! workflow, or says what is wrong and where ([`Diagnostics`]).
//!
//! This crate does no IO, knows no engine and evaluates no expression: an expression is text with a place.

mod diagnostic;
mod duration;
mod graph;
mod lint;
pub mod model;
mod placed;
mod problem;
mod read;
pub mod schema;
mod support;
mod words;
mod write;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, MAX_DIAGNOSTICS, Severity};
pub use duration::DurationError;
pub use graph::graph;
pub use lint::{Schemas, lint};
pub use placed::Placed;
pub use problem::{ErrorType, Problem};
pub use read::{Parsed, data, function, parse, parse_bytes};
pub use support::unsupported;
pub use words::{FunctionName, Millis, NameError, Period, RunId, SecretName, TaskPath, Timestamp, WorkflowId};
