//! The disk: what survives a crash, and what the store would say of it.

use std::{collections::BTreeMap, sync::Arc};

use potok_dsl::{RunId, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{Effect, Entry, Machine, Outcome};
use potok_node::core::{Deployed, DueRuns, Kept, LoadFailure, Save, SaveFailure, Stored};

/// A run as the disk has it, in the form in which a store keeps it: text.
pub struct Record {
    pub deployed: Deployed,
    pub entries: Vec<String>,
    snapshot: Option<(u64, String)>,
    pub outcome: Option<Outcome>,
    wake_at: Option<Timestamp>,
    recoveries: u32,
    traces: BTreeMap<u64, String>,
}

#[derive(Default)]
pub struct Disk {
    pub runs: BTreeMap<RunId, Record>,
}

impl Disk {
    /// Writes as a store does: all of it or nothing.
    pub fn write(&mut self, save: &Save, deployed: &Deployed) -> Result<(), SaveFailure> {
        if let Some(opening) = &save.opening {
            let taken = self.runs.contains_key(&save.run);
            if taken || save.after != 0 {
                return Err(SaveFailure::Fenced(format!("{} is there already", save.run)));
            }
            assert_eq!(opening.definition, deployed.hash);
            let record = Record {
                deployed: deployed.clone(),
                entries: Vec::new(),
                snapshot: None,
                outcome: None,
                wake_at: None,
                recoveries: 0,
                traces: BTreeMap::new(),
            };
            self.runs.insert(save.run, record);
        }
        let Some(record) = self.runs.get_mut(&save.run) else {
            return Err(SaveFailure::Refused(format!("there is no run {}", save.run)));
        };
        if record.entries.len() as u64 != save.after {
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
        record.outcome.clone_from(&save.outcome);
        record.wake_at = save.wake_at;
        record.recoveries = save.recoveries;
        Ok(())
    }

    pub fn load(&self, run: RunId) -> Result<Box<Stored>, LoadFailure> {
        let record = self.runs.get(&run).ok_or(LoadFailure::Missing)?;
        if let Some(outcome) = &record.outcome {
            return Err(LoadFailure::Ended(outcome.status));
        }
        let snapshot = record
            .snapshot
            .as_ref()
            .map(|(seq, text)| (*seq, serde_json::from_str::<Kept>(text).unwrap()));
        let after = snapshot.as_ref().map_or(0, |(seq, _)| usize::try_from(*seq).unwrap());
        Ok(Box::new(Stored {
            deployed: record.deployed.clone(),
            snapshot,
            entries: record.entries[after..]
                .iter()
                .map(|text| serde_json::from_str(text).unwrap())
                .collect(),
            timeline: record.traces.last_key_value().map_or(0, |(number, _)| number + 1),
            recoveries: record.recoveries,
            trigger: None,
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

    /// The run as its journal alone tells it.
    pub fn replay(&self, run: RunId, evaluator: &Evaluator) -> Option<Machine> {
        let record = self.runs.get(&run)?;
        let mut entries = record
            .entries
            .iter()
            .map(|text| serde_json::from_str::<Entry>(text).unwrap());
        let Some(Entry::Start(start)) = entries.next() else {
            panic!("the journal of {run} has no start")
        };
        let definition = Arc::clone(&record.deployed.definition);
        let (mut machine, _) = Machine::start(definition, evaluator.clone(), &start, &mut ());
        for entry in entries {
            let Entry::Event(recorded) = entry else {
                panic!("the journal of {run} has two starts")
            };
            machine
                .apply(&recorded, &mut ())
                .unwrap_or_else(|e| panic!("the journal of {run} does not replay: {e}"));
        }
        // After the last event the live machine may have gone on, slice by slice, before it made a call.
        while machine.wants_to_proceed() {
            machine.proceed(Timestamp(0), &mut ());
        }
        Some(machine)
    }

    /// Whether what is durable leads to this call, and its completion is not durable yet.
    pub fn asks_for(&self, run: RunId, effect: &potok_machine::CallEffect, evaluator: &Evaluator) -> bool {
        let Some(machine) = self.replay(run, evaluator) else {
            return false;
        };
        machine
            .outstanding()
            .iter()
            .any(|open| matches!(open, Effect::Call(call) if call == effect))
    }
}
