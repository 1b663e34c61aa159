//! Starting, finding, reading and steering runs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{FAULT, GREET, Rig, SLEEP, answer};

const RUNS: &str = "/workflows/test/greet/runs";

#[tokio::test]
async fn a_run_that_is_waited_for_gives_its_output() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    let run = rig
        .post(&format!("{RUNS}?wait=30s"), &json!({ "name": "Ann" }))
        .await
        .ok(200);
    assert_eq!(
        (&run["status"], &run["output"]),
        (&json!("completed"), &json!({ "greeting": "Hello, Ann" }))
    );
    assert_eq!(run["input"], json!({ "name": "Ann" }));
    assert!(run["createdAt"].as_str().unwrap().ends_with('Z') && run["endedAt"].is_string());
    let id = run["id"].as_str().unwrap();
    assert_eq!(rig.get(&format!("/runs/{id}")).await.ok(200), run);
}

#[tokio::test]
async fn a_run_that_is_not_waited_for_is_accepted() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let started = rig.post("/workflows/test/sleep/runs", &Value::Null).await;
    let place = started.header("location").unwrap().to_owned();
    let run = started.ok(202);
    assert_eq!(place, format!("/api/v1/runs/{}", run["id"].as_str().unwrap()));
    let waited = rig
        .post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
        .await
        .ok(202);
    assert_ne!(waited["id"], run["id"]);
    assert_eq!(waited["status"], "waiting");
}

#[tokio::test]
async fn a_faulted_run_that_was_waited_for_is_an_answer() {
    let rig = Rig::empty().await;
    rig.deploy(FAULT).await.ok(201);
    let run = answer(rig.ask(Method::POST, "/workflows/test/fault/runs?wait=30s"))
        .await
        .ok(200);
    assert_eq!(run["status"], "faulted");
    assert_eq!(
        (&run["error"]["status"], &run["error"]["detail"]),
        (&json!(418), &json!("not today"))
    );
    assert_eq!(run.get("output"), None);
}

#[tokio::test]
async fn the_same_key_starts_one_run() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    let start = |name: &str| {
        let request = rig
            .ask(Method::POST, &format!("{RUNS}?wait=30s"))
            .header("idempotency-key", "order-7");
        answer(request.json(&json!({ "name": name })))
    };
    let first = start("Ann").await.ok(200);
    assert_eq!(first["idempotencyKey"], "order-7");
    assert_eq!(start("Bob").await.ok(200), first);
    let listed = rig.get("/runs").await.ok(200);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);

    for bad in ["", "two words", &"x".repeat(256)] {
        let request = rig
            .ask(Method::POST, RUNS)
            .header("idempotency-key", bad)
            .json(&json!({ "name": "Ann" }));
        assert!(answer(request).await.problem(400).contains("Idempotency-Key"));
    }
    let latin = reqwest::header::HeaderValue::from_bytes(b"caf\xe9").unwrap();
    let request = rig
        .ask(Method::POST, RUNS)
        .header("idempotency-key", latin)
        .json(&json!({ "name": "Ann" }));
    answer(request).await.problem(400);
}

#[tokio::test]
async fn an_input_that_does_not_fit_starts_nothing() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    let refused = rig.post(&format!("{RUNS}?wait=30s"), &json!({ "name": 7 })).await;
    assert!(refused.problem(422).contains("/name"));
    assert_eq!(refused.json["data"][0]["at"], "/name");
    answer(rig.ask(Method::POST, RUNS)).await.problem(422);
    assert_eq!(rig.get("/runs").await.ok(200)["runs"], json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let rig = Rig::empty().await;
    assert!(
        rig.post("/workflows/test/none/runs", &json!({}))
            .await
            .problem(404)
            .contains("test/none")
    );
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for path in [
        format!("/runs/{id}"),
        format!("/runs/{id}/history"),
        format!("/runs/{id}/stream"),
    ] {
        assert!(rig.get(&path).await.problem(404).contains(id), "{path}");
    }
    for command in ["cancel", "suspend", "resume"] {
        rig.post(&format!("/runs/{id}/{command}"), &json!({}))
            .await
            .problem(404);
    }
    rig.get("/runs/not-a-uuid").await.problem(400);
    rig.get("/workflows/-a/b").await.problem(400);
    rig.get("/workflows/a/b/latest").await.problem(400);
}

#[tokio::test]
async fn runs_are_listed_page_by_page() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    rig.deploy(FAULT).await.ok(201);
    let mut started = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let run = rig
            .post(&format!("{RUNS}?wait=30s"), &json!({ "name": name }))
            .await
            .ok(200);
        started.push(run["id"].clone());
    }
    answer(rig.ask(Method::POST, "/workflows/test/fault/runs?wait=30s"))
        .await
        .ok(200);
    started.reverse();
    let ids = |page: &Value| {
        page["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["id"].clone())
            .collect::<Vec<_>>()
    };

    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = rig.get(&format!("/runs?name=greet&limit=2{cursor}")).await.ok(200);
        assert!(ids(&page).len() <= 2);
        seen.extend(ids(&page));
        let Some(next) = page.get("next") else { break };
        cursor = format!("&cursor={}", next.as_str().unwrap());
    }
    assert_eq!(seen, started);

    let faulted = rig.get("/runs?status=faulted").await.ok(200);
    assert_eq!(faulted["runs"][0]["workflow"]["name"], "fault");
    assert_eq!(faulted["runs"][0]["error"]["status"], 418);
    assert_eq!(faulted["runs"][0].get("input"), None);
    assert_eq!(
        ids(&rig.get("/runs?status=faulted&status=completed").await.ok(200)).len(),
        6
    );
    assert_eq!(ids(&rig.get("/runs?version=2.0.0").await.ok(200)).len(), 0);
    assert_eq!(
        ids(&rig.get("/runs?created_before=2000-01-01T00:00:00Z").await.ok(200)).len(),
        0
    );
    assert_eq!(
        ids(&rig.get("/runs?created_from=2000-01-01T03:00:00%2B03:00").await.ok(200)).len(),
        6
    );
    let detail = rig.get("/runs?cursor=x").await.problem(400);
    assert_eq!(
        detail,
        "the parameter 'cursor': a cursor as 'next' of another page gave it is expected"
    );
    for bad in [
        "limit=0",
        "limit=501",
        "limit=x",
        "cursor=x",
        "status=done",
        "created_from=yesterday",
        "name=a%20b",
    ] {
        rig.get(&format!("/runs?{bad}")).await.problem(400);
    }
}

#[tokio::test]
async fn history_is_read_page_by_page() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    let run = rig
        .post(&format!("{RUNS}?wait=30s"), &json!({ "name": "Ann" }))
        .await
        .ok(200);
    let path = format!("/runs/{}/history", run["id"].as_str().unwrap());
    let whole = rig.get(&path).await.ok(200);
    let events = whole["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "completed"]);
    assert_eq!(events[0]["reference"], "/do/0/greet");
    assert_eq!(events[1]["output"], json!({ "greeting": "Hello, Ann" }));
    assert_eq!(whole.get("next"), None);
    let first = rig.get(&format!("{path}?limit=1")).await.ok(200);
    assert_eq!((&first["events"][0], &first["next"]), (&events[0], &json!(1)));
    let second = rig.get(&format!("{path}?from=1&limit=1")).await.ok(200);
    assert_eq!((&second["events"][0], second.get("next")), (&events[1], None));
    assert_eq!(rig.get(&format!("{path}?from=99")).await.ok(200)["events"], json!([]));
}

#[tokio::test]
async fn a_run_is_suspended_resumed_and_cancelled() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let run = rig
        .post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
        .await
        .ok(202);
    let steer = async |command: &str, body: Value| {
        rig.post(&format!("/runs/{}/{command}", run["id"].as_str().unwrap()), &body)
            .await
    };
    assert_eq!(
        steer("suspend", json!({ "reason": "maintenance" })).await.ok(200)["status"],
        "suspended"
    );
    assert_eq!(steer("resume", json!({})).await.ok(200)["status"], "waiting");
    steer("cancel", json!({ "reson": "typing error" })).await.problem(400);
    steer("cancel", json!({ "reason": 7 })).await.problem(400);
    assert_eq!(
        steer("cancel", json!({ "reason": "enough" })).await.ok(200)["status"],
        "cancelled"
    );
    assert!(steer("cancel", json!({})).await.problem(409).contains("cancelled"));
    assert!(steer("resume", json!({})).await.problem(409).contains("cancelled"));
}
