//! jq's functions within the native subset.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::environment::{At, Environment, Result, Stop, truthy};
use super::lower::integer;
use super::math;
use super::node::{Function, Function1};
use super::order;
use super::text::{excerpt, push_text, to_json};
use crate::number::Num;

pub(super) fn function<'v>(function: Function, at: At<'v>) -> Result<Cow<'v, Value>> {
    let (input, environment) = (at.input, at.environment);
    let owned = match function {
        Function::Length => length(input)?,
        Function::Keys => keys(environment, input)?,
        Function::Not => Value::Bool(!truthy(input)),
        Function::ToString if input.is_string() => return Ok(Cow::Borrowed(input)),
        Function::ToString | Function::ToJson => {
            environment.charge_weight(input, 1)?;
            Value::String(to_json(input))
        }
        Function::ToNumber => match input {
            Value::Number(_) => return Ok(Cow::Borrowed(input)),
            Value::String(text) => parse(text).ok_or(Stop::Beyond)?,
            other => return Err(Stop::Error(format!("cannot parse {} as a number", excerpt(other)))),
        },
        Function::Type => Value::from(type_name(input)),
        Function::Downcase => Value::String(text(environment, input)?.to_ascii_lowercase()),
        Function::Upcase => Value::String(text(environment, input)?.to_ascii_uppercase()),
        Function::Trim => Value::from(text(environment, input)?.trim()),
        Function::TrimStart => Value::from(text(environment, input)?.trim_start()),
        Function::TrimEnd => Value::from(text(environment, input)?.trim_end()),
        Function::Floor => round(input, f64::floor)?,
        Function::Round => round(input, f64::round)?,
        Function::Ceil => round(input, f64::ceil)?,
        Function::Abs => match input {
            Value::Number(_) => length(input)?,
            Value::Null | Value::Bool(_) => return Err(Stop::Error(format!("cannot negate {}", excerpt(input)))),
            _ => return Ok(Cow::Borrowed(input)),
        },
        Function::Reverse => {
            let mut items = items(environment, input)?;
            items.reverse();
            Value::Array(items)
        }
        Function::Sort => Value::Array(sorted(environment, input)?),
        Function::Unique => {
            let mut items = sorted(environment, input)?;
            items.dedup_by(|next, kept| order::equal(next, kept));
            Value::Array(items)
        }
        Function::Min => return extreme(environment, input, less),
        Function::Max => return extreme(environment, input, |candidate, best| !less(candidate, best)),
        Function::ToEntries => entries(environment, input)?,
    };
    Ok(Cow::Owned(owned))
}

pub(super) fn function1<'v>(function: Function1, at: At<'v>, argument: &Value) -> Result<Cow<'v, Value>> {
    let (input, environment) = (at.input, at.environment);
    let owned = match function {
        Function1::Has => Value::Bool(has(input, argument)?),
        Function1::Contains => Value::Bool(contains(environment, input, argument)?),
        Function1::Join => join(environment, input, argument)?,
        Function1::Split => match (input, argument) {
            (Value::String(text), Value::String(separator)) => math::split(environment, text, separator)?,
            _ => return Err(Stop::Error("split takes a string and a string as separator".to_owned())),
        },
        Function1::StartsWith => {
            let (text, prefix) = texts(environment, input, argument)?;
            Value::Bool(text.starts_with(prefix))
        }
        Function1::EndsWith => {
            let (text, suffix) = texts(environment, input, argument)?;
            Value::Bool(text.ends_with(suffix))
        }
        Function1::TrimPrefix => {
            let (text, prefix) = texts(environment, input, argument)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        Function1::TrimSuffix => {
            let (text, suffix) = texts(environment, input, argument)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
    };
    Ok(Cow::Owned(owned))
}

fn less(left: &Value, right: &Value) -> bool {
    order::compare(left, right).is_lt()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn length(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Null => Value::from(0),
        Value::Bool(_) => return Err(Stop::Error(format!("{value} has no length"))),
        Value::Number(number) => {
            let absolute = match Num::of(number) {
                Num::Integer(integer) => Num::Integer(integer.abs()),
                Num::Float(float) => Num::Float(float.abs()),
            };
            absolute.into_value().ok_or(Stop::Beyond)?
        }
        Value::String(text) => Value::from(text.chars().count()),
        Value::Array(items) => Value::from(items.len()),
        Value::Object(map) => Value::from(map.len()),
    })
}

fn keys(environment: &Environment<'_>, value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Array(items) => {
            environment.charge(items.len())?;
            Value::Array((0..items.len()).map(Value::from).collect())
        }
        Value::Object(map) => {
            for key in map.keys() {
                environment.charge_bytes(key.len())?;
            }
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            Value::Array(keys.into_iter().cloned().map(Value::String).collect())
        }
        other => return Err(Stop::Error(format!("{} has no keys", excerpt(other)))),
    })
}

fn text<'v>(environment: &Environment<'_>, value: &'v Value) -> Result<&'v str> {
    match value {
        Value::String(text) => {
            environment.charge_bytes(text.len())?;
            Ok(text)
        }
        other => Err(Stop::Error(format!("{} is not a string", excerpt(other)))),
    }
}

fn texts<'v>(environment: &Environment<'_>, left: &'v Value, right: &'v Value) -> Result<(&'v str, &'v str)> {
    Ok((text(environment, left)?, text(environment, right)?))
}

/// A number in the strict form of JSON; everything else is left to the full evaluator.
fn parse(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let ends_well = digits.ends_with(|c: char| c.is_ascii_digit());
    let begins_well = digits.starts_with(|c: char| c.is_ascii_digit())
        && !(digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit()));
    if !begins_well
        || !ends_well
        || !digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Num::Integer(text.parse().ok()?).into_value();
    }
    // serde's own reading is strict about what is left.
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    Num::of(&number).into_value()
}

fn round(value: &Value, towards: fn(f64) -> f64) -> Result<Value> {
    let Value::Number(number) = value else {
        return Err(Stop::Error(format!("cannot round {}", excerpt(value))));
    };
    let rounded = match Num::of(number) {
        Num::Integer(integer) => Num::Integer(integer),
        Num::Float(float) => Num::from_f64(towards(float)).ok_or(Stop::Beyond)?,
    };
    match rounded {
        Num::Integer(_) => rounded.into_value().ok_or(Stop::Beyond),
        // Too big for 64 bits: an integer of any size in the full evaluator.
        Num::Float(_) => Err(Stop::Beyond),
    }
}

fn array(value: &Value) -> Result<&Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(Stop::Error(format!("{} is not an array", excerpt(other)))),
    }
}

fn items(environment: &Environment<'_>, value: &Value) -> Result<Vec<Value>> {
    array(value)?.iter().map(|item| environment.copy(item)).collect()
}

fn sorted(environment: &Environment<'_>, value: &Value) -> Result<Vec<Value>> {
    let count = array(value)?.len();
    for item in array(value)? {
        environment.charge_weight(item, count)?;
    }
    let mut items = items(environment, value)?;
    items.sort_by(order::compare);
    Ok(items)
}

/// The element that no later one replaces; null when there is none.
fn extreme<'v>(
    environment: &Environment<'_>,
    value: &'v Value,
    replaces: fn(&Value, &Value) -> bool,
) -> Result<Cow<'v, Value>> {
    let items = array(value)?;
    for item in items {
        environment.charge_weight(item, 1)?;
    }
    let best = items
        .iter()
        .reduce(|best, candidate| if replaces(candidate, best) { candidate } else { best });
    Ok(best.map_or(Cow::Owned(Value::Null), Cow::Borrowed))
}

fn entries(environment: &Environment<'_>, value: &Value) -> Result<Value> {
    let entry = |key: Value, item: &Value| {
        environment.charge(3)?;
        let mut map = Map::with_capacity(2);
        map.insert("key".to_owned(), key);
        map.insert("value".to_owned(), environment.copy(item)?);
        Ok(Value::Object(map))
    };
    let entries = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| entry(Value::from(key.as_str()), item))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(key, item)| entry(Value::from(key), item))
            .collect(),
        other => Err(Stop::Error(format!("{} has no entries", excerpt(other)))),
    };
    entries.map(Value::Array)
}

fn has(value: &Value, key: &Value) -> Result<bool> {
    match (value, key) {
        (Value::Null, _) => Ok(false),
        (Value::Object(map), Value::String(key)) => Ok(map.contains_key(key)),
        (Value::Object(_), _) => Ok(false),
        (Value::Array(items), Value::Number(index)) => match integer(index) {
            Some(index) => {
                let index = if index < 0 { index + items.len() as i128 } else { index };
                Ok((0..items.len() as i128).contains(&index))
            }
            None => Err(Stop::Error(format!("an array has no element {index}"))),
        },
        // Slices and searches.
        (Value::Array(_), Value::Array(_) | Value::Object(_)) | (Value::String(_), Value::Object(_)) => {
            Err(Stop::Beyond)
        }
        (value, key) => Err(Stop::Error(format!("{} cannot have {}", excerpt(value), excerpt(key)))),
    }
}

fn contains(environment: &Environment<'_>, value: &Value, other: &Value) -> Result<bool> {
    environment.charge(1)?;
    match (value, other) {
        (Value::String(text), Value::String(part)) => {
            environment.charge_bytes(text.len())?;
            Ok(text.contains(part.as_str()))
        }
        (Value::Array(items), Value::Array(wanted)) => {
            for wanted in wanted {
                let mut found = false;
                for item in items {
                    if contains(environment, item, wanted)? {
                        found = true;
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(map), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                match map.get(key) {
                    Some(item) if contains(environment, item, wanted)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (value, other) => environment.equal(value, other),
    }
}

fn join(environment: &Environment<'_>, value: &Value, separator: &Value) -> Result<Value> {
    let Value::Array(items) = value else {
        return Err(Stop::Beyond);
    };
    let separator = match separator {
        Value::String(separator) => separator.as_str(),
        Value::Null => "",
        // No separator is needed, so that it may be anything.
        _ if items.len() < 2 => "",
        other => return Err(Stop::Error(format!("cannot join with {}", excerpt(other)))),
    };
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let before = text.len();
        if index > 0 {
            text.push_str(separator);
        }
        if !item.is_string() {
            environment.charge_weight(item, 1)?;
        }
        push_text(item, &mut text);
        environment.charge_bytes(text.len() - before)?;
    }
    Ok(Value::String(text))
}
