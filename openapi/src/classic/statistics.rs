//! Counted and the log: what there is, what has become of it, and which tasks there were.

use std::collections::BTreeMap;

use poem_openapi::{
    Enum, Object, OpenApi,
    param::Query,
    payload::{Json, PlainText},
};
use potok_dsl::Timestamp;
use potok_journal::RunFilter;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Desk, Room,
    tasks::task,
    unusable,
    words::{Found, Task, TaskStatus, Word, read},
};
use crate::{
    failure::{Failure, MALFORMED, UNUSABLE},
    time::{Time, now},
};

/// What is still to be done.
#[derive(Debug, Object)]
pub(super) struct QueueLength {
    /// People whose turn in a running campaign is still to come.
    queue_length: i64,
    /// The same in campaigns that were paused.
    paused: i64,
    /// Posts that are about to be sent.
    posting: i64,
}

/// What is still to be done.
#[derive(Debug, Object)]
pub(super) struct IsQueued {
    /// `ok`.
    status: Word,
    data: QueueLength,
}

/// What there is, by state.
#[derive(Debug, Object)]
pub(super) struct Counted {
    /// User accounts by status.
    accounts: BTreeMap<String, i64>,
    /// Channels by the state of their bindings.
    channels: BTreeMap<String, i64>,
    /// Posts by what became of them.
    posts: BTreeMap<String, i64>,
    /// Campaigns by state.
    campaigns: BTreeMap<String, i64>,
    /// Lines of campaigns by status.
    invites: BTreeMap<String, i64>,
    bots: i64,
    /// People who are kept.
    people: i64,
    /// Those of them who have opted out.
    opted_out: i64,
    /// People whose turn in a running campaign is still to come.
    queue_length: i64,
}

/// What there is, by state.
#[derive(Debug, Object)]
pub(super) struct IsCounted {
    /// `ok`.
    status: Word,
    data: Counted,
}

/// How far back a history goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum HistoryPeriod {
    /// The last 24 hours, hour by hour.
    Day,
    /// The last seven days, day by day.
    Week,
}

/// What became of people and posts in an hour or a day.
#[derive(Debug, Object)]
pub(super) struct HistoryStep {
    /// When it begins.
    at: String,
    invited: i64,
    link_sent: i64,
    failed: i64,
    skipped: i64,
    posted: i64,
}

/// A history.
#[derive(Debug, Object)]
pub(super) struct IsHistory {
    /// `ok`.
    status: Word,
    data: Vec<HistoryStep>,
}

/// A task, as the log has it.
#[derive(Debug, Object)]
pub(super) struct LoggedTask {
    task_id: Uuid,
    /// The workflow or the function.
    name: String,
    task_status: TaskStatus,
    created_at: Time,
    ended_at: Option<Time>,
    /// Why it has failed.
    message: Option<String>,
}

/// A page of the log.
#[derive(Debug, Object)]
pub(super) struct TaskLog {
    /// `ok`.
    status: Word,
    /// Newest first.
    data: Vec<LoggedTask>,
}

#[derive(Clone)]
pub(super) struct Statistics(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Statistics {
    /// Ask what is still to be done.
    #[oai(path = "/api/queue_length", method = "get", operation_id = "queueLength")]
    async fn queue(&self) -> Result<Json<IsQueued>, Failure> {
        Ok(Json(IsQueued {
            status: Word::Ok,
            data: read::<_, 0>(self.0.look::<0>("telegram.counts", json!({})).await?)?,
        }))
    }

    /// Ask what there is.
    #[oai(path = "/api/stats", method = "get", operation_id = "stats")]
    async fn stats(&self) -> Result<Json<IsCounted>, Failure> {
        let mut counts = self.0.look::<0>("telegram.counts", json!({})).await?;
        for tallies in ["accounts", "channels", "posts", "campaigns", "invites"] {
            let tallied = counts[tallies].take();
            let by_state = tallied.as_array().into_iter().flatten().filter_map(|tally| {
                let state = tally["state"].as_str()?;
                Some((state.to_owned(), tally["count"].clone()))
            });
            counts[tallies] = Value::Object(by_state.collect());
        }
        Ok(Json(IsCounted {
            status: Word::Ok,
            data: read::<_, 0>(counts)?,
        }))
    }

    /// Ask what became of people and posts.
    ///
    /// Hour by hour, or day by day; an hour or a day in which nothing happened is there too.
    #[oai(path = "/api/stats/history", method = "get", operation_id = "statsHistory")]
    async fn history(
        &self,
        /// A day without one.
        period: Query<Option<HistoryPeriod>>,
        /// The time zone that days begin in, such as `Europe/Moscow`; UTC without one.
        #[oai(validator(min_length = "1", max_length = "64"))]
        timezone: Query<Option<String>>,
    ) -> Result<Json<IsHistory>, Failure<{ MALFORMED | UNUSABLE }>> {
        const HOUR: i64 = 60 * 60_000;
        let now = Timestamp(now());
        let hour = now.0 / HOUR * HOUR;
        let (since, step) = match period.0.unwrap_or(HistoryPeriod::Day) {
            HistoryPeriod::Day => (Timestamp(hour - 23 * HOUR).rfc3339(), 60),
            HistoryPeriod::Week => {
                let asked = json!({ "timezone": timezone.0, "at": now.rfc3339(), "ago": 6 });
                let day: Result<Value, Failure> = self.0.look("time.day", asked).await;
                let mut day = day.map_err(unusable::<{ MALFORMED | UNUSABLE }>)?;
                (read(day["begins"].take())?, 24 * 60)
            }
        };
        let request = json!({ "since": since, "until": now.rfc3339(), "step_minutes": step });
        Ok(Json(IsHistory {
            status: Word::Ok,
            data: read(self.0.look("telegram.history", request).await?)?,
        }))
    }

    /// List tasks.
    ///
    /// Those of Telegram's workflows, newest first, with how each has ended.
    #[oai(path = "/api/logs", method = "get", operation_id = "logs")]
    async fn logs(
        &self,
        /// Those that began then or later.
        date_from: Query<Option<Time>>,
        /// Those that began before; to turn pages, when the last one of a page began.
        date_to: Query<Option<Time>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")), default = "page")]
        limit: Query<usize>,
    ) -> Result<Json<TaskLog>, Failure<MALFORMED>> {
        Ok(Json(TaskLog {
            status: Word::Ok,
            data: self.entries(date_from.0, date_to.0, limit.0).await?,
        }))
    }

    /// Download the list of tasks as CSV.
    #[oai(path = "/api/logs/csv", method = "get", operation_id = "logsAsCsv")]
    async fn csv(
        &self,
        /// Those that began then or later.
        date_from: Query<Option<Time>>,
        /// Those that began before.
        date_to: Query<Option<Time>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")), default = "most")]
        limit: Query<usize>,
    ) -> Result<Found, Failure<MALFORMED>> {
        let entries = self.entries(date_from.0, date_to.0, limit.0).await?;
        let mut text = "task_id,name,task_status,created_at,ended_at,message\r\n".to_owned();
        for entry in &entries {
            let ended = entry.ended_at.map(|at| at.0.rfc3339()).unwrap_or_default();
            let cells = [
                entry.task_id.to_string(),
                entry.name.clone(),
                word(entry.task_status),
                entry.created_at.0.rfc3339(),
                ended,
                entry.message.clone().unwrap_or_default(),
            ];
            text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
            text.push_str("\r\n");
        }
        let disposition = "attachment; filename=\"tasks.csv\"".to_owned();
        Ok(Found::File(PlainText(text), disposition))
    }
}

impl Statistics {
    async fn entries<const KINDS: u16>(
        &self,
        from: Option<Time>,
        before: Option<Time>,
        limit: usize,
    ) -> Result<Vec<LoggedTask>, Failure<KINDS>> {
        let filter = RunFilter {
            namespace: Some("telegram".to_owned()),
            created_from: from.map(|at| at.0.0),
            created_before: before.map(|at| at.0.0),
            ..RunFilter::default()
        };
        let (runs, _) = self.0.state.node.runs(&filter, None, limit).await?;
        let mut entries = Vec::with_capacity(runs.len());
        for run in runs {
            let (name, created_at) = (run.workflow.name.clone(), Time(run.created_at));
            let ended_at = run.ended_at.map(Time);
            let task: Task = task(&self.0, run).await?;
            let failed = matches!(task.task_status, TaskStatus::Failure);
            let message = task.task_result.filter(|_| failed);
            entries.push(LoggedTask {
                task_id: task.task_id,
                name,
                task_status: task.task_status,
                created_at,
                ended_at,
                message: message.and_then(|result| Some(result["message"].as_str()?.to_owned())),
            });
        }
        Ok(entries)
    }
}

fn word(status: TaskStatus) -> String {
    use poem_openapi::types::ToJSON;
    let word = status.to_json().unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// A cell as RFC 4180 has it, and never a formula of a spreadsheet.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

/// How many entries a page has when nobody says.
fn page() -> usize {
    100
}

/// How many entries a file has when nobody says.
fn most() -> usize {
    1_000
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cell_stays_one_cell_and_no_formula() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a, \"b\"\nc"), "\"a, \"\"b\"\"\nc\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("@x,y"), "\"'@x,y\"");
    }
}
