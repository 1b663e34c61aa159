#![allow(clippy::unwrap_used, clippy::expect_used)]
//! Schedules in virtual time.

use uuid::Uuid;

use super::*;

fn span(ms: u64) -> Period {
    Period {
        months: 0,
        rest: Millis(ms),
    }
}

fn every(ms: u64, overlap: Overlap, catch_up: CatchUp) -> Plan {
    Plan {
        rhythm: Rhythm::Every(span(ms)),
        overlap,
        catch_up,
    }
}

fn cron(text: &str, zone: &str) -> Plan {
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: t, name: t, version: '1.0.0', metadata: {{potok: {{schedule: {{timezone: {zone}}}}}}}}}\n\
         schedule: {{cron: '{text}'}}\ndo: [{{a: {{set: {{x: 1}}}}}}]\n"
    );
    let parsed = potok_dsl::parse("t.yaml", &text).unwrap();
    Plan::of(&parsed.workflow, &potok_expr::Evaluator::native())
        .unwrap()
        .remove(0)
        .1
}

fn at(text: &str) -> Timestamp {
    Timestamp(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

fn fires(acts: &[Act]) -> Vec<i64> {
    acts.iter()
        .filter_map(|act| if let Act::Fire(_, at) = act { Some(at.0) } else { None })
        .collect()
}

#[test]
fn cron_runs_in_its_time_zone() {
    let moscow = cron("0 9 * * *", "Europe/Moscow");
    assert_eq!(
        moscow.next(at("2026-01-10T00:00:00Z")),
        Some(at("2026-01-10T06:00:00Z"))
    );
    let with_seconds = cron("30 0 9 * * *", "UTC");
    assert_eq!(
        with_seconds.next(at("2026-01-10T00:00:00Z")),
        Some(at("2026-01-10T09:00:30Z"))
    );
}

#[test]
fn cron_survives_the_change_of_the_clocks() {
    let berlin = cron("30 2 * * *", "Europe/Berlin");
    let mut time = at("2026-03-27T12:00:00Z");
    let mut days = Vec::new();
    for _ in 0..4 {
        time = berlin.next(time).unwrap();
        days.push(time.rfc3339()[..10].to_owned());
    }
    days.dedup();
    assert_eq!(days.len(), 4, "one run a day across the spring change: {days:?}");
}

#[test]
fn every_allows_overlap_and_skip_leaves_out() {
    for (overlap, expected) in [(Overlap::Allow, 2), (Overlap::Skip, 1), (Overlap::Queue, 1)] {
        let mut scheduler = Scheduler::default();
        let mut acts = Vec::new();
        scheduler.set(
            "k".into(),
            every(1_000, overlap, CatchUp::Latest),
            None,
            Timestamp(0),
            &mut acts,
        );
        acts.clear();
        scheduler.tick(Timestamp(1_000), &mut acts);
        scheduler.started("k", Some(run(1)), &mut acts);
        scheduler.tick(Timestamp(2_000), &mut acts);
        assert_eq!(fires(&acts).len(), expected, "{overlap:?}");
        acts.clear();
        scheduler.ended("k", run(1), Timestamp(2_500), &mut acts);
        assert_eq!(
            fires(&acts).len(),
            usize::from(overlap == Overlap::Queue),
            "{overlap:?}"
        );
    }
}

#[test]
fn what_passed_while_nobody_was_up_is_made_up_for_as_told() {
    for (catch_up, expected) in [
        (CatchUp::None, vec![]),
        (CatchUp::Latest, vec![10_000]),
        (CatchUp::All, vec![1_000]),
    ] {
        let mut scheduler = Scheduler::default();
        let mut acts = Vec::new();
        let state = TriggerState {
            next_at: Some(Timestamp(1_000)),
            ..TriggerState::default()
        };
        scheduler.set(
            "k".into(),
            every(1_000, Overlap::Queue, catch_up),
            Some(state),
            Timestamp(10_500),
            &mut acts,
        );
        scheduler.tick(Timestamp(10_500), &mut acts);
        assert_eq!(fires(&acts), expected, "{catch_up:?}");
        assert_eq!(scheduler.wakeup(), Some(Timestamp(11_000)));
    }
}

#[test]
fn catching_up_ends_at_a_hundred() {
    let mut scheduler = Scheduler::default();
    let mut acts = Vec::new();
    let state = TriggerState {
        next_at: Some(Timestamp(0)),
        ..TriggerState::default()
    };
    let plan = every(1, Overlap::Queue, CatchUp::All);
    scheduler.set("k".into(), plan, Some(state), Timestamp(31_536_000_000), &mut acts);
    let (_, state) = scheduler.states().next().unwrap();
    assert_eq!(state.waiting.len(), MOST_WAITING);
}

#[test]
fn after_counts_from_the_end() {
    let mut scheduler = Scheduler::default();
    let mut acts = Vec::new();
    let plan = Plan {
        rhythm: Rhythm::After(span(5_000)),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
    };
    scheduler.set("k".into(), plan, None, Timestamp(0), &mut acts);
    scheduler.tick(Timestamp(0), &mut acts);
    assert_eq!(fires(&acts), [0]);
    scheduler.started("k", Some(run(1)), &mut acts);
    acts.clear();
    scheduler.tick(Timestamp(60_000), &mut acts);
    assert_eq!(fires(&acts), Vec::<i64>::new(), "it still runs");
    scheduler.ended("k", run(1), Timestamp(70_000), &mut acts);
    assert_eq!(scheduler.wakeup(), Some(Timestamp(75_000)));
}

#[test]
fn an_interval_may_be_an_expression_that_needs_no_run() {
    let plan = |every: &str| {
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: t, name: t, version: '1.0.0'}}\n\
             schedule: {{every: '{every}'}}\ndo: [{{a: {{set: {{x: 1}}}}}}]\n"
        );
        let parsed = potok_dsl::parse("t.yaml", &text).unwrap();
        let plans = Plan::of(&parsed.workflow, &potok_expr::Evaluator::native());
        plans
            .map(|mut plans| plans.remove(0).1.next(Timestamp(0)).unwrap().0)
            .map_err(|e| e.to_string())
    };
    assert_eq!(plan("${ { minutes: 60 / 4 } }"), Ok(900_000));
    assert_eq!(plan("${ \"PT\" + \"90S\" }"), Ok(90_000));
    for (every, wrong) in [
        ("${ $context.every }", "$context does not exist there"),
        ("${ 5 }", "the interval of a schedule"),
        ("${ \"PT0S\" }", "at least a millisecond"),
    ] {
        let said = plan(every).unwrap_err();
        assert!(said.contains(wrong), "{said}");
    }
}
/// Found by scenarios: the end of a run that does nothing is told before its start is.
#[test]
fn a_run_that_ends_before_its_start_is_told_is_over() {
    let after = Plan {
        rhythm: Rhythm::After(span(300)),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
    };
    let skips = every(1_000, Overlap::Skip, CatchUp::Latest);
    for (plan, first, next) in [(after, 0, 405), (skips, 1_000, 2_000)] {
        let mut scheduler = Scheduler::default();
        let mut acts = Vec::new();
        scheduler.set("k".into(), plan, None, Timestamp(0), &mut acts);
        scheduler.tick(Timestamp(first), &mut acts);
        assert_eq!(fires(&acts), [first]);
        acts.clear();
        scheduler.ended("k", run(1), Timestamp(first + 105), &mut acts);
        scheduler.started("k", Some(run(1)), &mut acts);
        assert_eq!(scheduler.wakeup(), Some(Timestamp(next)));
        scheduler.tick(Timestamp(next), &mut acts);
        assert_eq!(fires(&acts), [next]);
    }
}

/// Found by scenarios: nothing else may have happened on the node for a minute.
#[test]
fn what_is_due_when_it_is_deployed_starts_at_once() {
    let after = Plan {
        rhythm: Rhythm::After(span(300)),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
    };
    let mut acts = Vec::new();
    Scheduler::default().set("k".into(), after, None, Timestamp(7), &mut acts);
    assert_eq!(fires(&acts), [7]);
}

#[test]
fn months_are_those_of_the_calendar() {
    let text = "document: {dsl: '1.0.3', namespace: t, name: t, version: '1.0.0'}\n\
                schedule: {every: P1M, after: P1YT1H}\ndo: [{a: {set: {x: 1}}}]\n";
    let parsed = potok_dsl::parse("t.yaml", text).unwrap();
    let plans = Plan::of(&parsed.workflow, &potok_expr::Evaluator::native()).unwrap();
    let [(_, every), (_, after)] = plans.as_slice() else {
        panic!("two plans, not {}", plans.len())
    };
    let february = every.next(at("2026-01-31T08:00:00Z")).unwrap();
    assert_eq!(february, at("2026-02-28T08:00:00Z"));
    assert_eq!(every.next(february), Some(at("2026-03-28T08:00:00Z")));
    let ended = at("2028-02-29T08:00:00Z");
    assert_eq!(after.after_end(ended), Some(at("2029-02-28T09:00:00Z")));
    let mut state = TriggerState {
        next_at: Some(at("2026-01-15T00:00:00Z")),
        ..TriggerState::default()
    };
    let missed = passed(every, &mut state, at("2026-04-01T00:00:00Z"));
    assert_eq!(missed.len(), 3);
    assert_eq!(state.next_at, Some(at("2026-04-15T00:00:00Z")));
}
