//! The calls inside a plugin's call: seen while it goes on, kept over a restart, counted when it is over.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use potok_dsl::{ErrorType, Problem, RunId};
use potok_journal::{SqliteStore, Store};
use potok_node::NodeConfig;
use potok_wasm::{CallContext, Grants, Provider};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::rig::{KEY, Rig, fixture, host};

/// Counts; a call needs a permit, and one of a number may fail once.
struct Counter {
    go_on: Semaphore,
    fails_at: Mutex<Option<u32>>,
    keys: Mutex<Vec<String>>,
    /// What it counts from.
    from: u64,
}

impl Counter {
    fn new(permits: usize, from: u64) -> Arc<Self> {
        Arc::new(Self {
            go_on: Semaphore::new(permits),
            fails_at: Mutex::default(),
            keys: Mutex::default(),
            from,
        })
    }

    /// The numbers of the calls that it got, each within its plugin's call.
    fn numbers(&self) -> Vec<u32> {
        let keys = self.keys.lock().unwrap();
        keys.iter()
            .map(|key| key.rsplit_once('/').unwrap().1.parse().unwrap())
            .collect()
    }
}

#[async_trait]
impl Provider for Counter {
    fn interfaces(&self) -> &[&'static str] {
        &["potok:test/counter"]
    }

    async fn call(&self, cx: &CallContext, _: &str, _: &str, _: Value) -> Result<Value, Problem> {
        let count = {
            let mut keys = self.keys.lock().unwrap();
            keys.push(cx.call_key());
            self.from + keys.len() as u64
        };
        self.go_on.acquire().await.unwrap().forget();
        if self.fails_at.lock().unwrap().take_if(|at| *at == cx.sequence).is_some() {
            return Err(Problem::new(ErrorType::Communication, "Gone", "the counter is gone"));
        }
        Ok(count.into())
    }
}

const DIARY: &str = r"
document: { dsl: '1.0.3', namespace: test, name: diary, version: '1.0.0' }
do:
  - write:
      try:
        - write: { call: demo.diary, with: { counts: '${ .counts }' } }
      catch: { errors: { with: { status: 500, title: Gone } }, retry: { delay: { milliseconds: 1 }, limit: { attempt: { count: 2 } } } }
";

async fn rig(store: &Arc<dyn Store>, counter: &Arc<Counter>) -> Rig {
    let rig = Rig::on(Arc::clone(store), KEY, NodeConfig::default()).await;
    rig.node.host().add_provider(counter.clone()).unwrap();
    rig.node
        .install_plugin(&fixture("count"), &Grants::all())
        .await
        .unwrap();
    rig.deploy(DIARY).await;
    rig
}

async fn begin(rig: &Rig, counts: u32) -> String {
    let run = rig
        .post("/workflows/test/diary/runs", &json!({ "counts": counts }))
        .await
        .ok(202);
    run["id"].as_str().unwrap().to_owned()
}

async fn history(rig: &Rig, run: &str) -> Value {
    rig.get(&format!("/runs/{run}/history")).await.ok(200)
}

/// Waits until something is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is().await {
        assert!(begun.elapsed().as_secs() < 60, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn ended(rig: &Rig, run: &str) -> Value {
    let path = format!("/runs/{run}");
    until("the run ends", async || {
        rig.get(&path).await.json["endedAt"].is_string()
    })
    .await;
    rig.get(&path).await.ok(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_calls_are_seen_while_they_are_made_and_counted_when_they_are_over() {
    let (store, counter): (Arc<dyn Store>, _) = (Arc::new(SqliteStore::in_memory().unwrap()), Counter::new(2, 0));
    let rig = rig(&store, &counter).await;
    let run = begin(&rig, 3).await;
    until("the third call is made", async || counter.numbers().len() == 3).await;
    let shown = history(&rig, &run).await;
    let calls = shown["calls"].as_array().unwrap();
    let told: Vec<_> = calls.iter().map(|call| (&call["number"], &call["function"])).collect();
    let function = json!("potok:test/counter.increment");
    assert_eq!(told, [(&json!(1), &function), (&json!(2), &function)]);
    assert_eq!(calls[0]["path"], "/do/0/write/try/0/write");
    assert!(calls[0]["time"].is_string() && calls[0]["took"].is_u64(), "{shown}");
    assert_eq!(history(&rig, &run).await["calls"], shown["calls"]);
    let first = rig.get(&format!("/runs/{run}/history?limit=1")).await.ok(200);
    assert!(first["next"].is_u64() && first["calls"].is_null(), "{first}");

    counter.go_on.add_permits(1);
    assert_eq!(ended(&rig, &run).await["status"], "completed");
    let over = history(&rig, &run).await;
    assert!(over["calls"].is_null(), "{over}");
    let events = over["events"].as_array().unwrap();
    let called: Vec<_> = events.iter().filter(|event| event["event"] == "called").collect();
    assert_eq!(called.len(), 1, "{over}");
    assert_eq!((&called[0]["calls"], &called[0]["name"]), (&json!(3), &json!("write")));
    assert!(called[0]["took"].is_u64());
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_where_it_was_when_the_node_comes_back() {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
    let before = Counter::new(3, 0);
    let first = rig(&store, &before).await;
    let run = begin(&first, 6).await;
    until("the fourth call is made", async || before.numbers().len() == 4).await;
    first.server.stop().await;
    first.node.stop().await;
    let after = Counter::new(100, 1_000);
    let host = host();
    host.add_provider(after.clone()).unwrap();
    let second = Rig::on_host(Arc::clone(&store), KEY, NodeConfig::default(), host).await;
    let ended = ended(&second, &run).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(after.numbers(), [4, 5, 6], "it did not go on where it was");
    let counts: Vec<_> = ended["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["count"])
        .collect();
    assert_eq!(
        counts,
        [
            &json!(null),
            &json!(1),
            &json!(2),
            &json!(3),
            &json!(1_001),
            &json!(1_002),
            &json!(1_003)
        ]
    );
    let keys = (before.keys.lock().unwrap().clone(), after.keys.lock().unwrap().clone());
    assert_eq!(
        keys.0[3], keys.1[0],
        "the call that was under way is made under its own key"
    );
    assert!(kept(&store, &run).await.is_empty());
    second.server.stop().await;
}

async fn kept(store: &Arc<dyn Store>, run: &str) -> Vec<u64> {
    let run: RunId = run.parse().unwrap();
    let rows = store.open_inner_calls(run, 100).await.unwrap();
    rows.iter().map(|row| row.number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_begins_anew_under_the_same_keys_and_a_cancel_leaves_nothing() {
    let (store, counter): (Arc<dyn Store>, _) = (Arc::new(SqliteStore::in_memory().unwrap()), Counter::new(5, 0));
    let rig = rig(&store, &counter).await;
    *counter.fails_at.lock().unwrap() = Some(3);
    let run = begin(&rig, 3).await;
    until("the third call is made again", async || counter.numbers().len() == 6).await;
    assert_eq!(counter.numbers(), [1, 2, 3, 1, 2, 3]);
    let keys = counter.keys.lock().unwrap().clone();
    assert_eq!(keys[..3], keys[3..]);
    // What the attempt before had kept went with its end.
    assert_eq!(kept(&store, &run).await, [1, 2]);
    rig.post(&format!("/runs/{run}/cancel"), &json!({})).await.ok(200);
    assert_eq!(ended(&rig, &run).await["status"], "cancelled");
    assert_eq!(kept(&store, &run).await, [0; 0]);
    rig.server.stop().await;
}

/// One flush a step, as without: its own completion's.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_one_call_inside_costs_one_flush() {
    let (store, counter): (Arc<dyn Store>, _) = (Arc::new(SqliteStore::in_memory().unwrap()), Counter::new(200, 0));
    let rig = rig(&store, &counter).await;
    let steps: String = (0..50)
        .map(|n| format!("  - s{n}: {{ call: demo.count, with: {{ number: {n} }} }}\n"))
        .collect();
    let workflow =
        format!("document: {{ dsl: '1.0.3', namespace: test, name: steps, version: '1.0.0' }}\ndo:\n{steps}");
    rig.deploy(&workflow).await.ok(201);
    let before = store.metrics().commits;
    let run = rig
        .post("/workflows/test/steps/runs?wait=60s", &json!({}))
        .await
        .ok(200);
    assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!(50)));
    let commits = store.metrics().commits - before;
    // A machine that is busy may take longer between two steps than an answer stays unwritten.
    assert!((50..60).contains(&commits), "{commits} commits");
    rig.server.stop().await;
}
