//! What differed between two runs, as their rows and histories tell it.

use std::collections::{BTreeMap, HashMap};

use potok_dsl::{Problem, RunId};
use potok_machine::Status;
use serde_json::{Value, json};

use super::{Node, NodeError};
use crate::{RunView, TaskEvent};

/// How many events of each history are looked at.
const MOST_EVENTS: usize = 20_000;

/// How many tasks are told of.
const MOST_TASKS: usize = 200;

/// How many events are read at once.
const PAGE: usize = 1_000;

/// What differs between a run and another one.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDiff {
    /// The run.
    pub run: RunId,
    /// The other one.
    pub with: RunId,
    /// What differs of the runs as wholes.
    pub differences: Vec<Difference>,
    /// The executions of tasks that ended in another way, or are there in one of the runs only.
    pub tasks: Vec<TaskDifference>,
    /// Whether there are more than are told of.
    pub more: bool,
}

/// Something that two runs have in different ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `workflow`, `input`, `status`, `output` or `error`.
    pub what: &'static str,
    /// As the run has it.
    pub this: Option<Value>,
    /// As the other one has it.
    pub that: Option<Value>,
}

/// An execution of a task that went another way.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskDifference {
    /// Its path.
    pub path: String,
    /// The task's name.
    pub name: String,
    /// What came of it in the run; `None` when it is not there.
    pub this: Option<TaskEnd>,
    /// What came of it in the other one.
    pub that: Option<TaskEnd>,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEnd {
    /// The last thing that it did: `started`, `completed`, `faulted`, …
    pub event: String,
    /// Its output; of a large one kind and length.
    pub output: Option<Value>,
    /// Its error.
    pub error: Option<Problem>,
}

impl Node {
    /// What differs between a run and another one: the one that it was made from, unless another is named.
    ///
    /// # Errors
    /// When there is no such run, or none that it was made from.
    pub async fn diff(&self, run: RunId, with: Option<RunId>) -> Result<RunDiff, NodeError> {
        let this = self.run(run).await?;
        let made_from = this.origin.as_ref().map(|origin| origin.run);
        let with = with.or(made_from).ok_or_else(|| {
            NodeError::Conflict(format!(
                "run {run} was not made from another one; name the run to compare it with"
            ))
        })?;
        let that = self.run(with).await?;
        let (mine, mine_cut) = self.story(run).await?;
        let (theirs, theirs_cut) = self.story(with).await?;
        let done_before = this
            .origin
            .as_ref()
            .filter(|origin| origin.run == with)
            .and_then(|origin| theirs.begun(origin.path.as_deref()));
        let mut tasks = Vec::new();
        for path in &mine.order {
            let (this, that) = (mine.ends.get(path), theirs.ends.get(path));
            if this.map(|end| &end.1) != that.map(|end| &end.1) {
                tasks.push(difference(path, this, that));
            }
        }
        let alone = theirs.order.iter().filter(|path| {
            let inherited = done_before.is_some_and(|begun| theirs.is_inherited(path, begun));
            !mine.ends.contains_key(*path) && !inherited
        });
        tasks.extend(alone.map(|path| difference(path, None, theirs.ends.get(path))));
        let more = mine_cut || theirs_cut || tasks.len() > MOST_TASKS;
        tasks.truncate(MOST_TASKS);
        Ok(RunDiff {
            run,
            with,
            differences: differences(&this, &that),
            tasks,
            more,
        })
    }

    /// What came of each execution of a task; also whether the history is longer than what was looked at.
    async fn story(&self, run: RunId) -> Result<(Story, bool), NodeError> {
        let mut story = Story::default();
        let mut from = 0;
        loop {
            let page = self.history(run, from, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok((story, false));
            };
            from = last.number + 1;
            page.into_iter().for_each(|event| story.tell(event));
            if from >= MOST_EVENTS as u64 {
                return Ok((story, true));
            }
        }
    }
}

/// The ends of tasks by their paths.
#[derive(Default)]
struct Story {
    /// Paths in the order in which they appear.
    order: Vec<String>,
    /// The task's name, what came of it, and the number of the event that says so.
    ends: HashMap<String, End>,
    /// When each began for the last time.
    begun: BTreeMap<String, u64>,
}

impl Story {
    fn tell(&mut self, event: TaskEvent) {
        match event.event.as_str() {
            "started" => drop(self.begun.insert(event.path.clone(), event.number)),
            "skipped" | "completed" | "faulted" | "cancelled" => {}
            _ => return,
        }
        let end = TaskEnd {
            event: event.event,
            output: event.output,
            error: event.error,
        };
        if self
            .ends
            .insert(event.path.clone(), (event.name, end, event.number))
            .is_none()
        {
            self.order.push(event.path);
        }
    }

    /// When the task began with which another run was made; whether it faulted then.
    fn begun(&self, path: Option<&str>) -> Option<(u64, bool)> {
        let path = path?;
        let faulted = self.ends.get(path).is_some_and(|(_, end, _)| end.event == "faulted");
        Some((*self.begun.get(path)?, faulted))
    }

    /// Whether a run that was made from this one has what a task did without doing it.
    fn is_inherited(&self, path: &str, (begun, faulted): (u64, bool)) -> bool {
        self.ends.get(path).is_some_and(|(_, end, number)| {
            *number < begun || (faulted && end.event != "faulted" && end.event != "cancelled")
        })
    }
}

type End = (String, TaskEnd, u64);

fn difference(path: &str, this: Option<&End>, that: Option<&End>) -> TaskDifference {
    TaskDifference {
        path: path.to_owned(),
        name: this.or(that).map(|end| end.0.clone()).unwrap_or_default(),
        this: this.map(|end| end.1.clone()),
        that: that.map(|end| end.1.clone()),
    }
}

fn differences(this: &RunView, that: &RunView) -> Vec<Difference> {
    let status = |status: Status| Some(json!(status));
    let error = |error: &Option<Problem>| error.as_ref().map(|error| json!(error));
    let sides = [
        ("workflow", Some(json!(this.workflow)), Some(json!(that.workflow))),
        ("input", Some(this.input.clone()), Some(that.input.clone())),
        ("status", status(this.status), status(that.status)),
        ("output", this.output.clone(), that.output.clone()),
        ("error", error(&this.error), error(&that.error)),
    ];
    let differ = sides.into_iter().filter(|(_, this, that)| this != that);
    differ
        .map(|(what, this, that)| Difference { what, this, that })
        .collect()
}
