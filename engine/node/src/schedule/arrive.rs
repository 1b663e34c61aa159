//! Triggers that events fire (`schedule.on`), without IO: which events start a run together.
//!
//! What belongs together is decided as a `listen` task decides it: each open group of events is a machine of its own that runs nothing but
//! such a task, so the two can never differ. Several groups are open at once when events are correlated: what does not belong to one
//! begins another. The state that is kept is the numbers of the events in each group; offering them again makes the machines anew.

use std::{collections::VecDeque, sync::Arc};

use potok_dsl::{
    Diagnostic, RunId, Timestamp,
    model::{Listen, Task, TaskItem, TaskKind, TaskList, TaskPotok, Workflow},
};
use potok_expr::Evaluator;
use potok_machine::{Definition, Effect, Event, Lock, Machine, Pattern, SEMANTICS, Start, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many groups may be open; the oldest is given up for another one.
pub const MOST_GROUPS: usize = 1_000;

/// What a workflow's `schedule.on` waits for, made to run by itself; `None` when it has none.
///
/// # Errors
/// What is wrong with it.
pub fn arrival(workflow: &Workflow, evaluator: &Evaluator) -> Result<Option<Arc<Definition>>, Vec<Diagnostic>> {
    let Some(schedule) = &workflow.schedule else {
        return Ok(None);
    };
    let Some(on) = &schedule.on else { return Ok(None) };
    let task = Task {
        at: on.at,
        condition: None,
        input: None,
        output: None,
        export: None,
        timeout: None,
        then: None,
        metadata: None,
        potok: TaskPotok::default(),
        kind: TaskKind::Listen(Listen {
            to: on.clone(),
            read: schedule.read.clone(),
            foreach: None,
        }),
        kind_at: on.at,
        source: Value::Null,
    };
    let name = potok_dsl::model::At {
        value: "on".to_owned(),
        at: on.at,
    };
    let alone = Workflow {
        input: None,
        uses: potok_dsl::model::Use::default(),
        tasks: TaskList(vec![TaskItem { name, task }]),
        timeout: None,
        output: None,
        schedule: None,
        ..workflow.clone()
    };
    let definition = Definition::compile(&alone, &Lock::default(), evaluator)?;
    Ok(Some(Arc::new(definition)))
}

/// What the store keeps of such a trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalState {
    /// The event up to which it has looked.
    pub cursor: u64,
    /// The numbers of the events in each open group, the oldest group first.
    pub groups: VecDeque<Vec<u64>>,
}

/// What an event came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Offered {
    /// It does not concern the trigger.
    Passed,
    /// It waits for others.
    Kept,
    /// With it a group is complete: a run starts with this input.
    Complete(Arc<Value>),
}

/// A trigger's open groups.
pub struct Arrivals {
    definition: Arc<Definition>,
    evaluator: Evaluator,
    /// A group that no event has come to yet.
    next: Machine,
    patterns: Vec<Pattern>,
    open: VecDeque<(Machine, Vec<u64>)>,
}

impl Arrivals {
    /// A trigger without open groups.
    #[must_use]
    pub fn new(definition: Arc<Definition>, evaluator: Evaluator) -> Self {
        let (next, effects) = begin(&definition, &evaluator);
        let patterns = effects.into_iter().filter_map(|effect| match effect {
            Effect::Subscribe(subscription) => Some(subscription.patterns),
            _ => None,
        });
        Self {
            patterns: patterns.flatten().collect(),
            next,
            definition,
            evaluator,
            open: VecDeque::new(),
        }
    }

    /// What it listens for.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The numbers of the events in each open group.
    #[must_use]
    pub fn groups(&self) -> VecDeque<Vec<u64>> {
        self.open.iter().map(|(_, numbers)| numbers.clone()).collect()
    }

    /// Opens a group anew from its events; false when they do not make one any more.
    pub fn reopen(&mut self, events: Vec<(u64, Arc<Value>)>) -> bool {
        let (mut machine, _) = begin(&self.definition, &self.evaluator);
        let mut numbers = Vec::with_capacity(events.len());
        for (sequence, event) in events {
            if machine.accepts(&event).is_none() || consume(&mut machine, sequence, event).is_some() {
                return false;
            }
            numbers.push(sequence);
        }
        self.open.push_back((machine, numbers));
        true
    }

    /// Offers an event: to the open groups, the oldest first, then to a new one.
    pub fn offer(&mut self, sequence: u64, event: &Arc<Value>) -> Offered {
        let wants = |(machine, _): &(Machine, Vec<u64>)| machine.accepts(event).is_some();
        let mut at = self.open.iter().position(wants);
        if at.is_none() && self.next.accepts(event).is_some() {
            let (next, _) = begin(&self.definition, &self.evaluator);
            self.open
                .push_back((std::mem::replace(&mut self.next, next), Vec::new()));
            at = Some(self.open.len() - 1);
        }
        let Some(at) = at else { return Offered::Passed };
        let (machine, numbers) = &mut self.open[at];
        numbers.push(sequence);
        let ended = consume(machine, sequence, Arc::clone(event));
        if let Some(output) = ended {
            self.open.remove(at);
            return output.map_or(Offered::Passed, Offered::Complete);
        }
        if self.open.len() > MOST_GROUPS {
            tracing::warn!(workflow = %self.definition.id(), "too many groups of events wait for others; the oldest is given up");
            self.open.pop_front();
        }
        Offered::Kept
    }
}

fn begin(definition: &Arc<Definition>, evaluator: &Evaluator) -> (Machine, Vec<Effect>) {
    let start = Start {
        semantics: SEMANTICS,
        run: RunId::from_bytes([0; 16]),
        definition: String::new(),
        input: Arc::new(Value::Object(serde_json::Map::new())),
        parent: None,
        held: false,
        origin: None,
        at: Timestamp(0),
    };
    Machine::start(Arc::clone(definition), evaluator.clone(), &start, &mut ())
}

/// Lets a group consume an event that it accepts. The outer value is there when the group has ended, the inner one when it is complete.
fn consume(machine: &mut Machine, sequence: u64, event: Arc<Value>) -> Option<Option<Arc<Value>>> {
    let subscription = machine.accepts(&event)?;
    let consumed = Event::EventConsumed {
        subscription,
        sequence,
        event,
    };
    let recorded = machine.record(Timestamp(0), consumed);
    if let Err(mismatch) = machine.apply(&recorded, &mut ()) {
        tracing::error!(%mismatch, "a trigger's group of events is given up");
        return Some(None);
    }
    while machine.wants_to_proceed() {
        machine.proceed(&mut ());
    }
    let outcome = machine.outcome()?;
    if outcome.status != Status::Completed {
        tracing::warn!(error = ?outcome.error, "a trigger's group of events is given up");
    }
    Some(outcome.output.clone().filter(|_| outcome.status == Status::Completed))
}
