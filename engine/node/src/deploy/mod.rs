//! From a text to something that runs: parse, refuse what is not executed yet, lock what steers the run, compile.
//!
//! A stored definition is bound to its lock and never validated again: [`Prepared::stored`] compiles it as it was.

mod cache;
mod functions;
mod step;

use std::sync::Arc;

pub use potok_dsl::{Diagnostic, Diagnostics, Parsed};
use potok_dsl::{
    ErrorType, FunctionName, Problem, WorkflowId,
    model::{Document, Workflow},
};
use potok_expr::Evaluator;
use potok_machine::{Definition, Lock, LockedFunction};
use potok_wasm::Host;
use sha2::{Digest, Sha256};

use crate::{core::Deployed, schedule::Plan};
pub use cache::Deployments;
pub use functions::called;
pub(crate) use step::one_step;

/// A definition that is ready to run.
#[derive(Clone)]
pub struct Prepared {
    /// The text and what it says.
    pub parsed: Arc<Parsed>,
    /// What it is bound to.
    pub lock: Lock,
    /// The compiled definition with its hash.
    pub deployed: Deployed,
    /// When it starts by itself.
    pub plans: Vec<(&'static str, Plan)>,
    /// What looks wrong and does not stand in the way; nothing for a stored definition, which was looked at when it was deployed.
    pub warnings: Vec<Diagnostic>,
}

impl Prepared {
    /// Prepares a text for running.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its places, and what looks wrong.
    pub fn new(file: &str, text: &str, host: &Host, evaluator: &Evaluator) -> Result<Self, Diagnostics> {
        let parsed = potok_dsl::parse(file, text)?;
        let wrong = |list: Vec<Diagnostic>| Diagnostics {
            file: file.to_owned(),
            source: Arc::from(text),
            list,
        };
        let mut unsupported = potok_dsl::unsupported_without_events(&parsed.workflow);
        if !unsupported.is_empty() {
            for diagnostic in &mut unsupported {
                diagnostic.message = format!("{} (line {})", diagnostic.message, diagnostic.at.line);
            }
            return Err(wrong(unsupported));
        }
        let lock = lock(&parsed.workflow, host).map_err(&wrong)?;
        let mut found = potok_dsl::lint(&parsed, &|name| schema(name, host));
        match Self::bound(Arc::new(parsed), lock, evaluator) {
            Ok(prepared) if !found.iter().any(Diagnostic::is_error) => Ok(Self {
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

    /// Compiles a stored text with the lock that it was deployed with.
    ///
    /// # Errors
    /// A message, when this version cannot run it any more.
    pub fn stored(text: &str, lock: Lock, evaluator: &Evaluator) -> Result<Self, String> {
        let parsed = potok_dsl::parse("stored definition", text).map_err(|e| e.to_string())?;
        Self::bound(Arc::new(parsed), lock, evaluator)
            .map_err(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    fn bound(parsed: Arc<Parsed>, lock: Lock, evaluator: &Evaluator) -> Result<Self, Vec<Diagnostic>> {
        let definition = Definition::compile(&parsed.workflow, &lock, evaluator)?;
        let plans = Plan::of(&parsed.workflow).map_err(|error| {
            let at = parsed.workflow.schedule.as_ref().map(|s| s.at).unwrap_or_default();
            vec![Diagnostic::new(at, error.to_string())]
        })?;
        let deployed = Deployed {
            hash: hash(&parsed.source, &lock).into(),
            definition: Arc::new(definition),
        };
        Ok(Self {
            parsed,
            lock,
            deployed,
            plans,
            warnings: Vec::new(),
        })
    }

    /// The workflow's namespace, name and version.
    #[must_use]
    pub fn id(&self) -> &WorkflowId {
        self.deployed.definition.id()
    }

    /// The typed definition.
    #[must_use]
    pub fn workflow(&self) -> &Workflow {
        &self.parsed.workflow
    }

    /// Who the workflow is.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.parsed.workflow.document
    }
}

/// The schema of a function's arguments, by the name that a workflow calls it by.
fn schema(name: &str, host: &Host) -> Option<serde_json::Value> {
    let function = host.resolve(&name.parse::<FunctionName>().ok()?).ok()?;
    Some(function.input_schema.clone())
}

/// Binds every function that a workflow calls to the component that has it now.
fn lock(workflow: &Workflow, host: &Host) -> Result<Lock, Vec<Diagnostic>> {
    let mut lock = Lock::default();
    let mut wrong = Vec::new();
    for name in called(workflow) {
        let found = name
            .value
            .parse::<FunctionName>()
            .map_err(|e| Diagnostic::new(name.at, e.to_string()))
            .and_then(|function| {
                host.resolve(&function)
                    .map_err(|e| Diagnostic::new(name.at, e.to_string()))
            });
        match found {
            Ok(info) => {
                let function = LockedFunction {
                    component: info.component.clone(),
                    function: info.canonical.clone(),
                    pure: info.pure,
                };
                lock.functions.insert(name.value.clone(), function);
            }
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if wrong.is_empty() { Ok(lock) } else { Err(wrong) }
}

/// The hash of what steers a run: the text and its lock.
fn hash(text: &str, lock: &Lock) -> String {
    let mut hasher = Sha256::new();
    hasher.update(text.as_bytes());
    for (name, function) in &lock.functions {
        for part in [name, &function.component, &function.function] {
            hasher.update([0]);
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What differs between two texts, as a unified diff.
fn diff(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .header("deployed", "given")
        .to_string()
}

/// Why something could not be deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The text is not a definition that can run here.
    #[error("{0}")]
    Invalid(Diagnostics),
    /// The version is known with another text.
    #[error("{id} is deployed with another text; give the new text another version")]
    Conflict {
        /// Which one.
        id: WorkflowId,
        /// What differs, as a unified diff from the known text to the new one.
        diff: String,
    },
    /// The store is not to be had or refuses.
    #[error("{0}")]
    Store(#[from] potok_journal::StoreError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] crate::shell::Stopped),
}

impl DeployError {
    /// The error as problem details for people who drop files; the diagnostics are in `data`.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Invalid(diagnostics) => {
                let list = serde_json::to_value(&diagnostics.list).unwrap_or_default();
                Problem::new(ErrorType::Validation, "Invalid definition", diagnostics.to_string()).with_data(list)
            }
            Self::Conflict { diff, .. } => Problem::new(ErrorType::Validation, "Version is taken", self.to_string())
                .with_status(409)
                .with_data(serde_json::json!({ "diff": diff })),
            Self::Store(_) | Self::Stopped(_) => {
                Problem::new(ErrorType::Runtime, "Not available", self.to_string()).with_status(503)
            }
        }
    }
}
