//! What the server says of itself.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{GREET, Rig, answer};

/// A change of this file is a change of the API.
#[tokio::test]
async fn the_api() {
    let rig = Rig::empty().await;
    let document = rig.outside("/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.ok(200);
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots", sort_maps => false }, {
        insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&document).unwrap());
    });
    assert_sound(&document);
}

#[tokio::test]
async fn it_follows_what_is_deployed() {
    let rig = Rig::with_demo().await;
    let document = async || rig.outside("/openapi.json").await.ok(200);
    let path = "/workflows/test/greet/runs";
    assert_eq!(document().await["paths"].get(path), None);
    rig.deploy(GREET).await.ok(201);

    let after = document().await;
    assert_sound(&after);
    let start = &after["paths"][path]["post"];
    assert_eq!(
        (&start["operationId"], &start["summary"]),
        (&json!("run.test.greet"), &json!("Greet someone"))
    );
    assert_eq!(start["requestBody"]["required"], true);
    let input = json!({ "$ref": "#/components/schemas/run.test.greet.input" });
    assert_eq!(start["requestBody"]["content"]["application/json"]["schema"], input);
    let schemas = &after["components"]["schemas"];
    assert_eq!(
        schemas["run.test.greet.input"]["properties"]["name"]["$ref"],
        "#/components/schemas/run.test.greet.input.name"
    );
    assert_eq!(
        schemas["run.test.greet.input.name"],
        json!({ "type": "string", "minLength": 1 })
    );
    let answer_schema = &start["responses"]["200"]["content"]["application/json"]["schema"]["allOf"];
    assert_eq!(answer_schema[0], json!({ "$ref": "#/components/schemas/Run" }));
    assert_eq!(
        answer_schema[1]["properties"]["output"]["$ref"],
        "#/components/schemas/run.test.greet.output"
    );
    let names: Vec<_> = start["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["wait", "Idempotency-Key"]);

    let call = &after["paths"]["/functions/demo.add"]["post"];
    assert_eq!(call["description"], "Adds one.");
    assert_eq!(schemas["call.demo.add.output"]["type"], "integer");

    rig.deploy(&GREET.replace("1.0.0", "2.0.0").replace("minLength: 1", "minLength: 2"))
        .await
        .ok(201);
    assert_eq!(
        document().await["components"]["schemas"]["run.test.greet.input.name"]["minLength"],
        2
    );
    for version in ["1.0.0", "2.0.0"] {
        answer(rig.ask(Method::DELETE, &format!("/workflows/test/greet/{version}")))
            .await
            .ok(204);
    }
    assert_eq!(document().await["paths"].get(path), None);
}

/// Every reference leads somewhere, every operation has a name of its own and says what it answers.
#[track_caller]
fn assert_sound(document: &Value) {
    assert_eq!(document["openapi"], "3.1.0");
    let mut open = vec![document];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    assert!(
                        document.pointer(target.strip_prefix('#').unwrap()).is_some(),
                        "{target}"
                    );
                }
                assert!(!members.contains_key("nullable"), "{value}");
                open.extend(members.values());
            }
            _ => {}
        }
    }
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                let shared = response
                    .get("$ref")
                    .and_then(Value::as_str)
                    .and_then(|target| document.pointer(&target[1..]));
                let content = shared.unwrap_or(response).get("content").and_then(Value::as_object);
                // Those at the root have an older word for what goes wrong.
                let at_root = operation.get("servers").is_some();
                let problem = content.is_some_and(|content| match at_root {
                    true => content
                        .get("application/json")
                        .is_some_and(|json| json["schema"]["$ref"] == "#/components/schemas/Refused"),
                    false => content.contains_key("application/problem+json"),
                });
                assert_eq!(problem, status.starts_with(['4', '5']), "{method} {path} {status}");
            }
            let parameters = operation
                .get("parameters")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let declared = parameters.filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(declared, path.matches('{').count(), "{method} {path}");
        }
    }
}
