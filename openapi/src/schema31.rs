//! From OpenAPI 3.0, which the framework writes, to 3.1: there a schema is a JSON Schema of draft 2020-12.
//!
//! Only what the framework writes is handled, not all of 3.0.

use serde_json::{Map, Number, Value, json};

/// Turns a document of 3.0 into one of 3.1.
pub(crate) fn convert(mut document: Value) -> Value {
    document["openapi"] = json!("3.1.0");
    for schema in members(document.pointer_mut("/components/schemas")) {
        convert_schema(schema);
    }
    for path in members(document.get_mut("paths")) {
        for operation in members(Some(path)) {
            convert_operation(operation);
        }
    }
    share_problems(&mut document);
    document
}

/// Every operation refuses in the same ways: each is described once.
fn share_problems(document: &mut Value) {
    let mut shared = Map::new();
    for path in members(document.get_mut("paths")) {
        for operation in members(Some(path)) {
            let responses = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut)
                .into_iter()
                .flatten();
            for (status, response) in responses.filter(|(status, _)| status.starts_with(['4', '5'])) {
                let reference = json!({ "$ref": format!("#/components/responses/{status}") });
                let mut own = std::mem::replace(response, reference);
                if status == "503" {
                    own["headers"] = json!({ "Retry-After": {
                        "description": "After how many seconds to try again.", "schema": { "type": "integer", "minimum": 0 },
                    } });
                }
                shared.insert(status.clone(), own);
            }
        }
    }
    shared.sort_keys();
    document["components"]["responses"] = Value::Object(shared);
}

fn members(object: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    object
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
}

fn convert_operation(operation: &mut Value) {
    for parameter in operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        tidy(parameter);
        if let Some(schema) = parameter.get_mut("schema") {
            convert_schema(schema);
        }
    }
    convert_content(operation.pointer_mut("/requestBody/content"));
    for response in members(operation.get_mut("responses")) {
        if response["description"] == "" {
            response["description"] = json!("What was asked for.");
        }
        convert_content(response.get_mut("content"));
        let Some(Value::Object(headers)) = response.get_mut("headers") else {
            continue;
        };
        for (name, mut header) in std::mem::take(headers) {
            tidy(&mut header);
            if let Some(schema) = header.get_mut("schema") {
                convert_schema(schema);
            }
            headers.insert(header_name(&name), header);
        }
    }
}

/// A header's name as people write it; the framework shouts.
fn header_name(name: &str) -> String {
    if name.eq_ignore_ascii_case("etag") {
        return "ETag".to_owned();
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{}", first.to_ascii_uppercase(), rest.to_ascii_lowercase())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// What says no more than the default.
fn tidy(parameter: &mut Value) {
    let Some(members) = parameter.as_object_mut() else {
        return;
    };
    members.retain(|name, value| !(name == "deprecated" && value == &json!(false)));
    if members.get("schema").and_then(|schema| schema.get("type")) != Some(&json!("array")) {
        members.shift_remove("explode");
    }
}

/// Schemas of bodies; a content type is named without its parameters.
fn convert_content(content: Option<&mut Value>) {
    let Some(Value::Object(content)) = content else { return };
    let media = std::mem::take(content);
    for (name, mut media) in media {
        if let Some(schema) = media.get_mut("schema") {
            convert_schema(schema);
        }
        let essence = name.split(';').next().unwrap_or_default().trim().to_owned();
        content.insert(essence, media);
    }
}

fn convert_schema(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for (name, value) in members.iter_mut() {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(convert_schema),
            ("items" | "additionalProperties", value) => convert_schema(value),
            ("anyOf" | "oneOf" | "allOf", Value::Array(list)) => list.iter_mut().for_each(convert_schema),
            ("minimum" | "maximum" | "multipleOf", value) => make_integral(value),
            _ => {}
        }
    }
    let unsigned = members
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with("uint"));
    if unsigned && !members.contains_key("minimum") {
        members.insert("minimum".to_owned(), json!(0));
    }
    fold_reference(members);
    exclusive(members, "exclusiveMinimum", "minimum");
    exclusive(members, "exclusiveMaximum", "maximum");
    if let Some(example) = members.shift_remove("example") {
        members.insert("examples".to_owned(), json!([example]));
    }
    if members.shift_remove("nullable") == Some(json!(true)) {
        make_nullable(members);
    }
}

/// `allOf` of a reference and what stands beside it anyway: in 3.1 a reference may have neighbours.
fn fold_reference(members: &mut Map<String, Value>) {
    let Some([Value::Object(reference), Value::Object(beside)]) =
        members.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
    else {
        return;
    };
    let Some(target) = reference.get("$ref").cloned() else {
        return;
    };
    if beside.iter().all(|(name, value)| members.get(name) == Some(value)) {
        members.shift_remove("allOf");
        members.insert("$ref".to_owned(), target);
    }
}

/// In 3.0 a flag beside the limit, in 3.1 the limit itself.
fn exclusive(members: &mut Map<String, Value>, flag: &str, limit: &str) {
    if members.shift_remove(flag) == Some(json!(true))
        && let Some(value) = members.shift_remove(limit)
    {
        members.insert(flag.to_owned(), value);
    }
}

/// The framework keeps limits as floats; those of integers are integers.
fn make_integral(value: &mut Value) {
    if let Some(float) = value.as_f64()
        && float.fract() == 0.0
        && float.abs() < 9.1e15
    {
        *value = Value::Number(Number::from(float as i64));
    }
}

fn make_nullable(members: &mut Map<String, Value>) {
    match members.get_mut("type") {
        Some(kind @ Value::String(_)) => {
            *kind = json!([kind.take(), "null"]);
            if let Some(Value::Array(cases)) = members.get_mut("enum") {
                cases.push(Value::Null);
            }
        }
        _ => {
            let schema = Value::Object(std::mem::take(members));
            members.insert("anyOf".to_owned(), json!([schema, { "type": "null" }]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(mut schema: Value) -> Value {
        convert_schema(&mut schema);
        schema
    }

    #[test]
    fn what_may_be_null_says_so_in_its_type() {
        assert_eq!(
            converted(json!({ "type": "string", "nullable": true })),
            json!({ "type": ["string", "null"] })
        );
        assert_eq!(
            converted(json!({ "type": "string", "enum": ["a"], "nullable": true })),
            json!({ "type": ["string", "null"], "enum": ["a", null] })
        );
        assert_eq!(
            converted(json!({ "properties": { "a": { "$ref": "#/x", "nullable": true } } })),
            json!({ "properties": { "a": { "anyOf": [{ "$ref": "#/x" }, { "type": "null" }] } } })
        );
    }

    #[test]
    fn limits_are_numbers() {
        let schema = json!({ "minimum": 1.0, "exclusiveMinimum": true, "maximum": 2.5, "exclusiveMaximum": false });
        assert_eq!(converted(schema), json!({ "maximum": 2.5, "exclusiveMinimum": 1 }));
        let unsigned = json!({ "type": "integer", "format": "uint32" });
        assert_eq!(
            converted(unsigned),
            json!({ "type": "integer", "format": "uint32", "minimum": 0 })
        );
    }

    #[test]
    fn a_reference_keeps_its_description_beside_it() {
        let schema = json!({ "allOf": [{ "$ref": "#/x" }, { "description": "d" }], "description": "d" });
        assert_eq!(converted(schema), json!({ "description": "d", "$ref": "#/x" }));
        let other = json!({ "allOf": [{ "$ref": "#/x" }, { "minimum": 1 }] });
        assert_eq!(converted(other.clone()), other);
    }

    #[test]
    fn problems_are_described_once() {
        let response = json!({ "description": "no", "headers": { "LAST-EVENT": { "deprecated": false } } });
        let document = json!({ "paths": {
            "/a": { "get": { "responses": { "404": response, "200": { "description": "" } } } },
            "/b": { "get": { "responses": { "404": response } } },
        } });
        let document = convert(document);
        for path in ["/a", "/b"] {
            assert_eq!(
                document["paths"][path]["get"]["responses"]["404"],
                json!({ "$ref": "#/components/responses/404" })
            );
        }
        assert_eq!(
            document["components"]["responses"]["404"]["headers"],
            json!({ "Last-Event": {} })
        );
        assert_eq!(
            document["paths"]["/a"]["get"]["responses"]["200"]["description"],
            "What was asked for."
        );
    }

    #[test]
    fn content_types_have_no_parameters() {
        let document = json!({ "paths": { "/a": { "get": { "responses": { "200": { "content": {
            "application/json; charset=utf-8": { "schema": { "type": "string", "example": 1 } }
        } } } } } } });
        let content = convert(document)["paths"]["/a"]["get"]["responses"]["200"]["content"].clone();
        assert_eq!(
            content,
            json!({ "application/json": { "schema": { "type": "string", "examples": [1] } } })
        );
    }
}
