//! What a deployed workflow is bound to: the components behind the functions that it calls, the definitions of the workflows that it runs,
//! and what was fetched when it was deployed.
//!
//! The lock is made by whoever deploys; the machine only looks functions up in it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// A workflow as it was found when the one that runs it was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LockedWorkflow {
    /// The hash of its definition.
    pub definition: String,
    /// Which version that is.
    pub version: String,
}

/// A function that stands in a document of its own, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedDocument {
    /// The SHA-256 of the document, in hex.
    pub document: String,
    /// Its text.
    pub text: Arc<str>,
}

/// Everything that a workflow is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lock {
    /// Functions by the name under which the workflow calls them.
    pub functions: BTreeMap<String, LockedFunction>,
    /// Workflows by the name under which the workflow runs them: `namespace/name:version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workflows: BTreeMap<String, LockedWorkflow>,
    /// Operations of OpenAPI documents, by [`Self::operation_key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, LockedOperation>,
    /// Schemas that are kept elsewhere, by their URIs as written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, LockedSchema>,
    /// Functions that stand in documents, by their URIs as written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub documents: BTreeMap<String, LockedDocument>,
}

impl Lock {
    /// What an operation is known by: its id, and its document's URI as written.
    #[must_use]
    pub fn operation_key(document: &str, operation: &str) -> String {
        format!("{operation} {document}")
    }
}

/// An operation as it was found in its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedOperation {
    /// The SHA-256 of the document, in hex.
    pub document: String,
    /// What is needed to call it. The machine hands it on without looking into it.
    pub operation: Arc<Value>,
}

/// A schema as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedSchema {
    /// The SHA-256 of its document, in hex.
    pub document: String,
    /// The schema.
    pub schema: Value,
}
