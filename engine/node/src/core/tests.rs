//! The core by hand: what goes in, what comes out.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use potok_dsl::{RunId, Timestamp};
use potok_expr::Evaluator;
use potok_machine::testing::compiled;
use serde_json::json;

use super::{
    Answer, Client, Command, Core, CoreConfig, Deployed, Durable, Input, Nudges, Output, SaveFailure, StartRun, Stored,
    live::MOST_UNSAVED,
};

const RUN: RunId = RunId(uuid::Uuid::from_bytes([1; 16]));

pub(super) fn core() -> Core {
    Core::new(CoreConfig::default(), Evaluator::native())
}

pub(super) fn deployed(tasks: &str) -> Deployed {
    let text = format!("document: {{ dsl: '1.0.3', namespace: test, name: small, version: '1.0.0' }}\ndo:\n{tasks}");
    Deployed {
        hash: "hash".into(),
        definition: compiled(&text, &Evaluator::native()),
    }
}

fn start(run: RunId, tasks: &str) -> Input {
    Input::Start(StartRun {
        run,
        deployed: deployed(tasks),
        input: Arc::new(json!({})),
        parent: None,
        origin: None,
        trigger: None,
        idempotency_key: None,
        labels: json!({}),
        client: None,
    })
}

fn take(core: &mut Core, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    core.handle(Timestamp(1_000), input, &mut out);
    out
}

fn answers(out: &[Output]) -> Vec<(u64, String)> {
    let answer = |output: &Output| match output {
        Output::Answer(client, answer) => Some((client.0, format!("{answer:?}"))),
        _ => None,
    };
    out.iter().filter_map(answer).collect()
}

#[test]
fn a_wait_that_is_over_before_the_start_is_durable_hears_of_the_start_when_it_is() {
    let mut core = core();
    take(
        &mut core,
        Input::Wait {
            run: RUN,
            client: Client(1),
        },
    );
    take(&mut core, start(RUN, "  - sleep: { wait: { seconds: 9 } }"));
    let out = take(
        &mut core,
        Input::Accepted {
            run: RUN,
            client: Client(2),
        },
    );
    assert!(answers(&out).is_empty());
    assert!(
        out.iter().any(|output| matches!(output, Output::Save(_))),
        "it is written at once"
    );
    let out = take(
        &mut core,
        Input::Saved {
            run: RUN,
            result: Ok(Durable::default()),
        },
    );
    assert_eq!(answers(&out), [(2, format!("{:?}", Answer::Started(RUN)))]);
    let out = take(
        &mut core,
        Input::Accepted {
            run: RUN,
            client: Client(3),
        },
    );
    assert_eq!(answers(&out).len(), 1, "it is durable already");
}

#[test]
fn a_wait_that_is_over_hears_that_the_start_was_refused() {
    let mut core = core();
    take(
        &mut core,
        Input::Wait {
            run: RUN,
            client: Client(1),
        },
    );
    take(&mut core, start(RUN, "  - sleep: { wait: { seconds: 9 } }"));
    take(
        &mut core,
        Input::Accepted {
            run: RUN,
            client: Client(2),
        },
    );
    let failure = SaveFailure::Unavailable("the disk is full".to_owned());
    let out = take(
        &mut core,
        Input::Saved {
            run: RUN,
            result: Err(failure),
        },
    );
    assert!(
        answers(&out)
            .iter()
            .all(|(_, answer)| answer.contains("the disk is full"))
    );
    assert_eq!(answers(&out).len(), 2);
}

#[test]
fn a_command_is_answered_though_the_disk_is_full_and_taken_all_the_same() {
    let mut core = core();
    take(&mut core, start(RUN, "  - sleep: { wait: { seconds: 1 } }"));
    take(
        &mut core,
        Input::Accepted {
            run: RUN,
            client: Client(1),
        },
    );
    let saved = |result| Input::Saved { run: RUN, result };
    take(&mut core, saved(Ok(Durable::default())));
    take(
        &mut core,
        Input::Command {
            run: RUN,
            command: Command::Cancel(None),
            client: Client(2),
        },
    );
    let full = SaveFailure::Unavailable("the disk is full".to_owned());
    let out = take(&mut core, saved(Err(full)));
    assert!(matches!(&answers(&out)[..], [(2, answer)] if answer.contains("the disk is full")));
    let mut out = Vec::new();
    core.handle(Timestamp(20_000), Input::Tick, &mut out);
    let save = out.iter().find_map(|output| match output {
        Output::Save(save) => Some(save),
        _ => None,
    });
    assert_eq!(save.unwrap().status, potok_machine::Status::Cancelled);
}

#[test]
fn a_node_stops_though_the_disk_is_full() {
    let mut core = core();
    take(&mut core, start(RUN, "  - sleep: { wait: { seconds: 1 } }"));
    let saved = |result| Input::Saved { run: RUN, result };
    take(
        &mut core,
        Input::Accepted {
            run: RUN,
            client: Client(1),
        },
    );
    take(&mut core, saved(Ok(Durable::default())));
    let mut out = take(&mut core, Input::Stop);
    for _ in 0..10 {
        if !out.iter().any(|output| matches!(output, Output::Save(_))) {
            break;
        }
        let full = SaveFailure::Unavailable("the disk is full".to_owned());
        out = take(&mut core, saved(Err(full)));
    }
    assert!(out.iter().any(|output| matches!(output, Output::Stopped)));
}

#[test]
fn what_is_unwritten_has_an_end() {
    let mut core = core();
    let again = "  - ask: { call: test.pure, then: ask }";
    let mut out = take(&mut core, start(RUN, again));
    let mut calls = 0;
    for _ in 0..3 * MOST_UNSAVED {
        let mut more = Vec::new();
        for output in out.drain(..) {
            let input = match output {
                Output::StartCall { run, effect, .. } => {
                    calls += 1;
                    Input::CallDone {
                        run,
                        call: effect.call,
                        path: effect.path.clone(),
                        digest: effect.digest.clone(),
                        outcome: Ok(Arc::new(json!({}))),
                        made: None,
                    }
                }
                // The first write is durable; no other one is, for the disk is full.
                Output::Save(save) if save.after == 0 => Input::Saved {
                    run: RUN,
                    result: Ok(Durable::default()),
                },
                Output::Save(_) => Input::Saved {
                    run: RUN,
                    result: Err(SaveFailure::Unavailable("the disk is full".to_owned())),
                },
                _ => continue,
            };
            more.extend(take(&mut core, input));
        }
        out = more;
    }
    // So many are unwritten, and as many as were begun before the first write.
    assert!((MOST_UNSAVED..=MOST_UNSAVED + 300).contains(&calls), "{calls} calls");
    let mut out = Vec::new();
    core.handle(Timestamp(60_000), Input::Tick, &mut out);
    assert!(
        out.iter().any(|output| matches!(output, Output::Save(_))),
        "it is tried again"
    );
    let out = take(
        &mut core,
        Input::Saved {
            run: RUN,
            result: Ok(Durable::default()),
        },
    );
    assert!(
        out.iter().any(|output| matches!(output, Output::StartCall { .. })),
        "it goes on"
    );
}

/// What a node left behind of a run that had come to a call.
fn left_behind(core: &mut Core, tasks: &str) -> Box<Stored> {
    let out = take(core, start(RUN, tasks));
    let save = out.iter().find_map(|output| match output {
        Output::Save(save) => Some(save),
        _ => None,
    });
    Box::new(Stored {
        deployed: deployed(tasks),
        snapshot: None,
        entries: save.unwrap().entries.clone(),
        timeline: 0,
        recoveries: 0,
        trigger: None,
        listeners: Vec::new(),
        wake_at: Some(Timestamp(0)),
        messages: Vec::new(),
    })
}

#[test]
fn a_call_that_may_have_left_is_not_made_again_when_it_says_so() {
    let call =
        |delivery: &str| format!("  - ask: {{ call: test.effect, metadata: {{ potok: {{ delivery: {delivery} }} }} }}");
    for (delivery, again) in [("atMostOnce", false), ("atLeastOnce", true)] {
        let stored = left_behind(&mut core(), &call(delivery));
        let mut core = core();
        take(
            &mut core,
            Input::Nudged(Nudges {
                runs: vec![RUN],
                more: false,
            }),
        );
        let out = take(
            &mut core,
            Input::Loaded {
                run: RUN,
                result: Ok(stored),
            },
        );
        let made = out.iter().any(|output| matches!(output, Output::StartCall { .. }));
        assert_eq!(made, again, "{delivery}");
        let ended = out.iter().find_map(|output| match output {
            Output::Save(save) => save.outcome.clone(),
            _ => None,
        });
        let error = ended.and_then(|outcome| outcome.error).and_then(|error| error.title);
        assert_eq!(error.as_deref(), (!again).then_some("Call may have been made"));
    }
}
