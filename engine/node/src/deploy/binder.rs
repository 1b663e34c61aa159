//! From a text to what can run: everything that is wrong with it, and what it is bound to.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use potok_calls::HttpCaller;
use potok_dsl::{
    Diagnostic, Diagnostics, FunctionName, Parsed,
    model::{SchemaSource, Task, Workflow},
};
use potok_expr::Evaluator;
use potok_machine::{Lock, LockedDocument, LockedWorkflow};
use potok_secrets::Vault;
use potok_wasm::Host;

use super::{
    Prepared,
    binding::{Binding, DOCUMENTS, TOO_MANY, not_from_afar},
    hex,
    link::{Calls, Linked, is_remote, within},
    needs::Needs,
    resources::Resources,
};

/// Prepares texts for running. Cheap to clone.
#[derive(Clone)]
pub struct Binder {
    pub(super) host: Host,
    pub(super) evaluator: Evaluator,
    pub(super) resources: Resources,
    /// Where the credentials are for what is fetched.
    pub(super) vault: Vault,
    pub(super) workflows: Workflows,
    /// Whether workflows may run commands.
    commands: bool,
}

/// The workflows that others may run.
#[derive(Clone)]
pub(super) enum Workflows {
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
        Binding::new(self, linked).all(needs).await
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
