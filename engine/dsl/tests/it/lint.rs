//! What looks wrong in files that can be read, as people see it.

use serde_json::{Value, json};

use super::files;

/// A function with all that the schemas of functions are made of.
fn schema(name: &str) -> Option<Value> {
    (name == "text.split").then(|| {
        json!({
            "type": "object",
            "properties": {
                "chapters": { "type": "array", "items": { "type": "object" }, "description": "The chapters, in order.\nMore on that." },
                "limit": { "type": "integer", "minimum": 1, "maximum": 4_294_967_295_u64 },
                "unit": { "type": "string", "oneOf": [{ "const": "words" }, { "const": "characters" }] },
                "mode": { "anyOf": [
                    { "oneOf": [
                        { "const": "loose" },
                        { "type": "object", "properties": { "within": { "type": "integer" } }, "required": ["within"], "additionalProperties": false },
                    ] },
                    { "type": "null" },
                ] },
                "title_text": { "type": ["string", "null"] },
                "deep": { "type": "object", "properties": { "a": { "type": "array", "items": {
                    "type": "object", "properties": { "b": { "type": "string" } }, "required": ["b"], "additionalProperties": false,
                } } }, "additionalProperties": false },
            },
            "required": ["chapters", "limit"],
            "additionalProperties": false,
        })
    })
}

#[test]
fn what_looks_wrong_is_explained() {
    for (name, text) in files("lint") {
        let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let list = potok_dsl::lint(&parsed, &schema);
        let diagnostics = potok_dsl::Diagnostics::new(name.clone(), text, list);
        insta::with_settings!({ snapshot_path => "../lint", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.trim_end_matches(".yaml"), diagnostics.to_string());
        });
    }
}

/// The examples of the specification are sound; what they leave unused or never reach they leave so on purpose.
#[test]
fn the_examples_are_hardly_complained_of() {
    let mut found = Vec::new();
    for (name, text) in files("examples") {
        let parsed = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let list = potok_dsl::lint(&parsed, &|_| None);
        found.extend(list.iter().map(|diagnostic| format!("{name}: {diagnostic}")));
    }
    insta::assert_snapshot!(found.join("\n"));
}
