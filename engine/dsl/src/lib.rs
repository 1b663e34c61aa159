//! The language: Open Workflow DSL text in, a typed definition out.
//!
//! Two things live here. The *words* that every other room uses ([`RunId`], [`Problem`], [`Timestamp`], …), because this
//! crate is the one that all of them may know. And the *language* itself: [`model`] is the typed form of a workflow.
//!
//! This crate does no IO, knows no engine and evaluates no expression: an expression is text with a place.

pub mod model;
mod problem;
mod words;

pub use problem::{ErrorType, Problem};
pub use words::{FunctionName, Millis, NameError, RunId, TaskPath, Timestamp, WorkflowId};
