//! YAML text into a tree of values that know their places.
//!
//! YAML 1.2 with the core schema, restricted to what JSON can say: keys are text, numbers are finite and fit 64 bits, one document a
//! file. Text is hostile until proven otherwise: size, depth and the number of values are limited, and an alias costs what it stands
//! for. What is wrong becomes a diagnostic; nothing here panics or recurses on what the text says.
//!
//! This module knows nothing of workflows.

mod load;
mod scalar;
mod syntax;
mod tag;

use serde_json::{Map, Number, Value};

use crate::{diagnostic::Diagnostic, model::Location};

pub(crate) use load::end_of;
pub(crate) use scalar::clip;

/// The longest text, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// How deep values may nest.
pub(crate) const MAX_DEPTH: usize = 128;

/// How many values there may be once aliases stand for what they name.
pub(crate) const MAX_NODES: usize = 250_000;

/// How many bytes of text there may be once aliases stand for what they name.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub at: Location,
    pub data: Data,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub key: String,
    pub key_at: Location,
    pub value: Node,
}

impl Node {
    /// What the value is, in words.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "an object",
        }
    }

    /// The members, when the value is an object.
    pub fn members(&self) -> Option<&[Member]> {
        match &self.data {
            Data::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The items, when the value is a list.
    pub fn items(&self) -> Option<&[Self]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, when the value is text.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member of that name, when the value is an object that has one.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members()?
            .iter()
            .find(|member| member.key == key)
            .map(|member| &member.value)
    }

    /// How many values there are in this one, itself included.
    pub fn count(&self) -> usize {
        match &self.data {
            Data::List(items) => items.iter().map(Self::count).sum::<usize>() + 1,
            Data::Map(members) => members.iter().map(|member| member.value.count()).sum::<usize>() + 1,
            _ => 1,
        }
    }

    /// The same value in the text of that number. Recursion ends at [`MAX_DEPTH`].
    pub fn in_text(mut self, text: u16) -> Self {
        self.at.text = text;
        self.data = match self.data {
            Data::List(items) => Data::List(items.into_iter().map(|item| item.in_text(text)).collect()),
            Data::Map(members) => {
                let moved = members.into_iter().map(|mut member| {
                    member.key_at.text = text;
                    member.value = member.value.in_text(text);
                    member
                });
                Data::Map(moved.collect())
            }
            plain => plain,
        };
        self
    }

    /// The value without places. Recursion ends at [`MAX_DEPTH`].
    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(value) => Value::Number(value.clone()),
            Data::Text(value) => Value::String(value.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Data::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|m| (m.key.clone(), m.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Reads one document.
///
/// What can be lived with (a repeated key, a number that does not fit) is put on the list and reading goes on; `None` when nothing
/// sensible is left.
pub(crate) fn load(text: &str, list: &mut Vec<Diagnostic>) -> Option<Node> {
    load::load(text, list)
}
