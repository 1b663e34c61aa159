//! Functions, plugins and blobs.

use reqwest::Method;
use serde_json::json;

use crate::rig::{Rig, answer, fixture};

#[tokio::test]
async fn a_function_is_called_as_a_run_of_one_step() {
    let rig = Rig::with_demo().await;
    let listed = rig.get("/functions").await.ok(200);
    let add = listed["functions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|function| function["name"] == "demo.add")
        .unwrap();
    assert_eq!((&add["version"], &add["pure"]), (&json!("1.0.0"), &json!(true)));
    assert_eq!(add["inputSchema"]["required"], json!(["number"]));

    let run = rig.post("/functions/demo.add", &json!({ "number": 41 })).await.ok(200);
    assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!(42)));
    let id = run["id"].as_str().unwrap();
    assert_eq!(
        rig.get(&format!("/runs/{id}/history")).await.ok(200)["events"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        rig.post("/functions/demo.add:1.0.0@default", &json!({ "number": 1 }))
            .await
            .ok(200)["output"],
        2
    );

    let nothing = answer(rig.ask(Method::POST, "/functions/demo.nothing")).await.ok(200);
    assert_eq!(
        (&nothing["status"], &nothing["output"]),
        (&json!("completed"), &json!(null))
    );
    assert!(nothing.as_object().unwrap().contains_key("output"));

    let faulted = rig
        .post("/functions/demo.divide", &json!({ "dividend": 1, "divisor": 0 }))
        .await
        .ok(200);
    assert_eq!(
        (&faulted["status"], &faulted["error"]["type"]),
        (&json!("faulted"), &json!("urn:potok:demo:by-zero"))
    );

    let slow = rig
        .post("/functions/demo.sleep?wait=10ms", &json!({ "milliseconds": 2_000 }))
        .await
        .ok(202);
    assert!(slow.get("output").is_none());
}

#[tokio::test]
async fn a_call_that_cannot_be_made_says_why() {
    let rig = Rig::with_demo().await;
    assert!(
        rig.post("/functions/demo.ad", &json!({}))
            .await
            .problem(404)
            .contains("demo.add")
    );
    assert!(
        rig.post("/functions/demo.add:9.0.0", &json!({}))
            .await
            .problem(404)
            .contains("1.0.0")
    );
    rig.post("/functions/a..b", &json!({})).await.problem(400);
    assert!(
        rig.post("/functions/demo.add", &json!({ "number": "x" }))
            .await
            .problem(422)
            .contains("/number")
    );
    rig.post("/functions/demo.add", &json!({ "number": 1, "more": 2 }))
        .await
        .problem(422);
    assert_eq!(rig.get("/runs").await.ok(200)["runs"], json!([]));
}

#[tokio::test]
async fn plugins_are_installed() {
    let rig = Rig::empty().await;
    let install = |name: &str, query: &str| {
        let request = rig
            .ask(Method::POST, &format!("/plugins{query}"))
            .header("content-type", "application/wasm");
        answer(request.body(fixture(name)))
    };
    let plugin = install("demo", "").await.ok(201);
    assert_eq!(
        (&plugin["package"], &plugin["version"], &plugin["pure"]),
        (&json!("potok:demo"), &json!("1.0.0"), &json!(true))
    );
    assert!(
        plugin["functions"]
            .as_array()
            .unwrap()
            .contains(&json!("demo.add:1.0.0"))
    );
    assert_eq!(
        install("demo", "?grant=ai&grant=blob").await.ok(200)["hash"],
        plugin["hash"]
    );
    assert_eq!(rig.get("/plugins").await.ok(200)["plugins"], json!([plugin]));

    let refused = install("count", "").await.problem(422);
    assert!(refused.contains("potok:test/counter"), "{refused}");
    let nonsense = answer(rig.ask(Method::POST, "/plugins").body("no component"))
        .await
        .problem(422);
    assert!(nonsense.contains("component"), "{nonsense}");
    answer(rig.ask(Method::POST, "/plugins?grant=").body(fixture("demo")))
        .await
        .problem(400);

    // The same version with other bytes: a custom section without meaning.
    let mut other = fixture("demo");
    other.extend([0, 2, 1, b'x']);
    let taken = answer(rig.ask(Method::POST, "/plugins").body(other)).await.problem(409);
    assert!(taken.contains("1.0.0"), "{taken}");
}

#[tokio::test]
async fn blobs_are_stored_and_read() {
    let rig = Rig::empty().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let store = || answer(rig.ask(Method::POST, "/blobs").body(bytes.clone()));
    let stored = store().await;
    let place = stored.header("location").unwrap().to_owned();
    let blob = stored.ok(201);
    assert_eq!(blob["size"], 300_000);
    let id = blob["id"].as_str().unwrap();
    assert!(id.starts_with("blob:sha256:") && id.len() == 76, "{id}");
    assert_eq!(place, format!("/api/v1/blobs/{id}"));
    assert_eq!(store().await.ok(201), blob);

    let read = rig.ask(Method::GET, &format!("/blobs/{id}")).send().await.unwrap();
    assert_eq!(read.headers()["content-type"], "application/octet-stream");
    assert_eq!(read.headers()["content-disposition"], "attachment");
    assert_eq!(read.bytes().await.unwrap(), bytes);
    let other = format!("blob:sha256:{}", "0".repeat(64));
    assert!(rig.get(&format!("/blobs/{other}")).await.problem(404).contains(&other));
    rig.get("/blobs/x").await.problem(400);
    let empty = answer(rig.ask(Method::POST, "/blobs").body("")).await.ok(201);
    assert_eq!(empty["size"], 0);
    assert_eq!(
        rig.get(&format!("/blobs/{}", empty["id"].as_str().unwrap()))
            .await
            .status,
        200
    );
}
