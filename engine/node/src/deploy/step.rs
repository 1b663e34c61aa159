//! A function on its own: the workflow of one step that calls it.

use potok_wasm::FunctionInfo;
use serde_json::{Map, Value, json};

use super::cache::FUNCTIONS;

/// The text of the workflow of one step that calls a function. Its input is the function's arguments, held to the function's schema.
pub(crate) fn one_step(function: &FunctionInfo) -> String {
    let arguments = function.input_schema.get("properties").and_then(Value::as_object);
    let with: Map<String, Value> = arguments
        .into_iter()
        .flat_map(|members| members.keys())
        .map(|name| (name.clone(), json!(format!("${{ .[{}] }}", json!(name)))))
        .collect();
    let mut call = json!({ "call": format!("{}@default", function.canonical) });
    if !with.is_empty() {
        call["with"] = Value::Object(with);
    }
    let name: String = function
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    let document = json!({
        "document": { "dsl": "1.0.3", "namespace": FUNCTIONS, "name": name.trim_matches('-'), "version": function.version },
        "input": { "schema": { "document": function.input_schema } },
        "do": [{ "call": call }],
    });
    document.to_string()
}
