//! What can go wrong with an expression, as one type: the text that failed and a message for its author.

/// An expression that could not be parsed, or that failed on a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (in the expression `{expression}`)")]
pub struct ExpressionError {
    /// The expression, without the enclosing `${ }`.
    pub expression: String,
    /// What is wrong, where, and what to do about it.
    pub message: String,
}

impl ExpressionError {
    /// Puts a message to an expression's text.
    #[must_use]
    pub fn new(expression: &str, message: impl Into<String>) -> Self {
        Self {
            expression: expression.to_owned(),
            message: message.into(),
        }
    }
}
