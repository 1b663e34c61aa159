//! Rehearsals from outside: what they play, what people read when a case fails, and runs that become tests.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use potok_dsl::Problem;
use potok_expr::Evaluator;
use potok_machine::{Definition, Lock, LockedFunction, testing::Driver};
use potok_rehearse::{Plan, Pure, Report, judge, record, rehearse};
use serde_json::{Value, json};

/// Doubles a number: a function that nothing outside can tell.
struct Doubler;

impl Pure for Doubler {
    fn call(&self, _function: &LockedFunction, arguments: &Value, _key: &str) -> Result<Value, Problem> {
        Ok(json!(arguments["number"].as_i64().unwrap_or_default() * 2))
    }
}

fn compile(tasks: &str) -> Arc<Definition> {
    let text = format!("document: {{ dsl: 1.0.3, namespace: tests, name: rehearsal, version: 1.0.0 }}\n{tasks}");
    let parsed = potok_dsl::parse("w.yaml", &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let mut lock = Lock::default();
    for (name, pure) in [("math.double", true), ("mail.send", false)] {
        let function = LockedFunction {
            component: "c".to_owned(),
            function: format!("{name}:1.0.0"),
            pure,
        };
        lock.functions.insert(name.to_owned(), function);
    }
    let definition = Definition::compile(&parsed.workflow, &lock, &Evaluator::native());
    Arc::new(definition.unwrap_or_else(|list| panic!("{list:?}")))
}

fn run(tasks: &str, test: &str) -> Report {
    let plan = Plan::parse("w.test.yaml", test).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let (definition, evaluator) = (compile(tasks), Evaluator::native());
    let verdict = |case| {
        let case: &potok_rehearse::Case = case;
        let performance = rehearse(&definition, &evaluator, case.input.clone(), case, &plan.mocks, &Doubler);
        judge(case, &performance, &evaluator)
    };
    Report {
        file: "w.test.yaml".to_owned(),
        verdicts: plan.cases.iter().map(verdict).collect(),
    }
}

const ORDER: &str = "
do:
  - double: { call: math.double, with: { number: '${ .number }' }, export: { as: '${ { doubled: . } }' } }
  - rest: { wait: { hours: 1 } }
  - fetch:
      try:
        - ask:
            call: http
            with: { method: get, endpoint: 'https://example.com/prices', query: { of: bread } }
            timeout: { after: { seconds: 30 } }
      catch: { retry: { delay: { seconds: 5 }, limit: { attempt: { count: 2 } } } }
  - tell: { call: mail.send, with: { text: '${ .bread | tostring }' } }
output: { as: '${ { sent: ., doubled: $context.doubled } }' }
";

#[test]
fn cases_pass_when_everything_is_as_expected() {
    let report = run(
        ORDER,
        "
mocks:
  - { function: mail.send, answer: ok }
cases:
  - name: retried
    input: { number: 4 }
    mocks:
      - http: get https://example.com/*
        answers:
          - { error: { type: communication, status: 503 } }
          - { error: { status: 429, retryAfter: PT10S } }
          - { answer: { bread: 2 }, after: PT1S }
    expect:
      output: { sent: ok, doubled: 8 }
      outputHas: { doubled: 8 }
      that: ['.tasks | length == 7', '.took == 3616000', '.status == \"completed\"']
      tasks: { ask: 3, tell: 1, /do/1/rest: 1 }
      order: [double, ask, ask, tell]
      calls: [{ http: GET https://example.com/prices, with: { query: { of: bread } } }, { function: mail.send, with: { text: '2' } }]
      took: PT1H16S
  - name: too late
    input: { number: 4 }
    mocks:
      - { task: ask, answer: {}, after: PT1M }
    expect: { error: { type: timeout }, tasks: { ask: 3 } }
  - name: cancelled
    input: { number: 4 }
    cancel: PT10M
    expect: { status: cancelled, took: PT10M }
  - name: of several mocks the first that fits and is not used up
    input: { number: 1 }
    mocks:
      - { task: ask, with: { query: { of: wine } }, answer: { bread: 0 } }
      - { task: ask, times: 1, error: { type: 'urn:once' } }
      - { task: /do/2/fetch/try/0/ask, answer: { bread: 7 } }
    expect: { outputHas: { sent: ok }, calls: [{ task: tell, with: { text: '7' } }] }
",
    );
    assert_eq!(report.tally().failed, 0, "{report}");
}

#[test]
fn a_rate_is_kept_in_virtual_time() {
    let tasks = "
do:
  - each:
      for: { in: '[1, 2, 3]' }
      do:
        - post: { call: mail.send, timeout: { after: { seconds: 5 } }, metadata: { potok: { rate: { limit: 2, per: minute } } } }
";
    let report = run(
        tasks,
        "
mocks: [ { function: mail.send, answer: ok } ]
cases:
  - name: the third waits
    expect: { output: ok, tasks: { post: 3 }, that: ['.calls | length == 3'], took: PT1M1S }
",
    );
    assert_eq!(report.tally().failed, 0, "{report}");
}

#[test]
fn what_is_not_as_expected_is_explained() {
    let report = run(
        ORDER,
        "
cases:
  - name: nobody answers
    input: { number: 4 }
    expect: {}
  - name: everything else
    input: { number: 4 }
    mocks:
      - { http: GET *, answer: { bread: 2 } }
      - { function: mail.*, answer: { id: 7, to: [ann, bob] } }
    expect:
      output: { sent: { id: 8, to: [ann, bob] }, doubled: 8 }
      outputHas: { sent: { to: [ann, eve] } }
      that: ['.output.doubled == 9']
      emitted: [{ type: com.example.sent }]
      tasks: { ask: 2 }
      order: [tell, ask]
      calls: [{ function: mail.send, with: { text: '3' } }]
      took: PT1M
  - name: another end
    input: { number: 4 }
    mocks:
      - { task: ask, error: { type: communication, status: 404, title: Gone } }
    expect: { status: completed }
  - name: another error
    input: { number: 4 }
    mocks:
      - { task: ask, error: { type: communication, status: 404, title: Gone } }
    expect: { error: { type: timeout } }
",
    );
    insta::assert_snapshot!(report);
}

#[test]
fn a_run_without_an_end_is_ended() {
    let report = run(
        "do: [ { again: { set: { a: 1 }, then: again } } ]",
        "cases: [ { name: round and round, expect: {} } ]",
    );
    insta::assert_snapshot!(report);
}

#[test]
fn mistakes_in_a_test_are_shown_where_they_are() {
    let wrong = |text: &str| Plan::parse("w.test.yaml", text).unwrap_err().to_string();
    let texts = [
        "cases: []\n",
        "cases:\n  - name: a\n    expct: {}\n",
        "cases:\n  - name: a\n    expect: { took: an hour }\n",
        "cases:\n  - name: a\n    mocks: [ { answer: 1 } ]\n    expect: {}\n",
        "cases:\n  - name: a\n    mocks: [ { task: a, answer: 1, error: {} } ]\n    expect: {}\n",
        "cases:\n  - name: a\n    now: today\n    expect: {}\n",
        "cases: [\n",
    ];
    let told: Vec<String> = texts.iter().map(|text| wrong(text)).collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

/// A run of the machine as a journal keeps it becomes a test, and the test passes.
#[test]
fn a_recorded_run_is_a_test_that_passes() {
    let mut wrong = 0;
    for (input, failing) in [(json!({ "number": 4 }), 1), (json!({ "number": 5 }), 3)] {
        let (definition, evaluator) = (compile(ORDER), Evaluator::native());
        let mut driver = Driver::start(&definition, &evaluator, input, None);
        let mut failed = 0;
        driver.run(&mut |call| match &call.request {
            potok_machine::Request::Http(_) if failed < failing => {
                failed += 1;
                Err(Problem::new(potok_dsl::ErrorType::Communication, "Busy", "try again").with_status(503))
            }
            potok_machine::Request::Http(_) => Ok(json!({ "bread": 2 })),
            potok_machine::Request::Function { function, .. } if function.pure => Ok(json!(8)),
            _ => Ok(json!({ "text": "yes", "more": ["a: b", null, 1.5] })),
        });
        let text = record("w.yaml", &definition, &evaluator, &driver.entries).unwrap();
        if wrong == 0 {
            insta::assert_snapshot!(text);
        }
        wrong += run(ORDER, &text).tally().failed;
    }
    assert_eq!(wrong, 0);
}

#[test]
fn an_unfinished_run_is_no_test() {
    let (definition, evaluator) = (compile(ORDER), Evaluator::native());
    let driver = Driver::start(&definition, &evaluator, json!({ "number": 4 }), None);
    let error = record("w.yaml", &definition, &evaluator, &driver.entries).unwrap_err();
    assert_eq!(error.to_string(), "the run has not ended; wait for it, or cancel it");
}

const ECHO: &str = "
do:
  - say: { emit: { event: { with: { type: com.example.said, source: 'https://example.com', data: { word: '${ .word }' } } } } }
  - hear: { listen: { to: { all: [ { with: { type: com.example.said } }, { with: { type: com.example.heard } } ] } } }
";

/// What a run emits its own listeners hear, too; what comes before a listener is there when it begins.
#[test]
fn events_come_from_outside_and_from_the_run() {
    let report = run(
        ECHO,
        "
cases:
  - name: from both
    input: { word: hello }
    events: [ { event: { type: com.example.heard, data: { word: yes } } } ]
    expect:
      output: [ { word: hello }, { word: yes } ]
      emitted: [ { type: com.example.said, data: { word: hello } } ]
      took: PT0S
  - name: later
    input: { word: hello }
    events: [ { when: /do/1/hear, at: PT5M, event: { type: com.example.heard, data: { word: yes } } } ]
    expect: { took: PT5M }
",
    );
    assert_eq!(report.tally().failed, 0, "{report}");
    let alone = run(
        ECHO,
        "cases: [ { name: nobody answers, input: { word: hello }, expect: {} } ]",
    );
    insta::assert_snapshot!(alone);
}

#[test]
fn a_recorded_run_with_events_is_a_test_that_passes() {
    let (definition, evaluator) = (compile(ECHO), Evaluator::native());
    let mut driver = Driver::start(&definition, &evaluator, json!({ "word": "hello" }), None);
    let said = driver.effects.iter().find_map(|effect| match effect {
        potok_machine::Effect::Emit(emit) => Some((*emit.event).clone()),
        _ => None,
    });
    assert!(driver.offer(said.unwrap()));
    driver.now = driver.now.after(potok_dsl::Millis(90_000));
    let heard = json!({
        "specversion": "1.0", "id": "7", "source": "https://example.com", "type": "com.example.heard", "data": { "word": "yes" },
    });
    assert!(driver.offer(heard));
    let text = record("w.yaml", &definition, &evaluator, &driver.entries).unwrap();
    insta::assert_snapshot!(text);
    let report = run(ECHO, &text);
    assert_eq!(report.tally().failed, 0, "{report}");
}
