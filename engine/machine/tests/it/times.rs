//! Waits and timeouts.

use potok_dsl::{ErrorType, Timestamp};
use potok_machine::{Effect, Status, TimerId};
use serde_json::json;

use crate::support::{completed, echo, faulted, output, run_with, start, story};

#[test]
fn a_wait_waits_and_passes_its_input_on() {
    let mut driver = start("do: [{ rest: { wait: { minutes: 2 } } }]", json!({ "a": 1 }));
    assert_eq!(driver.machine.status(), Status::Waiting);
    assert_eq!(
        driver.effects,
        [Effect::StartTimer {
            timer: TimerId(1),
            at: Timestamp(1_120_000)
        }]
    );
    assert_eq!(driver.machine.next_timer(), Some(Timestamp(1_120_000)));
    assert_eq!(completed(driver.run(&mut echo).unwrap().clone()), json!({ "a": 1 }));
}

#[test]
fn a_wait_may_be_computed() {
    let (outcome, driver) = run_with(
        "do: [{ rest: { wait: '${ .pause }' } }]",
        json!({ "pause": "PT1M30S" }),
        &mut echo,
    );
    completed(outcome);
    assert_eq!(driver.now, Timestamp(1_090_000));
    let (outcome, driver) = run_with(
        "do: [{ rest: { wait: '${ { seconds: .n } }' } }]",
        json!({ "n": 5 }),
        &mut echo,
    );
    completed(outcome);
    assert_eq!(driver.now, Timestamp(1_005_000));
    assert_eq!(output("do: [{ rest: { wait: PT0S } }]", json!(1)), json!(1));
}

const TIMEOUT: &str = r"
use: { timeouts: { short: { after: { seconds: 5 } } } }
do:
  - slow:
      do:
        - loop:
            for: { in: '[1, 2]' }
            metadata: { potok: { parallel: 2 } }
            do:
              - call: { call: test.effect }
        - never: { set: { x: 1 } }
      timeout: short
";

#[test]
fn a_task_that_takes_too_long_faults_and_cancels_what_is_in_it() {
    let mut driver = start(TIMEOUT, json!({}));
    let event = driver.next_timer().unwrap();
    driver.apply(event).unwrap();
    let problem = faulted(driver.machine.outcome().unwrap().clone());
    assert!(problem.is(ErrorType::Timeout) && problem.status == 408);
    assert_eq!(problem.instance.as_deref(), Some("/do/0/slow"));
    assert_eq!(problem.detail.as_deref(), Some("the task took longer than 5000 ms"));
    let ends: Vec<_> = story(&driver.traces).into_iter().skip(4).collect();
    let expected = [
        "cancelled /do/0/slow/do/0/loop[0]/do/0/call",
        "cancelled /do/0/slow/do/0/loop[1]/do/0/call",
        "cancelled /do/0/slow/do/0/loop",
        "faulted /do/0/slow",
    ];
    assert_eq!(ends, expected);
}

#[test]
fn a_task_in_time_cancels_its_timeout() {
    let (outcome, driver) = run_with(TIMEOUT, json!({}), &mut echo);
    completed(outcome);
    assert_eq!(
        driver
            .effects
            .iter()
            .filter(|effect| matches!(effect, Effect::CancelTimer { .. }))
            .count(),
        1
    );
}

#[test]
fn a_timeout_can_be_caught() {
    let body = r"
do:
  - outer:
      try: [{ rest: { wait: { hours: 1 }, timeout: { after: '${ .limit }' } } }]
      catch:
        errors: { with: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout' } }
        do: [{ late: { set: { late: '${ $error.instance }' } } }]
";
    let (outcome, driver) = run_with(body, json!({ "limit": "PT3S" }), &mut echo);
    assert_eq!(completed(outcome), json!({ "late": "/do/0/outer/try/0/rest" }));
    assert_eq!(driver.now, Timestamp(1_003_000));
}

#[test]
fn the_workflow_itself_can_take_too_long() {
    let body = "timeout: { after: { seconds: 30 } }\ndo: [{ rest: { wait: { minutes: 1 } } }]";
    let mut driver = start(body, json!({}));
    let problem = faulted(driver.run(&mut echo).unwrap().clone());
    assert!(problem.is(ErrorType::Timeout));
    assert_eq!(
        (problem.instance.as_deref(), driver.now),
        (Some("/timeout"), Timestamp(1_030_000))
    );
    assert_eq!(story(&driver.traces), ["started /do/0/rest", "cancelled /do/0/rest"]);
    let in_time = body.replace("minutes: 1", "seconds: 1");
    let (outcome, driver) = run_with(&in_time, json!({}), &mut echo);
    completed(outcome);
    assert!(driver.effects.contains(&Effect::CancelTimer { timer: TimerId(1) }));
}

#[test]
fn months_are_those_of_the_calendar() {
    let body = "do: [{ rest: { wait: SPAN, timeout: { after: P2Y } } }]";
    for (span, until) in [
        ("P1M", "1970-02-01T00:16:40.000Z"),
        ("P1Y1D", "1971-01-02T00:16:40.000Z"),
        ("'${ .span }'", "1970-03-01T01:16:40.000Z"),
    ] {
        let driver = crate::support::start(&body.replace("SPAN", span), json!({ "span": "P2MT1H" }));
        let timers: Vec<String> = driver.timers().into_iter().map(|(at, _)| at.rfc3339()).collect();
        assert_eq!(timers, [until, "1972-01-01T00:16:40.000Z"]);
    }
}

#[test]
fn delays_grow_as_their_backoff_says() {
    let body = r"
do:
  - tried:
      try: [{ call: { call: test.pure } }]
      catch: { retry: { delay: PT1S, backoff: BACKOFF, limit: { attempt: { count: 4 } } } }
";
    for (backoff, seconds) in [
        ("{ linear: { increment: PT2S } }", [1, 3, 5, 7]),
        ("{ linear: { maxDelay: PT3S } }", [1, 2, 3, 3]),
        (
            "{ exponential: { multiplier: 3, maxDelay: '${ \"PT20S\" }' } }",
            [1, 3, 9, 20],
        ),
        ("{ constant: {} }", [1, 1, 1, 1]),
    ] {
        let (_, driver) = crate::support::run_with(&body.replace("BACKOFF", backoff), json!({}), &mut |_| {
            Err(crate::support::unavailable())
        });
        let pauses = driver.traces.iter().filter_map(|trace| match &trace.kind {
            potok_machine::TraceKind::Retrying { until, .. } => Some(until.since(trace.at).0 / 1000),
            _ => None,
        });
        assert_eq!(pauses.collect::<Vec<_>>(), seconds, "{backoff}");
    }
}
