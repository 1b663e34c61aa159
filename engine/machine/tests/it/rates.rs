//! Rates: a task asks for its moment, waits for it, begins.

use potok_dsl::{Millis, Timestamp};
use potok_machine::{CallEffect, Effect, Event, RateRequest, Request, Status, TraceKind, testing::Driver};
use serde_json::{Value, json};

use crate::support::{completed, error, faulted, start};

const SEND: &str = r"
do:
  - send:
      call: test.effect
      with: { started: '${ $task.startedAt.epoch.milliseconds }' }
      timeout: { after: { seconds: 5 } }
      metadata: { potok: { rate: { limit: 2, per: minute, key: '${ .account }' } } }
";

fn open(driver: &Driver) -> CallEffect {
    driver.calls().next().unwrap().clone()
}

fn asked(driver: &Driver) -> RateRequest {
    match open(driver).request {
        Request::Rate(asked) => asked,
        other => panic!("{other:?}"),
    }
}

/// The moment is given.
fn give(driver: &mut Driver, moment: i64) {
    let call = open(driver).call;
    let given = RateRequest::given(Timestamp(moment));
    driver.apply(driver.completion(call, Ok(given))).unwrap();
}

fn arguments(driver: &Driver) -> Value {
    match open(driver).request {
        Request::Function { args, .. } => args.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_task_waits_for_its_moment_and_its_timeout_begins_then() {
    let mut driver = start(SEND, json!({ "account": "a" }));
    let (call, asks) = (open(&driver), asked(&driver));
    assert!(!call.pure && !call.once && call.limit.is_none());
    assert_eq!((asks.limit, asks.span, asks.ahead), (2, Millis(61_000), Millis(0)));
    assert_eq!(asks.asked_at, Timestamp(1_000_000));
    give(&mut driver, 1_030_000);
    assert_eq!(driver.machine.status(), Status::Waiting);
    let told = driver
        .traces
        .iter()
        .any(|trace| matches!(trace.kind, TraceKind::Delayed { until } if until == Timestamp(1_030_000)));
    assert!(told, "{:?}", driver.traces);
    let due = driver.next_timer().unwrap();
    driver.apply(due).unwrap();
    assert_eq!(arguments(&driver), json!({ "started": 1_030_000 }));
    assert_eq!(driver.timers().len(), 1);
    assert_eq!(
        driver.timers()[0].0,
        Timestamp(1_035_000),
        "the time in the queue does not count"
    );
    let due = driver.next_timer().unwrap();
    driver.apply(due).unwrap();
    let problem = faulted(driver.machine.outcome().unwrap().clone());
    assert_eq!(problem.detail.as_deref(), Some("the task took longer than 5000 ms"));
}

#[test]
fn what_shares_a_key_shares_the_moments() {
    let group = |body: &str, account: &str| asked(&start(body, json!({ "account": account }))).group;
    let other_limit = SEND.replace("limit: 2", "limit: 9");
    assert_eq!(group(SEND, "a"), group(&other_limit, "a"), "versions share them");
    assert_ne!(group(SEND, "a"), group(SEND, "b"));
    assert_ne!(group(SEND, "a"), group(&SEND.replace("send:", "post:"), "a"));
    let keyless = SEND.replace(", key: '${ .account }'", "");
    assert_eq!(group(&keyless, "a"), group(&keyless, "b"));
    assert_ne!(group(&keyless, ""), group(SEND, ""));
}

#[test]
fn a_key_that_fails_is_an_error_of_the_task() {
    let problem = error(SEND, json!({}));
    assert_eq!((problem.status, problem.instance.as_deref()), (400, Some("/do/0/send")));
    assert_eq!(
        problem.detail.as_deref(),
        Some("metadata.potok.rate.key must give a value, not null")
    );
    let failing = SEND.replace(".account", ".account.name");
    assert_eq!(error(&failing, json!({ "account": "a" })).status, 400);
}

#[test]
fn whoever_comes_too_late_asks_for_another_moment() {
    let mut driver = start(SEND, json!({ "account": "a" }));
    let first = open(&driver);
    // Late by no more than the grace: it begins.
    driver.now = Timestamp(1_000_900);
    give(&mut driver, 1_000_000);
    assert_eq!(arguments(&driver), json!({ "started": 1_000_900 }));
    // The moment passes while the run is suspended.
    let mut driver = start(SEND, json!({ "account": "a" }));
    give(&mut driver, 1_010_000);
    driver.apply(Event::Suspend { reason: None }).unwrap();
    let due = driver.next_timer().unwrap();
    driver.apply(due).unwrap();
    driver.now = Timestamp(1_010_700 + 800);
    driver.apply(Event::Resume).unwrap();
    let (second, asks) = (open(&driver), asked(&driver));
    assert_eq!((asks.asked_at, asks.ahead), (Timestamp(1_011_500), Millis(2_000)));
    assert_eq!(asks.earliest(Timestamp(1_012_000)), Timestamp(1_014_000));
    assert_ne!(second.idempotency_key, first.idempotency_key);
    assert_eq!(second.path, first.path);
}

#[test]
fn every_attempt_and_every_iteration_asks() {
    let body = r"
do:
  - each:
      for: { in: '[1, 2]' }
      do:
        - tried:
            try: [{ send: { call: test.effect, metadata: { potok: { rate: { limit: 1, per: day } } } } }]
            catch: { retry: { limit: { attempt: { count: 1 } } } }
";
    let mut attempts = 0;
    let mut driver = start(body, json!({}));
    driver.run(&mut |_| {
        attempts += 1;
        if attempts % 2 == 1 {
            Err(crate::support::unavailable())
        } else {
            Ok(json!(attempts))
        }
    });
    assert_eq!(completed(driver.machine.outcome().unwrap().clone()), json!(4));
    let keys: std::collections::BTreeSet<_> = driver
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call(call) if matches!(call.request, Request::Rate(_)) => Some(call.idempotency_key.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 4);
}

#[test]
fn a_rate_is_a_queue_in_front_of_any_task() {
    let body = r"
use: { extensions: [{ log: { extend: set, before: [{ note: { call: test.pure } }] } }] }
do:
  - gate: { if: .open, set: { a: 1 }, metadata: { potok: { rate: { limit: 1, per: hour } } } }
  - end: { wait: { seconds: 1 } }
";
    let mut driver = start(body, json!({ "open": true }));
    asked(&driver);
    give(&mut driver, 1_000_000);
    assert!(open(&driver).pure, "what comes before the task begins with its moment");
    let driver = start(body, json!({ "open": false }));
    assert_eq!(driver.calls().count(), 0, "a task that is skipped does not ask");
    // Cancelled while it asks, and while it waits.
    for waits in [false, true] {
        let mut driver = start(body, json!({ "open": true }));
        if waits {
            give(&mut driver, 2_000_000);
        }
        driver.apply(Event::Cancel { reason: None }).unwrap();
        assert_eq!(driver.machine.status(), Status::Cancelled);
    }
}
