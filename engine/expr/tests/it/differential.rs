//! Random expressions of the native grammar on random values: the native evaluator and the full one agree, in the value or
//! in that there is an error.

use potok_expr::{Evaluator, Expression};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::full::{Counting, Full, Variables};
use crate::raw;
use potok_expr::Jq;
use std::sync::Arc;

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "a b"])
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "a", "b", "ab", "a,b", "A b ", "é☃", "\u{7f}\n", "12", "-0.5", "1e3", "007", "true"])
            .prop_map(str::to_owned),
        1 => "[a-c ]{0,6}",
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (-4_i64..12).prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        3 => (-20_i32..20).prop_map(|quarters| json!(f64::from(quarters) / 4.0)),
        1 => any::<f64>().prop_filter_map("finite", |float| float.is_finite().then(|| json!(float))),
        1 => prop::sample::select(vec![json!(5.0), json!(-0.0), json!(1e18), json!(1e19), json!(1e20), json!(9_007_199_254_740_993_i64), json!(u64::MAX), json!(i64::MIN)]),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        6 => number(),
        4 => word().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4).prop_map(|entries| Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

fn quoted(text: &str) -> String {
    // jq's strings are JSON's, but for the interpolation.
    Value::from(text).to_string()
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "[]",
            "{}",
            "\"\"",
            "0",
            "1",
            "2",
            "-1",
            "0.5",
            "1.0",
            "1e2",
            "3.25e-1",
            "12345678901"
        ])
        .prop_map(str::to_owned),
        word().prop_map(|word| quoted(&word)),
    ]
}

/// Terms that need no parentheses around them.
fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(".".to_owned()),
        6 => prop::sample::select(vec![".a", ".b", ".c", ".a.b", ".\"a b\"", ".a[\"b\"]", ".[0]", ".[-1]", ".a[1]", ".[1:]", ".[:2]", ".a[-2:1]", ".a?", ".[0]?", ".a.b?"])
            .prop_map(str::to_owned),
        3 => prop::sample::select(vec!["$x", "$y", "$x.a", "$y[0]", "$x.a.b?"]).prop_map(str::to_owned),
        5 => literal(),
        2 => prop::sample::select(vec![".[]", ".[]?", ".a[]", ".a[]?", ".[].a?", ".[][]?", "$x[]?"]).prop_map(str::to_owned),
        5 => prop::sample::select(vec![
            "length", "keys", "not", "tostring", "tonumber", "tojson", "type", "ascii_downcase", "ascii_upcase", "trim", "ltrim",
            "rtrim", "floor", "round", "ceil", "abs", "reverse", "sort", "unique", "min", "max", "to_entries", "add", "any", "all",
            "first", "last", "empty",
        ])
        .prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    atom().prop_recursive(4, 20, 4, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//", "|", ",",
        ]);
        let function = prop::sample::select(vec![
            "has", "contains", "join", "split", "startswith", "endswith", "ltrimstr", "rtrimstr", "map", "select", "first",
            "any", "all", "add",
        ]);
        let suffix = prop::sample::select(vec![".a", "[0]", "[1:]", "[]", "[]?", ".b?", "[-1]?", "?"]);
        prop_oneof![
            // Without parentheses too: precedence must be the same.
            8 => (inner.clone(), operator.clone(), inner.clone()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
            6 => (inner.clone(), operator, inner.clone()).prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            4 => (function, inner.clone()).prop_map(|(function, argument)| format!("{function}({argument})")),
            1 => (prop::sample::select(vec!["any", "all"]), inner.clone(), inner.clone()).prop_map(|(function, generator, condition)| format!("{function}({generator}; {condition})")),
            1 => (-2_i32..5, -2_i32..5).prop_map(|(from, to)| format!("range({from}; {to})")),
            3 => inner.clone().prop_map(|inner| format!("[{inner}]")),
            3 => (key(), inner.clone(), inner.clone()).prop_map(|(key, first, second)| format!("{{{}: ({first}), c: ({second})}}", quoted(key))),
            1 => (inner.clone(), inner.clone()).prop_map(|(key, value)| format!("{{({key}): ({value})}}")),
            1 => prop::sample::select(vec!["{a}", "{a, \"a b\"}", "{$x}", "{a: .b, $y, a}", "{\"a\\(1)\"}"]).prop_map(str::to_owned),
            3 => (word(), inner.clone()).prop_map(|(word, inner)| {
                let literal = quoted(&word);
                format!("{}\\({inner}){literal_end}", &literal[..literal.len() - 1], literal_end = "\"")
            }),
            2 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(c, t, e)| format!("if {c} then {t} else {e} end")),
            1 => (inner.clone(), inner.clone(), inner.clone(), inner.clone()).prop_map(|(c, t, d, u)| format!("if {c} then {t} elif {d} then {u} end")),
            1 => inner.clone().prop_map(|inner| format!("-({inner})")),
            1 => inner.clone().prop_map(|inner| format!("try ({inner})")),
            2 => (inner.clone(), suffix).prop_map(|(inner, suffix)| format!("({inner}){suffix}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(base, index)| format!(".[{index}] | {base}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(base, index)| format!("({base})[{index}]")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(base, from, to)| format!("({base})[{from}:{to}]")),
            1 => (inner.clone(), inner).prop_map(|(source, body)| format!("({source}) as $x | {body}")),
        ]
    })
}

fn number_or_text() -> impl Strategy<Value = Value> {
    prop_oneof![4 => number(), 1 => word().prop_map(Value::from)]
}

/// Whether a text might be multiplied by something large. The native evaluator may end in an error before it comes to that, but
/// jaq evaluates both operands first, and nothing bounds it here.
fn multiplies(text: &str, values: [&Value; 3]) -> bool {
    fn large(value: &Value) -> bool {
        match value {
            Value::Number(number) => number.as_f64().is_some_and(|float| float.abs() > 1000.0),
            Value::String(text) => text.parse::<f64>().is_ok_and(|float| float.abs() > 1000.0),
            Value::Array(items) => items.iter().any(large),
            Value::Object(map) => map.values().any(large),
            _ => false,
        }
    }
    let products = text.matches('*').count();
    products > 2 || products > 0 && (text.contains("12345678901") || values.into_iter().any(large))
}

/// Both evaluators on one expression; whether the native one answered.
fn agree(text: &str, input: &Value, x: &Value, y: &Value) -> Result<bool, TestCaseError> {
    let counting = Arc::new(Counting::default());
    let evaluator = Evaluator::new(counting.clone());
    let expression = match Expression::parse(text, &evaluator) {
        Ok(expression) => expression,
        Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
    };
    if !expression.is_native() {
        return Ok(false);
    }
    let scope = Variables::new([("x", x.clone()), ("y", y.clone())]);
    let native = expression.eval(&evaluator, input, &scope);
    if counting.count() > 0 {
        return Ok(false);
    }
    let variables: Vec<(&str, Arc<Value>)> = expression
        .variables()
        .iter()
        .map(|name| (name.as_str(), scope.0.get(name).unwrap().clone()))
        .collect();
    let full = Full.eval(text, input, &variables);
    match (&native, &full) {
        // As text, so that the order of keys and 5 against 5.0 count.
        (Ok(native), Ok(full)) => prop_assert_eq!(native.to_string(), full.to_string(), "{} on {}", text, input),
        (Err(_), Err(_)) => {}
        _ => prop_assert!(
            false,
            "{text} on {input} with {x}, {y}: native {native:?}, full {full:?}"
        ),
    }
    if raw::integers_alone(text, &[input, x, y]) {
        let raw = raw::eval(text, input, &variables);
        prop_assert_eq!(native.as_ref().ok(), raw.as_ref(), "{} on {}: jaq itself", text, input);
    }
    let truth = expression.test(&evaluator, input, &scope);
    match (truth, full) {
        (Ok(truth), Ok(full)) => prop_assert_eq!(truth, !matches!(full, Value::Null | Value::Bool(false))),
        (Err(_), Err(_)) => {}
        (truth, full) => prop_assert!(false, "{text}: test {truth:?}, full {full:?}"),
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_evaluators_agree(text in expression(), input in value(), x in value(), y in value()) {
        prop_assume!(!multiplies(&text, [&input, &x, &y]));
        agree(&text, &input, &x, &y)?;
    }

    #[test]
    fn the_evaluators_agree_on_arithmetic(
        left in number_or_text(),
        right in number(),
        operator in prop::sample::select(vec!["+", "-", "*", "/", "%", "<", "<=", "==", "!="]),
        after in prop::sample::select(vec!["", " | tostring", " | -(.)", " | [., 1] | sort", " | floor", " | length", " | {a: .}", " | [0, 1, 2][.]?"]),
    ) {
        agree(&format!("($x {operator} $y){after}"), &Value::Null, &left, &right)?;
    }

    #[test]
    fn the_evaluators_agree_on_order(left in value(), right in value(), operator in prop::sample::select(vec!["<", "<=", "==", "!=", ">", ">="])) {
        agree(&format!("$x {operator} $y"), &Value::Null, &left, &right)?;
        agree("[$x, $y] | sort, unique, min, max, (.[0] | contains($y)), tojson", &Value::Null, &left, &right)?;
        agree("[[$x, $y] | sort, unique, min, max, tojson, \"\\(.)\"]", &Value::Null, &left, &right)?;
    }
}

/// That the property is about something: most generated expressions are answered natively, by a value as often as not.
#[test]
fn the_generator_reaches_the_native_evaluator() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut native, mut answered, cases) = (0, 0, 2000);
    for _ in 0..cases {
        let text = expression().new_tree(&mut runner).unwrap().current();
        let input = value().new_tree(&mut runner).unwrap().current();
        let evaluator = Evaluator::native();
        let Ok(expression) = Expression::parse(&text, &evaluator) else {
            continue;
        };
        native += 1;
        let scope = Variables::new([("x", json!([1, "a"])), ("y", json!({"a": 2}))]);
        answered += usize::from(
            expression
                .eval(&evaluator, &input, &scope)
                .is_ok_and(|value| !value.is_null()),
        );
    }
    assert!(native * 2 > cases, "{native} of {cases} are native");
    assert!(answered * 6 > cases, "{answered} of {cases} have a value");
}
