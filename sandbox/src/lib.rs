//! Placeholder.
pub mod text;
pub mod world;
