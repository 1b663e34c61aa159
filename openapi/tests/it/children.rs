//! Runs that run other workflows.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Answer, GREET, Rig, SLEEP, answer};

fn parent(name: &str, tasks: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0' }}\ndo:\n{tasks}")
}

async fn run(rig: &Rig, name: &str, input: Value) -> Value {
    rig.post(&format!("/workflows/test/{name}/runs?wait=60s"), &input)
        .await
        .ok(200)
}

async fn children(rig: &Rig, parent: &Value) -> Vec<Value> {
    let id = parent["id"].as_str().unwrap();
    let page = rig.get(&format!("/runs?parent={id}")).await.ok(200);
    page["runs"].as_array().unwrap().clone()
}

/// Asks until there is an answer.
async fn eventually(rig: &Rig, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    for _ in 0..2_000 {
        let answer = rig.get(path).await;
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path} does not come to what is wanted: {:?}", rig.get(path).await)
}

#[tokio::test]
async fn a_workflow_gets_the_output_of_the_one_that_it_runs() {
    let rig = Rig::empty().await;
    let text = parent(
        "asks",
        "  - greet: { run: { workflow: { namespace: test, name: greet, version: latest, input: { name: '${ .who }' } } } }\n",
    );
    let refused = rig.deploy(&text).await.problem(422);
    assert!(
        refused.contains("the workflow 'test/greet:latest' is not deployed") && refused.contains("bind: start"),
        "{refused}"
    );
    rig.deploy(GREET).await.ok(201);
    rig.deploy(&text).await.ok(201);
    let ran = run(&rig, "asks", json!({ "who": "Ann" })).await;
    assert_eq!(ran["output"], json!({ "greeting": "Hello, Ann" }), "{ran}");
    let children = children(&rig, &ran).await;
    assert_eq!(children.len(), 1);
    assert_eq!(
        (
            &children[0]["parent"],
            &children[0]["status"],
            &children[0]["workflow"]["name"]
        ),
        (&ran["id"], &json!("completed"), &json!("greet"))
    );
    // What it was locked to cannot be taken away.
    let kept = answer(rig.ask(Method::DELETE, "/workflows/test/greet/1.0.0"))
        .await
        .problem(409);
    assert!(kept.contains("test/asks"), "{kept}");
    // An input that does not fit starts nothing.
    let ran = run(&rig, "asks", json!({ "who": 7 })).await;
    assert_eq!(ran["status"], "faulted", "{ran}");
    assert!(ran["error"]["type"].as_str().unwrap().ends_with("/validation"), "{ran}");
    assert_eq!(ran["error"]["instance"], "/do/0/greet");
    assert_eq!(self::children(&rig, &ran).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_error_of_a_child_is_the_error_of_its_task() {
    let rig = Rig::empty().await;
    rig.deploy(crate::rig::FAULT).await.ok(201);
    let text = parent(
        "tries",
        "  - once:
      try: [{ fault: { run: { workflow: { namespace: test, name: fault, version: '1.0.0' } } } }]
      catch:
        errors: { with: { type: https://example.com/errors/no } }
        retry: { limit: { attempt: { count: 1 } } }
        do: [{ tell: { set: { told: '${ $error }' } } }]\n",
    );
    rig.deploy(&text).await.ok(201);
    let ran = run(&rig, "tries", json!({})).await;
    let told = &ran["output"]["told"];
    assert_eq!(
        (&told["status"], &told["detail"], &told["instance"]),
        (&json!(418), &json!("not today"), &json!("/do/0/once/try/0/fault")),
        "{ran}"
    );
    assert_eq!(children(&rig, &ran).await.len(), 2, "another attempt is another run");
}

#[tokio::test]
async fn who_does_not_wait_goes_on_with_its_input() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let text = parent(
        "starts",
        "  - start: { run: { workflow: { namespace: test, name: sleep, version: latest }, await: false } }\n",
    );
    rig.deploy(&text).await.ok(201);
    let ran = run(&rig, "starts", json!({ "a": 1 })).await;
    assert_eq!(ran["output"], json!({ "a": 1 }), "{ran}");
    let children = children(&rig, &ran).await;
    assert_eq!(
        (children.len(), &children[0]["status"]),
        (1, &json!("waiting")),
        "it goes on"
    );
}

#[tokio::test]
async fn a_cancel_or_a_timeout_reaches_the_children() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let sleep = "run: { workflow: { namespace: test, name: sleep, version: latest } }";
    rig.deploy(&parent("waits", &format!("  - sleep: {{ {sleep} }}\n")))
        .await
        .ok(201);
    rig.deploy(&parent(
        "limits",
        &format!("  - sleep: {{ {sleep}, timeout: {{ after: {{ milliseconds: 300 }} }} }}\n"),
    ))
    .await
    .ok(201);
    let started = rig.post("/workflows/test/waits/runs", &json!({})).await.ok(202);
    let id = started["id"].as_str().unwrap();
    let page = format!("/runs?parent={id}");
    let there = eventually(&rig, &page, |a| a.json["runs"][0]["status"] == "waiting").await;
    let child = format!("/runs/{}", there.json["runs"][0]["id"].as_str().unwrap());
    rig.post(&format!("/runs/{id}/cancel"), &json!({})).await.ok(200);
    eventually(&rig, &child, |a| a.json["status"] == "cancelled").await;

    let ran = run(&rig, "limits", json!({})).await;
    assert!(ran["error"]["type"].as_str().unwrap().ends_with("/timeout"), "{ran}");
    let page = format!("/runs?parent={}", ran["id"].as_str().unwrap());
    eventually(&rig, &page, |a| a.json["runs"][0]["status"] == "cancelled").await;
}

#[tokio::test]
async fn a_child_that_a_person_cancels_is_an_error_of_its_parent() {
    let rig = Rig::empty().await;
    rig.deploy(SLEEP).await.ok(201);
    let text = parent(
        "waits",
        "  - sleep: { run: { workflow: { namespace: test, name: sleep, version: latest } } }\n",
    );
    rig.deploy(&text).await.ok(201);
    let started = rig.post("/workflows/test/waits/runs", &json!({})).await.ok(202);
    let id = started["id"].as_str().unwrap();
    let there = eventually(&rig, &format!("/runs?parent={id}"), |a| {
        a.json["runs"][0]["status"] == "waiting"
    })
    .await;
    let child = there.json["runs"][0]["id"].as_str().unwrap().to_owned();
    rig.post(&format!("/runs/{child}/cancel"), &json!({})).await.ok(200);
    let ended = eventually(&rig, &format!("/runs/{id}"), |a| a.json["status"] == "faulted").await;
    assert_eq!(ended.json["error"]["title"], "Sub-workflow cancelled");
    assert!(ended.json["error"]["detail"].as_str().unwrap().contains(&child));
}

#[tokio::test]
async fn workflows_that_run_themselves_come_to_an_end() {
    let rig = Rig::empty().await;
    let own = "run: { workflow: { namespace: test, name: down, version: latest, input: { n: '${ .n - 1 }' } } }";
    rig.deploy(&parent(
        "down",
        &format!("  - more: {{ if: '${{ .n > 0 }}', {own} }}\n  - end: {{ set: {{ n: '${{ .n }}' }} }}\n"),
    ))
    .await
    .ok(201);
    assert_eq!(run(&rig, "down", json!({ "n": 5 })).await["output"], json!({ "n": 0 }));
    let ran = run(&rig, "down", json!({ "n": 50 })).await;
    let problem = &ran["error"];
    assert_eq!(problem["title"], "Nested too deeply", "{ran}");
    // Two that run each other look for each other when they start.
    for (name, other) in [("ping", "pong"), ("pong", "ping")] {
        let tasks = format!(
            "  - other:
      if: ${{ .n > 0 }}
      run: {{ workflow: {{ namespace: test, name: {other}, version: latest, input: {{ n: '${{ .n - 1 }}' }} }} }}
      metadata: {{ potok: {{ bind: start }} }}\n"
        );
        rig.deploy(&parent(name, &tasks)).await.ok(201);
    }
    assert_eq!(run(&rig, "ping", json!({ "n": 4 })).await["output"], json!({ "n": 0 }));
}

#[tokio::test]
async fn commands_are_refused_when_they_are_off() {
    let rig = Rig::empty().await;
    let refused = rig
        .deploy(&parent("lists", "  - list: { run: { shell: { command: ls } } }\n"))
        .await
        .problem(422);
    assert!(
        refused.contains("run: shell is off") && refused.contains("POTOK_SHELL_ENABLED"),
        "{refused}"
    );
}
