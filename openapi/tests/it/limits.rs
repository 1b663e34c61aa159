//! What limits runs and tasks across runs: rates, places.

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

fn alone(name: &str, conflict: &str) -> String {
    format!(
        r"
document:
  dsl: '1.0.3'
  namespace: test
  name: {name}
  version: '1.0.0'
  metadata: {{ potok: {{ concurrency: {{ limit: 1, key: '${{ $workflow.input.account }}', onConflict: {conflict} }} }} }}
do:
  - rest: {{ wait: '${{ {{ milliseconds: .rest }} }}' }}
"
    )
}

impl Rig {
    async fn begin(&self, name: &str, account: &str, rest: u64) -> crate::rig::Answer {
        let input = json!({ "account": account, "rest": rest });
        self.post(&format!("/workflows/test/{name}/runs"), &input).await
    }

    async fn ended(&self, run: &Value) -> Value {
        let id = run["id"].as_str().unwrap();
        loop {
            let run = self.get(&format!("/runs/{id}")).await.ok(200);
            if run["endedAt"].is_string() {
                return run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_key_wait_for_each_other() {
    let rig = Rig::empty().await;
    rig.deploy(&alone("alone", "queue")).await.ok(201);
    let mut runs = Vec::new();
    for rest in [300, 100, 100] {
        runs.push(rig.begin("alone", "a", rest).await.ok(202));
    }
    let other = rig.begin("alone", "b", 1).await.ok(202);
    let waiting = rig.begin("alone", "a", 100).await.ok(202);
    assert_eq!(waiting["status"], "pending", "{waiting}");
    let id = waiting["id"].as_str().unwrap();
    assert_eq!(
        rig.post(&format!("/runs/{id}/cancel"), &json!({})).await.ok(200)["status"],
        "cancelled"
    );
    rig.ended(&other).await;
    let mut before = 0;
    for run in &runs {
        let run = rig.ended(run).await;
        assert_eq!(run["status"], "completed");
        let id = run["id"].as_str().unwrap();
        let history = rig.get(&format!("/runs/{id}/history")).await.ok(200);
        let at = |index: usize| {
            let time = history["events"][index]["time"].as_str().unwrap();
            potok_dsl::Timestamp::parse(time).unwrap().0
        };
        assert!(at(0) >= before, "two of them ran at once: {history}");
        before = at(1);
    }
    let refused = rig.post("/workflows/test/alone/runs", &json!({ "rest": 1 })).await;
    assert!(
        refused.problem(400).contains("concurrency.key must give a value"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_too_many_is_refused_or_takes_the_place() {
    let rig = Rig::empty().await;
    rig.deploy(&alone("single", "reject")).await.ok(201);
    rig.deploy(&alone("newest", "replace")).await.ok(201);
    let run = rig.begin("single", "a", 900_000).await.ok(202);
    let refused = rig.begin("single", "a", 1).await;
    let id = run["id"].as_str().unwrap();
    assert!(refused.problem(409).contains(id), "{refused:?}");
    assert_eq!(refused.json["data"], json!({ "run": id }));
    let waited = rig
        .post(
            "/workflows/test/single/runs?wait=60s",
            &json!({ "account": "a", "rest": 1 }),
        )
        .await;
    waited.problem(409);
    rig.begin("single", "b", 1).await.ok(202);
    rig.post(&format!("/runs/{id}/cancel"), &json!({})).await.ok(200);
    rig.begin("single", "a", 1).await.ok(202);

    let first = rig.begin("newest", "a", 900_000).await.ok(202);
    let second = rig.begin("newest", "a", 900_000).await.ok(202);
    let third = rig.begin("newest", "a", 1).await.ok(202);
    assert_eq!(rig.ended(&first).await["status"], "cancelled");
    assert_eq!(rig.ended(&second).await["status"], "cancelled");
    assert_eq!(rig.ended(&third).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_may_not_start_is_an_error_of_its_task() {
    let rig = Rig::empty().await;
    rig.deploy(&alone("single", "reject")).await.ok(201);
    let parent = r"
document: { dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0' }
do:
  - child: { run: { workflow: { namespace: test, name: single, version: latest, input: { account: a, rest: 1 } } } }
";
    rig.deploy(parent).await.ok(201);
    rig.begin("single", "a", 900_000).await.ok(202);
    let run = rig
        .post("/workflows/test/parent/runs?wait=60s", &json!({}))
        .await
        .ok(200);
    assert_eq!(run["error"]["status"], 409, "{run}");
    assert_eq!(run["error"]["title"], "Already running");
    assert_eq!(run["error"]["instance"], "/do/0/child");
}
