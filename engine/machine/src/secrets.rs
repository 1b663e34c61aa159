//! The border of a run for placeholders of secrets: they are made inside it by `$secrets`, never brought in, and never carried out but
//! in calls, where the host resolves them.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem};
use potok_expr::{SecretPath, secret};
use serde_json::Value;

use crate::effect::{Outcome, Request};

/// The kinds of requests that the host puts secrets into. A new one is refused them until it is known what becomes of them there.
const RESOLVED: [&str; 4] = ["function", "http", "openApi", "shell"];

/// A value that comes in.
pub(crate) fn admit(value: &Arc<Value>) -> Arc<Value> {
    if !secret::is_in(value) {
        return Arc::clone(value);
    }
    let mut value = Value::clone(value);
    secret::neutral(&mut value);
    Arc::new(value)
}

/// What a call gave.
pub(crate) fn admit_result(result: &Result<Arc<Value>, Problem>) -> Result<Arc<Value>, Problem> {
    match result {
        Ok(value) => Ok(admit(value)),
        Err(problem) => {
            let mut problem = problem.clone();
            problem.change(&secret::neutral_text, &secret::neutral);
            Err(problem)
        }
    }
}

/// A value for those outside.
pub(crate) fn show(value: Arc<Value>) -> Arc<Value> {
    if !secret::is_in(&value) {
        return value;
    }
    let mut value = Arc::unwrap_or_clone(value);
    secret::shown(&mut value);
    Arc::new(value)
}

/// How a run ended, for those outside.
pub(crate) fn show_outcome(mut outcome: Outcome) -> Outcome {
    outcome.output = outcome.output.map(show);
    if let Some(error) = &mut outcome.error {
        error.change(&secret::shown_text, &secret::shown);
    }
    outcome
}

/// Whether a call may have the secrets that it holds: those that its workflow reads somewhere.
pub(crate) fn check(request: &Request, read: &[SecretPath]) -> Result<(), Problem> {
    // Who reads none has none: placeholders come from `$secrets` alone.
    if read.is_empty() {
        return Ok(());
    }
    // Requests are plain data, whose serialisation cannot fail.
    let request = serde_json::to_value(request).unwrap_or_default();
    if !request["kind"].as_str().is_some_and(|kind| RESOLVED.contains(&kind)) {
        return keep_in(&request, "the input of another run");
    }
    match secret::found_in(&request).iter().find(|path| !read.contains(path)) {
        None => Ok(()),
        Some(path) => Err(refused(format!("this workflow does not read the secret '{path}'"))),
    }
}

/// Refuses a secret in a value that leaves for where nobody resolves it: an event, the input of another run.
pub(crate) fn keep_in(value: &Value, what: &str) -> Result<(), Problem> {
    if !secret::is_in(value) {
        return Ok(());
    }
    let name = secret::found_in(value)
        .first()
        .map_or_else(String::new, |path| format!(" '{path}'"));
    Err(refused(format!(
        "the secret{name} cannot leave in {what}: a secret is for calls, where the host puts it in"
    )))
}

/// A secret where none can be.
pub(crate) fn refused(detail: String) -> Problem {
    Problem::new(ErrorType::Authorization, "Secret refused", detail)
}
