//! Small workflows, written as YAML, and what becomes of them.

use std::sync::Arc;

use potok_dsl::{Diagnostic, ErrorType, Problem};
use potok_expr::Evaluator;
use potok_machine::{
    CallEffect, Definition, Outcome, Request, Status, Trace, TraceKind,
    testing::{Driver, lock},
};
use serde_json::{Value, json};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: small, version: '1.0.0' }\n";

pub fn try_compile(body: &str) -> Result<Arc<Definition>, Vec<Diagnostic>> {
    let text = format!("{HEAD}{body}");
    let parsed = potok_dsl::parse("small.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    Definition::compile(&parsed.workflow, &lock(), &Evaluator::native()).map(Arc::new)
}

pub fn compile(body: &str) -> Arc<Definition> {
    try_compile(body).unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}"))
}

pub fn start(body: &str, input: Value) -> Driver {
    Driver::start(&compile(body), &Evaluator::native(), input, None)
}

/// Runs to the end; calls give their arguments back.
pub fn run(body: &str, input: Value) -> Outcome {
    run_with(body, input, &mut echo).0
}

pub fn run_with(
    body: &str,
    input: Value,
    answer: &mut dyn FnMut(&CallEffect) -> Result<Value, Problem>,
) -> (Outcome, Driver) {
    let mut driver = start(body, input);
    let outcome = driver.run(answer).cloned();
    (
        outcome.unwrap_or_else(|| panic!("the run waits for {:?}", driver.machine.outstanding())),
        driver,
    )
}

pub fn echo(effect: &CallEffect) -> Result<Value, Problem> {
    Ok(match &effect.request {
        Request::Function { args, .. } => args.as_ref().clone(),
        Request::Http(request) => serde_json::to_value(request).unwrap(),
        Request::Workflow(request) => request.input.as_ref().clone(),
        Request::Shell(request) => serde_json::to_value(request).unwrap(),
        Request::OpenApi(request) => serde_json::to_value(request).unwrap(),
        Request::Rate(_) => panic!("the driver gives out moments"),
    })
}

/// The output of a run that completes.
pub fn output(body: &str, input: Value) -> Value {
    completed(run(body, input))
}

pub fn completed(outcome: Outcome) -> Value {
    assert_eq!(outcome.status, Status::Completed, "{:?}", outcome.error);
    outcome.output.unwrap().as_ref().clone()
}

/// The error of a run that faults.
pub fn error(body: &str, input: Value) -> Problem {
    faulted(run(body, input))
}

pub fn faulted(outcome: Outcome) -> Problem {
    assert_eq!(outcome.status, Status::Faulted, "{:?}", outcome.output);
    outcome.error.unwrap()
}

pub fn unavailable() -> Problem {
    Problem::new(ErrorType::Communication, "Unavailable", "try again").with_status(503)
}

/// The paths of the tasks that were started, in order.
pub fn started(driver: &Driver) -> Vec<&str> {
    let started = driver
        .traces
        .iter()
        .filter(|trace| matches!(trace.kind, TraceKind::Started { .. }));
    started.map(|trace| trace.path.0.as_ref()).collect()
}

/// What happened to each task, as `event path`.
pub fn story(traces: &[Trace]) -> Vec<String> {
    let event = |trace: &Trace| json!(trace)["event"].as_str().unwrap().to_owned();
    traces
        .iter()
        .map(|trace| format!("{} {}", event(trace), trace.path))
        .collect()
}
