//! Binding a text to what it needs: functions to the components that have them now, schemas and operations to what is fetched now.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use potok_calls::{HttpCaller, openapi::Operation};
use potok_dsl::{
    Diagnostic, Diagnostics, FunctionName, Parsed,
    model::{
        AuthenticationRef, AuthenticationScheme, Endpoint, Location, OpenApiCall, Task, Text, WORKFLOW_LATEST,
        Workflow, WorkflowRef,
    },
};
use potok_expr::Evaluator;
use potok_machine::{Lock, LockedFunction, LockedOperation, LockedSchema, LockedWorkflow};
use potok_wasm::Host;
use serde_json::{Value, json};

use super::{
    Prepared, hex,
    needs::Needs,
    resources::{Resource, Resources},
};

/// The most documents that one workflow is bound to.
const DOCUMENTS: usize = 100;

/// Prepares texts for running. Cheap to clone.
#[derive(Clone)]
pub struct Binder {
    host: Host,
    evaluator: Evaluator,
    resources: Resources,
    workflows: Workflows,
    /// Whether workflows may run commands.
    commands: bool,
}

/// The workflows that others may run.
#[derive(Clone)]
enum Workflows {
    /// These, as they are named: `namespace/name:version`.
    Known(Arc<BTreeMap<String, LockedWorkflow>>),
    /// Whatever is named is there: for those that are only checked or rehearsed.
    Any,
}

/// What to do about commands that are not allowed.
pub(crate) const SHELL_IS_OFF: &str = "the operator allows commands with `enabled = true` under `[shell]` in potok.toml, or \
    POTOK_SHELL_ENABLED=true";

impl Binder {
    /// Binds to the functions of a host and to what a caller can fetch.
    #[must_use]
    pub fn new(host: Host, evaluator: Evaluator, http: HttpCaller) -> Self {
        Self {
            host,
            evaluator,
            resources: Resources::new(http),
            workflows: Workflows::Known(Arc::default()),
            commands: false,
        }
    }

    /// The same where workflows may run commands, or may not.
    #[must_use]
    pub fn with_commands(mut self, allowed: bool) -> Self {
        self.commands = allowed;
        self
    }

    /// The same where these workflows may be run by others, each as it is named: `namespace/name:version`.
    #[must_use]
    pub fn knowing(mut self, workflows: BTreeMap<String, LockedWorkflow>) -> Self {
        self.workflows = Workflows::Known(Arc::new(workflows));
        self
    }

    /// The same for what will not run by itself: every workflow that is named is taken to be there, and commands are nobody's business.
    #[must_use]
    pub fn for_rehearsal(mut self) -> Self {
        self.workflows = Workflows::Any;
        self.with_commands(true)
    }

    /// The same for a text that stands in this directory: what it refers to by `file:` or by a relative path is looked for there, and
    /// nowhere outside.
    #[must_use]
    pub fn within(mut self, directory: PathBuf) -> Self {
        self.resources = self.resources.within(directory);
        self
    }

    pub(super) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// Prepares a text for running.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its places, and what looks wrong.
    pub async fn prepare(&self, file: &str, text: &str) -> Result<Prepared, Diagnostics> {
        let parsed = potok_dsl::parse(file, text)?;
        let wrong = |list: Vec<Diagnostic>| Diagnostics::new(file, text, list);
        let mut unsupported = potok_dsl::unsupported(&parsed.workflow);
        if !unsupported.is_empty() {
            for diagnostic in &mut unsupported {
                diagnostic.message = format!("{} (line {})", diagnostic.message, diagnostic.at.line);
            }
            return Err(wrong(unsupported));
        }
        if !self.commands {
            let off = |task: &Task| Diagnostic::new(task.kind_at, "run: shell is off").with_help(SHELL_IS_OFF);
            let commands: Vec<_> = Needs::of(&parsed.workflow).commands().map(off).collect();
            if !commands.is_empty() {
                return Err(wrong(commands));
            }
        }
        let lock = self.lock(&parsed.workflow).await.map_err(&wrong)?;
        let mut found = self.lint(&parsed);
        match Prepared::bound(parsed.into(), lock, &self.evaluator) {
            Ok(prepared) if !found.iter().any(Diagnostic::is_error) => Ok(Prepared {
                warnings: found,
                ..prepared
            }),
            Ok(_) => Err(wrong(found)),
            Err(errors) => {
                found.extend(errors);
                found.sort_by_key(|diagnostic| diagnostic.at);
                Err(wrong(found))
            }
        }
    }

    /// What looks wrong with a text, and which arguments do not fit.
    pub(crate) fn lint(&self, parsed: &Parsed) -> Vec<Diagnostic> {
        potok_dsl::lint(parsed, &|name| {
            let function = self.host.resolve(&name.parse::<FunctionName>().ok()?).ok()?;
            Some(function.input_schema.clone())
        })
    }

    async fn lock(&self, workflow: &Workflow) -> Result<Lock, Vec<Diagnostic>> {
        let needs = Needs::of(workflow);
        let mut binding = Binding {
            binder: self,
            workflow,
            lock: Lock::default(),
            wrong: Vec::new(),
            documents: HashMap::new(),
        };
        for target in needs.workflows() {
            binding.sub_workflow(&target);
        }
        for name in needs.functions {
            binding.function(name);
        }
        for schema in needs.schemas {
            binding.schema(&schema.endpoint).await;
        }
        for call in needs.operations {
            binding.operation(call).await;
        }
        if binding.wrong.is_empty() {
            Ok(binding.lock)
        } else {
            Err(binding.wrong)
        }
    }
}

/// The work in progress.
struct Binding<'b> {
    binder: &'b Binder,
    workflow: &'b Workflow,
    lock: Lock,
    wrong: Vec<Diagnostic>,
    /// What was fetched, by URI as written; `None` where that failed, which is said once.
    documents: HashMap<String, Option<Resource>>,
}

impl Binding<'_> {
    fn complain(&mut self, at: Location, message: String) {
        self.wrong.push(Diagnostic::new(at, message));
    }

    fn function(&mut self, name: &Text) {
        let found = name
            .value
            .parse::<FunctionName>()
            .map_err(|e| e.to_string())
            .and_then(|function| self.binder.host.resolve(&function).map_err(|e| e.to_string()));
        match found {
            Ok(info) => {
                let function = LockedFunction {
                    component: info.component.clone(),
                    function: info.canonical.clone(),
                    pure: info.pure,
                };
                self.lock.functions.insert(name.value.clone(), function);
            }
            Err(message) => self.complain(name.at, message),
        }
    }

    /// One that is not there has its place in the compiler's diagnostics; the workflow itself needs no lock.
    fn sub_workflow(&mut self, target: &WorkflowRef) {
        let document = &self.workflow.document;
        let this = target.version == WORKFLOW_LATEST || target.version == document.version.value;
        if this && target.namespace == document.namespace.value && target.name == document.name.value {
            return;
        }
        let name = target.to_string();
        let locked = match &self.binder.workflows {
            Workflows::Known(known) => known.get(&name).cloned(),
            Workflows::Any => Some(LockedWorkflow {
                definition: name.clone(),
                version: target.version.clone(),
            }),
        };
        self.lock.workflows.extend(locked.map(|locked| (name, locked)));
    }

    async fn schema(&mut self, endpoint: &Endpoint) {
        let uri = &endpoint.uri;
        let Some(resource) = self.document(endpoint).await else {
            return;
        };
        let locked = LockedSchema {
            document: hex(resource.text.as_bytes()),
            schema: resource.value.clone(),
        };
        self.lock.schemas.insert(uri.value.clone(), locked);
    }

    async fn operation(&mut self, call: &OpenApiCall) {
        let (document, id) = (&call.document.value.endpoint, &call.operation);
        let Some(resource) = self.document(document).await else {
            return;
        };
        let hash = hex(resource.text.as_bytes());
        let operation = match Operation::find(&resource.value, resource.url.as_ref(), &id.value) {
            Ok(operation) => operation,
            Err(error) => {
                let message = format!("{}: {error}", document.uri.value);
                return self.complain(id.at, message);
            }
        };
        let given = call.parameters.as_ref();
        let names = given.and_then(|given| given.value.as_object());
        if let Err(message) = operation.check(names.into_iter().flat_map(|names| names.keys()).map(String::as_str)) {
            let message = format!("{message} ('{}' of {})", id.value, document.uri.value);
            return self.complain(given.map_or(id.at, |given| given.at), message);
        }
        let locked = LockedOperation {
            document: hash,
            operation: serde_json::to_value(operation).unwrap_or_default().into(),
        };
        let key = Lock::operation_key(&document.uri.value, &id.value);
        self.lock.operations.insert(key, locked);
    }

    /// A document, fetched once.
    async fn document(&mut self, endpoint: &Endpoint) -> Option<&Resource> {
        let uri = &endpoint.uri;
        if !self.documents.contains_key(&uri.value) {
            if self.documents.len() == DOCUMENTS {
                self.complain(uri.at, format!("a workflow is bound to at most {DOCUMENTS} documents"));
                return None;
            }
            let authentication = authentication(self.workflow, endpoint);
            let found = self.binder.resources.get(&uri.value, authentication.as_ref()).await;
            let found = found.map_err(|message| self.complain(uri.at, message)).ok();
            self.documents.insert(uri.value.clone(), found);
        }
        self.documents.get(&uri.value)?.as_ref()
    }
}

/// The policy of an endpoint, which holds no expression there, with its scheme as the only member.
fn authentication(workflow: &Workflow, endpoint: &Endpoint) -> Option<Value> {
    let policy = match &endpoint.authentication.as_ref()?.value {
        AuthenticationRef::Inline(policy) => policy,
        AuthenticationRef::Use(name) => &workflow.uses.authentications.get(&name.value)?.value,
    };
    let scheme = match policy.scheme {
        AuthenticationScheme::Basic => "basic",
        AuthenticationScheme::Bearer => "bearer",
        AuthenticationScheme::Digest => "digest",
        AuthenticationScheme::OAuth2 => "oauth2",
        AuthenticationScheme::Oidc => "oidc",
    };
    Some(json!({ scheme: policy.properties.value }))
}
