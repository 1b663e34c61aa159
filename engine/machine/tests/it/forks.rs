//! `fork`: branches at once, races, and what becomes of `$context`.

use potok_machine::{CallId, Effect, Status};
use serde_json::json;

use crate::support::{completed, echo, error, faulted, output, run_with, start, started, story, unavailable};

#[test]
fn outputs_come_in_the_order_of_the_branches() {
    let body = r"
do:
  - both:
      fork:
        branches:
          - slow: { call: test.pure, with: { n: '${ .n }' } }
          - inner:
              fork:
                branches:
                  - a: { set: { a: '${ .n + 1 }' } }
                  - b: { if: '.n > 5', set: { b: 1 } }
          - fast: { set: '${ $task.reference }' }
";
    let mut driver = start(body, json!({ "n": 1 }));
    assert_eq!(
        started(&driver),
        [
            "/do/0/both",
            "/do/0/both/fork/branches/0/slow",
            "/do/0/both/fork/branches/1/inner",
            "/do/0/both/fork/branches/2/fast",
            "/do/0/both/fork/branches/1/inner/fork/branches/0/a",
        ]
    );
    let expected = json!([{ "n": 1 }, [{ "a": 2 }, { "n": 1 }], "/do/0/both/fork/branches/2/fast"]);
    assert_eq!(completed(driver.run(&mut echo).unwrap().clone()), expected);
}

const EXPORTS: &str = r"
do:
  - both:
      fork:
        compete: COMPETE
        branches:
          - first:
              do:
                - call: { call: test.pure }
                - see: { set: { first: 1, seen: '${ $context.second }' } }
              export: { as: '${ $context + . + { both: 1 } }' }
          - second: { set: { second: 2 }, export: { as: '${ $context + . + { both: 2 } }' } }
output: { as: $context }
";

#[test]
fn exports_are_merged_in_the_order_of_the_branches() {
    let all = output(&EXPORTS.replace("COMPETE", "false"), json!({ "start": 0 }));
    assert_eq!(
        all,
        json!({ "start": 0, "first": 1, "seen": null, "both": 2, "second": 2 })
    );
    let winner = output(&EXPORTS.replace("COMPETE", "true"), json!({ "start": 0 }));
    assert_eq!(winner, json!({ "start": 0, "second": 2, "both": 2 }));
}

#[test]
fn the_first_to_finish_wins_and_the_others_are_cancelled() {
    let body = r"
do:
  - race:
      fork:
        compete: true
        branches:
          - skipped: { if: 'false', set: { never: 1 } }
          - one: { call: test.effect, with: { n: 1 } }
          - two: { call: test.effect, with: { n: 2 }, timeout: { after: PT9S } }
          - rest: { wait: PT1H }
";
    let mut driver = start(body, json!({}));
    let effects = driver.apply(driver.completion(CallId(1), Ok(json!("won")))).unwrap();
    assert!(
        matches!(
            &effects[..],
            [
                Effect::CancelTimer { .. },
                Effect::CancelCall { call: CallId(2) },
                Effect::CancelTimer { .. },
                Effect::Finish(_)
            ]
        ),
        "{effects:?}"
    );
    assert_eq!(completed(driver.machine.outcome().unwrap().clone()), json!("won"));
    let late = driver.completion(CallId(2), Ok(json!("lost")));
    assert_eq!(driver.apply(late).unwrap(), []);
}

#[test]
fn a_race_in_which_nobody_runs_gives_its_input() {
    let body = "do: [{ race: { fork: { compete: true, branches: [{ a: { if: 'false', set: { a: 1 } } }] } } }]";
    assert_eq!(output(body, json!({ "in": 1 })), json!({ "in": 1 }));
}

#[test]
fn a_branch_that_faults_ends_the_others() {
    let body = r"
do:
  - both:
      fork:
        branches:
          - bad: { call: test.pure }
          - long: { do: [{ rest: { wait: PT1H } }] }
";
    let (outcome, driver) = run_with(body, json!({}), &mut |_| Err(unavailable()));
    assert_eq!(
        faulted(outcome).instance.as_deref(),
        Some("/do/0/both/fork/branches/0/bad")
    );
    assert_eq!(
        story(&driver.traces)[4..],
        [
            "faulted /do/0/both/fork/branches/0/bad",
            "cancelled /do/0/both/fork/branches/1/long/do/0/rest",
            "cancelled /do/0/both/fork/branches/1/long",
            "faulted /do/0/both",
        ]
    );
}

#[test]
fn directives_end_a_branch_or_the_workflow() {
    let body = r"
do:
  - both:
      fork:
        branches:
          - a: { set: { a: 1 }, then: exit }
          - b: { do: [{ c: { set: { c: 1 }, then: exit } }, { d: { set: { d: 1 } } }] }
  - after: { set: '${ { after: . } }', then: DIRECTIVE }
  - last: { set: { last: 1 } }
";
    let after = json!({ "after": [{ "a": 1 }, { "c": 1 }] });
    assert_eq!(output(&body.replace("DIRECTIVE", "end"), json!({})), after);
    let body = &body.replace("DIRECTIVE", "continue");
    let end = body.replace("a: 1 }, then: exit", "a: 1 }, then: end");
    assert_eq!(output(&end, json!({})), json!({ "a": 1 }));
    let unknown = body.replace("a: 1 }, then: exit", "a: 1 }, then: a");
    let text = format!("document: {{ dsl: 1.0.3, namespace: a, name: b, version: 1.0.0 }}\n{unknown}");
    assert!(potok_dsl::parse("w", &text).is_err());
}

#[test]
fn a_fork_is_timed_out_suspended_and_tried_again() {
    let body = r"
do:
  - tried:
      try:
        - both:
            timeout: { after: PT5S }
            fork: { branches: [{ a: { call: test.effect } }, { b: { call: test.effect } }] }
      catch: { retry: { limit: { attempt: { count: 1 } } } }
";
    let mut driver = start(body, json!({}));
    let timer = driver.next_timer().unwrap();
    driver.apply(timer).unwrap();
    assert_eq!(driver.calls().map(|call| call.call.0).collect::<Vec<_>>(), [3, 4]);
    driver.apply(potok_machine::Event::Suspend { reason: None }).unwrap();
    let late = driver.completion(CallId(1), Ok(json!(0)));
    assert_eq!(driver.apply(late).unwrap(), []);
    for call in [4, 3] {
        driver.apply(driver.completion(CallId(call), Ok(json!(call)))).unwrap();
    }
    assert_eq!(driver.machine.status(), Status::Suspended);
    driver.apply(potok_machine::Event::Resume).unwrap();
    assert_eq!(completed(driver.machine.outcome().unwrap().clone()), json!([3, 4]));
}

#[test]
fn errors_of_branches_are_caught_around_the_fork() {
    let body = r"
do:
  - tried:
      try: [{ both: { fork: { branches: [{ a: { raise: { error: { type: 'urn:a', status: 418 } } } }, { b: { wait: PT1H } }] } } }]
      catch: { do: [{ say: { set: '${ $error.status }' } }] }
";
    assert_eq!(output(body, json!({})), json!(418));
    let uncaught = "do: [{ f: { fork: { branches: [{ a: { raise: { error: { type: 'urn:a', status: 418 } } } }] } } }]";
    assert_eq!(error(uncaught, json!({})).status, 418);
}
