//! What limits runs and tasks across runs: rates.

use serde_json::{Value, json};

use crate::rig::Rig;

const POST: &str = r"
document: { dsl: '1.0.3', namespace: test, name: post, version: '1.0.0' }
do:
  - post:
      set: { at: '${ $task.startedAt.epoch.milliseconds }' }
      metadata: { potok: { rate: { limit: 2, per: second, key: '${ .account }' } } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_task_begins_no_more_often_than_its_rate_says() {
    let rig = Rig::empty().await;
    rig.deploy(POST).await.ok(201);
    let begin = |account: &'static str| {
        let rig = &rig;
        async move {
            let path = "/workflows/test/post/runs?wait=60s";
            rig.post(path, &json!({ "account": account })).await.ok(200)
        }
    };
    let started = std::time::Instant::now();
    let (runs, other) = tokio::join!(futures::future::join_all((0..5).map(|_| begin("a"))), begin("b"));
    let mut times: Vec<i64> = runs.iter().map(|run| run["output"]["at"].as_i64().unwrap()).collect();
    times.sort_unstable();
    assert!(times.windows(3).all(|three| three[2] - three[0] >= 1_000), "{times:?}");
    assert_eq!(other["status"], "completed");
    assert!(started.elapsed().as_millis() >= 2_000);
    let id = runs.iter().max_by_key(|run| run["output"]["at"].as_i64()).unwrap()["id"]
        .as_str()
        .unwrap();
    let history = rig.get(&format!("/runs/{id}/history")).await.ok(200);
    let events: Vec<&Value> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event"])
        .collect();
    assert_eq!(events, ["started", "delayed", "completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_its_turn_can_be_cancelled() {
    let rig = Rig::empty().await;
    rig.deploy(&POST.replace("limit: 2, per: second", "limit: 1, per: hour"))
        .await
        .ok(201);
    let path = "/workflows/test/post/runs";
    rig.post(&format!("{path}?wait=60s"), &json!({ "account": "a" }))
        .await
        .ok(200);
    let run = rig
        .post(&format!("{path}?wait=500ms"), &json!({ "account": "a" }))
        .await
        .ok(202);
    assert_eq!(run["status"], "waiting", "{run}");
    let id = run["id"].as_str().unwrap();
    let run = rig.post(&format!("/runs/{id}/cancel"), &json!({})).await.ok(200);
    assert_eq!(run["status"], "cancelled");
    let failing = rig.post(&format!("{path}?wait=60s"), &json!({})).await.ok(200);
    assert_eq!(failing["error"]["status"], 400, "{failing}");
}
