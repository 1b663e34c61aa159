//! A storm: the engine is killed again and again, also while it starts and while it reads what was under way. Someone outside counts.

use std::{process::Stdio, time::Duration};

use potok_tests::potok_binary;
use serde_json::json;
use tokio::process::Command;

use crate::{
    engine::{Engine, eventually, text},
    outside::Outside,
    seeds::Random,
};

/// Runs that are started in a life.
const RUNS: usize = 3;

/// How often it is killed.
fn kills() -> usize {
    let many = std::env::var("POTOK_TEST_TIER").is_ok_and(|tier| tier == "all");
    if many { 1_000 } else { 20 }
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
    engine.deploy(&outside.workflow("storm")).await;
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
    let repeated = outside.check(runs.len());
    eprintln!("{} kills, {} runs, {repeated} steps came again", kills(), runs.len());
}
