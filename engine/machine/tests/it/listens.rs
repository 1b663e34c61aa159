//! `listen`: what is asked for, what is taken, and what comes of it.

use std::sync::Arc;

use potok_machine::{Effect, Event, Mismatch, Pattern, Status, SubscriptionId, TraceKind, testing::Driver};
use serde_json::{Value, json};

use crate::support::{completed, echo, error, faulted, start, story};

fn event(kind: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": "https://example.com/sensor", "type": kind, "time": "2026-01-31T08:00:00Z",
        "data": data,
    })
}

fn listen(to: &str) -> String {
    format!("do: [{{ wait: {{ listen: {{ to: {to} }} }} }}]")
}

fn patterns(driver: &Driver) -> Vec<Vec<Pattern>> {
    driver.subscriptions().map(|open| open.patterns.clone()).collect()
}

fn ended(driver: &Driver) -> Value {
    assert_eq!(driver.subscriptions().count(), 0);
    completed(driver.machine.outcome().unwrap().clone())
}

#[test]
fn one_event_is_asked_for_by_type_and_source() {
    let mut driver = start(
        &listen("{ one: { with: { type: '${ .kind }', source: https://example.com/sensor } } }"),
        json!({ "kind": "a.b" }),
    );
    assert_eq!(driver.machine.status(), Status::Waiting);
    let asked = serde_json::to_value(driver.machine.outstanding()).unwrap();
    let expected = json!([{
        "effect": "subscribe", "subscription": 1, "path": "/do/0/wait",
        "patterns": [{ "type": "a.b", "source": "https://example.com/sensor" }],
    }]);
    assert_eq!(asked, expected);
    assert!(!driver.offer(event("a_b", json!(1))));
    assert!(driver.offer(event("a.b", json!(2))));
    assert_eq!(ended(&driver), json!([2]));
    assert!(!driver.offer(event("a.b", json!(3))));
}

#[test]
fn filters_are_literals_patterns_and_expressions() {
    for (with, fits, misses) in [
        ("type: 'a\\.(b|c)'", event("a.c", json!(1)), event("a.bc", json!(1))),
        (
            "source: 'https://example.com/(sensor|x)'",
            event("a", json!(1)),
            json!({ "source": "https://example.com/y" }),
        ),
        (
            "data: '${ .t > $input.limit }'",
            event("a", json!({ "t": 39 })),
            event("a", json!({ "t": 37 })),
        ),
        (
            "data: '${ .t > $input.limit }'",
            event("a", json!({ "t": "warm" })),
            event("a", json!("text")),
        ),
        (
            "data: { room: { id: '${ .room }' } }",
            event("a", json!({ "x": 1, "room": { "id": 5.0 } })),
            event("a", json!({ "room": 5 })),
        ),
        (
            "data: [1, 'x.*']",
            event("a", json!([1, "xyz"])),
            event("a", json!([1])),
        ),
        ("data: '${ $input.room }'", event("a", json!(5)), event("a", json!(6))),
        (
            "subject: '${ .name }'",
            json!({ "subject": "Ann" }),
            json!({ "subject": "Bob" }),
        ),
        ("urgent: true", json!({ "urgent": true }), event("a", json!(1))),
        (
            "source: 'https://a?b=c'",
            json!({ "source": "https://a?b=c" }),
            json!({ "source": "https://a" }),
        ),
        (
            "type: a",
            json!({ "type": "a", "data_base64": "AA==" }),
            json!({ "type": "b" }),
        ),
        ("data: AA==", json!({ "data_base64": "AA==" }), json!({ "data": "AA" })),
    ] {
        let body = listen(&format!("{{ one: {{ with: {{ {with} }} }} }}"));
        let mut driver = start(&body, json!({ "limit": 38, "room": 5, "name": "Ann" }));
        assert!(!driver.offer(misses), "{with}");
        assert!(driver.offer(fits), "{with}");
        assert!(driver.machine.outcome().is_some());
    }
}

#[test]
fn events_are_read_as_asked() {
    for (read, expected) in [
        ("data", json!([{ "n": 1 }])),
        ("raw", json!(["{\"n\":1}"])),
        ("envelope", json!([event("a", json!({ "n": 1 }))])),
    ] {
        let body = format!("do: [{{ wait: {{ listen: {{ to: {{ any: [] }}, read: {read} }} }} }}]");
        let mut driver = start(&body, json!({}));
        assert_eq!(
            patterns(&driver),
            [[Pattern {
                kind: None,
                source: None,
                correlations: vec![]
            }]]
        );
        assert!(driver.offer(event("a", json!({ "n": 1 }))));
        assert_eq!(ended(&driver), expected);
    }
}

#[test]
fn all_takes_one_event_for_each_filter_in_the_order_in_which_they_come() {
    let mut driver = start(
        &listen("{ all: [{ with: { type: a } }, { with: { type: b } }, { with: { type: '(a|b)' } }] }"),
        json!({}),
    );
    assert!(driver.offer(event("b", json!("b1"))));
    assert!(driver.offer(event("b", json!("b2"))));
    assert!(!driver.offer(event("b", json!("b3"))));
    assert_eq!(patterns(&driver)[0].len(), 1);
    assert!(driver.offer(event("a", json!("a1"))));
    assert_eq!(ended(&driver), json!(["b1", "b2", "a1"]));
    assert_eq!(crate::support::output(&listen("{ all: [] }"), json!({})), json!([]));
}

#[test]
fn correlations_are_learnt_from_the_first_event_and_asked_for() {
    let filter = |kind: &str| format!("{{ with: {{ type: {kind} }}, correlate: {{ room: {{ from: .roomid }} }} }}");
    let mut driver = start(
        &listen(&format!("{{ all: [{}, {}] }}", filter("t"), filter("h"))),
        json!({}),
    );
    let with_room = |kind: &str, room: Value| {
        let mut event = event(kind, room.clone());
        event["roomid"] = room;
        event
    };
    assert!(
        !driver.offer(event("t", json!(1))),
        "an event without the value does not fit"
    );
    assert!(driver.offer(with_room("t", json!("kitchen"))));
    let asked = serde_json::to_value(&patterns(&driver)[0]).unwrap();
    assert_eq!(
        asked,
        json!([{ "type": "h", "correlations": [{ "from": ".roomid", "value": "kitchen" }] }])
    );
    assert!(!driver.offer(with_room("h", json!("hall"))));
    assert!(driver.offer(with_room("h", json!("kitchen"))));
    assert_eq!(ended(&driver), json!(["kitchen", "kitchen"]));
    let correlated = driver.traces.iter().find_map(|trace| match &trace.kind {
        TraceKind::Correlated { keys } => Some(keys.clone()),
        _ => None,
    });
    assert_eq!(correlated.unwrap()["room"].as_ref(), &json!("kitchen"));
}

#[test]
fn expectations_are_known_from_the_start() {
    let body = listen(
        "{ one: { with: { type: a }, correlate: { order: { from: '${ .data.order }', expect: '${ .order }' }, shop: { from: .data.shop, expect: here } } } }",
    );
    let mut driver = start(&body, json!({ "order": 7 }));
    let asked = serde_json::to_value(&patterns(&driver)[0]).unwrap();
    let correlations = json!([{ "from": ".data.order", "value": 7 }, { "from": ".data.shop", "value": "here" }]);
    assert_eq!(asked, json!([{ "type": "a", "correlations": correlations }]));
    assert!(!driver.offer(event("a", json!({ "order": 8, "shop": "here" }))));
    assert!(!driver.offer(event("a", json!({ "order": 7 }))));
    assert!(driver.offer(event("a", json!({ "order": 7, "shop": "here" }))));
    let problem = error(&body, json!({}));
    assert_eq!(
        problem.detail.as_deref(),
        Some("listen.to: correlate.order.expect gives null, so no event would ever fit")
    );
}

#[test]
fn any_goes_on_until_a_condition_holds() {
    let mut driver = start(&listen("{ any: [], until: '( . | length ) > 2' }"), json!({}));
    for n in 0..3 {
        assert!(driver.offer(event("a", json!(n))));
    }
    assert_eq!(ended(&driver), json!([0, 1, 2]));
    let mut driver = start(&listen("{ any: [], until: '. + 1' }"), json!({}));
    driver.offer(event("a", json!(1)));
    assert_eq!(
        faulted(driver.machine.outcome().unwrap().clone()).instance.as_deref(),
        Some("/do/0/wait")
    );
    assert_eq!(driver.subscriptions().count(), 0);
}

#[test]
fn any_goes_on_until_other_events_come_which_are_not_in_the_output() {
    let body = listen("{ any: [], until: { all: [{ with: { type: x } }, { with: { type: y } }] } }");
    let mut driver = start(&body, json!({}));
    assert_eq!(driver.subscriptions().count(), 2);
    for kind in ["y", "a", "y", "x"] {
        assert!(driver.offer(event(kind, json!(kind))));
    }
    assert_eq!(ended(&driver), json!(["a", "y"]));
}

const EACH: &str = r"
do:
  - listen:
      listen: { to: { any: [{ with: { type: a } }], until: '${ length > 2 }' } }
      foreach:
        item: event
        at: i
        do:
          - call: { call: test.effect, with: { event: '${ $event }', i: '${ $i }', room: '${ .room }' } }
        output: { as: '${ { n: .event, i: $i, was: $event } }' }
        export: { as: '${ $context + { last: .n } }' }
output: { as: { out: '${ . }', context: '${ $context }' } }
";

#[test]
fn foreach_works_on_one_event_after_the_other() {
    let mut driver = start(EACH, json!({ "room": "r" }));
    for n in 0..3 {
        assert!(driver.offer(event("a", json!(n))));
        assert_eq!(driver.machine.open_calls(), 1);
    }
    assert_eq!(driver.subscriptions().count(), 0, "enough is known to stop listening");
    let call = driver.calls().next().unwrap().clone();
    assert_eq!(call.path.to_string(), "/do/0/listen[0]/foreach/do/0/call");
    assert_eq!(echo(&call).unwrap(), json!({ "event": 0, "i": 0, "room": "r" }));
    let output = completed(driver.run(&mut echo).unwrap().clone());
    let of = |n: u64| json!({ "n": n, "i": n, "was": n });
    let expected = json!({ "out": [of(0), of(1), of(2)], "context": { "room": "r", "last": 2 } });
    assert_eq!(output, expected);
}

#[test]
fn what_foreach_exports_can_end_the_listening() {
    let body = r"
do:
  - listen:
      listen: { to: { any: [], until: $context.enough } }
      foreach: { export: { as: '${ { enough: ($item > 1) } }' } }
";
    let mut driver = start(body, json!({}));
    for n in 0..3 {
        assert!(driver.offer(event("a", json!(n))));
    }
    assert_eq!(ended(&driver), json!([0, 1, 2]));
}

#[test]
fn an_endless_listener_keeps_little_and_lets_the_rest_wait() {
    let body = r"
do:
  - listen:
      listen: { to: { any: [], until: '${ false }' } }
      foreach: { do: [{ call: { call: test.effect, with: { n: '${ $item }' } } }] }
";
    let mut driver = start(body, json!({}));
    let mut taken = 0;
    while driver.offer(event("a", json!(taken))) {
        taken += 1;
    }
    assert_eq!(taken, 101, "one is worked on, a hundred wait");
    assert_eq!(patterns(&driver), [[]]);
    for n in 0..51 {
        let call = driver.calls().next().unwrap().call;
        driver.apply(driver.completion(call, Ok(json!(n)))).unwrap();
    }
    assert_eq!(patterns(&driver)[0].len(), 1);
    for n in 0..3_000 {
        driver.offer(event("a", json!(n)));
        let call = driver.calls().next().unwrap().call;
        driver
            .apply(driver.completion(call, Ok(json!("x".repeat(20)))))
            .unwrap();
        driver.traces.clear();
        driver.effects.clear();
        driver.entries.clear();
    }
    let snapshot = serde_json::to_string(&driver.machine.snapshot()).unwrap();
    assert!(snapshot.len() < 100_000, "{}", snapshot.len());
}

#[test]
fn a_listener_that_must_keep_everything_says_when_it_is_too_much() {
    let mut driver = start(&listen("{ any: [], until: '${ false }' }"), json!({}));
    let large = json!("x".repeat(5 << 20));
    for _ in 0..3 {
        assert!(driver.offer(event("a", large.clone())));
    }
    assert!(driver.offer(event("a", large)));
    let problem = faulted(driver.machine.outcome().unwrap().clone());
    insta::assert_snapshot!(problem.detail.unwrap(), @"it has consumed more than it can keep: 10000 events, or 16 MiB of them; work on each by 'foreach'");
}

#[test]
fn the_oldest_listener_takes_an_event() {
    let body = r"
do:
  - both:
      fork:
        branches:
          - a: { listen: { to: { one: { with: { type: a } } } } }
          - b: { listen: { to: { any: [], until: '${ length > 1 }' } } }
";
    let mut driver = start(body, json!({}));
    for n in 0..3 {
        assert!(driver.offer(event("a", json!(n))));
    }
    assert_eq!(ended(&driver), json!([[0], [1, 2]]));
}

#[test]
fn listeners_are_closed_by_timeouts_errors_and_cancelling() {
    let body = "do: [{ wait: { timeout: { after: PT5S }, listen: { to: { any: [], until: { one: { with: { type: x } } } } } } }]";
    let mut driver = start(body, json!({}));
    let timer = driver.next_timer().unwrap();
    let effects = driver.apply(timer).unwrap();
    assert!(
        matches!(&effects[..2], [Effect::Unsubscribe { .. }, Effect::Unsubscribe { .. }]),
        "{effects:?}"
    );
    assert_eq!(faulted(driver.machine.outcome().unwrap().clone()).status, 408);
    let mut driver = start(body, json!({}));
    driver.apply(Event::Cancel { reason: None }).unwrap();
    assert_eq!(driver.subscriptions().count(), 0);
    let mut driver = start(
        &EACH.replace(
            "call: test.effect, with: {",
            "raise: { error: { type: 'urn:a', status: 418 } }, metadata: {",
        ),
        json!({}),
    );
    driver.offer(event("a", json!(1)));
    assert_eq!(faulted(driver.machine.outcome().unwrap().clone()).status, 418);
    assert_eq!(driver.subscriptions().count(), 0);
}

#[test]
fn a_suspended_run_rests_and_takes_nothing() {
    let mut driver = start(&listen("{ one: { with: { type: a } } }"), json!({}));
    let asked = patterns(&driver);
    driver.apply(Event::Suspend { reason: None }).unwrap();
    assert_eq!(patterns(&driver), [[]]);
    assert!(!driver.offer(event("a", json!(1))));
    driver.apply(Event::Resume).unwrap();
    assert_eq!(patterns(&driver), asked);
    assert!(driver.offer(event("a", json!(2))));
    assert_eq!(ended(&driver), json!([2]));
    assert_eq!(
        story(&driver.traces),
        [
            "started /do/0/wait",
            "listening /do/0/wait",
            "suspended /do/0/wait",
            "resumed /do/0/wait",
            "consumed /do/0/wait",
            "correlated /do/0/wait",
            "completed /do/0/wait",
        ]
    );
}

#[test]
fn events_from_another_machines_journal_are_refused_by_name() {
    let mut driver = start(&listen("{ one: { with: { type: a } } }"), json!({}));
    let consumed = |subscription, kind: &str| Event::EventConsumed {
        subscription: SubscriptionId(subscription),
        sequence: 9,
        event: Arc::new(event(kind, json!(1))),
    };
    let unknown = driver.apply(consumed(2, "a")).unwrap_err();
    assert!(matches!(unknown, Mismatch::UnknownSubscription { made: 1, .. }));
    let other = driver.apply(consumed(1, "b")).unwrap_err();
    insta::assert_snapshot!(other, @"the journal holds event 9 for subscription 1, which does not take it here: the run was journaled by another version");
    driver.apply(consumed(1, "a")).unwrap();
    assert_eq!(driver.apply(consumed(1, "a")).unwrap(), []);
}
