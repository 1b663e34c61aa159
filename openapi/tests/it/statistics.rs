//! Numbers and the log as existing clients ask for them.

use serde_json::{Value, json};

use crate::{outreach, telegram::refused};

#[tokio::test]
async fn what_there_is_and_what_became_of_it_is_counted() {
    let desk = outreach::desk().await;
    let nothing = desk.get("/api/stats").await.ok(200)["data"].clone();
    assert_eq!(
        (&nothing["accounts"], &nothing["people"]),
        (&json!({}), &json!(0)),
        "{nothing}"
    );

    desk.signed_in("+70000000011").await;
    let invitation = |phone: &str| json!({ "channel": "@potok_group", "basis": "asked for it", "phone": phone });
    let (status, _) = desk.task("/api/invite", &invitation("+79990000021")).await;
    assert_eq!(status, "SUCCESS");
    desk.task("/api/invite", &invitation("+79990000021")).await;
    let (status, failed) = desk
        .task(
            "/api/invite",
            &json!({ "channel": "@nowhere_at_all", "basis": "b", "phone": "+79990000022" }),
        )
        .await;
    desk.post("/api/opt_out", &json!({ "person": "+79990000023" }))
        .await
        .ok(200);

    let stats = desk.get("/api/stats").await.ok(200)["data"].clone();
    assert_eq!(stats["accounts"], json!({ "active": 1 }), "{stats}");
    assert_eq!(
        (&stats["invites"]["invited"], &stats["invites"]["skipped"]),
        (&json!(1), &json!(1)),
        "{stats}"
    );
    assert_eq!(stats["opted_out"], 1, "{stats}");
    let queue = desk.get("/api/queue_length").await.ok(200);
    assert!(
        queue["data"]["queue_length"].is_i64() && queue["data"]["posting"] == 0,
        "{queue}"
    );

    let sum = |history: &Value, member: &str| -> i64 {
        let steps = history["data"].as_array().unwrap();
        steps.iter().map(|step| step[member].as_i64().unwrap()).sum()
    };
    let day = desk.get("/api/stats/history?period=day").await.ok(200);
    assert_eq!(
        (
            day["data"].as_array().unwrap().len(),
            sum(&day, "invited"),
            sum(&day, "skipped")
        ),
        (24, 1, 1),
        "{day}"
    );
    let week = desk
        .get("/api/stats/history?period=week&timezone=Europe/Moscow")
        .await
        .ok(200);
    assert_eq!(
        (week["data"].as_array().unwrap().len(), sum(&week, "invited")),
        (7, 1),
        "{week}"
    );
    assert!(
        week["data"][0]["at"].as_str().unwrap().contains("T21:00:00"),
        "midnight in Moscow: {week}"
    );
    assert!(refused(&desk.get("/api/stats/history?period=week&timezone=Mars").await, 422).contains("Mars"));
    refused(&desk.get("/api/stats/history?period=year").await, 400);

    let log = desk.get("/api/logs?limit=10").await.ok(200);
    let entries = log["data"].as_array().unwrap();
    let invites: Vec<_> = entries.iter().filter(|entry| entry["name"] == "bulk-invite").collect();
    assert_eq!(invites.len(), 3, "{log}");
    assert_eq!(
        (&invites[0]["task_status"], &invites[2]["task_status"]),
        (&json!(status), &json!("SUCCESS"))
    );
    if status == "FAILURE" {
        assert_eq!(invites[0]["message"], failed["message"], "{log}");
    }
    let csv = desk.get("/api/logs/csv").await;
    assert_eq!(csv.status, 200);
    assert!(csv.header("content-disposition").unwrap().contains("tasks.csv"));
    assert!(
        csv.text.starts_with("task_id,name,task_status,") && csv.text.contains(",bulk-invite,SUCCESS,"),
        "{}",
        csv.text
    );
    assert_eq!(
        desk.get("/api/logs?date_from=2100-01-01T00:00:00Z").await.ok(200)["data"],
        json!([])
    );
}
