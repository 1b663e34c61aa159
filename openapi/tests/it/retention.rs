//! Runs that leave the store when their time is over.

use std::{path::Path, time::Duration};

use potok_node::{NodeConfig, RunRetention};
use serde_json::{Value, json};

use crate::rig::{GREET, Rig, SLEEP};

/// The lines of all files of an archive.
fn archived(directory: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(directory).into_iter().flatten();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let lines = texts.flat_map(|text| {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<_>>()
    });
    lines.collect()
}

#[tokio::test]
async fn the_newest_stay_and_the_others_are_archived() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive");
    let rig = Rig::with(NodeConfig {
        runs: Some(RunRetention {
            age: None,
            count: Some(2),
            archive: archive.clone(),
            every: Duration::from_millis(20),
        }),
        ..NodeConfig::default()
    })
    .await;
    rig.deploy(GREET).await.ok(201);
    rig.deploy(SLEEP).await.ok(201);
    let open = rig
        .post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
        .await
        .ok(202);
    let mut runs = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let run = rig
            .post("/workflows/test/greet/runs?wait=30s", &json!({ "name": name }))
            .await;
        runs.push(run.ok(200));
        // Runs that end in the same millisecond stay together.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let left = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let listed = rig.get("/runs").await.ok(200)["runs"].as_array().unwrap().clone();
            if listed.len() == 3 {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let left: Vec<Value> = left.await.unwrap().iter().map(|run| run["id"].clone()).collect();
    assert_eq!(left, [runs[4]["id"].clone(), runs[3]["id"].clone(), open["id"].clone()]);
    rig.get(&format!("/runs/{}", runs[0]["id"].as_str().unwrap()))
        .await
        .problem(404);

    let lines = archived(&archive);
    let ids: Vec<_> = lines.iter().map(|line| &line["run"]["id"]).collect();
    assert_eq!(ids, [&runs[0]["id"], &runs[1]["id"], &runs[2]["id"]]);
    let first = &lines[0]["run"];
    for member in [
        "status",
        "input",
        "output",
        "workflow",
        "createdAt",
        "endedAt",
        "definition",
    ] {
        assert_eq!(first[member], runs[0][member], "{member}");
    }
    let events: Vec<_> = lines[0]["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event"])
        .collect();
    assert_eq!(events, ["started", "completed"]);
    assert_eq!(lines[0]["history"][1]["output"], json!({ "greeting": "Hello, a" }));
    assert!(lines[0]["history"][0]["time"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn what_cannot_be_archived_stays() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive");
    std::fs::write(&archive, "a file where the directory is to be").unwrap();
    let rig = Rig::with(NodeConfig {
        runs: Some(RunRetention {
            age: Some(Duration::from_millis(1)),
            count: None,
            archive: archive.clone(),
            every: Duration::from_millis(10),
        }),
        ..NodeConfig::default()
    })
    .await;
    rig.deploy(GREET).await.ok(201);
    rig.post("/workflows/test/greet/runs?wait=30s", &json!({ "name": "a" }))
        .await
        .ok(200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.get("/runs").await.ok(200)["runs"].as_array().unwrap().len(), 1);
    std::fs::remove_file(&archive).unwrap();
    let gone = tokio::time::timeout(Duration::from_secs(30), async {
        while !rig.get("/runs").await.ok(200)["runs"].as_array().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    gone.await.unwrap();
    assert_eq!(archived(&archive).len(), 1);
}
