//! Runs that are held until they are admitted.

use potok_dsl::Timestamp;
use potok_expr::Evaluator;
use potok_machine::{Admission, Effect, Event, OnConflict, Status, testing::Driver};
use serde_json::{Value, json};

use crate::support::{completed, faulted};

fn definition(concurrency: &str, rest: &str) -> std::sync::Arc<potok_machine::Definition> {
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: test, name: held, version: '1.0.0', metadata: {{ potok: {{ concurrency: {concurrency} }} }} }}\n{rest}"
    );
    potok_machine::testing::compiled(&text, &Evaluator::native())
}

fn held(concurrency: &str, rest: &str, input: Value) -> Driver {
    Driver::start(&definition(concurrency, rest), &Evaluator::native(), input, None)
}

const TASKS: &str = "do: [{ tell: { set: { at: '${ $workflow.startedAt.epoch.milliseconds }' } } }]";

#[test]
fn a_held_run_begins_when_it_is_admitted() {
    let rest = format!(
        "timeout: {{ after: {{ seconds: 5 }} }}\n{}",
        TASKS.replace("do: [", "do: [{ nap: { wait: PT1S } }, ")
    );
    let mut driver = held("{ limit: 1 }", &rest, json!({}));
    assert_eq!(driver.machine.status(), Status::Pending);
    assert!(driver.machine.outstanding().is_empty() && driver.traces.is_empty());
    driver.now = Timestamp(1_060_000);
    let effects = driver.apply(Event::Admitted).unwrap();
    let times = effects.iter().filter_map(|effect| match effect {
        Effect::StartTimer { at, .. } => Some(at.0),
        _ => None,
    });
    assert_eq!(
        times.collect::<Vec<_>>(),
        [1_065_000, 1_061_000],
        "its timeout begins with it"
    );
    assert_eq!(driver.apply(Event::Admitted).unwrap(), [], "once");
    let due = driver.next_timer().unwrap();
    driver.apply(due).unwrap();
    assert_eq!(
        completed(driver.machine.outcome().unwrap().clone()),
        json!({ "at": 1_060_000 })
    );
}

#[test]
fn a_held_run_can_be_suspended_and_cancelled() {
    let mut driver = held("{ limit: 1 }", TASKS, json!({}));
    driver.apply(Event::Suspend { reason: None }).unwrap();
    assert_eq!(driver.machine.status(), Status::Suspended);
    driver.apply(Event::Admitted).unwrap();
    assert!(!driver.machine.is_held());
    assert_eq!(driver.machine.status(), Status::Suspended);
    driver.now = Timestamp(1_200_000);
    driver.apply(Event::Resume).unwrap();
    assert_eq!(
        completed(driver.machine.outcome().unwrap().clone()),
        json!({ "at": 1_200_000 })
    );
    let mut driver = held("{ limit: 1 }", TASKS, json!({}));
    driver.apply(Event::Cancel { reason: None }).unwrap();
    assert_eq!(driver.machine.status(), Status::Cancelled);
    // An input that cannot be had is no key's business: the run faults when it begins.
    let rest = format!("input: {{ from: .a.b }}\n{TASKS}");
    let mut driver = held("{ limit: 1 }", &rest, json!({ "a": 1 }));
    assert!(driver.machine.admission().is_ok());
    driver.apply(Event::Admitted).unwrap();
    assert_eq!(
        faulted(driver.machine.outcome().unwrap().clone()).instance.as_deref(),
        Some("/input")
    );
}

fn admission(concurrency: &str, input: Value) -> Result<Admission, potok_dsl::Problem> {
    let rest = format!("input: {{ from: '${{ {{ account: .user }} }}' }}\n{TASKS}");
    held(concurrency, &rest, input).machine.admission().map(Option::unwrap)
}

#[test]
fn what_shares_a_key_shares_the_places() {
    let keyed = "{ limit: 3, onConflict: replace, key: '${ .account }' }";
    let ann = admission(keyed, json!({ "user": "ann" })).unwrap();
    assert_eq!((ann.limit, ann.on_conflict), (3, OnConflict::Replace));
    assert_eq!(ann, admission(keyed, json!({ "user": "ann", "more": 1 })).unwrap());
    assert_ne!(ann.group, admission(keyed, json!({ "user": "bob" })).unwrap().group);
    let raw = "{ limit: 1, key: '${ $workflow.input.user }' }";
    assert_eq!(admission(raw, json!({ "user": "ann" })).unwrap().group, ann.group);
    let keyless = |input| admission("{ limit: 1 }", input).unwrap().group;
    assert_eq!(keyless(json!({})), keyless(json!({ "user": "ann" })));
    assert_ne!(keyless(json!({})), ann.group);
}

#[test]
fn a_key_that_cannot_be_had_is_an_expression_error() {
    let keyed = "{ limit: 1, key: '${ .account }' }";
    let problem = admission(keyed, json!({})).unwrap_err();
    assert_eq!(
        (problem.status, problem.detail.as_deref()),
        (400, Some("metadata.potok.concurrency.key must give a value, not null"))
    );
    assert_eq!(
        admission("{ limit: 1, key: '${ .account.name }' }", json!({ "user": 1 }))
            .unwrap_err()
            .status,
        400
    );
    assert_eq!(
        admission(keyed, json!(5)).unwrap_err().instance.as_deref(),
        Some("/input")
    );
}
