//! The server in front of a real node, with the store in memory and the fixture plugin, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod accounts;
mod again;
mod bounds;
mod bulk;
mod children;
mod crowd;
mod document;
mod documents;
mod events;
mod functions;
mod inner;
mod lifecycle;
mod limits;
mod outreach;
mod proxies;
mod retention;
mod rig;
mod runs;
mod secrets;
mod statistics;
mod stream;
mod telegram;
mod webhooks;
mod workflows;
