//! Members of the operator's own groups and channels, as a task whose result is a file too.

use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::{Json, PlainText},
};
use potok_dsl::RunId;
use potok_journal::RunFilter;
use potok_node::RunView;
use serde_json::json;
use uuid::Uuid;

use super::{
    Desk, Room,
    tasks::task,
    words::{Found, Task, TaskStatus, Text, Word},
};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, MISSING, TYPED},
    params::IdempotencyKey,
    payload,
};

/// Whose members to list.
#[derive(Debug, Object)]
pub(super) struct Wanted {
    /// The account that looks. It has to be an administrator there.
    account_id: i64,
    /// The group or channel: `@name`.
    #[oai(validator(min_length = "1", max_length = "64"))]
    chat: Text,
    /// How many at most; 1,000 without one.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    limit: Option<i64>,
}

/// How far a listing has come.
#[derive(Debug, Object)]
pub(super) struct Parsed {
    task_id: Uuid,
    task_status: TaskStatus,
    /// How many people were found, once they are.
    count: Option<i64>,
    /// Where the file is, once it is there.
    download: Option<String>,
    /// Why it has failed.
    message: Option<String>,
}

/// How far a listing has come.
#[derive(Debug, Object)]
pub(super) struct ParseStatus {
    /// `ok`.
    status: Word,
    data: Parsed,
}

#[derive(Clone)]
pub(super) struct Parse(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Parse {
    /// List members.
    ///
    /// Of a group or channel that the account administers; the task of any other one fails with the reason. The task's result is `{count, people, text,
    /// csv}`: without bots, each person once.
    #[oai(path = "/api/parse", method = "post", operation_id = "parseMembers")]
    async fn parse(
        &self,
        /// The same key again starts nothing and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        wanted: payload::Json<Wanted>,
    ) -> Result<Json<Task>, Failure<{ MALFORMED | CHANGES | BODY | TYPED }>> {
        let Wanted {
            account_id,
            chat,
            limit,
        } = wanted.0;
        let input = json!({ "account": account_id, "chat": chat.0, "limit": limit.unwrap_or(1_000) });
        let run = self.0.start("parse-members", input, key.0.map(|key| key.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }

    /// Ask how far a listing has come.
    ///
    /// The newest one without a task.
    #[oai(path = "/api/parse/status", method = "get", operation_id = "parseStatus")]
    async fn status(
        &self,
        /// The task that `POST /api/parse` has started.
        task_id: Query<Option<Uuid>>,
    ) -> Result<Json<ParseStatus>, Failure<{ MALFORMED | MISSING }>> {
        let run = match task_id.0 {
            Some(id) => self.listing(id).await?,
            None => self.newest(&[]).await?,
        };
        let task: Task = task(&self.0, run).await?;
        let result = task.task_result.unwrap_or_default();
        let count = result["count"].as_i64();
        Ok(Json(ParseStatus {
            status: Word::Ok,
            data: Parsed {
                task_id: task.task_id,
                task_status: task.task_status,
                download: count.map(|_| format!("/api/parse/download/{}.csv", task.task_id)),
                count,
                message: result["message"].as_str().map(str::to_owned),
            },
        }))
    }

    /// Download the members.
    ///
    /// `latest` is the newest listing that has ended well, as CSV; `latest.txt` as text. `{task_id}.csv` and `{task_id}.txt` are those of a task.
    #[oai(
        path = "/api/parse/download/:filename",
        method = "get",
        operation_id = "downloadMembers"
    )]
    async fn download(
        &self,
        /// Which file.
        #[oai(validator(
            pattern = "^(latest|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})([.](csv|txt))?$"
        ))]
        filename: Path<String>,
    ) -> Result<Found, Failure<{ MALFORMED | MISSING }>> {
        let (name, kind) = filename.0.split_once('.').unwrap_or((&filename.0, "csv"));
        let run = match name.parse() {
            Ok(id) => self.listing(id).await?,
            Err(_) => self.newest(&["completed".to_owned()]).await?,
        };
        let member = if kind == "txt" { "text" } else { "csv" };
        let text = run.output.as_ref().and_then(|output| output[member].as_str());
        let Some(text) = text else {
            return Err(Failure::not_found(
                "the listing has no file: it has not ended, or has failed".to_owned(),
            ));
        };
        let disposition = format!("attachment; filename=\"members-{}.{kind}\"", run.id.0);
        Ok(Found::File(PlainText(text.to_owned()), disposition))
    }
}

/// The workflow behind a listing.
const LISTING: &str = "parse-members";

impl Parse {
    /// A listing by its task.
    async fn listing<const KINDS: u16>(&self, id: Uuid) -> Result<RunView, Failure<KINDS>> {
        let run = self.0.state.node.run(RunId(id)).await?;
        if run.workflow.name == LISTING {
            Ok(run)
        } else {
            Err(Failure::not_found(format!("the task {id} lists no members")))
        }
    }

    /// The newest listing in one of these statuses.
    async fn newest<const KINDS: u16>(&self, status: &[String]) -> Result<RunView, Failure<KINDS>> {
        let filter = RunFilter {
            namespace: Some("telegram".to_owned()),
            name: Some(LISTING.to_owned()),
            status: status.to_vec(),
            ..RunFilter::default()
        };
        let (runs, _) = self.0.state.node.runs(&filter, None, 1).await?;
        match runs.into_iter().next() {
            Some(run) => Ok(self.0.state.node.run(run.id).await?),
            None => Err(Failure::not_found(
                "no members were listed yet: POST /api/parse".to_owned(),
            )),
        }
    }
}
