//! Paths: fields, elements, slices, and the iteration over everything.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::environment::{At, Environment, Result, Sink, Stop};
use super::eval::one;
use super::lower::integer;
use super::node::{Expr, Part, Step};
use super::text::excerpt;

static NULL: Value = Value::Null;

/// The values of the computed indexes of a path, in order. They see the path's input, not what they index.
pub(super) fn indexes<'v>(steps: &'v [Step], at: At<'v>) -> Result<Vec<Cow<'v, Value>>> {
    let mut values = Vec::new();
    for step in steps {
        match &step.part {
            Part::Field(_) | Part::Iterate => {}
            Part::Index(index) => values.push(one(index, at)?),
            Part::Slice(from, to) => {
                for bound in [from, to].into_iter().flatten() {
                    values.push(one(bound, at)?);
                }
            }
        }
    }
    Ok(values)
}

/// Follows a path that may have many ends.
pub(super) fn walk<'v>(
    environment: &Environment<'_>,
    value: Cow<'v, Value>,
    steps: &'v [Step],
    indexes: &[Cow<'v, Value>],
    sink: Sink<'_, 'v>,
) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else {
        return sink(value);
    };
    environment.charge(1)?;
    if matches!(step.part, Part::Iterate) {
        if step.optional && !matches!(*value, Value::Array(_) | Value::Object(_)) {
            return Ok(());
        }
        return iterate(environment, value, &mut |item| {
            walk(environment, item, rest, indexes, sink)
        });
    }
    let mut remaining = indexes.iter();
    match single_step(environment, value, &step.part, &mut remaining) {
        Ok(value) => walk(environment, value, rest, remaining.as_slice(), sink),
        Err(Stop::Error(_)) if step.optional => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// The elements of an array, the values of an object.
pub(super) fn iterate<'v>(environment: &Environment<'_>, value: Cow<'v, Value>, sink: Sink<'_, 'v>) -> Result<()> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().try_for_each(|item| sink(Cow::Borrowed(item))),
        Cow::Borrowed(Value::Object(map)) => map.values().try_for_each(|item| sink(Cow::Borrowed(item))),
        Cow::Owned(Value::Array(items)) => items.into_iter().try_for_each(|item| sink(Cow::Owned(item))),
        Cow::Owned(Value::Object(map)) => map.into_iter().try_for_each(|(_, item)| sink(Cow::Owned(item))),
        other => Err(Stop::Error(format!("cannot iterate over {}", excerpt(&other)))),
    }?;
    environment.charge(1)
}

/// Follows a step with one end.
pub(super) fn single_step<'v>(
    environment: &Environment<'_>,
    value: Cow<'v, Value>,
    part: &'v Part,
    indexes: &mut std::slice::Iter<'_, Cow<'v, Value>>,
) -> Result<Cow<'v, Value>> {
    match part {
        Part::Field(name) => field(value, name),
        Part::Index(_) => {
            let index = indexes.next().ok_or(Stop::Beyond)?;
            match &**index {
                Value::String(name) => field(value, name),
                Value::Number(number) => element(value, number),
                _ => match &*value {
                    Value::Null => Ok(Cow::Borrowed(&NULL)),
                    _ => Err(Stop::Beyond),
                },
            }
        }
        Part::Slice(from, to) => {
            let mut bound = |given: &Option<Expr>| {
                given
                    .as_ref()
                    .map(|_| indexes.next().map(|value| &**value).ok_or(Stop::Beyond))
                    .transpose()
            };
            let (from, to) = (bound(from)?, bound(to)?);
            slice(environment, &value, from, to).map(Cow::Owned)
        }
        Part::Iterate => Err(Stop::Beyond),
    }
}

fn field<'v>(value: Cow<'v, Value>, name: &str) -> Result<Cow<'v, Value>> {
    Ok(match value {
        Cow::Borrowed(Value::Object(map)) => Cow::Borrowed(map.get(name).unwrap_or(&NULL)),
        Cow::Owned(Value::Object(mut map)) => Cow::Owned(map.swap_remove(name).unwrap_or_default()),
        Cow::Borrowed(Value::Null) | Cow::Owned(Value::Null) => Cow::Borrowed(&NULL),
        other => {
            let message = format!("cannot take \"{name}\" of {}", excerpt(&other));
            return Err(Stop::Error(message));
        }
    })
}

fn element<'v>(value: Cow<'v, Value>, number: &Number) -> Result<Cow<'v, Value>> {
    let position = |length: usize| {
        let index = integer(number)?;
        let index = if index < 0 { index + length as i128 } else { index };
        usize::try_from(index).ok().filter(|index| *index < length)
    };
    Ok(match value {
        Cow::Borrowed(Value::Array(items)) if integer(number).is_some() => Cow::Borrowed(
            position(items.len())
                .and_then(|index| items.get(index))
                .unwrap_or(&NULL),
        ),
        Cow::Owned(Value::Array(mut items)) if integer(number).is_some() => Cow::Owned(
            position(items.len())
                .map(|index| items.swap_remove(index))
                .unwrap_or_default(),
        ),
        // In jaq an object may have numbers as keys, but none that came from JSON has.
        Cow::Borrowed(Value::Null | Value::Object(_)) | Cow::Owned(Value::Null | Value::Object(_)) => {
            Cow::Borrowed(&NULL)
        }
        other => {
            return Err(Stop::Error(format!(
                "cannot take element {number} of {}",
                excerpt(&other)
            )));
        }
    })
}

fn slice(environment: &Environment<'_>, value: &Value, from: Option<&Value>, to: Option<&Value>) -> Result<Value> {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::String(text) => {
            environment.charge_bytes(text.len())?;
            text.chars().count()
        }
        other => return Err(Stop::Error(format!("cannot slice {}", excerpt(other)))),
    };
    let start = bound(from, length, 0)?;
    let take = bound(to, length, length)?.saturating_sub(start);
    Ok(match value {
        Value::Array(items) => {
            let items = items.iter().skip(start).take(take);
            Value::Array(items.map(|item| environment.copy(item)).collect::<Result<_>>()?)
        }
        Value::String(text) => Value::String(text.chars().skip(start).take(take).collect()),
        _ => Value::Null,
    })
}

/// A slice's bound within the length, counted from the end when it is negative.
fn bound(value: Option<&Value>, length: usize, default: usize) -> Result<usize> {
    match value {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Number(number)) => {
            let index = integer(number).ok_or_else(|| Stop::Error(format!("cannot slice at {number}")))?;
            let index = if index < 0 {
                (index + length as i128).max(0)
            } else {
                index
            };
            Ok(usize::try_from(index).unwrap_or(length).min(length))
        }
        Some(other) => Err(Stop::Error(format!("cannot slice at {}", excerpt(other)))),
    }
}
