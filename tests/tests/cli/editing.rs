//! Files on their way to running: checked, described for editors, tested.

use serde_json::{Value, json};

use crate::rig::{Potok, only_run};

const TASKS: &str = "  - greet: { set: { greeting: hello }, then: end }\n  - leave: { set: { greeting: goodbye } }";

#[tokio::test]
async fn warnings_are_told_and_do_not_stand_in_the_way() {
    let potok = Potok::new();
    potok.workflow("hello", TASKS);
    let ran = potok.run(&["validate", "hello.yaml"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err
            .contains("hello.yaml:4:5: warning: task 'leave' is never reached; "),
        "{ran:?}"
    );
    assert_eq!(ran.out, "hello.yaml: tests/hello:1.0.0 is valid\n");
    let strict = potok.run(&["validate", "--strict", "hello.yaml"]).await;
    assert_eq!((strict.code, strict.out.as_str()), (Some(2), ""), "{strict:?}");
}

#[tokio::test]
async fn editors_are_told_in_json() {
    let potok = Potok::new();
    potok.workflow("hello", TASKS);
    potok.workflow(
        "bad",
        "  - split: { call: text.split, with: { chapters: none, limt: 5 } }",
    );
    let ran = potok
        .run(&["validate", "--format", "json", "hello.yaml", "bad.yaml"])
        .await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let told: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let places: Vec<Value> = told
        .iter()
        .map(|place| {
            json!([
                place["file"],
                place["line"],
                place["column"],
                place["severity"],
                place["message"]
            ])
        })
        .collect();
    assert_eq!(
        places,
        [
            json!(["hello.yaml", 4, 5, "warning", "task 'leave' is never reached"]),
            json!([
                "bad.yaml",
                3,
                50,
                "error",
                "'chapters' of text.split must be a list, not text"
            ]),
            json!(["bad.yaml", 3, 56, "error", "text.split takes no 'limt'"]),
        ]
    );
    assert_eq!(told[2]["help"], "did you mean 'limit'?");
}

/// The schema knows the language, our metadata and the functions that are installed.
#[tokio::test]
async fn one_schema_is_for_everything() {
    let schema = Potok::new().run(&["schema"]).await.json();
    let text = schema.to_string();
    for name in [
        "\"telegram.post\"",
        "\"telegram.post:1.0.0\"",
        "\"book.extract\"",
        "potok-task",
        "\"unevaluatedProperties\"",
    ] {
        assert!(text.contains(name), "{name}");
    }
}

const TEST: &str = "
cases:
  - name: it waits and asks
    mocks: [ { http: GET https://example.com/prices, answer: { bread: 2 } } ]
    expect: { output: { bread: 2 }, took: PT1H }
  - name: it asks twice
    mocks: [ { http: GET https://example.com/prices, answer: { bread: 2 } } ]
    expect: { tasks: { ask: 2 } }
";

#[tokio::test]
async fn tests_are_run_and_told() {
    let potok = Potok::new();
    potok.workflow(
        "patient",
        "  - rest: { wait: { hours: 1 } }\n  - ask: { call: http, with: { method: get, endpoint: 'https://example.com/prices' } }",
    );
    potok.write("patient.test.yaml", TEST);
    let ran = potok.run(&["test"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    insta::assert_snapshot!("tests", ran.out);
    let json: Value =
        serde_json::from_str(&potok.run(&["test", "--format", "json", "patient.test.yaml"]).await.out).unwrap();
    assert_eq!(
        (&json[0]["cases"][0]["passed"], &json[0]["cases"][1]["passed"]),
        (&json!(true), &json!(false))
    );

    potok.write("patient.test.yaml", TEST.replace("ask: 2", "ask: 1"));
    assert!(
        potok
            .run(&["test", "."])
            .await
            .success()
            .ends_with("2 passed, 0 failed\n")
    );
    assert_eq!(potok.run(&["validate", "patient.test.yaml"]).await.code, Some(0));

    potok.write("patient.test.yaml", TEST.replace("expect: { tasks", "expects: { tasks"));
    let broken = potok.run(&["test"]).await;
    assert_eq!(broken.code, Some(2), "{broken:?}");
    assert!(
        broken.err.contains("patient.test.yaml:8:5: unknown property 'expects'"),
        "{broken:?}"
    );
    assert_eq!(potok.run(&["test", "absent"]).await.code, Some(3));
}

/// What a run did is written down as a test, and the test passes.
#[tokio::test]
async fn a_run_becomes_a_test() {
    let potok = Potok::new();
    potok.workflow(
        "split",
        "  - split: { call: text.split, with: { chapters: '${ .chapters }', limit: 100 } }\n  - count: { set: { chunks: '${ length }' } }",
    );
    let input = json!({ "chapters": [{ "text": "One. Two." }] }).to_string();
    let output = potok
        .run(&["run", "split.yaml", "--data-dir", "data", "--input", &input])
        .await
        .json();
    assert_eq!(output, json!({ "chunks": 1 }));
    let log = potok
        .run(&["test", "--from-run", "nonsense", "--data-dir", "data"])
        .await;
    assert_eq!(log.code, Some(3), "{log:?}");
    let run = only_run(&potok.path("data/potok.db"));
    let text = potok
        .run(&["test", "--from-run", &run, "--data-dir", "data"])
        .await
        .success();
    potok.write("split.test.yaml", &text);
    assert!(
        potok.run(&["test"]).await.success().ends_with("1 passed, 0 failed\n"),
        "{text}"
    );
}
