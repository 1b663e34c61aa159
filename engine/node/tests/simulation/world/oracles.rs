//! What must hold, checked where it could break and at the end.

use std::collections::{BTreeMap, BTreeSet};

use potok_dsl::RunId;
use potok_machine::{CallEffect, Effect, Entry, Event, Request, Status};
use potok_node::core::{Answer, Client, Command, handed_over};
use serde_json::Value;

use super::{World, workflows::OUTSIDE};
use crate::disk::Group;

impl World {
    /// When nothing more comes, every run has what it listens for.
    pub(super) fn nothing_is_missed(&self) {
        for run in self.disk.runs.keys() {
            let missed = self.disk.missed(*run, &self.evaluator);
            assert_eq!(missed, None, "{run} listens for an event that it was never told of");
        }
    }

    /// No more have begun than there are places.
    pub(super) fn places(&mut self) {
        for ((group, limit), Group { begun, waiting }) in self.disk.groups() {
            let crowded = begun.len() > limit as usize;
            assert!(!crowded, "{begun:?} have begun, and {group} has {limit} place(s)");
            self.report.waited += waiting.len() as u64;
        }
    }

    /// Nothing happens any more: no child goes on that nobody waits for, no parent waits for a child that has ended, and nobody for a place that
    /// is free.
    pub(super) fn nobody_is_forgotten(&self) {
        for ((group, limit), Group { begun, waiting }) in self.disk.groups() {
            let free = begun.len() < limit as usize;
            assert!(!free || waiting.is_empty(), "{waiting:?} wait, and {group} has a place");
        }
        for (run, record) in self.disk.runs.iter().filter(|(_, record)| record.outcome.is_none()) {
            let machine = self.disk.replay(*run, &self.evaluator).unwrap();
            if let Some(parent) = machine.parent().filter(|parent| parent.awaits) {
                let ended = self.disk.runs[&parent.run].outcome.is_some();
                assert!(!ended, "{run} goes on, and its parent {} has ended", parent.run);
            }
            if machine.status() == Status::Suspended {
                continue;
            }
            for effect in machine.outstanding() {
                let forgotten = matches!(effect, Effect::StartTimer { .. });
                assert!(!forgotten, "{run} waits for a time at which nobody wakes it");
                if let Effect::Call(CallEffect {
                    request: Request::Workflow(wanted),
                    ..
                }) = effect
                {
                    let child = self.disk.runs.get(&wanted.run);
                    assert!(
                        child.is_some_and(|child| child.outcome.is_none()),
                        "{run} waits for {}, which has ended or never was ({:?})",
                        wanted.run,
                        record.entries.last()
                    );
                }
            }
        }
    }

    /// Someone is told something: it must be on the disk.
    pub(super) fn told(&mut self, client: Client, answer: &Answer) {
        let (run, command) = self
            .clients
            .remove(&client)
            .expect("an answer to someone who asked, once");
        match answer {
            Answer::Started(started) => {
                assert_eq!(*started, run);
                assert!(
                    self.disk.runs.contains_key(&run),
                    "a start was acknowledged that is not durable"
                );
                self.accepted.push(run);
            }
            Answer::Ended(outcome) => {
                assert_eq!(
                    self.disk.runs[&run].outcome.as_ref(),
                    Some(outcome),
                    "an end was told that is not durable"
                );
            }
            Answer::Taken(status) => {
                let already = command == Some(Command::Suspend(None)) && *status == Status::Suspended;
                let durable = self.disk.runs[&run].entries.iter().any(|text| {
                    let Ok(Entry::Event(recorded)) = serde_json::from_str(text) else {
                        return false;
                    };
                    matches!(
                        (&recorded.event, &command),
                        (Event::Cancel { .. }, Some(Command::Cancel(_)))
                            | (Event::Suspend { .. }, Some(Command::Suspend(_)))
                            | (Event::Resume, Some(Command::Resume))
                    )
                });
                assert!(durable || already, "a command was acknowledged that is not durable");
            }
            Answer::Missing => assert!(
                !self.disk.runs.contains_key(&run),
                "a run that is there was said to be missing"
            ),
            Answer::Rejected(_) => {
                self.report.rejected += 1;
                assert!(
                    !self.disk.runs.contains_key(&run),
                    "a run that is there was said to be turned away"
                );
            }
            Answer::Refused(_) | Answer::Failed(_) | Answer::Exists(_) => {}
        }
    }

    /// The end: every run that was accepted is there, has ended, and ended as its journal says.
    pub(super) fn settle(&mut self) {
        // A task that is tried again emits the same event again: an id names it.
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        let mut emitted = BTreeSet::new();
        for run in self.disk.runs.keys() {
            emitted.extend(self.disk.emitted(*run, &self.evaluator).iter().map(|event| id(event)));
        }
        let inside: Vec<String> = self.disk.events.iter().map(|event| id(event)).collect();
        let inside: Vec<String> = inside.into_iter().filter(|id| !id.starts_with(OUTSIDE)).collect();
        let mut times: BTreeMap<&String, u64> = BTreeMap::new();
        inside.iter().for_each(|id| *times.entry(id).or_default() += 1);
        for id in &emitted {
            let there = times.get(id).copied().unwrap_or(0);
            assert_eq!(
                there, 1,
                "event {id}, which a run has emitted, is in the stream {there} times"
            );
        }
        assert_eq!(
            inside.len(),
            emitted.len(),
            "the stream has an event whose cause is not durable"
        );
        assert!(
            self.disk.inner.is_empty(),
            "everything is over, and calls inside calls are kept"
        );
        self.report.emitted = inside.len() as u64;
        let telling = |what: &str| self.disk.runs.values().filter(|record| record.tells(what)).count() as u64;
        self.report.listening = telling("kind: Listening");
        self.report.emitting = telling("kind: Emitted");
        self.report.forking = telling("/fork/branches/");
        self.report.consumed = self.disk.runs.values().map(|record| record.consumed.len() as u64).sum();
        for run in &self.accepted {
            assert!(self.disk.runs.contains_key(run), "{run} was accepted and is gone");
        }
        self.origins();
        let mut unknown = 0;
        for (run, record) in &self.disk.runs {
            let Ok(Entry::Start(start)) = serde_json::from_str(&record.entries[0]) else {
                panic!("the journal of {run} has no start")
            };
            assert_eq!(
                start.definition, *record.deployed.hash,
                "{run} has another text than it began with"
            );
            let machine = self.disk.replay(*run, &self.evaluator).unwrap();
            unknown += self.children(*run);
            assert_eq!(
                machine.outcome(),
                record.outcome.as_ref(),
                "{run} ended otherwise than its journal says"
            );
            assert!(
                machine.outstanding().is_empty(),
                "{run} has ended and still wants something"
            );
        }
        self.report.unknown = unknown;
        self.report.rated = self.rates();
    }

    /// How many tasks with a rate have begun: never more than two in a second, as all the generated ones say.
    fn rates(&self) -> u64 {
        let mut begun: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for run in self.disk.runs.keys() {
            for (group, at) in self.disk.begun(*run, &self.evaluator) {
                begun.entry(group).or_default().push(at);
            }
        }
        for (group, times) in &mut begun {
            times.sort_unstable();
            let crowded = times.windows(3).find(|three| three[2] - three[0] < 1_000);
            assert_eq!(crowded, None, "too many tasks of {group} have begun within a second");
        }
        begun.values().map(|times| times.len() as u64).sum()
    }

    /// What a run has heard of its children is how they ended; how many calls there were of which nobody knows whether they have left.
    fn children(&self, run: RunId) -> u64 {
        let mut unknown = 0;
        let wanted = self.disk.wanted(run, &self.evaluator);
        for text in &self.disk.runs[&run].entries {
            let Ok(Entry::Event(recorded)) = serde_json::from_str(text) else {
                continue;
            };
            let Event::CallCompleted { call, outcome, .. } = recorded.event else {
                continue;
            };
            unknown += u64::from(outcome == Err(CallEffect::unknown()));
            let Some(child) = wanted.get(&call) else { continue };
            let record = self.disk.runs.get(&child.run);
            let record = record.unwrap_or_else(|| panic!("{run} has heard of {}, which never was", child.run));
            if child.parent.awaits {
                let ended = record.outcome.as_ref().map(|outcome| handed_over(child.run, outcome));
                assert_eq!(ended, Some(outcome), "{run} was told otherwise of {}", child.run);
            }
        }
        unknown
    }
}
