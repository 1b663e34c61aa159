//! Runs of a key one after the other, wherever the engine dies: none begins beside another, none waits for ever.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Engine, text};
use crate::seeds::{Random, seeds};

const ALONE: &str = r"
document:
  dsl: '1.0.3'
  namespace: crash
  name: alone
  version: '1.0.0'
  metadata: { potok: { concurrency: { key: '${ .account }', limit: 1 } } }
do:
  - rest: { wait: { milliseconds: 150 } }
  - note: { set: { done: true } }
";

const RUNS: u64 = 12;

/// From when to when a run has done something, in the words of its history.
fn span(history: &[Value]) -> (String, String) {
    let time = |event: Option<&Value>| text(&event.expect("it has done something")["time"]);
    (time(history.first()), time(history.last()))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_over_crashes() {
    for seed in seeds(2, 8) {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let data = tempfile::tempdir().unwrap();
        let mut engine = Engine::start(data.path()).await;
        engine.deploy(ALONE).await;
        let mut runs = Vec::new();
        for n in 0..RUNS {
            let input = json!({ "account": n % 2 });
            runs.push(engine.start_run("crash/alone", &input, &format!("run-{n}")).await);
        }
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(random.below(500))).await;
            engine.kill().await;
            engine = Engine::start(data.path()).await;
        }
        for account in 0..2 {
            let mut spans = Vec::new();
            for run in runs.iter().skip(account).step_by(2) {
                let ended = engine.ended(run).await;
                assert_eq!(ended["output"], json!({ "done": true }), "seed {seed}: {ended:#}");
                spans.push(span(&engine.history(run).await));
            }
            let in_order = spans.windows(2).all(|two| two[0].1 <= two[1].0);
            assert!(
                in_order,
                "seed {seed}: two runs of a key at once, or not in their order: {spans:#?}"
            );
        }
        engine.stop().await;
    }
}
