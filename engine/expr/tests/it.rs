//! The native evaluator against the full one (the source of the jq component, compiled natively), the expressions of the
//! specification's examples, diagnostics, and the rules that hold for both evaluators.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[allow(dead_code, missing_docs, clippy::all)]
#[path = "../../../plugins/jq/src"]
mod jaq {
    pub mod engine;
    mod natives;
    mod prelude;
    pub mod value;
}

#[path = "it/corpus.rs"]
mod corpus;
#[path = "it/differential.rs"]
mod differential;
#[path = "it/full.rs"]
mod full;
#[path = "it/messages.rs"]
mod messages;
#[path = "it/raw.rs"]
mod raw;
#[path = "it/rules.rs"]
mod rules;
#[path = "it/secrets.rs"]
mod secrets;
#[path = "it/speed.rs"]
mod speed;
