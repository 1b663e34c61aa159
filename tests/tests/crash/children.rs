//! Runs of runs: a child starts once, its end reaches its parent, and nobody is left behind, wherever the engine dies.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Engine, eventually, text};
use crate::seeds::{Random, seeds};

/// Long enough for its parent to leave memory before it ends.
const CHILD: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: child, version: '1.0.0' }
do:
  - rest: { wait: '${ { milliseconds: .rest } }' }
  - answer: { set: { answer: '${ $context.n * 2 }' } }
";

const PARENT: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: parent, version: '1.0.0' }
do:
  - ask:
      for: { each: i, in: '${ [range(3)] }' }
      do:
        - child:
            run:
              workflow:
                { namespace: crash, name: child, version: latest, input: { n: '${ $i }', rest: '${ $context.rest }' } }
      metadata: { potok: { collect: true } }
";

const RUNS: u64 = 6;

/// How long the children of a run rest; those of the last one longer than a run that only waits stays in memory.
fn rest(n: u64) -> u64 {
    if n + 1 == RUNS { 2_600 } else { 40 * n }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_start_once_and_their_ends_arrive() {
    for seed in seeds(2, 8) {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let data = tempfile::tempdir().unwrap();
        let mut engine = Engine::start(data.path()).await;
        engine.deploy(CHILD).await;
        engine.deploy(PARENT).await;
        let mut runs = Vec::new();
        for n in 0..RUNS {
            let input = json!({ "rest": rest(n) });
            runs.push(engine.start_run("crash/parent", &input, &format!("run-{n}")).await);
        }
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(random.below(1_500))).await;
            engine.kill().await;
            engine = Engine::start(data.path()).await;
        }
        for run in &runs {
            let ended = engine.ended(run).await;
            assert_eq!(
                ended["output"],
                json!([{ "answer": 0 }, { "answer": 2 }, { "answer": 4 }]),
                "{ended:#}"
            );
        }
        let children = engine.runs("child").await;
        assert_eq!(children.len() as u64, 3 * RUNS, "seed {seed}: a child started twice");
        assert!(children.iter().all(|child| child["status"] == "completed"));
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_the_children_over_a_crash() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::start(data.path()).await;
    engine
        .deploy(&CHILD.replace("'${ { milliseconds: .rest } }'", "PT1H"))
        .await;
    engine.deploy(PARENT).await;
    let run = engine.start_run("crash/parent", &json!({ "rest": 1 }), "only").await;
    let there = |children: Vec<Value>| (!children.is_empty()).then_some(children);
    eventually("the child is there", || async { there(engine.runs("child").await) }).await;
    engine.cancel(&run).await;
    engine.kill().await;
    let engine = Engine::start(data.path()).await;
    assert_eq!(engine.run(&run).await["status"], "cancelled");
    let child = text(&engine.runs("child").await[0]["id"]);
    assert_eq!(engine.ended(&child).await["status"], "cancelled");
    engine.stop().await;
}
