//! The machine as its users see it: workflows in, effects and outcomes out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "it/properties.rs"]
mod properties;
