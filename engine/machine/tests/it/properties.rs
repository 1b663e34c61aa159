//! Random workflows under random events.

use std::{collections::BTreeMap, sync::Arc};

use potok_expr::Evaluator;
use potok_machine::{
    Definition, Effect, Event, Machine, Point, Snapshot, Trace, TraceKind,
    testing::{Driver, Random, compiled, eventful},
};
use proptest::prelude::*;
use serde_json::json;

/// Enough for every workflow that ends by itself; one that circles for ever is cancelled.
const PATIENCE: usize = 400;

fn definition(seed: u64, size: u64) -> (Arc<Definition>, Evaluator) {
    let evaluator = Evaluator::native();
    (compiled(&eventful(seed, size), &evaluator), evaluator)
}

/// Each task that began has ended, once; nothing is left in the state.
fn assert_tidy(driver: &Driver) {
    let mut open: BTreeMap<&str, u64> = BTreeMap::new();
    for trace in &driver.traces {
        let path = trace.path.0.as_ref();
        match trace.kind {
            TraceKind::Started { .. } => *open.entry(path).or_default() += 1,
            TraceKind::Completed { .. } | TraceKind::Faulted { .. } | TraceKind::Cancelled => {
                let count = open
                    .get_mut(path)
                    .unwrap_or_else(|| panic!("{path} ends before it begins"));
                *count = count.checked_sub(1).unwrap_or_else(|| panic!("{path} ends twice"));
            }
            TraceKind::Skipped => assert_eq!(open.get(path).copied().unwrap_or(0), 0),
            TraceKind::Emitted { .. }
            | TraceKind::Retrying { .. }
            | TraceKind::Delayed { .. }
            | TraceKind::Called { .. }
            | TraceKind::Listening
            | TraceKind::Consumed { .. }
            | TraceKind::Correlated { .. }
            | TraceKind::Suspended
            | TraceKind::Resumed => assert_eq!(open.get(path), Some(&1)),
        }
    }
    open.retain(|_, count| *count > 0);
    assert!(open.is_empty(), "never ended: {open:?}");
    let snapshot = serde_json::to_value(driver.machine.snapshot()).unwrap();
    for part in ["frames/frames", "queue", "calls", "timers", "subscriptions"] {
        let part = &format!("/state/{part}");
        assert_eq!(snapshot.pointer(part), Some(&json!([])), "{part}");
    }
}

/// Through JSON and back.
fn reborn(machine: &Machine, definition: &Arc<Definition>, evaluator: &Evaluator) -> Machine {
    let text = serde_json::to_string(&machine.snapshot()).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    assert_eq!(snapshot, machine.snapshot());
    let reborn = Machine::restore(Arc::clone(definition), evaluator.clone(), snapshot).unwrap();
    assert_eq!(reborn.outstanding(), machine.outstanding());
    assert_eq!(reborn.status(), machine.status());
    reborn
}

/// Runs to the end; `beside` sees each thing that happens and its effects.
fn live(
    driver: &mut Driver,
    random: &mut Random,
    beside: &mut dyn FnMut(Option<&Event>, &Driver, &[Effect], &mut Random),
) {
    for turn in 0.. {
        if driver.machine.outcome().is_some() {
            return;
        }
        let event = if turn > PATIENCE {
            Some(Event::Cancel { reason: None })
        } else {
            driver.happening(random)
        };
        let effects = match &event {
            Some(event) => driver.apply(event.clone()).unwrap(),
            None => driver.proceed(),
        };
        beside(event.as_ref(), driver, &effects, random);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Going on from a snapshot is going on; and after the end nothing is open (the driver sees to that).
    #[test]
    fn restoring_anywhere_changes_nothing(seed in any::<u64>(), size in 1u64..40, slice in 1u64..12) {
        let (definition, evaluator) = definition(seed, size);
        let mut random = Random::new(seed ^ 0xABCD);
        let mut driver = Driver::start(&definition, &evaluator, json!({ "n": 0, "list": [1, 2] }), Some(slice));
        let mut other = reborn(&driver.machine, &definition, &evaluator);
        live(&mut driver, &mut random, &mut |event, driver, effects, random| {
            let expected = match event {
                Some(event) => {
                    let recorded = other.record(driver.now, event.clone());
                    other.apply(&recorded, &mut ()).unwrap()
                }
                None => other.proceed(&mut ()),
            };
            assert_eq!(expected, effects);
            if random.one_in(3) {
                other = reborn(&other, &definition, &evaluator);
            }
        });
        prop_assert_eq!(other.snapshot(), driver.machine.snapshot());
    }

    /// A run that is made from another one at any of its tasks runs as any run does: it ends, tidily, and its journal tells the same again.
    #[test]
    fn a_run_made_from_another_is_a_run(seed in any::<u64>(), size in 1u64..40, slice in 1u64..12) {
        let (definition, evaluator) = definition(seed, size);
        let mut random = Random::new(seed ^ 0x7777);
        let mut old = Driver::start(&definition, &evaluator, json!({ "n": 0, "list": [1, 2] }), Some(slice));
        live(&mut old, &mut random, &mut |_, _, _, _| {});
        let paths: Vec<String> = crate::support::started(&old).into_iter().map(str::to_owned).collect();
        let point = match paths.is_empty() || random.one_in(3) {
            true => Point::Fault,
            false => Point::Task { at: random.pick(&paths).clone(), input: None },
        };
        let origin = crate::origins::origin(&old, &definition, &point, &definition);
        let faulted = old.machine.outcome().and_then(|outcome| outcome.error.as_ref());
        let whole = ["/input", "/output", "/timeout"].map(Some);
        let faulted = faulted.is_some_and(|error| !whole.contains(&error.instance.as_deref()));
        prop_assert!(origin.is_ok() || (point == Point::Fault && !faulted), "{:?}: {:?}", point, origin);
        let Ok(origin) = origin else { return Ok(()) };
        let path = origin.path.clone();
        let mut new = crate::origins::made_from(origin, &definition, Some(slice));
        let first = |driver: &Driver| driver.traces.iter().any(|trace| Some(&trace.path) == path.as_ref());
        live(&mut new, &mut random, &mut |_, _, _, _| {});
        // A time that is up for what is around it or for the whole run, or someone who cancels, may come before it.
        let around = |trace: &Trace| path.as_ref().is_some_and(|path| path.0.starts_with(&*trace.path.0));
        let ends = |trace: &Trace| matches!(trace.kind, TraceKind::Cancelled | TraceKind::Faulted { .. });
        let cut_short = new.traces.iter().any(|trace| around(trace) && ends(trace));
        let error = new.machine.outcome().and_then(|outcome| outcome.error.as_ref());
        let out_of_time = error.is_some_and(|error| error.instance.as_deref() == Some("/timeout"));
        let begins = path.is_none() || definition.is_held() || cut_short || out_of_time || first(&new);
        prop_assert!(begins, "{:?} does not begin", path);
        assert_tidy(&new);
        let mut replayed = new.replayed();
        while replayed.machine.wants_to_proceed() {
            replayed.proceed();
        }
        prop_assert_eq!(&replayed.effects, &new.effects);
        prop_assert_eq!(replayed.machine.snapshot(), new.machine.snapshot());
    }

    /// The journal tells the same story again, with the same effects.
    #[test]
    fn replaying_gives_the_same(seed in any::<u64>(), size in 1u64..40, slice in 1u64..12) {
        let (definition, evaluator) = definition(seed, size);
        let mut random = Random::new(seed ^ 0x1234);
        let mut driver = Driver::start(&definition, &evaluator, json!({ "n": 0, "list": [1, 2] }), Some(slice));
        live(&mut driver, &mut random, &mut |_, _, _, _| {});
        assert_tidy(&driver);
        let mut replayed = driver.replayed();
        while replayed.machine.wants_to_proceed() {
            replayed.proceed();
        }
        prop_assert_eq!(&replayed.effects, &driver.effects);
        prop_assert_eq!(&replayed.traces, &driver.traces);
        prop_assert_eq!(replayed.machine.snapshot(), driver.machine.snapshot());
    }
}
