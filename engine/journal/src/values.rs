//! Large values are stored once, by the hash of their JSON, and referenced from wherever they occur.
//!
//! [`split`] goes over a value from its leaves up and moves every part whose JSON is over [`INLINE_LIMIT`] out of it, leaving
//! `{"$potok.value": "<sha256>"}` in its place; [`join`] puts the parts back. What a user wrote that looks like a reference is marked by one
//! more `$`, so the two are inverse to each other for every value. Parts that are nested deeply are moved out too, so that every stored
//! piece stays readable for a parser that limits depth. How long a value stays, the store's `retire` says.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use crate::error::StoreError;
use crate::rows::{Hash, StoredValue, hex, parse_hex};

/// Parts whose JSON is longer than this many bytes are stored by themselves.
pub const INLINE_LIMIT: usize = 64 << 10;

/// The longest JSON of a value, in bytes.
pub const CEILING: u64 = 64 << 20;

/// How deep a value may be nested.
pub const DEPTH_LIMIT: usize = 512;

/// How high a stored piece may be; `serde_json` parses up to 128.
const HEIGHT_LIMIT: usize = 96;

/// The key of a reference.
const KEY: &str = "$potok.value";

/// The length of a reference as JSON: braces, key, colon, 64 digits in quotes.
const REFERENCE_LENGTH: usize = 1 + 14 + 1 + 66 + 1;

/// How much of a value stays where it is, and how much there may be at all; in bytes of JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) inline: usize,
    pub(crate) ceiling: u64,
}

/// Moves every part over [`INLINE_LIMIT`] out of a value and into `values`.
///
/// # Errors
/// `TooLarge` names the part that is over [`CEILING`] by its JSON pointer; `Refused` the one that is nested deeper than [`DEPTH_LIMIT`]. The
/// value and `values` are then to be thrown away.
pub fn split(value: &mut Value, values: &mut Vec<StoredValue>) -> Result<(), StoreError> {
    split_within(
        value,
        values,
        "",
        Limits {
            inline: INLINE_LIMIT,
            ceiling: CEILING,
        },
    )
}

/// As [`split`], with other limits; `name` stands before the pointer in an error.
pub(crate) fn split_within(
    value: &mut Value,
    values: &mut Vec<StoredValue>,
    name: &str,
    limits: Limits,
) -> Result<(), StoreError> {
    Splitter { limits, values }
        .split(value, 0)
        .map(|_| ())
        .map_err(|failure| failure.named(name))
}

/// Puts the parts back that [`split`] has moved out. `fetch` gives the bytes of a hash; what it gave once is in `cache` and is not fetched again.
///
/// # Errors
/// Those of `fetch`; `Corrupt` when it has nothing for a hash, or something that is not JSON.
pub fn join<F>(value: &mut Value, cache: &mut HashMap<Hash, Value>, fetch: &mut F) -> Result<(), StoreError>
where
    F: FnMut(&Hash) -> Result<Option<Vec<u8>>, StoreError>,
{
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| join(item, cache, fetch)),
        Value::Object(members) => {
            if let Some(hash) = reference(members) {
                *value = stored(hash, cache, fetch)?;
                return Ok(());
            }
            strip(members);
            members.values_mut().try_for_each(|member| join(member, cache, fetch))
        }
        _ => Ok(()),
    }
}

/// Takes the marks off a value and leaves its references, for lists that show only what is small.
pub(crate) fn unmark(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unmark),
        Value::Object(members) if reference(members).is_none() => {
            strip(members);
            members.values_mut().for_each(unmark);
        }
        _ => {}
    }
}

/// Whether [`split`] would leave a value as it is, judged by its JSON; some that it leaves are not plain.
pub(crate) fn is_plain(json: &str) -> bool {
    // Every level has a bracket; those in texts do no harm.
    let brackets = json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    json.len() <= INLINE_LIMIT && brackets <= HEIGHT_LIMIT && !json.contains(KEY)
}

/// Whether a value's JSON is likely over so many bytes; looks at no more of it than it needs.
pub(crate) fn is_over(value: &Value, bytes: usize) -> bool {
    fn spend(value: &Value, left: usize) -> Option<usize> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => left.checked_sub(4),
            Value::String(text) => left.checked_sub(text.len() + 2),
            Value::Array(items) => items
                .iter()
                .try_fold(left.checked_sub(2)?, |left, item| spend(item, left)),
            Value::Object(members) => members.iter().try_fold(left.checked_sub(2)?, |left, (key, member)| {
                spend(member, left.checked_sub(key.len() + 4)?)
            }),
        }
    }
    spend(value, bytes).is_none()
}

fn stored<F>(hash: Hash, cache: &mut HashMap<Hash, Value>, fetch: &mut F) -> Result<Value, StoreError>
where
    F: FnMut(&Hash) -> Result<Option<Vec<u8>>, StoreError>,
{
    if let Some(value) = cache.get(&hash) {
        return Ok(value.clone());
    }
    let damaged = |why: &str| StoreError::Corrupt(format!("value {} {why}", hex(&hash)));
    let bytes = fetch(&hash)?.ok_or_else(|| damaged("is missing"))?;
    let mut value: Value = serde_json::from_slice(&bytes).map_err(|error| damaged(&format!("is not JSON: {error}")))?;
    drop(bytes);
    join(&mut value, cache, fetch)?;
    cache.insert(hash, value.clone());
    Ok(value)
}

/// The hash that an object refers to, if it is a reference.
fn reference(members: &Map<String, Value>) -> Option<Hash> {
    match members.get(KEY) {
        Some(Value::String(text)) if members.len() == 1 => parse_hex(text),
        _ => None,
    }
}

/// Whether an object, but for marks, looks like a reference.
fn looks_like_reference(members: &Map<String, Value>) -> bool {
    members.len() == 1
        && members
            .keys()
            .all(|key| key.trim_start_matches('$') == &KEY[1..] && key.starts_with('$'))
}

fn mark(members: &mut Map<String, Value>) {
    if looks_like_reference(members) {
        *members = std::mem::take(members)
            .into_iter()
            .map(|(key, member)| (format!("${key}"), member))
            .collect();
    }
}

fn strip(members: &mut Map<String, Value>) {
    if looks_like_reference(members) && !members.contains_key(KEY) {
        *members = std::mem::take(members)
            .into_iter()
            .map(|(key, member)| (key[1..].to_owned(), member))
            .collect();
    }
}

/// What is known of a part after it was split.
struct Size {
    /// The length of its JSON before anything was moved out.
    total: u64,
    /// The length of its JSON now.
    kept: usize,
    /// How many levels it has now.
    height: usize,
}

impl Size {
    fn leaf(length: usize) -> Self {
        Self {
            total: length as u64,
            kept: length,
            height: 0,
        }
    }

    /// Of a container before its parts are added: brackets and commas.
    fn container(parts: usize) -> Self {
        let length = 2 + parts.saturating_sub(1);
        Self {
            total: length as u64,
            kept: length,
            height: 1,
        }
    }

    fn add(&mut self, part: &Self) {
        self.total += part.total;
        self.kept += part.kept;
        self.height = self.height.max(part.height + 1);
    }
}

struct Splitter<'a> {
    limits: Limits,
    values: &'a mut Vec<StoredValue>,
}

/// What is wrong, and where.
struct Failure {
    /// The keys on the way to it, the innermost first: they are added on the way out.
    pointer: Vec<String>,
    why: Why,
}

enum Why {
    TooLarge { size: u64, limit: u64 },
    TooDeep,
    Unreadable(String),
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        Self {
            pointer: Vec::new(),
            why,
        }
    }
}

impl Failure {
    fn within(mut self, key: &str) -> Self {
        self.pointer.push(key.to_owned());
        self
    }

    fn named(self, name: &str) -> StoreError {
        let escaped = self
            .pointer
            .iter()
            .rev()
            .map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")));
        let pointer: String = escaped.collect();
        let what = match (name, pointer.as_str()) {
            ("", "") => "the value".to_owned(),
            ("", pointer) => format!("the value at {pointer}"),
            (name, "") => name.to_owned(),
            (name, pointer) => format!("{name} at {pointer}"),
        };
        match self.why {
            Why::TooLarge { size, limit } => StoreError::TooLarge { what, size, limit },
            Why::TooDeep => StoreError::Refused(format!("{what} is nested deeper than {DEPTH_LIMIT} levels")),
            Why::Unreadable(why) => StoreError::Refused(format!("{what} is not JSON: {why}")),
        }
    }
}

impl Splitter<'_> {
    fn split(&mut self, value: &mut Value, depth: usize) -> Result<Size, Failure> {
        if depth > DEPTH_LIMIT {
            return Err(Why::TooDeep.into());
        }
        let size = match value {
            Value::Null | Value::Bool(true) => Size::leaf(4),
            Value::Bool(false) => Size::leaf(5),
            Value::Number(number) => Size::leaf(number_length(number)),
            Value::String(text) => Size::leaf(string_length(text)),
            Value::Array(items) => self.split_items(items, depth)?,
            Value::Object(members) => {
                mark(members);
                self.split_members(members, depth)?
            }
        };
        if size.total > self.limits.ceiling {
            return Err(Why::TooLarge {
                size: size.total,
                limit: self.limits.ceiling,
            }
            .into());
        }
        if size.kept > self.limits.inline || size.height >= HEIGHT_LIMIT {
            self.move_out(value)?;
            return Ok(Size {
                kept: REFERENCE_LENGTH,
                height: 1,
                ..size
            });
        }
        Ok(size)
    }

    fn split_items(&mut self, items: &mut [Value], depth: usize) -> Result<Size, Failure> {
        let mut size = Size::container(items.len());
        for (index, item) in items.iter_mut().enumerate() {
            let part = self
                .split(item, depth + 1)
                .map_err(|failure| failure.within(&index.to_string()))?;
            size.add(&part);
        }
        Ok(size)
    }

    fn split_members(&mut self, members: &mut Map<String, Value>, depth: usize) -> Result<Size, Failure> {
        let mut size = Size::container(members.len());
        for (key, member) in members.iter_mut() {
            let part = self.split(member, depth + 1).map_err(|failure| failure.within(key))?;
            let name = string_length(key) + 1;
            size.add(&part);
            size.total += name as u64;
            size.kept += name;
        }
        Ok(size)
    }

    fn move_out(&mut self, value: &mut Value) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(value).map_err(|error| Why::Unreadable(error.to_string()))?;
        let stored = StoredValue::new(bytes.into());
        let mut reference = Map::new();
        reference.insert(KEY.to_owned(), Value::String(hex(&stored.hash)));
        *value = Value::Object(reference);
        self.values.push(stored);
        Ok(())
    }
}

/// The length of a string as JSON.
fn string_length(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + 2 + escapes.sum::<usize>()
}

/// The length of a number as JSON.
fn number_length(number: &Number) -> usize {
    let digits = |magnitude: u64| magnitude.checked_ilog10().map_or(1, |log| log as usize + 1);
    match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => digits(positive),
        (None, Some(negative)) => 1 + digits(negative.unsigned_abs()),
        (None, None) => number.to_string().len(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
