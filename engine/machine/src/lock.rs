//! What a deployed workflow is bound to: the components behind the functions that it calls.
//!
//! The lock is made by whoever deploys; the machine only looks functions up in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A function as it was found when the workflow was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LockedFunction {
    /// The SHA-256 of its component, in hex.
    pub component: String,
    /// Its full name, such as `book.extract:1.0.0`.
    pub function: String,
    /// Whether its component imports no effectful capability.
    pub pure: bool,
}

/// Everything that a workflow is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lock {
    /// Functions by the name under which the workflow calls them.
    pub functions: BTreeMap<String, LockedFunction>,
}
