//! The durable store: what a run has consumed, and what must be there after a crash.
//!
//! A [`Store`] keeps runs with their journals, snapshots, timelines and inner calls; definitions, plugins and triggers; the stream of events
//! and who waits for what of it; large values and blobs by their content; and the tables of providers. [`SqliteStore`] is the one for a single
//! machine.
//!
//! Everything goes through one writer that does group commit: all writes that are pending share one transaction and one flush of the disk,
//! and each is answered when it is durable. A write that is fenced off or refused fails alone.
//!
//! The store interprets nothing: an entry of the journal, a snapshot and a line of a timeline are JSON, a status is text. It knows
//! no machine, no node and no clock; every time comes with what is written.

mod document;
mod encode;
mod error;
mod events;
mod mentions;
mod metrics;
mod rows;
mod sqlite;
mod store;
pub mod values;
mod write;

pub use document::Document;
pub use error::StoreError;
pub use events::{
    EventFilter, EventRow, Found, NewEvent, Nudges, Pattern, Shape, SubscriptionChange, SubscriptionRow, Taken, Trim,
    Wanted,
};
pub use metrics::{Histogram, Metrics};
pub use rows::{
    BlobRow, DefinitionFilter, DefinitionRow, Hash, InnerCall, InnerCallRow, LoadedRun, PluginRow, ProviderMigration,
    RunCursor, RunFilter, RunPage, RunRow, SqlRow, SqlStatement, SqlValue, StoredValue, TimelineRow, TriggerRow, hash,
    hex, parse_hex,
};
pub use sqlite::{Config, SqliteStore};
pub use store::Store;
pub use write::{
    ADMITTED, Conflict, InnerWrite, MOST_WAITING, Message, REPLACED, Reservation, RowChange, RunUpdate, RunWrite, Slot,
    Write, Written,
};
