//! What the catalog tells people and programs about plugins and their functions.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

/// A plugin: a component with its exports and imports.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginInfo {
    /// The identity: SHA-256 of the component's bytes, in hex.
    pub hash: String,
    /// The package of its first function, such as `potok:book`.
    pub package: String,
    /// The version of that package.
    pub version: String,
    /// Its functions, in the order in which it exports them.
    pub functions: Vec<Arc<FunctionInfo>>,
    /// The interfaces that it imports functions of.
    pub imports: Vec<ImportInfo>,
    /// Whether calling it can change nothing outside: every capability that it imports is pure.
    pub pure: bool,
    /// The component's size in bytes.
    pub size: usize,
    /// The documentation of the package or of its only interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// The WIT text: its own where it carries one, else printed from its types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<String>,
}

/// A function of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionInfo {
    /// The name without version: `book.extract`.
    pub name: String,
    /// The version of its package.
    pub version: String,
    /// Name and version: `book.extract:1.0.0`.
    pub canonical: String,
    /// The hash of the component that it is in.
    pub component: String,
    /// Its documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// The JSON Schema (draft 2020-12) of its arguments: always that of an object.
    pub input_schema: Value,
    /// The JSON Schema of its result.
    pub output_schema: Value,
    /// The JSON Schema of the problem's `data` or, for named errors, of the error itself; `None` when it returns no error of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_schema: Option<Value>,
    /// Whether calling it can change nothing outside.
    pub pure: bool,
}

/// An interface that a plugin imports functions of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportInfo {
    /// The interface without version: `potok:ai/chat`.
    pub interface: String,
    /// Its version, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is to the engine.
    pub kind: ImportKind,
    /// The grant that allowed it; `None` when none is needed or nothing was granted yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<String>,
}

/// What an imported interface is to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportKind {
    /// WASI without a world behind it: clocks, random, empty environment and file system. Needs no grant.
    Wasi,
    /// A capability whose provider is pure.
    PureCapability,
    /// A capability that can be seen from outside.
    Capability,
    /// Nothing here provides it.
    Unknown,
}
