//! Tokens that were asked for do not come back in an answer: a server may repeat what it was sent, and answers are journaled.

use std::borrow::Cow;

use potok_dsl::Problem;
use reqwest::header::HeaderValue;
use serde_json::Value;

/// What stands where a token was.
const SHOWN: &str = "***";

/// The shortest token that is looked for: shorter ones would be found everywhere, and are no secret.
const SHORTEST: usize = 8;

/// What is to be hidden: nothing, or a token.
#[derive(Default)]
pub(crate) struct Mask(Option<String>);

impl Mask {
    /// Hides the token of a header.
    pub(crate) fn of(header: &HeaderValue) -> Self {
        let token = header.to_str().ok().and_then(|text| text.rsplit(' ').next());
        Self(token.filter(|token| token.len() >= SHORTEST).map(str::to_owned))
    }

    /// A body without the token.
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(token) = &self.0 else { return bytes };
        let mut rest = bytes.as_slice();
        let mut clean = Vec::new();
        while let Some(at) = rest.windows(token.len()).position(|part| part == token.as_bytes()) {
            clean.extend_from_slice(&rest[..at]);
            clean.extend_from_slice(SHOWN.as_bytes());
            rest = &rest[at + token.len()..];
        }
        if clean.is_empty() && rest.len() == bytes.len() {
            return bytes;
        }
        clean.extend_from_slice(rest);
        clean
    }

    /// The same for a value, names of members included. Values are nested at most 128 deep.
    pub(crate) fn value(&self, value: &mut Value) {
        let Some(token) = &self.0 else { return };
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = cleaned(text, token) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.value(member));
                if members.keys().any(|name| name.contains(token.as_str())) {
                    let old = std::mem::take(members);
                    members.extend(
                        old.into_iter()
                            .map(|(name, value)| (cleaned(&name, token).into_owned(), value)),
                    );
                }
            }
            _ => {}
        }
    }

    /// The same for an error.
    pub(crate) fn problem(&self, mut problem: Problem) -> Problem {
        if let (Some(token), Some(detail)) = (&self.0, &mut problem.detail) {
            *detail = cleaned(detail, token).into_owned();
        }
        if let Some(data) = &mut problem.data {
            self.value(data);
        }
        problem
    }
}

fn cleaned<'t>(text: &'t str, token: &str) -> Cow<'t, str> {
    if text.contains(token) {
        Cow::Owned(text.replace(token, SHOWN))
    } else {
        Cow::Borrowed(text)
    }
}
