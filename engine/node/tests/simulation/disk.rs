//! The disk: what survives a crash, and what the store would say of it.

mod deaths;
mod listening;
mod replay;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use potok_dsl::{ErrorType, Problem, RunId, Timestamp};
use potok_machine::{Admission, CallId, Entry, Event, OnConflict, Outcome, Pattern, Recorded, SubscriptionId};
use potok_node::core::{
    Deployed, DueRuns, Durable, Kept, Listener, LoadFailure, Message, Nudges, Save, SaveFailure, Stored,
};
use serde_json::Value;

use crate::{
    limits::{Moments, Places},
    world::Sabotage,
};

/// A run as the disk has it, in the form in which a store keeps it: text.
#[derive(Clone)]
pub struct Record {
    pub deployed: Deployed,
    pub entries: Vec<String>,
    snapshot: Option<(u64, String)>,
    pub outcome: Option<Outcome>,
    wake_at: Option<Timestamp>,
    recoveries: u32,
    traces: BTreeMap<u64, String>,
    /// The newest event when it was accepted.
    events_after: u64,
    listeners: BTreeMap<SubscriptionId, Listens>,
    pub consumed: Vec<u64>,
    /// The place that it needs before it begins.
    pub admission: Option<Admission>,
}

impl Record {
    /// Whether it was held, and has been admitted.
    pub fn is_admitted(&self) -> bool {
        let admitted = |text: &String| matches!(serde_json::from_str(text), Ok(Entry::Event(recorded)) if recorded.event == Event::Admitted);
        self.entries.iter().any(admitted)
    }
}

impl Record {
    /// Whether a line of its timeline holds a text.
    pub fn tells(&self, what: &str) -> bool {
        self.traces.values().any(|trace| trace.contains(what))
    }
}

/// A subscription: what it wants, how far it has looked, what came last for it.
#[derive(Clone)]
struct Listens {
    patterns: Vec<Pattern>,
    cursor: u64,
    latest: u64,
}

/// The unfinished runs of a group.
#[derive(Default)]
pub struct Group {
    pub begun: Vec<RunId>,
    pub waiting: Vec<RunId>,
}

#[derive(Clone, Default)]
pub struct Disk {
    pub runs: BTreeMap<RunId, Record>,
    /// The stream: each event's number is its place, from 1.
    pub events: Vec<Arc<Value>>,
    /// The sources and ids of all of them.
    names: BTreeSet<String>,
    /// What runs were told and have not heard, each with who told it.
    pub told: BTreeMap<RunId, Vec<Message>>,
    pub moments: Moments,
    places: Places,
    /// What it neglects.
    pub without: Option<Sabotage>,
    /// What runs deployed last.
    newest: Option<Deployed>,
    /// How many calls are kept of those inside a call.
    pub inner: BTreeMap<(RunId, CallId), u64>,
}

impl Disk {
    /// Writes as a store does: all of it or nothing.
    pub fn write(&mut self, save: &Save, deployed: &Deployed) -> Result<Durable, SaveFailure> {
        let newest = self.events.len() as u64;
        if let Some(opening) = &save.opening {
            let taken = self.runs.contains_key(&save.run);
            if taken || save.after != 0 {
                return Err(SaveFailure::Fenced(format!("{} is there already", save.run)));
            }
            assert_eq!(opening.definition, deployed.hash);
            if let Some(admission) = &opening.admission
                && admission.on_conflict == OnConflict::Reject
                && save.outcome.is_none()
                && !self.places.is_free(admission)
            {
                let problem = Problem::new(ErrorType::Runtime, "Already running", "another run has the place");
                return Err(SaveFailure::Rejected(problem));
            }
            self.newest = Some(deployed.clone());
            let record = Record {
                deployed: deployed.clone(),
                entries: Vec::new(),
                snapshot: None,
                outcome: None,
                wake_at: None,
                recoveries: 0,
                traces: BTreeMap::new(),
                events_after: newest,
                listeners: BTreeMap::new(),
                consumed: Vec::new(),
                admission: opening.admission.clone(),
            };
            self.runs.insert(save.run, record);
        }
        let Some(record) = self.runs.get_mut(&save.run) else {
            return Err(SaveFailure::Refused(format!("there is no run {}", save.run)));
        };
        let fenced = self.without != Some(Sabotage::Fence);
        if fenced && record.entries.len() as u64 != save.after {
            let at = record.entries.len();
            return Err(SaveFailure::Fenced(format!(
                "{} stands at {at}, not at {}",
                save.run, save.after
            )));
        }
        assert!(
            record.outcome.is_none() || save.entries.is_empty(),
            "a run that has ended takes no entries"
        );
        record
            .entries
            .extend(save.entries.iter().map(|entry| serde_json::to_string(entry).unwrap()));
        if let Some(kept) = &save.snapshot {
            record.snapshot = Some((record.entries.len() as u64, serde_json::to_string(&**kept).unwrap()));
        }
        for (number, trace) in (save.first_trace..).zip(save.traces.iter()) {
            let text = serde_json::to_string(&format!("{trace:?}")).unwrap();
            let before = record.traces.insert(number, text.clone());
            assert!(
                before.is_none_or(|before| before == text),
                "trace {number} of {} is another one now",
                save.run
            );
        }
        let over = |call: &CallId| save.outcome.is_some() || save.over.contains(call);
        for entry in &save.entries {
            if let Entry::Event(Recorded {
                event: Event::CallCompleted { call, .. },
                ..
            }) = entry
            {
                let kept = self.inner.contains_key(&(save.run, *call));
                assert!(!kept || over(call), "call {call} is over, and what was inside is kept");
            }
        }
        self.inner.retain(|(run, call), _| *run != save.run || !over(call));
        record.outcome.clone_from(&save.outcome);
        record.wake_at = save.wake_at.filter(|_| self.without != Some(Sabotage::Timer));
        record.recoveries = save.recoveries;
        for sequence in &save.consumed {
            assert!(
                !record.consumed.contains(sequence),
                "{} has consumed {sequence} twice",
                save.run
            );
            record.consumed.push(*sequence);
        }
        let mut nudged: Vec<RunId> = save.emits.iter().flat_map(|event| self.take(event).1).collect();
        if self.listens(save) {
            nudged.push(save.run);
        }
        self.talk(save);
        let said = self.seat(save);
        for message in &said {
            self.say(save.run, message);
        }
        Ok(Durable {
            nudges: Nudges {
                runs: nudged,
                more: false,
            },
            said,
        })
    }

    /// Keeps a call inside a call, of a run that has not ended.
    pub fn keep(&mut self, run: RunId, call: CallId) -> bool {
        let record = self.runs.get_mut(&run);
        let Some(record) = record.filter(|record| record.outcome.is_none()) else {
            return false;
        };
        record.recoveries = 0;
        *self.inner.entry((run, call)).or_default() += 1;
        true
    }

    /// What is said and heard with a write.
    fn talk(&mut self, save: &Save) {
        let told = self.told.entry(save.run).or_default();
        told.retain(|message| !save.heard.contains(&message.run));
        if save.outcome.is_some() {
            told.clear();
        }
        if !told.is_empty()
            && let Some(record) = self.runs.get_mut(&save.run)
        {
            record.wake_at = Some(Timestamp(0));
        }
        for message in &save.messages {
            self.say(save.run, message);
        }
    }

    fn say(&mut self, from: RunId, message: &Message) {
        let record = self.runs.get_mut(&message.run);
        if record.as_ref().is_some_and(|record| record.outcome.is_some()) {
            return;
        }
        let told = Message {
            run: from,
            word: message.word,
        };
        self.told.entry(message.run).or_default().push(told);
        if let Some(record) = record {
            record.wake_at = Some(Timestamp(0));
        }
    }

    /// What becomes of places with a write.
    fn seat(&mut self, save: &Save) -> Vec<Message> {
        let admission = save.opening.as_ref().and_then(|opening| opening.admission.clone());
        match admission {
            _ if save.outcome.is_some() => self.places.leave(save.run),
            Some(admission) => self.places.take(save.run, admission),
            None => Vec::new(),
        }
    }

    /// The unfinished runs of each group, those that have begun and those that wait, by group and number of places.
    pub fn groups(&self) -> BTreeMap<(&str, u32), Group> {
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        for (run, record) in self.runs.iter().filter(|(_, record)| record.outcome.is_none()) {
            if let Some(admission) = &record.admission {
                let group = groups.entry((admission.group.as_str(), admission.limit)).or_default();
                let list = if record.is_admitted() {
                    &mut group.begun
                } else {
                    &mut group.waiting
                };
                list.push(*run);
            }
        }
        groups
    }

    pub fn load(&self, run: RunId, whole: bool) -> Result<Box<Stored>, LoadFailure> {
        let record = self.runs.get(&run).ok_or(LoadFailure::Missing)?;
        if let Some(outcome) = &record.outcome {
            return Err(LoadFailure::Ended(outcome.status));
        }
        let snapshot = record
            .snapshot
            .as_ref()
            .filter(|_| !whole)
            .map(|(seq, text)| (*seq, serde_json::from_str::<Kept>(text).unwrap()));
        let after = snapshot.as_ref().map_or(0, |(seq, _)| usize::try_from(*seq).unwrap());
        let pinned = self.newest.as_ref().filter(|_| self.without == Some(Sabotage::Pin));
        Ok(Box::new(Stored {
            deployed: pinned.unwrap_or(&record.deployed).clone(),
            snapshot,
            entries: record.entries[after..]
                .iter()
                .map(|text| serde_json::from_str(text).unwrap())
                .collect(),
            timeline: record.traces.last_key_value().map_or(0, |(number, _)| number + 1),
            recoveries: record.recoveries,
            trigger: None,
            listeners: record
                .listeners
                .iter()
                .map(|(subscription, listens)| Listener {
                    subscription: *subscription,
                    cursor: listens.cursor,
                    behind: listens.latest > listens.cursor,
                })
                .collect(),
            wake_at: record.wake_at,
            messages: self.told.get(&run).cloned().unwrap_or_default(),
        }))
    }

    pub fn due(&self, until: Timestamp, after: Option<(Timestamp, RunId)>, limit: u32) -> DueRuns {
        let waiting = self.runs.iter().filter(|(_, record)| record.outcome.is_none());
        let mut waiting: Vec<_> = waiting
            .filter_map(|(run, record)| Some((record.wake_at?, *run)))
            .collect();
        waiting.sort();
        waiting.retain(|key| after.is_none_or(|after| *key > after));
        let mut runs: Vec<_> = waiting.iter().copied().filter(|(at, _)| *at <= until).collect();
        let more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        let next = waiting.iter().map(|(at, _)| *at).find(|at| *at > until);
        DueRuns { runs, more, next }
    }
}
