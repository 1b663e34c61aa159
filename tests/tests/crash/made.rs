//! Runs that are made from others, and runs that leave, wherever the engine dies: what was acknowledged is there, here or in the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Engine, eventually, text};
use crate::seeds::{Random, seeds};

/// Faults in the middle, while the other branch waits; what was done before is told by the context.
const HALF: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: half, version: '1.0.0' }
do:
  - before: { set: { n: '${ .n }' }, export: { as: '${ . }' } }
  - rest: { wait: { milliseconds: 60 } }
  - check: { raise: { error: { type: 'https://example.com/no', status: 400 } }, if: '${ (.edited | not) }' }
  - after: { wait: { milliseconds: 60 } }
  - report: { set: '${ { n: $context.n, edited: .edited } }' }
";

const RUNS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_were_made_from_others_end() {
    for seed in seeds(2, 8) {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let data = tempfile::tempdir().unwrap();
        let mut engine = Engine::start(data.path()).await;
        engine.deploy(HALF).await;
        let mut made = BTreeMap::new();
        for n in 0..RUNS {
            let old = engine
                .start_run("crash/half", &json!({ "n": n }), &format!("run-{n}"))
                .await;
            assert_eq!(engine.ended(&old).await["status"], "faulted");
            let retried = text(&engine.make(&old, "retry", &json!({})).await["id"]);
            let edited = json!({ "from": "/do/2/check", "input": { "edited": n } });
            made.insert(
                text(&engine.make(&old, "restart", &edited).await["id"]),
                (n, old.clone(), retried),
            );
            if n % 3 == 2 {
                tokio::time::sleep(Duration::from_millis(random.below(120))).await;
                engine.kill().await;
                engine = Engine::start(data.path()).await;
            }
        }
        for (run, (n, old, retried)) in &made {
            let ended = engine.ended(run).await;
            assert_eq!(
                ended["output"],
                json!({ "n": n, "edited": n }),
                "seed {seed}: {ended:#}"
            );
            assert_eq!(ended["origin"], json!({ "run": old, "path": "/do/2/check" }));
            let history = engine.history(run).await;
            let again = |event: &Value| event["path"] == "/do/0/before" || event["path"] == "/do/1/rest";
            assert!(!history.iter().any(again), "seed {seed}: {history:#?}");
            assert_eq!(engine.ended(retried).await["status"], "faulted");
            let same = engine.make(old, "retry", &json!({})).await;
            assert_eq!(
                text(&same["id"]),
                *retried,
                "seed {seed}: one run, however often it is asked for"
            );
        }
        engine.stop().await;
    }
}

const BRIEF: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: brief, version: '1.0.0' }
do:
  - one: { set: { n: '${ .n }', text: '${ .text }' } }
  - two: { set: { n: '${ .n }' } }
";

/// How many runs stay.
const KEPT: usize = 5;

/// The whole lines of an archive, by the run's id.
fn archived(directory: &Path) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(directory).into_iter().flatten();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.map(|line| (text(&line["run"]["id"]), line)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_leave_are_in_the_archive() {
    for seed in seeds(2, 8) {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let data = tempfile::tempdir().unwrap();
        let archive = data.path().join("archived");
        let mut engine = Engine::start(data.path()).await;
        engine.deploy(BRIEF).await;
        let mut runs = BTreeSet::new();
        for n in 0..60 {
            // Some have values of their own, which go with them.
            let text = if n % 4 == 0 {
                format!("{n} ").repeat(40_000)
            } else {
                String::new()
            };
            let run = engine
                .start_run("crash/brief", &json!({ "n": n, "text": text }), &format!("run-{n}"))
                .await;
            engine.ended(&run).await;
            runs.insert(run);
        }
        engine.kill().await;
        let settings = format!("[retention]\ncount = {KEPT}\narchive = \"{}\"\n", archive.display());
        std::fs::write(data.path().join("potok.toml"), settings).unwrap();
        for _ in 0..4 {
            engine = Engine::start(data.path()).await;
            tokio::time::sleep(Duration::from_millis(random.below(60))).await;
            engine.kill().await;
        }
        engine = Engine::start(data.path()).await;
        let left = eventually("the others leave", || async {
            let left = engine.runs("brief").await;
            (left.len() == KEPT).then_some(left)
        })
        .await;
        let left: BTreeSet<String> = left.iter().map(|run| text(&run["id"])).collect();
        let gone = archived(&archive);
        for run in &runs {
            if left.contains(run) {
                assert_eq!(engine.history(run).await.len(), 4);
                continue;
            }
            let line = gone.get(run).unwrap_or_else(|| panic!("seed {seed}: {run} is nowhere"));
            assert_eq!(line["run"]["output"]["n"], line["run"]["input"]["n"]);
            assert_eq!(line["history"].as_array().unwrap().len(), 4, "seed {seed}: {line}");
        }
        engine.stop().await;
    }
}
