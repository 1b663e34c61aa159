//! jq's arithmetic on values.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::environment::{Environment, Result, Stop};
use super::lower::integer;
use super::order;
use super::text::excerpt;
use crate::number::Num;
use crate::syntax::tree::Math;

pub(super) fn apply<'v>(
    environment: &Environment<'_>,
    math: Math,
    left: Cow<'v, Value>,
    right: Cow<'v, Value>,
) -> Result<Cow<'v, Value>> {
    if let (Value::Number(left), Value::Number(right)) = (&*left, &*right) {
        return numbers(math, Num::of(left), Num::of(right)).map(Cow::Owned);
    }
    match math {
        Math::Add => add(environment, left, right),
        Math::Subtract => subtract(environment, left, &right).map(Cow::Owned),
        Math::Multiply => multiply(environment, left, right).map(Cow::Owned),
        Math::Divide => match (&*left, &*right) {
            (Value::String(text), Value::String(separator)) => split(environment, text, separator).map(Cow::Owned),
            (left, right) => Err(wrong(math, left, right)),
        },
        Math::Remainder => Err(wrong(math, &left, &right)),
    }
}

pub(super) fn negate(value: &Value) -> Result<Value> {
    let Value::Number(number) = value else {
        return Err(Stop::Error(format!("cannot negate {}", excerpt(value))));
    };
    match Num::of(number) {
        Num::Integer(integer) => Num::Integer(-integer),
        Num::Float(float) => Num::Float(-float),
    }
    .into_value()
    .ok_or(Stop::Beyond)
}

fn numbers(math: Math, left: Num, right: Num) -> Result<Value> {
    let result = match (left, right) {
        (Num::Integer(left), Num::Integer(right)) if math != Math::Divide => match math {
            Math::Add => left.checked_add(right),
            Math::Subtract => left.checked_sub(right),
            Math::Multiply => left.checked_mul(right),
            _ if right == 0 => return Err(Stop::Error("cannot divide by zero".to_owned())),
            _ => left.checked_rem(right),
        }
        .map(Num::Integer),
        (left, right) => {
            let (left, right) = (left.as_f64(), right.as_f64());
            Num::from_f64(match math {
                Math::Add => left + right,
                Math::Subtract => left - right,
                Math::Multiply => left * right,
                Math::Divide => left / right,
                Math::Remainder => left % right,
            })
        }
    };
    // Bigger integers, NaN and infinities exist in the full evaluator.
    result.and_then(Num::into_value).ok_or(Stop::Beyond)
}

fn add<'v>(environment: &Environment<'_>, left: Cow<'v, Value>, right: Cow<'v, Value>) -> Result<Cow<'v, Value>> {
    if left.is_null() {
        return Ok(right);
    }
    if right.is_null() {
        return Ok(left);
    }
    match (&*left, &*right) {
        (Value::String(_), Value::String(addition)) => {
            environment.charge_bytes(addition.len())?;
            let Value::String(mut text) = environment.own(left)? else {
                return Err(Stop::Beyond);
            };
            text.push_str(addition);
            Ok(Cow::Owned(Value::String(text)))
        }
        (Value::Array(_), Value::Array(_)) => {
            let (left, right) = (environment.own(left)?, environment.own(right)?);
            let (Value::Array(mut items), Value::Array(more)) = (left, right) else {
                return Err(Stop::Beyond);
            };
            items.extend(more);
            Ok(Cow::Owned(Value::Array(items)))
        }
        (Value::Object(_), Value::Object(_)) => {
            let (left, right) = (environment.own(left)?, environment.own(right)?);
            let (Value::Object(mut map), Value::Object(more)) = (left, right) else {
                return Err(Stop::Beyond);
            };
            map.extend(more);
            Ok(Cow::Owned(Value::Object(map)))
        }
        (left, right) => Err(wrong(Math::Add, left, right)),
    }
}

fn subtract(environment: &Environment<'_>, left: Cow<'_, Value>, right: &Value) -> Result<Value> {
    match (&*left, right) {
        (Value::Array(items), Value::Array(unwanted)) => {
            for item in items.iter().chain(unwanted) {
                environment.charge_weight(item, unwanted.len())?;
            }
            let mut unwanted: Vec<&Value> = unwanted.iter().collect();
            unwanted.sort_by(|left, right| order::compare(left, right));
            let Value::Array(mut items) = environment.own(left)? else {
                return Err(Stop::Beyond);
            };
            items.retain(|item| unwanted.binary_search_by(|other| order::compare(other, item)).is_err());
            Ok(Value::Array(items))
        }
        (left, right) => Err(wrong(Math::Subtract, left, right)),
    }
}

fn multiply(environment: &Environment<'_>, left: Cow<'_, Value>, right: Cow<'_, Value>) -> Result<Value> {
    match (&*left, &*right) {
        (Value::String(text), Value::Number(count)) | (Value::Number(count), Value::String(text)) => {
            match integer(count) {
                None => Err(wrong(Math::Multiply, &left, &right)),
                Some(count) if count <= 0 => Ok(Value::Null),
                Some(count) => {
                    let count = usize::try_from(count).map_err(|_| Stop::Beyond)?;
                    let length = text.len().checked_mul(count).ok_or(Stop::Beyond)?;
                    environment.charge_bytes(length)?;
                    Ok(Value::String(text.repeat(count)))
                }
            }
        }
        (Value::Object(_), Value::Object(_)) => {
            let (left, right) = (environment.own(left)?, environment.own(right)?);
            let (Value::Object(mut map), Value::Object(more)) = (left, right) else {
                return Err(Stop::Beyond);
            };
            merge(&mut map, more);
            Ok(Value::Object(map))
        }
        (left, right) => Err(wrong(Math::Multiply, left, right)),
    }
}

/// Merges objects at all levels.
fn merge(map: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (map.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            (Some(slot), value) => *slot = value,
            (None, value) => {
                map.insert(key, value);
            }
        }
    }
}

/// The parts of a text; its characters for an empty separator.
pub(super) fn split(environment: &Environment<'_>, text: &str, separator: &str) -> Result<Value> {
    environment.charge_bytes(text.len())?;
    let mut parts = Vec::new();
    let mut push = |part: &str| {
        environment.charge(1)?;
        parts.push(Value::String(part.to_owned()));
        Ok::<_, Stop>(())
    };
    if text.is_empty() {
        // No parts at all.
    } else if separator.is_empty() {
        text.char_indices()
            .try_for_each(|(start, character)| push(&text[start..start + character.len_utf8()]))?;
    } else {
        text.split(separator).try_for_each(push)?;
    }
    Ok(Value::Array(parts))
}

fn wrong(math: Math, left: &Value, right: &Value) -> Stop {
    let verb = match math {
        Math::Add => "add",
        Math::Subtract => "subtract",
        Math::Multiply => "multiply",
        Math::Divide => "divide",
        Math::Remainder => "take the remainder of",
    };
    Stop::Error(format!("cannot {verb} {} and {}", excerpt(left), excerpt(right)))
}
