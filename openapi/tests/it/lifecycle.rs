//! Lifecycle events: all that the standard requires, with what it says that they hold, in order, and for those alone who name them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    rig::{GREET, Rig, answer},
    webhooks::{Receiver, rig},
};

#[tokio::test]
async fn lifecycle_events_are_told_to_who_asks_for_them() {
    let rig = rig().await;
    let (receiver, url) = Receiver::start(&[]).await;
    rig.deploy(GREET).await.ok(201);
    let start = async || {
        let run = rig
            .post("/workflows/test/greet/runs?wait=30s", &json!({ "name": "Ann" }))
            .await
            .ok(200);
        run["id"].as_str().unwrap().to_owned()
    };
    start().await;
    let wanted = json!({ "url": url, "types": ["io.serverlessworkflow.*"] });
    rig.post("/webhooks", &wanted).await.ok(201);
    let run = start().await;
    let got: Vec<Value> = receiver.got(5).await.into_iter().map(|(.., event)| event).collect();
    let kinds: Vec<_> = got.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "io.serverlessworkflow.workflow.started.v1",
            "io.serverlessworkflow.task.created.v1",
            "io.serverlessworkflow.task.started.v1",
            "io.serverlessworkflow.task.completed.v1",
            "io.serverlessworkflow.workflow.completed.v1",
        ]
    );
    assert!(
        got.iter()
            .all(|event| event["subject"] == run.as_str() && event["source"] == "/test/greet/1.0.0")
    );
    let name = format!("greet-{run}.test");
    assert_eq!(got[0]["data"]["name"], name.as_str());
    assert_eq!(
        got[0]["data"]["definition"],
        json!({ "name": "greet", "namespace": "test", "version": "1.0.0" })
    );
    assert_eq!(
        (&got[2]["data"]["workflow"], &got[2]["data"]["task"]),
        (&json!(name), &json!("/do/0/greet"))
    );
    // Nobody else sees them, unless by name; nothing was told of what was before.
    assert_eq!(rig.get("/events").await.ok(200), json!({ "events": [] }));
    let started = "/events?type=io.serverlessworkflow.workflow.started.v1";
    assert_eq!(rig.get(started).await.ok(200)["events"].as_array().unwrap().len(), 1);
}

/// Everything that can happen to a workflow and its tasks; its errors hold a secret, its correlation too.
const LIVES: &str = r#"
document: { dsl: '1.0.3', namespace: test, name: lives, version: '1.0.0' }
use: { secrets: [token] }
do:
  - tried:
      try:
        - fails:
            raise: { error: { type: 'https://example.com/errors/no', status: 503, title: No, detail: '${ "no " + $secrets.token }' } }
      catch:
        retry: { delay: { milliseconds: 1 }, limit: { attempt: { count: 1 } } }
        do: [{ caught: { set: { caught: true } } }]
  - paid:
      listen:
        to: { one: { with: { type: order.paid }, correlate: { order: { from: '${ .data.order }' } } } }
  - over: { raise: { error: { type: 'https://example.com/errors/over', status: 500, title: '${ $secrets.token }' } } }
"#;

/// What was told, in a line each: the type, the task, and what else `data` holds but the workflow's name; moments only by their names.
fn told(events: &[Value], name: &str) -> Vec<String> {
    let line = |event: &Value| {
        let kind = event["type"].as_str().unwrap();
        let kind = kind
            .strip_prefix("io.serverlessworkflow.")
            .unwrap()
            .strip_suffix(".v1")
            .unwrap();
        let mut data = event["data"].as_object().unwrap().clone();
        let named = if kind.starts_with("task.") { "workflow" } else { "name" };
        assert_eq!(data.remove(named), Some(json!(name)), "{event}");
        let task = data
            .remove("task")
            .map_or(String::new(), |task| format!(" {}", task.as_str().unwrap()));
        let mut rest: Vec<_> = data.into_iter().collect();
        rest.sort_by(|one, other| one.0.cmp(&other.0));
        let rest = rest.iter().map(|(member, value)| match value {
            Value::String(at) if member.ends_with("At") => {
                assert!(at.ends_with('Z') && event["time"] == *value, "{event}");
                member.clone()
            }
            value => format!("{member}={value}"),
        });
        format!("{kind}{task}: {}", rest.collect::<Vec<_>>().join(" "))
    };
    events.iter().map(line).collect()
}

async fn waits(rig: &Rig, run: &str) {
    let place = format!("/runs/{run}/history");
    for _ in 0..600 {
        let history = rig.get(&place).await.ok(200);
        if history["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["event"] == "listening")
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{run} never listens: {}", rig.get(&place).await.text);
}

#[tokio::test]
async fn every_event_of_the_standard_is_told() {
    let rig = rig().await;
    let (receiver, url) = Receiver::start(&[]).await;
    rig.post(
        "/webhooks",
        &json!({ "url": url, "types": ["io.serverlessworkflow.*"] }),
    )
    .await
    .ok(201);
    rig.deploy(LIVES).await.ok(201);
    let start = async || {
        let run = rig.post("/workflows/test/lives/runs", &json!({})).await.ok(202);
        let run = run["id"].as_str().unwrap().to_owned();
        waits(&rig, &run).await;
        run
    };
    let run = start().await;
    for command in ["suspend", "resume"] {
        rig.post(&format!("/runs/{run}/{command}"), &json!({})).await.ok(200);
    }
    let paid =
        json!({ "specversion": "1.0", "id": "1", "source": "/test", "type": "order.paid", "data": { "order": 7 } });
    let request = rig
        .ask(Method::POST, "/events")
        .header("content-type", "application/cloudevents+json");
    answer(request.body(paid.to_string())).await.ok(202);
    let got = receiver.got(LIFE.len()).await;
    let events: Vec<Value> = got.into_iter().map(|(.., event)| event).collect();
    assert_eq!(told(&events, &format!("lives-{run}.test")), LIFE);
    let history = rig.get(&format!("/runs/{run}/history?from=10")).await.ok(200);
    let kinds: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"].clone())
        .collect();
    assert_eq!(
        kinds,
        [
            "listening",
            "suspended",
            "resumed",
            "consumed",
            "correlated",
            "completed",
            "started",
            "faulted"
        ]
    );

    // One that is cancelled; what came before was told of the other.
    let run = start().await;
    rig.post(&format!("/runs/{run}/cancel"), &json!({})).await.ok(200);
    let got = receiver.got(LIFE.len() + UNTIL_IT_LISTENS + 2).await;
    let events: Vec<Value> = got.into_iter().map(|(.., event)| event).collect();
    let end = &events[LIFE.len() + UNTIL_IT_LISTENS..];
    assert_eq!(
        told(end, &format!("lives-{run}.test")),
        [
            "task.cancelled /do/1/paid: cancelledAt",
            "workflow.cancelled: cancelledAt"
        ]
    );
    for event in &events {
        assert!(
            !event.to_string().contains('\u{FDD0}'),
            "a placeholder was told: {event}"
        );
    }
}

/// How many events there are until the run listens.
const UNTIL_IT_LISTENS: usize = 17;

const LIFE: [&str; 27] = [
    r#"workflow.started: definition={"name":"lives","namespace":"test","version":"1.0.0"} startedAt"#,
    "task.created /do/0/tried: createdAt",
    "task.started /do/0/tried: startedAt",
    "task.created /do/0/tried/try/0/fails: createdAt",
    "task.started /do/0/tried/try/0/fails: startedAt",
    r#"task.faulted /do/0/tried/try/0/fails: error={"type":"https://example.com/errors/no","status":503,"title":"No","detail":"no [secret:token]","instance":"/do/0/tried/try/0/fails"} faultedAt"#,
    "task.retried /do/0/tried: retriedAt",
    "task.created /do/0/tried/try/0/fails: createdAt",
    "task.started /do/0/tried/try/0/fails: startedAt",
    r#"task.faulted /do/0/tried/try/0/fails: error={"type":"https://example.com/errors/no","status":503,"title":"No","detail":"no [secret:token]","instance":"/do/0/tried/try/0/fails"} faultedAt"#,
    "task.created /do/0/tried/catch/do/0/caught: createdAt",
    "task.started /do/0/tried/catch/do/0/caught: startedAt",
    "task.completed /do/0/tried/catch/do/0/caught: completedAt",
    "task.completed /do/0/tried: completedAt",
    "task.created /do/1/paid: createdAt",
    "task.started /do/1/paid: startedAt",
    "workflow.correlation-started: startedAt",
    "workflow.suspended: suspendedAt",
    "task.suspended /do/1/paid: suspendedAt",
    "workflow.resumed: resumedAt",
    "task.resumed /do/1/paid: resumedAt",
    r#"workflow.correlation-completed: completedAt correlationKeys={"order":7}"#,
    "task.completed /do/1/paid: completedAt",
    "task.created /do/2/over: createdAt",
    "task.started /do/2/over: startedAt",
    r#"task.faulted /do/2/over: error={"type":"https://example.com/errors/over","status":500,"title":"[secret:token]","instance":"/do/2/over"} faultedAt"#,
    r#"workflow.faulted: error={"type":"https://example.com/errors/over","status":500,"title":"[secret:token]","instance":"/do/2/over"} faultedAt"#,
];
