//! Definitions under `use` that nobody uses.
//!
//! Uses are looked for in the document as data, by the member that names them (`retry`, `timeout`, `error`, `call`, `use`) or, for secrets,
//! in the text of expressions. Data that happens to look the same hides a warning; it never makes one.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::{diagnostic::Diagnostic, placed::Placed};

/// Section, the member that refers to it, and one of its definitions in words.
const SECTIONS: [(&str, &str, &str); 5] = [
    ("authentications", "use", "authentication policy"),
    ("errors", "error", "error"),
    ("functions", "call", "function"),
    ("retries", "retry", "retry policy"),
    ("timeouts", "timeout", "timeout"),
];

pub(super) fn check(document: &Value, placed: &Placed, found: &mut Vec<Diagnostic>) {
    let Some(uses) = document.get("use").and_then(Value::as_object) else {
        return;
    };
    let mentions = Mentions::of(document);
    let mut unused = |pointer: &str, key: bool, what: &str, name: &str| {
        let at = if key {
            placed.key_at(pointer)
        } else {
            placed.at(pointer)
        };
        found.push(Diagnostic::warning(at, format!("the {what} '{name}' is never used")).with_help("remove it"));
    };
    for (section, member, what) in SECTIONS {
        for name in names(uses, section) {
            if !mentions.names.contains(&(member, name)) {
                unused(&format!("/use/{section}/{}", escape(name)), true, what, name);
            }
        }
    }
    for name in names(uses, "catalogs") {
        let suffix = format!("@{name}");
        if !mentions
            .names
            .iter()
            .any(|(member, text)| *member == "call" && text.ends_with(&suffix))
        {
            unused(&format!("/use/catalogs/{}", escape(name)), true, "catalog", name);
        }
    }
    let secrets = uses.get("secrets").and_then(Value::as_array);
    for (index, name) in secrets.into_iter().flatten().enumerate() {
        let Some(name) = name.as_str() else { continue };
        let by_name = mentions.names.contains(&("use", name));
        if !by_name && !mentions.secrets.iter().any(|text| text.contains(name)) {
            unused(&format!("/use/secrets/{index}"), false, "secret", name);
        }
    }
}

fn names<'v>(uses: &'v Map<String, Value>, section: &str) -> impl Iterator<Item = &'v str> {
    let members = uses.get(section).and_then(Value::as_object);
    members
        .into_iter()
        .flat_map(|members| members.keys().map(String::as_str))
}

/// What the document names.
struct Mentions<'v> {
    /// A member and the text that it has.
    names: HashSet<(&'v str, &'v str)>,
    /// Texts with `$secrets` in them.
    secrets: Vec<&'v str>,
}

impl<'v> Mentions<'v> {
    fn of(document: &'v Value) -> Self {
        let mut mentions = Self {
            names: HashSet::new(),
            secrets: Vec::new(),
        };
        let mut stack = vec![("", document)];
        while let Some((member, value)) = stack.pop() {
            match value {
                Value::String(text) => {
                    mentions.names.insert((member, text));
                    if text.contains("$secrets") {
                        mentions.secrets.push(text);
                    }
                }
                Value::Array(items) => stack.extend(items.iter().map(|item| ("", item))),
                Value::Object(members) => stack.extend(members.iter().map(|(member, value)| (member.as_str(), value))),
                _ => {}
            }
        }
        mentions
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
