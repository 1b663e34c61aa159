//! Ten thousand runs wait, each for a value of its own: an event costs what it costs one, and wakes one.

use std::{sync::Arc, time::Duration};

use potok_node::{StartRequest, deploy::Prepared};
use serde_json::json;
use tokio::task::JoinSet;

use crate::rig::Rig;

const MANY: u64 = 10_000;

const WAITED_FOR: u64 = 7_777;

/// How many runs are started at once.
const AT_ONCE: usize = 256;

/// What waking a run may read of the store: the shapes, the run with its entries and definition, the stream, and what the test itself asks.
const READS: u64 = 12;

/// What it may write: the event, and the run until its end.
const WRITES: u64 = 4;

const WAITS: &str = r"
document: { dsl: '1.0.3', namespace: test, name: waits, version: '1.0.0' }
do:
  - paid:
      listen:
        to:
          one:
            with: { type: order.paid }
            correlate: { order: { from: '${ .data.order }', expect: '${ $workflow.input.order }' } }
";

async fn start(rig: &Rig, prepared: &Arc<Prepared>) -> Vec<potok_dsl::RunId> {
    let mut starting = JoinSet::new();
    let mut runs = vec![None; MANY as usize];
    let mut next = 0..MANY;
    loop {
        while starting.len() < AT_ONCE
            && let Some(order) = next.next()
        {
            let (node, prepared) = (rig.node.clone(), Arc::clone(prepared));
            starting.spawn(async move {
                let request = StartRequest {
                    input: json!({ "order": order }),
                    labels: json!({}),
                    ..StartRequest::default()
                };
                (order, node.start_prepared(&prepared, request).await.unwrap().run.id)
            });
        }
        let Some(started) = starting.join_next().await else {
            break;
        };
        let (order, run) = started.unwrap();
        runs[order as usize] = Some(run);
    }
    runs.into_iter().map(Option::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_wakes_one_of_ten_thousand() {
    let rig = Rig::empty().await;
    rig.deploy(WAITS).await.ok(201);
    let (_, prepared) = rig.node.workflow("test", "waits", None).await.unwrap();
    let runs = start(&rig, &prepared).await;
    while rig.node.metrics().loaded > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = rig.node.store().metrics();
    let paid = json!({ "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid", "data": { "order": WAITED_FOR } });
    rig.node.publish(vec![paid]).await.unwrap();
    let ended = rig
        .node
        .wait(runs[WAITED_FOR as usize], Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(ended.output, Some(json!([{ "order": WAITED_FOR }])));
    let after = rig.node.store().metrics();
    let (reads, writes) = (after.reads - before.reads, after.writes - before.writes);
    assert!(
        reads <= READS && writes <= WRITES,
        "{reads} reads and {writes} writes for one event"
    );
    assert!(rig.node.metrics().loaded <= 1, "others were woken");
    // An event that nobody waits for wakes nobody.
    let before = rig.node.store().metrics();
    let other =
        json!({ "specversion": "1.0", "id": "2", "source": "/shop", "type": "order.paid", "data": { "order": MANY } });
    rig.node.publish(vec![other]).await.unwrap();
    let after = rig.node.store().metrics();
    assert_eq!((after.reads - before.reads, after.writes - before.writes), (1, 1));
    assert_eq!(rig.node.metrics().completed, 1);
}
