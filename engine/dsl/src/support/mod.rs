//! What the language has and this engine does not execute yet. Whatever is on this list is refused before anything runs;
//! what is not on it is executed. Nothing is read and then ignored.

use serde_json::Value;

use crate::{
    FunctionName,
    diagnostic::Diagnostic,
    model::{
        At, Authentication, AuthenticationRef, AuthenticationScheme, Call, Endpoint, Extension, Json, Location,
        RunProcess, Schema, SchemaSource, Task, TaskKind, TaskList, Text, Workflow,
    },
};

/// What of a workflow is not executed yet, in the order of the places; empty when it can run.
#[must_use]
pub fn unsupported(workflow: &Workflow) -> Vec<Diagnostic> {
    let mut survey = Survey {
        list: Vec::new(),
        workflow,
    };
    survey.workflow();
    survey.list.sort_by_key(|diagnostic| diagnostic.at);
    survey.list
}

/// Why what is fetched is known before.
const LOCKED: &str = "it is fetched when the workflow is deployed, so that all runs see the same";

struct Survey<'w> {
    list: Vec<Diagnostic>,
    workflow: &'w Workflow,
}

impl Survey<'_> {
    fn not_yet(&mut self, at: Location, what: impl std::fmt::Display) {
        self.list
            .push(Diagnostic::new(at, format!("not supported yet: {what}")));
    }

    fn not_yet_help(&mut self, at: Location, what: impl std::fmt::Display, help: &str) {
        self.list
            .push(Diagnostic::new(at, format!("not supported yet: {what}")).with_help(help));
    }

    fn workflow(&mut self) {
        let workflow = self.workflow;
        self.uses();
        self.schemas(workflow.input.as_ref().and_then(|input| input.schema.as_ref()));
        self.schemas(workflow.output.as_ref().and_then(|output| output.schema.as_ref()));
        self.tasks(&workflow.tasks);
    }

    fn uses(&mut self) {
        let uses = &self.workflow.uses;
        for policy in uses.authentications.values() {
            self.authentication(&policy.value, policy.at);
        }
        for (_, extension) in &uses.extensions {
            let Extension { before, after, .. } = &extension.value;
            before.iter().chain(after).for_each(|tasks| self.tasks(tasks));
        }
        for function in uses.functions.values() {
            self.task(function);
        }
        for (name, catalog) in &uses.catalogs {
            self.not_yet(catalog.at, format!("catalogs ('{name}')"));
        }
    }

    fn tasks(&mut self, tasks: &TaskList) {
        for item in &tasks.0 {
            self.task(&item.task);
        }
    }

    fn task(&mut self, task: &Task) {
        self.schemas(task.input.as_ref().and_then(|input| input.schema.as_ref()));
        self.schemas(task.output.as_ref().and_then(|output| output.schema.as_ref()));
        self.schemas(task.export.as_ref().and_then(|export| export.schema.as_ref()));
        self.kind(task);
    }

    fn kind(&mut self, task: &Task) {
        match &task.kind {
            TaskKind::Call(call) => self.call(call, task.kind_at),
            TaskKind::Do(tasks) => self.tasks(tasks),
            TaskKind::Fork(fork) => self.tasks(&fork.branches),
            TaskKind::For(each) => self.tasks(&each.tasks),
            TaskKind::Listen(listen) => {
                if let Some(foreach) = &listen.foreach {
                    self.schemas(foreach.output.as_ref().and_then(|output| output.schema.as_ref()));
                    self.schemas(foreach.export.as_ref().and_then(|export| export.schema.as_ref()));
                    foreach.tasks.iter().for_each(|tasks| self.tasks(tasks));
                }
            }
            TaskKind::Run(run) => match run.process {
                RunProcess::Container => self.not_yet(task.kind_at, "run: container"),
                RunProcess::Script => self.not_yet(task.kind_at, "run: script"),
                RunProcess::Shell | RunProcess::Workflow => {}
            },
            TaskKind::Try(attempt) => {
                self.tasks(&attempt.tasks);
                attempt.catch.tasks.iter().for_each(|tasks| self.tasks(tasks));
            }
            TaskKind::Emit(_) | TaskKind::Raise(_) | TaskKind::Set(_) | TaskKind::Switch(_) | TaskKind::Wait(_) => {}
        }
    }

    fn call(&mut self, call: &Call, at: Location) {
        match call {
            Call::Http(http) => self.endpoint(&http.endpoint),
            Call::OpenApi(call) => {
                self.fetched(&call.document.value.endpoint, "an OpenAPI document");
                self.authentication_ref(call.authentication.as_ref());
            }
            Call::AsyncApi(_) => self.not_yet(at, "call: asyncapi"),
            Call::Grpc(_) => self.not_yet(at, "call: grpc"),
            Call::A2a(_) => self.not_yet(at, "call: a2a"),
            Call::Mcp(_) => self.not_yet(at, "call: mcp"),
            Call::Function { name, .. } => self.function(name),
        }
    }

    fn function(&mut self, name: &Text) {
        if self.workflow.uses.functions.contains_key(&name.value) {
            return;
        }
        match name.value.parse::<FunctionName>() {
            Ok(FunctionName {
                catalog: Some(catalog), ..
            }) if catalog != "default" => {
                self.not_yet(name.at, format!("functions of the catalog '{catalog}'"));
            }
            // One that is behind a URI is fetched when the workflow is deployed.
            Ok(_) | Err(_) => {}
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        self.authentication_ref(endpoint.authentication.as_ref());
    }

    /// What is fetched when the workflow is deployed, where nothing is known of its runs.
    fn fetched(&mut self, endpoint: &Endpoint, what: &str) {
        let uri = &endpoint.uri;
        if is_expression(&uri.value) || uri.value.contains('{') {
            self.not_yet_help(uri.at, format!("{what} at a place that only a run knows"), LOCKED);
        }
        self.endpoint(endpoint);
    }

    fn authentication_ref(&mut self, reference: Option<&At<AuthenticationRef>>) {
        match reference {
            Some(At {
                value: AuthenticationRef::Inline(policy),
                at,
            }) => self.authentication(policy, *at),
            // A policy under `use` is on the list where it stands.
            Some(At {
                value: AuthenticationRef::Use(_),
                ..
            })
            | None => {}
        }
    }

    fn authentication(&mut self, policy: &Authentication, at: Location) {
        match policy.scheme {
            AuthenticationScheme::Basic | AuthenticationScheme::Bearer => {}
            AuthenticationScheme::Digest => self.not_yet(at, "digest authentication"),
            AuthenticationScheme::OAuth2 | AuthenticationScheme::Oidc => self.tokens_of(&policy.properties),
        }
    }

    /// `oauth2` and `oidc`: of the ways to a token those that are left out.
    fn tokens_of(&mut self, properties: &Json) {
        let member = |place: &str| properties.value.pointer(place);
        let text = |place: &str| member(place).and_then(Value::as_str);
        let grant = text("/grant").unwrap_or_default();
        if !matches!(grant, "" | "client_credentials" | "password" | "refresh_token") {
            self.not_yet(properties.at, format!("the grant '{grant}'"));
        }
        if let Some(way @ ("client_secret_jwt" | "private_key_jwt")) = text("/client/authentication") {
            self.not_yet(properties.at, format!("clients that authenticate by '{way}'"));
        }
        if member("/client/assertion").is_some() {
            self.not_yet(properties.at, "'client.assertion'");
        }
        if member("/subject").is_some() && grant != "refresh_token" {
            self.not_yet_help(
                properties.at,
                "'subject' of this grant",
                "it is the token of the grant 'refresh_token'",
            );
        }
        if member("/actor").is_some() {
            self.not_yet(properties.at, "'actor'");
        }
    }

    fn schemas(&mut self, schema: Option<&Schema>) {
        let Some(schema) = schema else { return };
        if let Some(format) = schema.format.as_ref().filter(|format| format.value != "json") {
            self.not_yet(format.at, format!("schemas in the format '{}'", format.value));
        }
        if let SchemaSource::Resource(resource) = &schema.source {
            self.fetched(&resource.value.endpoint, "a schema");
        }
    }
}

fn is_expression(text: &str) -> bool {
    text.trim_start().starts_with("${")
}
