//! Runs: started, waited for, looked at, told what to do.

use std::{sync::Arc, time::Duration};

use potok_dsl::RunId;
use potok_journal::{RunCursor, RunFilter};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Node, NodeError};
use crate::{
    InnerCall, RunView, TaskEvent,
    core::{Answer, Client, Command, Input, StartRun},
    deploy::Prepared,
    shell::Stopped,
};

/// A run that is wanted.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// Its input.
    pub input: Value,
    /// The key under which its workflow starts it at most once.
    pub idempotency_key: Option<String>,
    /// Labels.
    pub labels: Value,
    /// How long to wait for its end.
    pub wait: Option<Duration>,
}

impl Node {
    /// Starts a run of a deployed workflow: the version named, else the active one. Returns when the run is durable, or, asked to wait, when
    /// it has ended or the time is up.
    ///
    /// # Errors
    /// When there is no such workflow or the store is not to be had.
    pub async fn start_run(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
        request: StartRequest,
    ) -> Result<Started, NodeError> {
        let (_, prepared) = self.workflow(namespace, name, version).await?;
        self.start_prepared(&prepared, request).await
    }

    /// Starts a run of a definition that is deployed under its hash.
    ///
    /// # Errors
    /// When the store is not to be had.
    pub async fn start_prepared(&self, prepared: &Prepared, request: StartRequest) -> Result<Started, NodeError> {
        let start = StartRun {
            run: RunId(Uuid::now_v7()),
            deployed: prepared.deployed.clone(),
            input: Arc::new(request.input),
            parent: None,
            origin: None,
            trigger: None,
            idempotency_key: request.idempotency_key,
            labels: request.labels,
            client: None,
        };
        self.launch(start, request.wait).await
    }

    /// Starts a run; returns when it is durable, or, asked to wait, when it has ended or the time is up.
    pub(super) async fn launch(&self, start: StartRun, wait: Option<Duration>) -> Result<Started, NodeError> {
        let run = start.run;
        let Some(limit) = wait else {
            let asked = |client| {
                Input::Start(StartRun {
                    client: Some(client),
                    ..start
                })
            };
            let (_, answer) = self.0.shell.ask(asked).await?;
            return match answer.await.map_err(|_| Stopped)? {
                Answer::Started(run) => Ok(Started {
                    run: self.run(run).await?,
                    existed: false,
                }),
                Answer::Exists(run) => Ok(Started {
                    run: self.run(run).await?,
                    existed: true,
                }),
                other => Err(unavailable(other)),
            };
        };
        // Whoever waits for the end needs no word of the beginning: one write can carry both.
        let (waiting, mut answer) = self.0.shell.ask(|client| Input::Wait { run, client }).await?;
        self.0.shell.happened(Input::Start(start)).await;
        let told = match tokio::time::timeout(limit, &mut answer).await {
            Ok(told) => told.map_err(|_| Stopped)?,
            Err(_) => self.accepted(run, waiting, answer).await?,
        };
        match told {
            Answer::Exists(existing) => Ok(Started {
                run: self.wait(existing, limit).await?,
                existed: true,
            }),
            Answer::Ended(_) | Answer::Started(_) => Ok(Started {
                run: self.run(run).await?,
                existed: false,
            }),
            other => Err(unavailable(other)),
        }
    }

    /// The time is up for whoever waits for the end of a run that has just been started: what became of its start.
    async fn accepted(
        &self,
        run: RunId,
        waiting: Client,
        mut ended: oneshot::Receiver<Answer>,
    ) -> Result<Answer, NodeError> {
        let (_, answer) = self.0.shell.ask(|client| Input::Accepted { run, client }).await?;
        let told = answer.await.map_err(|_| Stopped)?;
        // A run that is not in memory any more has told whoever waits how it ended or why it was refused, unless it sleeps.
        if let Ok(told) = ended.try_recv() {
            return Ok(told);
        }
        self.0.shell.ask(|_| Input::Forget { run, client: waiting }).await?;
        Ok(told)
    }

    /// Waits for a run's end, but no longer than the limit; gives the run as it is then.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn wait(&self, run: RunId, limit: Duration) -> Result<RunView, NodeError> {
        let (client, answer) = self.0.shell.ask(|client| Input::Wait { run, client }).await?;
        // Asked after the wait is known to the core, so that an end in between is seen by one of the two.
        let view = self.run(run).await;
        if !matches!(&view, Ok(view) if !view.status.is_final()) {
            self.0.shell.ask(|_| Input::Forget { run, client }).await?;
            return view;
        }
        self.answered(run, client, answer, limit).await?;
        self.run(run).await
    }

    async fn answered(
        &self,
        run: RunId,
        client: Client,
        answer: oneshot::Receiver<Answer>,
        limit: Duration,
    ) -> Result<Option<Answer>, NodeError> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => Ok(Some(answer.map_err(|_| Stopped)?)),
            Err(_) => {
                self.0.shell.ask(|_| Input::Forget { run, client }).await?;
                Ok(None)
            }
        }
    }

    /// A run.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn run(&self, run: RunId) -> Result<RunView, NodeError> {
        let row = self.0.store.run_row(run).await?;
        row.map(RunView::from).ok_or_else(|| NodeError::missing("run", run))
    }

    /// Up to `limit` runs that pass a filter, the newest first, after where another page ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> Result<(Vec<RunView>, Option<RunCursor>), NodeError> {
        let page = self.0.store.list_runs(filter, after, limit).await?;
        Ok((page.runs.into_iter().map(RunView::from).collect(), page.next))
    }

    /// Up to `limit` of the things that a run's tasks did, from an event's number on.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn history(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<TaskEvent>, NodeError> {
        self.run(run).await?;
        let rows = self.0.store.timeline(run, from.checked_sub(1), limit).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| serde_json::from_value(row.entry).ok())
            .collect())
    }

    /// The last thing that a run's tasks did.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_event(&self, run: RunId) -> Result<Option<TaskEvent>, NodeError> {
        let row = self.0.store.last_of_timeline(run).await?;
        Ok(row.and_then(|row| serde_json::from_value(row.entry).ok()))
    }

    /// The newest capability calls, up to `limit`, inside the calls of a run that are under way; in order. A call is among them once it is
    /// answered and that is durable.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn inner_calls(&self, run: RunId, limit: usize) -> Result<Vec<InnerCall>, NodeError> {
        let rows = self.0.store.open_inner_calls(run, limit).await?;
        Ok(rows.into_iter().map(InnerCall::from).collect())
    }

    /// Asks something of a run; gives it as it is then.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn command(&self, run: RunId, command: Command) -> Result<RunView, NodeError> {
        let (_, answer) = self
            .0
            .shell
            .ask(|client| Input::Command { run, command, client })
            .await?;
        match answer.await.map_err(|_| Stopped)? {
            Answer::Taken(_) => self.run(run).await,
            Answer::Missing => Err(NodeError::missing("run", run)),
            Answer::Refused(status) => {
                let status = serde_json::to_value(status)
                    .ok()
                    .and_then(|v| v.as_str().map(str::to_owned));
                Err(NodeError::Conflict(format!(
                    "the run is {}",
                    status.unwrap_or_default()
                )))
            }
            other => Err(unavailable(other)),
        }
    }
}

/// A run that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The run.
    pub run: RunView,
    /// Whether it was there already, under the same idempotency key.
    pub existed: bool,
}

fn unavailable(answer: Answer) -> NodeError {
    match answer {
        Answer::Failed(why) => NodeError::Unavailable(why),
        Answer::Rejected(problem) => NodeError::Invalid(problem),
        other => NodeError::Unavailable(format!("the node gave no usable answer: {other:?}")),
    }
}
