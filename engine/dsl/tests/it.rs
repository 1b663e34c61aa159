//! The crate from outside: examples, invalid files, hostile text.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

#[path = "it/graph.rs"]
mod graph;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/invalid.rs"]
mod invalid;
#[path = "it/lint.rs"]
mod lint;
#[path = "it/models.rs"]
mod models;
#[path = "it/schema.rs"]
mod schema;

/// The crate's folder, as it is now: a build in a shared cache may be of another checkout.
fn here() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = here().join("tests").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_example_is_read_and_written_back() {
    let files = files("examples");
    assert_eq!(files.len(), 68);
    for (name, text) in files {
        let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(parsed.workflow.to_value(), *parsed.document, "{name}");
        for item in &parsed.workflow.tasks.0 {
            assert_eq!(item.task.to_value(), item.task.source, "{name}: {}", item.name.value);
        }
    }
}

#[test]
fn what_is_not_executed_is_named_with_its_line() {
    let [(name, text)] = files("unsupported").try_into().unwrap();
    let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let list: Vec<String> = potok_dsl::unsupported(&parsed.workflow)
        .iter()
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(list.join("\n"));
}

#[test]
fn examples_that_use_what_is_executed_are_supported() {
    let supported: Vec<String> = files("examples")
        .into_iter()
        .filter(|(name, text)| potok_dsl::unsupported(&potok_dsl::parse(name, text).unwrap().workflow).is_empty())
        .map(|(name, _)| name)
        .collect();
    insta::assert_snapshot!(supported.join("\n"));
}

/// `docs/metadata.potok.schema.json` and the reader accept and refuse the same.
#[test]
fn the_schema_of_metadata_potok_agrees_with_the_reader() {
    let path = here().join("../../docs/metadata.potok.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let part = |name: &str| {
        let reference =
            json!({ "$schema": schema["$schema"], "$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"] });
        jsonschema::validator_for(&reference).unwrap()
    };
    let (document, task) = (part("document"), part("task"));

    for (potok, sound) in [
        (json!({}), true),
        (json!({ "schedule": {} }), true),
        (
            json!({ "schedule": { "timezone": "Europe/Moscow", "overlap": "skip", "catchUp": "latest" } }),
            true,
        ),
        (json!({ "schedule": { "overlap": "queue", "catchUp": "none" } }), true),
        (json!({ "schedule": { "overlap": "allow", "catchUp": "all" } }), true),
        (json!({ "schedule": { "overlap": "never" } }), false),
        (json!({ "schedule": { "catchUp": "some" } }), false),
        (json!({ "schedule": { "timezone": 3 } }), false),
        (json!({ "schedule": { "zone": "UTC" } }), false),
        (json!({ "schedule": null }), false),
        (json!({ "concurrency": { "limit": 1 } }), true),
        (
            json!({ "concurrency": { "limit": 10_000, "key": "${ .a }", "onConflict": "replace" } }),
            true,
        ),
        (json!({ "concurrency": { "limit": 1, "onConflict": "queue" } }), true),
        (json!({ "concurrency": { "limit": 1, "onConflict": "reject" } }), true),
        (json!({ "concurrency": { "limit": 0 } }), false),
        (json!({ "concurrency": { "limit": 10_001 } }), false),
        (json!({ "concurrency": { "limit": 1.5 } }), false),
        (json!({ "concurrency": { "key": ".a" } }), false),
        (json!({ "concurrency": { "limit": 1, "onConflict": "wait" } }), false),
        (json!({ "concurrency": { "limit": 1, "max": 2 } }), false),
        (json!({ "parallel": 3 }), false),
        (json!([]), false),
    ] {
        let mut workflow = json!({
            "document": { "dsl": "1.0.3", "namespace": "tests", "name": "potok", "version": "1.0.0" },
            "schedule": { "cron": "0 0 * * *" },
            "do": [{ "a": { "set": { "a": 1 } } }],
        });
        workflow["document"]["metadata"] = json!({ "potok": potok, "other": 1 });
        assert_eq!(document.is_valid(&potok), sound, "schema: {potok}");
        assert_eq!(
            potok_dsl::parse("w", &workflow.to_string()).is_ok(),
            sound,
            "reader: {potok}"
        );
    }

    let each = json!({ "for": { "in": ".a" }, "do": [{ "b": { "set": { "a": 1 } } }] });
    let call = json!({ "call": "book.extract" });
    let run = json!({ "run": { "workflow": { "namespace": "a", "name": "b", "version": "latest" } } });
    for (on, potok, sound) in [
        (&each, json!({}), true),
        (
            &each,
            json!({ "parallel": 1, "collect": true, "label": "All of them" }),
            true,
        ),
        (&each, json!({ "parallel": 1000, "collect": false }), true),
        (&each, json!({ "parallel": 1001 }), false),
        (&each, json!({ "parallel": 0 }), false),
        (&each, json!({ "parallel": "3" }), false),
        (&each, json!({ "collect": "yes" }), false),
        (&each, json!({ "label": 1 }), false),
        (&each, json!({ "lable": "a" }), false),
        (
            &call,
            json!({ "rate": { "limit": 20, "per": "minute", "key": "${ .account }" } }),
            true,
        ),
        (&call, json!({ "rate": { "limit": 1, "per": "second" } }), true),
        (&call, json!({ "rate": { "limit": 1, "per": "hour" } }), true),
        (&call, json!({ "rate": { "limit": 1, "per": "day" } }), true),
        (&call, json!({ "rate": { "limit": 1, "per": "week" } }), false),
        (&call, json!({ "rate": { "limit": 1 } }), false),
        (&call, json!({ "rate": { "per": "day" } }), false),
        (&call, json!({ "rate": { "limit": 0, "per": "day" } }), false),
        (&call, json!({ "rate": { "limit": 10_000, "per": "day" } }), true),
        (&call, json!({ "rate": { "limit": 10_001, "per": "day" } }), false),
        (&call, json!({ "rate": 3 }), false),
        (
            &call,
            json!({ "idempotencyKey": "${ .id }", "delivery": "atMostOnce" }),
            true,
        ),
        (&call, json!({ "delivery": "atLeastOnce" }), true),
        (&call, json!({ "delivery": "exactlyOnce" }), false),
        (&call, json!({ "idempotencyKey": 1 }), false),
        (&run, json!({ "bind": "start" }), true),
        (&run, json!({ "bind": "deploy", "label": "Sub" }), true),
        (&run, json!({ "bind": "never" }), false),
        (&call, json!({ "timezone": "UTC" }), false),
        (&call, json!("label"), false),
    ] {
        let mut step = on.clone();
        step["metadata"] = json!({ "potok": potok });
        let workflow = json!({
            "document": { "dsl": "1.0.3", "namespace": "tests", "name": "potok", "version": "1.0.0" },
            "do": [{ "step": step }],
        });
        assert_eq!(task.is_valid(&potok), sound, "schema: {potok}");
        assert_eq!(
            potok_dsl::parse("w", &workflow.to_string()).is_ok(),
            sound,
            "reader: {potok}"
        );
    }
}

#[test]
fn what_was_read_comes_with_its_text_and_hash() {
    let text = r#"{ "document": { "dsl": "1.0.0", "namespace": "a", "name": "b", "version": "1.0.0" }, "do": [ { "c": { "wait": "PT1S" } } ] }"#;
    let parsed = potok_dsl::parse("w.json", text).unwrap();
    assert_eq!(&*parsed.source, text);
    assert_eq!(
        parsed.hash,
        "a317c9b8c7fa2de4d2baafac9835c2beca932ceb854f64d3b3091f4b2384df35"
    );
    assert_eq!(parsed.document["do"][0]["c"], json!({ "wait": "PT1S" }));
    let task = &parsed.workflow.tasks.0[0];
    assert_eq!((task.name.at.column, task.task.kind_at.column), (96, 103));
}
