//! Binding a workflow to what it needs: functions to the components that have them now, schemas and operations to what is fetched now.

use std::collections::{BTreeSet, HashMap};

use potok_calls::{
    Url,
    openapi::{self, OpenApiError, Operation},
};
use potok_dsl::{
    Diagnostic, FunctionName, Problem,
    model::{
        Authentication, AuthenticationRef, AuthenticationScheme, Endpoint, Location, OpenApiCall, Text,
        WORKFLOW_LATEST, Workflow, WorkflowRef,
    },
};
use potok_expr::{SecretPath, Template, secret};
use potok_machine::{Lock, LockedFunction, LockedOperation, LockedSchema, LockedWorkflow};
use potok_secrets::Opened;
use serde_json::{Map, Value, json};

use super::{
    binder::{Binder, Workflows},
    hex,
    link::{Linked, is_remote},
    needs::Needs,
    resources::Resource,
};

/// The most documents that one workflow is bound to, of functions and of other things each.
pub(super) const DOCUMENTS: usize = 100;

/// Said of a workflow that names more.
pub(super) const TOO_MANY: &str = "a workflow is bound to at most 100 documents";

/// What a workflow is bound to, as far as it is known.
pub(super) struct Binding<'b> {
    binder: &'b Binder,
    linked: &'b Linked<'b>,
    lock: Lock,
    wrong: Vec<Diagnostic>,
    /// What was fetched, by URI as written; `None` where that failed, which is said once.
    documents: HashMap<String, Option<Resource>>,
}

impl<'b> Binding<'b> {
    pub(super) fn new(binder: &'b Binder, linked: &'b Linked<'b>) -> Self {
        Self {
            binder,
            linked,
            lock: Lock::default(),
            wrong: Vec::new(),
            documents: HashMap::new(),
        }
    }

    /// Binds the workflow to all that it needs.
    ///
    /// # Errors
    /// What is not there, each where it is asked for.
    pub(super) async fn all(mut self, needs: Needs<'b>) -> Result<Lock, Vec<Diagnostic>> {
        for target in needs.workflows() {
            self.sub_workflow(&target);
        }
        for name in needs.functions {
            self.function(name);
        }
        for schema in needs.schemas {
            self.schema(&schema.endpoint).await;
        }
        for call in needs.operations {
            self.operation(call).await;
        }
        if self.wrong.is_empty() {
            Ok(self.lock)
        } else {
            Err(self.wrong)
        }
    }

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

/// A document from the network would have a file of this machine read.
pub(super) fn not_from_afar(uri: &str, at: Location) -> Diagnostic {
    let message = format!("'{uri}' is named by a document from elsewhere, which cannot name files");
    Diagnostic::new(at, message).with_help("such a document names others by http or https URIs, written in full")
}
