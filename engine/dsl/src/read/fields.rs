//! The members of an object, asked for by name; what was not asked for is unknown.

use std::collections::HashMap;

use super::{
    Reader,
    advice::{self, Home},
    clip, format, json,
};
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
    /// Groups of which one is missing.
    missing_one: Vec<Vec<&'static str>>,
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
            missing_one: Vec::new(),
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

    /// Exactly one of these members; which one. [`Self::finish`] says so when there is none.
    pub fn one_of(&mut self, reader: &mut Reader, keys: &[&'static str]) -> Option<&'n Member> {
        let present: Vec<&Member> = keys.iter().filter_map(|key| self.member(key)).collect();
        match present.as_slice() {
            [] => {
                self.missing_one.push(keys.to_vec());
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
                reader.wrong_help(
                    second.key_at,
                    message,
                    format!("it takes exactly one of {}", quoted(keys)),
                );
                None
            }
        }
    }

    /// Whether there is a member that nobody has asked for.
    pub fn has_unknown(&self) -> bool {
        self.members
            .iter()
            .any(|member| !self.known.contains(&member.key.as_str()))
    }

    /// Says what is not known here and what is missing.
    pub fn finish(mut self, reader: &mut Reader) {
        let unknown: Vec<&Member> = self
            .members
            .iter()
            .filter(|member| !self.known.contains(&member.key.as_str()))
            .collect();
        // Several that belong in one other place are one mistake.
        let mut sent_home: Vec<&str> = Vec::new();
        for member in unknown {
            let home = advice::home_of(&self.what, &member.key);
            if let Some(Home {
                help,
                instead_of: Some(_),
            }) = home
            {
                if sent_home.contains(&help) {
                    continue;
                }
                sent_home.push(help);
            }
            self.unknown(reader, member, home);
        }
        self.finish_open(reader);
    }

    /// Says what is missing; more is welcome here.
    pub fn finish_open(self, reader: &mut Reader) {
        for key in self.missing {
            reader.wrong(self.at, format!("missing property '{key}' in {}", self.what));
        }
        for keys in self.missing_one {
            reader.wrong(self.at, format!("{} needs one of {}", self.what, quoted(&keys)));
        }
    }

    /// Misspelled, or put elsewhere, is not missing.
    fn is_there(&mut self, key: Option<&str>) {
        let Some(key) = key else { return };
        self.missing.retain(|missing| *missing != key);
        self.missing_one.retain(|group| !group.contains(&key));
    }

    fn unknown(&mut self, reader: &mut Reader, member: &Member, home: Option<Home>) {
        let message = format!("unknown property '{}' in {}", clip(&member.key), self.what);
        // What is there already was not meant a second time.
        let free = self.known.iter().copied().filter(|key| !self.index.contains_key(key));
        let help = match (reader.suggest(&member.key, free), home) {
            (_, Some(Home { help, instead_of })) if instead_of.is_none_or(|key| !self.index.contains_key(key)) => {
                self.is_there(instead_of);
                Some(help.to_owned())
            }
            (Some(near), _) => {
                let near = self.known.iter().copied().find(|key| *key == near);
                self.is_there(near);
                near.map(|near| format!("did you mean '{near}'?"))
            }
            (None, _) if self.known.is_empty() || self.known.len() > 12 => None,
            (None, _) => Some(format!("it knows {}", self.known.join(", "))),
        };
        match help {
            Some(help) => reader.wrong_help(member.key_at, message, help),
            None => reader.wrong(member.key_at, message),
        }
    }
}

fn quoted(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ")
}

/// The nearest of some words, if it is near enough to have been meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
        let help = match kind {
            "text" | "text or an object" if scalar => Some("put it in quotes".to_owned()),
            "a list" => Some("write '- ' before each entry".to_owned()),
            _ if kind.ends_with("an object") => {
                let tasks = node.items().and_then(|_| advice::tasks_belong(what));
                // 'task' and 'case' come with a name of their own.
                let prefix = match what.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
                    Some(name) => format!("{name}: "),
                    None => String::new(),
                };
                tasks
                    .map(str::to_owned)
                    .or_else(|| advice::example(what).map(|example| format!("write {prefix}{example}")))
            }
            _ => None,
        };
        match help {
            Some(help) => self.wrong_help(node.at, message, help),
            None => self.wrong(node.at, message),
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
            Some(_) if max >= i64::from(u32::MAX) => {
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
        let list = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let Some(text) = node.text() else {
            let message = format!("'{name}' must be one of {}, not {}", list(), node.kind());
            self.wrong(node.at, message);
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(At {
                value: *value,
                at: node.at,
            });
        }
        let message = format!("'{name}' cannot be '{}'", clip(text));
        let help = match self.suggest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("it is one of {}", list()),
        };
        self.wrong_help(node.at, message, help);
        None
    }

    /// A name that an expression uses with a `$` before it.
    pub fn variable(&mut self, node: &Node, name: &str) -> Option<Text> {
        const RULE: &str = "must be the name of a variable (letters, digits and '_', not beginning with a digit)";
        let Some(text) = node.text() else {
            self.wrong(node.at, format!("'{name}' {RULE}, not {}", node.kind()));
            return None;
        };
        if format::is_variable(text) {
            return Some(At {
                value: text.to_owned(),
                at: node.at,
            });
        }
        let message = format!("'{name}' {RULE}");
        let plain = text.trim_start_matches('$').replace(['-', ' ', '.'], "_");
        if format::is_variable(&plain) {
            self.wrong_help(
                node.at,
                message,
                format!("write {plain}; expressions use it as ${plain}"),
            );
        } else {
            self.wrong(node.at, message);
        }
        None
    }
}
