//! Entities that Telegram finds by itself: addresses, mail, mentions, hash tags, cash tags, commands.

use super::entity::{Entity, EntityKind};

/// Finds them in a plain text, in order, without overlaps.
pub(super) fn entities(text: &str) -> Vec<Entity> {
    let mut found = Vec::new();
    let mut units = 0;
    let mut before = ' ';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((kind, bytes)) = at(rest, c, before) {
            let (piece, after) = rest.split_at(bytes);
            let length: usize = piece.chars().map(char::len_utf16).sum();
            found.push(Entity::new(kind, units, length));
            units += length;
            before = piece.chars().next_back().unwrap_or(' ');
            rest = after;
        } else {
            units += c.len_utf16();
            before = c;
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// What begins at the start of `rest`, and how many bytes it takes.
fn at(rest: &str, c: char, before: char) -> Option<(EntityKind, usize)> {
    let in_word = before.is_alphanumeric() || before == '_';
    match c {
        '@' if !in_word => {
            let name = run(&rest[1..], |c| c.is_ascii_alphanumeric() || c == '_');
            ((3..=32).contains(&name)).then_some((EntityKind::Mention, 1 + name))
        }
        '#' if !in_word => {
            let tag = run(&rest[1..], |c| {
                c.is_alphanumeric() || c == '_' || c == '\u{200c}' || c == '·'
            });
            let tag_text = &rest[1..=tag];
            let valid = tag_text.chars().any(|c| !c.is_numeric()) && tag_text.chars().count() <= 256;
            valid.then_some((EntityKind::Hashtag, 1 + tag))
        }
        '$' if !in_word && before != '$' => {
            let tag = run(&rest[1..], |c| c.is_ascii_uppercase());
            let ends = !rest[1 + tag..].starts_with(|c: char| c.is_alphanumeric() || c == '$' || c == '_');
            ((1..=8).contains(&tag) && ends).then_some((EntityKind::Cashtag, 1 + tag))
        }
        '/' if !in_word && !"/<>".contains(before) => {
            let command = run(&rest[1..], |c| c.is_ascii_alphanumeric() || c == '_');
            let ends = !rest[1 + command..].starts_with(['/', '<', '>']);
            ((1..=64).contains(&command) && ends).then_some((EntityKind::BotCommand, 1 + command))
        }
        _ if !in_word => web_address(rest).or_else(|| mail(rest)),
        _ => None,
    }
}

fn run(text: &str, pleases: impl Fn(char) -> bool) -> usize {
    text.find(|c| !pleases(c)).unwrap_or(text.len())
}

fn web_address(rest: &str) -> Option<(EntityKind, usize)> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| {
        rest.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })?;
    let end = run(rest, |c| !c.is_whitespace() && !"<>\"«»".contains(c));
    let address = rest[..end].trim_end_matches(['.', ',', ':', ';', '!', '?', '\'', '…', '—']);
    let address = trim_unopened(address);
    let host = &address.get(scheme.len()..)?;
    let host = host.split(['/', '?', '#', ':']).next()?;
    let valid = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
    valid.then_some((EntityKind::Url, address.len()))
}

/// A bracket that was opened before the address does not belong to it.
fn trim_unopened(address: &str) -> &str {
    let mut address = address;
    for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
        while address.ends_with(close) && address.matches(close).count() > address.matches(open).count() {
            address = &address[..address.len() - close.len_utf8()];
        }
    }
    address
}

fn mail(rest: &str) -> Option<(EntityKind, usize)> {
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let name = run(rest, |c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    let domain = rest[name..].strip_prefix('@')?;
    let end = run(domain, |c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    let domain = domain[..end].trim_end_matches(['.', '-']);
    let (_, zone) = domain.rsplit_once('.')?;
    let valid = name <= 64 && zone.len() >= 2 && zone.chars().all(|c| c.is_ascii_alphabetic());
    valid.then_some((EntityKind::Email, name + 1 + domain.len()))
}
