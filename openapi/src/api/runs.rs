//! Runs: finding, reading, following, steering.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use potok_dsl::RunId;
use potok_journal::RunFilter;
use potok_node::{RunView, core::Command};
use uuid::Uuid;

use super::{Room, State};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, Failure, MALFORMED, MISSING, TYPED},
    params::{Cursor, Label, Trigger, Version, cursor_text},
    payload,
    reason::Reason,
    stream::{Events, LastEventId},
    time::Time,
    types::{Event, History, Run, Runs as Page, Status},
};

#[derive(Clone)]
pub(super) struct Runs(pub State);

/// A run that was asked for.
#[derive(ApiResponse)]
pub(super) enum Accepted {
    /// It was waited for and has ended.
    #[oai(status = 200)]
    Ended(Json<Run>),
    /// It is durable and goes on; or was not waited for.
    #[oai(status = 202)]
    Started(
        Json<Run>,
        /// Where it is.
        #[oai(header = "Location")]
        String,
    ),
}

impl Accepted {
    pub fn new(view: RunView, waited: bool) -> Self {
        let ended = view.status.is_final();
        let run = Run::from(view);
        if waited && ended {
            return Self::Ended(Json(run));
        }
        let place = format!("/api/v1/runs/{}", run.id);
        Self::Started(Json(run), place)
    }
}

type Steered = Result<Json<Run>, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT | BODY | TYPED }>>;

#[OpenApi(tag = "Room::Runs")]
impl Runs {
    /// List runs.
    ///
    /// The newest first, without their inputs and outputs.
    #[oai(path = "/runs", method = "get", operation_id = "listRuns")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        /// Of workflows in this namespace.
        namespace: Query<Option<Label>>,
        /// Of workflows of this name.
        name: Query<Option<Label>>,
        /// Of this version.
        version: Query<Option<Version>>,
        /// In this status; may be given several times.
        status: Query<Option<Vec<Status>>>,
        /// Started by this trigger.
        trigger: Query<Option<Trigger>>,
        /// Started by this run.
        parent: Query<Option<Uuid>>,
        /// Made from this run.
        origin: Query<Option<Uuid>>,
        /// Accepted at this time or later.
        created_from: Query<Option<Time>>,
        /// Accepted before this time.
        created_before: Query<Option<Time>>,
        /// `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many at most.
        #[oai(default = "fifty", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
    ) -> Result<Json<Page>, Failure<MALFORMED>> {
        let filter = RunFilter {
            namespace: namespace.0.map(|n| n.0),
            name: name.0.map(|n| n.0),
            version: version.0.map(|v| v.0),
            status: status
                .0
                .unwrap_or_default()
                .into_iter()
                .map(Status::word)
                .map(str::to_owned)
                .collect(),
            trigger: trigger.0.map(|t| t.0),
            parent: parent.0.map(RunId),
            origin: origin.0.map(RunId),
            created_from: created_from.0.map(|t| t.0.0),
            created_before: created_before.0.map(|t| t.0.0),
            alone: false,
        };
        let (runs, next) = self
            .0
            .node
            .runs(&filter, cursor.0.map(|c| c.0), limit.0 as usize)
            .await?;
        Ok(Json(Page {
            runs: runs.into_iter().map(Into::into).collect(),
            next: next.as_ref().map(cursor_text),
        }))
    }

    /// Look at a run.
    #[oai(path = "/runs/:id", method = "get", operation_id = "getRun")]
    async fn get(&self, id: Path<Uuid>) -> Result<Json<Run>, Failure<{ MALFORMED | MISSING }>> {
        Ok(Json(self.0.node.run(RunId(id.0)).await?.into()))
    }

    /// Read what a run's tasks did.
    #[oai(path = "/runs/:id/history", method = "get", operation_id = "getHistory")]
    async fn history(
        &self,
        id: Path<Uuid>,
        /// The number of the first event.
        #[oai(default, validator(maximum(value = "9007199254740991")))]
        from: Query<u64>,
        /// How many at most.
        #[oai(default = "hundred", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
    ) -> Result<Json<History>, Failure<{ MALFORMED | MISSING }>> {
        let (node, run) = (&self.0.node, RunId(id.0));
        let events = node.history(run, from.0, limit.0 as usize).await?;
        let mut next = events.last().map(|event| event.number + 1);
        // A page may be short because its values are large: only the store knows whether there is more.
        if let Some(number) = next
            && node.history(run, number, 1).await?.is_empty()
        {
            next = None;
        }
        let calls = match next {
            Some(_) => None,
            None => Some(node.inner_calls(run, limit.0 as usize).await?).filter(|calls| !calls.is_empty()),
        };
        Ok(Json(History {
            events: events.into_iter().map(Event::from).collect(),
            next,
            calls: calls.map(|calls| calls.into_iter().map(Into::into).collect()),
        }))
    }

    /// Follow a run.
    ///
    /// Server-sent events: an event `task` for everything that a task did, from the first on, its `id` the event's number; then an event
    /// `run` with the run at its end. The stream ends with it. After a broken connection `Last-Event-ID` goes on where it broke.
    #[oai(path = "/runs/:id/stream", method = "get", operation_id = "followRun")]
    async fn stream(
        &self,
        id: Path<Uuid>,
        /// The `id` of the last event that came.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<LastEventId>>,
    ) -> Result<Events, Failure<{ MALFORMED | MISSING }>> {
        let from = last.0.map_or(0, |last| last.0.saturating_add(1));
        let following = self.0.node.follow(RunId(id.0), from).await?;
        Ok(Events::new(
            self.0.node.clone(),
            RunId(id.0),
            following,
            self.0.stopping.clone(),
        ))
    }

    /// Cancel a run.
    #[oai(path = "/runs/:id/cancel", method = "post", operation_id = "cancelRun")]
    async fn cancel(&self, id: Path<Uuid>, reason: payload::Json<Reason>) -> Steered {
        self.steer(id.0, Command::Cancel(reason.0.reason)).await
    }

    /// Suspend a run.
    ///
    /// What is under way ends; nothing new begins until the run is resumed.
    #[oai(path = "/runs/:id/suspend", method = "post", operation_id = "suspendRun")]
    async fn suspend(&self, id: Path<Uuid>, reason: payload::Json<Reason>) -> Steered {
        self.steer(id.0, Command::Suspend(reason.0.reason)).await
    }

    /// Resume a suspended run.
    #[oai(path = "/runs/:id/resume", method = "post", operation_id = "resumeRun")]
    async fn resume(&self, id: Path<Uuid>) -> Result<Json<Run>, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT }>> {
        Ok(Json(self.0.node.command(RunId(id.0), Command::Resume).await?.into()))
    }
}

impl Runs {
    async fn steer(&self, id: Uuid, command: Command) -> Steered {
        Ok(Json(self.0.node.command(RunId(id), command).await?.into()))
    }
}

pub(super) fn fifty() -> u32 {
    50
}

fn hundred() -> u32 {
    100
}
