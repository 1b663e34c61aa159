//! Entities: what a stretch of a message's text is.

use serde::{Deserialize, Serialize};

/// A text and its entities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formatted {
    /// The characters, without markup.
    pub text: String,
    /// Sorted by offset, longest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
}

/// A stretch of text that is something: bold, a link, a mention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Where it begins, in UTF-16 units.
    pub offset: usize,
    /// How long it is, in UTF-16 units.
    pub length: usize,
    /// What it is.
    #[serde(flatten)]
    pub kind: EntityKind,
}

/// What an entity is, named as in the Bot API's `MessageEntity.type`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum EntityKind {
    Mention,
    Hashtag,
    Cashtag,
    BotCommand,
    Url,
    Email,
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Blockquote,
    ExpandableBlockquote,
    Code,
    Pre {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    TextLink {
        url: String,
    },
    TextMention {
        user_id: i64,
    },
    CustomEmoji {
        custom_emoji_id: String,
    },
}

impl Entity {
    pub(super) fn new(kind: EntityKind, offset: usize, length: usize) -> Self {
        Self { offset, length, kind }
    }

    pub(super) fn end(&self) -> usize {
        self.offset + self.length
    }
}

impl EntityKind {
    /// Styles that may be cut into pieces, so that everything nests.
    pub(super) fn is_style(&self) -> bool {
        matches!(
            self,
            Self::Bold | Self::Italic | Self::Underline | Self::Strikethrough | Self::Spoiler
        )
    }

    pub(super) fn is_quote(&self) -> bool {
        matches!(self, Self::Blockquote | Self::ExpandableBlockquote)
    }

    pub(super) fn is_code(&self) -> bool {
        matches!(self, Self::Code | Self::Pre { .. })
    }

    /// Which comes first among entities of the same place: the outer one.
    fn rank(&self) -> u8 {
        match self {
            Self::Blockquote | Self::ExpandableBlockquote => 0,
            Self::Bold | Self::Italic | Self::Underline | Self::Strikethrough | Self::Spoiler => 2,
            Self::CustomEmoji { .. } => 3,
            _ => 1,
        }
    }
}

/// Sorts by offset, then longest first, then outermost kind first.
pub(super) fn sort(entities: &mut [Entity]) {
    entities.sort_by(|a, b| {
        (a.offset, std::cmp::Reverse(a.length), a.kind.rank())
            .cmp(&(b.offset, std::cmp::Reverse(b.length), b.kind.rank()))
            .then_with(|| a.kind.cmp(&b.kind))
    });
}

/// The length of a text in UTF-16 units, the unit in which Telegram counts.
pub fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
