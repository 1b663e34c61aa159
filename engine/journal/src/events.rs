//! The stream of events and who waits for what of it: plain data, and the hashes by which an index finds one through the other.
//!
//! A listener says by [`Pattern`]s what it wants: a type, a source, and values that expressions must give for the event. The store
//! evaluates no expression. It keeps the distinct [`Shape`]s of patterns (which expressions there are), tells a sender which ones
//! concern an event, and takes the event with a key for each; a pattern's key is the same hash, so one look-up finds who waits.

use potok_dsl::RunId;
use serde_json::Value;

use crate::rows::{Hash, hash};

/// An event that comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The event's source; with the id it names the event.
    pub source: String,
    /// The event's id.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// Only patterns that name its type get it.
    pub quiet: bool,
    /// The whole event as JSON.
    pub event: Value,
    /// When it was received.
    pub received_at: i64,
    /// The shapes that [`crate::Store::shapes`] has named for it, each with the key that the event has under it; `None` when an
    /// expression gives nothing. A shape that is missing makes the write [`crate::StoreError::Stale`].
    pub keys: Vec<(Hash, Option<Hash>)>,
}

/// What became of an event that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its number in the stream.
    pub sequence: u64,
    /// Whether it is new; else one of the same source and id was there.
    pub new: bool,
}

/// An event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Its number in the stream, from 1; never used again.
    pub sequence: u64,
    /// The whole event as JSON.
    pub event: Value,
    /// When it was received.
    pub received_at: i64,
}

/// Which events are wanted: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Of one of these types; any, when empty.
    pub kinds: Vec<String>,
    /// Of one of these sources; any, when empty.
    pub sources: Vec<String>,
    /// Quiet ones too, although no type was named.
    pub quiet: bool,
}

/// What a listener wants. Empty texts stand for any.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// The type; empty for any.
    pub kind: String,
    /// The source; empty for any.
    pub source: String,
    /// The texts of expressions, and what each must give for the event.
    pub correlations: Vec<(String, Value)>,
}

/// What patterns have in common that differ in their values only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// By which it is known.
    pub hash: Hash,
    /// The texts of its expressions, in the order in which their values make a key.
    pub expressions: Vec<String>,
}

impl Pattern {
    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let mut expressions: Vec<String> = self.correlations.iter().map(|(text, _)| text.clone()).collect();
        expressions.sort();
        let parts = [&self.kind, &self.source].into_iter().chain(&expressions);
        Shape {
            hash: hash(&joined(parts.map(String::as_bytes))),
            expressions,
        }
    }

    /// Its key: that of every event which fits it.
    #[must_use]
    pub fn key(&self) -> Hash {
        let mut correlations: Vec<&(String, Value)> = self.correlations.iter().collect();
        correlations.sort_by(|one, other| one.0.cmp(&other.0));
        self.shape().key(correlations.into_iter().map(|(_, value)| value))
    }
}

impl Shape {
    /// The key of an event under this shape: what its expressions give for it, in their order.
    pub fn key<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> Hash {
        let texts: Vec<Vec<u8>> = values.into_iter().map(canonical).collect();
        let parts = std::iter::once(&self.hash[..]).chain(texts.iter().map(Vec::as_slice));
        hash(&joined(parts))
    }
}

/// Parts one after the other, each with its length, so that no two lists are the same bytes.
fn joined<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

/// A value as bytes that do not depend on the order of its members.
fn canonical(value: &Value) -> Vec<u8> {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                members
                    .into_iter()
                    .map(|(name, member)| (name.clone(), sorted(member)))
                    .collect()
            }
            other => other.clone(),
        }
    }
    serde_json::to_vec(&sorted(value)).unwrap_or_default()
}

/// What becomes of a subscription of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscriptionChange {
    /// It begins, or changes.
    Set {
        /// Its number within the run.
        subscription: u64,
        /// What it wants from now on; `None` leaves what it wanted. Without any it rests.
        patterns: Option<Vec<Pattern>>,
        /// The event up to which it has looked; `None` leaves it, and a new one begins where its run has.
        cursor: Option<u64>,
    },
    /// It ends.
    Close {
        /// Its number within the run.
        subscription: u64,
    },
}

/// A subscription as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Its number within the run.
    pub subscription: u64,
    /// The event up to which it has looked.
    pub cursor: u64,
    /// Whether something came since that may fit.
    pub behind: bool,
}

/// What one subscription of a run looks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What it wants.
    pub patterns: Vec<Pattern>,
    /// Events after this one; `None` for those since the run was accepted.
    pub cursor: Option<u64>,
}

/// What was found for a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Events that may fit and that the run has not consumed, with their numbers, in order.
    pub events: Vec<(u64, Value)>,
    /// Everything up to this number was looked at.
    pub upto: u64,
    /// Whether there is more after that.
    pub more: bool,
}

/// Runs that are to look into the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nudges {
    /// The runs, each once; no more than the store names at once.
    pub runs: Vec<RunId>,
    /// Whether there are others; [`crate::Store::behind`] has all.
    pub more: bool,
}

/// What may leave the stream: the oldest events, as long as they are too old or too many, and nobody is about to look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// Those received before this time.
    pub received_before: i64,
    /// Those beyond so many.
    pub keep: u64,
    /// None from this number on.
    pub not_from: u64,
    /// No more than so many at once.
    pub most: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pattern(correlations: &[(&str, Value)]) -> Pattern {
        Pattern {
            kind: "order.paid".to_owned(),
            source: String::new(),
            correlations: correlations
                .iter()
                .map(|(text, value)| ((*text).to_owned(), value.clone()))
                .collect(),
        }
    }

    #[test]
    fn a_key_depends_on_values_and_not_on_their_order() {
        let one = pattern(&[(".a", json!(1)), (".b", json!({ "x": 1, "y": 2 }))]);
        let other = pattern(&[(".b", json!({ "y": 2, "x": 1 })), (".a", json!(1))]);
        assert_eq!(one.shape(), other.shape());
        assert_eq!(one.key(), other.key());
        assert_eq!(one.key(), one.shape().key([&json!(1), &json!({ "x": 1, "y": 2 })]));
        let third = pattern(&[(".a", json!("1")), (".b", json!({ "x": 1, "y": 2 }))]);
        assert_eq!(one.shape(), third.shape());
        assert_ne!(one.key(), third.key());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(
            pattern(&[(".ab", json!(1))]).shape(),
            pattern(&[(".a", json!(1)), ("b", json!(1))]).shape()
        );
        let any = Pattern {
            kind: String::new(),
            source: "order.paid".to_owned(),
            correlations: Vec::new(),
        };
        assert_ne!(any.shape(), pattern(&[]).shape());
    }
}
