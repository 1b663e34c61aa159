//! What flows: input, output, context, arguments of expressions, schemas.

use potok_dsl::ErrorType;
use serde_json::{Value, json};

use crate::support::{completed, echo, error, output, run_with};

#[test]
fn set_makes_an_object_or_what_an_expression_gives() {
    let body = "do: [{ shape: { set: { kind: circle, size: '${ .size }', deep: [{ n: '${ .size.w }' }] } } }]";
    assert_eq!(
        output(body, json!({ "size": { "w": 6 } })),
        json!({ "kind": "circle", "size": { "w": 6 }, "deep": [{ "n": 6 }] })
    );
    assert_eq!(
        output("do: [{ shape: { set: '${ .size }' } }]", json!({ "size": [1] })),
        json!([1])
    );
}

#[test]
fn the_diagram_of_the_specification_is_followed() {
    let body = r"
input:
  from: .raw
do:
  - task:
      input: { from: '{ in: ., task: $task.input }' }
      set: { seen: '${ . }', input: '${ $input }', context: '${ $context }' }
      output: { as: '{ raw: ., input: $input, taskOutput: $task.output, context: $context }' }
      export: { as: '{ output: $output.raw.seen.in, dot: .input.in, before: $context }' }
  - next:
      set: { got: '${ .raw.seen.in }', context: '${ $context }' }
output:
  as: '{ final: ., context: $context.output }'
";
    let expected = json!({
        "final": { "got": 1, "context": { "output": 1, "dot": 1, "before": 1 } },
        "context": 1,
    });
    assert_eq!(output(body, json!({ "raw": 1 })), expected);
}

#[test]
fn a_raw_output_is_what_output_as_and_task_output_see() {
    let body = r"
do:
  - task:
      set: { a: 1 }
      output: { as: '{ a: .a, same: (. == $task.output) }' }
      export: { as: '{ raw: $task.output, shaped: $output, dot: . }' }
  - next: { set: '${ $context }' }
";
    let expected = json!({ "raw": { "a": 1 }, "shaped": { "a": 1, "same": true }, "dot": { "a": 1, "same": true } });
    assert_eq!(output(body, json!({})), expected);
}

#[test]
fn descriptors_describe() {
    let body = r"
do:
  - outer:
      do:
        - inner:
            set:
              task: '${ $task }'
              workflow: '${ $workflow }'
              runtime: '${ $runtime }'
              authorization: '${ $authorization }'
            input: { from: .x }
";
    let found = output(body, json!({ "x": 7 }));
    let started =
        json!({ "iso8601": "1970-01-01T00:16:40.000Z", "epoch": { "seconds": 1000, "milliseconds": 1_000_000 } });
    assert_eq!(found["task"]["name"], "inner");
    assert_eq!(found["task"]["reference"], "/do/0/outer/do/0/inner");
    assert_eq!(found["task"]["definition"]["input"], json!({ "from": ".x" }));
    assert_eq!(found["task"]["input"], json!({ "x": 7 }));
    assert_eq!(found["task"]["startedAt"], started);
    assert!(found["task"].get("output").is_none());
    assert_eq!(found["workflow"]["id"], "01920000-0000-7000-8000-000000000001");
    assert_eq!(found["workflow"]["input"], json!({ "x": 7 }));
    assert_eq!(found["workflow"]["definition"]["document"]["name"], "small");
    assert_eq!(
        found["workflow"]["definition"]["do"][0]["outer"]["do"][0]["inner"]["input"]["from"],
        ".x"
    );
    assert_eq!(found["workflow"]["startedAt"], started);
    assert_eq!(
        found["runtime"],
        json!({ "name": "potok", "version": "1", "metadata": {} })
    );
    assert_eq!(found["authorization"], json!(null));
}

#[test]
fn schemas_are_checked_where_the_diagram_says() {
    let schema = "{ document: { type: object, required: [a], properties: { a: { type: integer } } } }";
    let cases = [
        (
            "input: { schema: S }\ndo: [{ t: { set: { x: 1 } } }]",
            json!({ "a": "x" }),
            "/input",
            "the workflow's input does not fit its schema: /a: ",
        ),
        (
            "do: [{ t: { input: { schema: S, from: '{ a: 1 }' }, set: { x: 1 } } }]",
            json!({}),
            "/do/0/t",
            "the task's input does not fit its schema: the value itself: ",
        ),
        (
            "do: [{ t: { set: { a: x }, output: { schema: S } } }]",
            json!({}),
            "/do/0/t",
            "the task's output does not fit its schema: /a: ",
        ),
        (
            "do: [{ t: { set: { a: 1 }, export: { schema: S, as: '{ b: 1 }' } } }]",
            json!({}),
            "/do/0/t",
            "the exported context does not fit",
        ),
        (
            "output: { schema: S, as: '{ a: .b }' }\ndo: [{ t: { set: { a: 1 } } }]",
            json!({}),
            "/output",
            "the workflow's output does not fit its schema: /a: ",
        ),
    ];
    for (body, input, instance, detail) in cases {
        let problem = error(&body.replace('S', schema), input);
        assert!(problem.is(ErrorType::Validation) && problem.status == 400, "{problem}");
        assert_eq!(problem.instance.as_deref(), Some(instance));
        assert!(problem.detail.as_deref().unwrap().starts_with(detail), "{problem}");
    }
}

#[test]
fn expressions_that_fail_are_errors_of_their_task() {
    let cases = [
        ("do: [{ t: { if: .a.b, set: { x: 1 } } }]", "/do/0/t", "if: "),
        (
            "do: [{ t: { input: { from: .a.b }, set: { x: 1 } } }]",
            "/do/0/t",
            "input.from: ",
        ),
        ("do: [{ t: { set: { x: '${ .a.b }' } } }]", "/do/0/t", "set: "),
        (
            "do: [{ t: { set: { x: 1 }, output: { as: .x.y } } }]",
            "/do/0/t",
            "output.as: ",
        ),
        (
            "do: [{ t: { set: { x: 1 }, export: { as: .x.y } } }]",
            "/do/0/t",
            "export.as: ",
        ),
        (
            "do: [{ t: { for: { in: .a }, do: [{ s: { set: { x: 1 } } }] } }]",
            "/do/0/t",
            "for.in must give an array, not 1",
        ),
        ("do: [{ t: { wait: '${ .a }' } }]", "/do/0/t", "wait: "),
        (
            "do: [{ t: { switch: [{ c: { when: .a.b, then: end } }] } }]",
            "/do/0/t",
            "when: ",
        ),
        (
            "input: { from: .a.b }\ndo: [{ t: { set: { x: 1 } } }]",
            "/input",
            "the workflow's input.from: ",
        ),
    ];
    for (body, instance, detail) in cases {
        let problem = error(body, json!({ "a": 1 }));
        assert!(problem.is(ErrorType::Expression) && problem.status == 400, "{problem}");
        assert_eq!(problem.instance.as_deref(), Some(instance), "{body}");
        assert!(problem.detail.as_deref().unwrap().starts_with(detail), "{problem}");
    }
}

#[test]
fn labels_are_for_people_and_never_fail() {
    let body = r"
do:
  - good: { set: { x: 1 }, metadata: { potok: { label: '${ .who }' } } }
  - bad: { set: { x: 1 }, metadata: { potok: { label: '${ .who.what }' } }, input: { from: '{ who: 1 }' } }
  - plain: { set: { x: 1 }, metadata: { potok: { label: A plain one } } }
";
    let (outcome, driver) = run_with(body, json!({ "who": "Ann" }), &mut echo);
    completed(outcome);
    let labels: Vec<_> = driver.traces.iter().map(|trace| trace.label.as_deref()).collect();
    assert_eq!(labels[0], Some("Ann"));
    assert_eq!(labels[4], Some("A plain one"));
}

#[test]
fn loose_mode_evaluates_what_can_be_evaluated() {
    let body = r"
evaluate: { mode: loose }
do:
  - data:
      set:
        n: .n
        sum: '.n + 1'
        text: hello
        kind: com.example.told
        strict: '${ .n }'
        fails: .n.x
        failing: '${ .n.x }'
        unknown: $nothing
        number: '5'
        nested: [.n, { in: '. | .n' }]
  - whole: { set: .sum, output: { as: '{ sum: ., text: $context.text }' } }
  - told: { emit: { event: { with: { type: com.example.told, data: .sum } } }, output: { as: 'not (an expression' } }
";
    let mut driver = crate::support::start(body, json!({ "n": 1 }));
    let outcome = driver.run(&mut echo).unwrap().clone();
    assert_eq!(crate::support::completed(outcome), json!("not (an expression"));
    let outputs: Vec<Value> = driver
        .traces
        .iter()
        .filter_map(|trace| match &trace.kind {
            potok_machine::TraceKind::Completed { output } => Some(output.as_ref().clone()),
            _ => None,
        })
        .collect();
    let data = json!({
        "n": 1, "sum": 2, "text": "hello", "kind": "com.example.told", "strict": 1, "fails": ".n.x", "failing": "${ .n.x }",
        "unknown": "$nothing", "number": 5, "nested": [1, { "in": 1 }],
    });
    assert_eq!(outputs[..2], [data, json!({ "sum": 2, "text": null })]);
    let strict = body.replace("loose", "strict");
    assert!(crate::support::try_compile(&strict).is_err());
}
