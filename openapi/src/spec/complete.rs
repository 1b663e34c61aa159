//! What the framework cannot say of the operations: how an event stream is made up, what leads where, an example of a definition.

use serde_json::{Map, Value, json};

/// A definition to begin with.
const EXAMPLE: &str = r#"document: { dsl: '1.0.3', namespace: examples, name: greet, version: '1.0.0' }
input:
  schema:
    document:
      type: object
      required: [name]
      properties: { name: { type: string } }
do:
  - greet: { set: { greeting: '${ "Hello, \(.name)" }' } }
"#;

/// Completes a document of the framework.
pub(crate) fn complete(mut document: Value) -> Value {
    for closed in ["Reason", "Restart"] {
        document["components"]["schemas"][closed]["additionalProperties"] = json!(false);
    }
    if let Some(stream) =
        document.pointer_mut("/paths/~1runs~1{id}~1stream/get/responses/200/content/text~1event-stream")
    {
        stream["schema"] = event();
    }
    if let Some(definition) = document.pointer_mut("/paths/~1workflows/put/requestBody/content/application~1yaml") {
        definition["examples"] = json!({ "greet": { "summary": "Greets someone", "value": EXAMPLE } });
    }
    let taken = "/paths/~1events/post/requestBody/content/application~1cloudevents";
    for (content_type, schema) in [("+json", cloudevent()), ("-batch+json", batch())] {
        if let Some(content) = document.pointer_mut(&format!("{taken}{content_type}")) {
            content["schema"] = schema;
        }
    }
    for (path, method, statuses, links) in [
        ("/workflows", "put", ["200", "201"].as_slice(), workflow_links()),
        (
            "/workflows/{namespace}/{name}/runs",
            "post",
            &["200", "202"],
            run_links(),
        ),
        ("/functions/{name}", "post", &["200", "202"], run_links()),
        ("/blobs", "post", &["201"], blob_links()),
    ] {
        for status in statuses {
            let place = format!("/paths/{}/{method}/responses/{status}", path.replace('/', "~1"));
            if let Some(response) = document.pointer_mut(&place) {
                response["links"] = links.clone();
            }
        }
    }
    document
}

/// One server-sent event; `data` is JSON in a text.
fn event() -> Value {
    let event = |kind: &str, data: &str, id: bool| {
        let data = json!({ "$ref": format!("#/components/schemas/{data}") });
        let mut event = json!({
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": { "const": kind },
                "data": { "type": "string", "contentMediaType": "application/json", "contentSchema": data },
            },
        });
        if id {
            event["required"] = json!(["event", "id", "data"]);
            event["properties"]["id"] = json!({ "type": "string", "description": "The event's number." });
        }
        event
    };
    json!({ "oneOf": [event("task", "Event", true), event("run", "Run", false)] })
}

/// A `CloudEvent` 1.0 as JSON.
fn cloudevent() -> Value {
    // An attribute that is null is not there.
    let text = json!({ "type": ["string", "null"], "minLength": 1 });
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 256 });
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": name,
            "source": { "type": "string", "format": "uri-reference", "minLength": 1, "maxLength": 256 },
            "type": { "type": "string", "pattern": "^[a-z][a-z0-9.-]*$", "maxLength": 256 },
            "subject": text,
            "time": { "type": ["string", "null"], "format": "date-time" },
            "datacontenttype": text,
            "dataschema": { "type": ["string", "null"], "format": "uri", "minLength": 1 },
            "data": { "description": "Any JSON." },
            "data_base64": { "type": ["string", "null"], "contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})*$" },
        },
        "propertyNames": { "pattern": "^([a-z0-9]{1,20}|data_base64)$" },
        "maxProperties": 64,
        "additionalProperties": { "type": ["string", "boolean", "integer", "null"], "minimum": i32::MIN, "maximum": i32::MAX },
        "not": { "required": ["data", "data_base64"], "properties": { "data_base64": { "type": "string" } } },
        "example": { "specversion": "1.0", "id": "1", "source": "/orders", "type": "order.paid", "data": { "order": 7 } },
    })
}

fn batch() -> Value {
    json!({ "type": "array", "items": cloudevent(), "maxItems": 1000 })
}

/// Links to operations whose parameters are in the response.
fn links(operations: &[&str], parameters: &[(&str, &str)]) -> Value {
    let parameters: Map<String, Value> = parameters
        .iter()
        .map(|(name, place)| ((*name).to_owned(), json!(format!("$response.body#{place}"))))
        .collect();
    let link = |id: &&str| ((*id).to_owned(), json!({ "operationId": id, "parameters": parameters }));
    Value::Object(operations.iter().map(link).collect())
}

fn run_links() -> Value {
    let operations = [
        "getRun",
        "getHistory",
        "followRun",
        "cancelRun",
        "suspendRun",
        "resumeRun",
    ];
    links(&operations, &[("id", "/id")])
}

fn workflow_links() -> Value {
    let (namespace, name, version) = (
        ("namespace", "/workflow/namespace"),
        ("name", "/workflow/name"),
        ("version", "/workflow/version"),
    );
    let mut all = links(
        &["getWorkflow", "activateWorkflow", "removeWorkflow"],
        &[namespace, name, version],
    );
    let unversioned = links(&["getActiveWorkflow", "startRun"], &[namespace, name]);
    if let (Value::Object(all), Value::Object(more)) = (&mut all, unversioned) {
        all.extend(more);
    }
    all
}

fn blob_links() -> Value {
    links(&["readBlob"], &[("id", "/id")])
}
