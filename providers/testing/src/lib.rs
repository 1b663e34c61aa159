//! What the tests of providers and of calls talk to: a scripted HTTP server that can fail at every point of an exchange
//! ([`Server`]), a proxy ([`Socks`]), and tables in memory that can fail at every write ([`MemoryTables`]).
//!
//! For tests only: nothing that is shipped depends on this crate. It knows no provider.

mod server;
mod socks;
mod tables;

use std::sync::Arc;
use std::time::{Duration, Instant};

use potok_dsl::{TaskPath, Timestamp};
use potok_wasm::{CallContext, Tables};

pub use server::{Reply, Request, Server, nobody};
pub use socks::Socks;
pub use tables::{Fate, MemoryTables};

/// Installs the TLS provider that HTTP clients need, as the binary does first thing.
pub fn install_tls() {
    // An error means that another test was faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The context of a call with a key of its own, that may take so long.
#[must_use]
pub fn context(tables: Arc<dyn Tables>, key: &str, timeout: Duration) -> CallContext {
    CallContext {
        run: None,
        path: TaskPath(Arc::from("/do/0/test")),
        idempotency_key: Arc::from(key),
        sequence: 1,
        confidential: false,
        deadline: Instant::now() + timeout,
        now: Timestamp(1_769_846_400_000),
        tables,
    }
}
