//! Reading a source character by character while writing the plain text: what the three parsers share.

use super::entity::{Entity, EntityKind, Formatted, sort};

/// A place in the source.
pub(super) struct Cursor<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, at: 0 }
    }

    /// Where we are, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Steps over `prefix` if it is next.
    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    /// Takes characters as long as they please.
    pub(super) fn take_while(&mut self, pleases: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !pleases(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The opening of a ``` block: its language, if it has one, and the line break after it are stepped over.
    pub(super) fn code_block_language(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '`')
            .unwrap_or(rest.len());
        let language = &rest[..length];
        let is_language = length > 0 && rest[length..].chars().next().is_some_and(|c| c != '`');
        if is_language {
            self.at += length;
        }
        if !self.eat("\r\n") && !self.eat("\n\r") && !self.eat("\n") {
            self.eat("\r");
        }
        is_language.then(|| language.to_owned())
    }
}

/// The plain text as it grows.
#[derive(Default)]
pub(super) struct Output {
    pub(super) text: String,
    units: usize,
    entities: Vec<Entity>,
}

impl Output {
    pub(super) fn push(&mut self, c: char) {
        self.text.push(c);
        self.units += c.len_utf16();
    }

    /// How much there is, in UTF-16 units.
    pub(super) fn units(&self) -> usize {
        self.units
    }

    /// Everything since `offset` is `kind`; nothing since then is nothing.
    pub(super) fn mark(&mut self, kind: EntityKind, offset: usize) {
        if self.units > offset {
            self.entities.push(Entity::new(kind, offset, self.units - offset));
        }
    }

    /// The entity that was marked last, for those that are refined by what follows (`<pre><code class=…>`).
    pub(super) fn last_mark(&mut self) -> Option<&mut Entity> {
        self.entities.last_mut()
    }

    pub(super) fn finish(mut self) -> Formatted {
        sort(&mut self.entities);
        Formatted {
            text: self.text,
            entities: self.entities,
        }
    }
}
