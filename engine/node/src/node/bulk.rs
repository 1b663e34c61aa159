//! The same for many runs: those that pass a filter, so many at a time.

use potok_dsl::RunId;
use potok_journal::{RunCursor, RunFilter};
use tokio::task::JoinSet;

use super::{Node, NodeError};
use crate::core::Command;

/// How many runs are asked at once.
const AT_ONCE: usize = 32;

/// No more of those that are left are counted.
pub const MOST_COUNTED: u64 = 10_000;

/// What may be asked of many runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bulk {
    /// To end as cancelled, for a reason.
    Cancel(Option<String>),
    /// To start nothing new, for a reason.
    Suspend(Option<String>),
    /// To go on.
    Resume,
    /// To be tried again: those that have faulted and from which no run was made yet.
    Retry,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkDone {
    /// The runs that have done it; of a retry the new ones.
    pub done: Vec<RunId>,
    /// Those that have not, and why.
    pub refused: Vec<(RunId, String)>,
    /// How many others pass the filter, up to [`MOST_COUNTED`].
    pub left: u64,
    /// Where to go on.
    pub next: Option<RunCursor>,
}

impl Bulk {
    /// The statuses in which it can be asked.
    fn statuses(&self) -> &'static [&'static str] {
        match self {
            Self::Cancel(_) => &["pending", "running", "waiting", "suspended"],
            Self::Suspend(_) => &["pending", "running", "waiting"],
            Self::Resume => &["suspended"],
            Self::Retry => &["faulted"],
        }
    }

    async fn ask(self, node: Node, run: RunId) -> Result<RunId, NodeError> {
        let command = match self {
            Self::Retry => return Ok(node.retry(run, None).await?.run.id),
            Self::Cancel(reason) => Command::Cancel(reason),
            Self::Suspend(reason) => Command::Suspend(reason),
            Self::Resume => Command::Resume,
        };
        node.command(run, command).await.map(|view| view.id)
    }
}

impl Node {
    /// Asks something of up to `limit` runs that pass a filter and of which it can be asked, the newest first, after where another page ended.
    /// Asked again it concerns those that are left. With a limit of 0 they are only counted.
    ///
    /// # Errors
    /// When the store cannot be read. What a single run has against it is in the answer.
    pub async fn bulk(
        &self,
        filter: &RunFilter,
        what: &Bulk,
        after: Option<RunCursor>,
        limit: usize,
    ) -> Result<BulkDone, NodeError> {
        let mut filter = filter.clone();
        let wanted = |status: &&str| filter.status.is_empty() || filter.status.iter().any(|known| known == status);
        filter.status = what
            .statuses()
            .iter()
            .copied()
            .filter(wanted)
            .map(str::to_owned)
            .collect();
        filter.alone = *what == Bulk::Retry;
        let mut done = BulkDone {
            done: Vec::new(),
            refused: Vec::new(),
            left: 0,
            next: None,
        };
        if filter.status.is_empty() {
            return Ok(done);
        }
        if limit == 0 {
            done.left = self.store().count_runs(&filter, after, MOST_COUNTED).await?;
            return Ok(done);
        }
        let page = self.store().list_runs(&filter, after, limit).await?;
        for some in page.runs.chunks(AT_ONCE) {
            let mut asked = JoinSet::new();
            for (number, row) in some.iter().enumerate() {
                let (what, node, run) = (what.clone(), self.clone(), row.id);
                asked.spawn(async move { (number, run, what.ask(node, run).await) });
            }
            let mut answers = asked.join_all().await;
            answers.sort_by_key(|(number, ..)| *number);
            for (_, run, answer) in answers {
                match answer {
                    Ok(run) => done.done.push(run),
                    Err(why) => done.refused.push((run, why.to_string())),
                }
            }
        }
        if let Some(next) = page.next {
            done.left = self.store().count_runs(&filter, Some(next), MOST_COUNTED).await?;
            done.next = page.next.filter(|_| done.left > 0);
        }
        Ok(done)
    }
}
