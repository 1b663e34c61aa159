//! From a text to something that runs: parse, refuse what is not executed yet, lock what steers the run, compile.
//!
//! A stored definition is bound to its lock and never validated again: [`Prepared::stored`] compiles it as it was.

mod binder;
mod binding;
mod cache;
mod link;
mod needs;
mod resources;
mod step;

use std::sync::Arc;

pub use potok_dsl::{Diagnostic, Diagnostics, Parsed};
use potok_dsl::{
    ErrorType, Problem, WorkflowId,
    model::{Document, Workflow},
};
use potok_expr::Evaluator;
use potok_machine::{Definition, Lock};
use sha2::{Digest, Sha256};

use crate::{
    core::Deployed,
    schedule::{self, Plan},
};
pub use binder::Binder;
pub(crate) use binder::SHELL_IS_OFF;
pub use cache::Deployments;
use link::{Calls, Linked};
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
    /// Which events start it.
    pub arrival: Option<Arc<Definition>>,
}

impl Prepared {
    /// Compiles a stored text with the lock that it was deployed with.
    ///
    /// # Errors
    /// A message, when this version cannot run it any more.
    pub fn stored(text: &str, lock: Lock, evaluator: &Evaluator) -> Result<Self, String> {
        let parsed = potok_dsl::parse("stored definition", text).map_err(|e| e.to_string())?;
        Self::bound(Arc::new(parsed), lock, &Calls::new(), evaluator)
            .map_err(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    fn bound(parsed: Arc<Parsed>, lock: Lock, calls: &Calls, evaluator: &Evaluator) -> Result<Self, Vec<Diagnostic>> {
        let linked = Linked::new(&parsed.workflow, &lock.documents)?;
        let definition = Definition::compile(&linked.workflow, &lock, evaluator);
        let definition = definition.map_err(|list| linked.told_of(list, calls))?;
        let plans = Plan::of(&parsed.workflow, evaluator).map_err(|error| {
            let at = parsed.workflow.schedule.as_ref().map(|s| s.at).unwrap_or_default();
            vec![Diagnostic::new(at, error.to_string())]
        })?;
        let arrival = schedule::arrival(&parsed.workflow, evaluator)?;
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
            arrival,
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
    let operations = lock.operations.iter().map(|(key, locked)| (1, key, &locked.document));
    let schemas = lock.schemas.iter().map(|(key, locked)| (2, key, &locked.document));
    let workflows = lock.workflows.iter().map(|(key, locked)| (3, key, &locked.definition));
    let documents = lock.documents.iter().map(|(key, locked)| (4, key, &locked.document));
    for (kind, key, document) in operations.chain(schemas).chain(workflows).chain(documents) {
        hasher.update([kind]);
        hasher.update(key.as_bytes());
        hasher.update([0]);
        hasher.update(document.as_bytes());
    }
    digits(&hasher.finalize())
}

/// The SHA-256 of some bytes, in hex.
fn hex(bytes: &[u8]) -> String {
    digits(&Sha256::digest(bytes))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
