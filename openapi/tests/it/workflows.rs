//! Deploying, looking at, activating, removing.

use reqwest::Method;
use serde_json::json;

use crate::rig::{GREET, Rig, SLEEP, answer};

const UNREACHED: &str = "\
document: { dsl: '1.0.3', namespace: test, name: unreached, version: '1.0.0' }
do:
  - first: { set: { a: 1 }, then: end }
  - second: { set: { a: 2 } }
";

#[tokio::test]
async fn what_looks_wrong_is_told_and_what_cannot_work_is_refused() {
    let rig = Rig::empty().await;
    let deployed = rig.deploy(UNREACHED).await.ok(201);
    assert_eq!(
        deployed["warnings"],
        json!([{
            "line": 4,
            "column": 5,
            "message": "task 'second' is never reached",
            "help": "'first' before it goes on with 'end' (line 3)",
        }])
    );
    assert_eq!(rig.deploy(GREET).await.ok(201)["warnings"], json!([]));
}

#[tokio::test]
async fn a_version_keeps_its_text() {
    let rig = Rig::empty().await;
    let first = rig.deploy(GREET).await;
    assert_eq!(first.header("location"), Some("/api/v1/workflows/test/greet/1.0.0"));
    let deployed = first.ok(201);
    assert_eq!(
        deployed["workflow"],
        json!({ "namespace": "test", "name": "greet", "version": "1.0.0" })
    );
    assert_eq!(deployed["created"], true);

    let again = rig.deploy(GREET).await.ok(200);
    assert_eq!(
        (&again["created"], &again["definition"]),
        (&json!(false), &deployed["definition"])
    );

    let other = rig.deploy(&GREET.replace("Hello", "Good day")).await;
    assert!(other.problem(409).contains("test/greet:1.0.0"));
    let diff = other.json["data"]["diff"].as_str().unwrap();
    assert!(
        diff.contains("-  - greet: { set: { greeting: '${ \"Hello") && diff.contains("+  - greet"),
        "{diff}"
    );

    let found = rig.get("/workflows/test/greet/1.0.0").await.ok(200);
    assert_eq!(found["source"], GREET);
    assert_eq!(
        (&found["active"], &found["draft"], &found["title"]),
        (&json!(true), &json!(false), &json!("Greet someone"))
    );
    assert_eq!(rig.get("/workflows/test/greet").await.ok(200), found);
    let listed = rig.get("/workflows").await.ok(200);
    assert_eq!(listed["workflows"].as_array().unwrap().len(), 1);
    assert_eq!(listed["workflows"][0].get("source"), None);
}

#[tokio::test]
async fn a_draft_may_change() {
    let rig = Rig::empty().await;
    for text in [GREET.to_owned(), GREET.replace("Hello", "Good day")] {
        let put = rig
            .ask(Method::PUT, "/workflows?draft=true")
            .header("content-type", "application/yaml")
            .body(text);
        answer(put).await.ok(201);
    }
    let found = rig.get("/workflows/test/greet").await.ok(200);
    assert_eq!(found["draft"], true);
    assert!(found["source"].as_str().unwrap().contains("Good day"));
}

#[tokio::test]
async fn an_invalid_definition_says_what_is_wrong_where() {
    let rig = Rig::empty().await;
    let text = SLEEP.replace("wait: { minutes: 15 }", "wait: { minuts: 15 }");
    let refused = rig.deploy(&text).await;
    let detail = refused.problem(422);
    assert!(detail.contains("5 |") && detail.contains("minuts"), "{detail}");
    let diagnostic = &refused.json["data"][0];
    assert_eq!(diagnostic["line"], 5, "{diagnostic}");
    assert!(diagnostic["column"].as_u64().unwrap() > 1, "{diagnostic}");
    assert!(
        diagnostic["message"].as_str().unwrap().contains("minuts"),
        "{diagnostic}"
    );
    for nonsense in ["", "{", "[]", "42", "\u{0}", "a: &a [*a]"] {
        rig.deploy(nonsense).await.problem(422);
    }
}

#[tokio::test]
async fn the_active_version_is_the_newest_unless_one_is_chosen() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    rig.deploy(&GREET.replace("1.0.0", "1.1.0")).await.ok(201);
    let active = async || rig.get("/workflows/test/greet").await.ok(200)["version"].clone();
    assert_eq!(active().await, "1.1.0");
    answer(rig.ask(Method::PUT, "/workflows/test/greet/1.0.0/active"))
        .await
        .ok(204);
    assert_eq!(active().await, "1.0.0");
    let run = rig
        .post("/workflows/test/greet/runs?wait=10s", &json!({ "name": "Ann" }))
        .await
        .ok(200);
    assert_eq!(run["workflow"]["version"], "1.0.0");
    answer(rig.ask(Method::PUT, "/workflows/test/greet/3.0.0/active"))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_version_is_removed_when_no_run_needs_it() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let run = rig.post("/workflows/test/sleep/runs", &json!({})).await.ok(202);
    let delete = || answer(rig.ask(Method::DELETE, "/workflows/test/sleep/1.0.0"));
    assert!(delete().await.problem(409).contains("unfinished"));
    let id = run["id"].as_str().unwrap();
    rig.post(&format!("/runs/{id}/cancel"), &json!({})).await.ok(200);
    delete().await.ok(204);
    delete().await.problem(404);
    rig.get("/workflows/test/sleep").await.problem(404);
    assert_eq!(rig.get(&format!("/runs/{id}")).await.ok(200)["status"], "cancelled");
}
