//! What a long run, and very many runs at once, make the core do: counted, not timed.
#![allow(clippy::unwrap_used)]

use std::{collections::VecDeque, sync::Arc};

use potok_dsl::{Millis, RunId, Timestamp};
use serde_json::{Value, json};

use super::{
    Client, Core, Deployed, DueRuns, Durable, Input, Output, Save, StartRun, Stored,
    tests::{core, deployed},
};

fn id(number: u32) -> RunId {
    RunId(uuid::Uuid::from_u128(u128::from(number) + 1))
}

fn start(number: u32, deployed: Deployed, input: Value) -> Input {
    Input::Start(StartRun {
        run: id(number),
        deployed,
        input: Arc::new(input),
        parent: None,
        origin: None,
        trigger: None,
        idempotency_key: None,
        labels: json!({}),
        client: Some(Client(1)),
    })
}

/// Hands the core an input and whatever follows from it, writes and calls being done at once; gives the writes. Stops when nothing more is to be
/// done before a later moment.
fn drive(core: &mut Core, now: Timestamp, input: Input) -> Vec<Save> {
    let (mut inputs, mut saves) = (VecDeque::from([input]), Vec::new());
    loop {
        let input = match inputs.pop_front() {
            Some(input) => input,
            None if core.busy() => Input::Tick,
            None => return saves,
        };
        let mut out = Vec::new();
        core.handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Save(save) => {
                    inputs.push_back(Input::Saved {
                        run: save.run,
                        result: Ok(Durable::default()),
                    });
                    saves.push(*save);
                }
                Output::StartCall { run, effect, .. } => inputs.push_back(Input::CallDone {
                    run,
                    call: effect.call,
                    path: effect.path.clone(),
                    digest: effect.digest.clone(),
                    outcome: Ok(Arc::new(json!(1))),
                    made: None,
                }),
                _ => {}
            }
        }
    }
}

#[test]
fn a_computation_that_outlives_its_history_ends_durably() {
    let mut core = core();
    let looped = deployed("  - loop: { for: { in: .items }, do: [{ one: { set: { n: 1 } } }] }");
    let input = json!({ "items": vec![0; 60_000] });
    let saves = drive(&mut core, Timestamp(1_000), start(0, looped, input));
    let traces: usize = saves.iter().map(|save| save.traces.len()).sum();
    assert_eq!(traces, 100_000, "its history is full");
    assert!(saves.last().unwrap().outcome.is_some(), "its end is written");
    assert_eq!(core.loaded_runs(), 0);
}

/// The entries of the writes, and how many of them were snapshots.
fn written(saves: &[Save]) -> (usize, usize) {
    let entries = saves.iter().map(|save| save.entries.len()).sum();
    (entries, saves.iter().filter(|save| save.snapshot.is_some()).count())
}

#[test]
fn snapshots_cost_in_proportion_to_what_a_run_does() {
    let calls = |items: usize| {
        let tasks = "  - loop: { while: '$index < 6000', for: { in: .items }, do: [{ one: { call: test.effect } }] }";
        let input = json!({ "items": vec![0; items] });
        written(&drive(&mut core(), Timestamp(1_000), start(0, deployed(tasks), input)))
    };
    let (entries, snapshots) = calls(6_000);
    assert_eq!(entries, 6_001);
    // The state has 12,000 parts: the input, and what is looped over.
    assert!((15..=18).contains(&snapshots), "{snapshots} snapshots");
    let (entries, fewer) = calls(100_000);
    assert_eq!(entries, 6_001);
    assert!((1..=3).contains(&fewer), "{fewer} snapshots of 100,000 parts");
    assert!(
        fewer * 100_000 < 2 * 32 * entries,
        "parts that are written for each entry"
    );
}

const SLEEP: &str = "  - sleep: { wait: { minutes: 10 } }";

#[test]
fn a_run_that_sleeps_leaves_memory_when_that_is_durable() {
    let mut core = core();
    let saves = drive(&mut core, Timestamp(1_000), start(0, deployed(SLEEP), json!({})));
    assert_eq!((saves.len(), core.loaded_runs()), (1, 0));
    // One that is about to wake stays.
    let short = deployed("  - sleep: { wait: { milliseconds: 1900 } }");
    drive(&mut core, Timestamp(1_000), start(1, short, json!({})));
    assert_eq!(core.loaded_runs(), 1);
}

#[test]
fn however_many_are_due_so_many_are_read_at_once_and_so_many_fire_before_others_have_their_turn() {
    const RUNS: u32 = 5_000;
    let wakes = Timestamp(601_000);
    let deployed = deployed(SLEEP);
    let mut entries = Vec::new();
    for number in 0..RUNS {
        let mut saves = drive(
            &mut core(),
            Timestamp(1_000),
            start(number, deployed.clone(), json!({})),
        );
        assert_eq!(saves[0].wake_at, Some(wakes));
        entries.push(std::mem::take(&mut saves[0].entries));
    }
    let mut core = core();
    let (mut inputs, mut reading, mut given, mut most) = (VecDeque::new(), VecDeque::new(), 0, 0);
    let early = Timestamp(wakes.0 - 2_000);
    inputs.push_back(Input::Tick);
    loop {
        let Some(input) = inputs.pop_front().or_else(|| {
            let run: RunId = reading.pop_front()?;
            let number = usize::try_from(run.0.as_u128()).unwrap() - 1;
            let stored = Stored {
                deployed: deployed.clone(),
                snapshot: None,
                entries: entries[number].clone(),
                timeline: 1,
                recoveries: 0,
                trigger: None,
                listeners: Vec::new(),
                wake_at: Some(wakes),
                messages: Vec::new(),
            };
            Some(Input::Loaded {
                run,
                result: Ok(Box::new(stored)),
            })
        }) else {
            break;
        };
        let mut out = Vec::new();
        core.handle(early, input, &mut out);
        for output in out {
            match output {
                Output::Load(run) => reading.push_back(run),
                Output::QueryDue { until, limit, .. } => {
                    assert_eq!(until, wakes, "they are asked for ahead of their time");
                    let page: Vec<_> = (given..RUNS).take(limit as usize).map(|n| (wakes, id(n))).collect();
                    given += u32::try_from(page.len()).unwrap();
                    let (runs, more) = (page, given < RUNS);
                    inputs.push_back(Input::Due(Ok(DueRuns { runs, more, next: None })));
                }
                Output::Save(_) => panic!("nothing has happened to them yet"),
                _ => {}
            }
        }
        most = most.max(reading.len());
    }
    assert_eq!(core.loaded_runs(), RUNS as usize);
    assert!(most <= 1_024, "{most} are read at once");
    assert_eq!(core.wakeup(), Some(wakes));
    let (mut turns, mut fired) = (0, 0);
    loop {
        let mut out = Vec::new();
        core.handle(wakes.after(Millis(1)), Input::Tick, &mut out);
        let ended = out.iter().filter(|output| matches!(output, Output::Save(_))).count();
        if ended == 0 {
            break;
        }
        assert!(ended <= 256, "{ended} in one turn");
        (turns, fired) = (turns + 1, fired + ended);
    }
    assert_eq!((turns, fired), (20, RUNS as usize));
}
