//! `potok journal show`.

use serde_json::{Value, json};

use crate::rig::{Potok, only_run};

/// The entries of a journal as JSON lines.
fn entries(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_journal_of_a_run_that_has_ended_is_shown() {
    let potok = Potok::new();
    potok.workflow(
        "split",
        "  - rest: { wait: { milliseconds: 5 } }\n  - split: { call: text.split, with: { chapters: '${ .chapters }' } }\n  - bad: { call: text.split, with: { chapters: '${ 7 }' } }",
    );
    let input = json!({ "chapters": [{ "text": "One. Two." }] }).to_string();
    let ran = potok
        .run(&["run", "split.yaml", "--data-dir", "data", "--input", &input])
        .await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let run = only_run(&potok.path("data/potok.db"));
    let show = async |more: &[&str]| {
        let arguments = [&["journal", "show", &run, "--data-dir", "data"], more].concat();
        potok.run(&arguments).await.success()
    };
    let text = show(&[]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].contains("  started  ") && lines[0].ends_with(&input), "{text}");
    assert!(lines[1].contains("  timer fired  "), "{text}");
    assert!(
        lines[2].contains("  call completed  ") && lines[2].contains("  /do/1/split  ["),
        "{text}"
    );
    assert!(
        lines[3].contains("  call faulted  ") && lines[3].contains("  /do/2/bad  {"),
        "{text}"
    );

    let whole = entries(&show(&["--json"]).await);
    assert_eq!(whole[2]["number"], 3);
    assert_eq!(whole[2]["kind"], "call completed");
    assert_eq!(whole[2]["path"], "/do/1/split");
    assert_eq!(
        whole[0]["entry"]["input"],
        serde_json::from_str::<Value>(&input).unwrap()
    );
    assert!(whole[0]["size"].as_u64().unwrap() > input.len() as u64 && whole[0]["time"].is_string());
}

#[tokio::test]
async fn a_server_may_have_the_directory() {
    let potok = Potok::new();
    let mut server = potok.start(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"]);
    let line = server.told("listening on").await;
    let base = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .unwrap();
    let client = crate::rig::client();
    let text = "{ document: { dsl: '1.0.3', namespace: tests, name: rest, version: '1.0.0' }, do: [ { rest: { wait: { hours: 1 } } } ] }";
    let deployed = client
        .put(format!("{base}/api/v1/workflows"))
        .header("content-type", "application/yaml");
    assert_eq!(deployed.body(text).send().await.unwrap().status(), 201);
    let started = client.post(format!("{base}/api/v1/workflows/tests/rest/runs"));
    let run: Value = started
        .json(&json!({ "a": 1 }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let run = run["id"].as_str().unwrap();
    let shown = potok
        .run(&["journal", "show", run, "--data-dir", "data", "--json"])
        .await
        .success();
    assert_eq!(entries(&shown)[0]["entry"]["input"], json!({ "a": 1 }));
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let potok = Potok::new();
    let run = "01890a5d-ac96-774b-bcce-b302099a8057";
    let show = async |run: &str| {
        potok
            .run(&["journal", "show", run, "--data-dir", "data"])
            .await
            .refused(3)
    };
    assert!(show(run).await.contains("there is no data in data"));
    assert!(show("x").await.contains("a UUID is expected"));
    potok.workflow("one", "  - one: { set: { a: 1 } }");
    potok.run(&["run", "one.yaml", "--data-dir", "data"]).await.json();
    assert!(show(run).await.contains(&format!("there is no run {run} in data")));
}

#[tokio::test]
async fn a_run_is_retried_from_the_command_line() {
    let potok = Potok::new();
    potok.workflow(
        "fragile",
        "  - first: { call: text.split, with: { chapters: '${ .chapters }' } }\n  - check: { raise: { error: { type: 'https://example.com/no', status: 418, title: No } }, if: '${ type != \"object\" }' }\n  - last: { set: { done: true } }",
    );
    let input = json!({ "chapters": [{ "text": "One. Two." }] }).to_string();
    let ran = potok
        .run(&["run", "fragile.yaml", "--data-dir", "data", "--input", &input])
        .await;
    assert_eq!(ran.problem()["status"], 418);
    let run = only_run(&potok.path("data/potok.db"));
    let retry = async |more: &[&str]| {
        potok
            .run(&[&["retry", &run, "--data-dir", "data"], more].concat())
            .await
    };
    let again = retry(&[]).await;
    assert!(!again.err.contains("first"), "{again:?}");
    assert_eq!(again.problem()["status"], 418);
    let edited = retry(&["--from", "/do/1/check", "--input", "{}"]).await;
    assert_eq!(edited.json(), json!({ "done": true }));
    assert!(
        retry(&["--from", "/do/7/none"])
            .await
            .refused(1)
            .contains("'/do/7/none'")
    );
    assert_eq!(retry(&["--input", "{}"]).await.code, Some(3));
    let absent = potok.run(&["retry", &run, "--data-dir", "none"]).await.refused(3);
    assert!(absent.contains("there is no data in none"), "{absent}");
}
