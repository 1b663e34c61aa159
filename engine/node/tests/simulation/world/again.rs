//! Runs that are made from others: tried again, restarted, forked at any task.

use std::sync::Arc;

use potok_dsl::RunId;
use potok_machine::{Entry, Machine, Origin, Point, Status};
use potok_node::core::{Deployed, Input, StartRun};
use serde_json::json;

use super::World;

/// So many are made in a world.
const MOST: usize = 6;

/// How a run was made: from which entries of which run, where it begins, and with what.
pub(super) struct Made {
    from: RunId,
    entries: usize,
    point: Point,
    into: Deployed,
    origin: Origin,
}

impl World {
    /// Someone makes a run from another one.
    pub(super) fn make_one(&mut self) {
        let runs: Vec<RunId> = self.disk.runs.keys().copied().collect();
        if runs.is_empty() || self.made.len() == MOST {
            return;
        }
        let from = *self.random.pick(&runs);
        let record = &self.disk.runs[&from];
        let (own, entries) = (record.deployed.clone(), record.entries.len());
        let status = record.outcome.as_ref().map(|outcome| outcome.status);
        let faulted = status == Some(Status::Faulted) && self.random.one_in(2);
        let point = if faulted {
            Point::Fault
        } else {
            let begun = self.disk.tasks(from, &self.evaluator);
            if begun.is_empty() {
                return;
            }
            Point::Task {
                at: self.random.pick(&begun).to_string(),
                input: self.random.one_in(4).then(|| json!({ "n": 2, "list": [1] })),
            }
        };
        // Sometimes it goes on with another text.
        let into = if faulted || !self.random.one_in(4) {
            own
        } else {
            self.newer(from)
        };
        let Some(origin) = self.origin(from, entries, &point, &into) else {
            return;
        };
        let run = RunId::from_bytes([u8::try_from(0x80 + self.made.len()).unwrap(); 16]);
        self.definitions.insert(run, into.clone());
        self.report.made += 1;
        let client = self.client(run, None);
        let start = StartRun {
            run,
            deployed: into.clone(),
            input: Arc::new(json!({ "n": 1, "list": [1, 2] })),
            parent: None,
            origin: Some(origin.clone()),
            trigger: None,
            idempotency_key: None,
            labels: json!({}),
            client: Some(client),
        };
        self.made.insert(
            run,
            Made {
                from,
                entries,
                point,
                into,
                origin,
            },
        );
        self.handle(Input::Start(start));
        let waiter = self.client(run, None);
        self.handle(Input::Wait { run, client: waiter });
    }

    fn origin(&self, from: RunId, entries: usize, point: &Point, into: &Deployed) -> Option<Origin> {
        let record = &self.disk.runs[&from];
        let entries: Vec<Entry> = record.entries[..entries]
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let definition = &record.deployed.definition;
        Machine::origin(definition, &self.evaluator, &entries, point, &into.definition).ok()
    }

    /// What a run was made from is still there as it was, and is what its journal begins with.
    pub(super) fn origins(&self) {
        for (run, made) in &self.made {
            let now = self.origin(made.from, made.entries, &made.point, &made.into);
            assert_eq!(
                now.as_ref(),
                Some(&made.origin),
                "{} is not what {run} was made from",
                made.from
            );
            let Some(record) = self.disk.runs.get(run) else {
                continue;
            };
            let Ok(Entry::Start(start)) = serde_json::from_str(&record.entries[0]) else {
                panic!("the journal of {run} has no start")
            };
            assert_eq!(
                start.origin.as_ref(),
                Some(&made.origin),
                "{run} begins with something else"
            );
        }
    }
}
