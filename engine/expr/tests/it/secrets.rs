//! What an expression gives for `$secrets`, and that nothing else can give it.

use std::sync::Arc;

use potok_expr::{Evaluator, Expression, SecretPath, secret};
use serde_json::{Value, json};

use crate::full::Full;

fn parse(text: &str) -> Expression {
    Expression::parse(text, &Evaluator::new(Arc::new(Full))).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn eval(text: &str, input: &Value) -> Result<Value, String> {
    parse(text)
        .eval(&Evaluator::new(Arc::new(Full)), input, &())
        .map_err(|error| error.message)
}

fn token(name: &str, fields: &[&str]) -> String {
    SecretPath::new(name, fields.iter().map(|field| (*field).to_owned()).collect()).placeholder()
}

#[test]
fn placeholders_stay_whole_in_what_is_made_of_them() {
    let api = token("api", &["token"]);
    let made = [
        ("$secrets.api.token", json!(api)),
        ("\"Bearer \" + $secrets.api.token", json!(format!("Bearer {api}"))),
        ("\"Bearer \\($secrets.api.token)!\"", json!(format!("Bearer {api}!"))),
        ("{ a: [$secrets.api.token, .x] }", json!({ "a": [api, 1] })),
        ("$secrets[\"api\"][\"token\"]", json!(api)),
        ("$secrets.api[\"to-ken\"]", json!(token("api", &["to-ken"]))),
        ("$secrets.api as $a | [$a.token, $a.token]", Value::Null),
        (
            ". + { t: $secrets.api.token, u: $secrets.db }",
            json!({ "x": 1, "t": api, "u": token("db", &[]) }),
        ),
        (
            "[.x, $secrets.api.token] | map(tostring) | join(\" \")",
            json!(format!("1 {api}")),
        ),
        ("1 as $secrets | $secrets", json!(1)),
    ];
    for (text, expected) in made {
        match (eval(text, &json!({ "x": 1 })), expected) {
            // A whole secret has no fields to an expression that does not name them.
            (Err(message), Value::Null) => assert!(message.contains("[secret:api]"), "{message}"),
            (value, expected) => assert_eq!(value, Ok(expected), "{text}"),
        }
    }
    assert_eq!(
        parse("[$secrets.b, $secrets.a.x, $secrets.b]")
            .secrets()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["a.x", "b"]
    );
}

#[test]
fn secrets_that_are_not_named_in_full_are_refused() {
    let texts = [
        "$secrets",
        "$secrets | keys",
        "$secrets[.x]",
        "$secrets.api[.x]",
        "$secrets.api[]",
        "$secrets.api[0]",
        "$secrets[\"a\\(.x)\"]",
        "$secrets as $s | $s.api",
        "{ $secrets }",
        "$secrets | getpath([.x])",
        "[$secrets.api, $secrets.api.token]",
        "\"\u{FDD0}secret:api\u{FDD1}\"",
        "\"\\ufdd0secret:api\\ufdd1\"",
    ];
    let report: Vec<String> = texts
        .iter()
        .map(|text| match Expression::parse(text, &Evaluator::new(Arc::new(Full))) {
            Ok(_) => panic!("{text:?} was taken"),
            Err(error) => format!("{}: {}", text.escape_unicode_brackets(), error.message),
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn what_looks_into_a_secret_is_refused() {
    let texts = [
        "$secrets.api == \"x\"",
        "if $secrets.api then 1 else 2 end",
        "$secrets.api and true",
        "$secrets.api | length",
        "\"u:\" + $secrets.api | @base64",
        "@base64 \"u:\\($secrets.api)\"",
        "@uri \"x?y=\\($secrets.api)\"",
        "$secrets.api as $a | $a | startswith(\"x\")",
        ".x | test($secrets.api)",
        "-$secrets.api",
        "$secrets.api * 2",
        "[.[] | select($secrets.api)]",
    ];
    let report: Vec<String> = texts
        .iter()
        .map(|text| match Expression::parse(text, &Evaluator::new(Arc::new(Full))) {
            Ok(_) => panic!("{text} was taken"),
            Err(error) => format!("{text}: {}", error.message),
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
    // What goes around a secret is nobody's business.
    for text in [
        "{ t: $secrets.api, n: .n } | select(.n > 1)",
        "if .x == 1 then $secrets.api else $secrets.b end",
        ".x // $secrets.api",
        "[.[] | { (.k): $secrets.api }]",
        "reduce .[] as $i ({}; . + { ($i): $secrets.api })",
        "$secrets.api | tostring",
        "(.a | length) as $n | \"\\($n) \\($secrets.api)\"",
        ".headers.authorization = $secrets.api",
    ] {
        parse(text);
    }
}

trait Escaped {
    fn escape_unicode_brackets(&self) -> String;
}

impl Escaped for str {
    fn escape_unicode_brackets(&self) -> String {
        secret::neutral_text(self).into_owned()
    }
}

/// The attack: a placeholder in data in a form that only an expression turns into one.
#[test]
fn decoding_makes_no_placeholder() {
    let token = token("api", &["token"]);
    let codes: Vec<u32> = token.chars().map(u32::from).collect();
    let input = json!({
        "base64": "77eQc2VjcmV0OmFwaS50b2tlbu+3kQ==",
        "json": "\"\\ufdd0secret:api.token\\ufdd1\"",
        "uri": "%EF%B7%90secret:api.token%EF%B7%91",
        "codes": codes,
        "key": "{\"\\ufdd0secret:api\\ufdd1\": 1}",
    });
    let attacks = [
        ".base64 | @base64d",
        "{ deep: [{ x: (.base64 | @base64d) }] }",
        "{ (.base64 | @base64d): 1 }",
        ".json | fromjson",
        ".key | fromjson",
        ".uri | @urid",
        "@urid \"\\(.uri)\"",
        ".codes | implode",
        "def f: fromjson; .json | f",
        "try error(.json | fromjson) catch .",
        "{ mine: $secrets.api.token, theirs: (.json | fromjson) }",
    ];
    for text in attacks {
        let error = eval(text, &input).unwrap_err();
        assert!(error.contains("placeholder"), "{text}: {error}");
    }
    // What an error quotes is shown, not a placeholder.
    let error = eval("error(.json | fromjson)", &input).unwrap_err();
    assert!(
        error.contains("[secret:api.token]") && !secret::is_in_text(&error),
        "{error:?}"
    );
    // Decoding is no crime by itself.
    assert_eq!(eval(".x | @base64d", &json!({ "x": "eA==" })), Ok(json!("x")));
}
