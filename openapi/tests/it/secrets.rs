//! Secrets: set, listed by name, removed, and never told.

use reqwest::Method;
use serde_json::json;

use crate::rig::{Rig, answer};

#[tokio::test]
async fn secrets_are_set_and_listed_and_never_told() {
    let rig = Rig::empty().await;
    let set = async |name: &str, value: &str| {
        let request = rig.ask(Method::PUT, &format!("/secrets/{name}")).body(value.to_owned());
        answer(request.header("content-type", "text/plain")).await
    };
    assert_eq!(rig.get("/secrets").await.ok(200), json!({ "secrets": [] }));
    set("api", "hunter2hunter2").await.ok(201);
    set("api", "{\"token\": \"other\"}").await.ok(204);
    let listed = rig.get("/secrets").await.ok(200);
    assert_eq!(
        (&listed["secrets"][0]["name"], &listed["secrets"][0]["version"]),
        (&json!("api"), &json!(2))
    );
    assert!(!listed.to_string().contains("other"));
    set("api", "").await.problem(422);
    set("api", &"x".repeat(64 * 1024 + 1)).await.problem(413);
    set(".api", "x").await.problem(400);
    let binary = rig.ask(Method::PUT, "/secrets/api").body(vec![0xFF, 0xFE]);
    answer(binary).await.problem(400);
    let remove = async || answer(rig.ask(Method::DELETE, "/secrets/api")).await;
    remove().await.ok(204);
    remove().await.problem(404);
}
