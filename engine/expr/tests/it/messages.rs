//! What people read when an expression is wrong.

use potok_expr::Expression;
use serde_json::{Value, json};

use crate::full::full;

fn parse_error(text: &str) -> String {
    Expression::parse(text, &full()).expect_err(text).message
}

fn eval_error(text: &str, input: &Value) -> String {
    let evaluator = full();
    Expression::parse(text, &evaluator)
        .unwrap()
        .eval(&evaluator, input, &())
        .expect_err(text)
        .message
}

#[test]
fn bad_text() {
    let texts = [
        "",
        "${ }",
        ".a ==",
        ".a = = .b",
        "(.a",
        ".a)",
        "[1, 2",
        "{a: 1",
        "{1: 2}",
        "\"open",
        "\"\\q\"",
        "\"\\ud83d\\ude00\"",
        ".a b",
        "if .a then 1",
        "if .a",
        ".a & .b",
        "1.",
        "1.5e",
        "$",
        "@",
        ".a.",
        ".a.[",
        "reduce .[] as $x (0)",
        "import \"x\" as x; .",
        "x::y",
        "try",
        ".a }, ${ .b",
        "then",
        ".a\n| .b\n|| .c",
        "$a as [1] | .",
    ];
    let report: Vec<String> = texts
        .iter()
        .map(|text| format!("{text:?}: {}", parse_error(text)))
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn what_is_not_available() {
    let texts = [
        "now",
        "now | todate",
        "env.HOME",
        "$ENV.HOME",
        "$__loc__",
        "$__prog_args",
        "halt",
        "halt_error",
        "halt_error(1)",
        "input",
        "[inputs]",
        "debug",
        "debug(1)",
        "stderr",
        "localtime",
        "strflocaltime(\"%c\")",
        "input_line_number",
        "input_filename",
        "get_search_list",
        "modulemeta",
        "foo",
        "lenght",
        "map",
        "split(1; 2; 3)",
        "def f: now; f",
        "[.[] | {a: env}]",
        "\"\\(env)\"",
        "@foo \"x\"",
        "{(now): 1}",
        ".[now]",
        "break $out",
        "repeat",
        "ltrimstring(\"a\")",
    ];
    let report: Vec<String> = texts
        .iter()
        .map(|text| format!("{text}: {}", parse_error(text)))
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn what_fails_on_a_value() {
    let input = json!({"s": "text", "n": 1.5, "o": {"k": [1, 2]}, "l": [1, "2"], "long": "x".repeat(1000), "many": vec![0; 1000]});
    let texts = [
        ".s.a",
        ".s[0]",
        ".n[]",
        ".s + 1",
        ".o - 1",
        ".l[\"a\"]",
        ".l[.n]",
        ".n | keys",
        "-.s",
        ".s * .o",
        "1 % 0",
        ".n | startswith(\"a\")",
        "true | length",
        ".l | join({})",
        ".long - 1",
        ".many - 1",
        ".o.k.x",
        ".n | tonumber | ascii_downcase",
        "null | tonumber",
        "1 / 0",
        "{(1): 2}",
        "error(\"boom\")",
        "error({code: 1})",
        "nan",
        "\"ab\" | tobytes_",
        ".[1:2]",
        "$nowhere",
    ];
    let report: Vec<String> = texts
        .iter()
        .map(|text| match Expression::parse(text, &full()) {
            Ok(_) => format!("{text}: {}", eval_error(text, &input)),
            Err(error) => format!("{text}: [parse] {}", error.message),
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn an_error_names_its_expression() {
    let error = Expression::parse("${ .a +  }", &full()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column 5: expected an expression, found the end (in the expression `.a +`)"
    );
}
