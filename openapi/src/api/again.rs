//! Runs that are made from other runs: tried again, restarted, forked; and what differed.

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use potok_dsl::RunId;
use potok_node::RestartRequest;
use uuid::Uuid;

use super::{Room, State, runs::Accepted};
use crate::{
    difference::Diff,
    failure::{BODY, CHANGES, CONFLICT, CROWDED, Failure, MALFORMED, MISSING, TYPED, UNUSABLE},
    params::{IdempotencyKey, Wait},
    payload,
    restart::Restart,
};

#[derive(Clone)]
pub(super) struct Again(pub State);

type Made = Result<Accepted, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT | BODY | TYPED | UNUSABLE | CROWDED }>>;

#[OpenApi(tag = "Room::Runs")]
impl Again {
    /// Retry a run that has faulted.
    ///
    /// Makes a new run that begins with the task that faulted, with the input, the context and everything around it as they were. What was
    /// completed is not done again; what was under way beside it is. The new run's calls have idempotency keys of their own. Asked again, it is
    /// the same new run.
    #[oai(path = "/runs/:id/retry", method = "post", operation_id = "retryRun")]
    async fn retry(
        &self,
        id: Path<Uuid>,
        /// Wait so long for the new run's end, such as `500ms`, `30s` or `5m`; no longer than ten minutes.
        wait: Query<Option<Wait>>,
    ) -> Result<Accepted, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT | UNUSABLE | CROWDED }>> {
        let wait = wait.0.as_ref().map(Wait::bounded);
        let made = self.0.node.retry(RunId(id.0), wait).await?;
        Ok(Accepted::new(made.run, wait.is_some()))
    }

    /// Restart a run that has ended.
    ///
    /// Makes a new run that begins with any task that the other one came to, everything around it as it was then, or with the workflow. That task
    /// may get another input, and the run may go on with another version of the workflow, where that has a place for what was open. Effects of what
    /// is done again happen again: the new run's calls have idempotency keys of their own.
    #[oai(path = "/runs/:id/restart", method = "post", operation_id = "restartRun")]
    async fn restart(
        &self,
        id: Path<Uuid>,
        /// As for a retry.
        wait: Query<Option<Wait>>,
        /// The same key again, for the same workflow, starts nothing and answers with the run that it started.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<IdempotencyKey>>,
        how: payload::Json<Restart>,
    ) -> Made {
        let request = request(how.0, idempotency_key.0, wait.0.as_ref());
        let waited = request.wait.is_some();
        let made = self.0.node.restart(RunId(id.0), request).await?;
        Ok(Accepted::new(made.run, waited))
    }

    /// Fork a run.
    ///
    /// As a restart, but the other run need not have ended: it goes on.
    #[oai(path = "/runs/:id/fork", method = "post", operation_id = "forkRun")]
    async fn fork(
        &self,
        id: Path<Uuid>,
        /// As for a retry.
        wait: Query<Option<Wait>>,
        /// The same key again, for the same workflow, starts nothing and answers with the run that it started.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<IdempotencyKey>>,
        how: payload::Json<Restart>,
    ) -> Made {
        let request = request(how.0, idempotency_key.0, wait.0.as_ref());
        let waited = request.wait.is_some();
        let made = self.0.node.fork(RunId(id.0), request).await?;
        Ok(Accepted::new(made.run, waited))
    }

    /// See what differed between two runs.
    ///
    /// Compares workflow, input, status, output and error, and what came of each task.
    #[oai(path = "/runs/:id/diff", method = "get", operation_id = "diffRuns")]
    async fn diff(
        &self,
        id: Path<Uuid>,
        /// The run to compare with; the one that it was made from unless named.
        with: Query<Option<Uuid>>,
    ) -> Result<Json<Diff>, Failure<{ MALFORMED | MISSING | CONFLICT }>> {
        let diff = self.0.node.diff(RunId(id.0), with.0.map(RunId)).await?;
        Ok(Json(diff.into()))
    }
}

fn request(how: Restart, key: Option<IdempotencyKey>, wait: Option<&Wait>) -> RestartRequest {
    RestartRequest {
        from: how.from,
        input: how.input,
        version: how.version,
        idempotency_key: key.map(|key| key.0),
        wait: wait.map(Wait::bounded),
    }
}
