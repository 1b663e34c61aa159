//! Errors as the language knows them: problem details (RFC 9457), with the standard's error types.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The base of the standard's error types.
const STANDARD: &str = "https://open-workflow-specification.org/spec/1.0.0/errors/";

/// Spellings of the base that older files and the conformance kit use for the same types.
const OLDER: [&str; 4] = [
    "https://serverlessworkflow.io/spec/1.0.0/errors/",
    "https://open-workflow-specification.org/dsl/errors/types/",
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://serverlessworkflow.io/errors/",
];

/// The standard's error types (reference, "Standard Error Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The definition or the set-up is wrong. Status 400.
    Configuration,
    /// A value does not fit its schema. Status 400.
    Validation,
    /// An expression could not be evaluated. Status 400.
    Expression,
    /// Who is calling could not be established. Status 401.
    Authentication,
    /// The caller may not do that. Status 403.
    Authorization,
    /// It took too long. Status 408.
    Timeout,
    /// The other side could not be reached or answered with an error. Status 500, or the other side's own.
    Communication,
    /// What ran failed. Status 500.
    Runtime,
}

impl ErrorType {
    const ALL: [(Self, &'static str, u16); 8] = [
        (Self::Configuration, "configuration", 400),
        (Self::Validation, "validation", 400),
        (Self::Expression, "expression", 400),
        (Self::Authentication, "authentication", 401),
        (Self::Authorization, "authorization", 403),
        (Self::Timeout, "timeout", 408),
        (Self::Communication, "communication", 500),
        (Self::Runtime, "runtime", 500),
    ];

    fn entry(self) -> &'static (Self, &'static str, u16) {
        Self::ALL.iter().find(|entry| entry.0 == self).unwrap_or(&Self::ALL[7])
    }

    /// The type's URI in its standard spelling.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{STANDARD}{}", self.entry().1)
    }

    /// The status that goes with the type unless the error has one of its own.
    #[must_use]
    pub fn status(self) -> u16 {
        self.entry().2
    }

    /// The type that a URI names, in any of its accepted spellings; `None` for a type of someone's own.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let name = std::iter::once(STANDARD)
            .chain(OLDER)
            .find_map(|base| uri.strip_prefix(base))?;
        Self::ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }

    /// Whether two type URIs name the same type: equal, or two spellings of one standard type.
    #[must_use]
    pub fn same(a: &str, b: &str) -> bool {
        a == b || matches!((Self::parse(a), Self::parse(b)), (Some(a), Some(b)) if a == b)
    }
}

/// What went wrong, as workflows, the API and plugins see it: problem details (RFC 9457) with two members of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A URI that names the kind of error.
    #[serde(rename = "type")]
    pub kind: String,
    /// An HTTP status code.
    pub status: u16,
    /// A short summary, the same for every error of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The reference of the task that raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How long to wait before trying again, in milliseconds; every retry policy honours it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Anything a program may want to know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl Problem {
    /// Changes its texts and its data.
    pub fn change(&mut self, text: &dyn Fn(&str) -> Cow<'_, str>, data: &dyn Fn(&mut Value)) {
        let Self {
            kind,
            title,
            detail,
            instance,
            data: found,
            ..
        } = self;
        for part in [Some(kind), title.as_mut(), detail.as_mut(), instance.as_mut()]
            .into_iter()
            .flatten()
        {
            if let Cow::Owned(changed) = text(part) {
                *part = changed;
            }
        }
        found.iter_mut().for_each(data);
    }

    /// An error of a standard type, with the type's status.
    #[must_use]
    pub fn new(kind: ErrorType, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: kind.uri(),
            status: kind.status(),
            title: Some(title.into()),
            detail: Some(detail.into()),
            instance: None,
            retry_after_ms: None,
            data: None,
        }
    }

    /// The same error with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same error, to be tried again no sooner than after so many milliseconds.
    #[must_use]
    pub fn with_retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }

    /// The same error with a value for programs.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// Whether the error is of a standard type.
    #[must_use]
    pub fn is(&self, kind: ErrorType) -> bool {
        ErrorType::parse(&self.kind) == Some(kind)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let title = self.title.as_deref().unwrap_or(&self.kind);
        write!(f, "{title} ({})", self.status)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(instance) = &self.instance {
            write!(f, " [{instance}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_type_are_the_same_type() {
        let kit = "https://open-workflow-specification.org/dsl/errors/types/communication";
        assert_eq!(ErrorType::parse(kit), Some(ErrorType::Communication));
        assert!(ErrorType::same(kit, &ErrorType::Communication.uri()));
        assert!(!ErrorType::same(kit, &ErrorType::Runtime.uri()));
        assert!(ErrorType::same("urn:mine", "urn:mine"));
        assert_eq!(
            ErrorType::parse("https://serverlessworkflow.io/errors/not-implemented"),
            None
        );
    }
}
