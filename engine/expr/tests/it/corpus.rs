//! The expressions of the specification's examples and of its conformance kit.

use potok_expr::{Evaluator, Expression, Template};
use serde_json::{Value, json};

use crate::full::Variables;

fn scope() -> Variables {
    Variables::new([
        ("color", json!("red")),
        ("index", json!(1)),
        ("pet", json!({"id": 7, "name": "Rex"})),
        ("message", json!({"text": "hi"})),
        ("event", json!({"id": "e1"})),
        ("err", json!({"status": 404})),
        ("error", json!({"status": 500})),
        ("input", json!({"color": "blue", "id": 3})),
        (
            "context",
            json!({
                "userId": "u1", "contact": {"firstName": "Ada", "lastName": "Lovelace"}, "homeworld": "https://swapi.dev/api/planets/1/",
                "consumedMessages": [1, 2, 3, 4, 5], "error": null,
            }),
        ),
        (
            "task",
            json!({"with": {"endpoint": {"uri": "https://mocked.service.com/x"}}}),
        ),
        (
            "workflow",
            json!({
                "input": [{"data": {"timestamp": "2026-01-01T00:00:00Z", "patient": {"id": "p1", "name": "Ada", "vitals": {"bpm": 61}, "room": {"number": 12}}}}],
                "definition": {"document": {"name": "draft", "version": "0.1.0"}},
            }),
        ),
    ])
}

/// Expression, input, result.
fn corpus() -> Vec<(&'static str, Value, Value)> {
    let event = json!({"correlationId": "u1", "payload": {"from": {"firstName": "Ada", "lastName": "Lovelace"}}});
    let task = "($task.with.endpoint != null and ($task.with.endpoint | startswith(\"https://mocked.service.com\"))) or ($task.with.endpoint.uri != null and ($task.with.endpoint.uri | startswith(\"https://mocked.service.com\")))";
    vec![
        ("${ .bpm < 60 or .bpm > 100 }", json!({"bpm": 101}), json!(true)),
        ("${ .bpm < 60 or .bpm > 100 }", json!({"bpm": 80}), json!(false)),
        (
            "${ .correlationId == $context.userId and .payload.from.firstName == $context.contact.firstName and .payload.from.lastName == $context.contact.lastName }",
            event,
            json!(true),
        ),
        ("${ .temperature > 38 }", json!({"temperature": 38.5}), json!(true)),
        ("${.searchQuery}", json!({"searchQuery": "luke"}), json!("luke")),
        ("${ .token }", json!({"token": "t"}), json!("t")),
        (
            "${ .colors + [ \"blue\" ] }",
            json!({"colors": ["red"]}),
            json!(["red", "blue"]),
        ),
        ("${ .colors + [\"red\"] }", json!({}), json!(["red"])),
        (
            "${ .colors + [ $input.color ] }",
            json!({"colors": []}),
            json!(["blue"]),
        ),
        (
            "${ . + { status: \"sold\" } }",
            json!({"id": 1, "status": "new"}),
            json!({"id": 1, "status": "sold"}),
        ),
        (
            "${ $context.homeworld }",
            json!(null),
            json!("https://swapi.dev/api/planets/1/"),
        ),
        (
            "${ .content.homeworld }",
            json!({"content": {"homeworld": "Tatooine"}}),
            json!("Tatooine"),
        ),
        ("${ $error }", json!(null), json!({"status": 500})),
        ("${ $message }", json!(null), json!({"text": "hi"})),
        (
            "${ { colors: (.processed.colors + [ $color ]), indexes: (.processed.indexes + [ $index ])} }",
            json!({"processed": {"colors": ["green"], "indexes": [0]}}),
            json!({"colors": ["green", "red"], "indexes": [0, 1]}),
        ),
        ("${ .patient.fullName }", json!({"patient": {}}), json!(null)),
        (
            "${ $workflow.input[0].data.timestamp }",
            json!(null),
            json!("2026-01-01T00:00:00Z"),
        ),
        (
            "${ $workflow.input[0].data.patient.vitals.bpm }",
            json!(null),
            json!(61),
        ),
        (
            "${ $workflow.input[0].data.patient.room.number }",
            json!(null),
            json!(12),
        ),
        (
            "${ \"Hello \\(.user.firstName) \\(.user.lastName)!\" }",
            json!({"user": {"firstName": "Ada", "lastName": "Lovelace"}}),
            json!("Hello Ada Lovelace!"),
        ),
        ("${ . }", json!([1, {"a": null}]), json!([1, {"a": null}])),
        (
            "${ .processed + [$color] }",
            json!({"processed": ["blue"]}),
            json!(["blue", "red"]),
        ),
        (
            "${ ($context.consumedMessages | length) == 5 }",
            json!(null),
            json!(true),
        ),
        (
            "${ ($context.consumedMessages | length) < 5 }",
            json!(null),
            json!(false),
        ),
        ("${ true }", json!(null), json!(true)),
        ("${ false }", json!(null), json!(false)),
        (
            "${ \"https://petstore.swagger.io/v2/pet/\\(.petId)\" }",
            json!({"petId": 10}),
            json!("https://petstore.swagger.io/v2/pet/10"),
        ),
        (
            "${ \"The workflow '\\( $workflow.definition.document.name ):\\( $workflow.definition.document.version )' is a work in progress and cannot be run yet\" }",
            json!(null),
            json!("The workflow 'draft:0.1.0' is a work in progress and cannot be run yet"),
        ),
        (
            "${ \"hello-\\(.workflow.document.name)-\\(.task.name)-\\(.workflow.id)\" }",
            json!({"workflow": {"document": {"name": "w"}, "id": 5}, "task": {"name": "t"}}),
            json!("hello-w-t-5"),
        ),
        (".color == \"red\"", json!({"color": "red"}), json!(true)),
        (
            ".orderType == \"electronic\"",
            json!({"orderType": "physical"}),
            json!(false),
        ),
        (".pets", json!({"pets": [1]}), json!([1])),
        (". | length", json!(["a", "b"]), json!(2)),
        ("( . | length ) > 3", json!([1, 2, 3, 4]), json!(true)),
        (".vet != null", json!({}), json!(false)),
        (
            ".pets + [{ \"id\": $pet.id }]",
            json!({"pets": [{"id": 1}]}),
            json!([{"id": 1}, {"id": 7}]),
        ),
        (".data.reading", json!({"data": {"reading": 1.5}}), json!(1.5)),
        (".[0]", json!(["first", 2]), json!("first")),
        ("$context + { error: $error }", json!(null), {
            let mut context = scope().0.get("context").map(|context| (**context).clone()).unwrap();
            context["error"] = json!({"status": 500});
            context
        }),
        ("$context.error == null", json!(null), json!(true)),
        (".customer.age < 18", json!({"customer": {"age": 17}}), json!(true)),
        (
            "{ ids: [ $input, .id ] }",
            json!({"id": 4}),
            json!({"ids": [{"color": "blue", "id": 3}, 4]}),
        ),
        (task, json!(null), json!("error")),
    ]
}

#[test]
fn every_expression_of_the_examples_is_native_and_right() {
    let evaluator = Evaluator::native();
    for (text, input, expected) in corpus() {
        let expression = Expression::parse(text, &evaluator).unwrap_or_else(|error| panic!("{error}"));
        match expression.eval(&evaluator, &input, &scope()) {
            Ok(value) => assert_eq!(value, expected, "{text}"),
            // The condition of the mock example asks an object whether it starts with a text, which is an error in jq.
            Err(error) => assert_eq!(expected, json!("error"), "{error}"),
        }
    }
}

#[test]
fn a_template_keeps_what_is_literal() {
    let evaluator = Evaluator::native();
    let value = json!({
        "name": "${ .user.name }", "list": ["${ .n + 1 }", "plain", 5.0], "spaced": "  ${ .n }\n", "partly": "a ${ .n }",
    });
    let template = Template::parse(&value, &evaluator).unwrap();
    assert!(template.literal().is_none());
    let result = template
        .eval(&evaluator, &json!({"user": {"name": "Ada"}, "n": 1}), &())
        .unwrap();
    assert_eq!(
        result,
        json!({"name": "Ada", "list": [2, "plain", 5.0], "spaced": 1, "partly": "a ${ .n }"})
    );
    assert_eq!(
        Template::parse(&json!([1, "x"]), &evaluator).unwrap().literal(),
        Some(&json!([1, "x"]))
    );
}

#[test]
fn a_template_says_where_its_bad_expression_is() {
    let value = json!({"a/b": [1, {"x~y": "${ .. [ }"}]});
    let (pointer, error) = Template::parse(&value, &Evaluator::native()).unwrap_err();
    assert_eq!(pointer, "/a~1b/1/x~0y");
    assert_eq!(error.expression, ".. [");
    assert!(value.pointer(&pointer).is_some());
}
