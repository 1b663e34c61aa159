//! Runs that are made from other runs.

use std::sync::Arc;

use potok_dsl::{RunId, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{
    CallEffect, Definition, Effect, Event, Machine, NoOrigin, Origin, Outcome, Point, Request, SEMANTICS, Start,
    Status, testing::Driver,
};
use serde_json::{Value, json};

use crate::support::{compile, completed, echo, faulted, run_with, start, started, story, unavailable};

const NEW: [u8; 16] = [9; 16];

/// How long after the first run was accepted the second one is.
const LATER: Timestamp = Timestamp(90_000_000);

pub fn origin(driver: &Driver, from: &Arc<Definition>, point: &Point, into: &Definition) -> Result<Origin, NoOrigin> {
    Machine::origin(from, &Evaluator::native(), &driver.entries, point, into)
}

pub fn made_from(origin: Origin, into: &Arc<Definition>, slice: Option<u64>) -> Driver {
    let start = Start {
        semantics: SEMANTICS,
        run: RunId::from_bytes(NEW),
        definition: "other".to_owned(),
        input: Arc::new(json!({})),
        at: LATER,
        parent: None,
        held: into.is_held(),
        origin: Some(origin),
    };
    // As from the journal.
    let start: Start = serde_json::from_value(serde_json::to_value(&start).unwrap()).unwrap();
    Driver::begin(into, &Evaluator::native(), start, slice)
}

fn task(at: &str) -> Point {
    Point::Task {
        at: at.to_owned(),
        input: None,
    }
}

fn tried_again(body: &str, driver: &Driver) -> Driver {
    let definition = compile(body);
    made_from(
        origin(driver, &definition, &Point::Fault, &definition).unwrap(),
        &definition,
        None,
    )
}

/// Runs to the end, and gives the paths of the calls that were made.
fn finish(driver: &mut Driver) -> (Outcome, Vec<String>) {
    let mut made = Vec::new();
    let outcome = driver.run(&mut |call| {
        made.push(call.path.to_string());
        echo(call)
    });
    (outcome.unwrap().clone(), made)
}

fn failing_at<'a>(path: &'a str) -> impl FnMut(&CallEffect) -> Result<Value, potok_dsl::Problem> + 'a {
    move |call| {
        if *call.path.0 == *path {
            Err(unavailable())
        } else {
            echo(call)
        }
    }
}

const STEPS: &str = "
do:
  - first: { call: test.effect, with: { a: '${ .a }' }, export: { as: { first: '${ .a }' } } }
  - second: { call: test.effect, with: { b: '${ .a + 1 }' } }
  - third: { set: { got: '${ .b }', kept: '${ $context.first }', run: '${ $workflow.id }' } }
";

#[test]
fn what_was_completed_is_not_done_again() {
    let (outcome, old) = run_with(STEPS, json!({ "a": 1 }), &mut failing_at("/do/1/second"));
    faulted(outcome);
    let mut new = tried_again(STEPS, &old);
    let keys = |driver: &Driver| -> Vec<String> {
        let calls = driver.effects.iter().filter_map(|effect| match effect {
            Effect::Call(call) => Some(call.idempotency_key.clone()),
            _ => None,
        });
        calls.collect()
    };
    let (outcome, made) = finish(&mut new);
    assert_eq!(made, ["/do/1/second"]);
    assert_ne!(keys(&new)[0], keys(&old)[1]);
    let run = RunId::from_bytes(NEW).to_string();
    assert_eq!(completed(outcome), json!({ "got": 2, "kept": 1, "run": run }));
    assert_eq!(started(&new), ["/do/1/second", "/do/2/third"]);
}

#[test]
fn what_was_completed_beside_the_fault_is_not_done_again_either() {
    let body = "
do:
  - each:
      for: { each: n, in: '${ [1, 2, 3] }' }
      metadata: { potok: { parallel: 3, collect: true } }
      do:
        - ask: { call: test.effect, with: { n: '${ $n }' } }
        - double: { set: '${ .n * 2 }' }
";
    let mut old = start(body, json!({}));
    let calls: Vec<_> = old.calls().cloned().collect();
    for (call, answer) in [(2, Ok(json!({ "n": 30 }))), (1, Err(unavailable()))] {
        let event = old.completion(calls[call].call, answer);
        old.apply(event).unwrap();
    }
    assert_eq!(old.machine.status(), Status::Faulted);
    let mut new = tried_again(body, &old);
    let (outcome, mut made) = finish(&mut new);
    // The first was under way: it is made again. The third had its answer.
    made.sort();
    assert_eq!(made, ["/do/0/each[0]/do/0/ask", "/do/0/each[1]/do/0/ask"]);
    assert_eq!(completed(outcome), json!([2, 4, 60]));
}

#[test]
fn a_task_that_never_waited_is_tried_again_too() {
    let body = "
do:
  - ask: { call: test.effect, with: { a: 1 } }
  - inner:
      do:
        - add: { set: { b: '${ .a + 1 }' } }
        - check: { raise: { error: { type: 'https://example.com/no', status: 400 } }, if: '${ .b == 2 }' }
";
    let (outcome, old) = run_with(body, json!({}), &mut echo);
    faulted(outcome);
    let new = tried_again(body, &old);
    assert_eq!(started(&new), ["/do/1/inner", "/do/1/inner/do/1/check"]);
    let (outcome, old) = run_with(
        "do: [ { no: { raise: { error: { type: 'https://example.com/no', status: 400 } } } } ]",
        json!({}),
        &mut echo,
    );
    faulted(outcome);
    assert_eq!(
        started(&tried_again(
            "do: [ { no: { raise: { error: { type: 'https://example.com/no', status: 400 } } } } ]",
            &old
        )),
        ["/do/0/no"]
    );
}

#[test]
fn the_time_between_does_not_count() {
    let body = "
timeout: { after: { hours: 1 } }
do:
  - outer:
      timeout: { after: { minutes: 10 } }
      do:
        - rest: { wait: { minutes: 4 } }
        - ask: { call: test.effect, with: { a: 1 } }
";
    let (outcome, old) = run_with(body, json!({}), &mut failing_at("/do/0/outer/do/1/ask"));
    faulted(outcome);
    let new = tried_again(body, &old);
    let left: Vec<i64> = new.timers().iter().map(|(at, _)| at.0 - LATER.0).collect();
    assert_eq!(left, [6 * 60_000, 56 * 60_000]);
}

#[test]
fn a_run_that_took_too_long_has_its_time_once_more() {
    let body = "
timeout: { after: { minutes: 5 } }
do:
  - first: { call: test.effect, with: { a: 1 } }
  - long: { wait: { minutes: 8 } }
";
    let (outcome, old) = run_with(body, json!({}), &mut echo);
    assert_eq!(faulted(outcome).instance.as_deref(), Some("/timeout"));
    let definition = compile(body);
    let origin = origin(&old, &definition, &Point::Fault, &definition).unwrap();
    assert_eq!(origin.path, None);
    let mut new = made_from(origin, &definition, None);
    let (outcome, made) = finish(&mut new);
    assert!(made.is_empty());
    assert_eq!(
        (completed(outcome), new.now.0 - LATER.0),
        (json!({ "a": 1 }), 3 * 60_000)
    );
}

const LOOP: &str = "
do:
  - each:
      for: { each: n, in: '${ .list }' }
      do:
        - ask: { call: test.effect, with: { n: '${ $n }', before: '${ .n }' } }
  - last: { set: '${ { last: .n, context: $context } }' }
";

#[test]
fn a_run_begins_at_any_task_with_another_input() {
    let (outcome, old) = run_with(LOOP, json!({ "list": [1, 2, 3] }), &mut echo);
    completed(outcome);
    let definition = compile(LOOP);
    let point = Point::Task {
        at: "/do/0/each[1]/do/0/ask".to_owned(),
        input: Some(json!({ "n": "edited" })),
    };
    let mut new = made_from(
        origin(&old, &definition, &point, &definition).unwrap(),
        &definition,
        None,
    );
    let first = new.calls().next().unwrap().clone();
    assert_eq!(
        serde_json::to_value(&first.request).unwrap()["args"],
        json!({ "n": 2, "before": "edited" })
    );
    let (outcome, made) = finish(&mut new);
    assert_eq!(made, ["/do/0/each[1]/do/0/ask", "/do/0/each[2]/do/0/ask"]);
    assert_eq!(completed(outcome)["last"], 3);

    let point = Point::Task {
        at: "/do/1/last".to_owned(),
        input: Some(json!({ "n": 7 })),
    };
    let mut new = made_from(
        origin(&old, &definition, &point, &definition).unwrap(),
        &definition,
        None,
    );
    assert_eq!(completed(finish(&mut new).0)["last"], 7);
}

#[test]
fn a_run_that_goes_on_can_be_forked() {
    let mut old = start(LOOP, json!({ "list": [1, 2, 3] }));
    let call = old.calls().next().unwrap().call;
    let event = old.completion(call, Ok(json!({ "n": 1 })));
    old.apply(event).unwrap();
    let definition = compile(LOOP);
    for (at, made) in [
        ("/do/0/each[1]/do/0/ask", 2),
        ("/do/0/each[0]/do/0/ask", 3),
        ("/do/0/each", 3),
    ] {
        let mut new = made_from(
            origin(&old, &definition, &task(at), &definition).unwrap(),
            &definition,
            None,
        );
        assert_eq!(finish(&mut new).1.len(), made, "{at}");
    }
    let missing = origin(&old, &definition, &task("/do/1/last"), &definition).unwrap_err();
    assert!(
        missing.to_string().contains("has not come to a task '/do/1/last'"),
        "{missing}"
    );
    let several = origin(&old, &definition, &task("/do/0/each/do/0/ask"), &definition);
    let several = several.unwrap_err().to_string();
    assert!(several.contains("such as '/do/0/each[1]/do/0/ask'"), "{several}");
    let none = origin(&old, &definition, &Point::Fault, &definition).unwrap_err();
    assert!(none.to_string().contains("it has not ended"), "{none}");
}

#[test]
fn a_run_can_be_made_from_one_that_was_made() {
    let (outcome, old) = run_with(STEPS, json!({ "a": 1 }), &mut failing_at("/do/1/second"));
    faulted(outcome);
    let mut second = tried_again(STEPS, &old);
    faulted(second.run(&mut failing_at("/do/1/second")).unwrap().clone());
    let mut third = tried_again(STEPS, &second);
    assert_eq!(completed(finish(&mut third).0)["kept"], 1);
    let definition = compile(STEPS);
    let before = origin(&second, &definition, &task("/do/0/first"), &definition).unwrap_err();
    assert!(before.to_string().contains("it was made from run"), "{before}");
}

#[test]
fn attempts_begin_again_where_they_were() {
    let body = "
do:
  - careful:
      try:
        - one: { call: test.effect, with: { a: 1 } }
        - two: { call: test.effect, with: { b: 2 } }
      catch: { retry: { delay: { seconds: 1 }, limit: { attempt: { count: 2 } } } }
";
    let mut failures = 0;
    let (outcome, old) = run_with(body, json!({}), &mut |call| {
        failures += 1;
        failing_at("/do/0/careful/try/1/two")(call)
    });
    faulted(outcome);
    assert_eq!(failures, 6);
    let mut new = tried_again(body, &old);
    let (outcome, made) = finish(&mut new);
    assert_eq!(made, ["/do/0/careful/try/1/two"]);
    assert_eq!(completed(outcome), json!({ "b": 2 }));
}

#[test]
fn a_task_that_a_then_came_back_to_keeps_its_number() {
    let body = "
do:
  - count: { set: { n: '${ .n + 1 }' } }
  - ask: { call: test.effect, with: { n: '${ .n }' } }
  - more: { switch: [ { again: { when: '${ .n < 3 }', then: count } } ] }
";
    let (outcome, old) = run_with(body, json!({ "n": 0 }), &mut failing_at("/do/1/ask#2"));
    faulted(outcome);
    let mut new = tried_again(body, &old);
    assert_eq!(completed(finish(&mut new).0), json!({ "n": 3 }));
    assert_eq!(
        story(&new.traces)[0..3],
        ["started /do/1/ask#2", "completed /do/1/ask#2", "started /do/2/more#2"]
    );
}

#[test]
fn a_run_that_waits_for_its_place_begins_when_it_has_it() {
    let body = "
do:
  - rest: { wait: { minutes: 4 } }
  - ask: { call: test.effect, with: { a: 1 } }
";
    let limited = "
document: { dsl: '1.0.3', namespace: test, name: small, version: '1.0.0', metadata: { potok: { concurrency: { limit: 1 } } } }
";
    let text = format!("{limited}{}", body.trim_start());
    let parsed = potok_dsl::parse("small.yaml", &text).unwrap();
    let definition = Definition::compile(&parsed.workflow, &potok_machine::testing::lock(), &Evaluator::native());
    let definition = Arc::new(definition.unwrap());
    let mut old = Driver::start(&definition, &Evaluator::native(), json!({}), None);
    faulted(old.run(&mut failing_at("/do/1/ask")).unwrap().clone());
    let origin = origin(&old, &definition, &Point::Fault, &definition).unwrap();
    let mut new = made_from(origin, &definition, None);
    assert_eq!((new.machine.status(), new.calls().count()), (Status::Pending, 0));
    let snapshot = new.machine.snapshot();
    let restored = Machine::restore(Arc::clone(&definition), Evaluator::native(), snapshot.clone()).unwrap();
    assert_eq!(restored.snapshot(), snapshot);
    new.apply(Event::Admitted).unwrap();
    assert_eq!(new.calls().count(), 1);
    assert_eq!(completed(finish(&mut new).0), json!({ "a": 1 }));
}

#[test]
fn open_calls_are_made_again_under_keys_of_their_own() {
    let body = "
do:
  - both:
      fork:
        branches:
          - child: { run: { workflow: { namespace: test, name: child, version: '1.0.0' } } }
          - mine: { call: test.effect, with: { a: 1 }, metadata: { potok: { idempotencyKey: mine } } }
          - bad: { call: test.effect, with: { b: 1 } }
";
    let mut old = start(body, json!({}));
    let calls: Vec<_> = old.calls().cloned().collect();
    let event = old.completion(calls[2].call, Err(unavailable()));
    old.apply(event).unwrap();
    let new = tried_again(body, &old);
    let again: Vec<_> = new.calls().cloned().collect();
    assert_eq!(again.len(), 3);
    let find = |name: &str| again.iter().find(|call| call.path.0.ends_with(name)).unwrap();
    assert_eq!(find("mine").idempotency_key, "mine");
    assert_ne!(find("bad").idempotency_key, calls[2].idempotency_key);
    let (Request::Workflow(before), Request::Workflow(after)) = (&calls[0].request, &find("child").request) else {
        panic!("{again:?}")
    };
    assert_ne!(before.run, after.run);
    assert_eq!(after.parent.run, RunId::from_bytes(NEW));
}

#[test]
fn another_version_goes_on_where_it_finds_the_names() {
    let (outcome, old) = run_with(
        LOOP,
        json!({ "list": [1, 2, 3] }),
        &mut failing_at("/do/0/each[1]/do/0/ask"),
    );
    faulted(outcome);
    let newer = "
do:
  - prepare: { set: '${ .' }
  - each:
      for: { each: item, in: '${ .list }' }
      do:
        - before: { set: { never: seen } }
        - ask: { call: test.effect, with: { n: '${ $item * 10 }', before: '${ .n }' } }
        - after: { set: '${ { n: (.n + 1) } }' }
  - last: { set: '${ { last: .n } }' }
"
    .replace("'${ .' ", "'${ . }' ");
    let (from, into) = (compile(LOOP), compile(&newer));
    let origin = origin(&old, &from, &Point::Fault, &into).unwrap();
    assert_eq!(origin.path.as_ref().unwrap().0.as_ref(), "/do/0/each[1]/do/0/ask");
    let mut new = made_from(origin, &into, None);
    let (outcome, made) = finish(&mut new);
    assert_eq!(
        made,
        [
            "/do/1/each[1]/do/1/ask",
            "/do/1/each[2]/do/0/before",
            "/do/1/each[2]/do/1/ask"
        ]
        .iter()
        .filter(|path| !path.ends_with("before"))
        .map(ToString::to_string)
        .collect::<Vec<_>>()
    );
    assert_eq!(completed(outcome), json!({ "last": 31 }));
}

#[test]
fn another_version_says_what_it_has_no_place_for() {
    let (outcome, old) = run_with(
        LOOP,
        json!({ "list": [1, 2, 3] }),
        &mut failing_at("/do/0/each[1]/do/0/ask"),
    );
    faulted(outcome);
    let from = compile(LOOP);
    for (text, why) in [
        (
            LOOP.replace("- ask:", "- tell:"),
            "it has no task 'ask' where /do/0/each/do/0/ask was",
        ),
        (
            LOOP.replace("- each:", "- every:"),
            "it has no task 'each' where /do/0/each was",
        ),
        (
            "do: [ { each: { do: [ { ask: { call: test.effect, with: { n: 1 } } } ] } } ]".to_owned(),
            "/do/0/each is under way, and there it is of another kind",
        ),
        (
            LOOP.replace("      do:", "      metadata: { potok: { collect: true } }\n      do:"),
            "it goes about it in another way",
        ),
    ] {
        let error = origin(&old, &from, &Point::Fault, &compile(&text))
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn tasks_that_wait_for_their_turn_ask_for_another() {
    let body = "
do:
  - each:
      for: { each: n, in: '${ [1, 2] }' }
      metadata: { potok: { parallel: 2 } }
      do:
        - ask: { call: test.effect, with: { n: '${ $n }' }, metadata: { potok: { rate: { limit: 1, per: hour } } } }
";
    let mut old = start(body, json!({}));
    let asked: Vec<_> = old.calls().cloned().collect();
    let moment = |driver: &Driver, later: u64| json!({ "at": driver.now.after(potok_dsl::Millis(later)) });
    for (call, later) in [(0, 0), (1, 3_600_000)] {
        let event = old.completion(asked[call].call, Ok(moment(&old, later)));
        old.apply(event).unwrap();
    }
    let call = old.calls().next().unwrap().call;
    let event = old.completion(call, Err(unavailable()));
    old.apply(event).unwrap();
    assert_eq!(old.machine.status(), Status::Faulted);
    let new = tried_again(body, &old);
    assert!(new.timers().is_empty());
    let again: Vec<_> = new
        .calls()
        .map(|call| (call.path.to_string(), call.idempotency_key.clone()))
        .collect();
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(new.calls().all(|call| matches!(call.request, Request::Rate(_))));
    assert!(
        again
            .iter()
            .all(|(_, key)| asked.iter().all(|asked| asked.idempotency_key != *key))
    );
}
