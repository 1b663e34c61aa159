//! What an evaluation costs. Run it with `cargo test --release -p potok-expr -- --ignored --nocapture speed`.

use std::hint::black_box;
use std::time::Instant;

use potok_expr::{Evaluator, Expression};
use serde_json::json;

use crate::full::{Variables, full};

#[test]
#[ignore = "a measurement"]
fn speed() {
    let evaluator = Evaluator::native();
    let input =
        json!({"a": {"b": "x", "list": (0..100).collect::<Vec<_>>()}, "colors": ["red"], "user": {"name": "Ada"}});
    let scope = Variables::new([("context", json!({"n": 4}))]);
    for text in [
        ".a.b == \"x\" and $context.n > 3",
        ".a.b",
        "\"Hello \\(.user.name), you are \\($context.n)\"",
        ".colors + [\"blue\"]",
        "{name: .user.name, n: ($context.n + 1), colors}",
        ".a.list | map(. * 2) | add",
        ".a.list | length",
    ] {
        let expression = Expression::parse(text, &evaluator).unwrap();
        let turns = 200_000;
        let start = Instant::now();
        for _ in 0..turns {
            black_box(expression.eval(&evaluator, black_box(&input), &scope).unwrap());
        }
        println!(
            "{:7.0} ns  {text}",
            start.elapsed().as_nanos() as f64 / f64::from(turns)
        );
    }
    let start = Instant::now();
    for _ in 0..10_000 {
        black_box(Expression::parse(black_box(".a.b == \"x\" and $context.n > 3"), &evaluator).unwrap());
    }
    println!(
        "{:7.0} ns  to parse the first",
        start.elapsed().as_nanos() as f64 / 10_000.0
    );
    let evaluator = full();
    for text in ["[limit(3; .a.list[])]", ".a | with_entries(.value |= tostring)"] {
        let start = Instant::now();
        for _ in 0..1000 {
            black_box(Expression::parse(black_box(text), &evaluator).unwrap());
        }
        println!(
            "{:7.0} ns  for the full evaluator to start and compile {text}",
            start.elapsed().as_nanos() as f64 / 1000.0
        );
    }
}
