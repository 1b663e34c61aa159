//! Tokens, read one at a time from a position. Strings are not tokens: the parser reads them, since they hold terms.

use super::SyntaxError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or a name.
    Word(&'a str),
    /// `$x`, without `$`.
    Variable(&'a str),
    /// `@x`, with `@`.
    Format(&'a str),
    Number(&'a str),
    /// `.x`, without the dot.
    Field(&'a str),
    /// An operator, a punctuation mark or a bracket.
    Symbol(&'a str),
    /// The opening quote of a string.
    Quote,
    End,
}

impl Token<'_> {
    /// As it is shown in messages.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Format(text) | Self::Symbol(text) => format!("'{text}'"),
            Self::Variable(text) => format!("'${text}'"),
            Self::Field(text) => format!("'.{text}'"),
            Self::Quote => "a string".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// The token at or after `at` (behind space and comments), where it starts and where it ends.
pub(super) fn token(text: &str, at: usize) -> Result<(Token<'_>, usize, usize), SyntaxError> {
    let start = skip_space(text, at);
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else {
        return Ok((Token::End, start, start));
    };
    let (token, length) = match first {
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = name(rest);
            if rest[length..].starts_with("::") {
                return Err(SyntaxError::new(start, "modules are not available"));
            }
            (Token::Word(&rest[..length]), length)
        }
        '$' | '@' => {
            let length = 1 + name(&rest[1..]);
            if length == 1 || rest.as_bytes()[1].is_ascii_digit() {
                return Err(SyntaxError::new(start, format!("expected a name after '{first}'")));
            }
            if rest[length..].starts_with("::") {
                return Err(SyntaxError::new(start, "modules are not available"));
            }
            let token = if first == '$' {
                Token::Variable(&rest[1..length])
            } else {
                Token::Format(&rest[..length])
            };
            (token, length)
        }
        '0'..='9' => {
            let length = number(rest).map_err(|offset| SyntaxError::new(start + offset, "expected a digit"))?;
            (Token::Number(&rest[..length]), length)
        }
        '.' if rest[1..].starts_with('.') => (Token::Symbol(".."), 2),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
            let length = 1 + name(&rest[1..]);
            (Token::Field(&rest[1..length]), length)
        }
        '"' => (Token::Quote, 1),
        '.' | ':' | ';' | ',' | '?' | '(' | ')' | '[' | ']' | '{' | '}' => (Token::Symbol(&rest[..1]), 1),
        c if is_operator(c) => {
            let tail = rest[1..]
                .find(|c| !is_operator(c) || c == '-')
                .unwrap_or(rest.len() - 1);
            (Token::Symbol(&rest[..=tail]), 1 + tail)
        }
        other => return Err(SyntaxError::new(start, format!("unexpected character '{other}'"))),
    };
    Ok((token, start, start + length))
}

fn is_operator(c: char) -> bool {
    "|=!<>+-*/%".contains(c)
}

/// The length of `[a-zA-Z0-9_]*`.
fn name(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

/// The length of a number, or where a digit is missing.
fn number(text: &str) -> Result<usize, usize> {
    let mut length = digits(text);
    if text[length..].starts_with('.') {
        length += 1;
        length += nonzero(digits(&text[length..])).ok_or(length)?;
    }
    if text[length..].starts_with(['e', 'E']) {
        length += 1;
        length += usize::from(text[length..].starts_with(['+', '-']));
        length += nonzero(digits(&text[length..])).ok_or(length)?;
    }
    Ok(length)
}

fn nonzero(length: usize) -> Option<usize> {
    (length > 0).then_some(length)
}

/// Behind white space and comments. A comment goes on in the next line when its line ends with an odd number of
/// backslashes.
fn skip_space(text: &str, at: usize) -> usize {
    let mut rest = text[at..].trim_start();
    while let Some(mut comment) = rest.strip_prefix('#') {
        loop {
            let (line, after) = comment.split_once('\n').unwrap_or((comment, ""));
            comment = after;
            let line = line.strip_suffix('\r').unwrap_or(line);
            let backslashes = line.len() - line.trim_end_matches('\\').len();
            if backslashes % 2 == 0 {
                break;
            }
        }
        rest = comment.trim_start();
    }
    text.len() - rest.len()
}
