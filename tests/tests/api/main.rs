//! The HTTP API of the real binary, as someone with `curl` uses it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod durable;
mod secrets;
mod telegram;
mod use_it;
