//! Placeholder.
pub mod summary;
pub mod text;
pub mod world;
