//! `MarkdownV2`: entities nest, and every reserved character outside of markup must be escaped.

use super::cursor::{Cursor, Output};
use super::entity::{EntityKind, Formatted};
use super::links;

/// An entity that was opened and not yet closed.
struct Open {
    kind: Kind,
    /// Where it was opened in the source, in bytes: for errors.
    byte: usize,
    /// Where its text begins in the output, in UTF-16 units and in bytes.
    units: usize,
    text_byte: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Code,
    Pre(Option<String>),
    Link,
    Emoji,
    Quote,
}

impl Kind {
    /// The name that error messages use.
    fn name(&self) -> &'static str {
        match self {
            Self::Bold => "Bold",
            Self::Italic => "Italic",
            Self::Underline => "Underline",
            Self::Strikethrough => "Strikethrough",
            Self::Spoiler => "Spoiler",
            Self::Code => "Code",
            Self::Pre(None) => "Pre",
            Self::Pre(Some(_)) => "PreCode",
            Self::Link => "TextUrl",
            Self::Emoji => "CustomEmoji",
            Self::Quote => "BlockQuote",
        }
    }

    /// What closes it, at the place where the cursor stands.
    fn is_closed_by(&self, rest: &str) -> bool {
        match self {
            Self::Bold => rest.starts_with('*'),
            Self::Italic => rest.starts_with('_') && !rest.starts_with("__"),
            Self::Underline => rest.starts_with("__"),
            Self::Strikethrough => rest.starts_with('~'),
            Self::Spoiler => rest.starts_with("||"),
            Self::Code => rest.starts_with('`'),
            Self::Pre(_) => rest.starts_with("```"),
            Self::Link | Self::Emoji => rest.starts_with(']'),
            Self::Quote => false,
        }
    }

    fn is_code(&self) -> bool {
        matches!(self, Self::Code | Self::Pre(_))
    }
}

/// Parses a source; the error says what is wrong and at which byte.
pub(super) fn parse(source: &str) -> Result<Formatted, String> {
    let mut parser = Parser {
        cursor: Cursor::new(source),
        output: Output::default(),
        open: Vec::new(),
        line_start: true,
    };
    while parser.cursor.peek().is_some() {
        parser.step()?;
    }
    parser.finish()
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    output: Output,
    open: Vec<Open>,
    /// Whether a `>` here would begin a quotation.
    line_start: bool,
}

impl Parser<'_> {
    fn step(&mut self) -> Result<(), String> {
        let rest = self.cursor.rest();
        let Some(c) = self.cursor.peek() else { return Ok(()) };
        if c == '\\'
            && rest[1..]
                .chars()
                .next()
                .is_some_and(|next| next.is_ascii() && next != '\0' && next != '\x7f')
        {
            self.cursor.next();
            if let Some(escaped) = self.cursor.next() {
                self.write(escaped);
            }
            return Ok(());
        }
        let in_code = self.open.last().is_some_and(|open| open.kind.is_code());
        let reserved = if in_code { "`" } else { "_*[]()~`>#+-=|{}.!\n" };
        if !reserved.contains(c) {
            self.cursor.next();
            self.write(c);
            return Ok(());
        }
        if c == '\n' && self.in_quote() && !rest[1..].starts_with('>') {
            return self.end_quote();
        }
        if self.open.last().is_some_and(|open| open.kind.is_closed_by(rest)) {
            return self.close();
        }
        self.begin(c)
    }

    fn write(&mut self, c: char) {
        self.output.push(c);
        if c != '\r' {
            self.line_start = c == '\n';
        }
    }

    fn in_quote(&self) -> bool {
        self.open.iter().any(|open| open.kind == Kind::Quote)
    }

    fn begin(&mut self, c: char) -> Result<(), String> {
        let byte = self.cursor.at();
        let kind = match c {
            '\n' => {
                self.cursor.next();
                self.write('\n');
                return Ok(());
            }
            '>' if self.line_start => {
                self.cursor.next();
                if self.in_quote() {
                    return Ok(());
                }
                Kind::Quote
            }
            '_' if self.cursor.eat("__") => Kind::Underline,
            '_' if self.cursor.eat("_") => Kind::Italic,
            '*' if self.cursor.eat("*") => Kind::Bold,
            '~' if self.cursor.eat("~") => Kind::Strikethrough,
            '|' if self.cursor.eat("||") => Kind::Spoiler,
            '[' if self.cursor.eat("[") => Kind::Link,
            '!' if self.cursor.eat("![") => Kind::Emoji,
            '`' if self.cursor.eat("```") => Kind::Pre(self.cursor.code_block_language()),
            '`' if self.cursor.eat("`") => Kind::Code,
            _ => {
                return Err(format!(
                    "Character '{c}' is reserved and must be escaped with the preceding '\\'"
                ));
            }
        };
        self.open.push(Open {
            kind,
            byte,
            units: self.output.units(),
            text_byte: self.output.text.len(),
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.kind {
            Kind::Bold => self.closed(1, EntityKind::Bold),
            Kind::Italic => self.closed(1, EntityKind::Italic),
            Kind::Strikethrough => self.closed(1, EntityKind::Strikethrough),
            Kind::Code => self.closed(1, EntityKind::Code),
            Kind::Underline => self.closed(2, EntityKind::Underline),
            Kind::Spoiler => self.closed(2, EntityKind::Spoiler),
            Kind::Pre(language) => self.closed(3, EntityKind::Pre { language }),
            Kind::Link => {
                self.cursor.next();
                let address = match self.address()? {
                    Some(address) => address,
                    None => self.output.text[open.text_byte..].to_owned(),
                };
                links::link(&address)
            }
            Kind::Emoji => {
                self.cursor.next();
                let Some(address) = self.address()? else {
                    return Err("The entity must contain a tg://emoji or tg://time URL".to_owned());
                };
                let custom_emoji_id = links::custom_emoji(&address)
                    .ok_or_else(|| "Invalid tg://emoji or tg://time URL specified".to_owned())?;
                Some(EntityKind::CustomEmoji { custom_emoji_id })
            }
            Kind::Quote => None,
        };
        if let Some(kind) = kind {
            self.output.mark(kind, open.units);
        }
        Ok(())
    }

    fn closed(&mut self, marks: usize, kind: EntityKind) -> Option<EntityKind> {
        for _ in 0..marks {
            self.cursor.next();
        }
        Some(kind)
    }

    /// The `(address)` after a `]`, with escapes resolved.
    fn address(&mut self) -> Result<Option<String>, String> {
        if !self.cursor.eat("(") {
            return Ok(None);
        }
        let begin = self.cursor.at();
        let mut address = String::new();
        while let Some(c) = self.cursor.next() {
            match c {
                ')' => return Ok(Some(address)),
                '\\' if self.cursor.peek().is_some_and(|next| next.is_ascii()) => address.extend(self.cursor.next()),
                other => address.push(other),
            }
        }
        Err(format!("Can't find end of a URL at byte offset {begin}"))
    }

    /// At a line break that ends the quotation; `||` right before it makes the quotation expandable.
    fn end_quote(&mut self) -> Result<(), String> {
        let expandable = self.drop_trailing_spoiler();
        let Some(open) = self.open.pop() else { return Ok(()) };
        if open.kind != Kind::Quote {
            return Err(unclosed(&open));
        }
        self.cursor.next();
        self.write('\n');
        self.output.mark(quote(expandable), open.units);
        Ok(())
    }

    /// A `||` that was opened by the last characters read is not a spoiler but the mark of an expandable quotation.
    fn drop_trailing_spoiler(&mut self) -> bool {
        let is_mark = self
            .open
            .last()
            .is_some_and(|open| open.kind == Kind::Spoiler && open.units == self.output.units());
        if is_mark {
            self.open.pop();
        }
        is_mark
    }

    fn finish(mut self) -> Result<Formatted, String> {
        if self.in_quote() {
            let expandable = self.drop_trailing_spoiler();
            if self.open.last().is_some_and(|open| open.kind == Kind::Quote)
                && let Some(open) = self.open.pop()
            {
                self.output.mark(quote(expandable), open.units);
            }
        }
        match self.open.last() {
            Some(open) => Err(unclosed(open)),
            None => Ok(self.output.finish()),
        }
    }
}

fn quote(expandable: bool) -> EntityKind {
    if expandable {
        EntityKind::ExpandableBlockquote
    } else {
        EntityKind::Blockquote
    }
}

fn unclosed(open: &Open) -> String {
    format!(
        "Can't find end of {} entity at byte offset {}",
        open.kind.name(),
        open.byte
    )
}
