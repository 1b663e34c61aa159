//! What can be known of a workflow before it runs, beyond what [`crate::parse`] refuses: tasks that nothing leads to, catches that never
//! catch, cases that never hold, definitions that nobody uses, and arguments that do not fit the function that they are for.
//!
//! An argument that does not fit is an error, for the call could only fail. The rest are warnings: the workflow runs, but hardly as it was
//! meant. This module knows the language alone; what functions there are and what they take is asked of the caller.

mod arguments;
mod catches;
mod reach;
mod unused;
mod walk;

use serde_json::Value;

use crate::{
    Placed,
    diagnostic::Diagnostic,
    model::{EvaluateMode, Text},
    read::Parsed,
};

use walk::Everything;

/// The JSON Schema of a function's arguments, by the name that a workflow calls it by; `None` for a function that is not known.
pub type Schemas<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// What is wrong with a workflow or looks wrong, in the order of the places.
#[must_use]
pub fn lint(parsed: &Parsed, functions: Schemas<'_>) -> Vec<Diagnostic> {
    let everything = Everything::of(&parsed.workflow);
    // The text was read before, so it can be read again; without places nothing could be said.
    let Ok(placed) = Placed::parse("", &parsed.source) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    reach::check(&everything, &mut found);
    catches::check(&parsed.workflow, &everything, &mut found);
    unused::check(&parsed.document, &placed, &mut found);
    arguments::check(&parsed.workflow, &everything, functions, &placed, &mut found);
    found.sort_by_key(|diagnostic| diagnostic.at);
    found.dedup();
    found
}

/// Whether a string is an expression where data may hold expressions.
fn is_expression(text: &str, mode: EvaluateMode) -> bool {
    mode == EvaluateMode::Loose || text.trim().starts_with("${")
}

/// Whether an expression is that word and nothing else.
fn is_literally(text: &Text, word: &str) -> bool {
    let text = text.value.trim();
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.unwrap_or(text).trim() == word
}
