//! `try`, `catch`, `retry`.

use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_machine::{Effect, TraceKind};
use serde_json::{Value, json};

use crate::support::{completed, echo, error, faulted, output, run_with, start, story, unavailable};

const PET: &str = r"
do:
  - tryGetPet:
      try:
        - getPet:
            call: http
            with: { method: get, endpoint: { uri: 'https://petstore.swagger.io/v2/pet/getPetByName/{petName}' } }
      catch:
        errors:
          with:
            type: https://open-workflow-specification.org/dsl/errors/types/communication
            status: 404
        as: err
        do:
          - setError: { set: { error: '${ $err }', name: '${ .petName }' } }
";

#[test]
fn a_caught_error_is_seen_by_the_handler() {
    let missing = || Problem::new(ErrorType::Communication, "Not found", "no such pet").with_status(404);
    let (outcome, driver) = run_with(PET, json!({ "petName": "Milou" }), &mut |_| Err(missing()));
    let expected = json!({
        "error": {
            "type": "https://open-workflow-specification.org/spec/1.0.0/errors/communication",
            "status": 404,
            "title": "Not found",
            "detail": "no such pet",
            "instance": "/do/0/tryGetPet/try/0/getPet",
        },
        "name": "Milou",
    });
    assert_eq!(completed(outcome), expected);
    assert!(story(&driver.traces).contains(&"completed /do/0/tryGetPet/catch/do/0/setError".to_owned()));
}

#[test]
fn an_error_that_the_filter_lets_through_faults() {
    let (outcome, _) = run_with(PET, json!({ "petName": "Milou" }), &mut |_| Err(unavailable()));
    let problem = faulted(outcome);
    assert_eq!(
        (problem.status, problem.instance.as_deref()),
        (503, Some("/do/0/tryGetPet/try/0/getPet"))
    );
}

fn raising(catch: &str) -> String {
    format!(
        "
do:
  - outer:
      try:
        - inner: {{ raise: {{ error: {{ type: 'urn:x', status: 500, title: T, detail: D, instance: /here }} }} }}
      catch: {catch}
  - after: {{ set: {{ after: '${{ . }}' }} }}
"
    )
}

#[test]
fn filters_and_conditions_decide_what_is_caught() {
    let caught = [
        "{}",
        "{ errors: { with: { status: 500, type: 'urn:x', title: T, detail: D, instance: /here } } }",
        "{ when: $error.status == 500 }",
        "{ as: e, when: '${ $e.type == \"urn:x\" and .in == 1 }' }",
        "{ exceptWhen: $error.status == 400 }",
    ];
    for catch in caught {
        assert_eq!(
            output(&raising(catch), json!({ "in": 1 })),
            json!({ "after": { "in": 1 } }),
            "{catch}"
        );
    }
    let not = [
        "{ errors: { with: { status: 501 } } }",
        "{ errors: { with: { type: 'urn:y' } } }",
        "{ errors: { with: { title: U } } }",
        "{ errors: { with: { detail: E } } }",
        "{ errors: { with: { instance: /there } } }",
        "{ when: $error.status == 400 }",
        "{ exceptWhen: $error.status == 500 }",
    ];
    for catch in not {
        assert_eq!(error(&raising(catch), json!({ "in": 1 })).kind, "urn:x", "{catch}");
    }
}

#[test]
fn the_handler_gives_the_output_and_then_overrides() {
    assert_eq!(
        output(&raising("{ do: [{ h: { set: { h: '${ . }' } } }] }"), json!(1)),
        json!({ "after": { "h": 1 } })
    );
    assert_eq!(
        output(&raising("{ do: [{ h: { set: { h: 2 } } }], then: end }"), json!(1)),
        json!({ "h": 2 })
    );
    assert_eq!(output(&raising("{ then: exit }"), json!(1)), json!(1));
    assert_eq!(
        error(
            &raising("{ do: [{ h: { raise: { error: { type: 'urn:h', status: 418 } } } }] }"),
            json!(1)
        )
        .kind,
        "urn:h"
    );
}

fn retrying(policy: &str, rest: &str) -> String {
    format!(
        "
use:
  retries:
    named: {policy}
do:
  - outer:
      try:
        - call: {{ call: test.effect, with: {{ n: 1 }} }}
      catch: {{ retry: named {rest} }}
"
    )
}

/// The delays before each retry of a call that never succeeds, and what comes of it.
fn delays(policy: &str, rest: &str, problem: &Problem) -> (Vec<i64>, potok_machine::Outcome) {
    let mut driver = start(&retrying(policy, rest), json!({}));
    let outcome = driver.run(&mut |_| Err(problem.clone())).unwrap().clone();
    let mut delays = Vec::new();
    for trace in &driver.traces {
        if let TraceKind::Retrying { until, .. } = &trace.kind {
            delays.push(until.0 - trace.at.0);
        }
    }
    let keys = driver.effects.iter().filter_map(|effect| match effect {
        Effect::Call(call) => Some((call.path.to_string(), call.idempotency_key.clone())),
        _ => None,
    });
    let keys: Vec<_> = keys.collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    assert_eq!(keys.len(), delays.len() + 1);
    (delays, outcome)
}

#[test]
fn delays_back_off_until_the_limits() {
    let count = "limit: { attempt: { count: 4 } }";
    let policy = |backoff: &str| format!("{{ delay: {{ seconds: 1 }}, backoff: {{ {backoff}: {{}} }}, {count} }}");
    let (found, outcome) = delays(&policy("constant"), "", &unavailable());
    assert_eq!((found, faulted(outcome).status), (vec![1000, 1000, 1000, 1000], 503));
    assert_eq!(
        delays(&policy("linear"), "", &unavailable()).0,
        [1000, 2000, 3000, 4000]
    );
    assert_eq!(
        delays(&policy("exponential"), "", &unavailable()).0,
        [1000, 2000, 4000, 8000]
    );
    let limited = "{ delay: { seconds: 2 }, limit: { duration: { seconds: 5 } } }";
    assert_eq!(delays(limited, "", &unavailable()).0, [2000, 2000]);
    let nothing = "{ limit: { attempt: { count: 2 } } }";
    assert_eq!(delays(nothing, "", &unavailable()).0, [0, 0]);
}

#[test]
fn jitter_is_added_within_its_range() {
    let policy = "{ delay: { seconds: 1 }, jitter: { from: { milliseconds: 10 }, to: { milliseconds: 500 } }, limit: { attempt: { count: 6 } } }";
    let (found, _) = delays(policy, "", &unavailable());
    assert!(found.iter().all(|delay| (1010..=1500).contains(delay)), "{found:?}");
    assert!(found.windows(2).any(|pair| pair[0] != pair[1]), "{found:?}");
    assert_eq!(found, delays(policy, "", &unavailable()).0);
}

#[test]
fn retry_after_is_never_cut_short() {
    let policy = "{ delay: { seconds: 1 }, limit: { attempt: { count: 2 } } }";
    assert_eq!(
        delays(policy, "", &unavailable().with_retry_after(7_500)).0,
        [7_500, 7_500]
    );
    assert_eq!(
        delays(policy, "", &unavailable().with_retry_after(10)).0,
        [1_000, 1_000]
    );
}

#[test]
fn the_handler_comes_when_retries_are_exhausted_or_declined() {
    let handler = ", do: [{ handled: { set: { status: '${ $error.status }' } } }]";
    let (found, outcome) = delays("{ limit: { attempt: { count: 2 } } }", handler, &unavailable());
    assert_eq!((found.len(), completed(outcome)), (2, json!({ "status": 503 })));
    let (found, outcome) = delays("{ when: $error.status == 500 }", handler, &unavailable());
    assert_eq!((found.len(), completed(outcome)), (0, json!({ "status": 503 })));
    let (found, outcome) = delays("{ exceptWhen: $error.status == 503 }", ", then: end", &unavailable());
    assert_eq!((found.len(), completed(outcome)), (0, json!({})));
    let (found, outcome) = delays("{ exceptWhen: $error.status == 503 }", "", &unavailable());
    assert_eq!((found.len(), faulted(outcome).status), (0, 503));
}

#[test]
fn a_retry_that_succeeds_is_a_success() {
    let body = retrying("{ delay: { seconds: 1 } }", "");
    let mut calls = 0;
    let (outcome, driver) = run_with(&body, json!({}), &mut |call| {
        calls += 1;
        if calls < 3 { Err(unavailable()) } else { echo(call) }
    });
    assert_eq!(completed(outcome), json!({ "n": 1 }));
    assert_eq!(driver.now, Timestamp(1_002_000));
    let attempts: Vec<u64> = driver
        .traces
        .iter()
        .filter_map(|trace| match &trace.kind {
            TraceKind::Retrying { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [2, 3]);
}

#[test]
fn an_attempt_that_takes_too_long_is_an_error_like_others() {
    let policy = "{ limit: { attempt: { count: 1, duration: { seconds: 3 } } } }";
    let mut driver = start(&retrying(policy, ""), json!({}));
    for _ in 0..2 {
        let event = driver.next_timer().unwrap();
        driver.apply(event).unwrap();
    }
    let problem = faulted(driver.machine.outcome().unwrap().clone());
    assert!(
        problem.is(ErrorType::Timeout) && problem.instance.as_deref() == Some("/do/0/outer"),
        "{problem}"
    );
    assert_eq!(driver.now, Timestamp(1_006_000));
    let cancelled = driver
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::CancelCall { .. }))
        .count();
    assert_eq!(cancelled, 2);
}

#[test]
fn errors_find_the_nearest_catch_that_takes_them() {
    let body = r"
do:
  - outer:
      try:
        - middle:
            try:
              - loop:
                  for: { in: '[1]' }
                  do:
                    - inner: { do: [{ raise: { raise: { error: { type: 'urn:x', status: 418 } } } }] }
            catch: { errors: { with: { status: 500 } }, do: [{ no: { set: { by: middle } } }] }
      catch: { do: [{ yes: { set: { by: outer, at: '${ $error.instance }' } } }] }
";
    let expected: Value = json!({ "by": "outer", "at": "/do/0/outer/try/0/middle/try/0/loop/do/0/inner/do/0/raise" });
    assert_eq!(output(body, json!({})), expected);
}
