//! Where the outside comes in: the full jq evaluator behind the native one, and the variables of the place where an
//! expression stands.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// The full jq evaluator, for everything that the native one does not answer.
///
/// It must be bounded: an expression that never ends, or that eats memory, ends in an `Err`.
pub trait Jq: Send + Sync {
    /// Compiles `filter`, which may use the named variables (without `$`). The error says what is wrong.
    ///
    /// # Errors
    /// A message for the author of the filter.
    fn check(&self, filter: &str, variables: &[&str]) -> Result<(), String>;

    /// The first output of `filter` on `input`; null when it has none. Numbers as in [`crate`]'s rules.
    ///
    /// # Errors
    /// A message for the author of the filter: the jq error that it ended with, or the limit that it ran into.
    fn eval(&self, filter: &str, input: &Value, variables: &[(&str, Arc<Value>)]) -> Result<Value, String>;
}

/// Evaluates expressions: natively where that is possible, through [`Jq`] otherwise. Cheap to clone.
#[derive(Clone)]
pub struct Evaluator {
    jq: Option<Arc<dyn Jq>>,
}

impl Evaluator {
    /// An evaluator that hands everything beyond the native subset to `jq`.
    #[must_use]
    pub fn new(jq: Arc<dyn Jq>) -> Self {
        Self { jq: Some(jq) }
    }

    /// An evaluator of the native subset alone: an expression beyond it is an error.
    #[must_use]
    pub fn native() -> Self {
        Self { jq: None }
    }

    pub(crate) fn jq(&self) -> Option<&dyn Jq> {
        self.jq.as_deref()
    }
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator").field("full", &self.jq.is_some()).finish()
    }
}

/// The variables that an expression sees, by name without `$`.
pub trait Scope {
    /// The value of a variable, `None` when there is none of that name here. Asked only for names that the expression
    /// uses, once each.
    fn get(&self, name: &str) -> Option<Arc<Value>>;
}

/// No variables.
impl Scope for () {
    fn get(&self, _name: &str) -> Option<Arc<Value>> {
        None
    }
}
