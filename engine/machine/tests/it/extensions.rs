//! Extensions: what is done before and after the tasks that they extend.

use potok_machine::{Effect, TraceKind};
use serde_json::{Value, json};

use crate::support::{completed, echo, error, output, run_with, start, started, story};

const MOCK: &str = r"
use:
  extensions:
    - mock:
        extend: call
        when: $task.call == 'http' and $task.with.endpoint.uri == 'https://mocked.example.com'
        before:
          - intercept: { set: { mocked: '${ $task.name }' }, then: exit }
        after:
          - never: { raise: { error: { type: 'urn:never', status: 500 } } }
do:
  - real: { call: http, with: { method: get, endpoint: https://real.example.com }, output: { as: '${ .uri }' }, export: { as: '${ { real: . } }' } }
  - fetch: { call: http, with: { method: get, endpoint: { uri: https://mocked.example.com } }, output: { as: '${ . + { shaped: true } }' } }
output: { as: '${ { out: ., context: $context } }' }
";

#[test]
fn exit_before_a_task_stands_for_what_it_would_have_given() {
    let body = MOCK
        .replace("'http'", "\"http\"")
        .replace("'https://mocked.example.com'\n", "\"https://mocked.example.com\"\n");
    let (outcome, driver) = run_with(&body, json!({}), &mut echo);
    let expected =
        json!({ "out": { "mocked": "fetch", "shaped": true }, "context": { "real": "https://real.example.com" } });
    assert_eq!(completed(outcome), expected);
    assert_eq!(
        started(&driver),
        [
            "/do/0/real",
            "/do/1/fetch",
            "/do/1/fetch/extensions/0/mock/before/0/intercept"
        ]
    );
    let calls = driver.effects.iter().filter(|effect| matches!(effect, Effect::Call(_)));
    assert_eq!(calls.count(), 1);
}

const LOG: &str = r#"
use:
  functions: { say: { call: test.effect, with: { say: '${ .text }' } } }
  extensions:
    - log:
        extend: all
        before: [{ begin: { call: say, with: { text: '${ "begin \($task.reference)" }' } } }]
        after: [{ end: { call: say, with: { text: '${ "end \($task.name) \($task.output)" }' } } }]
    - inner:
        extend: set
        before: [{ in: { call: say, with: { text: in } } }, { skip: { set: { a: 1 }, then: exit, if: 'false' } }]
        after: [{ out: { call: say, with: { text: out }, then: exit } }, { never: { call: say, with: { text: never } } }]
do:
  - outer: { do: [{ count: { set: '${ .n + 1 }', export: { as: '${ { was: . } }' } } }] }
  - choose: { switch: [{ always: { then: last } }] }
  - jumped: { set: { jumped: true } }
  - last: { if: 'false', set: { skipped: true } }
"#;

#[test]
fn extensions_lie_around_every_task_but_their_own() {
    let mut said = Vec::new();
    let (outcome, driver) = run_with(LOG, json!({ "n": 1 }), &mut |effect| {
        let args = echo(effect)?;
        said.push(args["say"].as_str().unwrap().to_owned());
        Ok(json!("ignored"))
    });
    assert_eq!(completed(outcome), json!(2));
    assert_eq!(
        said,
        [
            "begin /do/0/outer",
            "begin /do/0/outer/do/0/count",
            "in",
            "out",
            "end count 2",
            "end outer 2",
            "begin /do/1/choose",
            "end choose 2",
        ]
    );
    let story = story(&driver.traces);
    let of_count: Vec<_> = story.iter().filter(|line| line.ends_with("/count")).collect();
    assert_eq!(
        of_count,
        ["started /do/0/outer/do/0/count", "completed /do/0/outer/do/0/count"]
    );
}

#[test]
fn a_timeout_holds_for_a_task_with_its_extensions() {
    let body = r"
use: { extensions: [{ slow: { extend: call, before: [{ rest: { wait: PT3S } }], after: [{ rest: { wait: PT3S } }] } }] }
do: [{ task: { call: test.pure, timeout: { after: PT5S } } }]
";
    let mut driver = start(body, json!({}));
    assert_eq!(driver.timers().len(), 2);
    let outcome = driver.run(&mut echo).unwrap().clone();
    let problem = crate::support::faulted(outcome);
    assert_eq!((problem.status, problem.instance.as_deref()), (408, Some("/do/0/task")));
    assert_eq!(driver.now.0, 1_005_000);
}

#[test]
fn an_extension_that_faults_faults_the_task() {
    let body = r"
use: { extensions: [{ bad: { extend: set, WHEN before: [{ oops: { raise: { error: { type: 'urn:a', status: 418 } } } }] } }] }
do: [{ tried: { try: [{ a: { set: { a: 1 } } }], catch: { errors: { with: { status: 418 } }, do: [{ b: { wait: PT0S } }] } } }]
";
    assert_eq!(
        output(&body.replace("WHEN", ""), json!({ "in": 1 })),
        json!({ "in": 1 })
    );
    assert_eq!(
        output(&body.replace("WHEN", "when: $context.x,"), json!({})),
        json!({ "a": 1 })
    );
    // A condition that fails does not hold.
    assert_eq!(
        output(&body.replace("WHEN", "when: .in + 1,"), json!({ "in": {} })),
        json!({ "a": 1 })
    );
}

#[test]
fn composite_is_do_and_fork() {
    let body = r"
use: { extensions: [{ c: { extend: composite, after: [{ see: { set: '${ $task.reference }' } }] } }] }
do: [{ d: { do: [{ f: { fork: { branches: [{ s: { set: { a: 1 } } }] } } }] } }]
";
    let (outcome, driver) = run_with(body, json!({}), &mut echo);
    assert_eq!(completed(outcome), json!([{ "a": 1 }]));
    let seen: Vec<Value> = driver
        .traces
        .iter()
        .filter_map(|trace| match &trace.kind {
            TraceKind::Completed { output } if trace.name == "see" => Some(output.as_ref().clone()),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [json!("/do/0/d/do/0/f"), json!("/do/0/d")]);
}

#[test]
fn functions_may_call_themselves_but_not_without_end() {
    let body = r"
use:
  functions:
    down:
      do:
        - more: { if: .n > 0, call: down, with: { n: '${ .n - 1 }' }, output: { as: '${ . + { by: 1 } }' } }
do: [{ go: { call: down, with: { n: '${ .n }' } } }]
";
    assert_eq!(output(body, json!({ "n": 50 })), json!({ "n": 0, "by": 1 }));
    let problem = error(body, json!({ "n": 1000 }));
    insta::assert_snapshot!(problem.detail.unwrap(), @"functions of 'use.functions' call each other more than 100 deep; let them end");
    let wide = body.replace(
        "- more: { if: .n > 0, call: down, with: { n: '${ .n - 1 }' }, output: { as: '${ . + { by: 1 } }' } }",
        "- more: { fork: { branches: [{ a: { call: down } }, { b: { call: down } }] } }",
    );
    let mut driver = start(&wide, json!({ "n": 1 }));
    while driver.machine.wants_to_proceed() {
        driver.proceed();
        driver.traces.clear();
    }
    let problem = crate::support::faulted(driver.machine.outcome().unwrap().clone());
    assert!(
        problem
            .detail
            .unwrap()
            .starts_with("more than 100000 tasks are open at once")
    );
}
