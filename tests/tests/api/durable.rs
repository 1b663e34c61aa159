//! What was acknowledged is there after a crash.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::client::{GREET, Person, REST};

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash() {
    let person = Person::new(&[]).await;
    person.deploy(GREET).await;
    person.deploy(REST).await;
    let (_, blob) = person
        .answer(person.ask(Method::POST, "/api/v1/blobs").body("kept"))
        .await;
    let start = |person: &Person| {
        let request = person.ask(Method::POST, "/api/v1/workflows/examples/rest/runs");
        request.header("idempotency-key", "once")
    };
    let (status, resting) = person.answer(start(&person)).await;
    assert_eq!(status, 202);
    // Killed in the middle of its rest, it goes on after it.
    let (_, greeting) = person
        .post("/api/v1/workflows/examples/greet/runs", &json!({ "name": "Ann" }))
        .await;

    let person = person.after_a_crash().await;
    let (_, again) = person.answer(start(&person)).await;
    assert_eq!(again["id"], resting["id"]);
    let path = format!("/api/v1/runs/{}", greeting["id"].as_str().unwrap());
    let stream = person
        .ask(Method::GET, &format!("{path}/stream"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        stream.contains("event: run") && stream.contains("Hello, Ann"),
        "{stream}"
    );
    let bytes = person.ask(Method::GET, &format!("/api/v1/blobs/{}", blob["id"].as_str().unwrap()));
    assert_eq!(bytes.send().await.unwrap().text().await.unwrap(), "kept");
    let (status, _) = person
        .answer(person.ask(Method::DELETE, "/api/v1/workflows/examples/rest/1.0.0"))
        .await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_stop_ends_streams_and_loses_nothing() {
    let person = Person::new(&[]).await;
    person.deploy(REST).await;
    let (_, run) = person.post("/api/v1/workflows/examples/rest/runs", &json!({})).await;
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    let mut stream = person.ask(Method::GET, &format!("{path}/stream")).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let Person { server, data, .. } = person;
    let (ended, rest) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(9), server.terminate()),
        stream.text()
    );
    assert!(ended.expect("well within the grace for requests under way").success());
    assert!(!rest.unwrap().contains("event: run"));
    let server = potok_tests::Server::start(data.path(), &[]).await;
    let again = reqwest::get(format!("{}{path}", server.url()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(again.contains("\"waiting\""), "{again}");
}
