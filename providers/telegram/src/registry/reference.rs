//! How people name a channel: by a link, a name, an invite link or an id.

use potok_dsl::Problem;

use super::refusal;
use crate::channel::Channel;

/// What Telegram's channels have before their number where the Bot API writes it.
const CHANNEL_BASE: i64 = -1_000_000_000_000;

/// The servers of links.
const HOSTS: [&str; 3] = ["t.me/", "telegram.me/", "telegram.dog/"];

/// A channel as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// One that a bot can ask for.
    Known(Channel),
    /// An invite link, in one spelling. It does not say which channel it leads to.
    Invite(String),
}

impl Reference {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("tg://") {
            return parameter(rest, "resolve?domain=")
                .map(|name| named(name, text))
                .or_else(|| parameter(rest, "join?invite=").map(|hash| invite(hash, text)))
                .unwrap_or_else(|| Err(wrong(text)));
        }
        match link(text) {
            Some(path) => from_link(path, text),
            None => match text.parse::<i64>() {
                Ok(id) => by_id(id, text),
                Err(_) => known(text, text),
            },
        }
    }
}

/// What stands after the server of a link.
fn link(text: &str) -> Option<&str> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let rest = rest.strip_prefix("www.").unwrap_or(rest);
    HOSTS.iter().find_map(|host| rest.strip_prefix(host))
}

fn parameter<'a>(rest: &'a str, prefix: &str) -> Option<&'a str> {
    Some(rest.strip_prefix(prefix)?.split('&').next().unwrap_or_default())
}

fn from_link(path: &str, text: &str) -> Result<Reference, Problem> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some("joinchat"), Some(hash)) => invite(hash, text),
        // A link to a post of a private channel.
        (Some("c"), Some(number)) => number.parse().map_err(|_| wrong(text)).and_then(|id| by_id(id, text)),
        // The page that shows a channel to those without an account.
        (Some("s"), Some(name)) => named(name, text),
        (Some(first), _) => match first.strip_prefix('+') {
            Some(hash) => invite(hash, text),
            None => named(first, text),
        },
        (None, _) => Err(wrong(text)),
    }
}

/// A number: as the Bot API writes it, or, above zero, as all others do.
fn by_id(id: i64, text: &str) -> Result<Reference, Problem> {
    let id = if id > 0 { CHANNEL_BASE.checked_sub(id) } else { Some(id) };
    let id = id.ok_or_else(|| wrong(text))?;
    known(&id.to_string(), text)
}

fn named(name: &str, text: &str) -> Result<Reference, Problem> {
    known(&format!("@{name}"), text)
}

fn known(channel: &str, text: &str) -> Result<Reference, Problem> {
    Channel::parse(channel).map(Reference::Known).map_err(|_| wrong(text))
}

fn invite(hash: &str, text: &str) -> Result<Reference, Problem> {
    let well_formed = (1..=64).contains(&hash.len())
        && hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if well_formed {
        Ok(Reference::Invite(format!("https://t.me/+{hash}")))
    } else {
        Err(wrong(text))
    }
}

fn wrong(text: &str) -> Problem {
    let shown: String = text.chars().take(100).collect();
    refusal(
        400,
        "invalid channel",
        format!(
            "'{shown}' names no channel: write @name, https://t.me/name, an invite link, or its numeric id such as -1001234567890"
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_links_invitations_and_ids() {
        let public = Reference::Known(Channel::Public("good_news".to_owned()));
        for text in [
            "@Good_News",
            "https://t.me/good_news",
            "t.me/good_news/17?single",
            "http://telegram.me/Good_News",
            "https://t.me/s/good_news",
            "tg://resolve?domain=good_news&post=3",
            " https://www.t.me/good_news/ ",
        ] {
            assert_eq!(Reference::parse(text).unwrap(), public, "{text}");
        }
        let private = Reference::Known(Channel::Id(-1_001_234_567_890));
        for text in ["-1001234567890", "1234567890", "https://t.me/c/1234567890/5"] {
            assert_eq!(Reference::parse(text).unwrap(), private, "{text}");
        }
        for text in [
            "https://t.me/+AbC_d-1",
            "t.me/joinchat/AbC_d-1",
            "tg://join?invite=AbC_d-1",
        ] {
            let invitation = Reference::Invite("https://t.me/+AbC_d-1".to_owned());
            assert_eq!(Reference::parse(text).unwrap(), invitation, "{text}");
        }
        for text in [
            "",
            "news",
            "0",
            "https://t.me/",
            "https://example.com/news",
            "t.me/c/x",
            "t.me/+",
            "tg://x",
            "t.me/+a b",
        ] {
            assert_eq!(Reference::parse(text).unwrap_err().status, 400, "{text}");
        }
        Reference::parse(&i64::MAX.to_string()).unwrap_err();
        Reference::parse(&i64::MIN.to_string()).unwrap();
    }
}
