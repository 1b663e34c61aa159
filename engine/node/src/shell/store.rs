//! The core's words to the store and back: writes, reads, and what is told when a write is durable.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use potok_bus::Bus;
use potok_dsl::{ErrorType, Problem, RunId, Timestamp, WorkflowId};
use potok_journal::{
    Conflict, Document, LoadedRun, RowChange, RunRow, RunUpdate, RunWrite, Slot, Store, StoreError, TimelineRow, Write,
};
use potok_machine::{Admission, Entry, Event, OnConflict, Outcome, Status};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Message, Shell,
    events::{self, Stream},
    triggers::{self, fire_at},
};
use crate::{
    OriginView, RunView, TaskEvent,
    core::{DueRuns, Input, Kept, LoadFailure, Message as Told, Save, SaveFailure, Stored, Update},
    deploy::Deployments,
    metrics::Metrics,
    news::{RunNews, subject},
    schedule::{TriggerKey, TriggerState},
};

/// How many runs are read with one read of the store.
const LOADED_TOGETHER: usize = 32;

/// Everything that the core's thread has others do.
pub(super) struct Io {
    pub(super) store: Arc<dyn Store>,
    stream: Arc<Stream>,
    deployments: Arc<Deployments>,
    bus: Arc<dyn Bus>,
    metrics: Arc<Metrics>,
    pub(super) shell: Shell,
    /// States of triggers are written one after the other: the last one must win.
    triggers: mpsc::Sender<(TriggerKey, TriggerState)>,
}

impl Io {
    pub fn new(
        store: Arc<dyn Store>,
        stream: Arc<Stream>,
        deployments: Arc<Deployments>,
        bus: Arc<dyn Bus>,
        metrics: Arc<Metrics>,
        shell: Shell,
    ) -> Self {
        let (triggers, states) = mpsc::channel(triggers::WAITING);
        tokio::spawn(triggers::write(Arc::clone(&store), states));
        Self {
            store,
            stream,
            deployments,
            bus,
            metrics,
            shell,
            triggers,
        }
    }

    /// Writes what a run did; gives what the core is to know of it when it is durable, or cannot be.
    pub fn save(&self, save: Box<Save>) -> BoxFuture<'static, Input> {
        let (stream, metrics) = (Arc::clone(&self.stream), Arc::clone(&self.metrics));
        let run = save.run;
        let work = async move {
            let (new, tasks) = (save.opening.is_some(), save.traces.len());
            let ended = save.outcome.as_ref().map(|outcome| outcome.status);
            let emits = stream.of_save(&save);
            let result = stream.commit_run(run_write(*save), &emits).await;
            if result.is_ok() {
                metrics.saved(new, tasks, ended);
            }
            let result = result.map_err(|error| match error {
                StoreError::Duplicate(existing) => SaveFailure::Duplicate(existing),
                StoreError::Conflict { .. } => SaveFailure::Fenced(error.to_string()),
                StoreError::Unavailable(why) => SaveFailure::Unavailable(why),
                StoreError::Occupied { .. } | StoreError::Crowded { .. } => SaveFailure::Rejected(no_place(&error)),
                StoreError::Stale => SaveFailure::Unavailable(error.to_string()),
                other => SaveFailure::Refused(other.to_string()),
            });
            Input::Saved { run, result }
        };
        // A panic is the failure of one write, not the end of the node.
        let work = AssertUnwindSafe(work).catch_unwind();
        let crashed = move |_| Input::Saved {
            run,
            result: Err(SaveFailure::Refused("writing it down crashed; see the log".to_owned())),
        };
        work.map(move |saved| saved.unwrap_or_else(crashed)).boxed()
    }

    /// Has a write made on another thread.
    pub fn save_away(&self, save: BoxFuture<'static, Input>) {
        let shell = self.shell.clone();
        tokio::spawn(async move { shell.happened(save.await).await });
    }

    /// Has runs read, several with one read of the store.
    pub fn load(&self, runs: &[RunId]) {
        for some in runs.chunks(LOADED_TOGETHER) {
            self.read(some.to_vec(), false);
        }
    }

    /// Has a run read without its snapshot.
    pub fn load_whole(&self, run: RunId) {
        self.read(vec![run], true);
    }

    fn read(&self, runs: Vec<RunId>, whole: bool) {
        let (store, deployments, shell) = (
            Arc::clone(&self.store),
            Arc::clone(&self.deployments),
            self.shell.clone(),
        );
        tokio::spawn(async move {
            let loaded = store.load_runs(&runs).await;
            for (run, loaded) in runs.into_iter().zip(loaded) {
                let result = stored(&*store, &deployments, run, loaded, whole).await.map(Box::new);
                shell.happened(Input::Loaded { run, result }).await;
            }
        });
    }

    /// Throws away what was said to a run that never was.
    pub fn silence(&self, run: RunId) {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.commit(Write::Silence { run }).await {
                tracing::warn!(%run, %error, "a message to a run that never was is left");
            }
        });
    }

    pub fn query_due(&self, until: Timestamp, after: Option<(Timestamp, RunId)>, limit: u32) {
        let (store, shell) = (Arc::clone(&self.store), self.shell.clone());
        tokio::spawn(async move {
            let due = due(&*store, until, after, limit).await.map_err(|e| e.to_string());
            shell.happened(Input::Due(due)).await;
        });
    }

    /// Tells whoever follows the run, if anyone does.
    pub fn publish(&self, update: Update) {
        let subject = subject(update.run);
        if !self.bus.has_subscribers(&subject) {
            return;
        }
        match serde_json::to_vec(&RunNews::of(&update)) {
            Ok(payload) => self.bus.publish(&subject, payload.into()),
            Err(error) => tracing::error!(run = %update.run, %error, "news cannot be written as JSON"),
        }
    }

    /// Starts the run of a trigger; tries until it is durable.
    pub fn fire(&self, key: TriggerKey, at: Timestamp) {
        let (deployments, shell) = (Arc::clone(&self.deployments), self.shell.clone());
        tokio::spawn(async move {
            let run = fire_at(&deployments, &shell, &key, at).await;
            // The shell is gone only when the node stops; the time is found due again at the next start.
            let _ = shell.send(Message::Triggered(key, run)).await;
        });
    }

    pub fn save_trigger(&self, key: TriggerKey, state: TriggerState) {
        if let Err(error) = self.triggers.try_send((key, state)) {
            // A lost state is caught up with: its times are found due again, and their runs are there already.
            tracing::warn!(%error, "too many states of triggers wait to be written");
        }
    }
}

async fn due(
    store: &dyn Store,
    until: Timestamp,
    after: Option<(Timestamp, RunId)>,
    limit: u32,
) -> Result<DueRuns, StoreError> {
    let after = after.map(|(at, run)| (at.0, run));
    let rows = store.due(until.0, after, limit as usize).await?;
    let more = rows.len() == limit as usize;
    let next = if more {
        None
    } else {
        store.next_wake(until.0).await?.map(Timestamp)
    };
    Ok(DueRuns {
        runs: rows.into_iter().map(|(at, run)| (Timestamp(at), run)).collect(),
        more,
        next,
    })
}

/// What the store has of a run, put together with its definition.
async fn stored(
    store: &dyn Store,
    deployments: &Deployments,
    run: RunId,
    loaded: Result<Option<LoadedRun>, StoreError>,
    whole: bool,
) -> Result<Stored, LoadFailure> {
    let unavailable = |error: StoreError| match error {
        StoreError::Unavailable(why) => LoadFailure::Unavailable(why),
        other => LoadFailure::Incompatible(other.to_string()),
    };
    let loaded = loaded.map_err(unavailable)?.ok_or(LoadFailure::Missing)?;
    if loaded.finished {
        return Err(LoadFailure::Ended(status(&loaded.row.status)));
    }
    let prepared = deployments.by_hash(&loaded.row.definition).await.map_err(unavailable)?;
    let prepared = prepared.ok_or_else(|| LoadFailure::Incompatible("its definition is gone".to_owned()))?;
    let damaged = |e: serde_json::Error| LoadFailure::Incompatible(format!("its journal cannot be read: {e}"));
    let LoadedRun {
        row,
        snapshot,
        entries_after_snapshot,
        last_ordinal,
        subscriptions,
        messages,
        ..
    } = loaded;
    // One that cannot be read is of another version, and of no use.
    let usable = |(seq, kept)| Some((seq, serde_json::from_value::<Kept>(kept).ok()?));
    let had_one = snapshot.is_some();
    let snapshot = snapshot.filter(|_| !whole).and_then(usable);
    let entries = if had_one && snapshot.is_none() {
        store.journal(run).await.map_err(unavailable)?
    } else {
        entries_after_snapshot
    };
    let entries = entries
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<_, _>>();
    Ok(Stored {
        deployed: prepared.deployed.clone(),
        snapshot,
        entries: entries.map_err(damaged)?,
        timeline: last_ordinal.map_or(0, |ordinal| ordinal + 1),
        recoveries: row.recoveries,
        trigger: row.trigger.map(Into::into),
        listeners: subscriptions.into_iter().map(events::listener).collect(),
        wake_at: row.wake_at.map(Timestamp),
        messages: messages.into_iter().filter_map(heard).collect(),
    })
}

/// The store's form of a write.
fn run_write(save: Save) -> RunWrite {
    let mut write = RunWrite::new(save.run, save.after);
    write.entries = save.entries.iter().map(Document::of).collect();
    write.snapshot = save.snapshot.as_deref().map(json);
    let numbered = (save.first_trace..).zip(save.traces.iter());
    write.timeline = numbered
        .map(|(ordinal, trace)| TimelineRow {
            ordinal,
            entry: Document::of(&TaskEvent::new(ordinal, trace)),
        })
        .collect();
    write.subscriptions = save.listening.iter().map(events::change).collect();
    write.consumed.clone_from(&save.consumed);
    write.finished = save.outcome.is_some();
    let messages = save.messages.iter().map(|message| potok_journal::Message {
        run: message.run,
        word: word(message.word),
    });
    write.messages = messages.collect();
    write.slot = save
        .opening
        .as_ref()
        .and_then(|opening| opening.admission.as_ref())
        .map(slot);
    write.heard.clone_from(&save.heard);
    write.over = save.over.iter().map(|call| call.0).collect();
    write.row = Some(row(save));
    write
}

fn row(save: Save) -> RowChange {
    let output = save.outcome.as_ref().and_then(|o| o.output.as_deref().cloned());
    let error = save.outcome.as_ref().and_then(|o| o.error.as_ref()).map(json);
    let ended_at = save.outcome.as_ref().map(|_| save.at.0);
    let status = word(save.status);
    let wake_at = save.wake_at.map(|at| at.0);
    let admitted = save.entries.iter().find_map(|entry| match entry {
        Entry::Event(recorded) if recorded.event == Event::Admitted => Some(recorded.at.0),
        _ => None,
    });
    let Some(opening) = save.opening else {
        return RowChange::Update(RunUpdate {
            status,
            output,
            error,
            wake_at,
            started_at: admitted,
            updated_at: save.at.0,
            ended_at,
            labels: None,
            recoveries: save.recoveries,
        });
    };
    let WorkflowId {
        namespace,
        name,
        version,
    } = opening.workflow;
    RowChange::Open(Box::new(RunRow {
        id: save.run,
        definition: opening.definition.to_string(),
        namespace,
        name,
        version,
        status,
        input: Arc::unwrap_or_clone(opening.input),
        output,
        error,
        parent: opening.parent,
        origin: opening.origin.as_ref().map(|(run, _)| *run),
        origin_path: opening.origin.and_then(|(_, path)| path).map(|path| path.to_string()),
        trigger: opening.trigger.map(|t| t.to_string()),
        idempotency_key: opening.idempotency_key,
        wake_at,
        created_at: opening.at.0,
        started_at: Some(opening.at.0).filter(|_| opening.admission.is_none()).or(admitted),
        updated_at: save.at.0,
        ended_at,
        labels: opening.labels,
        recoveries: save.recoveries,
    }))
}

/// A place among the runs of a group, in the store's words.
fn slot(admission: &Admission) -> Slot {
    Slot {
        group: admission.group.clone(),
        limit: admission.limit,
        conflict: match admission.on_conflict {
            OnConflict::Queue => Conflict::Queue,
            OnConflict::Reject => Conflict::Reject,
            OnConflict::Replace => Conflict::Replace,
        },
    }
}

/// Why a run may not start.
fn no_place(error: &StoreError) -> Problem {
    match error {
        StoreError::Occupied { holder } => {
            let detail =
                format!("the workflow runs for this key already, as run {holder}; wait for its end, or cancel it");
            Problem::new(ErrorType::Runtime, "Already running", detail)
                .with_status(409)
                .with_data(serde_json::json!({ "run": holder.to_string() }))
        }
        other => Problem::new(ErrorType::Runtime, "Too many runs wait", other.to_string()).with_status(429),
    }
}

/// What is ours always has a JSON form.
fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A message as the store had it; one of a later version means nothing here.
pub(super) fn heard(message: potok_journal::Message) -> Option<Told> {
    let word = serde_json::from_value(Value::String(message.word)).ok()?;
    Some(Told { run: message.run, word })
}

/// How a run stands that the store has.
pub(super) fn outcome(row: RunRow) -> Outcome {
    Outcome {
        status: status(&row.status),
        output: row.output.map(Arc::new),
        error: row.error.and_then(|error| serde_json::from_value(error).ok()),
    }
}

/// A word of an enumeration, as it is written in JSON.
pub(crate) fn word(word: impl serde::Serialize) -> String {
    match json(&word) {
        Value::String(word) => word,
        _ => String::new(),
    }
}

pub(super) fn status(word: &str) -> Status {
    serde_json::from_value(Value::String(word.to_owned())).unwrap_or(Status::Running)
}

impl From<RunRow> for RunView {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id,
            workflow: WorkflowId {
                namespace: row.namespace,
                name: row.name,
                version: row.version,
            },
            definition: row.definition,
            status: status(&row.status),
            input: row.input,
            output: row.output,
            error: row
                .error
                .and_then(|error| serde_json::from_value::<Problem>(error).ok()),
            parent: row.parent,
            origin: row.origin.map(|run| OriginView {
                run,
                path: row.origin_path,
            }),
            trigger: row.trigger,
            idempotency_key: row.idempotency_key,
            labels: row.labels,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            ended_at: row.ended_at.map(Timestamp),
            wake_at: row.wake_at.map(Timestamp),
        }
    }
}
