//! One JSON Schema (draft 2020-12) for editors: the language, `metadata.potok`, and what the functions at hand take.
//!
//! The language's schema is its own, word for word. To it are added: our metadata where the language leaves `metadata` open; for each
//! function the schema of its arguments, under the condition that it is what is called; and that a workflow has no other members.
//! Wherever an argument may stand, an expression may stand instead.

use serde_json::{Map, Value, json};

/// The schema of the language, as its repository has it.
const LANGUAGE: &str = include_str!("open-workflow-1.0.3.json");

/// The schema of `metadata.potok`.
const METADATA: &str = include_str!("../../../../docs/metadata.potok.schema.json");

/// A function that workflows can call.
#[derive(Debug, Clone)]
pub struct Callable {
    /// The names that mean it: `book.extract`, `book.extract:1.0.0`.
    pub names: Vec<String>,
    /// Its documentation.
    pub docs: Option<String>,
    /// The JSON Schema of its arguments, an object.
    pub arguments: Value,
}

/// The schema of the language alone.
#[must_use]
pub fn language() -> Value {
    // The text is part of the program; a test reads it.
    serde_json::from_str(LANGUAGE).unwrap_or_default()
}

/// The schema for editors.
#[must_use]
pub fn for_editors(functions: &[Callable]) -> Value {
    let mut schema = language();
    schema["$id"] = "urn:potok:workflow".into();
    schema["title"] = "A workflow for Potok".into();
    schema["unevaluatedProperties"] = false.into();
    metadata(&mut schema);
    calls(&mut schema, functions);
    schema
}

/// `metadata.potok`, of the document and of each task.
fn metadata(schema: &mut Value) {
    let metadata: Value = serde_json::from_str(METADATA).unwrap_or_default();
    let definitions = metadata
        .get("$defs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (name, definition) in definitions {
        schema["$defs"][prefixed(&name)] = renamed(definition);
    }
    let potok = |name: &str| json!({ "potok": { "$ref": format!("#/$defs/{}", prefixed(name)) } });
    schema["properties"]["document"]["properties"]["metadata"]["properties"] = potok("document");
    schema["$defs"]["taskBase"]["properties"]["metadata"]["properties"] = potok("task");
}

fn prefixed(name: &str) -> String {
    format!("potok-{name}")
}

/// The same with its references leading to the new names.
fn renamed(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let member = |(key, value): (String, Value)| match (&*key, &value) {
                ("$ref", Value::String(to)) => {
                    let name = to.strip_prefix("#/$defs/").map(prefixed);
                    (key, name.map_or(value, |name| format!("#/$defs/{name}").into()))
                }
                _ => (key, renamed(value)),
            };
            Value::Object(members.into_iter().map(member).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(renamed).collect()),
        other => other,
    }
}

/// What each function takes, under the condition that it is called.
fn calls(schema: &mut Value, functions: &[Callable]) {
    if functions.is_empty() {
        return;
    }
    let mut known = Vec::new();
    let mut conditions = Vec::new();
    for (index, function) in functions.iter().enumerate() {
        let name = format!("function-{index}");
        let mut arguments = with_expressions(&function.arguments, true);
        if let (Some(docs), Value::Object(arguments)) = (&function.docs, &mut arguments) {
            arguments.entry("description").or_insert_with(|| docs.as_str().into());
        }
        let required = arguments
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        schema["$defs"][&name] = arguments;
        let mut then = json!({ "properties": { "with": { "$ref": format!("#/$defs/{name}") } } });
        if required {
            then["required"] = json!(["with"]);
        }
        conditions.push(json!({
            "if": { "properties": { "call": { "enum": function.names } }, "required": ["call"] },
            "then": then,
        }));
        known.extend(function.names.iter().map(|name| match &function.docs {
            Some(docs) => json!({ "const": name, "description": docs }),
            None => json!({ "const": name }),
        }));
    }
    // The names are what an editor offers; others are those of 'use.functions' and of other catalogs.
    known.push(json!({ "type": "string" }));
    if let Some(kinds) = schema["$defs"]["callTask"]["oneOf"].as_array_mut() {
        let function = kinds
            .iter_mut()
            .filter_map(|kind| kind.get_mut("allOf")?.as_array_mut())
            .next_back();
        if let Some(parts) = function {
            parts.push(json!({ "properties": { "call": { "anyOf": known } } }));
            parts.extend(conditions);
        }
    }
}

/// A schema of data as one of data in which expressions may stand. Recursion ends where the depth of a function's types does.
fn with_expressions(schema: &Value, root: bool) -> Value {
    let Value::Object(members) = schema else {
        return schema.clone();
    };
    let inner = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                let each = properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), with_expressions(schema, false)));
                Value::Object(each.collect())
            }
            ("items", schema) => with_expressions(schema, false),
            ("prefixItems", Value::Array(schemas)) => {
                schemas.iter().map(|schema| with_expressions(schema, false)).collect()
            }
            // One of several stands where its parent does, so an expression was let in already.
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                schemas.iter().map(|schema| with_expressions(schema, true)).collect()
            }
            (_, value) => value.clone(),
        };
        (key.clone(), value)
    };
    let mut schema: Map<String, Value> = members.iter().map(inner).collect();
    if root {
        return Value::Object(schema);
    }
    let mut outer = Map::new();
    if let Some(description) = schema.remove("description") {
        outer.insert("description".to_owned(), description);
    }
    outer.insert(
        "anyOf".to_owned(),
        json!([schema, { "$ref": "#/$defs/runtimeExpression" }]),
    );
    Value::Object(outer)
}
