//! The YAML parser's errors in words for people, with what usually is the matter.

use granit_parser::{ErrorKind, ScanError};

use super::load::{place, too_deep};
use crate::{diagnostic::Diagnostic, model::Location};

/// The diagnostic for an error in a text.
pub(super) fn syntax_error(error: &ScanError, text: &str) -> Diagnostic {
    use ErrorKind as Kind;
    let at = place(error.marker());
    let (message, help) = match error.kind() {
        Kind::RecursionLimitExceeded => return too_deep(at),
        Kind::TabInIndentation
        | Kind::TabInBlockIndentation
        | Kind::TabNotAllowed
        | Kind::TabInPlainScalar
        | Kind::TabAtBlockScalarStart => {
            let at = indenting_tab(text, at.line).unwrap_or(at);
            return Diagnostic::new(at, "not valid YAML: a tab cannot be used as indentation").with_help("use spaces");
        }
        Kind::UnknownAnchor => (
            "this alias has no anchor above it",
            "put text that begins with '*' in quotes, as a cron expression; or define the anchor with '&' first",
        ),
        Kind::MissingAnchorOrAliasName => (
            "a name is missing after '&' or '*'",
            "put text that begins with '&' or '*' in quotes, as a cron expression",
        ),
        Kind::UndeclaredTagHandle => ("this tag is not known", "put text that begins with '!' in quotes"),
        Kind::UnexpectedCharacter { character } => {
            let message = format!(
                "not valid YAML: text cannot begin with '{}'",
                character.escape_default()
            );
            return Diagnostic::new(at, message).with_help("put it in quotes");
        }
        Kind::MappingValueNotAllowed => (
            "a ':' is not allowed here",
            "put text that holds ': ' in quotes, or check the indentation",
        ),
        Kind::InvalidColonPlacement => ("a ':' is not allowed here", "is a bracket or a quote left open above?"),
        Kind::BlockSequenceEntryNotAllowed | Kind::BlockEntryInFlowCollection => (
            "a '- ' is not allowed here",
            "check the indentation, and whether a bracket is left open above",
        ),
        Kind::ExpectedBlockMappingKey => (
            "a key is expected here",
            "indent it like the keys above that it belongs to",
        ),
        Kind::ExpectedBlockSequenceEntry => (
            "a '- ' is expected here",
            "indent it like the entries above that it belongs to",
        ),
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey => (
            "a ':' is expected after a key",
            "write 'key: value'; a key stands on one line",
        ),
        Kind::InvalidIndentation | Kind::InvalidFlowScalarIndent | Kind::InvalidBlockScalarIndent => (
            "the indentation fits nothing above",
            "indent it like what it belongs to",
        ),
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => {
            ("a quote is never closed", "add the closing quote")
        }
        Kind::InvalidQuotedScalarIndent => (
            "text in quotes goes on here without indentation",
            "is the closing quote missing on a line above?",
        ),
        Kind::InvalidTrailingSingleQuotedScalar | Kind::InvalidTrailingDoubleQuotedScalar => (
            "something follows a closing quote",
            "put the whole text in quotes; inside, '' is a single quote and \\\" a double one",
        ),
        Kind::UnknownQuotedScalarEscape => (
            "unknown escape in double quotes",
            "write \\\\ for a backslash, or use single quotes",
        ),
        Kind::ExpectedFlowMappingSeparator => ("',' or '}' is expected here", "is a bracket or a quote left open?"),
        Kind::ExpectedFlowSequenceSeparator => ("',' or ']' is expected here", "is a bracket or a quote left open?"),
        Kind::UnclosedFlowCollection { open } => {
            let message = format!("not valid YAML: a '{open}' is never closed");
            return Diagnostic::new(at, message).with_help("add the closing bracket");
        }
        Kind::UnexpectedEofFlowSequence | Kind::UnexpectedEofFlowMapping | Kind::UnexpectedEofImplicitFlowMapping => {
            ("the text ends inside brackets", "add the closing bracket")
        }
        other => return Diagnostic::new(at, format!("not valid YAML: {other}")),
    };
    Diagnostic::new(at, format!("not valid YAML: {message}")).with_help(help)
}

/// The first tab in an indentation from a line on: the parser points at what comes before it.
fn indenting_tab(text: &str, line: u32) -> Option<Location> {
    let skip = usize::try_from(line).ok()?.saturating_sub(1);
    text.lines().enumerate().skip(skip).find_map(|(index, line)| {
        let column = line.chars().take_while(|c| *c == ' ').count();
        let tab = line.chars().nth(column) == Some('\t');
        let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
        tab.then(|| Location::new(number(index), number(column)))
    })
}
