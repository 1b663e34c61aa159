//! What a `call` task calls and a `run` task runs, compiled.

use std::sync::Arc;

use potok_dsl::{Problem, model::WorkflowRef};
use potok_expr::{SecretPath, Template};
use serde_json::{Value, json};

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

    /// What the call comes to for its task: one that does not wait passes its input on.
    pub(crate) fn outcome(
        &self,
        ended: Result<Arc<Value>, Problem>,
        input: &Arc<Value>,
    ) -> Result<Arc<Value>, Problem> {
        match self {
            Self::Workflow(workflow) if workflow.wait => workflow_outcome(workflow.output, ended),
            Self::Workflow(_) => ended.map(|_| Arc::clone(input)),
            Self::Shell(shell) if !shell.wait => ended.map(|_| Arc::clone(input)),
            _ => ended,
        }
    }
}

/// What a workflow that has ended gives. It has no streams: its output stands for what a process writes, and its fault for the exit code
/// (the status) and for what a process complains of. As with a process, a fault is no error where the exit code is asked for.
fn workflow_outcome(wanted: ProcessOutput, ended: Result<Arc<Value>, Problem>) -> Result<Arc<Value>, Problem> {
    let (code, output, complaint) = match ended {
        Ok(output) => (0, output, String::new()),
        Err(problem) if matches!(wanted, ProcessOutput::Code | ProcessOutput::All) => {
            (problem.status, Arc::default(), problem.to_string())
        }
        Err(problem) => return Err(problem),
    };
    Ok(match wanted {
        ProcessOutput::Stdout => output,
        ProcessOutput::Stderr => Arc::new(Value::String(complaint)),
        ProcessOutput::Code => Arc::new(json!(code)),
        ProcessOutput::All => Arc::new(json!({ "code": code, "stdout": &*output, "stderr": complaint })),
        ProcessOutput::None => Arc::default(),
    })
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
    /// What of it the task's output is.
    pub(crate) output: ProcessOutput,
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
