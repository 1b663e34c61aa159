//! Triggers: their states in the store, and the runs that they start.

use std::sync::Arc;

use potok_dsl::{RunId, Timestamp};
use potok_journal::{Store, StoreError, TriggerRow, Write};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{RETRY, Shell, store::status};
use crate::{
    core::{Answer, Input, StartRun},
    deploy::Deployments,
    schedule::{TriggerKey, TriggerState},
};

/// How many states of triggers may wait for their write.
pub(super) const WAITING: usize = 1_024;

/// Writes the states of triggers as they come.
pub(super) async fn write(store: Arc<dyn Store>, mut states: mpsc::Receiver<(TriggerKey, TriggerState)>) {
    while let Some((key, state)) = states.recv().await {
        let (definition, kind) = key.rsplit_once('/').unwrap_or((&key, ""));
        let row = TriggerRow {
            definition: definition.to_owned(),
            key: kind.to_owned(),
            next_at: state.next_at.map(|at| at.0),
            state: serde_json::to_value(&state).unwrap_or_default(),
        };
        if let Err(error) = store.commit(Write::Trigger(row)).await {
            tracing::warn!(trigger = %key, %error, "a trigger's state was not written");
        }
    }
}

/// The state that the store has of a trigger, its active run taken out when that has ended.
pub(crate) async fn trigger_state(
    store: &dyn Store,
    definition: &str,
    kind: &str,
) -> Result<Option<TriggerState>, StoreError> {
    let rows = store.triggers().await?;
    let row = rows
        .into_iter()
        .find(|row| row.definition == definition && row.key == kind);
    let Some(mut state) = row.and_then(|row| serde_json::from_value::<TriggerState>(row.state).ok()) else {
        return Ok(None);
    };
    if let Some(run) = state.active {
        let row = store.run_row(run).await?;
        if row.is_none_or(|row| status(&row.status).is_final()) {
            state.active = None;
        }
    }
    Ok(Some(state))
}

/// Why a trigger's run was not started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misfire {
    /// The store is not to be had.
    #[error("{0}")]
    Later(String),
    /// There is nothing to start, or nobody to start it.
    #[error("{0}")]
    Never(&'static str),
}

/// Starts the run of a trigger for a time; tries until it is durable.
pub(super) async fn fire_at(
    deployments: &Deployments,
    shell: &Shell,
    key: &TriggerKey,
    at: Timestamp,
) -> Option<RunId> {
    let nothing = Arc::new(Value::Object(serde_json::Map::new()));
    loop {
        match fire(deployments, shell, key, &at.0.to_string(), Arc::clone(&nothing)).await {
            Ok(run) => return run,
            Err(Misfire::Later(error)) => {
                tracing::warn!(trigger = %key, %error, "a trigger's run could not be started; trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(Misfire::Never(error)) => {
                tracing::error!(trigger = %key, %error, "a trigger's run could not be started");
                return None;
            }
        }
    }
}

/// Starts the run of a trigger; `mark` names the occasion, for which there is one run. `None` when it may not start: then the occasion is skipped.
pub(super) async fn fire(
    deployments: &Deployments,
    shell: &Shell,
    key: &TriggerKey,
    mark: &str,
    input: Arc<Value>,
) -> Result<Option<RunId>, Misfire> {
    let (hash, _) = key
        .rsplit_once('/')
        .ok_or(Misfire::Never("a trigger's key has no kind"))?;
    let prepared = deployments
        .by_hash(hash)
        .await
        .map_err(|error| Misfire::Later(error.to_string()))?
        .ok_or(Misfire::Never("its definition is gone"))?;
    let start = |client| {
        Input::Start(StartRun {
            run: RunId(Uuid::now_v7()),
            deployed: prepared.deployed.clone(),
            input: Arc::clone(&input),
            parent: None,
            origin: None,
            trigger: Some(Arc::clone(key)),
            idempotency_key: Some(format!("{key}/{mark}")),
            labels: Value::Object(serde_json::Map::new()),
            client: Some(client),
        })
    };
    let stopped = Misfire::Never("the node has stopped");
    let Ok((_, answer)) = shell.ask(start).await else {
        return Err(stopped);
    };
    match answer.await.map_err(|_| stopped)? {
        Answer::Started(run) | Answer::Exists(run) => Ok(Some(run)),
        Answer::Rejected(problem) => {
            tracing::warn!(trigger = %key, %problem, "a trigger's run may not start; it is skipped");
            Ok(None)
        }
        Answer::Failed(why) => Err(Misfire::Later(why)),
        other => Err(Misfire::Later(format!("{other:?}"))),
    }
}
