//! `text.split`: chapters in, chunks out.
//!
//! A chunk is small enough for a model to read at once, and says where in the book it stands. Nothing here knows the host; only
//! `guest` speaks WIT.

mod borders;
mod chunk;
#[cfg(target_family = "wasm")]
mod guest;
mod quote;
mod split;

pub use chunk::{Chunk, Citation};
pub use split::{Invalid, Options, split};

/// A part of a book with a heading of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// The heading.
    pub title: Option<String>,
    /// The text.
    pub text: String,
}
