//! These operations in the document of the server, whose own paths are below `/api/v1`.

use serde_json::{Map, Value, json};

/// Adds the document of these operations to that of the server.
pub(crate) fn merge(mut document: Value, mut classic: Value) -> Value {
    let refused = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Refused" } } });
    let mut responses = Map::new();
    for (status, mut response) in taken(&mut classic, "/components/responses") {
        response["content"] = refused.clone();
        responses.insert(shared(&status), response);
    }
    extend(&mut document, "/components/responses", responses);
    let mut schemas = taken(&mut classic, "/components/schemas");
    schemas.values_mut().for_each(may_be_null);
    schemas.insert("Refused".to_owned(), schema_of_refusals());
    extend(&mut document, "/components/schemas", schemas);
    let mut paths = Map::new();
    for (path, mut item) in taken(&mut classic, "/paths") {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let own = operation.get_mut("responses").and_then(Value::as_object_mut);
            for (status, response) in own.into_iter().flatten() {
                if response.get("$ref").is_some() {
                    response["$ref"] = json!(format!("#/components/responses/{}", shared(status)));
                }
            }
            if let Some(body) = operation.get_mut("requestBody") {
                body["required"] = json!(true);
            }
            // Not below the address of the others.
            operation["servers"] = json!([{ "url": "/" }]);
        }
        paths.insert(as_clients_write(&path), item);
    }
    extend(&mut document, "/paths", paths);
    let mut tags = classic["tags"].take();
    if let (Some(all), Some(own)) = (document["tags"].as_array_mut(), tags.as_array_mut()) {
        all.append(own);
    }
    document
}

/// What may be absent may be null, and is in answers.
fn may_be_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let needed = |name: &String| {
        required
            .as_array()
            .is_some_and(|names| names.iter().any(|needed| needed == name))
    };
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, property) in properties.into_iter().flatten().filter(|(name, _)| !needed(name)) {
        if property["type"].is_string() {
            property["type"] = json!([property["type"].take(), "null"]);
        } else if let Some(alternatives) = property["anyOf"].as_array_mut() {
            alternatives.push(json!({ "type": "null" }));
        }
        if property["$ref"].is_string() || property["allOf"].is_array() {
            let members = property.as_object_mut().map(std::mem::take).unwrap_or_default();
            let (named, said): (Map<_, _>, Map<_, _>) = members
                .into_iter()
                .partition(|(name, _)| name == "$ref" || name == "allOf");
            *property = Value::Object(said);
            property["anyOf"] = json!([named, { "type": "null" }]);
        }
        // Looking for what is not there leaves a null behind.
        if let Some(members) = property.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
    }
    if let Some(members) = schema.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
}

fn schema_of_refusals() -> Value {
    json!({
        "type": "object",
        "required": ["status", "message"],
        "properties": {
            "status": { "const": "error" },
            "message": { "type": "string", "description": "What happened, and what to do about it." },
        },
    })
}

/// Which of the document's paths begin at the root, as they are served.
pub(crate) fn at_root(document: &Value) -> Value {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let mut found = Map::new();
    for (path, item) in paths.filter(|(_, item)| is_at_root(item)) {
        found.insert(path.clone(), item.clone());
        let other = path.trim_end_matches('/');
        let other = if other.len() < path.len() {
            other.to_owned()
        } else {
            format!("{path}/")
        };
        found.insert(other, item.clone());
    }
    json!({ "paths": found })
}

/// The document without these.
pub(crate) fn elsewhere(document: &Value) -> Value {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let others = paths.filter(|(_, item)| !is_at_root(item));
    json!({ "paths": others.map(|(path, item)| (path.clone(), item.clone())).collect::<Map<_, _>>() })
}

fn is_at_root(item: &Value) -> bool {
    item.as_object()
        .into_iter()
        .flat_map(Map::values)
        .any(|operation| operation.get("servers").is_some())
}

fn shared(status: &str) -> String {
    format!("telegram.{status}")
}

/// Lists end with a slash.
fn as_clients_write(path: &str) -> String {
    match path {
        "/bots" | "/channels" | "/accounts" | "/proxies" => format!("{path}/"),
        other => other.to_owned(),
    }
}

fn taken(document: &mut Value, place: &str) -> Map<String, Value> {
    match document.pointer_mut(place).map(Value::take) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn extend(document: &mut Value, place: &str, more: Map<String, Value>) {
    if let Some(Value::Object(members)) = document.pointer_mut(place) {
        members.extend(more);
    }
}
