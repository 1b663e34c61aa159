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
        "/bots" | "/channels" => format!("{path}/"),
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
