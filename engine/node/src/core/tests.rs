//! The core by hand: what goes in, what comes out.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use potok_dsl::{RunId, Timestamp};
use potok_expr::Evaluator;
use potok_machine::testing::compiled;
use serde_json::json;

use super::{
    Answer, Client, Core, CoreConfig, Deployed, Durable, Input, Nudges, Output, SaveFailure, StartRun, Stored,
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
