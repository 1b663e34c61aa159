//! The same for many runs.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use potok_dsl::RunId;
use potok_journal::RunFilter;
use potok_node::{Bulk as What, BulkDone};
use uuid::Uuid;

use super::{Room, State};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, TYPED},
    params::{Cursor, Label, Trigger, Version, cursor_text},
    payload,
    reason::Reason,
    time::Time,
    types::Status,
};

#[derive(Clone)]
pub(super) struct Bulk(pub State);

/// What may be asked of many runs.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
enum Action {
    Cancel,
    Suspend,
    Resume,
    Retry,
}

/// What came of something that was asked of many runs.
#[derive(Debug, Object)]
#[oai(rename = "BulkResult", skip_serializing_if_is_none)]
struct Outcome {
    /// The runs that have done it; of a retry the new ones.
    done: Vec<Uuid>,
    /// Those that have not, and why.
    refused: Vec<Refused>,
    /// How many others pass the filter, 10000 at most.
    left: u64,
    /// What to give as `cursor` for those; absent when none are left.
    next: Option<String>,
}

/// A run that has not done what was asked.
#[derive(Debug, Object)]
#[oai(rename = "BulkRefusal")]
struct Refused {
    run: Uuid,
    why: String,
}

impl From<BulkDone> for Outcome {
    fn from(outcome: BulkDone) -> Self {
        let refused = outcome
            .refused
            .into_iter()
            .map(|(run, why)| Refused { run: run.0, why });
        Self {
            done: outcome.done.into_iter().map(|run| run.0).collect(),
            refused: refused.collect(),
            left: outcome.left,
            next: outcome.next.as_ref().map(cursor_text),
        }
    }
}

#[OpenApi(tag = "Room::Runs")]
impl Bulk {
    /// Cancel, suspend, resume or retry many runs.
    ///
    /// All that pass the filters and of which it can be asked, the newest first, up to `limit` at a time: `left` says how many there are besides.
    /// The same request again concerns those that are left. At least one filter has to be given. Retried are those that have faulted and from which
    /// no run was made yet. With `dry` nothing is done, and `left` says how many there are.
    #[oai(path = "/runs/bulk/:action", method = "post", operation_id = "bulkRuns")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn bulk(
        &self,
        action: Path<Action>,
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
        /// `next` of the request before.
        cursor: Query<Option<Cursor>>,
        /// How many at most.
        #[oai(default = "hundred", validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<u32>,
        /// Only count them.
        #[oai(default)]
        dry: Query<bool>,
        reason: payload::Json<Reason>,
    ) -> Result<Json<Outcome>, Failure<{ MALFORMED | CHANGES | BODY | TYPED }>> {
        let status = status.0.unwrap_or_default().into_iter();
        let filter = RunFilter {
            namespace: namespace.0.map(|n| n.0),
            name: name.0.map(|n| n.0),
            version: version.0.map(|v| v.0),
            status: status.map(Status::word).map(str::to_owned).collect(),
            trigger: trigger.0.map(|t| t.0),
            parent: parent.0.map(RunId),
            origin: origin.0.map(RunId),
            created_from: created_from.0.map(|t| t.0.0),
            created_before: created_before.0.map(|t| t.0.0),
            alone: false,
        };
        if filter == RunFilter::default() {
            return Err(Failure::bad_request(
                "a filter is needed, such as 'name' or 'status': nobody means all runs by accident",
            ));
        }
        let reason = reason.0.reason;
        let what = match action.0 {
            Action::Cancel => What::Cancel(reason),
            Action::Suspend => What::Suspend(reason),
            Action::Resume => What::Resume,
            Action::Retry => What::Retry,
        };
        let after = cursor.0.map(|c| c.0);
        let limit = if dry.0 { 0 } else { limit.0 as usize };
        let outcome = self.0.node.bulk(&filter, &what, after, limit).await?;
        Ok(Json(outcome.into()))
    }
}

fn hundred() -> u32 {
    100
}
