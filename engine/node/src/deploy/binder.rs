//! Binding a text to what it needs: functions to the components that have them now, schemas and operations to what is fetched now.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use potok_calls::{
    HttpCaller, Url,
    openapi::{self, OpenApiError, Operation},
};
use potok_dsl::{
    Diagnostic, Diagnostics, FunctionName, Parsed, Problem,
    model::{
        Authentication, AuthenticationRef, AuthenticationScheme, Endpoint, Location, OpenApiCall, SchemaSource, Task,
        Text, WORKFLOW_LATEST, Workflow, WorkflowRef,
    },
};
use potok_expr::{Evaluator, SecretPath, Template, secret};
use potok_machine::{Lock, LockedDocument, LockedFunction, LockedOperation, LockedSchema, LockedWorkflow};
use potok_secrets::{Opened, Vault};
use potok_wasm::Host;
use serde_json::{Map, Value, json};

use super::{
    Prepared, hex,
    link::{Calls, Linked, is_remote, within},
    needs::Needs,
    resources::{Resource, Resources},
};

/// The most documents that one workflow is bound to, of functions and of other things each.
const DOCUMENTS: usize = 100;

/// Said of a workflow that names more.
const TOO_MANY: &str = "a workflow is bound to at most 100 documents";

/// Prepares texts for running. Cheap to clone.
#[derive(Clone)]
pub struct Binder {
    host: Host,
    evaluator: Evaluator,
    resources: Resources,
    /// Where the credentials are for what is fetched.
    vault: Vault,
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
    /// Binds to the functions of a host and to what a caller can fetch, with credentials from a vault.
    #[must_use]
    pub fn new(host: Host, evaluator: Evaluator, http: HttpCaller, vault: Vault) -> Self {
        Self {
            host,
            evaluator,
            resources: Resources::new(http),
            vault,
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

    pub(crate) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// Prepares a text for running.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its places, and what looks wrong.
    pub async fn prepare(&self, file: &str, text: &str) -> Result<Prepared, Diagnostics> {
        let parsed = potok_dsl::parse(file, text)?;
        let wrong = |list: Vec<Diagnostic>| Diagnostics::new(file, text, list);
        // Before anything is fetched; once more of the whole, when it is there.
        let unsupported = unsupported(&parsed.workflow);
        if !unsupported.is_empty() {
            return Err(wrong(unsupported));
        }
        let (documents, calls) = self.documents(&parsed.workflow).await.map_err(&wrong)?;
        let linked = Linked::new(&parsed.workflow, &documents).map_err(&wrong)?;
        let lock = self.lock(&linked).await;
        let lock = lock.map_err(|list| wrong(linked.told_of(list, &calls)))?;
        let mut found = self.lint(&parsed, &linked.workflow);
        let lock = Lock { documents, ..lock };
        match Prepared::bound(parsed.into(), lock, &calls, &self.evaluator) {
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

    /// What looks wrong with a text that was deployed.
    pub(crate) fn lint_known(&self, known: &Prepared) -> Vec<Diagnostic> {
        match Linked::new(known.workflow(), &known.lock.documents) {
            Ok(linked) => self.lint(&known.parsed, &linked.workflow),
            Err(_) => Vec::new(),
        }
    }

    /// What looks wrong with a text, and which arguments do not fit.
    fn lint(&self, parsed: &Parsed, linked: &Workflow) -> Vec<Diagnostic> {
        potok_dsl::lint(parsed, &|name| {
            if let Some(task) = linked.uses.functions.get(name) {
                let input = task.input.as_ref()?;
                return match &input.schema.as_ref().filter(|_| input.from.is_none())?.source {
                    SchemaSource::Document(schema) => Some(schema.value.clone()),
                    SchemaSource::Resource(_) => None,
                };
            }
            let function = self.host.resolve(&name.parse::<FunctionName>().ok()?).ok()?;
            Some(function.input_schema.clone())
        })
    }

    /// Fetches the functions that stand in documents, and those that they call.
    async fn documents(
        &self,
        workflow: &Workflow,
    ) -> Result<(BTreeMap<String, LockedDocument>, Calls), Vec<Diagnostic>> {
        let (mut found, mut calls, mut wrong) = (BTreeMap::new(), Calls::new(), Vec::new());
        let first = Needs::of(workflow).documents;
        let mut pending: VecDeque<_> = first.iter().map(|name| (name.value.clone(), name.at, false)).collect();
        while let Some((uri, at, from_afar)) = pending.pop_front() {
            if calls.contains_key(&uri) {
                continue;
            }
            if calls.len() == DOCUMENTS {
                wrong.push(Diagnostic::new(at, TOO_MANY));
                break;
            }
            calls.insert(uri.clone(), at);
            if from_afar && !is_remote(&uri) {
                wrong.push(not_from_afar(&uri, at));
                continue;
            }
            let text = match self.resources.text(&uri, None).await {
                Ok((_, text)) => text,
                Err(message) => {
                    wrong.push(Diagnostic::new(at, message));
                    continue;
                }
            };
            match potok_dsl::function(&uri, &text, 0, &workflow.uses) {
                Ok(task) => {
                    let called = Needs::of_task(&task, workflow).documents;
                    pending.extend(called.iter().map(|name| (name.value.clone(), at, is_remote(&uri))));
                    let document = hex(text.as_bytes());
                    let text = text.into();
                    found.insert(uri, LockedDocument { document, text });
                }
                Err(diagnostics) => wrong.extend(diagnostics.list.into_iter().map(|found| within(&uri, found, at))),
            }
        }
        if wrong.is_empty() {
            Ok((found, calls))
        } else {
            Err(wrong)
        }
    }

    async fn lock(&self, linked: &Linked<'_>) -> Result<Lock, Vec<Diagnostic>> {
        let workflow = &*linked.workflow;
        let unsupported = unsupported(workflow);
        if !unsupported.is_empty() {
            return Err(unsupported);
        }
        let needs = Needs::of(workflow);
        if !self.commands {
            let off = |task: &Task| Diagnostic::new(task.kind_at, "run: shell is off").with_help(SHELL_IS_OFF);
            let commands: Vec<_> = needs.commands().map(off).collect();
            if !commands.is_empty() {
                return Err(commands);
            }
        }
        let mut binding = Binding {
            binder: self,
            linked,
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

/// What is not executed yet, each with its line.
fn unsupported(workflow: &Workflow) -> Vec<Diagnostic> {
    let list = potok_dsl::unsupported(workflow).into_iter();
    let list = list.map(|diagnostic| Diagnostic {
        message: format!("{} (line {})", diagnostic.message, diagnostic.at.line),
        ..diagnostic
    });
    list.collect()
}

/// A document from the network would have a file of this machine read.
fn not_from_afar(uri: &str, at: Location) -> Diagnostic {
    let message = format!("'{uri}' is named by a document from elsewhere, which cannot name files");
    Diagnostic::new(at, message).with_help("such a document names others by http or https URIs, written in full")
}

/// The work in progress.
struct Binding<'b> {
    binder: &'b Binder,
    linked: &'b Linked<'b>,
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
        let document = &self.linked.workflow.document;
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
        let document = hex(resource.text.as_bytes());
        match part(&resource.value, &uri.value) {
            Some(schema) => {
                self.lock
                    .schemas
                    .insert(uri.value.clone(), LockedSchema { document, schema });
            }
            None => self.complain(uri.at, format!("{}: there is nothing at that place", uri.value)),
        }
    }

    async fn operation(&mut self, call: &OpenApiCall) {
        let (endpoint, id) = (&call.document.value.endpoint, &call.operation);
        let uri = &endpoint.uri;
        let Some(resource) = self.document(endpoint).await else {
            return;
        };
        let mut text = resource.text.clone();
        let mut documents = openapi::Documents::new(resource.value.clone(), resource.url.clone());
        let found = loop {
            match Operation::find(&documents, &id.value) {
                Err(OpenApiError::Elsewhere(place)) => {
                    let Some(other) = self.other(&place, endpoint).await else {
                        return;
                    };
                    text.push_str(&other.text);
                    documents.add(place, other.value.clone());
                }
                found => break found,
            }
        };
        let operation = match found {
            Ok(operation) => operation,
            Err(error) => return self.complain(id.at, format!("{}: {error}", uri.value)),
        };
        let given = call.parameters.as_ref();
        let names = given.and_then(|given| given.value.as_object());
        if let Err(message) = operation.check(names.into_iter().flat_map(|names| names.keys()).map(String::as_str)) {
            let message = format!("{message} ('{}' of {})", id.value, uri.value);
            return self.complain(given.map_or(id.at, |given| given.at), message);
        }
        let locked = LockedOperation {
            document: hex(text.as_bytes()),
            operation: serde_json::to_value(operation).unwrap_or_default().into(),
        };
        let key = Lock::operation_key(&uri.value, &id.value);
        self.lock.operations.insert(key, locked);
    }

    /// What an endpoint names, fetched once.
    async fn document(&mut self, endpoint: &Endpoint) -> Option<&Resource> {
        let uri = &endpoint.uri;
        if !is_remote(&uri.value) && self.linked.document(uri.at).is_some_and(is_remote) {
            self.wrong.push(not_from_afar(&uri.value, uri.at));
            return None;
        }
        let place = uri.value.split('#').next().unwrap_or_default();
        self.fetch(place, endpoint).await
    }

    /// A document that goes on where another one ends. It may have the credentials of the first when it is in the same place.
    async fn other(&mut self, place: &Url, first: &Endpoint) -> Option<&Resource> {
        let uri = &first.uri;
        let from = Url::parse(&uri.value).ok();
        if is_remote(&uri.value) && !is_remote(place.as_str()) {
            self.wrong.push(not_from_afar(place.as_str(), uri.at));
            return None;
        }
        let same = from.is_some_and(|from| from.origin() == place.origin());
        let endpoint = Endpoint {
            authentication: first.authentication.clone().filter(|_| same),
            ..first.clone()
        };
        self.fetch(place.as_str(), &endpoint).await
    }

    async fn fetch(&mut self, place: &str, endpoint: &Endpoint) -> Option<&Resource> {
        let at = endpoint.uri.at;
        if !self.documents.contains_key(place) {
            if self.documents.len() == DOCUMENTS {
                self.complain(at, TOO_MANY.to_owned());
                return None;
            }
            let found = match self.credentials(endpoint).await {
                Ok(Credentials { value, opened }) => {
                    let found = self.binder.resources.get(place, value.as_ref()).await;
                    found
                        .map_err(|message| opened.map_or(message.clone(), |o| o.scrubber().text(&message).into_owned()))
                }
                Err(message) => Err(message),
            };
            let found = found.map_err(|message| self.complain(at, message)).ok();
            self.documents.insert(place.to_owned(), found);
        }
        self.documents.get(place)?.as_ref()
    }

    /// What an endpoint's policy comes to when the workflow is deployed: it may read secrets, and nothing of a run.
    async fn credentials(&self, endpoint: &Endpoint) -> Result<Credentials, String> {
        let workflow = &*self.linked.workflow;
        let Some(policy) = policy(workflow, endpoint) else {
            return Ok(Credentials::default());
        };
        let evaluator = &self.binder.evaluator;
        let failed = |error: potok_expr::ExpressionError| {
            format!(
                "its credentials are needed when the workflow is deployed, where nothing is known but secrets: {error}"
            )
        };
        let template = Template::parse(&policy.properties.value, evaluator).map_err(|(_, error)| failed(error))?;
        let properties = template.eval(evaluator, &json!({}), &()).map_err(failed)?;
        let mut value = json!({ scheme(policy): properties });
        let mut needed = secret::found_in(&value);
        needed.extend(potok_secrets::used(&value));
        let declared = |path: &SecretPath| workflow.uses.secrets.iter().any(|secret| secret.value == path.name());
        if let Some(path) = needed.iter().find(|path| !declared(path)) {
            return Err(format!("the secret '{}' is not in 'use.secrets'", path.name()));
        }
        if needed.is_empty() {
            return Ok(Credentials {
                value: Some(value),
                opened: None,
            });
        }
        let told = |problem: Problem| problem.detail.unwrap_or(problem.kind);
        let opened = self.binder.vault.open(&needed, &BTreeSet::new()).await.map_err(told)?;
        opened.authentication(&mut value).map_err(told)?;
        Ok(Credentials {
            value: Some(value),
            opened: Some(opened),
        })
    }
}

/// The credentials for fetching, with the secrets that are in them.
#[derive(Default)]
struct Credentials {
    value: Option<Value>,
    opened: Option<Opened>,
}

/// The part of a document that the fragment of a URI names, a JSON pointer. What it may refer to comes with it.
fn part(document: &Value, uri: &str) -> Option<Value> {
    /// Where definitions stand that others refer to, and what a schema is by.
    const KEPT: [&str; 5] = ["$schema", "$id", "$defs", "definitions", "components"];
    let Some((_, fragment)) = uri.split_once('#').filter(|(_, fragment)| !fragment.is_empty()) else {
        return Some(document.clone());
    };
    let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
    document.pointer(&pointer)?;
    let first = pointer.split('/').nth(1).unwrap_or_default();
    let kept = document.as_object()?.iter();
    let kept = kept.filter(|(name, _)| KEPT.contains(&name.as_str()) || *name == first);
    let mut part: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    part.insert("$ref".to_owned(), Value::String(format!("#{fragment}")));
    Some(Value::Object(part))
}

fn policy<'w>(workflow: &'w Workflow, endpoint: &'w Endpoint) -> Option<&'w Authentication> {
    match &endpoint.authentication.as_ref()?.value {
        AuthenticationRef::Inline(policy) => Some(policy),
        AuthenticationRef::Use(name) => workflow
            .uses
            .authentications
            .get(&name.value)
            .map(|policy| &policy.value),
    }
}

fn scheme(policy: &Authentication) -> &'static str {
    match policy.scheme {
        AuthenticationScheme::Basic => "basic",
        AuthenticationScheme::Bearer => "bearer",
        AuthenticationScheme::Digest => "digest",
        AuthenticationScheme::OAuth2 => "oauth2",
        AuthenticationScheme::Oidc => "oidc",
    }
}
