//! Runs as their journals alone tell them: what the oracles go by.

use std::{collections::BTreeMap, sync::Arc};

use potok_dsl::{RunId, TaskPath};
use potok_expr::Evaluator;
use potok_machine::{CallEffect, CallId, Effect, Entry, Machine, Observer, Request, Trace, TraceKind, WorkflowRequest};
use serde_json::Value;

use super::Disk;

/// So far a run may have gone on after its last event: one that goes round in circles is cancelled before.
const SLICES: usize = 30;

impl Disk {
    /// The run as its journal alone tells it.
    pub fn replay(&self, run: RunId, evaluator: &Evaluator) -> Option<Machine> {
        self.runs.contains_key(&run).then(|| self.fold(run, evaluator).0)
    }

    /// The events that a run has emitted, as its journal alone tells it.
    pub fn emitted(&self, run: RunId, evaluator: &Evaluator) -> Vec<Arc<Value>> {
        let emitted = self
            .effects(run, evaluator)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Emit(emit) => Some(emit.event),
                _ => None,
            });
        emitted.collect()
    }

    /// When each task with a rate has begun its work, as the journal alone tells it: by its reference and key.
    pub fn begun(&self, run: RunId, evaluator: &Evaluator) -> Vec<(String, i64)> {
        let mut groups = BTreeMap::new();
        let mut begun = Vec::new();
        for effect in self.effects(run, evaluator) {
            let Effect::Call(call) = effect else { continue };
            match &call.request {
                Request::Rate(asked) => drop(groups.insert(call.path.clone(), asked.group.clone())),
                // In an extension `$task` is another one: it does not tell when this one has begun.
                Request::Function { args, .. } if args["rated"] == true && !call.path.0.contains("/extensions/") => {
                    // A run that was made from another one has its moment from there.
                    let group = groups.get(&call.path).cloned();
                    begun.extend(group.map(|group| (group, args["started"].as_i64().unwrap())));
                }
                _ => {}
            }
        }
        begun
    }

    /// The tasks that a run has come to.
    pub fn tasks(&self, run: RunId, evaluator: &Evaluator) -> Vec<TaskPath> {
        let mut traces: Vec<Trace> = Vec::new();
        self.fold_with(run, evaluator, &mut traces);
        let started = traces
            .into_iter()
            .filter(|trace| matches!(trace.kind, TraceKind::Started { .. }));
        started.map(|trace| trace.path).collect()
    }

    /// Everything that a run has asked for, as its journal alone tells it.
    fn effects(&self, run: RunId, evaluator: &Evaluator) -> Vec<Effect> {
        self.fold(run, evaluator).1
    }

    /// The run and all that it has asked for, as its journal alone tells it.
    fn fold(&self, run: RunId, evaluator: &Evaluator) -> (Machine, Vec<Effect>) {
        self.fold_with(run, evaluator, &mut ())
    }

    fn fold_with(&self, run: RunId, evaluator: &Evaluator, observer: &mut dyn Observer) -> (Machine, Vec<Effect>) {
        let record = &self.runs[&run];
        let mut entries = record
            .entries
            .iter()
            .map(|text| serde_json::from_str::<Entry>(text).unwrap());
        let Some(Entry::Start(start)) = entries.next() else {
            panic!("the journal of {run} has no start")
        };
        let definition = Arc::clone(&record.deployed.definition);
        let (mut machine, mut effects) = Machine::start(definition, evaluator.clone(), &start, observer);
        for entry in entries {
            let Entry::Event(recorded) = entry else {
                panic!("the journal of {run} has two starts")
            };
            let more = machine.apply(&recorded, observer);
            effects.extend(more.unwrap_or_else(|e| panic!("the journal of {run} does not replay: {e}")));
        }
        // After the last event the live machine may have gone on, slice by slice, before it made a call.
        for _ in 0..SLICES {
            if machine.wants_to_proceed() {
                effects.extend(machine.proceed(observer));
            }
        }
        (machine, effects)
    }

    /// An event that a run would consume, and has not: nobody has told it.
    pub fn missed(&self, run: RunId, evaluator: &Evaluator) -> Option<u64> {
        let record = self.runs.get(&run).filter(|record| record.outcome.is_none())?;
        let machine = self.replay(run, evaluator)?;
        let mut stream = (1..).zip(&self.events);
        let missed = stream.find(|(sequence, event)| {
            *sequence > record.events_after && !record.consumed.contains(sequence) && machine.accepts(event).is_some()
        });
        missed.map(|(sequence, _)| sequence)
    }

    /// The runs that a run has ever asked for, by its calls.
    pub fn wanted(&self, run: RunId, evaluator: &Evaluator) -> BTreeMap<CallId, WorkflowRequest> {
        let record = &self.runs[&run];
        let entries = record
            .entries
            .iter()
            .map(|text| serde_json::from_str::<Entry>(text).unwrap());
        let mut wanted = BTreeMap::new();
        let mut machine: Option<Machine> = None;
        for entry in entries {
            let effects = match (entry, &mut machine) {
                (Entry::Start(start), place) => {
                    let definition = Arc::clone(&record.deployed.definition);
                    let (started, effects) = Machine::start(definition, evaluator.clone(), &start, &mut ());
                    *place = Some(started);
                    effects
                }
                (Entry::Event(recorded), Some(machine)) => machine.apply(&recorded, &mut ()).unwrap(),
                (Entry::Event(_), None) => panic!("the journal of {run} has no start"),
            };
            for effect in effects {
                if let Effect::Call(CallEffect {
                    call,
                    request: Request::Workflow(request),
                    ..
                }) = effect
                {
                    wanted.insert(call, request);
                }
            }
        }
        wanted
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
