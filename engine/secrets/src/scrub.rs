//! Taking secrets out of what comes back: the secret itself, its base64 wherever it stands in a longer one, and both as URLs and JSON
//! write them. A mark takes their place.

use std::{borrow::Cow, fmt, ops::Range};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use potok_dsl::{ErrorType, Problem};
use potok_expr::SecretPath;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::views;

/// Shorter secrets are not looked for: they would be found everywhere.
pub const SHORTEST: usize = 4;

/// Shorter secrets are looked for as whole words only, and not in the names of members.
const COMMON: usize = 8;

/// Shorter secrets are not looked for in base64, where so few characters come about by chance.
const ENCODED: usize = 6;

/// A line of a secret of several lines is looked for by itself from this length on.
const LINE: usize = 16;

/// What is looked for.
struct Pattern {
    /// What takes its place, by number.
    mark: usize,
    /// Whether only a whole word is it.
    word: bool,
}

/// Finds secrets and puts marks in their places.
#[derive(Default)]
pub struct Scrubber {
    /// `None` when there is nothing to look for.
    automaton: Option<AhoCorasick>,
    patterns: Vec<Pattern>,
    marks: Vec<String>,
}

impl Scrubber {
    /// A scrubber for some secrets, each with what it is called.
    ///
    /// # Errors
    /// Configuration, when the secrets are too many and too large to be looked for.
    pub fn new(secrets: Vec<(SecretPath, String)>) -> Result<Self, Problem> {
        let mut needles: Vec<Vec<u8>> = Vec::new();
        let (mut patterns, mut marks) = (Vec::new(), Vec::new());
        for (path, mut text) in secrets {
            if text.chars().count() >= SHORTEST {
                let word = text.chars().count() < COMMON;
                for needle in needles_of(&text) {
                    needles.push(needle);
                    patterns.push(Pattern {
                        mark: marks.len(),
                        word,
                    });
                }
                marks.push(path.mark());
            }
            text.zeroize();
        }
        let automaton = (!needles.is_empty()).then(|| AhoCorasick::new(&needles)).transpose();
        needles.iter_mut().for_each(Zeroize::zeroize);
        let automaton = automaton
            .map_err(|error| Problem::new(ErrorType::Configuration, "Secrets are too large", error.to_string()))?;
        Ok(Self {
            automaton,
            patterns,
            marks,
        })
    }

    /// Whether there is anything to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// A text without secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replace(text, false)
    }

    /// Whether a text holds a secret.
    #[must_use]
    pub fn finds_in(&self, text: &str) -> bool {
        !self.find(text, false).is_empty()
    }

    /// Takes the secrets out of a value, its texts and names.
    pub fn value(&self, value: &mut Value) {
        if !self.is_empty() {
            self.change(value);
        }
    }

    /// Takes the secrets out of a problem.
    pub fn problem(&self, problem: &mut Problem) {
        if self.is_empty() {
            return;
        }
        problem.change(&|text| self.text(text), &|data| self.change(data));
    }

    /// Values are at most 128 deep, which bounds the recursion.
    fn change(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(clean) = self.text(&text)
                    && self.marks.contains(&clean)
                {
                    *value = Value::String(clean);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.change(item)),
            Value::Object(map) => {
                if map.keys().any(|key| matches!(self.replace(key, true), Cow::Owned(_))) {
                    let members = std::mem::take(map).into_iter();
                    *map = members
                        .map(|(key, item)| (self.replace(&key, true).into_owned(), item))
                        .collect::<Map<_, _>>();
                }
                map.values_mut().for_each(|item| self.change(item));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn replace<'t>(&self, text: &'t str, name: bool) -> Cow<'t, str> {
        let found = self.find(text, name);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        for (range, mark) in found {
            clean.push_str(text.get(at..range.start).unwrap_or_default());
            clean.push_str(&self.marks[mark]);
            at = range.end;
        }
        clean.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Where secrets stand in a text, in order, those that overlap as one.
    fn find(&self, text: &str, name: bool) -> Vec<(Range<usize>, usize)> {
        let Some(automaton) = &self.automaton else {
            return Vec::new();
        };
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        for view in views::of(text) {
            for hit in automaton.find_overlapping_iter(&view.bytes) {
                let pattern = &self.patterns[hit.pattern().as_usize()];
                if pattern.word && (name || !is_word(&view.bytes, hit.range())) {
                    continue;
                }
                found.push((whole(text, view.range(hit.range())), pattern.mark));
            }
        }
        // Of those that begin together the longest gives its name.
        found.sort_unstable_by_key(|(range, mark)| (range.start, std::cmp::Reverse(range.end), *mark));
        let mut joined: Vec<(Range<usize>, usize)> = Vec::with_capacity(found.len());
        for (range, mark) in found {
            match joined.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => joined.push((range, mark)),
            }
        }
        joined
    }
}

/// It may be sent to a log.
impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber")
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}

/// The forms of a secret that are looked for; the encodings of single characters are seen through when looking.
fn needles_of(text: &str) -> Vec<Vec<u8>> {
    let mut needles = vec![text.as_bytes().to_vec()];
    if text.len() >= ENCODED {
        for alignment in 0..3 {
            needles.push(base64_inside(text.as_bytes(), alignment, &STANDARD_NO_PAD));
            needles.push(base64_inside(text.as_bytes(), alignment, &URL_SAFE_NO_PAD));
        }
    }
    if text.contains('\n') {
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= LINE);
        needles.extend(lines.map(|line| line.as_bytes().to_vec()));
    }
    needles.sort_unstable();
    needles.dedup();
    needles
}

/// The characters of base64 that a secret determines by itself when so many bytes (of every three) stand before it.
fn base64_inside(bytes: &[u8], before: usize, engine: &impl Engine) -> Vec<u8> {
    let mut padded = vec![0; before];
    padded.extend_from_slice(bytes);
    let mut encoded = engine.encode(&padded).into_bytes();
    let whole = padded.len() * 8 / 6;
    padded.zeroize();
    encoded.truncate(whole);
    encoded.drain(..(before * 8).div_ceil(6));
    encoded
}

/// Whether what stands before and after a range makes no longer word of it.
fn is_word(bytes: &[u8], range: Range<usize>) -> bool {
    let outside = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii());
    outside(range.start.checked_sub(1).and_then(|at| bytes.get(at))) && outside(bytes.get(range.end))
}

/// A range that cuts no character.
fn whole(text: &str, mut range: Range<usize>) -> Range<usize> {
    while !text.is_char_boundary(range.start) {
        range.start -= 1;
    }
    while range.end < text.len() && !text.is_char_boundary(range.end) {
        range.end += 1;
    }
    range
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn scrubber(secrets: &[(&str, &str)]) -> Scrubber {
        let secret = |(name, text): &(&str, &str)| (SecretPath::new(*name, vec![]), (*text).to_owned());
        Scrubber::new(secrets.iter().map(secret).collect()).unwrap()
    }

    #[test]
    fn all_forms_become_marks() {
        let secret = "s3cr/t \"кл+юч\"";
        let scrub = scrubber(&[("api", secret)]);
        assert_eq!(scrub.text(&format!("a {secret} b")), "a [secret:api] b");
        assert_eq!(scrub.text("nothing here"), "nothing here");
        let urlencoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(scrub.text(&format!("?q={urlencoded}&x")), "?q=[secret:api]&x");
        let form = "s3cr%2Ft+%22%D0%BA%D0%BB%2B%D1%8E%D1%87%22";
        assert_eq!(scrub.text(&format!("q={form}")), "q=[secret:api]");
        let json = serde_json::to_string(&json!({ "x": secret })).unwrap();
        assert_eq!(scrub.text(&json), "{\"x\":\"[secret:api]\"}");
        for before in ["", "a", "ab", "abc", "user:"] {
            let whole = format!("{before}{secret}xyz");
            for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                let clean = scrub.text(&encoded);
                assert!(clean.contains("[secret:api]"), "{before} {encoded}");
                // What is left is too little to say anything of the secret.
                let left = clean.replace("[secret:api]", "");
                let around = before.len().div_ceil(3) * 4 + 8;
                assert!(left.len() <= around, "{left}");
            }
        }
    }

    /// The canary of canaries: without scrubbing these would pass through.
    #[test]
    fn a_scrubber_of_nothing_changes_nothing() {
        let scrub = Scrubber::default();
        assert!(scrub.is_empty());
        let mut value = json!({ "x": "hunter2hunter2" });
        scrub.value(&mut value);
        assert_eq!(value, json!({ "x": "hunter2hunter2" }));
        assert_eq!(scrub.text("hunter2hunter2"), "hunter2hunter2");
    }

    #[test]
    fn values_and_problems_are_scrubbed_whole() {
        let scrub = scrubber(&[("api", "hunter2hunter2"), ("pin", "20261125")]);
        let mut value = json!({ "hunter2hunter2": [{ "x": "a hunter2hunter2" }, 20261125, 202611255, true] });
        scrub.value(&mut value);
        assert_eq!(
            value,
            json!({ "[secret:api]": [{ "x": "a [secret:api]" }, "[secret:pin]", 202611255, true] })
        );
        let mut problem = Problem::new(ErrorType::Runtime, "hunter2hunter2", "at hunter2hunter2")
            .with_data(json!(["hunter2hunter2"]));
        problem.kind = "urn:hunter2hunter2".to_owned();
        problem.instance = Some("/hunter2hunter2".to_owned());
        scrub.problem(&mut problem);
        assert!(
            !serde_json::to_string(&problem).unwrap().contains("hunter2"),
            "{problem:?}"
        );
    }

    #[test]
    fn short_secrets_are_looked_for_with_care() {
        let scrub = scrubber(&[("one", "abc"), ("two", "user"), ("three", "pass66")]);
        assert_eq!(
            scrub.text("abc user users pass66."),
            "abc [secret:two] users [secret:three]."
        );
        let mut value = json!({ "user": "user" });
        scrub.value(&mut value);
        assert_eq!(value, json!({ "user": "[secret:two]" }));
        assert_eq!(scrub.text("cGFzczY2"), "[secret:three]");
    }

    #[test]
    fn secrets_in_secrets_leave_nothing() {
        let scrub = scrubber(&[
            ("outer", "abcdefgh-12345678"),
            ("inner", "12345678"),
            ("beside", "5678ijklmnop"),
        ]);
        assert_eq!(scrub.text("abcdefgh-12345678"), "[secret:outer]");
        assert_eq!(scrub.text("x12345678"), "x[secret:inner]");
        // They overlap: what is left must not hold the end of either.
        assert_eq!(scrub.text("12345678ijklmnop"), "[secret:inner]");
        let key = "-----BEGIN KEY-----\nAAAABBBBCCCCDDDDEEEE\n-----END KEY-----";
        let scrub = scrubber(&[("pem", key)]);
        assert_eq!(
            scrub.text("bad line AAAABBBBCCCCDDDDEEEE here"),
            "bad line [secret:pem] here"
        );
        assert!(!format!("{scrub:?}").contains("AAAA"));
    }

    proptest! {
        /// Whatever the secret and whatever is around it, in no encoding does it come through.
        #[test]
        fn no_secret_comes_through(
            secret in "[a-zA-Z0-9 \"\\\\/+%=&é-]{8,40}", before in "[ -~]{0,7}", after in "[ -~]{0,7}"
        ) {
            let scrub = scrubber(&[("api", &secret)]);
            let whole = format!("{before}{secret}{after}");
            let urlencoded: String = whole.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let json = serde_json::to_string(&whole).unwrap();
            for text in [whole.clone(), STANDARD.encode(&whole), URL_SAFE.encode(&whole), urlencoded, json] {
                let clean = scrub.text(&text);
                prop_assert!(clean.contains("[secret:api]"), "{text}");
                prop_assert!(!clean.contains(&secret));
            }
        }

        #[test]
        fn any_text_can_be_scrubbed(text in "\\PC{0,60}") {
            let scrub = scrubber(&[("a", "éééé"), ("b", "%41%42%43"), ("c", "\\u0041"), ("d", "aaaaaaaaa")]);
            let clean = scrub.text(&text);
            prop_assert!(!clean.contains("aaaaaaaaa"));
        }
    }
}
