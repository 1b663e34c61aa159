//! What does not compile, and what is said about it.

use crate::support::try_compile;

fn said(body: &str) -> String {
    let diagnostics = try_compile(body).expect_err("it compiles");
    let lines = diagnostics.iter().map(|diagnostic| {
        let help = diagnostic
            .help
            .as_ref()
            .map_or(String::new(), |help| format!("; {help}"));
        format!(
            "{}:{}: {}{help}",
            diagnostic.at.line, diagnostic.at.column, diagnostic.message
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn expressions_that_do_not_parse() {
    let said = said("do:\n  - t: { if: '.a +', set: { x: '${ .b + }' } }");
    let lines: Vec<&str> = said.lines().collect();
    // What exactly is wrong with an expression is for the evaluator to say.
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("3:14: ") && lines[0].contains("`.a +`"), "{said}");
    assert!(
        lines[1].starts_with("3:27: ") && lines[1].ends_with("(in the expression `.b +`) at /x"),
        "{said}"
    );
}

#[test]
fn variables_where_they_do_not_exist() {
    let body = r"
input: { from: $context }
do:
  - a: { if: $input.x, set: { x: '${ $itm }' } }
  - b: { set: { x: 1 }, output: { as: $output } }
  - c:
      for: { each: thing, in: $thing }
      do: [{ d: { set: '${ $thing + $index + $item }' } }]
  - e: { try: [{ f: { set: '${ $oops }' } }], catch: { as: oops, when: $error, do: [{ g: { set: '${ $oops }' } }] } }
output: { as: $task.name }
";
    insta::assert_snapshot!(said(body));
}

#[test]
fn names_that_nothing_has() {
    let body = r"
do:
  - a: { call: no.such }
  - b: { for: { each: input, in: '[1]' }, do: [{ c: { set: { x: 1 } } }] }
  - d: { call: mine, metadata: { potok: { idempotencyKey: k, delivery: atMostOnce } } }
use: { functions: { mine: { call: no.other } } }
";
    insta::assert_snapshot!(said(body));
}

#[test]
fn schemas_that_are_none() {
    insta::assert_snapshot!(said(
        "input: { schema: { document: { type: strnig } } }\ndo: [{ a: { set: { x: 1 } } }]"
    ));
}

#[test]
fn filters_that_cannot_be() {
    let body = r"
do:
  - a: { listen: { to: { one: { with: { type: 'com.(' } } } } }
  - b: { listen: { to: { any: [{ with: { source: '${ $nothing }' }, correlate: { x: { from: '.a + $input.b', expect: c } } }] } } }
  - c: { listen: { to: { any: [], until: '.length(' } }, foreach: { item: input, output: { as: $item } } }
";
    insta::assert_snapshot!(said(body));
}

#[test]
fn what_is_not_executed_yet() {
    insta::assert_snapshot!(said(
        "do:\n  - a: { fork: { branches: [{ b: { run: { container: { image: a } } } }] } }\n  - c: { call: grpc, with: { proto: { endpoint: 'https://a' }, service: { name: a, host: b }, method: c } }"
    ));
}

#[test]
fn what_was_not_fetched_is_not_known() {
    let body = r"
input: { schema: { resource: { endpoint: https://api.example/other.json } } }
do:
  - a: { call: openapi, with: { document: { endpoint: https://api.example/openapi.json }, operationId: other } }
  - b: { call: http, with: { method: get, endpoint: 'https://x.y/{?q}' } }
";
    insta::assert_snapshot!(said(body));
}
