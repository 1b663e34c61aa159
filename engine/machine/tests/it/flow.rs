//! What comes next: sequences, `switch`, `then`, `if`, `end`, `exit`.

use serde_json::json;

use crate::support::{completed, echo, error, output, run_with, started, story};

#[test]
fn tasks_of_a_do_follow_each_other() {
    let body = r#"
do:
  - composite:
      do:
        - red: { set: { colors: '${ .colors + ["red"] }' } }
        - green: { set: { colors: '${ .colors + ["green"] }' } }
        - blue: { set: { colors: '${ .colors + ["blue"] }' } }
"#;
    let (outcome, driver) = run_with(body, json!({}), &mut echo);
    assert_eq!(completed(outcome), json!({ "colors": ["red", "green", "blue"] }));
    let expected = [
        "/do/0/composite",
        "/do/0/composite/do/0/red",
        "/do/0/composite/do/1/green",
        "/do/0/composite/do/2/blue",
    ];
    assert_eq!(started(&driver), expected);
}

#[test]
fn then_leads_where_it_says_and_back() {
    let body = r#"
do:
  - red: { set: { colors: '${ .colors + ["red"] }' }, then: green }
  - blue: { set: { colors: '${ .colors + ["blue"] }' }, then: end }
  - green: { set: { colors: '${ .colors + ["green"] }' }, then: blue }
"#;
    assert_eq!(output(body, json!(null)), json!({ "colors": ["red", "green", "blue"] }));
}

#[test]
fn visits_are_counted_in_paths() {
    let body = r"
do:
  - count: { set: { n: '${ .n + 1 }' } }
  - again: { switch: [{ more: { when: .n < 3, then: count } }] }
";
    let (outcome, driver) = run_with(body, json!({ "n": 0 }), &mut echo);
    assert_eq!(completed(outcome), json!({ "n": 3 }));
    let expected = [
        "/do/0/count",
        "/do/1/again",
        "/do/0/count#2",
        "/do/1/again#2",
        "/do/0/count#3",
        "/do/1/again#3",
    ];
    assert_eq!(started(&driver), expected);
}

const SWITCH: &str = r#"
do:
  - choose:
      switch:
        - other: { then: custom }
        - red: { when: '.color == "red"', then: red }
        - green: { when: '.color == "green"', then: exit }
        - gray: { when: '.color == "gray"', then: continue }
      then: end
  - red: { set: { colors: [red] }, then: end }
  - custom: { set: { colors: ['${ $input.color }'] } }
"#;

#[test]
fn a_switch_takes_the_first_case_that_holds_and_the_default_last() {
    assert_eq!(output(SWITCH, json!({ "color": "red" })), json!({ "colors": ["red"] }));
    assert_eq!(
        output(SWITCH, json!({ "color": "pink" })),
        json!({ "colors": ["pink"] })
    );
    assert_eq!(output(SWITCH, json!({ "color": "green" })), json!({ "color": "green" }));
    assert_eq!(output(SWITCH, json!({ "color": "gray" })), json!({ "colors": ["red"] }));
}

#[test]
fn a_switch_without_a_match_goes_on_as_its_then_says() {
    let body = r#"
do:
  - choose:
      switch: [{ red: { when: '.color == "red"', then: red } }]
      then: end
  - red: { set: { colors: [red] } }
"#;
    assert_eq!(output(body, json!({ "color": "yellow" })), json!({ "color": "yellow" }));
    let without = body.replace("      then: end\n", "");
    assert_eq!(
        output(&without, json!({ "color": "yellow" })),
        json!({ "colors": ["red"] })
    );
}

#[test]
fn exit_ends_the_list_and_end_the_workflow() {
    let body = r"
do:
  - outer:
      do:
        - first: { set: { n: 1 }, then: WHAT }
        - never: { set: { n: 2 } }
      output: { as: '{ shaped: .n }' }
  - after: { set: { last: '${ . }' } }
";
    assert_eq!(
        output(&body.replace("WHAT", "exit"), json!({})),
        json!({ "last": { "shaped": 1 } })
    );
    assert_eq!(output(&body.replace("WHAT", "end"), json!({})), json!({ "n": 1 }));
}

#[test]
fn end_cancels_what_else_is_open() {
    let body = r"
do:
  - each:
      for: { in: '[1, 2, 3]' }
      metadata: { potok: { parallel: 3 } }
      do:
        - pick: { switch: [{ two: { when: $item == 2, then: wait } }], then: stop }
        - wait: { wait: { hours: 1 }, then: exit }
        - stop: { if: $item == 3, set: { stopped: true }, export: { as: '{ by: $item }' }, then: end }
        - call: { call: test.pure }
output: { as: '{ out: ., context: $context }' }
";
    let (outcome, driver) = run_with(body, json!({}), &mut echo);
    assert_eq!(
        completed(outcome),
        json!({ "out": { "stopped": true }, "context": { "by": 3 } })
    );
    let ends: Vec<_> = story(&driver.traces).into_iter().rev().take(4).collect();
    let expected = [
        "completed /do/0/each",
        "cancelled /do/0/each[1]/do/1/wait",
        "cancelled /do/0/each[0]/do/3/call",
        "completed /do/0/each[2]/do/2/stop",
    ];
    assert_eq!(ends, expected);
}

#[test]
fn a_skipped_task_passes_its_raw_input_on_to_the_next() {
    let body = r"
do:
  - skipped:
      if: .go
      input: { from: '{ changed: true }' }
      set: { never: true }
      export: { as: '{ never: true }' }
      then: end
  - next: { set: { got: '${ . }', context: '${ $context }' } }
";
    let expected = json!({ "got": { "go": false }, "context": { "go": false } });
    let (outcome, driver) = run_with(body, json!({ "go": false }), &mut echo);
    assert_eq!(completed(outcome), expected);
    assert_eq!(story(&driver.traces)[0], "skipped /do/0/skipped");
    assert_eq!(output(body, json!({ "go": true })), json!({ "never": true }));
}

#[test]
fn raise_faults_with_what_it_says() {
    let inline = r"
use:
  errors:
    known: { type: 'https://example.com/known', status: 404, detail: '${ .why }', instance: /elsewhere }
do:
  - raiseError:
      raise:
        error: WHICH
";
    let problem = error(
        &inline.replace(
            "WHICH",
            "{ status: 400, type: 'https://example.com/compliance', title: Compliance Error }",
        ),
        json!({}),
    );
    assert_eq!(
        json!(problem),
        json!({
            "status": 400,
            "type": "https://example.com/compliance",
            "title": "Compliance Error",
            "instance": "/do/0/raiseError",
        })
    );
    let problem = error(&inline.replace("WHICH", "known"), json!({ "why": "because" }));
    let found = (problem.status, problem.detail.as_deref(), problem.instance.as_deref());
    assert_eq!(found, (404, Some("because"), Some("/elsewhere")));
}
