//! Which addresses Telegram accepts as links.

use super::entity::EntityKind;

/// What a link to `address` is: a link, a mention of a person, or nothing when the address is not acceptable.
pub(super) fn link(address: &str) -> Option<EntityKind> {
    if let Some(user_id) = user_id(address) {
        return Some(EntityKind::TextMention { user_id });
    }
    checked(address).map(|url| EntityKind::TextLink { url })
}

/// The id in `tg://emoji?id=…`.
pub(super) fn custom_emoji(address: &str) -> Option<String> {
    let id = query_value(address, "emoji", "id")?;
    id.parse::<u64>().ok().filter(|id| *id > 0).map(|id| id.to_string())
}

fn user_id(address: &str) -> Option<i64> {
    query_value(address, "user", "id")?.parse().ok().filter(|id| *id > 0)
}

/// The value of `key` in `tg://host?…`.
fn query_value(address: &str, host: &str, key: &str) -> Option<String> {
    let lower = address.to_lowercase();
    let rest = lower.strip_prefix("tg:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let rest = rest.strip_prefix(host)?;
    let query = rest.strip_prefix('/').unwrap_or(rest).strip_prefix('?')?;
    let query = query.split('#').next().unwrap_or_default();
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
}

/// `tg:`, `http:` and `https:` addresses; without a scheme `http:` is meant, and the host needs a dot.
fn checked(address: &str) -> Option<String> {
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let lower = address.to_lowercase();
    if let Some(rest) = lower.strip_prefix("tg:") {
        let host = rest.strip_prefix("//").unwrap_or(rest);
        let name = host.split(['/', '?', '#']).next().unwrap_or_default();
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        return valid.then(|| format!("tg://{}", &address[address.len() - host.len()..]));
    }
    let (scheme, rest) = match (lower.strip_prefix("https://"), lower.strip_prefix("http://")) {
        (Some(rest), _) => ("https", rest),
        (_, Some(rest)) => ("http", rest),
        _ if lower.contains("://") => return None,
        _ => ("http", lower.as_str()),
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(authority_end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = host
        .split_once(':')
        .map_or((host, None), |(host, port)| (host, Some(port)));
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    let valid = host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains("..");
    if !valid
        || !host
            .chars()
            .all(|c| c.is_alphanumeric() || c == '.' || c == '-' || c == '_')
    {
        return None;
    }
    let path = address
        .get(address.len() - (rest.len() - authority_end)..)
        .unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{authority}{slash}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_or_refused() {
        for (address, expected) in [
            ("https://example.com", Some("https://example.com/")),
            ("example.com/a?b=c#d", Some("http://example.com/a?b=c#d")),
            ("HTTP://Example.COM/Path", Some("http://example.com/Path")),
            ("http://пример.рф", Some("http://пример.рф/")),
            ("http://example.com:8080/x", Some("http://example.com:8080/x")),
            ("tg://resolve?domain=potok", Some("tg://resolve?domain=potok")),
            ("localhost", None),
            ("ftp://example.com", None),
            ("http://a b.com", None),
            ("http://example.com:port", None),
            ("", None),
        ] {
            let expected = expected.map(|url| EntityKind::TextLink { url: url.to_owned() });
            assert_eq!(link(address), expected, "{address}");
        }
        assert_eq!(link("tg://user?id=42"), Some(EntityKind::TextMention { user_id: 42 }));
        assert_eq!(
            custom_emoji("tg://emoji?id=5368324170671202286").as_deref(),
            Some("5368324170671202286")
        );
    }
}
