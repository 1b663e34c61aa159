//! The machine as its users see it: workflows in, effects and outcomes out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "it/admissions.rs"]
mod admissions;
#[path = "it/bounds.rs"]
mod bounds;
#[path = "it/calls.rs"]
mod calls;
#[path = "it/data.rs"]
mod data;
#[path = "it/emits.rs"]
mod emits;
#[path = "it/events.rs"]
mod events;
#[path = "it/extensions.rs"]
mod extensions;
#[path = "it/flow.rs"]
mod flow;
#[path = "it/forks.rs"]
mod forks;
#[path = "it/listens.rs"]
mod listens;
#[path = "it/loops.rs"]
mod loops;
#[path = "it/origins.rs"]
mod origins;
#[path = "it/properties.rs"]
mod properties;
#[path = "it/rates.rs"]
mod rates;
#[path = "it/refused.rs"]
mod refused;
#[path = "it/secrets.rs"]
mod secrets;
#[path = "it/support.rs"]
mod support;
#[path = "it/times.rs"]
mod times;
#[path = "it/tries.rs"]
mod tries;
