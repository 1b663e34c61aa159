//! The core by hand: what goes in, what comes out.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use potok_dsl::{RunId, Timestamp};
use potok_expr::Evaluator;
use potok_machine::testing::compiled;
use serde_json::json;

use super::{Answer, Client, Core, CoreConfig, Deployed, Input, Nudges, Output, SaveFailure, StartRun};

const RUN: RunId = RunId(uuid::Uuid::from_bytes([1; 16]));

fn core() -> Core {
    Core::new(CoreConfig::default(), Evaluator::native())
}

fn deployed(tasks: &str) -> Deployed {
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
            result: Ok(Nudges::default()),
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
