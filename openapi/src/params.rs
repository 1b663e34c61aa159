//! What comes in paths, queries and headers: each kind of text with the pattern that the document shows and the check that goes with it,
//! so that a bad one is refused at the door and in words.

use std::{borrow::Cow, time::Duration};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use potok_dsl::{FunctionName, RunId};
use potok_journal::RunCursor;
use uuid::Uuid;

/// Nobody waits longer than this for a run's end in one request.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Declares a kind of text: its pattern as the document shows it, and how it is read.
macro_rules! text {
    ($(#[$docs:meta])* $name:ident($inner:ty) = $kind:literal, $pattern:expr, $read:expr, $wanted:literal) => {
        $(#[$docs])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name(pub $inner);

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                Cow::Borrowed($kind)
            }

            fn schema_ref() -> MetaSchemaRef {
                let schema = MetaSchema { pattern: Some($pattern.to_owned()), ..MetaSchema::new("string") };
                MetaSchemaRef::Inline(Box::new(schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                let read: fn(&str) -> Option<$inner> = $read;
                read(text).map(Self).ok_or_else(|| ParseError::custom(concat!($wanted, " is expected")))
            }
        }
    };
}

text! {
    /// The namespace or the name of a workflow.
    Label(String) = "label", "^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$", |text| is_label(text).then(|| text.to_owned()),
    "a name of letters, digits and '-' (at most 63 characters, no '-' at its ends)"
}

text! {
    /// The version of a workflow.
    Version(String) = "version", "^[0-9]{1,9}\\.[0-9]{1,9}\\.[0-9]{1,9}([+-][0-9A-Za-z.+-]{1,64})?$", |text| is_version(text).then(|| text.to_owned()),
    "a semantic version such as 1.0.0"
}

text! {
    /// The name of a function.
    Function(FunctionName) = "function",
    "^[A-Za-z0-9_-]{1,64}(\\.[A-Za-z0-9_-]{1,64}){0,7}(:[0-9][0-9A-Za-z.+-]{0,63})?(@[A-Za-z0-9_-]{1,64})?$", function,
    "the name of a function such as book.extract or book.extract:1.0.0"
}

text! {
    /// The name of a secret.
    SecretName(potok_dsl::SecretName) = "secret-name", "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", |text| text.parse().ok(),
    "a name of up to 128 letters, digits, '_', '-' and '.' (the first no '-' or '.')"
}

text! {
    /// The id of a blob.
    BlobId(String) = "blob-id", "^blob:sha256:[0-9a-f]{64}$", |text| is_blob(text).then(|| text.to_owned()),
    "the id of a blob (blob:sha256: and 64 hexadecimal digits)"
}

text! {
    /// How long to wait.
    Wait(Duration) = "wait", "^[0-9]{1,6}(ms|s|m)$", wait,
    "a time such as 500ms, 30s or 5m"
}

text! {
    /// The key under which something is done at most once.
    IdempotencyKey(String) = "idempotency-key", "^[!-~]{1,255}$", |text| is_key(text).then(|| text.to_owned()),
    "a key of 1 to 255 visible ASCII characters without spaces"
}

text! {
    /// Where a page of runs ended.
    Cursor(RunCursor) = "cursor", "^[0-9a-f]{48}$", cursor,
    "a cursor as 'next' of another page gave it"
}

text! {
    /// What a plugin may use.
    Grant(String) = "grant", "^[!-~]{1,200}$", |text| is_word(text, 200).then(|| text.to_owned()),
    "a capability such as ai or http:api.example.com"
}

text! {
    /// What started a run.
    Trigger(String) = "trigger", "^[!-~]{1,200}$", |text| is_word(text, 200).then(|| text.to_owned()),
    "the name of a trigger as a run shows it"
}

impl Wait {
    /// How long it really is.
    pub fn bounded(&self) -> Duration {
        self.0.min(LONGEST_WAIT)
    }
}

/// A cursor as text: the time, then the run.
pub(crate) fn cursor_text(cursor: &RunCursor) -> String {
    format!("{:016x}{}", cursor.created_at, cursor.id.0.simple())
}

fn cursor(text: &str) -> Option<RunCursor> {
    let hexadecimal = text.len() == 48 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (time, id) = text.split_at_checked(16).filter(|_| hexadecimal)?;
    let created_at = u64::from_str_radix(time, 16).ok()?.cast_signed();
    Some(RunCursor {
        created_at,
        id: RunId(Uuid::try_parse(id).ok()?),
    })
}

fn wait(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u32 = digits.parse().ok().filter(|_| digits.len() <= 6)?;
    match unit {
        "ms" => Some(Duration::from_millis(number.into())),
        "s" => Some(Duration::from_secs(number.into())),
        "m" => Some(Duration::from_secs(u64::from(number) * 60)),
        _ => None,
    }
}

fn function(text: &str) -> Option<FunctionName> {
    let name: FunctionName = text.parse().ok()?;
    let fits = |part: &Option<String>| part.as_deref().is_none_or(|p| p.len() <= 64);
    let version = name.version.as_deref().is_none_or(|v| v.bytes().all(is_version_byte));
    let words = name.name.split('.').all(|word| word.len() <= 64) && name.name.split('.').count() <= 8;
    (words && version && fits(&name.version) && fits(&name.catalog)).then_some(name)
}

fn is_label(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn is_version(text: &str) -> bool {
    let (core, rest) = text
        .find(['+', '-'])
        .map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
    let number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && rest.is_none_or(|rest| (1..=64).contains(&rest.len()) && rest.bytes().all(is_version_byte))
}

fn is_version_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-')
}

fn is_blob(text: &str) -> bool {
    let digits = text.strip_prefix("blob:sha256:");
    digits.is_some_and(|d| d.len() == 64 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Whether a text can be an idempotency key.
pub(crate) fn is_key(text: &str) -> bool {
    is_word(text, 255)
}

fn is_word(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_to_wait_are_read_and_bounded() {
        assert_eq!(wait("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(wait("30s"), Some(Duration::from_secs(30)));
        assert_eq!(wait("2m"), Some(Duration::from_secs(120)));
        for bad in ["", "30", "s", "-1s", "1h", "1.5s", "1234567s", "١s", "1s\n"] {
            assert_eq!(wait(bad), None, "{bad}");
        }
        assert_eq!(Wait(wait("999999m").unwrap()).bounded(), LONGEST_WAIT);
    }

    #[test]
    fn a_cursor_is_text_and_back() {
        for created_at in [0, 1_769_846_400_000, -1, i64::MIN] {
            let there = RunCursor {
                created_at,
                id: RunId(Uuid::now_v7()),
            };
            assert_eq!(cursor(&cursor_text(&there)), Some(there));
        }
        assert_eq!(cursor("0"), None);
        assert_eq!(cursor(&"é".repeat(24)), None);
        assert_eq!(cursor(&"F".repeat(48)), None);
    }

    #[test]
    fn names_are_held_to_their_patterns() {
        assert!(is_label("a") && is_label("book-to-channel") && is_label("A1"));
        assert!(!is_label("") && !is_label("-a") && !is_label("a-") && !is_label("a b") && !is_label(&"a".repeat(64)));
        assert!(is_version("1.0.0") && is_version("0.1.2-rc.1+build"));
        assert!(!is_version("1.0") && !is_version("1.0.0-") && !is_version("runs") && !is_version("1.0.x"));
        assert!(function("book.extract:1.0.0@default").is_some() && function("a..b").is_none());
        assert!(function("a:1/0").is_none() && function(&"a.".repeat(9)).is_none());
        assert!(is_blob(&format!("blob:sha256:{}", "0".repeat(64))) && !is_blob("blob:sha256:0"));
    }
}
