//! Placeholders of secrets. Whoever evaluates expressions never sees a secret: `$secrets.api.token` is the text
//! `⟨secret:api.token⟩`, its brackets two characters that no text from outside may hold. Only the host puts the secret
//! in its place, at the moment when a call leaves. Text that is sent in base64 with a secret in it ([`base64`]) stands between two marks
//! until then.
//!
//! What makes that safe is that a placeholder comes from `$secrets` and from nowhere else. The brackets are Unicode
//! noncharacters, which text that is exchanged never needs. They are refused in definitions and in the literals of
//! expressions; [`neutral`] takes them out of everything that comes into a run; and an expression that decodes text
//! (`@base64d`, `fromjson`, `implode`, …) cannot give them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// What a placeholder begins with.
const OPEN: char = '\u{FDD0}';
/// What a placeholder ends with.
const CLOSE: char = '\u{FDD1}';
/// Both.
const BRACKETS: [char; 2] = [OPEN, CLOSE];
/// Where text begins that becomes base64 when its secrets are put in; the other one is percent-encoded besides.
const BASE64: [&str; 2] = ["\u{FDD0}base64\u{FDD1}", "\u{FDD0}base64%\u{FDD1}"];
/// Where it ends.
const BASE64_END: &str = "\u{FDD0}/base64\u{FDD1}";
/// What stands in the place of a bracket that has no business there.
const REPLACEMENT: &str = "\u{FFFD}";

/// A secret, or a field of one: `api`, `api.token`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath {
    name: String,
    fields: Vec<String>,
}

/// How a secret is written where it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// Percent-encoded, everything but unreserved characters: it was put into a URI template.
    Percent,
}

/// A piece of a text that may hold placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text.
    Text(&'t str),
    /// A placeholder.
    Secret(SecretPath, Form),
    /// Text with placeholders, which becomes base64 when they are resolved. It has no such piece in it.
    Base64(&'t str, Form),
    /// What is left of a placeholder that someone has cut.
    Broken,
}

impl SecretPath {
    /// The path of a field of a secret; of the whole secret when there are no fields.
    #[must_use]
    pub fn new(name: impl Into<String>, fields: Vec<String>) -> Self {
        Self {
            name: name.into(),
            fields,
        }
    }

    /// The secret's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fields on the way into it.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The text that stands for it inside a run.
    #[must_use]
    pub fn placeholder(&self) -> String {
        format!("{OPEN}secret:{self}{CLOSE}")
    }

    /// The text that people see instead of it. It stands for nothing.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("[secret:{self}]")
    }

    fn parse(text: &str) -> Option<(Self, Form)> {
        let (text, form) = match text.strip_prefix("secret:") {
            Some(text) => (text, Form::Plain),
            None => (text.strip_prefix("secret%:")?, Form::Percent),
        };
        Some((text.parse().ok()?, form))
    }
}

/// Text that names no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a secret is missing")]
pub struct NoSecret;

impl FromStr for SecretPath {
    type Err = NoSecret;

    fn from_str(text: &str) -> Result<Self, NoSecret> {
        let mut segments = text.split('.').map(|s| s.replace("~1", ".").replace("~0", "~"));
        let name = segments.next().filter(|name| !name.is_empty()).ok_or(NoSecret)?;
        Ok(Self::new(name, segments.collect()))
    }
}

/// `api.token`; a `.` inside a name is written `~1`, a `~` `~0`.
impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |name: &str| name.replace('~', "~0").replace('.', "~1");
        f.write_str(&escaped(&self.name))?;
        self.fields
            .iter()
            .try_for_each(|field| write!(f, ".{}", escaped(field)))
    }
}

/// Takes a text apart at its placeholders.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BRACKETS) {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        if let Some((inner, form, after)) = encoded(&rest[at..]) {
            pieces.push(Piece::Base64(inner, form));
            rest = after;
            continue;
        }
        let inside = &rest[at + OPEN.len_utf8()..];
        let end = if rest[at..].starts_with(OPEN) {
            inside.find(BRACKETS)
        } else {
            None
        };
        let found = end
            .filter(|end| inside[*end..].starts_with(CLOSE))
            .and_then(|end| Some((SecretPath::parse(&inside[..end])?, end)));
        match found {
            Some(((path, form), end)) => {
                pieces.push(Piece::Secret(path, form));
                rest = &inside[end + CLOSE.len_utf8()..];
            }
            None => {
                pieces.push(Piece::Broken);
                rest = inside;
            }
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The text at the beginning that becomes base64, how, and what follows it.
fn encoded(text: &str) -> Option<(&str, Form, &str)> {
    let forms = BASE64.into_iter().zip([Form::Plain, Form::Percent]);
    let (inside, form) = forms
        .into_iter()
        .find_map(|(begin, form)| Some((text.strip_prefix(begin)?, form)))?;
    let (inner, after) = inside.split_once(BASE64_END)?;
    // One in the other would be a placeholder that someone has put together from pieces.
    let nested = BASE64.iter().any(|begin| inner.contains(begin));
    (!nested).then_some((inner, form, after))
}

/// A text in base64; one with placeholders becomes that when they are resolved.
#[must_use]
pub fn base64(text: &str) -> String {
    if is_in_text(text) {
        format!("{}{text}{BASE64_END}", BASE64[0])
    } else {
        STANDARD.encode(text)
    }
}

/// Whether a text holds a placeholder or a part of one.
#[must_use]
pub fn is_in_text(text: &str) -> bool {
    // Most text has not even the byte that both brackets begin with, and looking for one byte is fast.
    text.as_bytes().contains(&0xEF) && text.contains(BRACKETS)
}

/// Whether a value, or a name in it, holds a placeholder or a part of one.
#[must_use]
pub fn is_in(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if is_in_text(text) => return true,
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                if map.keys().any(|key| is_in_text(key)) {
                    return true;
                }
                open.extend(map.values());
            }
            _ => {}
        }
    }
    false
}

/// The secrets that stand in a value, in its texts and in its names.
#[must_use]
pub fn found_in(value: &Value) -> BTreeSet<SecretPath> {
    let mut found = BTreeSet::new();
    let mut take = |text: &str| {
        let mut open = vec![text];
        while let Some(text) = open.pop().filter(|text| is_in_text(text)) {
            for piece in pieces(text) {
                match piece {
                    Piece::Secret(path, _) => drop(found.insert(path)),
                    Piece::Base64(inner, _) => open.push(inner),
                    Piece::Text(_) | Piece::Broken => {}
                }
            }
        }
    };
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => take(text),
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                map.keys().for_each(|key| take(key));
                open.extend(map.values());
            }
            _ => {}
        }
    }
    found
}

/// Text from outside, as it may come into a run: what looks like a placeholder is none.
#[must_use]
pub fn neutral_text(text: &str) -> Cow<'_, str> {
    if is_in_text(text) {
        Cow::Owned(text.replace(BRACKETS, REPLACEMENT))
    } else {
        Cow::Borrowed(text)
    }
}

/// A value from outside, as it may come into a run: what looks like a placeholder is none.
pub fn neutral(value: &mut Value) {
    change(value, &|text| neutral_text(text));
}

/// A text for people: marks where there are placeholders.
#[must_use]
pub fn shown_text(text: &str) -> Cow<'_, str> {
    if !is_in_text(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => shown.push_str(text),
            Piece::Secret(path, _) => shown.push_str(&path.mark()),
            Piece::Base64(inner, _) => {
                shown.push_str("[base64:");
                shown.push_str(&shown_text(inner));
                shown.push(']');
            }
            Piece::Broken => shown.push_str(REPLACEMENT),
        }
    }
    Cow::Owned(shown)
}

/// A value for people: marks where there are placeholders.
pub fn shown(value: &mut Value) {
    change(value, &|text| shown_text(text));
}

/// Encodes a text piece by piece, its placeholders left to be encoded when the secret is put in.
pub fn percent_around(text: &str, into: &mut String, encode: &mut dyn FnMut(&str, &mut String)) {
    if !is_in_text(text) {
        return encode(text, into);
    }
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => encode(text, into),
            Piece::Secret(path, _) => into.push_str(&format!("{OPEN}secret%:{path}{CLOSE}")),
            Piece::Base64(inner, _) => {
                into.push_str(BASE64[1]);
                into.push_str(inner);
                into.push_str(BASE64_END);
            }
            Piece::Broken => into.push(OPEN),
        }
    }
}

/// Changes every text and name in a value that holds a bracket. Values are at most 128 deep, which bounds the recursion.
fn change(value: &mut Value, to: &dyn Fn(&str) -> Cow<'_, str>) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(changed) = to(text) {
                *text = changed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| change(item, to)),
        Value::Object(map) => {
            if map.keys().any(|key| is_in_text(key)) {
                let members = std::mem::take(map).into_iter();
                *map = members
                    .map(|(key, item)| (to(&key).into_owned(), item))
                    .collect::<Map<_, _>>();
            }
            map.values_mut().for_each(|item| change(item, to));
        }
        _ => {}
    }
}

/// `$secrets` for an expression that reads these paths; the path that is read both as a whole and by field, if one is.
pub(crate) fn variable(paths: &BTreeSet<SecretPath>) -> Result<Value, &SecretPath> {
    let mut root = Map::new();
    // A path that leads into another comes right before it in their order, or has others of the same beginning between.
    for path in paths {
        let mut map = &mut root;
        let mut segments = std::iter::once(&path.name).chain(&path.fields).peekable();
        while let Some(segment) = segments.next() {
            if segments.peek().is_none() {
                map.insert(segment.clone(), Value::String(path.placeholder()));
                break;
            }
            let next = map.entry(segment.as_str()).or_insert_with(|| Value::Object(Map::new()));
            map = next.as_object_mut().ok_or(path)?;
        }
    }
    Ok(Value::Object(root))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> SecretPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_text_is_taken_apart_at_its_placeholders() {
        let text = format!("Bearer {}!", path("api.token").placeholder());
        assert_eq!(
            pieces(&text),
            [
                Piece::Text("Bearer "),
                Piece::Secret(path("api.token"), Form::Plain),
                Piece::Text("!")
            ]
        );
        assert_eq!(shown_text(&text), "Bearer [secret:api.token]!");
        assert_eq!(neutral_text(&text), "Bearer \u{FFFD}secret:api.token\u{FFFD}!");
        let odd = SecretPath::new("a.b", vec!["~1".to_owned(), String::new()]);
        assert_eq!(pieces(&odd.placeholder()), [Piece::Secret(odd, Form::Plain)]);
    }

    #[test]
    fn base64_waits_for_its_secrets() {
        assert_eq!(base64("Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let pair = format!("ann:{}", path("db").placeholder());
        let waits = base64(&pair);
        assert_eq!(
            pieces(&format!("Basic {waits}!")),
            [
                Piece::Text("Basic "),
                Piece::Base64(&pair, Form::Plain),
                Piece::Text("!")
            ]
        );
        assert_eq!(found_in(&json!([waits])), BTreeSet::from([path("db")]));
        assert_eq!(shown_text(&waits), "[base64:ann:[secret:db]]");
        let mut encoded = String::new();
        percent_around(&waits, &mut encoded, &mut |_, _| panic!("everything waits"));
        assert_eq!(pieces(&encoded), [Piece::Base64(&pair, Form::Percent)]);
        // Cut, or one in the other: nobody guesses.
        for broken in [&waits[..waits.len() - 3], &waits[3..], &base64(&waits)] {
            assert!(pieces(broken).contains(&Piece::Broken), "{broken:?}");
            assert!(!is_in_text(&neutral_text(broken)));
        }
    }

    #[test]
    fn what_was_cut_is_broken_not_guessed() {
        let whole = path("api").placeholder();
        let start = &whole[..whole.len() - 3];
        assert_eq!(pieces(start), [Piece::Broken, Piece::Text("secret:api")]);
        assert_eq!(
            pieces(&format!("{start}{whole}")),
            [
                Piece::Broken,
                Piece::Text("secret:api"),
                Piece::Secret(path("api"), Form::Plain)
            ]
        );
        for broken in [
            "\u{FDD0}\u{FDD1}",
            "\u{FDD0}secret:\u{FDD1}",
            "\u{FDD0}other:x\u{FDD1}",
            "\u{FDD1}",
        ] {
            assert_eq!(pieces(broken)[0], Piece::Broken, "{broken:?}");
        }
    }

    #[test]
    fn values_are_made_neutral_and_shown_with_their_names() {
        let token = path("api").placeholder();
        let value = json!({ token.clone(): ["x", { "y": token }], "z": 1 });
        assert!(is_in(&value) && found_in(&value) == BTreeSet::from([path("api")]));
        let (mut neutralised, mut told) = (value.clone(), value);
        neutral(&mut neutralised);
        shown(&mut told);
        assert!(!is_in(&neutralised) && !is_in(&told));
        assert_eq!(told, json!({ "[secret:api]": ["x", { "y": "[secret:api]" }], "z": 1 }));
    }

    #[test]
    fn encoding_goes_around_placeholders() {
        let mut encoded = String::new();
        let text = format!("a b{}", path("api").placeholder());
        percent_around(&text, &mut encoded, &mut |text, into| {
            into.push_str(&text.replace(' ', "%20"));
        });
        assert_eq!(
            pieces(&encoded),
            [Piece::Text("a%20b"), Piece::Secret(path("api"), Form::Percent)]
        );
    }

    #[test]
    fn the_variable_has_the_paths_that_are_read() {
        let paths = BTreeSet::from([path("a.x"), path("a.y"), path("b")]);
        let value = variable(&paths).unwrap();
        assert_eq!(value["a"]["y"], path("a.y").placeholder());
        assert_eq!(value["b"], path("b").placeholder());
        assert_eq!(variable(&BTreeSet::from([path("a"), path("a.x")])), Err(&path("a.x")));
    }

    proptest! {
        #[test]
        fn neutral_text_holds_no_placeholder(text in "[a\u{FDD0}\u{FDD1}:secret.~%]{0,40}") {
            prop_assert!(!is_in_text(&neutral_text(&text)));
            prop_assert!(!is_in_text(&shown_text(&text)));
            // Taking apart loses nothing but the names of brackets.
            let rebuilt: usize = pieces(&text).iter().map(|piece| match piece {
                Piece::Text(text) => text.len(),
                Piece::Broken => 3,
                Piece::Secret(path, form) => path.placeholder().len() + usize::from(*form == Form::Percent),
                Piece::Base64(inner, _) => inner.len(),
            }).sum();
            prop_assert!(rebuilt <= text.len() + 40);
        }
    }
}
