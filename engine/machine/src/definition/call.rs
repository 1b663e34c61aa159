//! What a `call` task calls, compiled.

use std::sync::Arc;

use potok_expr::Template;
use serde_json::Value;

use super::{NodeId, TextTemplate, Uri, UriTemplate};
use crate::{effect::HttpOutput, lock::LockedFunction};

/// A call.
#[derive(Debug)]
pub(crate) enum Call {
    /// A function of a plugin; `key` is for the idempotency key, instead of the derived one.
    Function {
        function: LockedFunction,
        with: Option<Template>,
        key: Option<TextTemplate>,
    },
    /// A task of `use.functions`.
    Task { node: NodeId, with: Option<Template> },
    /// An operation of an API.
    OpenApi {
        request: Box<OpenApiTemplate>,
        key: Option<TextTemplate>,
    },
    /// An HTTP request.
    Http {
        request: Box<HttpTemplate>,
        key: Option<TextTemplate>,
    },
}

/// `with` of `call: http`.
#[derive(Debug)]
pub(crate) struct HttpTemplate {
    pub(crate) method: TextTemplate,
    pub(crate) uri: Uri,
    pub(crate) headers: Option<Template>,
    pub(crate) query: Option<Template>,
    pub(crate) body: Option<Template>,
    pub(crate) output: HttpOutput,
    pub(crate) redirect: bool,
    pub(crate) authentication: Option<Authentication>,
}

/// `with` of `call: openapi`.
#[derive(Debug)]
pub(crate) struct OpenApiTemplate {
    /// The document's URI as written.
    pub(crate) document: String,
    pub(crate) operation_id: String,
    pub(crate) operation: Arc<Value>,
    pub(crate) parameters: Option<Template>,
    pub(crate) output: HttpOutput,
    pub(crate) redirect: bool,
    pub(crate) authentication: Option<Authentication>,
}

/// An authentication policy.
#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) scheme: &'static str,
    pub(crate) properties: Template,
    /// The members that are URIs with variables, by their places.
    pub(crate) uris: Vec<(&'static str, UriTemplate)>,
}
