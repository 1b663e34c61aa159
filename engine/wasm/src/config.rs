//! What the operator may set about the component host, with defaults that suit a laptop.

use std::path::PathBuf;

const MIB: usize = 1024 * 1024;

/// Limits and places of a [`Host`](crate::Host).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Where compiled code is kept between starts; nowhere when `None`. The directory must be writable by the engine alone:
    /// what lies in it is executed.
    pub cache_dir: Option<PathBuf>,
    /// The most memory, in bytes, that one call may use inside its component.
    pub memory_limit: usize,
    /// The most bytes, as JSON, that a function may return or hand to a capability.
    pub output_limit: usize,
    /// How many calls may run at once; more wait for their turn. Each reserves address space, not memory.
    pub pool_instances: u32,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            memory_limit: 256 * MIB,
            output_limit: 64 * MIB,
            pool_instances: 256,
        }
    }
}
