//! Which chat is meant: `@name`, or a numeric id as text.

use std::fmt;

use frankenstein::types::ChatId;
use potok_dsl::{ErrorType, Problem};

/// A chat as the Bot API takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Channel {
    /// A public one, by its name without `@`, in lower case: names are the same in any case.
    Public(String),
    /// Any, by its id.
    Id(i64),
}

impl Channel {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| {
            let detail =
                format!("'{text}' is not a channel: {why}. Write @name, or its numeric id such as -1001234567890");
            Problem::new(ErrorType::Validation, "invalid channel", detail)
        };
        if let Some(name) = text.strip_prefix('@') {
            let well_formed = (3..=32).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if well_formed {
                return Ok(Self::Public(name.to_ascii_lowercase()));
            }
            return Err(wrong(
                "a name has 3 to 32 letters, digits and '_', and begins with a letter",
            ));
        }
        match text.parse() {
            Ok(0) => Err(wrong("no chat has the id 0")),
            Ok(id) => Ok(Self::Id(id)),
            Err(_) if text.contains("t.me/") => Err(wrong("it is a link")),
            Err(_) => Err(wrong("it is neither a name with '@' nor a number")),
        }
    }

    /// As the Bot API takes it.
    pub(crate) fn chat_id(&self) -> ChatId {
        match self {
            Self::Public(name) => ChatId::String(format!("@{name}")),
            Self::Id(id) => ChatId::Integer(*id),
        }
    }

    /// Where a message can be read by everyone: in a chat that has a name.
    pub(crate) fn url(&self, username: Option<&str>, message_id: i64) -> Option<String> {
        let name = match self {
            Self::Public(name) => username.unwrap_or(name),
            Self::Id(_) => username?,
        };
        Some(format!("https://t.me/{name}/{message_id}"))
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(name) => write!(f, "@{name}"),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_and_ids() {
        assert_eq!(
            Channel::parse("@Good_News").unwrap(),
            Channel::Public("good_news".to_owned())
        );
        assert_eq!(
            Channel::parse("-1001234567890").unwrap(),
            Channel::Id(-1_001_234_567_890)
        );
        for bad in [
            "",
            "@",
            "@a",
            "news",
            "@1news",
            "@news!",
            "@новости",
            "0",
            "1.5",
            "https://t.me/news",
            "@news/1",
            " @news",
        ] {
            let problem = Channel::parse(bad).unwrap_err();
            assert!(problem.is(ErrorType::Validation), "{bad}");
        }
    }

    #[test]
    fn only_a_named_chat_has_links() {
        assert_eq!(Channel::Id(-100).url(None, 7), None);
        assert_eq!(
            Channel::Id(-100).url(Some("News"), 7).as_deref(),
            Some("https://t.me/News/7")
        );
        assert_eq!(
            Channel::Public("news".into()).url(None, 7).as_deref(),
            Some("https://t.me/news/7")
        );
    }
}
