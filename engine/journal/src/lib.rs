//! The durable store: what a run has consumed, and what must be there after a crash.

mod error;
mod metrics;
mod rows;
mod store;
pub mod values;
mod write;

pub use error::StoreError;
pub use metrics::{Histogram, Metrics};
pub use rows::{
    BlobRow, DefinitionFilter, DefinitionRow, Hash, LoadedRun, PluginRow, ProviderMigration, RunCursor, RunFilter,
    RunPage, RunRow, SqlRow, SqlStatement, SqlValue, StoredValue, TimelineRow, TriggerRow, hash, hex, parse_hex,
};
pub use store::Store;
pub use write::{RowChange, RunUpdate, RunWrite, Write, Written};
