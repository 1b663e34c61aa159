//! A run that has ended, as a test: its journal is folded again, and what it consumed becomes mocks and events.
//!
//! The case goes as the run went: every call is answered by its task with what it got, after the time that it took; every event that the run
//! consumed from outside comes at the moment at which it did. What is expected is what came of the run.

use std::{collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;
use potok_dsl::{Millis, Problem, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{
    CallId, Definition, Effect, Entry, Event, Machine, Outcome, Request, Start, Status, Trace, TraceKind,
};
use serde_json::{Map, Value, json};

use crate::yaml;

/// How long a call takes that the run did not wait for: longer than any run.
const NEVER: &str = "P36500D";

/// The most tasks whose number of runs is expected.
const MOST_TASKS: usize = 100;

/// Why a run cannot become a test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRecorded {
    /// It has not ended.
    #[error("the run has not ended; wait for it, or cancel it")]
    Unfinished,
    /// Its journal has no beginning.
    #[error("the run has no journal to make a test of")]
    NoJournal,
    /// Someone halted it, and how long that took is not the workflow's doing.
    #[error("the run was suspended and resumed by hand, which a test cannot do")]
    Suspended,
    /// The journal is not one of this definition under this version.
    #[error("the journal cannot be read again: {0}")]
    Mismatch(String),
}

/// Makes the text of a test of the journal of a run.
///
/// # Errors
/// When the run has not ended, or cannot be folded again.
pub fn record(
    workflow: &str,
    definition: &Arc<Definition>,
    evaluator: &Evaluator,
    entries: &[Entry],
) -> Result<String, NotRecorded> {
    let Some((Entry::Start(start), events)) = entries.split_first() else {
        return Err(NotRecorded::NoJournal);
    };
    let mut fold = Fold::begin(start);
    let mut traces: Vec<Trace> = Vec::new();
    let (mut machine, effects) = Machine::start(Arc::clone(definition), evaluator.clone(), start, &mut traces);
    fold.absorb(start.at, effects);
    for entry in events {
        let Entry::Event(recorded) = entry else {
            return Err(NotRecorded::Mismatch("it has two beginnings".to_owned()));
        };
        fold.take(recorded.at, &recorded.event)?;
        let applied = machine.apply(recorded, &mut traces);
        fold.absorb(
            recorded.at,
            applied.map_err(|mismatch| NotRecorded::Mismatch(mismatch.to_string()))?,
        );
    }
    while machine.wants_to_proceed() {
        let effects = machine.proceed(&mut traces);
        fold.absorb(fold.now, effects);
    }
    let outcome = machine.outcome().ok_or(NotRecorded::Unfinished)?;
    let case = fold.case(start, outcome, &traces);
    let plan = json!({ "workflow": workflow, "cases": [case] });
    Ok(format!(
        "# A test recorded from run {}. Change what is expected to what matters.\n{}",
        start.run,
        yaml::write(&plan)
    ))
}

/// A call of the run.
struct Made {
    reference: String,
    at: Timestamp,
    answer: Option<(Result<Arc<Value>, Problem>, Millis)>,
}

struct Fold {
    start: Timestamp,
    now: Timestamp,
    calls: BTreeMap<CallId, Made>,
    arrivals: Vec<Value>,
    /// Source and id of the events that the run itself has emitted.
    emitted: Vec<(Value, Value)>,
    events: Vec<Value>,
    cancel: Option<Millis>,
}

impl Fold {
    fn begin(start: &Start) -> Self {
        Self {
            start: start.at,
            now: start.at,
            calls: BTreeMap::new(),
            arrivals: Vec::new(),
            emitted: Vec::new(),
            events: Vec::new(),
            cancel: None,
        }
    }

    fn take(&mut self, at: Timestamp, event: &Event) -> Result<(), NotRecorded> {
        self.now = self.now.max(at);
        match event {
            Event::CallCompleted { call, outcome, .. } => {
                if let Some(made) = self.calls.get_mut(call) {
                    made.answer.get_or_insert((outcome.clone(), at.since(made.at)));
                }
            }
            Event::EventConsumed { event, .. } => {
                let own = self.emitted.contains(&identity(event));
                if !own {
                    let after = span(at.since(self.start));
                    self.arrivals.push(json!({ "at": after, "event": event }));
                }
            }
            Event::Cancel { .. } => self.cancel = Some(at.since(self.start)),
            Event::Suspend { .. } | Event::Resume => return Err(NotRecorded::Suspended),
            // A rehearsal is not held.
            Event::Admitted => self.start = self.now,
            Event::TimerFired { .. } => {}
        }
        Ok(())
    }

    fn absorb(&mut self, at: Timestamp, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                // A rehearsal gives out moments itself.
                Effect::Call(call) if matches!(call.request, Request::Rate(_)) => {}
                Effect::Call(call) => {
                    let made = Made {
                        reference: call.reference,
                        at,
                        answer: None,
                    };
                    self.calls.insert(call.call, made);
                }
                Effect::Emit(emit) => {
                    self.emitted.push(identity(&emit.event));
                    let mut event = Map::new();
                    for key in ["type", "subject", "data"] {
                        if let Some(value) = emit.event.get(key) {
                            event.insert(key.to_owned(), value.clone());
                        }
                    }
                    self.events.push(Value::Object(event));
                }
                _ => {}
            }
        }
    }

    fn case(&self, start: &Start, outcome: &Outcome, traces: &[Trace]) -> Value {
        let mut case = json!({ "name": "as it was recorded", "now": start.at.rfc3339(), "input": start.input });
        let mocks = self.mocks();
        if !mocks.is_empty() {
            case["mocks"] = Value::Array(mocks);
        }
        if !self.arrivals.is_empty() {
            case["events"] = json!(self.arrivals);
        }
        if let Some(cancel) = self.cancel {
            case["cancel"] = span(cancel).into();
        }
        case["expect"] = self.expect(outcome, traces);
        case
    }

    /// The answers of each task, in the order in which it asked.
    fn mocks(&self) -> Vec<Value> {
        let mut answers: IndexMap<&str, Vec<Value>> = IndexMap::new();
        for made in self.calls.values() {
            let answer = match &made.answer {
                None => json!({ "answer": null, "after": NEVER }),
                Some((outcome, took)) => {
                    let mut answer = match outcome {
                        Ok(value) => json!({ "answer": value }),
                        Err(problem) => json!({ "error": fault(problem) }),
                    };
                    if took.0 > 0 {
                        answer["after"] = span(*took).into();
                    }
                    answer
                }
            };
            answers.entry(&made.reference).or_default().push(answer);
        }
        let mock = |(task, mut answers): (&str, Vec<Value>)| {
            let mut mock = Map::from_iter([("task".to_owned(), Value::from(task))]);
            match (answers.len(), answers.pop()) {
                (1, Some(Value::Object(answer))) => mock.extend(answer),
                (_, last) => {
                    answers.extend(last);
                    mock.insert("answers".to_owned(), Value::Array(answers));
                }
            }
            Value::Object(mock)
        };
        answers.into_iter().map(mock).collect()
    }

    fn expect(&self, outcome: &Outcome, traces: &[Trace]) -> Value {
        let mut expect = json!({});
        match outcome.status {
            Status::Completed => expect["output"] = outcome.output.as_deref().cloned().unwrap_or_default(),
            Status::Faulted => {
                if let Some(error) = &outcome.error {
                    expect["error"] = json!({ "type": error.kind, "status": error.status });
                }
            }
            _ => expect["status"] = "cancelled".into(),
        }
        if !self.events.is_empty() {
            expect["emitted"] = json!(self.events);
        }
        let mut tasks: IndexMap<&str, u64> = IndexMap::new();
        for trace in traces {
            if let TraceKind::Started { .. } = trace.kind {
                *tasks.entry(&trace.reference).or_default() += 1;
            }
        }
        if tasks.len() <= MOST_TASKS {
            expect["tasks"] = json!(tasks);
        }
        expect
    }
}

fn identity(event: &Value) -> (Value, Value) {
    let member = |name: &str| event.get(name).cloned().unwrap_or_default();
    (member("source"), member("id"))
}

/// An error as a mock says it.
fn fault(problem: &Problem) -> Value {
    let mut fault = json!({ "type": problem.kind, "status": problem.status });
    for (key, value) in [("title", &problem.title), ("detail", &problem.detail)] {
        if let Some(text) = value {
            fault[key] = text.as_str().into();
        }
    }
    if let Some(after) = problem.retry_after_ms {
        fault["retryAfter"] = span(Millis(after)).into();
    }
    if let Some(data) = &problem.data {
        fault["data"] = data.clone();
    }
    fault
}

/// A span as ISO 8601.
fn span(millis: Millis) -> String {
    let (seconds, rest) = (millis.0 / 1_000, millis.0 % 1_000);
    if rest == 0 {
        format!("PT{seconds}S")
    } else {
        format!("PT{seconds}.{rest:03}S")
    }
}
