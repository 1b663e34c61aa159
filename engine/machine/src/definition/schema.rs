//! JSON Schema (draft 2020-12) without references that lead out of the document.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use potok_dsl::{ErrorType, Problem};
use serde_json::Value;

/// The most places that an error names.
const MAX_ERRORS: usize = 5;

/// The most characters of one complaint: it quotes the value, and values can be large.
const MAX_MESSAGE: usize = 300;

/// How far a pattern may backtrack before it counts as not matching.
const BACKTRACK_LIMIT: usize = 100_000;

/// A compiled schema.
pub(crate) struct Schema(Validator);

impl Schema {
    /// Compiles a schema document; the error says what is wrong with it.
    pub(crate) fn compile(document: &Value) -> Result<Self, String> {
        jsonschema::draft202012::options()
            .offline()
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT))
            .build(document)
            .map(Self)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() {
                    String::new()
                } else {
                    format!(" at {place}")
                };
                format!("this is not a valid JSON Schema{place}: {}", clip(&error.to_string()))
            })
    }

    /// Checks a value; `what` names it in the error, such as "the task's input".
    pub(crate) fn check(&self, value: &Value, what: &str) -> Result<(), Problem> {
        if self.0.is_valid(value) {
            return Ok(());
        }
        let mut errors = self.0.iter_errors(value);
        let complaints: Vec<String> = errors
            .by_ref()
            .take(MAX_ERRORS)
            .map(|error| {
                let pointer = error.instance_path().to_string();
                let pointer = if pointer.is_empty() {
                    "the value itself".to_owned()
                } else {
                    pointer
                };
                format!("{pointer}: {}", clip(&error.to_string()))
            })
            .collect();
        let more = errors.count();
        let more = if more == 0 {
            String::new()
        } else {
            format!("; and {more} more")
        };
        let detail = format!("{what} does not fit its schema: {}{more}", complaints.join("; "));
        Err(Problem::new(ErrorType::Validation, "Validation failed", detail))
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_complaint_names_the_place_and_what_is_wrong() {
        let schema = Schema::compile(&json!({ "properties": { "a": { "items": { "type": "integer" } } } })).unwrap();
        assert!(schema.check(&json!({ "a": [1] }), "it").is_ok());
        let problem = schema.check(&json!({ "a": [1, "x"] }), "the task's input").unwrap_err();
        assert!(problem.is(ErrorType::Validation));
        let detail = problem.detail.unwrap();
        assert!(
            detail.starts_with("the task's input does not fit its schema: /a/1: "),
            "{detail}"
        );
    }

    #[test]
    fn complaints_stay_short() {
        let schema = Schema::compile(&json!({ "items": { "type": "integer" } })).unwrap();
        let values = vec![json!("x".repeat(10_000)); 100];
        let detail = schema.check(&json!(values), "it").unwrap_err().detail.unwrap();
        assert!(
            detail.chars().count() < 2_000 && detail.ends_with("and 95 more"),
            "{detail}"
        );
    }

    #[test]
    fn references_out_of_the_document_and_nonsense_are_refused() {
        assert!(Schema::compile(&json!({ "$ref": "https://example.com/x.json" })).is_err());
        assert!(Schema::compile(&json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "string" } } })).is_ok());
        let error = Schema::compile(&json!({ "properties": { "a": { "type": "strnig" } } })).unwrap_err();
        assert!(error.contains("/properties/a/type"), "{error}");
    }
}
