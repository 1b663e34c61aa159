//! The rules that hold for both evaluators: numbers, depth, names, bounds.

use potok_expr::{Evaluator, Expression, MAX_DEPTH};
use serde_json::{Value, json};

use crate::full::{Full, Variables, eval, full};
use potok_expr::Jq;

/// Asks the full evaluator, whatever the native one would say.
fn full_only(text: &str, input: &Value) -> Result<Value, String> {
    Full.eval(text, input, &[])
}

#[test]
fn numbers_leave_both_evaluators_alike() {
    let max = u64::MAX;
    let cases = [
        ("10 / 2", json!(5)),
        ("1.5 * 2", json!(3)),
        ("\"\\(10 / 2)\"", json!("5")),
        ("[10, 20, 30][4 / 2]", json!(30)),
        ("5.0", json!(5)),
        ("-0.0", json!(0)),
        ("1e3", json!(1000)),
        ("0.1 + 0.2", json!(0.30000000000000004)),
        ("18446744073709551615", json!(max)),
        ("18446744073709551614 + 1", json!(max)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("9223372036854775807 + 1", json!(9_223_372_036_854_775_808_u64)),
        ("9007199254740993 | tostring", json!("9007199254740993")),
        ("18446744073709551615 + 1 | tostring", json!("18446744073709551616")),
        ("18446744073709551615 + 1", json!(1.8446744073709552e19)),
        ("-2147483648 | length", json!(2_147_483_648_i64)),
        ("3000000000 % 7", json!(4)),
        ("7 % -2", json!(1)),
        ("-7 % 2", json!(-1)),
        ("[1, 1.0, 1e0] | unique", json!([1])),
        ("5.5 | floor", json!(5)),
        ("-0.5 | round", json!(-1)),
        ("9 | sqrt", json!(3)),
        ("[1.0, 2.5] | add", json!(3.5)),
        ("\"5.0\" | tonumber", json!(5)),
        ("\"5.0\" | fromjson", json!(5)),
        ("5000000000 | todate", json!("2128-06-11T08:53:20Z")),
        ("\"2128-06-11T08:53:20Z\" | fromdate", json!(5_000_000_000_i64)),
        ("[range(0; 1; 0.5)]", json!([0, 0.5])),
        ("1e300 | tostring", json!("1e300")),
        ("1e-300 | tostring", json!("1e-300")),
        ("1e20 | tostring", json!("1e20")),
    ];
    for (text, expected) in cases {
        assert_eq!(eval(text, &Value::Null).as_ref(), Ok(&expected), "{text}");
        assert_eq!(
            full_only(text, &Value::Null),
            Ok(expected),
            "{text}, by the full evaluator"
        );
    }
    for text in ["1 / 0", "-1 / 0", "0 / 0", "[nan]", "{a: infinite}"] {
        assert!(eval(text, &Value::Null).is_err(), "{text}");
    }
    assert_eq!(eval("(1 / 0) > 5", &Value::Null), Ok(json!(true)));
    assert_eq!(
        eval(".", &json!({"a": [5.0, 0.5]})).unwrap().to_string(),
        r#"{"a":[5,0.5]}"#
    );
}

#[test]
fn the_full_evaluator_knows_the_rest_of_jq() {
    let input = json!({"a": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}], "s": "a-b_c"});
    let cases = [
        (".a | map(.id) | add", json!(3)),
        (".a | group_by(.id) | length", json!(2)),
        (".a[] | select(.id == 2) | .name", json!("y")),
        ("[.a[] | {(.name): .id}] | add", json!({"x": 1, "y": 2})),
        (".s | test(\"^a\")", json!(true)),
        (".s | gsub(\"[-_]\"; \"+\")", json!("a+b+c")),
        (".s | [splits(\"[-_]\")]", json!(["a", "b", "c"])),
        (".s | capture(\"(?<l>.)-\")", json!({"l": "a"})),
        ("reduce .a[] as $x (0; . + $x.id)", json!(3)),
        ("[foreach .a[].id as $x (0; . + $x)]", json!([1, 3])),
        (".a[0].id |= . + 10 | .a[0].id", json!(11)),
        (".a[1:] |= map(.id) | .a", json!([{"id": 1, "name": "x"}, 2])),
        (".s[1:2] = \"+\" | .s", json!("a+b_c")),
        ("del(.a[0]) | .a | length", json!(1)),
        ("del(.a) | keys", json!(["s"])),
        ("def f($x): $x * 2; f(21)", json!(42)),
        ("[limit(3; repeat(1))]", json!([1, 1, 1])),
        ("[.. | numbers]", json!([1, 2])),
        ("with_entries(.value |= type)", json!({"a": "array", "s": "string"})),
        ("@base64 \"x\\(.s)\"", json!("xYS1iX2M=")),
        ("[1, \"a\\\"b\", null, true] | @csv", json!("1,\"a\"\"b\",,true")),
        ("[1, \"a\\tb\", null] | @tsv", json!("1\ta\\tb\t")),
        (".a | INDEX(.id) | keys", json!(["1", "2"])),
        ("2 | IN(1, 2)", json!(true)),
        ("[.a[] | .id] | [min, max]", json!([1, 2])),
        ("try error(\"x\") catch .", json!("x")),
        (". as {a: [$first, $second]} | $second.id", json!(2)),
        (
            "label $out | .a[] | if .id == 2 then ., break $out else empty end | .name",
            json!("y"),
        ),
        (
            "\"2026-01-02T03:04:05Z\" | fromdate | gmtime | mktime",
            json!(1_767_323_045),
        ),
        (
            "\"2026-01-02 10:30 +0300\" | strptime(\"%Y-%m-%d %H:%M %z\")",
            json!([2026, 0, 2, 10, 30, 0, 5, 1]),
        ),
        ("\"02.01.2026\" | strptime(\"%d.%m.%Y\") | mktime", json!(1_767_312_000)),
        ("\"x\" | strptime(\"%d\")", json!("error")),
        ("1e9 | strftime(\"%Y-%m-%d %A\")", json!("2001-09-09 Sunday")),
        ("[\"b\", \"a\"] | sort_by(.) | join(\",\")", json!("a,b")),
        ("\"aXbxc\" | ascii_downcase | indices(\"x\")", json!([1, 3])),
        ("\"x\" | trimstr(\"x\")", json!("")),
        ("[1, [2, [3]]] | flatten", json!([1, 2, 3])),
        ("{} | .a.b.c = 1", json!({"a": {"b": {"c": 1}}})),
        ("null | .[2].a += 1", json!([null, null, {"a": 1}])),
        ("[1] | .[3] = 4", json!([1, null, null, 4])),
        ("[1] | .[-2] = 4", json!("error")),
        ("[1, 2] | del(.[0], .[5])", json!([2])),
        ("{\"s\": 1} | .s.a = 4", json!("error")),
        ("[paths] | length", json!(8)),
        ("[3, 1, 2] | sort | bsearch(2)", json!(1)),
        (
            "{\"a\": 1, \"b\": 2, \"c\": 3} | del(.a) | keys_unsorted",
            json!(["b", "c"]),
        ),
        ("\"\\u00e9\" | @uri", json!("%C3%A9")),
        ("\"a, b\" | split(\", *\"; null)", json!(["a", "b"])),
        ("empty", json!(null)),
        ("[\"1 2 x 3\" | fromjson?]", json!([1, 2])),
        ("\"x\" | tonumber", json!("error")),
        ("[1] | (min - (\"x\" | tonumber))", json!("error")),
        (".a[].id", json!(1)),
    ];
    for (text, expected) in cases {
        match eval(text, &input) {
            Ok(value) => assert_eq!(value, expected, "{text}"),
            Err(message) => assert_eq!(expected, json!("error"), "{text}: {message}"),
        }
    }
}

#[test]
fn every_allowed_function_exists_in_the_full_evaluator() {
    // The list is not public: what is allowed is what parses.
    for name in crate::rules::names() {
        let mut arities = Vec::new();
        for arity in 0..5 {
            let arguments = vec!["."; arity].join("; ");
            let call = if arity == 0 {
                name.clone()
            } else {
                format!("{name}({arguments})")
            };
            match Expression::parse(&call, &full()) {
                Ok(_) => arities.push(arity),
                // A refusal of the full evaluator would speak of something undefined.
                Err(error) => assert!(!error.message.contains("undefined"), "{call}: {}", error.message),
            }
        }
        assert!(!arities.is_empty(), "{name}");
    }
}

/// The names in the table of `src/functions.rs`.
fn names() -> Vec<String> {
    let source = include_str!("../../src/functions.rs");
    let table = source.split("ALLOWED").nth(1).unwrap().split("];").next().unwrap();
    let names: Vec<String> = table
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next())
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 150, "{}", names.len());
    names
}

#[test]
fn what_the_full_evaluator_must_not_have_it_has_not() {
    for text in [
        "now",
        "env",
        "halt",
        "halt(0)",
        "halt_error",
        "input",
        "inputs",
        "debug",
        "stderr",
        "localtime",
        "strflocaltime(\"x\")",
        "debug_empty",
        "stderr_empty",
        "$ENV",
        "input_line_number",
    ] {
        assert!(Full.check(text, &[]).is_err(), "{text}");
    }
}

#[test]
fn variables_are_those_from_outside() {
    let cases: [(&str, &[&str]); 7] = [
        ("$b + $a.x + $b", &["a", "b"]),
        (". as $x | $x + $y", &["y"]),
        ("reduce .[] as $i ($start; . + $i)", &["start"]),
        ("def f($p): $p + $q; f(1)", &["q"]),
        (". as [$x, {a: $y}] | $x, $y, $z", &["z"]),
        ("{$k, a: $v}", &["k", "v"]),
        ("(. as $x | $x), $x", &["x"]),
    ];
    for (text, expected) in cases {
        let expression = Expression::parse(text, &full()).unwrap();
        assert_eq!(expression.variables(), expected, "{text}");
    }
    let evaluator = full();
    let expression = Expression::parse("$x * $y", &evaluator).unwrap();
    assert_eq!(
        expression.eval(
            &evaluator,
            &Value::Null,
            &Variables::new([("x", json!(6)), ("y", json!(7))])
        ),
        Ok(json!(42))
    );
    let error = expression
        .eval(&evaluator, &Value::Null, &Variables::new([("x", json!(6))]))
        .unwrap_err();
    assert_eq!(error.message, "$y is not defined here");
}

#[test]
fn without_a_full_evaluator_the_rest_is_an_error() {
    let evaluator = Evaluator::native();
    let error = Expression::parse("[limit(1; .[])]", &evaluator).unwrap_err();
    assert!(error.message.contains("full jq evaluator"), "{error}");
    let division = Expression::parse("1 / .", &evaluator).unwrap();
    assert_eq!(division.eval(&evaluator, &json!(4), &()), Ok(json!(0.25)));
    assert!(division.eval(&evaluator, &json!(0), &()).is_err());
}

#[test]
fn what_never_ends_natively_ends() {
    let evaluator = Evaluator::native();
    let doubling = vec![". + ."; 60].join(" | ");
    let nested = vec!["[., .]"; 60].join(" | ");
    for text in [
        doubling.as_str(),
        nested.as_str(),
        "[range(1000000000000)]",
        "\"abc\" * 1000000000000",
        "[range(100000)] as $l | [range(1000)] | map($l == $l)",
    ] {
        let expression = Expression::parse(text, &evaluator).unwrap_or_else(|error| panic!("{error}"));
        assert!(expression.eval(&evaluator, &json!("x"), &()).is_err(), "{text}");
    }
}

#[test]
fn depth_is_bounded_everywhere() {
    let evaluator = full();
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("-", ""),
        ("try ", ""),
        ("if . then ", " end"),
        ("def f: ", "; f"),
        ("\"\\(", ")\""),
        (".[", "]"),
        ("map(", ")"),
    ] {
        let deep = format!(
            "{}1{}",
            open.repeat(20_000 / open.len()),
            close.repeat(20_000 / open.len())
        );
        assert!(Expression::parse(&deep, &evaluator).is_err(), "{open}");
    }
    for operator in ["+", "|", "and", "//", "as $x |", "="] {
        let long = vec!["."; 2000].join(&format!(" {operator} "));
        assert!(Expression::parse(&long, &evaluator).is_err(), "{operator}");
    }
    for step in [".a", "[0]", "[]", "[]?", ".a?"] {
        let long = format!(".{}", step.repeat(5000)).replace("..", ".");
        assert!(Expression::parse(&long, &evaluator).is_err(), "{step}");
    }
    // A list is no depth.
    let list = format!("[{}]", vec!["1"; 5000].join(","));
    assert_eq!(
        Expression::parse(&list, &evaluator)
            .unwrap()
            .eval(&evaluator, &Value::Null, &())
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        5000
    );
    let mut value = json!(1);
    for _ in 0..MAX_DEPTH {
        value = json!([value]);
    }
    assert!(eval(".", &value).is_ok());
    assert!(eval("[.]", &value).is_err());
    assert!(full_only("[.]", &value).is_err());
    assert_eq!(eval("[[.]] | .[0][0] == .[0][0]", &value), Ok(json!(true)));
}
