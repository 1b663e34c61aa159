//! What a `call` task calls and a `run` task runs, compiled.

use std::sync::Arc;

use potok_dsl::model::WorkflowRef;
use potok_expr::{SecretPath, Template};
use serde_json::Value;

use super::{NodeId, TextTemplate, Uri, UriTemplate};
use crate::{effect::HttpOutput, lock::LockedFunction, request::ProcessOutput};

/// A call.
#[derive(Debug)]
pub(crate) enum Call {
    /// A function of a plugin.
    Function {
        function: LockedFunction,
        with: Option<Template>,
        delivery: Delivery,
    },
    /// A task of `use.functions`.
    Task { node: NodeId, with: Option<Template> },
    /// An operation of an API.
    OpenApi {
        request: Box<OpenApiTemplate>,
        delivery: Delivery,
    },
    /// An HTTP request.
    Http {
        request: Box<HttpTemplate>,
        delivery: Delivery,
    },
    /// A run of another workflow.
    Workflow(Box<WorkflowTemplate>),
    /// A command for the shell.
    Shell(Box<ShellTemplate>),
}

impl Call {
    /// How the request authenticates itself, and where that is written.
    pub(crate) fn authentication(&self) -> Option<(&Authentication, &'static str)> {
        match self {
            Self::Http { request, .. } => Some((request.authentication.as_ref()?, "with.endpoint.authentication")),
            Self::OpenApi { request, .. } => Some((request.authentication.as_ref()?, "with.authentication")),
            _ => None,
        }
    }

    /// The raw output of the task, when the call has given something: one that does not wait passes its input on.
    pub(crate) fn output(&self, given: Arc<Value>, input: &Arc<Value>) -> Arc<Value> {
        match self {
            Self::Workflow(workflow) if !workflow.wait => Arc::clone(input),
            Self::Workflow(workflow) if workflow.silent => Arc::new(Value::Null),
            Self::Shell(shell) if !shell.wait => Arc::clone(input),
            _ => given,
        }
    }
}

/// How a call is delivered.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// The idempotency key, instead of the derived one.
    pub(crate) key: Option<TextTemplate>,
    /// Whether it leaves at most once.
    pub(crate) once: bool,
}

/// `run: workflow`.
#[derive(Debug)]
pub(crate) struct WorkflowTemplate {
    pub(crate) target: WorkflowRef,
    pub(crate) binding: Binding,
    pub(crate) input: Option<Template>,
    pub(crate) wait: bool,
    /// Whether the output is not wanted.
    pub(crate) silent: bool,
}

/// Which definition of a workflow runs.
#[derive(Debug)]
pub(crate) enum Binding {
    /// The one that runs it: a workflow that runs itself.
    This,
    /// The one that the workflow was locked to.
    Locked(String),
    /// The one that is found when it starts.
    Late,
}

/// `run: shell`.
#[derive(Debug)]
pub(crate) struct ShellTemplate {
    pub(crate) command: TextTemplate,
    pub(crate) arguments: Option<Template>,
    pub(crate) environment: Option<Template>,
    pub(crate) stdin: Option<TextTemplate>,
    pub(crate) output: ProcessOutput,
    pub(crate) wait: bool,
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

impl Authentication {
    /// What a request says of itself by it, and the members that this is made of, where both are known before the request is made.
    pub(crate) fn known(&self) -> Option<(&'static str, &'static [&'static str])> {
        match self.scheme {
            "basic" => Some(("Basic", &["username", "password"])),
            "bearer" => Some(("Bearer", &["token"])),
            _ => None,
        }
    }

    /// A field of the secret that it is from.
    pub(crate) fn field(&self, member: &str) -> Option<SecretPath> {
        let from = self.from.as_ref()?;
        Some(SecretPath::new(from, vec![member.to_owned()]))
    }
}

/// An authentication policy.
#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) scheme: &'static str,
    pub(crate) properties: Template,
    /// The secret whose fields are its members, if it has no others.
    pub(crate) from: Option<String>,
    /// The members that are URIs with variables, by their places.
    pub(crate) uris: Vec<(&'static str, UriTemplate)>,
}
