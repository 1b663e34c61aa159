//! The grammar of jq: text in, a syntax tree out. Knows nothing of what functions exist or what anything means.

mod atoms;
mod operators;
mod parser;
mod paths;
mod token;
pub(crate) mod tree;

pub(crate) use parser::parse;

/// Why a text is not jq, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Byte offset in the text.
    pub at: usize,
    pub message: String,
}

impl SyntaxError {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// How deep an expression may be nested.
pub(crate) const MAX_NESTING: usize = 128;

/// The longest expression, in bytes.
pub(crate) const MAX_TEXT: usize = 64 * 1024;
