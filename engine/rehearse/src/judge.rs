//! What happened against what was expected.

use potok_expr::{Evaluator, Expression};
use potok_machine::{Status, Trace, TraceKind};
use serde_json::{Value, json};

use crate::{
    mock::{is_task, standard},
    plan::{Case, Expected, Fault},
    report::{difference, one_line, span},
    stage::Performance,
};

/// What became of a case.
#[derive(Debug)]
pub struct Verdict {
    /// The case.
    pub name: String,
    /// How many tasks ran.
    pub tasks: usize,
    /// How much time passed in it.
    pub took: potok_dsl::Millis,
    /// What was not as expected, each with what it is about; nothing when the case passed.
    pub failures: Vec<Failure>,
}

/// Something that was not as expected.
#[derive(Debug)]
pub struct Failure {
    /// What it is about: `output`, `status`, …
    pub about: String,
    /// What was expected, and what there was; may have several lines.
    pub message: String,
}

impl Verdict {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// A case that could not be performed.
    #[must_use]
    pub fn impossible(case: &Case, why: String) -> Self {
        Self {
            name: case.name.clone(),
            tasks: 0,
            took: potok_dsl::Millis(0),
            failures: vec![Failure {
                about: "test".to_owned(),
                message: why,
            }],
        }
    }
}

/// Judges a performance.
#[must_use]
pub fn judge(case: &Case, performance: &Performance, evaluator: &Evaluator) -> Verdict {
    let mut judge = Judge {
        performance,
        failures: Vec::new(),
    };
    match &performance.trouble {
        Some(trouble) => judge.fail("test", trouble.clone()),
        None => judge.all(&case.expect, evaluator),
    }
    Verdict {
        name: case.name.clone(),
        tasks: performance.started().count(),
        took: performance.took,
        failures: judge.failures,
    }
}

impl Performance {
    /// The tasks that began, in order.
    fn started(&self) -> impl Iterator<Item = &Trace> {
        self.traces
            .iter()
            .filter(|trace| matches!(trace.kind, TraceKind::Started { .. }))
    }

    fn status(&self) -> &'static str {
        match self.outcome.as_ref().map(|outcome| outcome.status) {
            Some(Status::Completed) => "completed",
            Some(Status::Faulted) => "faulted",
            Some(Status::Cancelled) => "cancelled",
            _ => "waiting",
        }
    }

    fn output(&self) -> Option<&Value> {
        self.outcome.as_ref().and_then(|outcome| outcome.output.as_deref())
    }

    fn error(&self) -> Option<&potok_dsl::Problem> {
        self.outcome.as_ref().and_then(|outcome| outcome.error.as_ref())
    }

    /// The run as `that` sees it.
    fn summary(&self) -> Value {
        let tasks: Vec<&str> = self.started().map(|trace| trace.name.as_str()).collect();
        json!({
            "status": self.status(),
            "output": self.output(),
            "error": self.error(),
            "events": self.emitted,
            "calls": self.calls,
            "tasks": tasks,
            "took": self.took,
        })
    }
}

struct Judge<'p> {
    performance: &'p Performance,
    failures: Vec<Failure>,
}

impl Judge<'_> {
    fn fail(&mut self, about: &str, message: String) {
        self.failures.push(Failure {
            about: about.to_owned(),
            message,
        });
    }

    fn all(&mut self, expect: &Expected, evaluator: &Evaluator) {
        let performance = self.performance;
        let faults = if expect.error.is_some() { "faulted" } else { "completed" };
        let status = expect.status.as_deref().unwrap_or(faults);
        if performance.status() != status {
            let why = performance
                .error()
                .map_or_else(String::new, |error| format!(": {error}"));
            self.fail(
                "status",
                format!("expected {status}, got {}{why}", performance.status()),
            );
        }
        self.output(expect);
        if let Some(fault) = &expect.error {
            self.error(fault);
        }
        self.that(expect, evaluator);
        self.events(expect);
        self.tasks(expect);
        self.order(expect);
        self.calls(expect);
        if let Some(took) = expect.took.filter(|took| took.0 != performance.took) {
            let message = format!("expected {}, got {}", span(took.0), span(performance.took));
            self.fail("took", message);
        }
    }

    fn output(&mut self, expect: &Expected) {
        let Some(output) = self.performance.output() else {
            return;
        };
        if let Some(expected) = expect.output.as_ref().filter(|expected| *expected != output) {
            self.fail("output", difference(expected, output));
        }
        if let Some(Err(why)) = expect.output_has.as_ref().map(|expected| includes(expected, output)) {
            self.fail("output", why);
        }
    }

    fn error(&mut self, fault: &Fault) {
        let Some(error) = self.performance.error() else { return };
        let same_kind = |kind: &String| {
            let (wanted, got) = (standard(kind), potok_dsl::ErrorType::parse(&error.kind));
            *kind == error.kind || (wanted.is_some() && wanted == got)
        };
        let kind = fault.kind.as_ref().is_none_or(same_kind);
        let status = fault.status.is_none_or(|status| status == error.status);
        let title = fault
            .title
            .as_ref()
            .is_none_or(|title| error.title.as_ref() == Some(title));
        let detail = fault.detail.as_ref().is_none_or(|detail| {
            let got = error.detail.as_deref().unwrap_or_default();
            got.contains(detail.as_str())
        });
        let data = match (&fault.data, &error.data) {
            (None, _) => true,
            (Some(wanted), got) => includes(wanted, got.as_ref().unwrap_or(&Value::Null)).is_ok(),
        };
        if !(kind && status && title && detail && data) {
            let got = serde_json::to_value(error).unwrap_or_default();
            self.fail("error", format!("expected another error than {}", one_line(&got)));
        }
    }

    fn that(&mut self, expect: &Expected, evaluator: &Evaluator) {
        if expect.that.is_empty() {
            return;
        }
        let summary = self.performance.summary();
        for text in &expect.that {
            let held =
                Expression::parse(text, evaluator).and_then(|expression| expression.test(evaluator, &summary, &()));
            match held {
                Ok(true) => {}
                Ok(false) => self.fail("that", format!("{text} does not hold of {}", one_line(&summary))),
                Err(error) => self.fail("that", format!("{text}: {}", error.message)),
            }
        }
    }

    fn events(&mut self, expect: &Expected) {
        let Some(expected) = &expect.emitted else { return };
        let emitted = &self.performance.emitted;
        if expected.len() != emitted.len() {
            let types: Vec<&str> = emitted.iter().filter_map(|event| event.get("type")?.as_str()).collect();
            let got = if types.is_empty() {
                "none".to_owned()
            } else {
                types.join(", ")
            };
            let message = format!("expected {} of them, got {}: {got}", expected.len(), emitted.len());
            return self.fail("emitted", message);
        }
        for (index, (expected, event)) in expected.iter().zip(emitted).enumerate() {
            if let Err(why) = includes(expected, event) {
                self.fail(&format!("emitted, event {}", index + 1), why);
            }
        }
    }

    fn tasks(&mut self, expect: &Expected) {
        for (task, times) in &expect.tasks {
            let ran = self
                .performance
                .started()
                .filter(|trace| is_task(task, &trace.reference))
                .count() as u64;
            if ran != *times {
                self.fail(
                    "tasks",
                    format!("expected '{task}' to run {}, it ran {}", often(*times), often(ran)),
                );
            }
        }
    }

    fn order(&mut self, expect: &Expected) {
        let mut started = self.performance.started();
        for task in &expect.order {
            if !started.any(|trace| is_task(task, &trace.reference)) {
                let names: Vec<&str> = self.performance.started().map(|trace| trace.name.as_str()).collect();
                let message = format!(
                    "expected the order {}, but they ran in the order {}",
                    expect.order.join(", "),
                    names.join(", ")
                );
                return self.fail("order", message);
            }
        }
    }

    fn calls(&mut self, expect: &Expected) {
        let mut calls = self.performance.calls.iter();
        for expected in &expect.calls {
            if !calls.any(|call| includes(&called(expected, call), call).is_ok()) {
                let made: Vec<String> = self.performance.calls.iter().map(one_line).collect();
                let made = if made.is_empty() {
                    "none".to_owned()
                } else {
                    made.join("\n")
                };
                let message = format!(
                    "expected {} among the calls, in order; they were\n{made}",
                    one_line(expected)
                );
                return self.fail("calls", message);
            }
        }
    }
}

/// An expected call, its function with the version and its task by reference when they were left out.
fn called(expected: &Value, call: &Value) -> Value {
    let mut expected = expected.clone();
    for key in ["function", "task"] {
        let (Some(wanted), Some(got)) = (
            expected.get(key).and_then(Value::as_str),
            call.get(key).and_then(Value::as_str),
        ) else {
            continue;
        };
        let same = match key {
            "function" => got.split(':').next() == Some(wanted),
            _ => is_task(wanted, got),
        };
        if same {
            expected[key] = got.into();
        }
    }
    expected
}

fn often(times: u64) -> String {
    match times {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    }
}

/// Whether a value contains what is expected: of objects at least these members, of lists the same number of entries, each containing.
///
/// # Errors
/// Where it does not.
pub(crate) fn includes(expected: &Value, got: &Value) -> Result<(), String> {
    // Pairs still to be looked at, each with where it is.
    let mut pending = vec![(String::new(), expected, got)];
    while let Some((at, expected, got)) = pending.pop() {
        let place = if at.is_empty() {
            String::new()
        } else {
            format!("at {at}: ")
        };
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => {
                for (key, expected) in expected {
                    let Some(got) = got.get(key) else {
                        return Err(format!("{place}there is no '{key}'"));
                    };
                    pending.push((format!("{at}/{key}"), expected, got));
                }
            }
            (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
                let pairs = expected.iter().zip(got).enumerate();
                pending.extend(pairs.map(|(index, (expected, got))| (format!("{at}/{index}"), expected, got)));
            }
            (Value::Array(expected), Value::Array(got)) => {
                return Err(format!("{place}expected {} entries, got {}", expected.len(), got.len()));
            }
            (expected, got) if expected == got => {}
            (expected, got) => {
                return Err(format!("{place}expected {}, got {}", one_line(expected), one_line(got)));
            }
        }
    }
    Ok(())
}
