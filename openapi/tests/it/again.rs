//! Runs that are made from other runs.

use std::{sync::Arc, time::Duration};

use potok_journal::SqliteStore;
use potok_node::NodeConfig;
use serde_json::{Value, json};

use crate::rig::{FAULT, GREET, KEY, Rig, SLEEP};

/// Completes one task, then faults at the next while `fail` holds.
const STEPS: &str = r"
document: { dsl: '1.0.3', namespace: test, name: steps, version: '1.0.0' }
do:
  - first: { set: { n: '${ .n + 1 }', fail: '${ .fail }' } }
  - check:
      do:
        - raise: { raise: { error: { type: 'https://example.com/no', status: 400 } }, if: '${ .fail }' }
        - pass: { set: { n: '${ .n * 10 }' } }
";

fn id(run: &Value) -> &str {
    run["id"].as_str().unwrap()
}

async fn run(rig: &Rig, name: &str, input: Value) -> Value {
    rig.post(&format!("/workflows/test/{name}/runs?wait=30s"), &input)
        .await
        .ok(200)
}

#[tokio::test]
async fn a_faulted_run_is_retried_once() {
    let rig = Rig::empty().await;
    rig.deploy(STEPS).await.ok(201);
    let old = run(&rig, "steps", json!({ "n": 1, "fail": true })).await;
    assert_eq!(old["status"], "faulted");
    let path = format!("/runs/{}/retry?wait=30s", id(&old));
    let new = rig.post(&path, &json!({})).await.ok(200);
    assert_eq!((&new["status"], &new["input"]), (&json!("faulted"), &old["input"]));
    assert_eq!(
        new["origin"],
        json!({ "run": old["id"], "path": "/do/1/check/do/0/raise" })
    );
    assert_eq!(rig.post(&path, &json!({})).await.ok(200)["id"], new["id"]);
    let listed = rig.get(&format!("/runs?origin={}", id(&old))).await.ok(200);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);
    assert_eq!(listed["runs"][0]["origin"]["run"], old["id"]);
    let history = rig.get(&format!("/runs/{}/history", id(&new))).await.ok(200);
    assert_eq!(
        history["events"][0]["path"], "/do/1/check",
        "what is around it is shown"
    );
    assert!(!history.to_string().contains("/do/0/first"), "{history}");

    let diff = rig.get(&format!("/runs/{}/diff", id(&new))).await.ok(200);
    assert_eq!(
        (&diff["differences"], &diff["tasks"]),
        (&json!([]), &json!([])),
        "{diff}"
    );
}

#[tokio::test]
async fn a_run_is_restarted_from_any_task() {
    let rig = Rig::empty().await;
    rig.deploy(STEPS).await.ok(201);
    let old = run(&rig, "steps", json!({ "n": 1, "fail": true })).await;
    let restart = async |body: Value| rig.post(&format!("/runs/{}/restart?wait=30s", id(&old)), &body).await;
    let new = restart(json!({ "from": "/do/1/check", "input": { "n": 7, "fail": false } }))
        .await
        .ok(200);
    assert_eq!(
        (&new["status"], &new["output"]),
        (&json!("completed"), &json!({ "n": 70 }))
    );
    let diff = rig.get(&format!("/runs/{}/diff", id(&new))).await.ok(200);
    let whats: Vec<_> = diff["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["what"])
        .collect();
    assert_eq!(whats, ["status", "output", "error"]);
    let told: Vec<_> = diff["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| &task["path"])
        .collect();
    assert_eq!(
        told,
        ["/do/1/check", "/do/1/check/do/0/raise", "/do/1/check/do/1/pass"],
        "{diff}"
    );
    assert_eq!(diff["tasks"][0]["this"]["event"], "completed");
    assert_eq!(diff["tasks"][0]["with"]["event"], "faulted");

    let whole = restart(json!({ "input": { "n": 2, "fail": false } })).await.ok(200);
    assert_eq!(
        (&whole["output"], &whole["input"]["n"]),
        (&json!({ "n": 30 }), &json!(2))
    );
    assert_eq!(whole["origin"], json!({ "run": old["id"] }));

    let newer = STEPS
        .replace("'1.0.0'", "'2.0.0'")
        .replace("do:\n  - first", "do:\n  - zero: { set: { zero: true } }\n  - first")
        .replace("'${ .n * 10 }'", "'${ .n * 100 }'")
        .replace("'${ .fail }' }\n        - pass", "'${ false }' }\n        - pass");
    rig.deploy(&newer).await.ok(201);
    let new = restart(json!({ "from": "/do/1/check/do/0/raise", "version": "2.0.0" }))
        .await
        .ok(200);
    assert_eq!(
        (&new["output"], &new["workflow"]["version"]),
        (&json!({ "n": 200 }), &json!("2.0.0"))
    );

    assert!(
        restart(json!({ "from": "/do/9/none" }))
            .await
            .problem(409)
            .contains("'/do/9/none'")
    );
    restart(json!({ "from": "/do/0/first", "version": "3.0.0" }))
        .await
        .problem(404);
    for bad in [
        json!({ "from": 7 }),
        json!({ "from": "first" }),
        json!({ "form": "/do/0/first" }),
        json!({ "version": "x" }),
    ] {
        restart(bad).await.problem(400);
    }
}

#[tokio::test]
async fn a_run_that_goes_on_is_forked_and_not_restarted() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let old = rig
        .post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
        .await
        .ok(202);
    let ask = async |what: &str| {
        rig.post(&format!("/runs/{}/{what}", id(&old)), &json!({ "from": "/do/1/sleep" }))
            .await
    };
    assert!(ask("restart").await.problem(409).contains("fork it"));
    assert!(ask("retry").await.problem(409).contains("is waiting"));
    let new = ask("fork").await.ok(202);
    assert_eq!(new["origin"], json!({ "run": old["id"], "path": "/do/1/sleep" }));
    assert_ne!(new["id"], old["id"]);
    for run in [&old, &new] {
        assert_eq!(
            rig.get(&format!("/runs/{}", id(run))).await.ok(200)["status"],
            "waiting"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_in_words() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    rig.deploy(FAULT).await.ok(201);
    let done = run(&rig, "greet", json!({ "name": "Ann" })).await;
    let retried = rig.post(&format!("/runs/{}/retry", id(&done)), &json!({})).await;
    assert!(retried.problem(409).contains("is completed"));
    let body = json!({ "input": { "name": 7 } });
    rig.post(&format!("/runs/{}/restart", id(&done)), &body)
        .await
        .problem(422);
    assert!(
        rig.get(&format!("/runs/{}/diff", id(&done)))
            .await
            .problem(409)
            .contains("was not made from")
    );
    let faulted = run(&rig, "fault", json!({})).await;
    let diff = rig
        .get(&format!("/runs/{}/diff?with={}", id(&done), id(&faulted)))
        .await
        .ok(200);
    assert_eq!(diff["differences"][0]["what"], "workflow");
    let gone = "01890a5d-ac96-774b-bcce-b302099a8057";
    for what in ["retry", "restart", "fork"] {
        rig.post(&format!("/runs/{gone}/{what}"), &json!({})).await.problem(404);
    }
    rig.get(&format!("/runs/{gone}/diff")).await.problem(404);
}

/// What a run was made with is durable: it is read again like any other.
#[tokio::test]
async fn a_run_that_was_made_survives_a_restart_of_the_server() {
    let file = tempfile::tempdir().unwrap();
    let open = || Arc::new(SqliteStore::open(file.path().join("potok.db"), &potok_journal::Config::default()).unwrap());
    let text = r"
document: { dsl: '1.0.3', namespace: test, name: nap, version: '1.0.0' }
do:
  - first: { set: { kept: true }, export: { as: '${ . }' } }
  - nap: { wait: { milliseconds: 1500 } }
  - last: { set: '${ { context: $context, input: . } }' }
";
    let rig = Rig::on(open(), KEY, NodeConfig::default()).await;
    rig.deploy(text).await.ok(201);
    let old = rig.post("/workflows/test/nap/runs?wait=50ms", &json!({})).await.ok(202);
    let body = json!({ "from": "/do/1/nap", "input": { "n": 1 } });
    let new = rig.post(&format!("/runs/{}/fork", id(&old)), &body).await.ok(202);
    rig.server.stop().await;
    rig.node.stop().await;
    drop(rig.node);
    tokio::time::timeout(Duration::from_secs(20), async {
        while std::fs::File::open(file.path().join("potok.db.lock"))
            .unwrap()
            .try_lock()
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let rig = Rig::on(open(), KEY, NodeConfig::default()).await;
    let ended = rig
        .node
        .wait(potok_dsl::RunId(id(&new).parse().unwrap()), Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(
        ended.output,
        Some(json!({ "context": { "kept": true }, "input": { "n": 1 } }))
    );
}
