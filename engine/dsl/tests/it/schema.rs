//! The schema for editors: it takes what the language takes, refuses what the language refuses, and knows our metadata and functions.

use potok_dsl::schema::{Callable, for_editors};
use serde_json::{Value, json};

use super::{
    files,
    invalid::{corpus, data},
};

fn functions() -> Vec<Callable> {
    vec![Callable {
        names: vec!["demo.cut".to_owned(), "demo.cut:1.0.0".to_owned()],
        docs: Some("Splits chapters into chunks.".to_owned()),
        arguments: json!({
            "type": "object",
            "properties": {
                "chapters": { "type": "array", "items": { "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] } },
                "limit": { "type": "integer", "minimum": 1, "description": "The most characters of a chunk." },
            },
            "required": ["chapters", "limit"],
            "additionalProperties": false,
        }),
    }]
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&for_editors(&functions())).unwrap()
}

/// An expression of a kind that text of YAML gives.
fn workflow(task: &Value) -> Value {
    json!({
        "document": { "dsl": "1.0.3", "namespace": "tests", "name": "schema", "version": "1.0.0" },
        "do": [{ "step": task }],
    })
}

#[test]
fn the_examples_and_the_shipped_workflows_fit() {
    let validator = validator();
    let mut all = files("examples");
    all.extend(files("../../../workflows"));
    assert!(all.len() > 68);
    for (name, text) in all.into_iter().filter(|(name, _)| !name.ends_with(".test.yaml")) {
        let wrong: Vec<String> = validator.iter_errors(&data(&text)).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
}

/// Every broken rule of the language is seen in an editor too, and so is what our own schema says of `metadata.potok`.
#[test]
fn what_the_language_refuses_does_not_fit() {
    let validator = validator();
    let mut seen = Vec::new();
    for (area, files) in corpus() {
        for (name, text) in files {
            let fits = validator.is_valid(&data(&text));
            if area == "ours" {
                seen.extend((!fits).then(|| name.trim_end_matches(".yaml").to_owned()));
            } else {
                assert!(!fits, "{area}/{name}");
            }
        }
    }
    // Of the rules that are ours alone, these are rules of form.
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn arguments_of_functions_are_known() {
    let validator = validator();
    let chapters = json!([{ "text": "One." }]);
    for (task, fits) in [
        (
            json!({ "call": "demo.cut", "with": { "chapters": chapters, "limit": 100 } }),
            true,
        ),
        (
            json!({ "call": "demo.cut:1.0.0", "with": { "chapters": "${ .chapters }", "limit": "${ .limit }" } }),
            true,
        ),
        (
            json!({ "call": "demo.cut", "with": { "chapters": ["${ .chapter }"], "limit": 100 }, "then": "end" }),
            true,
        ),
        (
            json!({ "call": "demo.cut", "with": { "chapters": [{ "text": "${ .text }" }], "limit": 100 } }),
            true,
        ),
        (json!({ "call": "demo.cut" }), false),
        (json!({ "call": "demo.cut", "with": { "chapters": chapters } }), false),
        (
            json!({ "call": "demo.cut", "with": { "chapters": chapters, "limit": "100" } }),
            false,
        ),
        (
            json!({ "call": "demo.cut", "with": { "chapters": [{ "txt": "One." }], "limit": 100 } }),
            false,
        ),
        (
            json!({ "call": "demo.cut", "with": { "chapters": chapters, "limit": 100, "more": 1 } }),
            false,
        ),
        (json!({ "call": "text.join", "with": { "anything": "goes" } }), true),
        (
            json!({ "set": { "a": 1 }, "metadata": { "potok": { "label": "A" } } }),
            true,
        ),
        (
            json!({ "set": { "a": 1 }, "metadata": { "potok": { "lable": "A" } } }),
            false,
        ),
        (
            json!({ "set": { "a": 1 }, "metadata": { "other": { "lable": "A" } } }),
            true,
        ),
    ] {
        assert_eq!(validator.is_valid(&workflow(&task)), fits, "{task}");
    }
}

/// What an editor shows beside a name.
#[test]
fn documentation_becomes_descriptions() {
    let schema = for_editors(&functions()).to_string();
    assert!(schema.contains("Splits chapters into chunks.") && schema.contains("The most characters of a chunk."));
}
