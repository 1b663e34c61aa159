//! What is wrong with a text, where, and what to do about it: said once, for people on a terminal and for programs alike.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::model::Location;

/// The most diagnostics that one text gives.
pub const MAX_DIAGNOSTICS: usize = 100;

/// The most characters of a source line that are shown.
const SHOWN: usize = 120;

/// How grave something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot stay: nothing runs before it is mended.
    #[default]
    Error,
    /// It runs, but hardly as it was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where.
    pub at: Location,
    /// How grave it is.
    #[serde(default)]
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// Something wrong, without advice.
    #[must_use]
    pub fn new(at: Location, message: impl Into<String>) -> Self {
        Self {
            at,
            severity: Severity::Error,
            message: message.into(),
            help: None,
        }
    }

    /// Something that looks wrong, without advice.
    #[must_use]
    pub fn warning(at: Location, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::new(at, message)
        }
    }

    /// Whether it stands in the way of running.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Message and advice in one line.
    fn sentence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_error() {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// `not supported yet: listen (line 14)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence(f)?;
        if self.at.line > 0 {
            write!(f, " (line {})", self.at.line)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a text, in the order of its places: at most [`MAX_DIAGNOSTICS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// The name of the file, as people know it.
    pub file: String,
    /// The text.
    pub source: Arc<str>,
    /// What is wrong with it.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts by place, drops repetitions and cuts off what nobody reads (the last one then says how many are left out).
    #[must_use]
    pub fn new(file: impl Into<String>, source: impl Into<Arc<str>>, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| diagnostic.at);
        list.dedup();
        if list.len() > MAX_DIAGNOSTICS {
            let more = list.len() - (MAX_DIAGNOSTICS - 1);
            list.truncate(MAX_DIAGNOSTICS - 1);
            let at = list.last().map(|last| last.at).unwrap_or_default();
            list.push(Diagnostic::new(at, format!("and {more} more, not shown here")));
        }
        Self {
            file: file.into(),
            source: source.into(),
            list,
        }
    }
}

/// For each: `file:14:9: message; what to do`, the source line, and a caret under the place.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lines(&self.source);
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            let Location { line, column, .. } = diagnostic.at;
            if line == 0 {
                write!(f, "{}: ", self.file)?;
                diagnostic.sentence(f)?;
                continue;
            }
            write!(f, "{}:{line}:{column}: ", self.file)?;
            diagnostic.sentence(f)?;
            let text = lines.get(line as usize - 1).copied().unwrap_or_default();
            let (shown, caret) = excerpt(text, column as usize);
            write!(
                f,
                "\n{line:>5} | {shown}\n      | {caret:>width$}",
                caret = '^',
                width = caret
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The lines as YAML counts them: they end with a line feed, a carriage return, or both.
fn lines(text: &str) -> Vec<&str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
        .collect()
}

/// The part of a line around a column, on one line of a terminal, and where in it the column is (from 1).
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let column = column.max(1);
    let start = if column > SHOWN - 20 { column - SHOWN / 2 } else { 0 };
    let mut shown: String = line
        .chars()
        .skip(start)
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().nth(start + SHOWN).is_some() {
        shown.push('…');
    }
    if start == 0 {
        return (shown, column);
    }
    shown.insert(0, '…');
    (shown, column - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Location {
        Location::new(line, column)
    }

    #[test]
    fn points_at_the_place() {
        let list = vec![
            Diagnostic::new(at(2, 3), "unknown property 'evry' in 'schedule'").with_help("did you mean 'every'?"),
            Diagnostic::new(at(1, 1), "first"),
        ];
        let diagnostics = Diagnostics::new("w.yaml", "schedule:\r\n\tevry: PT1S", list);
        insta::assert_snapshot!(diagnostics.to_string(), @r"
        w.yaml:1:1: first
            1 | schedule:
              | ^

        w.yaml:2:3: unknown property 'evry' in 'schedule'; did you mean 'every'?
            2 |  evry: PT1S
              |   ^
        ");
    }

    #[test]
    fn says_the_line() {
        let diagnostic = Diagnostic::new(at(14, 9), "not supported yet: listen");
        assert_eq!(diagnostic.to_string(), "not supported yet: listen (line 14)");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line = "x".repeat(500);
        let (shown, caret) = excerpt(&line, 300);
        assert!(shown.chars().count() <= SHOWN + 2);
        assert_eq!(caret, SHOWN / 2 + 1);
        let (shown, caret) = excerpt(&line, 7);
        assert!(shown.ends_with('…'));
        assert_eq!(caret, 7);
    }

    #[test]
    fn a_flood_is_cut_off() {
        let list = (1..=250).map(|line| Diagnostic::new(at(line, 1), "wrong")).collect();
        let diagnostics = Diagnostics::new("w.yaml", "", list);
        assert_eq!(diagnostics.list.len(), MAX_DIAGNOSTICS);
        assert_eq!(diagnostics.list[99].message, "and 151 more, not shown here");
    }
}
