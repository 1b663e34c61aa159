//! Events in, in every form that the binding has, and the stream that they make.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, answer};

fn event(id: &str, kind: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": kind, "data": { "n": 1 } })
}

async fn send(rig: &Rig, content_type: &str, body: impl Into<String>) -> crate::rig::Answer {
    let request = rig.ask(Method::POST, "/events").header("content-type", content_type);
    answer(request.body(body.into())).await
}

#[tokio::test]
async fn an_event_comes_in_structured_binary_or_in_a_batch() {
    let rig = Rig::empty().await;
    let one = send(
        &rig,
        "application/cloudevents+json; charset=utf-8",
        event("1", "a").to_string(),
    )
    .await;
    assert_eq!(
        one.ok(202),
        json!({ "events": [{ "sequence": 1, "duplicate": false }] })
    );
    let again = send(&rig, "application/cloudevents+json", event("1", "a").to_string()).await;
    assert_eq!(
        again.ok(202),
        json!({ "events": [{ "sequence": 1, "duplicate": true }] })
    );
    let batch = json!([event("2", "b"), event("1", "a"), event("3", "a")]).to_string();
    let taken = send(&rig, "application/cloudevents-batch+json", batch).await.ok(202);
    let sequences: Vec<_> = taken["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["sequence"].clone())
        .collect();
    assert_eq!(sequences, [json!(2), json!(1), json!(3)]);
    assert_eq!(
        send(&rig, "application/cloudevents-batch+json", "[]").await.ok(202),
        json!({ "events": [] })
    );
    let binary = rig
        .ask(Method::POST, "/events")
        .header("ce-specversion", "1.0")
        .header("ce-id", "4")
        .header("ce-source", "/test")
        .header("ce-type", "c")
        .header("ce-priority", "high")
        .header("content-type", "text/plain")
        .body("hello");
    answer(binary).await.ok(202);

    let page = rig.get("/events?limit=3").await.ok(200);
    assert_eq!(
        (page["events"].as_array().unwrap().len(), &page["next"]),
        (3, &json!(3))
    );
    assert_eq!(page["events"][0]["event"], event("1", "a"));
    assert!(page["events"][0]["receivedAt"].as_str().unwrap().ends_with('Z'));
    let rest = rig.get("/events?after=3").await.ok(200);
    assert_eq!(
        rest["events"][0]["event"],
        json!({
            "specversion": "1.0", "id": "4", "source": "/test", "type": "c", "priority": "high",
            "datacontenttype": "text/plain", "data": "hello",
        })
    );
    assert_eq!(rest.get("next"), None);
    let of_a = rig.get("/events?type=a&source=/test").await.ok(200);
    assert_eq!(of_a["events"].as_array().unwrap().len(), 2);
    assert_eq!(rig.get("/events?source=/other").await.ok(200), json!({ "events": [] }));
}

#[tokio::test]
async fn what_is_no_event_is_refused_in_words() {
    let rig = Rig::empty().await;
    let structured = "application/cloudevents+json";
    let mut nameless = event("1", "a");
    nameless["id"] = json!("");
    let told = send(&rig, structured, nameless.to_string()).await.problem(400);
    assert!(told.contains("event 1: 'id' must be a text"), "{told}");
    assert!(send(&rig, structured, "{").await.problem(400).contains("not JSON"));
    let batch = json!([event("1", "a"), { "specversion": "1.0" }]).to_string();
    let told = send(&rig, "application/cloudevents-batch+json", batch)
        .await
        .problem(400);
    assert!(told.contains("event 2: 'id'"), "{told}");
    assert!(
        send(&rig, "application/cloudevents-batch+json", "{}")
            .await
            .problem(400)
            .contains("array")
    );
    let told = send(&rig, "text/plain", "hello").await.problem(415);
    assert!(told.contains("ce-specversion"), "{told}");
    let ours = event("1", "io.serverlessworkflow.workflow.started.v1").to_string();
    assert!(
        send(&rig, structured, ours)
            .await
            .problem(400)
            .contains("the engine's own")
    );
    let mut large = event("1", "a");
    large["data"] = json!("x".repeat(1024 * 1024));
    send(&rig, structured, large.to_string()).await.problem(413);
    // Nothing of all that came in, not even the good one of the batch.
    assert_eq!(rig.get("/events").await.ok(200), json!({ "events": [] }));
}

/// Waits for an event about its order.
const SHIP: &str = r"
document: { dsl: '1.0.3', namespace: test, name: ship, version: '1.0.0' }
do:
  - paid:
      listen:
        to:
          one:
            with: { type: order.paid }
            correlate:
              order: { from: '${ .data.order }', expect: '${ $workflow.input.order }' }
  - tell: { emit: { event: { with: { type: order.shipped, data: { order: '${ .[0].order }' } } } } }
";

/// Is started by an order and its payment.
const BOOK: &str = r"
document: { dsl: '1.0.3', namespace: test, name: book, version: '1.0.0' }
schedule:
  on:
    all:
      - with: { type: order.placed }
        correlate: { order: { from: '${ .data.order }' } }
      - with: { type: order.paid }
        correlate: { order: { from: '${ .data.order }' } }
do:
  - book: { set: { booked: '${ map(.order) }' } }
";

async fn publish(rig: &Rig, id: &str, kind: &str, order: u64) {
    let mut event = event(id, kind);
    event["data"] = json!({ "order": order });
    send(rig, "application/cloudevents+json", event.to_string())
        .await
        .ok(202);
}

/// The runs of a workflow that have completed, the oldest first, once there are so many.
async fn completed(rig: &Rig, name: &str, count: usize) -> Vec<Value> {
    for _ in 0..600 {
        let listed = rig.get(&format!("/runs?name={name}&status=completed")).await.ok(200);
        let mut runs = listed["runs"].as_array().unwrap().clone();
        if runs.len() >= count {
            runs.reverse();
            let mut whole = Vec::new();
            for run in runs {
                whole.push(rig.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.ok(200));
            }
            return whole;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{count} runs of {name} do not complete");
}

#[tokio::test]
async fn an_event_wakes_the_run_that_waits_for_it() {
    let rig = Rig::empty().await;
    rig.deploy(SHIP).await.ok(201);
    for order in 1..=3 {
        rig.post("/workflows/test/ship/runs", &json!({ "order": order }))
            .await
            .ok(202);
    }
    publish(&rig, "1", "order.paid", 2).await;
    let runs = completed(&rig, "ship", 1).await;
    assert_eq!(runs[0]["input"], json!({ "order": 2 }));
    let shipped = rig.get("/events?type=order.shipped").await.ok(200);
    assert_eq!(shipped["events"][0]["event"]["data"], json!({ "order": 2 }));
    publish(&rig, "2", "order.paid", 3).await;
    publish(&rig, "3", "order.paid", 1).await;
    completed(&rig, "ship", 3).await;
}

#[tokio::test]
async fn events_start_runs_each_group_once() {
    let rig = Rig::empty().await;
    publish(&rig, "0", "order.placed", 7).await;
    rig.deploy(BOOK).await.ok(201);
    publish(&rig, "1", "order.placed", 1).await;
    publish(&rig, "2", "order.placed", 2).await;
    publish(&rig, "3", "order.paid", 7).await;
    publish(&rig, "4", "order.paid", 2).await;
    publish(&rig, "5", "order.paid", 1).await;
    publish(&rig, "5", "order.paid", 1).await;
    let runs = completed(&rig, "book", 2).await;
    let booked: Vec<_> = runs.iter().map(|run| run["output"]["booked"].clone()).collect();
    assert_eq!(booked, [json!([2, 2]), json!([1, 1])]);
    assert!(runs[0]["trigger"].as_str().unwrap().ends_with("/on"));
    // Another version takes over; what waited for the first one does not start it.
    rig.deploy(&BOOK.replace("version: '1.0.0'", "version: '1.1.0'"))
        .await
        .ok(201);
    publish(&rig, "6", "order.placed", 7).await;
    publish(&rig, "7", "order.paid", 7).await;
    let runs = completed(&rig, "book", 3).await;
    assert_eq!((&runs[2]["workflow"]["version"], runs.len()), (&json!("1.1.0"), 3));
}
