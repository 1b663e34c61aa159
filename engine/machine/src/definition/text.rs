//! Text that is either literal or, when it stands wholly in `${ }`, an expression; and JSON pointers' way of writing names.

use std::borrow::Cow;

use potok_expr::Expression;

/// Text that may have to be evaluated.
#[derive(Debug)]
pub(crate) enum TextTemplate {
    Literal(String),
    Expression(Expression),
    /// An expression that gives its own text when it fails.
    Loose(Expression, String),
}

/// A name as a token of a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_are_escaped_as_json_pointers_want_it() {
        assert_eq!(escape("plain"), "plain");
        assert_eq!(escape("a/b~c"), "a~1b~0c");
    }
}
