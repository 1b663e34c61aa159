//! The stream of events and those who listen.

use std::sync::Arc;

use potok_dsl::RunId;
use potok_expr::Evaluator;
use potok_machine::{Pattern, correlated};
use potok_node::core::{BehindRuns, Found, ListenChange, Save, Wanted};
use serde_json::{Value, json};

use super::{Disk, Listens, Record};

impl Disk {
    /// Takes an event in, once; tells for whom it may be.
    pub fn take(&mut self, event: &Arc<Value>) -> (bool, Vec<RunId>) {
        if !self.names.insert(json!([event["source"], event["id"]]).to_string()) {
            return (false, Vec::new());
        }
        self.events.push(Arc::clone(event));
        let newest = self.events.len() as u64;
        let mut nudged = Vec::new();
        for (run, record) in &mut self.runs {
            for listens in record.listeners.values_mut() {
                if listens.patterns.iter().any(|pattern| fits(pattern, event)) {
                    listens.latest = newest;
                    nudged.push(*run);
                }
            }
        }
        (true, nudged)
    }

    /// What becomes of a run's subscriptions; whether something that came is for them.
    pub(super) fn listens(&mut self, save: &Save) -> bool {
        let newest = self.events.len() as u64;
        let Some(record) = self.runs.get_mut(&save.run) else {
            return false;
        };
        if save.outcome.is_some() {
            record.listeners.clear();
            return false;
        }
        let mut behind = false;
        for change in &save.listening {
            match change {
                ListenChange::Close { subscription } => {
                    record.listeners.remove(subscription);
                }
                ListenChange::Set {
                    subscription,
                    patterns,
                    cursor,
                } => {
                    let after = record.events_after;
                    let listens = record.listeners.entry(*subscription).or_insert(Listens {
                        patterns: Vec::new(),
                        cursor: after,
                        latest: after,
                    });
                    listens.cursor = cursor.unwrap_or(listens.cursor);
                    if let Some(patterns) = patterns {
                        listens.patterns.clone_from(patterns);
                        let waits = (listens.cursor..newest).any(|before| {
                            let event = &self.events[usize::try_from(before).unwrap()];
                            !record.consumed.contains(&(before + 1)) && patterns.iter().any(|p| fits(p, event))
                        });
                        listens.latest = if waits { newest } else { listens.cursor };
                    }
                    behind |= listens.latest > listens.cursor;
                }
            }
        }
        behind
    }

    pub fn look(&self, run: RunId, wanted: &[Wanted], limit: u32) -> Found {
        let record = &self.runs[&run];
        let newest = self.events.len() as u64;
        let mut found = Found {
            upto: newest,
            ..Found::default()
        };
        for (sequence, event) in (1..).zip(&self.events) {
            let wants = |want: &Wanted| {
                sequence > want.cursor.unwrap_or(record.events_after) && want.patterns.iter().any(|p| fits(p, event))
            };
            if record.consumed.contains(&sequence) || !wanted.iter().any(wants) {
                continue;
            }
            if found.events.len() == limit as usize {
                found.more = true;
                found.upto = sequence - 1;
                break;
            }
            found.events.push((sequence, Arc::clone(event)));
        }
        found
    }

    pub fn behind(&self, after: Option<RunId>, limit: u32) -> BehindRuns {
        let is_behind = |record: &Record| record.listeners.values().any(|l| l.latest > l.cursor);
        let behind = self
            .runs
            .iter()
            .filter(|(run, record)| after.is_none_or(|after| **run > after) && is_behind(record));
        let mut runs: Vec<RunId> = behind.map(|(run, _)| *run).collect();
        let more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        BehindRuns { runs, more }
    }
}

/// Whether an event may be for a pattern, as a store with keys would say.
fn fits(pattern: &Pattern, event: &Value) -> bool {
    let is = |name: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| event[name] == **wanted);
    let evaluator = Evaluator::native();
    is("type", &pattern.kind)
        && is("source", &pattern.source)
        && pattern
            .correlations
            .iter()
            .all(|c| correlated(&c.from, &evaluator, event).as_ref() == Some(&c.value))
}
