//! The component host: plugins in, typed JSON calls out.
//!
//! A component's bytes are read and compiled ([`Host::inspect`]), linked to the capabilities that were granted ([`Host::install`]), and its
//! functions called with JSON, each call in a fresh instance with limits on time, memory and output ([`Host::call`]); what it asks of
//! capabilities may be kept meanwhile ([`Host::call_kept`], [`Ledger`]). Capabilities come from [`Provider`]s, which speak JSON too. The full
//! jq evaluator is a component as well ([`Host::jq`]).
//!
//! It knows WebAssembly and JSON. It knows no workflow, no store and no particular capability: those come in through
//! [`Provider`] and [`Tables`].

mod admit;
mod call;
mod catalog;
mod config;
mod engine;
mod error;
mod fault;
mod grants;
mod host;
mod info;
mod jq;
mod ledger;
mod lift;
mod link;
mod lower;
mod names;
mod plugin;
mod problem;
mod provider;
#[cfg(test)]
mod roundtrip;
mod schema;
mod shape;
mod state;
mod wasi;
mod wit;

pub use config::HostConfig;
pub use error::{HostError, InstallError, ResolveError, UninstallError};
pub use grants::Grants;
pub use host::Host;
pub use info::{FunctionInfo, ImportInfo, ImportKind, PluginInfo};
pub use ledger::{Answered, Asked, Ledger, Turn};
pub use provider::{CallContext, Migration, Param, Provider, Row, Statement, TableError, Tables, Unavailable};
pub use wit::with_wit;

/// Bytes in lower-case hex.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
