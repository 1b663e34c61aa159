//! Errors that functions return by their types, as problems, and problems of providers as such errors.
//!
//! A variant or an enum names its cases: `urn:potok:<plugin>:<case>`. The contract's `fault` record says everything itself.

use potok_dsl::Problem;
use serde_json::{Map, Value, json};
use wasmtime::component::Val;

use crate::{
    lift::{Lift, Unliftable},
    lower::{self, Misfit},
    shape::{Named, Shape},
};

/// The fields of the contract's `fault` record.
const FIELDS: [&str; 6] = ["kind", "status", "title", "detail", "retry-after-ms", "data"];

/// Whether a type is the contract's `fault` record: exactly its fields, whatever its package.
pub(crate) fn is_fault(shape: &Shape) -> bool {
    matches!(shape, Shape::Record(fields)
        if fields.len() == FIELDS.len() && FIELDS.iter().all(|name| fields.iter().any(|f| f.wit == *name)))
}

/// What a function's error is as a problem. `plugin` is the name of its package.
pub(crate) fn problem(
    plugin: &str,
    shape: Option<&Shape>,
    error: Option<Val>,
    lift: &mut Lift,
) -> Result<Problem, Unliftable> {
    let (Some(shape), Some(error)) = (shape, error) else {
        return Ok(named(plugin, "error", None));
    };
    let error = lift.value(shape, error)?;
    Ok(match (shape, error) {
        (shape, Value::Object(fault)) if is_fault(shape) => from_fault(plugin, fault),
        (Shape::Variant(_), Value::Object(case)) => match case.into_iter().next() {
            Some((case, payload)) => named(plugin, &case, Some(payload)),
            None => named(plugin, "error", None),
        },
        (Shape::Variant(_) | Shape::Enum(_), Value::String(case)) => named(plugin, &case, None),
        (_, error) => named(plugin, "error", Some(error)),
    })
}

/// `urn:potok:<plugin>:<case>` with the payload in `detail`: a string as it is, anything else as JSON, and then in `data` too.
fn named(plugin: &str, case: &str, payload: Option<Value>) -> Problem {
    let (detail, data) = match payload {
        None | Some(Value::Null) => (None, None),
        Some(Value::String(text)) => (Some(text), None),
        Some(other) => (Some(other.to_string()), Some(other)),
    };
    let title = Some(case.replace('-', " "));
    let kind = format!("urn:potok:{plugin}:{case}");
    Problem {
        kind,
        status: 500,
        title,
        detail,
        instance: None,
        retry_after_ms: None,
        data,
    }
}

fn from_fault(plugin: &str, mut fault: Map<String, Value>) -> Problem {
    let mut take = |key: &str| fault.remove(key).unwrap_or_default();
    let text = |value: Value| {
        if let Value::String(text) = value {
            Some(text).filter(|t| !t.is_empty())
        } else {
            None
        }
    };
    let kind = text(take("kind")).unwrap_or_else(|| "error".to_owned());
    let status = take("status")
        .as_u64()
        .and_then(|s| u16::try_from(s).ok())
        .filter(|s| (400..600).contains(s));
    Problem {
        kind: if has_scheme(&kind) {
            kind
        } else {
            format!("urn:potok:{plugin}:{kind}")
        },
        status: status.unwrap_or(500),
        title: text(take("title")),
        detail: text(take("detail")),
        instance: None,
        retry_after_ms: take("retry_after_ms").as_u64(),
        data: match take("data") {
            Value::Null => None,
            Value::String(text) => Some(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            other => Some(other),
        },
    }
}

/// Whether a kind is a URI already (RFC 3986: a letter, then letters, digits, `+`, `-`, `.`, then `:`).
fn has_scheme(kind: &str) -> bool {
    let Some((scheme, _)) = kind.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// A provider's problem as the `fault` record of an imported function.
pub(crate) fn from_problem(shape: &Shape, problem: &Problem) -> Result<Val, Misfit> {
    let Shape::Record(fields) = shape else {
        return lower::value(shape, Value::Null);
    };
    let values = fields.iter().map(|field| {
        let json = match field.wit.as_str() {
            "kind" => json!(problem.kind),
            "status" => json!(problem.status),
            "title" => json!(problem.title),
            "detail" => json!(problem.detail),
            "retry-after-ms" => json!(problem.retry_after_ms),
            "data" => problem
                .data
                .as_ref()
                .map_or(Value::Null, |data| Value::String(data.to_string())),
            _ => Value::Null,
        };
        Ok((field.wit.clone(), lower::value(&field.shape, or_empty(field, json))?))
    });
    Ok(Val::Record(values.collect::<Result<_, Misfit>>()?))
}

/// A problem may lack what the record demands.
fn or_empty(field: &Named, json: Value) -> Value {
    match (&field.shape, json) {
        (Shape::String, Value::Null) => Value::String(String::new()),
        (Shape::U64 | Shape::U32, Value::Null) => json!(0),
        (_, json) => json,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::shape::Case;

    fn fault_shape() -> Shape {
        let option = |shape| Shape::Option(Box::new(shape));
        Shape::Record(vec![
            Named::new("kind", Shape::String),
            Named::new("status", Shape::U16),
            Named::new("title", Shape::String),
            Named::new("detail", option(Shape::String)),
            Named::new("retry-after-ms", option(Shape::U64)),
            Named::new("data", option(Shape::String)),
        ])
    }

    fn problem_of(shape: &Shape, json: Value) -> Problem {
        let value = lower::value(shape, json).unwrap();
        problem("book", Some(shape), Some(value), &mut Lift::new(1000)).unwrap()
    }

    #[test]
    fn cases_become_urns() {
        let shape = Shape::Variant(vec![
            Case {
                name: "too-large".to_owned(),
                payload: Some(Shape::U32),
            },
            Case {
                name: "broken".to_owned(),
                payload: Some(Shape::String),
            },
            Case {
                name: "empty".to_owned(),
                payload: None,
            },
        ]);
        let problem = problem_of(&shape, json!({"too-large": 7}));
        assert_eq!(
            (problem.kind.as_str(), problem.status),
            ("urn:potok:book:too-large", 500)
        );
        assert_eq!((problem.detail.as_deref(), problem.data), (Some("7"), Some(json!(7))));
        let problem = problem_of(&shape, json!({"broken": "no title"}));
        assert_eq!((problem.detail.as_deref(), problem.data), (Some("no title"), None));
        assert_eq!(problem_of(&shape, json!("empty")).kind, "urn:potok:book:empty");
        let problem = problem_of(&Shape::Enum(vec!["a".to_owned()]), json!("a"));
        assert_eq!(problem.kind, "urn:potok:book:a");
        let problem = problem_of(&Shape::String, json!("why"));
        assert_eq!(
            (problem.kind.as_str(), problem.detail.as_deref()),
            ("urn:potok:book:error", Some("why"))
        );
        let nothing = super::problem("book", None, None, &mut Lift::new(10)).unwrap();
        assert_eq!(nothing.kind, "urn:potok:book:error");
    }

    #[test]
    fn a_fault_says_everything_itself() {
        let shape = fault_shape();
        assert!(is_fault(&shape));
        let problem = problem_of(
            &shape,
            json!({"kind": "busy", "status": 503, "title": "Busy", "detail": "wait", "retry_after_ms": 1500, "data": "{\"n\":1}"}),
        );
        assert_eq!((problem.kind.as_str(), problem.status), ("urn:potok:book:busy", 503));
        assert_eq!(
            (problem.retry_after_ms, problem.data.clone()),
            (Some(1500), Some(json!({"n": 1})))
        );
        let there = from_problem(&shape, &problem).unwrap();
        let back = super::problem("other", Some(&shape), Some(there), &mut Lift::new(1000)).unwrap();
        assert_eq!(back, problem);
        let odd = problem_of(&shape, json!({"kind": "https://x.example/e", "status": 7, "title": ""}));
        assert_eq!(
            (odd.kind.as_str(), odd.status, odd.title),
            ("https://x.example/e", 500, None)
        );
    }
}
