//! `CloudEvents` 1.0 as JSON: what workflows see of an event.

use potok_expr::{Evaluator, Expression};
use serde_json::Value;

/// What a correlation's expression (see [`crate::Correlation::from`]) gives for an event; `None` when it gives nothing, or fails:
/// then the event does not fit.
#[must_use]
pub fn correlated(from: &str, evaluator: &Evaluator, event: &Value) -> Option<Value> {
    let expression = Expression::parse(from, evaluator).ok()?;
    expression
        .eval(evaluator, event, &())
        .ok()
        .filter(|value| !value.is_null())
}
