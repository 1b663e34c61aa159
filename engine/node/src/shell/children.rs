//! Runs that calls want: looked for in the store, else made ready to be started.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem, RunId, model::WORKFLOW_LATEST};
use potok_journal::{RunRow, Store, StoreError};
use potok_machine::{CallEffect, Outcome, WorkflowRequest};
use serde_json::{Map, Value};

use super::{RETRY, store::outcome};
use crate::{
    core::{Input, StartRun, handed_over, started},
    deploy::{Deployments, Prepared},
};

/// What looks for runs; cheap to clone.
#[derive(Clone)]
pub(super) struct Children {
    store: Arc<dyn Store>,
    deployments: Arc<Deployments>,
}

impl Children {
    pub fn new(store: Arc<dyn Store>, deployments: Arc<Deployments>) -> Self {
        Self { store, deployments }
    }

    /// What there is to say of the run that a call wants. A store that is not to be had is asked until it is.
    pub async fn find(&self, parent: RunId, effect: &CallEffect, wanted: &WorkflowRequest) -> Input {
        loop {
            match self.look(parent, effect, wanted).await {
                Ok(found) => return found,
                Err(error) => {
                    tracing::warn!(run = %parent, child = %wanted.run, %error, "a sub-workflow cannot be looked for; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn look(&self, parent: RunId, effect: &CallEffect, wanted: &WorkflowRequest) -> Result<Input, StoreError> {
        let done = |outcome| Input::CallDone {
            run: parent,
            call: effect.call,
            path: effect.path.clone(),
            digest: effect.digest.clone(),
            outcome,
            made: None,
        };
        if let Some(row) = self.store.run_row(wanted.run).await? {
            return Ok(match ended(row) {
                _ if !wanted.parent.awaits => done(Ok(started(wanted.run))),
                Some(outcome) => done(handed_over(wanted.run, &outcome)),
                None => Input::ChildThere {
                    parent,
                    call: effect.call,
                    child: wanted.run,
                },
            });
        }
        let prepared = match self.resolve(wanted).await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Ok(done(Err(missing(wanted)))),
            Err(StoreError::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
            Err(error) => return Ok(done(Err(unusable(wanted, &error)))),
        };
        if let Err(problem) = prepared.deployed.definition.check_input(&wanted.input) {
            return Ok(done(Err(problem)));
        }
        Ok(Input::Child {
            parent,
            call: effect.call,
            start: Box::new(StartRun {
                run: wanted.run,
                deployed: prepared.deployed.clone(),
                input: Arc::clone(&wanted.input),
                parent: Some(wanted.parent),
                origin: None,
                trigger: None,
                idempotency_key: Some(format!("run:{}:{}", effect.idempotency_key, effect.call)),
                labels: Value::Object(Map::new()),
                client: None,
            }),
        })
    }

    async fn resolve(&self, wanted: &WorkflowRequest) -> Result<Option<Arc<Prepared>>, StoreError> {
        if let Some(hash) = &wanted.definition {
            return self.deployments.by_hash(hash).await;
        }
        let version = Some(wanted.version.as_str()).filter(|version| *version != WORKFLOW_LATEST);
        let found = self.deployments.find(&wanted.namespace, &wanted.name, version).await?;
        Ok(found.map(|(_, prepared)| prepared))
    }
}

/// How a run that has ended has ended.
fn ended(row: RunRow) -> Option<Outcome> {
    Some(outcome(row)).filter(|outcome| outcome.status.is_final())
}

fn missing(wanted: &WorkflowRequest) -> Problem {
    let WorkflowRequest {
        namespace,
        name,
        version,
        ..
    } = wanted;
    let detail = format!("there is no workflow '{namespace}/{name}:{version}'");
    Problem::new(ErrorType::Configuration, "Workflow not deployed", detail)
}

fn unusable(wanted: &WorkflowRequest, error: &StoreError) -> Problem {
    let WorkflowRequest {
        namespace,
        name,
        version,
        ..
    } = wanted;
    let detail = format!("the workflow '{namespace}/{name}:{version}' cannot be started: {error}");
    Problem::new(ErrorType::Configuration, "Workflow not usable", detail)
}
