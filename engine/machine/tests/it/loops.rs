//! `for`: in sequence, at once, collected, ended early.

use potok_machine::Status;
use serde_json::{Value, json};

use crate::support::{completed, echo, error, faulted, output, run_with, start, started, story, unavailable};

#[test]
fn an_iteration_gets_the_output_of_the_one_before() {
    let body = r"
do:
  - loop:
      for: { each: color, in: .colors }
      do:
        - mark:
            set:
              processed: '${ { colors: (.processed.colors + [$color]), indexes: (.processed.indexes + [$index]) } }'
";
    let input = json!({ "colors": ["red", "green", "blue"] });
    let expected = json!({ "processed": { "colors": ["red", "green", "blue"], "indexes": [0, 1, 2] } });
    let (outcome, driver) = run_with(body, input, &mut echo);
    assert_eq!(completed(outcome), expected);
    let expected = [
        "/do/0/loop",
        "/do/0/loop[0]/do/0/mark",
        "/do/0/loop[1]/do/0/mark",
        "/do/0/loop[2]/do/0/mark",
    ];
    assert_eq!(started(&driver), expected);
    assert_eq!(driver.traces[1].reference, "/do/0/loop/do/0/mark");
}

#[test]
fn an_empty_loop_passes_its_input_through() {
    let body = "do: [{ loop: { for: { in: .list }, do: [{ never: { set: { x: 1 } } }] } }]";
    assert_eq!(output(body, json!({ "list": [] })), json!({ "list": [] }));
    let collect = "do: [{ loop: { for: { in: .list }, do: [{ never: { set: { x: 1 } } }], metadata: { potok: { collect: true } } } }]";
    assert_eq!(output(collect, json!({ "list": [] })), json!([]));
}

#[test]
fn while_sees_the_iteration_and_the_data_and_is_tested_before() {
    let body = r"
do:
  - loop:
      for: { each: n, at: i, in: '[10, 20, 30, 40]' }
      while: $n < 40 and $i < 3 and .sum < 30
      do: [{ add: { set: { sum: '${ .sum + $n }' } } }]
";
    assert_eq!(output(body, json!({ "sum": 0 })), json!({ "sum": 30 }));
    assert_eq!(output(body, json!({ "sum": 99 })), json!({ "sum": 99 }));
}

#[test]
fn exit_goes_on_with_the_next_iteration() {
    let body = r"
do:
  - loop:
      for: { in: '[1, 2, 3]' }
      do:
        - skip: { switch: [{ two: { when: $item == 2, then: exit } }] }
        - add: { set: { sum: '${ .sum + $item }' } }
";
    assert_eq!(output(body, json!({ "sum": 0 })), json!({ "sum": 4 }));
}

#[test]
fn collect_gives_the_outputs_in_their_order() {
    let body = r"
do:
  - loop:
      for: { in: '[1, 2, 3]' }
      do: [{ square: { set: '${ $item * $item }' } }]
      metadata: { potok: { collect: true } }
";
    assert_eq!(output(body, json!({})), json!([1, 4, 9]));
}

const PARALLEL: &str = r"
do:
  - loop:
      for: { in: '[0, 1, 2, 3, 4]' }
      do:
        - call: { call: test.pure, with: { n: '${ $item }', input: '${ . }' } }
      metadata: { potok: { parallel: 2, collect: true } }
";

#[test]
fn parallel_iterations_start_only_so_many_at_once_and_get_the_loops_input() {
    let mut driver = start(PARALLEL, json!({ "in": 1 }));
    let mut done = Vec::new();
    while driver.machine.outcome().is_none() {
        let open: Vec<_> = driver.calls().map(|call| call.call).collect();
        assert!(open.len() == 2 || (open.len() == 1 && done.len() == 4), "{open:?}");
        let last = *open.last().unwrap();
        let call = driver.calls().last().unwrap().clone();
        done.push(call.path.to_string());
        let outcome = echo(&call);
        driver.apply(driver.completion(last, outcome)).unwrap();
    }
    let order: Vec<_> = done
        .iter()
        .map(|path| path.as_bytes()["/do/0/loop[".len()] - b'0')
        .collect();
    assert_eq!(order, [1, 2, 3, 4, 0]);
    let expected: Value = (0..5).map(|n| json!({ "n": n, "input": { "in": 1 } })).collect();
    assert_eq!(completed(driver.machine.outcome().unwrap().clone()), expected);
}

#[test]
fn without_collect_a_parallel_loop_gives_the_output_of_the_last_index() {
    let body = PARALLEL.replace(", collect: true", "");
    let (outcome, _) = run_with(&body, json!({}), &mut |call| echo(call));
    assert_eq!(completed(outcome)["n"], 4);
}

#[test]
fn the_first_fault_cancels_the_siblings() {
    let mut driver = start(PARALLEL, json!({}));
    let second = driver.calls().nth(1).unwrap().call;
    driver.apply(driver.completion(second, Err(unavailable()))).unwrap();
    let problem = faulted(driver.machine.outcome().unwrap().clone());
    assert_eq!(problem.instance.as_deref(), Some("/do/0/loop/do/0/call"));
    let ends: Vec<_> = story(&driver.traces).into_iter().skip(3).collect();
    let expected = [
        "faulted /do/0/loop[1]/do/0/call",
        "cancelled /do/0/loop[0]/do/0/call",
        "faulted /do/0/loop",
    ];
    assert_eq!(ends, expected);
}

#[test]
fn exports_of_parallel_iterations_are_merged_in_their_order() {
    let body = r"
do:
  - loop:
      for: { in: '[0, 1, 2]' }
      do:
        - call: { call: test.pure, with: { n: '${ $item }' } }
        - note:
            set: { seen: '${ $context }' }
            export: { as: '{ first: $context.first, last: $item, sum: ($context.sum + $item) }' }
      metadata: { potok: { parallel: 3, collect: true } }
  - after: { set: { seen: '${ . }', context: '${ $context }' } }
";
    let input = json!({ "first": true, "sum": 10 });
    let mut driver = start(body, input.clone());
    for n in [2, 0, 1] {
        let call = driver
            .calls()
            .find(|call| call.path.0.contains(&format!("[{n}]")))
            .unwrap()
            .call;
        driver.apply(driver.completion(call, Ok(json!({})))).unwrap();
    }
    let found = completed(driver.machine.outcome().unwrap().clone());
    assert_eq!(found["context"], json!({ "first": true, "last": 2, "sum": 12 }));
    assert_eq!(
        found["seen"],
        json!([{ "seen": input }, { "seen": input }, { "seen": input }])
    );
}

#[test]
fn loops_nest_and_their_variables_are_seen_inside() {
    let body = r"
do:
  - outer:
      for: { each: a, at: i, in: '[1, 2]' }
      metadata: { potok: { collect: true, parallel: 2 } }
      do:
        - inner:
            for: { each: b, at: j, in: '[10, 20]' }
            metadata: { potok: { collect: true, parallel: 1 } }
            do: [{ add: { if: '$a != $b', set: ['${ $a + $b }', '${ $i }', '${ $j }', '${ $task.reference }'] } }]
";
    // `set` takes an object or an expression; an array is written as one.
    let body = body.replace(
        "set: ['${ $a + $b }', '${ $i }', '${ $j }', '${ $task.reference }']",
        "set: '${ [$a + $b, $i, $j, $task.reference] }'",
    );
    let reference = "/do/0/outer/do/0/inner/do/0/add";
    let expected = json!([
        [[11, 0, 0, reference], [21, 0, 1, reference]],
        [[12, 1, 0, reference], [22, 1, 1, reference]],
    ]);
    let (outcome, driver) = run_with(&body, json!({}), &mut echo);
    assert_eq!(completed(outcome), expected);
    assert!(started(&driver).contains(&"/do/0/outer[1]/do/0/inner[0]/do/0/add"));
}

#[test]
fn a_loop_over_something_else_faults() {
    let body = "do: [{ loop: { for: { in: .list }, do: [{ never: { set: { x: 1 } } }] } }]";
    let problem = error(body, json!({ "list": { "a": 1 } }));
    assert!(
        problem
            .detail
            .unwrap()
            .contains("for.in must give an array, not an object of 1 members")
    );
    let (outcome, driver) = run_with(body, json!({ "list": [1] }), &mut echo);
    assert_eq!(
        (outcome.status, driver.machine.status()),
        (Status::Completed, Status::Completed)
    );
}
