//! A model server that hangs, is busy, answers nonsense, or is not there.

use std::time::Duration;

use potok_sandbox::{Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target};
use serde_json::{Value, json};

use crate::rig::Potok;

async fn model() -> RunningSandbox {
    Sandbox::start(SandboxConfig::default()).await.unwrap()
}

/// The model server misbehaves for as long as it is asked.
fn always(model: &RunningSandbox, kind: FaultKind) {
    assert!(model.inject(Fault {
        target: Target::Ai,
        method: None,
        after: 0,
        times: u32::MAX,
        kind
    }));
}

fn asking(url: &str) -> Potok {
    Potok::new()
        .with("POTOK_AI_BASE_URL", url)
        .with("POTOK_AI_MODEL", potok_sandbox::DEFAULT_MODEL)
        .with("POTOK_AI_API_KEY", "sk-never-shown")
        .with("POTOK_AI_TIMEOUT", "1")
}

/// A chunk to summarise.
pub fn chunk() -> Value {
    json!({
        "book": format!("blob:sha256:{}", "0".repeat(64)),
        "chunk": {
            "id": "c1",
            "index": 0,
            "text": "The dog ran home through the snow. The cat slept by the fire all day. The master came back late at night.",
            "citation": { "chapter": 1, "start": 0, "end": 10, "quote": "The dog" },
        },
    })
}

async fn summarize(potok: &Potok) -> crate::rig::Ran {
    let ran = potok
        .run(&["call", "content.summarize", "--input", &chunk().to_string()])
        .await;
    assert!(!ran.err.contains("sk-never-shown"), "{ran:?}");
    ran
}

#[tokio::test]
async fn a_model_that_works_is_believed() {
    let model = model().await;
    let summary = summarize(&asking(&model.openai_url())).await.json();
    assert!(
        chunk()["chunk"]["text"]
            .as_str()
            .unwrap()
            .contains(summary["text"].as_str().unwrap()),
        "{summary}"
    );
}

#[tokio::test]
async fn a_model_that_hangs_is_a_timeout() {
    let model = model().await;
    always(&model, FaultKind::Hang);
    let problem = summarize(&asking(&model.openai_url())).await.problem();
    assert_eq!(
        (&problem["status"], &problem["title"]),
        (&json!(408), &json!("the model took too long")),
        "{problem}"
    );
    assert!(problem["detail"].as_str().unwrap().contains("1s"), "{problem}");
}

#[tokio::test]
async fn a_model_that_is_busy_says_when_to_come_back() {
    let model = model().await;
    always(
        &model,
        FaultKind::Status {
            status: 429,
            retry_after: Some(7),
        },
    );
    let problem = summarize(&asking(&model.openai_url())).await.problem();
    assert_eq!(
        (&problem["status"], &problem["retryAfterMs"]),
        (&json!(429), &json!(7_000)),
        "{problem}"
    );
}

/// What the server asks for is waited for, however short the workflow's own delay is.
#[tokio::test]
async fn a_retry_waits_for_as_long_as_the_model_asks() {
    let model = model().await;
    let busy = FaultKind::Status {
        status: 429,
        retry_after: Some(2),
    };
    assert!(model.inject(Fault {
        target: Target::Ai,
        method: None,
        after: 0,
        times: 1,
        kind: busy
    }));
    let potok = asking(&model.openai_url());
    potok.workflow(
        "patient",
        "  - patiently:
      try:
        - ask: { call: content.summarize, with: { book: '${ .book }', chunk: '${ .chunk }' } }
      catch:
        errors: { with: { status: 429 } }
        retry: { delay: { milliseconds: 1 }, limit: { attempt: { count: 3 } } }",
    );
    let started = std::time::Instant::now();
    let summary = potok
        .run(&["run", "patient.yaml", "--input", &chunk().to_string()])
        .await
        .json();
    assert!(summary["text"].is_string(), "{summary}");
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_model_that_answers_garbage_is_not_believed() {
    let model = model().await;
    always(&model, FaultKind::Garbage);
    let problem = summarize(&asking(&model.openai_url())).await.problem();
    assert_eq!(
        (&problem["status"], &problem["title"]),
        (&json!(502), &json!("the model's answer cannot be used"))
    );
    assert!(
        problem["data"]["received"].as_str().unwrap().contains("It works!"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_model_that_breaks_or_is_not_there_is_a_communication_error() {
    let model = model().await;
    let potok = asking(&model.openai_url());
    always(&model, FaultKind::CloseBeforeAnswer);
    let broken = summarize(&potok).await.problem();
    assert_eq!(
        (&broken["status"], &broken["title"]),
        (&json!(502), &json!("the connection to the model server broke"))
    );
    model.shutdown().await;
    let gone = summarize(&potok).await.problem();
    assert_eq!(
        (&gone["status"], &gone["title"]),
        (&json!(503), &json!("the model server cannot be reached"))
    );
    assert!(gone["detail"].as_str().unwrap().contains("127.0.0.1"), "{gone}");
}

#[tokio::test]
async fn an_address_that_is_none_is_bad_usage() {
    let told = asking("not a url").run(&["call", "content.summarize"]).await.refused(3);
    assert!(told.contains("not a url"), "{told}");
}
