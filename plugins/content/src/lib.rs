//! Posts out of books: which chunks, what they say in short, and what is posted of that.
//!
//! A model writes; what it writes is not trusted. A post is made valid here: its markdown ([`markdown`]), its length, its citation,
//! and that it says nothing twice ([`repeats`]). What the host offers comes in as [`Host`], so that all of it runs in a plain test;
//! only `guest` speaks WIT.

mod compose;
mod fault;
#[cfg(target_family = "wasm")]
mod guest;
pub mod markdown;
mod plan;
mod prompt;
pub mod repeats;
mod summarize;
mod types;

pub use compose::{ComposeRequest, Post, compose};
pub use fault::Fault;
pub use plan::{PlanRequest, Selection, plan};
pub use prompt::Voice;
pub use summarize::{SummarizeRequest, summarize};
pub use types::{Answer, Ask, Chunk, Citation, Host, NewSummary, Stored, Summary};
