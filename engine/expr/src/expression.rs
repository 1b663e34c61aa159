//! One expression: parsed and checked once, evaluated many times.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::check::{AUTHORIZATION, Names, SECRETS, check};
use crate::native::{Program, Stop, normalize};
use crate::syntax::{self, SyntaxError};
use crate::{Evaluator, ExpressionError, MAX_DEPTH, Scope, SecretPath, opaque, secret};

const NO_FULL: &str = "this expression needs the full jq evaluator, and there is none here";

/// A runtime expression. Cheap to clone; equal when the text is.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    variables: Vec<String>,
    /// The secrets that it reads, sorted.
    secrets: Vec<SecretPath>,
    /// `$secrets`, with placeholders for them.
    placeholders: Option<Arc<Value>>,
    /// Whether it can make text with characters that none of its texts has.
    decodes: bool,
    /// What the native evaluator runs; `None` when the full one must answer.
    program: Option<Program>,
}

/// What the native evaluator has to say.
enum Native<T> {
    Answer(T),
    Error(String),
    /// The full evaluator must answer.
    Beyond,
}

impl Expression {
    /// Parses and checks an expression, with or without the enclosing `${ }`.
    ///
    /// # Errors
    /// Text that is not jq, a function that is not available, or an expression beyond the native subset for an
    /// evaluator that has nothing else.
    pub fn parse(text: &str, evaluator: &Evaluator) -> Result<Self, ExpressionError> {
        let text = unwrap(text);
        let error = |message: String| ExpressionError::new(text, message);
        if text.is_empty() {
            return Err(error("the expression is empty".to_owned()));
        }
        let located = |at: SyntaxError| error(locate(text, &at));
        let term = syntax::parse(text).map_err(located)?;
        let Names {
            variables,
            secrets,
            decodes,
        } = check(&term).map_err(located)?;
        if !secrets.is_empty() || variables.iter().any(|name| name == AUTHORIZATION.0) {
            opaque::check(&term).map_err(located)?;
        }
        let placeholders = match secret::variable(&secrets) {
            _ if secrets.is_empty() => None,
            Ok(value) => Some(Arc::new(value)),
            Err(path) => {
                return Err(error(format!(
                    "$secrets.{} is read as a whole and by its fields; do that in two expressions",
                    path.name()
                )));
            }
        };
        let program = Program::new(&term, &variables);
        if program.is_none() {
            let names: Vec<&str> = variables.iter().map(String::as_str).collect();
            evaluator
                .jq()
                .ok_or_else(|| error(NO_FULL.to_owned()))?
                .check(text, &names)
                .map_err(error)?;
        }
        Ok(Self(Arc::new(Compiled {
            text: text.to_owned(),
            variables,
            secrets: secrets.into_iter().collect(),
            placeholders,
            decodes,
            program,
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

    /// The secrets that it reads, sorted. Whatever the values are, it reads no other.
    #[must_use]
    pub fn secrets(&self) -> &[SecretPath] {
        &self.0.secrets
    }

    /// Whether the native evaluator answers it. It may still hand single values that lead beyond its subset (integers of
    /// more than 64 bits, a division by zero, very large values) to the full one.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.0.program.is_some()
    }

    /// The first output on `input`; null when there is none. `$secrets` are placeholders, whatever `scope` has.
    ///
    /// # Errors
    /// The expression failed on this value, gives a placeholder although it decodes text, or uses a variable that `scope` does not have.
    pub fn eval(&self, evaluator: &Evaluator, input: &Value, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        let variables = self.resolve(scope)?;
        let value = match self.native(|program| program.eval(input, &variables)) {
            Native::Answer(value) => value.unwrap_or_default(),
            Native::Error(message) => return Err(self.error(message)),
            Native::Beyond => self.full(evaluator, input, variables)?,
        };
        // Otherwise whoever can choose what is decoded could choose which secret leaves where.
        if self.0.decodes && secret::is_in(&value) {
            return Err(self.error("it decodes text and gives a placeholder of a secret; do these in two expressions"));
        }
        Ok(value)
    }

    /// Whether the first output is true in jq's sense: neither null nor false.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub fn test(&self, evaluator: &Evaluator, input: &Value, scope: &dyn Scope) -> Result<bool, ExpressionError> {
        let variables = self.resolve(scope)?;
        match self.native(|program| program.test(input, &variables)) {
            Native::Answer(truth) => Ok(truth),
            Native::Error(message) => Err(self.error(message)),
            Native::Beyond => {
                let value = self.full(evaluator, input, variables)?;
                Ok(!matches!(value, Value::Null | Value::Bool(false)))
            }
        }
    }

    fn resolve(&self, scope: &dyn Scope) -> Result<Vec<Arc<Value>>, ExpressionError> {
        let resolve = |name: &String| {
            if let Some(placeholders) = self.0.placeholders.as_ref().filter(|_| name == SECRETS) {
                return Ok(Arc::clone(placeholders));
            }
            scope
                .get(name)
                .ok_or_else(|| self.error(format!("${name} is not defined here")))
        };
        self.0.variables.iter().map(resolve).collect()
    }

    fn native<T>(&self, run: impl FnOnce(&Program) -> Result<T, Stop>) -> Native<T> {
        match self.0.program.as_ref().map(run) {
            Some(Ok(answer)) => Native::Answer(answer),
            Some(Err(Stop::Error(message))) => Native::Error(message),
            Some(Err(Stop::Beyond | Stop::Done)) | None => Native::Beyond,
        }
    }

    fn full(&self, evaluator: &Evaluator, input: &Value, values: Vec<Arc<Value>>) -> Result<Value, ExpressionError> {
        let jq = evaluator.jq().ok_or_else(|| self.error(NO_FULL))?;
        let variables: Vec<(&str, Arc<Value>)> = self.0.variables.iter().map(String::as_str).zip(values).collect();
        let value = jq
            .eval(self.text(), input, &variables)
            .map_err(|message| self.error(message))?;
        normalize(Cow::Owned(value)).ok_or_else(|| self.error(format!("the result is nested deeper than {MAX_DEPTH}")))
    }

    /// A message may quote what was decoded.
    fn error(&self, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(self.text(), secret::shown_text(&message.into()).into_owned())
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

/// The message with the place, when the text has more than one character to choose from.
fn locate(text: &str, error: &SyntaxError) -> String {
    let before = text.get(..error.at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    if text.contains('\n') {
        format!("line {line}, column {column}: {}", error.message)
    } else {
        format!("column {column}: {}", error.message)
    }
}
