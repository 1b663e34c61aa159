//! Following a run.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{GREET, Rig, SLEEP};

/// An event as it came.
#[derive(Debug, PartialEq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: Value,
}

fn parse(text: &str) -> Vec<Event> {
    let events = text.split("\n\n").filter(|event| event.contains("data:"));
    events
        .map(|event| {
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
            };
            Event {
                kind: field("event:").unwrap(),
                id: field("id:"),
                data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
            }
        })
        .collect()
}

async fn follow(rig: &Rig, run: &str, last: Option<&str>) -> Vec<Event> {
    let mut request = rig.ask(Method::GET, &format!("/runs/{run}/stream"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    parse(&response.text().await.unwrap())
}

#[tokio::test]
async fn a_run_that_has_ended_is_told_from_its_beginning() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    let run = rig
        .post("/workflows/test/greet/runs?wait=30s", &json!({ "name": "Ann" }))
        .await
        .ok(200);
    let id = run["id"].as_str().unwrap();
    let events = follow(&rig, id, None).await;
    let kinds: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), event.id.as_deref()))
        .collect();
    assert_eq!(kinds, [("task", Some("0")), ("task", Some("1")), ("run", None)]);
    assert_eq!(events[0].data["event"], "started");
    assert_eq!(events[2].data, run);

    let rest = follow(&rig, id, Some("0")).await;
    assert_eq!(rest, events[1..]);
    assert_eq!(follow(&rig, id, Some("1")).await, events[2..]);
    let bad = rig
        .ask(Method::GET, &format!("/runs/{id}/stream"))
        .header("last-event-id", "x")
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let run = rig
        .post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
        .await
        .ok(202);
    let id = run["id"].as_str().unwrap().to_owned();
    let mut response = rig
        .ask(Method::GET, &format!("/runs/{id}/stream"))
        .send()
        .await
        .unwrap();
    let mut text = String::new();
    while !text.contains("\"sleep\"") {
        text.push_str(core::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(!text.contains("event: run") && !text.contains("event:run"));
    rig.post(&format!("/runs/{id}/cancel"), &json!({})).await.ok(200);
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(core::str::from_utf8(&chunk).unwrap());
    }
    let events = parse(&text);
    let last = events.last().unwrap();
    assert_eq!((last.kind.as_str(), &last.data["status"]), ("run", &json!("cancelled")));
    let numbers: Vec<_> = events
        .iter()
        .filter_map(|event| event.data["number"].as_u64())
        .collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let run = rig
        .post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
        .await
        .ok(202);
    let response = rig
        .ask(Method::GET, &format!("/runs/{}/stream", run["id"].as_str().unwrap()))
        .send()
        .await
        .unwrap();
    let reading = tokio::spawn(response.text());
    let Rig { server, node, .. } = rig;
    tokio::time::timeout(Duration::from_secs(4), server.stop())
        .await
        .expect("it stops within its grace");
    let text = reading.await.unwrap().unwrap();
    assert!(!text.contains("event: run"));
    node.stop().await;
}
