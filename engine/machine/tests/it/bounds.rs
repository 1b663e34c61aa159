//! What a run keeps is bounded by what is open, and long computations let others have their turn.

use potok_dsl::Millis;
use potok_expr::Evaluator;
use potok_machine::{Effect, Event, Machine, Status, testing::Driver};
use serde_json::{Value, json};

use crate::support::{compile, completed, start};

const LONG: &str = r"
do:
  - loop:
      for: { in: .items }
      do:
        - add: { set: { n: '${ .n + 1 }' } }
        - deep: { do: [{ same: { set: '${ . }' } }] }
        - call: { if: '$index == 99999', call: test.pure, with: { n: '${ .n }' } }
";

#[test]
fn a_long_loop_keeps_one_iteration() {
    let items: Vec<Value> = vec![json!(0); 100_000];
    let mut driver = start(LONG, json!({ "items": items, "n": 0 }));
    let mut largest = 0;
    let mut turns = 0;
    while driver.machine.wants_to_proceed() {
        turns += 1;
        let effects = driver.proceed();
        assert!(
            effects
                .iter()
                .all(|effect| matches!(effect, Effect::Yield | Effect::Call(_)))
        );
        driver.traces.clear();
        if turns % 20 == 0 {
            let snapshot = serde_json::to_value(driver.machine.snapshot()).unwrap();
            let state = snapshot["state"].to_string().len();
            let values = snapshot["values"].as_array().unwrap();
            assert!(values.len() < 12, "{} values", values.len());
            largest = largest.max(state);
        }
    }
    assert!(turns > 100, "{turns} slices for {} tasks", driver.machine.tasks());
    assert!(largest < 5_000, "{largest} bytes besides the values");
    let call = driver.calls().next().unwrap().call;
    driver.apply(driver.completion(call, Ok(json!("done")))).unwrap();
    assert_eq!(completed(driver.machine.outcome().unwrap().clone()), json!("done"));
}

#[test]
fn a_cancel_gets_into_a_computation_without_end() {
    let body = r"
do:
  - again: { set: { n: '${ .n + 1 }' } }
  - back: { switch: [{ always: { then: again } }] }
";
    let mut driver = start(body, json!({ "n": 0 }));
    for _ in 0..5 {
        assert!(driver.machine.wants_to_proceed());
        assert_eq!(driver.proceed(), [Effect::Yield]);
        driver.traces.clear();
    }
    let small = serde_json::to_string(&driver.machine.snapshot()).unwrap();
    assert!(small.len() < 2_000, "{small}");
    driver.apply(Event::Cancel { reason: None }).unwrap();
    assert_eq!(driver.machine.status(), Status::Cancelled);
}

/// All that a moment can get into: a call, a timer, an event, and what people see.
const MOMENTS: &str = r"
do:
  - loop: { for: { in: .items }, do: [{ same: { set: '${ . }' } }] }
  - call: { call: test.effect, with: { at: '${ $task.startedAt.epoch.milliseconds }' }, timeout: { after: PT1M } }
  - again: { for: { in: '$context.items' }, do: [{ same: { set: '${ . }' } }] }
  - emit: { emit: { event: { with: { type: test.a, data: { at: '${ $task.startedAt.iso8601 }' } } } } }
  - rest: { wait: { seconds: 1 } }
";

/// Runs to the end in slices of two tasks, each after a pause; a machine reborn between any two says the same.
fn with_pauses(pause: Millis) -> Driver {
    let definition = compile(MOMENTS);
    let evaluator = Evaluator::native();
    let mut driver = Driver::start(&definition, &evaluator, json!({ "items": [1, 2, 3, 4, 5] }), Some(2));
    let mut slices = 0;
    loop {
        while driver.machine.wants_to_proceed() {
            slices += 1;
            let mut reborn =
                Machine::restore(definition.clone(), evaluator.clone(), driver.machine.snapshot()).unwrap();
            driver.now = driver.now.after(pause);
            let effects = driver.proceed();
            assert_eq!(
                reborn.proceed(&mut ()),
                effects,
                "after another crash it goes on otherwise"
            );
        }
        let Some(call) = driver.calls().next().map(|call| call.call) else {
            break;
        };
        // The same moment, whatever the pauses were: what comes next is another event's time.
        driver.now = potok_dsl::Timestamp(2_000_000);
        let completion = driver.completion(call, Ok(json!({ "n": 1 })));
        driver.apply(completion).unwrap();
    }
    assert!(slices > 4, "{slices} slices");
    driver
}

#[test]
fn when_a_computation_goes_on_cannot_be_seen() {
    let (at_once, later) = (with_pauses(Millis(0)), with_pauses(Millis(90_000)));
    assert_eq!(at_once.effects, later.effects);
    assert_eq!(at_once.traces, later.traces);
    assert_eq!(at_once.machine.snapshot(), later.machine.snapshot());
    assert_eq!(at_once.timers(), later.timers());
    assert_eq!(at_once.timers().len(), 1, "it rests at the end");
}

#[test]
fn deep_nesting_costs_no_native_stack() {
    let mut text = json!({ "set": { "n": 1 } });
    for _ in 0..25 {
        text = json!({ "do": [{ "t": text }] });
    }
    let body = format!("do: [{{ t: {text} }}]");
    let definition = compile(&body);
    assert_eq!(definition.id().to_string(), "test/small:1.0.0");
    assert_eq!(crate::support::output(&body, json!({})), json!({ "n": 1 }));
}

#[test]
fn a_value_that_many_hold_is_kept_once() {
    let body = r"
do:
  - outer:
      do:
        - inner:
            do:
              - wait: { wait: { hours: 1 } }
";
    let driver = start(body, json!({ "big": "x".repeat(10_000) }));
    let snapshot = serde_json::to_string(&driver.machine.snapshot()).unwrap();
    assert!(snapshot.len() < 13_000, "{}", snapshot.len());
}
