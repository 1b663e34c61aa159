//! The members of an object, asked for by name; what was not asked for is unknown.

use std::collections::HashMap;

use super::{Reader, clip, format, json};
use crate::{
    model::{At, Json, Location, Text},
    yaml::{Member, Node},
};

/// The members of one object.
pub(super) struct Fields<'n> {
    /// What the object is, as a message names it: `'schedule'`, `task 'fetch'`.
    pub what: String,
    pub at: Location,
    members: &'n [Member],
    /// Present members by name: objects may be large.
    index: HashMap<&'n str, usize>,
    known: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The members of an object; a diagnostic when the value is something else.
    pub fn of(reader: &mut Reader, node: &'n Node, what: impl Into<String>) -> Option<Self> {
        let what = what.into();
        let Some(members) = node.members() else {
            reader.expected(node, &what, "an object");
            return None;
        };
        let index = members
            .iter()
            .enumerate()
            .map(|(index, member)| (member.key.as_str(), index))
            .collect();
        Some(Self {
            what,
            at: node.at,
            members,
            index,
            known: Vec::new(),
            missing: Vec::new(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The keys and where they stand.
    pub fn keys(&self) -> impl Iterator<Item = (&'n str, Location)> + use<'n> {
        self.members.iter().map(|member| (member.key.as_str(), member.key_at))
    }

    pub fn member(&mut self, key: &'static str) -> Option<&'n Member> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.peek(key)
    }

    /// A member, without saying that it belongs here.
    pub fn peek(&self, key: &str) -> Option<&'n Member> {
        self.index.get(key).and_then(|index| self.members.get(*index))
    }

    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.member(key).map(|member| &member.value)
    }

    /// A member that must be there; [`Self::finish`] says so when it is not.
    pub fn require(&mut self, key: &'static str) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            self.missing.push(key);
        }
        node
    }

    pub fn text(&mut self, reader: &mut Reader, key: &'static str) -> Option<Text> {
        self.get(key).and_then(|node| reader.text(node, key))
    }

    pub fn require_text(&mut self, reader: &mut Reader, key: &'static str) -> Option<Text> {
        self.require(key).and_then(|node| reader.text(node, key))
    }

    pub fn boolean(&mut self, reader: &mut Reader, key: &'static str) -> Option<At<bool>> {
        self.get(key).and_then(|node| reader.boolean(node, key))
    }

    /// An object of anything.
    pub fn object(&mut self, reader: &mut Reader, key: &'static str) -> Option<Json> {
        let node = self.get(key)?;
        if node.members().is_none() {
            reader.expected(node, &format!("'{key}'"), "an object");
            return None;
        }
        Some(json(node))
    }

    /// Exactly one of these members; which one.
    pub fn one_of(&mut self, reader: &mut Reader, keys: &[&'static str]) -> Option<&'n Member> {
        let present: Vec<&Member> = keys.iter().filter_map(|key| self.member(key)).collect();
        let list = || keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
        match present.as_slice() {
            [] => {
                reader.wrong(self.at, format!("{} needs one of {}", self.what, list()));
                None
            }
            [one] => Some(one),
            [first, second, ..] => {
                // The one that comes later in the file is the one too many.
                let (first, second) = if first.key_at <= second.key_at {
                    (first, second)
                } else {
                    (second, first)
                };
                let message = format!("{} has '{}' and also '{}'", self.what, first.key, second.key);
                reader.wrong_help(second.key_at, message, format!("it takes exactly one of {}", list()));
                None
            }
        }
    }

    /// Says what is not known here and what is missing.
    pub fn finish(mut self, reader: &mut Reader) {
        let unknown: Vec<&Member> = self
            .members
            .iter()
            .filter(|member| !self.known.contains(&member.key.as_str()))
            .collect();
        for member in unknown {
            self.unknown(reader, member);
        }
        self.finish_open(reader);
    }

    /// Says what is missing; more is welcome here.
    pub fn finish_open(self, reader: &mut Reader) {
        for key in self.missing {
            reader.wrong(self.at, format!("missing property '{key}' in {}", self.what));
        }
    }

    fn unknown(&mut self, reader: &mut Reader, member: &Member) {
        let message = format!("unknown property '{}' in {}", clip(&member.key), self.what);
        // What is there already was not meant a second time.
        let free = self.known.iter().copied().filter(|key| !self.index.contains_key(key));
        let help = match (reader.suggest(&member.key, free), home_of(&member.key)) {
            (Some(near), _) => {
                // Misspelled is not missing.
                self.missing.retain(|key| *key != near);
                Some(format!("did you mean '{near}'?"))
            }
            (None, Some(home)) => Some(home.to_owned()),
            (None, None) if self.known.is_empty() || self.known.len() > 12 => None,
            (None, None) => Some(format!("it knows {}", self.known.join(", "))),
        };
        match help {
            Some(help) => reader.wrong_help(member.key_at, message, help),
            None => reader.wrong(member.key_at, message),
        }
    }
}

/// Where a member belongs that people put one level too high or too low.
fn home_of(key: &str) -> Option<&'static str> {
    Some(match key {
        "while" => "'while' belongs beside 'for' and 'do'",
        "catch" => "'catch' belongs beside 'try'",
        "foreach" => "'foreach' belongs beside 'listen'",
        "until" => "'until' belongs beside 'any'",
        "with" => "'with' belongs beside 'call'",
        "retry" => "'retry' belongs inside 'catch'",
        "parallel" | "collect" | "label" | "idempotencyKey" | "rate" | "delivery" | "concurrency" | "overlap"
        | "catchUp" | "timezone" => "it belongs under 'metadata.potok'",
        _ => return None,
    })
}

/// The nearest of some words, if it is near enough to have been meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    const MOST: usize = 500;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let near = |candidate: &&str| {
        let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
        let shorter = lower.chars().count().min(candidate.chars().count());
        (distance <= 1 + shorter / 4 && distance < shorter).then_some(distance)
    };
    let candidates = known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .take(MOST);
    candidates
        .filter_map(|candidate| near(&candidate).map(|distance| (distance, candidate)))
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Values of simple kinds.
impl Reader {
    /// Says that a value is not what belongs there.
    pub fn expected(&mut self, node: &Node, what: &str, kind: &str) {
        let message = format!("{what} must be {kind}, not {}", node.kind());
        let scalar = matches!(node.kind(), "a boolean" | "a number");
        if scalar && kind.starts_with("text") {
            self.wrong_help(node.at, message, "put it in quotes");
        } else {
            self.wrong(node.at, message);
        }
    }

    pub fn text(&mut self, node: &Node, name: &str) -> Option<Text> {
        match node.text() {
            Some(text) => Some(At {
                value: text.to_owned(),
                at: node.at,
            }),
            None => {
                self.expected(node, &format!("'{name}'"), "text");
                None
            }
        }
    }

    pub fn boolean(&mut self, node: &Node, name: &str) -> Option<At<bool>> {
        match node.data {
            crate::yaml::Data::Bool(value) => Some(At { value, at: node.at }),
            _ => {
                let message = format!("'{name}' must be true or false, not {}", node.kind());
                match node.text() {
                    Some("yes" | "no" | "on" | "off" | "Yes" | "No" | "On" | "Off" | "y" | "n") => {
                        self.wrong_help(
                            node.at,
                            message,
                            "in YAML 1.2 yes, no, on and off are text; write true or false",
                        );
                    }
                    Some("true" | "false") => self.wrong_help(node.at, message, "remove the quotes"),
                    _ => self.wrong(node.at, message),
                }
                None
            }
        }
    }

    pub fn integer(&mut self, node: &Node, name: &str, min: i64, max: i64) -> Option<At<i64>> {
        let crate::yaml::Data::Number(number) = &node.data else {
            match node.text().map(|text| text.parse::<i64>().is_ok()) {
                Some(true) => self.wrong_help(
                    node.at,
                    format!("'{name}' must be an integer, not text"),
                    "remove the quotes",
                ),
                _ => self.expected(node, &format!("'{name}'"), "an integer"),
            }
            return None;
        };
        let value = number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX));
        match value {
            Some(value) if (min..=max).contains(&value) && number.as_i64().is_some() => Some(At { value, at: node.at }),
            Some(_) if max == i64::MAX => {
                self.wrong(node.at, format!("'{name}' must be at least {min}, and {number} is not"));
                None
            }
            Some(_) => {
                self.wrong(
                    node.at,
                    format!("'{name}' must be from {min} to {max}, and {number} is not"),
                );
                None
            }
            None => {
                self.wrong(node.at, format!("'{name}' must be an integer, not {number}"));
                None
            }
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, node: &Node, name: &str, words: &[(&'static str, T)]) -> Option<At<T>> {
        let text = self.text(node, name)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(At {
                value: *value,
                at: node.at,
            });
        }
        let message = format!("'{name}' cannot be '{}'", clip(&text.value));
        let help = match self.suggest(&text.value, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!(
                "it is one of {}",
                words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
            ),
        };
        self.wrong_help(node.at, message, help);
        None
    }

    /// A name that an expression uses with a `$` before it.
    pub fn variable(&mut self, node: &Node, name: &str) -> Option<Text> {
        let text = self.text(node, name)?;
        if format::is_variable(&text.value) {
            return Some(text);
        }
        let message = format!("'{name}' must be the name of a variable: letters, digits and '_'");
        match text.value.strip_prefix('$').filter(|rest| format::is_variable(rest)) {
            Some(rest) => self.wrong_help(node.at, message, format!("write {rest}; expressions use it as ${rest}")),
            None => self.wrong(node.at, message),
        }
        None
    }
}
