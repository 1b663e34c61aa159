//! Events that come late, twice, from a person, or from another machine's journal.

use std::sync::Arc;

use potok_dsl::{TaskPath, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{CallId, Effect, Entry, Event, Incompatible, Machine, Mismatch, SEMANTICS, Status, TimerId};
use serde_json::json;

use crate::support::{compile, completed, echo, start, story};

const TWO: &str = "do: [{ one: { call: test.effect } }, { two: { call: test.effect, with: { n: 2 } } }]";

#[test]
fn a_completion_that_comes_twice_or_late_changes_nothing() {
    let mut driver = start(TWO, json!({}));
    let first = driver.completion(CallId(1), Ok(json!(1)));
    driver.apply(first.clone()).unwrap();
    let before = driver.machine.snapshot();
    assert_eq!(driver.apply(first).unwrap(), []);
    assert_eq!(driver.machine.snapshot(), before);
    assert_eq!(
        completed(driver.run(&mut |_| Ok(json!("end"))).unwrap().clone()),
        json!("end")
    );
    let late = driver.completion(CallId(2), Ok(json!(1)));
    assert_eq!(driver.apply(late).unwrap(), []);
    assert_eq!(driver.apply(Event::Cancel { reason: None }).unwrap(), []);
    assert_eq!(driver.machine.status(), Status::Completed);
}

#[test]
fn a_completion_of_something_else_is_refused_by_name() {
    let mut driver = start(TWO, json!({}));
    let completion = |call, path: &str, digest: &str| Event::CallCompleted {
        call: CallId(call),
        path: TaskPath(Arc::from(path)),
        digest: digest.to_owned(),
        outcome: Ok(Arc::new(json!(null))),
        made: None,
    };
    let digest = driver.calls().next().unwrap().digest.clone();
    let unknown = driver.apply(completion(2, "/do/1/two", "abc")).unwrap_err();
    insta::assert_snapshot!(unknown, @"the journal holds a completion of call 2 (/do/1/two, digest abc), but this machine has made only 1 calls: the run was journaled by another version");
    let other = driver.apply(completion(1, "/do/0/other", &digest)).unwrap_err();
    assert!(matches!(other, Mismatch::OtherCall { .. }));
    let other = driver
        .apply(completion(1, "/do/0/one", "0000"))
        .unwrap_err()
        .to_string();
    assert!(
        other.contains("/do/0/one (digest 0000)") && other.contains(&digest),
        "{other}"
    );
    let timer = driver.apply(Event::TimerFired { timer: TimerId(9) }).unwrap_err();
    assert!(matches!(timer, Mismatch::UnknownTimer { started: 0, .. }));
    let mut recorded = driver.machine.record(driver.now, Event::Resume);
    recorded.tasks += 10;
    let tasks = driver.machine.apply(&recorded, &mut ()).unwrap_err();
    assert_eq!(
        tasks,
        Mismatch::Tasks {
            recorded: 11,
            machine: 1
        }
    );
    assert_eq!(driver.machine.open_calls(), 1);
}

#[test]
fn a_halted_run_remembers_and_starts_nothing() {
    let body = r"
do:
  - both:
      for: { in: '[1, 2]' }
      metadata: { potok: { parallel: 2, collect: true } }
      do:
        - call: { call: test.effect, with: { n: '${ $item }' }, timeout: { after: { seconds: 5 } } }
        - next: { call: test.effect, with: { next: '${ .n }' } }
";
    let mut driver = start(body, json!({}));
    driver
        .apply(Event::Suspend {
            reason: Some("lunch".to_owned()),
        })
        .unwrap();
    assert_eq!(driver.machine.status(), Status::Suspended);
    let call = driver.calls().next().unwrap().clone();
    assert_eq!(driver.apply(driver.completion(call.call, echo(&call))).unwrap(), []);
    assert_eq!(driver.machine.open_calls(), 1);
    driver.now = Timestamp(1_100_000);
    // The first call's timeout fires after its completion, the second call's before: in the order of their coming they count.
    assert_eq!(driver.apply(Event::TimerFired { timer: TimerId(1) }).unwrap(), []);
    assert!(!driver.machine.wants_to_proceed());
    let effects = driver.apply(Event::Resume).unwrap();
    assert!(
        matches!(&effects[..], [Effect::Call(next)] if next.path.0.ends_with("[0]/do/1/next")),
        "{effects:?}"
    );
    assert_eq!(driver.machine.status(), Status::Running);
    let second = driver.calls().next().unwrap().clone();
    driver.apply(driver.completion(second.call, echo(&second))).unwrap();
    let found = completed(driver.run(&mut echo).unwrap().clone());
    assert_eq!(found, json!([{ "next": 1 }, { "next": 2 }]));
}

#[test]
fn a_cancelled_run_closes_everything() {
    let body = "do: [{ outer: { timeout: { after: PT9S }, do: [{ call: { call: test.effect } }] } }]";
    let mut driver = start(body, json!({}));
    let effects = driver.apply(Event::Cancel { reason: None }).unwrap();
    assert!(
        matches!(
            &effects[..],
            [Effect::CancelCall { .. }, Effect::CancelTimer { .. }, Effect::Finish(_)]
        ),
        "{effects:?}"
    );
    assert_eq!(
        story(&driver.traces)[2..],
        ["cancelled /do/0/outer/do/0/call", "cancelled /do/0/outer"]
    );
    assert_eq!(driver.machine.status(), Status::Cancelled);
}

#[test]
fn time_never_runs_backwards() {
    let mut driver = start(
        "do: [{ one: { call: test.pure } }, { two: { set: '${ $task.startedAt.epoch.milliseconds }' } }]",
        json!({}),
    );
    driver.now = Timestamp(5);
    assert_eq!(completed(driver.run(&mut echo).unwrap().clone()), json!(1_000_000));
}

#[test]
fn snapshots_of_other_versions_and_definitions_are_refused() {
    let driver = start(TWO, json!({}));
    let snapshot = serde_json::to_value(driver.machine.snapshot()).unwrap();
    let restore = |snapshot, body: &str| {
        let snapshot = serde_json::from_value(snapshot).unwrap();
        Machine::restore(compile(body), Evaluator::native(), snapshot)
    };
    assert!(restore(snapshot.clone(), TWO).is_ok());
    let other = TWO.replace("n: 2", "n: 3");
    assert!(matches!(
        restore(snapshot.clone(), &other),
        Err(Incompatible::Definition { .. })
    ));
    let mut changed = snapshot.clone();
    changed["version"] = json!(99);
    assert!(matches!(
        restore(changed, TWO),
        Err(Incompatible::Version { found: 99, .. })
    ));
    let mut changed = snapshot.clone();
    changed["state"]["semantics"] = json!(SEMANTICS + 1);
    assert!(matches!(restore(changed, TWO), Err(Incompatible::Semantics { .. })));
    let mut changed = snapshot;
    changed["values"] = json!([]);
    assert!(matches!(restore(changed, TWO), Err(Incompatible::Damaged(_))));
}

#[test]
fn a_run_of_other_semantics_is_left_alone() {
    let driver = start(TWO, json!({}));
    let Some(Entry::Start(begin)) = driver.entries.first() else {
        panic!()
    };
    let mut begin = begin.clone();
    begin.semantics = SEMANTICS + 1;
    let (mut machine, effects) = Machine::start(compile(TWO), Evaluator::native(), &begin, &mut ());
    assert!(effects.is_empty());
    assert_eq!(machine.status(), Status::Suspended);
    let resume = machine.record(Timestamp(0), Event::Resume);
    assert!(matches!(
        machine.apply(&resume, &mut ()),
        Err(Mismatch::Semantics { .. })
    ));
}

#[test]
fn journals_are_json() {
    let mut driver = start(TWO, json!({ "a": 1.1 }));
    driver.run(&mut |_| Err(crate::support::unavailable()));
    driver.entries.push(Entry::Event(
        driver.machine.record(driver.now, Event::Suspend { reason: None }),
    ));
    let text = serde_json::to_string(&driver.entries).unwrap();
    let entries: Vec<Entry> = serde_json::from_str(&text).unwrap();
    assert_eq!(entries, driver.entries);
    let effects: Vec<Effect> = serde_json::from_str(&serde_json::to_string(&driver.effects).unwrap()).unwrap();
    assert_eq!(effects, driver.effects);
}

#[test]
fn machines_move_between_threads() {
    fn may_move<T: Send>() {}
    fn may_be_shared<T: Send + Sync>() {}
    may_move::<Machine>();
    may_be_shared::<potok_machine::Definition>();
    may_be_shared::<potok_machine::Snapshot>();
}
