//! Tasks: runs in the words that clients poll for.

use poem_openapi::{OpenApi, param::Path, payload::Json};
use potok_dsl::RunId;
use potok_machine::Status;
use potok_node::RunView;
use serde_json::json;
use uuid::Uuid;

use super::{
    Desk, Room,
    answer::message,
    words::{Task, TaskStatus},
};
use crate::failure::{Failure, MALFORMED, MISSING};

#[derive(Clone)]
pub(super) struct Tasks(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Tasks {
    /// Look at a task.
    ///
    /// Every run is one, whoever started it.
    #[oai(path = "/tasks/:id", method = "get", operation_id = "getTask")]
    async fn get(&self, id: Path<Uuid>) -> Result<Json<Task>, Failure<{ MALFORMED | MISSING }>> {
        let run = self.0.state.node.run(RunId(id.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }
}

/// A run as a task.
pub(super) async fn task<const KINDS: u16>(desk: &Desk, run: RunView) -> Result<Task, Failure<KINDS>> {
    let task_status = match run.status {
        Status::Pending => TaskStatus::Pending,
        Status::Running | Status::Waiting if tries_again(desk, run.id).await? => TaskStatus::Retry,
        Status::Running | Status::Waiting | Status::Suspended => TaskStatus::Started,
        Status::Completed => TaskStatus::Success,
        Status::Faulted => TaskStatus::Failure,
        Status::Cancelled => TaskStatus::Revoked,
    };
    let failed = run.error.map(|problem| json!({ "message": message(&problem) }));
    Ok(Task {
        task_id: run.id.0,
        task_status,
        task_result: failed.or(run.output),
    })
}

/// Whether the last thing that a run did was to decide to try again.
async fn tries_again<const KINDS: u16>(desk: &Desk, run: RunId) -> Result<bool, Failure<KINDS>> {
    let last = desk.state.node.last_event(run).await?;
    Ok(last.is_some_and(|event| event.event == "retrying"))
}
