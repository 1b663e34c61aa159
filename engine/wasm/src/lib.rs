//! The component host: plugins in, typed JSON calls out.
//!
//! It knows WebAssembly and JSON. It knows no workflow, no store and no particular capability: those come in through
//! [`Provider`] and [`Tables`].

mod config;
mod error;
mod grants;
mod host;
mod info;
mod names;
mod provider;

pub use config::HostConfig;
pub use error::{HostError, InstallError, ResolveError, UninstallError};
pub use grants::Grants;
pub use host::Host;
pub use info::{FunctionInfo, ImportInfo, ImportKind, PluginInfo};
pub use provider::{CallContext, Migration, Param, Provider, Row, Statement, TableError, Tables, Unavailable};
