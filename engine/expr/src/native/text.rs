//! Values as text, and values as they leave an expression.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Stop;
use crate::number::{Num, is_integral_float};
use crate::template::MAX_DEPTH;

/// Compact JSON, escaped as jq does it.
pub(super) fn to_json(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, &mut text);
    text
}

/// A string as it is, everything else as JSON.
pub(super) fn push_text(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => text.push_str(string),
        other => write_json(other, text),
    }
}

fn write_json(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => {
            match Num::of(number) {
                Num::Integer(integer) => {
                    // Writing to a string does not fail.
                    let _ = write!(text, "{integer}");
                }
                // As the full evaluator writes exponents.
                Num::Float(_) => text.push_str(&number.to_string().replace("e+", "e")),
            }
        }
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            text.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(key, text);
                text.push(':');
                write_json(item, text);
            }
            text.push('}');
        }
    }
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control if control < ' ' || control == '\u{7f}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// The start of a value's JSON, for messages.
pub(super) fn excerpt(value: &Value) -> String {
    const LENGTH: usize = 40;
    let text = match value {
        // Not to print megabytes for forty characters.
        Value::Array(items) if items.len() > LENGTH => return format!("an array of {}", items.len()),
        Value::Object(map) if map.len() > LENGTH => return format!("an object of {}", map.len()),
        Value::String(string) if string.len() > 4 * LENGTH => {
            to_json(&Value::String(string.chars().take(LENGTH).collect()))
        }
        other => to_json(other),
    };
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A result as it leaves the expression: numbers by the rules, not too deep.
pub(super) fn leave(value: Cow<'_, Value>) -> Result<Value, Stop> {
    normalize(value).ok_or_else(|| Stop::Error(format!("the result is nested deeper than {MAX_DEPTH}")))
}

/// Numbers by the rules; `None` when it is nested too deep.
pub(crate) fn normalize(value: Cow<'_, Value>) -> Option<Value> {
    match value {
        Cow::Borrowed(value) => copy(value, 0),
        Cow::Owned(mut value) => rewrite(&mut value, 0).map(|()| value),
    }
}

fn copy(value: &Value, depth: usize) -> Option<Value> {
    Some(match value {
        Value::Number(number) if is_integral_float(number) => Num::of(number).into_value()?,
        Value::Array(items) => {
            let depth = deeper(depth)?;
            Value::Array(items.iter().map(|item| copy(item, depth)).collect::<Option<_>>()?)
        }
        Value::Object(map) => {
            let depth = deeper(depth)?;
            let entries = map.iter().map(|(key, item)| Some((key.clone(), copy(item, depth)?)));
            Value::Object(entries.collect::<Option<Map<_, _>>>()?)
        }
        other => other.clone(),
    })
}

fn rewrite(value: &mut Value, depth: usize) -> Option<()> {
    match value {
        Value::Number(number) if is_integral_float(number) => *value = Num::of(number).into_value()?,
        Value::Array(items) => {
            let depth = deeper(depth)?;
            items.iter_mut().try_for_each(|item| rewrite(item, depth))?;
        }
        Value::Object(map) => {
            let depth = deeper(depth)?;
            map.values_mut().try_for_each(|item| rewrite(item, depth))?;
        }
        _ => {}
    }
    Some(())
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < MAX_DEPTH).then_some(depth + 1)
}
