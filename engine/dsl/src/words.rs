//! The words of the design as types, so that a run's id is never mistaken for a task's path or a number of seconds.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A word that was not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {what}: {why}")]
#[non_exhaustive]
pub struct NameError {
    /// What was expected, such as "run id".
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The id of a run: a UUID of version 7, so ids sort by the time of their creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// The id as the store keeps it.
    #[must_use]
    pub fn bytes(&self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The id that the store kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Uuid::parse_str(text).map(Self).map_err(|_| NameError {
            what: "run id",
            text: text.to_owned(),
            why: "a UUID is expected",
        })
    }
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment so much later; the end of time where that does not fit.
    #[must_use]
    pub fn after(self, span: Millis) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }

    /// The moment a period later: months first, as the calendar has them in UTC (from 31 January a month later is the last of
    /// February), then the rest.
    #[must_use]
    pub fn after_period(self, period: Period) -> Self {
        if period.months == 0 {
            return self.after(period.rest);
        }
        let moment = chrono::DateTime::from_timestamp_millis(self.0);
        let moved = moment.and_then(|moment| moment.checked_add_months(chrono::Months::new(period.months)));
        moved.map_or(Self(i64::MAX), |moved| {
            Self(moved.timestamp_millis()).after(period.rest)
        })
    }

    /// How much later this moment is than another; zero when it is earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment that a text of RFC 3339 names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|moment| Self(moment.timestamp_millis()))
    }

    /// RFC 3339 in UTC with milliseconds, such as `2026-01-31T08:00:00.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        chrono::DateTime::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }
}

/// A span of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// A span of time as people count it: months of the calendar, which have no fixed length, and a rest that has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Period {
    /// The months.
    pub months: u32,
    /// The rest.
    pub rest: Millis,
}

/// Names one execution of one task in one run, for ever: the task's reference with, in brackets, the index of each iteration and,
/// after `#`, the number of each visit that a `then` came back for. `/do/1/each[3]/do/0/send#2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskPath(pub Arc<str>);

impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What identifies a workflow: namespace, name and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkflowId {
    /// The namespace.
    pub namespace: String,
    /// The name within the namespace.
    pub name: String,
    /// The semantic version.
    pub version: String,
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.version)
    }
}

/// The name of a secret. It is the name of a file and of an environment variable too, so not every text will do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if first && rest && text.len() <= 128 {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError {
            what: "secret's name",
            text: text.chars().take(128).collect(),
            why: "up to 128 letters, digits, '_', '-' and '.' are expected, the first no '-' or '.'",
        })
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name by which a function is called: `book.extract`, `pkg.iface.fn:1.0.0@default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName {
    /// The dotted name without version and catalog.
    pub name: String,
    /// The version asked for; the newest when there is none.
    pub version: Option<String>,
    /// The catalog asked for; the default one when there is none.
    pub catalog: Option<String>,
}

impl FunctionName {
    /// Whether what a task calls is a document's URI, or a relative path to it, instead of a name.
    #[must_use]
    pub fn is_uri(text: &str) -> bool {
        text.contains("://") || ["file:", "./", "../"].iter().any(|start| text.starts_with(start))
    }
}

impl FromStr for FunctionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = |why| NameError {
            what: "function name",
            text: text.to_owned(),
            why,
        };
        let (rest, catalog) = match text.split_once('@') {
            Some((rest, catalog)) => (rest, Some(catalog)),
            None => (text, None),
        };
        let (name, version) = match rest.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if name.is_empty() || !name.split('.').all(word) {
            return Err(bad("names are words of letters, digits, '-' and '_' joined by dots"));
        }
        if version.is_some_and(|v| v.is_empty() || !v.starts_with(|c: char| c.is_ascii_digit())) {
            return Err(bad("a version such as 1.0.0 is expected after ':'"));
        }
        if catalog.is_some_and(|c| !word(c)) {
            return Err(bad("a catalog's name is expected after '@'"));
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            catalog: catalog.map(str::to_owned),
        })
    }
}

impl TryFrom<String> for FunctionName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(version) = &self.version {
            write!(f, ":{version}")?;
        }
        if let Some(catalog) = &self.catalog {
            write!(f, "@{catalog}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_as_files_are() {
        for good in ["a", "api-key", "tls.key", "_x", "9"] {
            assert!(good.parse::<SecretName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".env",
            "-x",
            "a/b",
            "a b",
            "${ x }",
            "ключ",
            &"x".repeat(129),
        ] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn function_names_have_three_parts() {
        let name: FunctionName = "book.extract:1.0.0@default".parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (name.name.as_str(), name.version.as_deref(), name.catalog.as_deref()),
            ("book.extract", Some("1.0.0"), Some("default"))
        );
        assert_eq!(name.to_string(), "book.extract:1.0.0@default");
        for bad in ["", ".", "a..b", "a:", "a:x", "a@", "https://example.com/f.yaml"] {
            assert!(bad.parse::<FunctionName>().is_err(), "{bad}");
        }
    }
}
