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
