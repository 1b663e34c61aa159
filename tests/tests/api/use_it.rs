//! The way through the API: deploy, start, follow, read, call, store.

use reqwest::Method;
use serde_json::json;

use crate::client::{GREET, Person};

#[tokio::test]
async fn deploy_start_follow_read() {
    let person = Person::new(&[]).await;
    assert_eq!(person.get("/api/health").await, (200, json!({ "status": "ok" })));
    assert_eq!(person.deploy(GREET).await.0, 201);

    let (status, run) = person
        .post("/api/v1/workflows/examples/greet/runs", &json!({ "name": "Ann" }))
        .await;
    assert_eq!(status, 202);
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    // The stream begins while the run rests and ends with the run.
    let stream = person
        .ask(Method::GET, &format!("{path}/stream"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let kinds: Vec<&str> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("event:"))
        .map(str::trim)
        .collect();
    assert_eq!(kinds, ["task", "task", "task", "task", "run"], "{stream}");
    assert!(stream.contains("Hello, Ann"), "{stream}");

    let (_, run) = person.get(&path).await;
    assert_eq!(
        (&run["status"], &run["output"]),
        (&json!("completed"), &json!({ "greeting": "Hello, Ann" }))
    );
    let (_, history) = person.get(&format!("{path}/history")).await;
    assert_eq!(history["events"].as_array().unwrap().len(), 4);
    let (_, found) = person.get("/api/v1/runs?namespace=examples&status=completed").await;
    assert_eq!(found["runs"][0]["id"], run["id"]);
    assert!(person.server.terminate().await.success());
}

#[tokio::test]
async fn call_a_function_and_store_a_blob() {
    let person = Person::new(&[]).await;
    let text = json!({ "chapters": [{ "title": "One", "text": "One. Two." }] });
    let (status, run) = person.post("/api/v1/functions/text.split", &text).await;
    assert_eq!((status, &run["status"]), (200, &json!("completed")), "{run}");

    let (status, blob) = person
        .answer(person.ask(Method::POST, "/api/v1/blobs").body("Once upon a time"))
        .await;
    assert_eq!(status, 201);
    let path = format!("/api/v1/blobs/{}", blob["id"].as_str().unwrap());
    let bytes = person
        .ask(Method::GET, &path)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(bytes, "Once upon a time");
}

#[tokio::test]
async fn the_document_describes_what_is_there() {
    let person = Person::new(&[]).await;
    let (_, before) = person.get("/openapi.json").await;
    assert_eq!(before["openapi"], "3.1.0");
    let split = &before["paths"]["/functions/text.split"]["post"];
    assert_eq!(split["operationId"], "call.text.split");
    let (_, functions) = person.get("/api/v1/functions").await;
    for function in functions["functions"].as_array().unwrap() {
        let path = format!("/functions/{}", function["name"].as_str().unwrap());
        assert!(before["paths"].get(&path).is_some(), "{path}");
    }
    let path = "/workflows/examples/greet/runs";
    assert_eq!(before["paths"].get(path), None);
    person.deploy(GREET).await;
    let (_, after) = person.get("/openapi.json").await;
    assert!(after["paths"].get(path).is_some());

    let docs = person
        .ask(Method::GET, "/docs")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(docs.contains("openapi.json"));
    let metrics = person
        .ask(Method::GET, "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("potok_runs_started_total"), "{metrics}");
}
