//! A text that may be sent: looked at before anything is recorded, so that what can never be sent leaves no trace.

use frankenstein::ParseMode;
use potok_dsl::{ErrorType, Problem};
use serde::{Deserialize, Serialize};

use crate::markdown;

/// The longest message, in UTF-16 units of what people see.
const MAX_UNITS: usize = 4096;

/// The longest source that the Bot API parses, in bytes.
const MAX_SOURCE: usize = 1 << 15;

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// CommonMark.
    #[default]
    Markdown,
    /// As it is.
    Plain,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Plain => "plain",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Markdown, Self::Plain]
            .into_iter()
            .find(|format| format.name() == name)
    }
}

/// A text as the Bot API takes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) parse_mode: Option<ParseMode>,
}

impl Message {
    pub(crate) fn new(content: &str, format: Format) -> Result<Self, Problem> {
        let wrong = |title: &str, detail: String| Err(Problem::new(ErrorType::Validation, title, detail));
        if content.len() > MAX_SOURCE {
            return wrong(
                "text too long",
                format!("the text has {} bytes; Telegram takes {MAX_SOURCE}", content.len()),
            );
        }
        let (source, seen, parse_mode) = match format {
            Format::Plain => (content.to_owned(), content.to_owned(), None),
            Format::Markdown => {
                let rendered = markdown::to_markdown_v2(content);
                (rendered.source, rendered.plain, Some(ParseMode::MarkdownV2))
            }
        };
        if seen.trim().is_empty() {
            return wrong(
                "empty text",
                "there is nothing to post: the text shows nothing".to_owned(),
            );
        }
        let units = seen.encode_utf16().count();
        if units > MAX_UNITS {
            let detail = format!("the text has {units} UTF-16 units; Telegram takes {MAX_UNITS}. Shorten or split it");
            return wrong("text too long", detail);
        }
        if source.len() > MAX_SOURCE {
            let detail = format!(
                "the text with its markup has {} bytes; Telegram takes {MAX_SOURCE}",
                source.len()
            );
            return wrong("text too long", detail);
        }
        Ok(Self {
            text: source,
            parse_mode,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn what_shows_nothing_or_too_much_is_refused() {
        for format in [Format::Markdown, Format::Plain] {
            for (text, fits) in [
                ("", false),
                (" \n\t", false),
                (&"я".repeat(4096), true),
                (&"я".repeat(4097), false),
                (&"😀".repeat(2048), true),
                (&"😀".repeat(2049), false),
                (&" ".repeat(40_000), false),
            ] {
                let result = Message::new(text, format);
                assert_eq!(
                    result.is_ok(),
                    fits,
                    "{format:?} {}",
                    text.chars().take(3).collect::<String>()
                );
            }
        }
        assert!(Message::new("[a]: https://example.com", Format::Markdown).is_err());
        assert!(Message::new("[a]: https://example.com", Format::Plain).is_ok());
    }

    #[test]
    fn what_counts_is_what_people_see() {
        let marked = format!("**{}**", "a".repeat(4096));
        assert!(Message::new(&marked, Format::Markdown).is_ok());
        assert!(Message::new(&marked, Format::Plain).is_err());
    }
}
