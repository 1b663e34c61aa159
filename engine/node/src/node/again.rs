//! Runs that are made from other runs: tried again from the task that faulted, restarted or forked at any task.
//!
//! The journal of the old run is folded up to that point; what comes out of it is what the new run begins with. The old run stays as it is.

use std::{sync::Arc, time::Duration};

use potok_dsl::{Problem, RunId};
use potok_machine::{Entry, Machine, Origin, Point, Status};
use serde_json::Value;
use uuid::Uuid;

use super::{Node, NodeError, Started};
use crate::{RunView, core::StartRun, deploy::Prepared, shell::word};

/// The longest journal that a run is made from, in entries.
const MOST_ENTRIES: usize = 200_000;

/// How many entries are read at once.
const PAGE: usize = 10_000;

/// How a run is made from another one.
#[derive(Debug, Clone, Default)]
pub struct RestartRequest {
    /// The task that it begins with: a path, or the reference of a task that was executed once; the workflow, when it names none.
    pub from: Option<String>,
    /// What that task gets instead of its raw input, or the workflow instead of its input.
    pub input: Option<Value>,
    /// The version that it goes on with; the old run's own, when it names none.
    pub version: Option<String>,
    /// The key under which its workflow starts it at most once.
    pub idempotency_key: Option<String>,
    /// How long to wait for its end.
    pub wait: Option<Duration>,
}

impl Node {
    /// Makes a run that begins with the task at which another one faulted, everything around it as it was. There is one such run: asked
    /// again, it is the same.
    ///
    /// # Errors
    /// When there is no such run, or no task of it has faulted.
    pub async fn retry(&self, run: RunId, wait: Option<Duration>) -> Result<Started, NodeError> {
        let old = self.run(run).await?;
        if old.status != Status::Faulted {
            let status = word(old.status);
            return Err(NodeError::Conflict(format!(
                "run {run} is {status}; only a run that has faulted is retried"
            )));
        }
        let prepared = self.definition_of(&old).await?;
        let origin = self.origin(&old, Point::Fault, &prepared, &prepared).await?;
        let request = RestartRequest {
            idempotency_key: Some(format!("retry:{run}")),
            wait,
            ..RestartRequest::default()
        };
        self.make(old, origin, &prepared, request).await
    }

    /// Makes a run from one that has ended.
    ///
    /// # Errors
    /// When there is no such run or version, the run has not ended, or it cannot be made from there.
    pub async fn restart(&self, run: RunId, request: RestartRequest) -> Result<Started, NodeError> {
        let old = self.run(run).await?;
        if !old.status.is_final() {
            let status = word(old.status);
            return Err(NodeError::Conflict(format!(
                "run {run} is {status}; cancel it before it is restarted, or fork it"
            )));
        }
        self.again(old, request).await
    }

    /// Makes a run from another one, which goes on if it has not ended.
    ///
    /// # Errors
    /// When there is no such run or version, or it cannot be made from there.
    pub async fn fork(&self, run: RunId, request: RestartRequest) -> Result<Started, NodeError> {
        let old = self.run(run).await?;
        self.again(old, request).await
    }

    async fn again(&self, old: RunView, mut request: RestartRequest) -> Result<Started, NodeError> {
        let into = match &request.version {
            None => self.definition_of(&old).await?,
            Some(version) => {
                let id = &old.workflow;
                self.workflow(&id.namespace, &id.name, Some(version)).await?.1
            }
        };
        let origin = match request.from.take() {
            None => Origin {
                run: old.id,
                path: None,
                state: None,
            },
            Some(at) => {
                let input = request.input.take();
                let from = self.definition_of(&old).await?;
                self.origin(&old, Point::Task { at, input }, &from, &into).await?
            }
        };
        self.make(old, origin, &into, request).await
    }

    async fn make(
        &self,
        old: RunView,
        origin: Origin,
        into: &Prepared,
        request: RestartRequest,
    ) -> Result<Started, NodeError> {
        let input = request.input.unwrap_or(old.input);
        if origin.state.is_none() {
            let definition = &into.deployed.definition;
            let unusable = |problem: Problem| NodeError::Invalid(problem.with_status(422));
            definition.check_input(&input).map_err(unusable)?;
        }
        let start = StartRun {
            run: RunId(Uuid::now_v7()),
            deployed: into.deployed.clone(),
            input: Arc::new(input),
            parent: None,
            origin: Some(origin),
            trigger: None,
            idempotency_key: request.idempotency_key,
            labels: old.labels,
            client: None,
        };
        self.launch(start, request.wait).await
    }

    /// The definition that a run runs.
    async fn definition_of(&self, run: &RunView) -> Result<Arc<Prepared>, NodeError> {
        let known = self.0.deployments.by_hash(&run.definition).await?;
        known.ok_or_else(|| {
            let RunView { id, workflow, .. } = run;
            NodeError::Conflict(format!(
                "run {id} cannot be read again: {workflow} was removed, and what it did means nothing without that text"
            ))
        })
    }

    async fn origin(
        &self,
        old: &RunView,
        point: Point,
        from: &Arc<Prepared>,
        into: &Arc<Prepared>,
    ) -> Result<Origin, NodeError> {
        let entries = self.entries(old.id).await?;
        let evaluator = self.0.deployments.binder().evaluator().clone();
        let (from, into) = (Arc::clone(from), Arc::clone(into));
        // Folding a long journal takes a while.
        let folded = tokio::task::spawn_blocking(move || {
            let (from, into) = (&from.deployed.definition, &into.deployed.definition);
            Machine::origin(from, &evaluator, &entries, &point, into)
        });
        let folded = folded
            .await
            .map_err(|error| NodeError::Unavailable(error.to_string()))?;
        folded.map_err(|why| NodeError::Conflict(format!("no run can be made from run {} there: {why}", old.id)))
    }

    async fn entries(&self, run: RunId) -> Result<Vec<Entry>, NodeError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let page = self.0.store.journal_page(run, entries.len() as u64, PAGE).await?;
            if page.is_empty() {
                return Ok(entries);
            }
            for (number, entry) in page {
                let entry = serde_json::from_value(entry);
                entries.push(entry.map_err(|error| {
                    NodeError::Conflict(format!(
                        "entry {number} of run {run} was written by another version: {error}"
                    ))
                })?);
            }
            if entries.len() > MOST_ENTRIES {
                return Err(NodeError::Conflict(format!(
                    "the journal of run {run} has more than {MOST_ENTRIES} entries; it is too long to make a run from"
                )));
            }
        }
    }
}
