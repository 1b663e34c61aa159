//! The same for many runs.

use serde_json::{Value, json};

use crate::rig::{FAULT, GREET, Rig, SLEEP};

async fn statuses(rig: &Rig, name: &str) -> Vec<Value> {
    let listed = rig.get(&format!("/runs?name={name}")).await.ok(200);
    listed["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["status"].clone())
        .collect()
}

#[tokio::test]
async fn many_runs_are_steered_page_by_page() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    rig.deploy(GREET).await.ok(201);
    rig.post("/workflows/test/greet/runs?wait=30s", &json!({ "name": "Ann" }))
        .await
        .ok(200);
    for _ in 0..5 {
        rig.post("/workflows/test/sleep/runs?wait=50ms", &json!({}))
            .await
            .ok(202);
    }
    let ask = async |what: &str| {
        rig.post(&format!("/runs/bulk/{what}"), &json!({ "reason": "maintenance" }))
            .await
    };
    let first = ask("suspend?name=sleep&limit=2").await.ok(200);
    assert_eq!(
        (first["done"].as_array().unwrap().len(), &first["left"]),
        (2, &json!(3))
    );
    let rest = ask("suspend?name=sleep").await.ok(200);
    assert_eq!(
        (rest["done"].as_array().unwrap().len(), &rest["left"], rest.get("next")),
        (3, &json!(0), None)
    );
    let again = ask("suspend?name=sleep").await.ok(200);
    assert_eq!((&again["done"], &again["refused"]), (&json!([]), &json!([])));
    assert_eq!(statuses(&rig, "sleep").await, vec![json!("suspended"); 5]);

    let page = ask("resume?name=sleep&limit=3").await.ok(200);
    let next = page["next"].as_str().unwrap().to_owned();
    assert_eq!(
        ask(&format!("resume?name=sleep&cursor={next}")).await.ok(200)["done"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        ask("cancel?namespace=test&status=completed").await.ok(200)["done"],
        json!([])
    );
    assert_eq!(
        ask("cancel?namespace=test").await.ok(200)["done"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    assert_eq!(statuses(&rig, "sleep").await, vec![json!("cancelled"); 5]);
    assert_eq!(statuses(&rig, "greet").await, ["completed"]);

    assert!(ask("cancel").await.problem(400).contains("a filter is needed"));
    ask("explode?name=sleep").await.problem(400);
}

#[tokio::test]
async fn runs_that_have_faulted_are_retried_once() {
    let rig = Rig::empty().await;
    rig.deploy(FAULT).await.ok(201);
    for _ in 0..3 {
        rig.post("/workflows/test/fault/runs?wait=30s", &json!({}))
            .await
            .ok(200);
    }
    let before = rig.get("/runs?name=fault").await.ok(200)["runs"].clone();
    let newest = before[0]["createdAt"].as_str().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let until = chrono_after(newest);
    let retry = async || {
        let path = format!("/runs/bulk/retry?name=fault&created_before={until}");
        rig.post(&path, &json!({})).await.ok(200)
    };
    assert_eq!(retry().await["done"].as_array().unwrap().len(), 3);
    assert_eq!(retry().await["done"], json!([]));
    assert_eq!(statuses(&rig, "fault").await.len(), 6);
}

/// A millisecond later.
fn chrono_after(time: &str) -> String {
    let at = potok_dsl::Timestamp::parse(time).unwrap();
    at.after(potok_dsl::Millis(1)).rfc3339()
}
