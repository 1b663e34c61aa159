//! One expression: parsed and checked once, evaluated many times.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{Evaluator, ExpressionError, Scope};

/// A runtime expression. Cheap to clone; equal when the text is.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    variables: Vec<String>,
}

impl Expression {
    /// Parses and checks an expression, with or without the enclosing `${ }`.
    ///
    /// # Errors
    /// Text that is not jq, a function that is not available, or an expression beyond the native subset for an
    /// evaluator that has nothing else.
    pub fn parse(text: &str, evaluator: &Evaluator) -> Result<Self, ExpressionError> {
        let text = unwrap(text);
        let variables: Vec<String> = Vec::new();
        let error = |message: String| ExpressionError::new(text, message);
        let jq = evaluator
            .jq()
            .ok_or_else(|| error("this needs the full jq evaluator".to_owned()))?;
        jq.check(text, &[]).map_err(error)?;
        Ok(Self(Arc::new(Compiled {
            text: text.to_owned(),
            variables,
        })))
    }

    /// The text, without the enclosing `${ }`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The variables that it uses from outside, without `$`, sorted.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.0.variables
    }

    /// Whether the native evaluator answers it.
    #[must_use]
    pub fn is_native(&self) -> bool {
        false
    }

    /// The first output on `input`; null when there is none.
    ///
    /// # Errors
    /// The expression failed on this value, or uses a variable that `scope` does not have.
    pub fn eval(&self, evaluator: &Evaluator, input: &Value, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        let error = |message: String| ExpressionError::new(self.text(), message);
        let mut variables = Vec::with_capacity(self.0.variables.len());
        for name in &self.0.variables {
            let value = scope
                .get(name)
                .ok_or_else(|| error(format!("${name} is not defined here")))?;
            variables.push((name.as_str(), value));
        }
        let jq = evaluator
            .jq()
            .ok_or_else(|| error("this needs the full jq evaluator".to_owned()))?;
        jq.eval(self.text(), input, &variables).map_err(error)
    }

    /// Whether the first output is true in jq's sense: neither null nor false.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub fn test(&self, evaluator: &Evaluator, input: &Value, scope: &dyn Scope) -> Result<bool, ExpressionError> {
        let value = self.eval(evaluator, input, scope)?;
        Ok(!matches!(value, Value::Null | Value::Bool(false)))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text()).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Expression {}

/// The expression inside `${ }`, or the text itself.
fn unwrap(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(inner) => inner.trim(),
        None => text,
    }
}
