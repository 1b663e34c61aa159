//! A storm: the engine is killed again and again, also while it starts and while it reads what was under way. Someone outside counts.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use potok_testing::{Reply, Request, Server};
use potok_tests::potok_binary;
use serde_json::json;
use tokio::process::Command;

use crate::{
    engine::{Engine, eventually, text},
    seeds::Random,
};

/// Steps of a run.
const STEPS: usize = 20;

/// Runs that are started in a life.
const RUNS: usize = 3;

/// How often it is killed.
fn kills() -> usize {
    let many = std::env::var("POTOK_TEST_TIER").is_ok_and(|tier| tier == "all");
    if many { 1_000 } else { 20 }
}

/// What the outside has seen of a run: how often it was asked for each step, and the newest step.
#[derive(Default)]
struct Seen {
    keys: HashMap<String, usize>,
    times: HashMap<usize, usize>,
    newest: usize,
    /// Steps that were asked for again though a later one had been asked for.
    late: Vec<usize>,
}

/// A service that counts, by run.
struct Outside {
    server: Server,
    seen: Arc<Mutex<HashMap<String, Seen>>>,
}

impl Outside {
    async fn start() -> Self {
        let seen = Arc::<Mutex<HashMap<String, Seen>>>::default();
        let counted = Arc::clone(&seen);
        let server = Server::start(move |request: &Request| {
            let (run, step) = request.target.trim_start_matches('/').split_once('/').unwrap();
            let step: usize = step.parse().unwrap();
            let key = request.header("idempotency-key").unwrap().to_owned();
            let mut seen = counted.lock().unwrap();
            let run = seen.entry(run.to_owned()).or_default();
            *run.times.entry(step).or_default() += 1;
            let first = run.keys.insert(key, step);
            assert!(first.is_none_or(|first| first == step), "one key for two steps");
            if step < run.newest {
                run.late.push(step);
            }
            run.newest = run.newest.max(step);
            Reply::Json(200, json!({}))
        })
        .await;
        Self { server, seen }
    }
}

fn workflow(outside: &str) -> String {
    let mut text = "document: { dsl: '1.0.3', namespace: crash, name: storm, version: '1.0.0' }\ndo:\n".to_owned();
    for step in 0..STEPS {
        text.push_str(&format!(
            "  - s{step}: {{ call: http, with: {{ method: post, endpoint: '{outside}/{{run}}/{step}' }}, output: {{ as: '${{ $input }}' }} }}\n"
        ));
    }
    text
}

/// Kills it somewhere in its start.
async fn die_young(data: &std::path::Path, random: &mut Random) {
    let mut child = Command::new(potok_binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(random.below(500))).await;
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_a_storm() {
    let outside = Outside::start().await;
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("potok.toml"), "[egress]\nallow = [\"127.0.0.1\"]\n").unwrap();
    let mut random = Random::new(std::env::var("POTOK_SEED").map_or(1, |seed| seed.parse().unwrap()));
    let engine = Engine::start(data.path()).await;
    engine.deploy(&workflow(&outside.server.url())).await;
    engine.kill().await;

    let mut runs = Vec::new();
    for life in 0..kills() {
        if random.below(3) == 0 {
            die_young(data.path(), &mut random).await;
            continue;
        }
        let engine = Engine::start(data.path()).await;
        for number in 0..RUNS {
            let run = format!("r{life}-{number}");
            runs.push(engine.start_run("crash/storm", &json!({ "run": run }), &run).await);
        }
        tokio::time::sleep(Duration::from_millis(random.below(150))).await;
        engine.kill().await;
    }

    let engine = Engine::start(data.path()).await;
    for run in &runs {
        let ended = eventually(&format!("run {run} ends"), || async {
            let view = engine.run(run).await;
            match text(&view["status"]).as_str() {
                // Three lives without progress, as they come in a storm: a person says that it may go on.
                "suspended" => drop(engine.make(run, "resume", &json!({})).await),
                "completed" | "faulted" | "cancelled" => return Some(view),
                _ => {}
            }
            None
        })
        .await;
        assert_eq!(text(&ended["status"]), "completed", "{ended:#}");
    }
    let seen = outside.seen.lock().unwrap();
    assert_eq!(
        seen.len(),
        runs.len(),
        "runs that nobody asked for, or that did nothing"
    );
    let mut repeated = 0;
    for (run, seen) in seen.iter() {
        assert_eq!(seen.keys.len(), STEPS, "{run}: a key a step");
        assert_eq!(seen.times.len(), STEPS, "{run}: all steps");
        assert_eq!(
            seen.late,
            Vec::<usize>::new(),
            "{run}: a step came again after the next one"
        );
        repeated += seen.times.values().filter(|times| **times > 1).count();
    }
    eprintln!("{} kills, {} runs, {repeated} steps came again", kills(), runs.len());
}
