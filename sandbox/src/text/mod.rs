//! Message text as Telegram understands it: characters, and entities that point into them in UTF-16 units.
//!
//! The way in is [`format`]: a text with its parse mode (or its explicit entities) becomes a [`Formatted`], or is refused
//! with the words of the Bot API. The rules are those of the public Bot API server (`parse_markdown`,
//! `parse_markdown_v2`, `parse_html` and `fix_formatted_text` of TDLib). This room knows no chat and no HTTP.
//!
//! Deliberately absent: bare domains (`example.com`) are not turned into links, only `http://` and `https://` addresses
//! are; phone and bank card numbers are not looked for.

mod cleanup;
mod cursor;
mod entity;
mod find;
mod html;
mod links;
mod markdown;
mod markdown_v2;
mod normal;

pub use entity::{Entity, EntityKind, Formatted, utf16_len};

/// The longest text of one message, in UTF-16 units, counted after parsing.
pub const MAX_MESSAGE_UNITS: usize = 4096;

/// The most entities of one message; further ones are plain text.
pub const MAX_ENTITIES: usize = 100;

/// The longest text that is looked at before parsing, in bytes.
const MAX_SOURCE_BYTES: usize = 1 << 15;

/// Why a text was refused. The message is what the Bot API says after `Bad Request: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// There is no text at all.
    #[error("message text is empty")]
    Empty,
    /// Nothing but white space was left.
    #[error("text must be non-empty")]
    Blank,
    /// Over 32 KiB of source.
    #[error("text is too long")]
    SourceTooLong,
    /// Over [`MAX_MESSAGE_UNITS`] after parsing.
    #[error("message is too long")]
    TooLong,
    /// A parse mode that does not exist.
    #[error("unsupported parse_mode")]
    UnknownParseMode,
    /// The markup is invalid; the text says where, in bytes of the source.
    #[error("can't parse entities: {0}")]
    Markup(String),
    /// An entity of the `entities` parameter points outside the text or into the middle of a character.
    #[error("{0}")]
    Entity(String),
}

/// How a text is marked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseMode {
    /// Not at all.
    Plain,
    /// The old `Markdown`, without nesting.
    Markdown,
    /// `MarkdownV2`.
    MarkdownV2,
    /// `HTML`.
    Html,
}

impl ParseMode {
    /// Reads the value of a `parse_mode` parameter; case does not matter.
    pub fn from_parameter(value: &str) -> Result<Self, TextError> {
        match value.to_lowercase().as_str() {
            "" | "none" => Ok(Self::Plain),
            "markdown" => Ok(Self::Markdown),
            "markdownv2" => Ok(Self::MarkdownV2),
            "html" => Ok(Self::Html),
            _ => Err(TextError::UnknownParseMode),
        }
    }
}

/// Turns a text and its markup into what a channel shows.
///
/// `explicit` are the entities that the caller gave beside the text; they count only for [`ParseMode::Plain`], as in the
/// Bot API.
pub fn format(source: &str, mode: ParseMode, explicit: Vec<Entity>) -> Result<Formatted, TextError> {
    if source.is_empty() {
        return Err(TextError::Empty);
    }
    if source.len() > MAX_SOURCE_BYTES {
        return Err(TextError::SourceTooLong);
    }
    let parsed = match mode {
        ParseMode::Plain => Formatted {
            text: source.to_owned(),
            entities: explicit,
        },
        ParseMode::Markdown => markdown::parse(source).map_err(TextError::Markup)?,
        ParseMode::MarkdownV2 => markdown_v2::parse(source).map_err(TextError::Markup)?,
        ParseMode::Html => html::parse(source).map_err(TextError::Markup)?,
    };
    let mut message = cleanup::clean(parsed)?;
    message.entities = normal::normalise(message.entities, find::entities(&message.text));
    message.entities.truncate(MAX_ENTITIES);
    if utf16_len(&message.text) > MAX_MESSAGE_UNITS {
        return Err(TextError::TooLong);
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
