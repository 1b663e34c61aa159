//! Markdown that a channel can show: what a model writes is read as CommonMark and written anew.
//!
//! What comes out has emphasis, links, code, quotes and lists, and nothing else: a heading becomes a bold line, HTML becomes the text
//! that it is, a picture becomes a link. Every mark is paired, and what only looks like a mark is escaped.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The longest text that is read, in bytes; what is behind it is dropped.
const LONGEST: usize = 64 << 10;

/// Writes a text anew. Writing the result anew gives the same.
#[must_use]
pub fn clean(text: &str) -> String {
    let text = head(text, LONGEST);
    let written = render(text);
    // Marks next to letters can come to mean something else when they are written anew; then none is better than a wrong one.
    if render(&written) == written && squeeze(&plain(&written)) == squeeze(&plain(text)) {
        return written;
    }
    render(&escape_all(&plain(text)))
}

/// The text without marks: a line for each block.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    for event in Parser::new_ext(text, Options::empty()) {
        match event {
            Event::Text(t) | Event::Code(t) | Event::Html(t) | Event::InlineHtml(t) => out.push_str(&t),
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::CodeBlock(_) | Tag::HtmlBlock)
                if !out.is_empty() && !out.ends_with('\n') =>
            {
                out.push('\n');
            }
            _ => {}
        }
    }
    out.trim().to_owned()
}

/// A text without any marks of its own, as markdown that shows it.
#[must_use]
pub fn escape(text: &str) -> String {
    clean(&escape_all(text))
}

/// The length that Telegram counts.
#[must_use]
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The beginning of a text, up to so many bytes.
fn head(text: &str, bytes: usize) -> &str {
    match text
        .char_indices()
        .map(|(i, c)| i + c.len_utf8())
        .take_while(|end| *end <= bytes)
        .last()
    {
        Some(end) => &text[..end],
        None => "",
    }
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape_all(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.chars().flat_map(escaped).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// A character that can be escaped, escaped.
fn escaped(c: char) -> impl Iterator<Item = char> {
    c.is_ascii_punctuation().then_some('\\').into_iter().chain([c])
}

fn render(text: &str) -> String {
    let mut writer = Writer {
        frames: vec![Frame::new(Kind::Document)],
    };
    for event in Parser::new_ext(text, Options::empty()) {
        writer.event(event);
    }
    writer.finish()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Document,
    Quote,
    List(Option<u64>),
    Item,
    Heading,
    Code,
    Html,
}

/// What is open: the blocks in it that are done, and the line that is being written.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    blocks: Vec<String>,
    line: String,
    /// Where the links that are open lead.
    links: Vec<String>,
}

impl Frame {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            blocks: Vec::new(),
            line: String::new(),
            links: Vec::new(),
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim();
        if !line.is_empty() {
            self.blocks.push(line.to_owned());
        }
    }
}

struct Writer {
    frames: Vec<Frame>,
}

impl Writer {
    fn top(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::new(Kind::Document));
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if matches!(self.top().kind, Kind::Code | Kind::Html) => self.top().line.push_str(&text),
            Event::Html(text) => self.top().line.push_str(&text),
            Event::Text(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(code) => self.code(&code),
            Event::SoftBreak | Event::HardBreak => {
                let heading = self.top().kind == Kind::Heading;
                self.top().line.push(if heading { ' ' } else { '\n' });
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let kind = match tag {
            Tag::Emphasis => return self.top().line.push('*'),
            Tag::Strong => return self.top().line.push_str("**"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.top().links.push(dest_url.to_string());
                return self.top().line.push('[');
            }
            Tag::BlockQuote(_) => Kind::Quote,
            Tag::List(first) => Kind::List(*first),
            Tag::Item => Kind::Item,
            Tag::Heading { .. } => Kind::Heading,
            Tag::CodeBlock(_) => Kind::Code,
            Tag::HtmlBlock => Kind::Html,
            _ => return self.top().end_line(),
        };
        self.top().end_line();
        self.frames.push(Frame::new(kind));
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis => self.top().line.push('*'),
            TagEnd::Strong => self.top().line.push_str("**"),
            TagEnd::Link | TagEnd::Image => {
                let url = self.top().links.pop().unwrap_or_default();
                let url: String = url
                    .chars()
                    .filter(|c| !c.is_control() && !matches!(c, '<' | '>' | '\\'))
                    .collect();
                self.top().line.push_str(&format!("](<{url}>)"));
            }
            TagEnd::Paragraph => self.top().end_line(),
            TagEnd::BlockQuote(_)
            | TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::Heading(_)
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock => {
                self.close();
            }
            _ => {}
        }
    }

    /// Writes what was open into what it is in.
    fn close(&mut self) {
        let Some(mut frame) = self.frames.pop() else { return };
        let block = match frame.kind {
            Kind::Document => return self.frames.push(frame),
            Kind::Code => fenced(&frame.line),
            Kind::Html => escape_all(&frame.line),
            Kind::Heading => {
                let line = frame.line.trim();
                if line.is_empty() || line.contains(['*', '[', '`']) {
                    line.to_owned()
                } else {
                    format!("**{line}**")
                }
            }
            Kind::Quote => {
                frame.end_line();
                prefixed(&frame.blocks.join("\n\n"), "> ", "> ")
            }
            Kind::Item => {
                frame.end_line();
                frame.blocks.join("\n\n")
            }
            Kind::List(first) => listed(&frame.blocks, first),
        };
        // An item without text stays out, and so does what holds nothing.
        if !block.trim().is_empty() {
            self.top().blocks.push(block);
        }
    }

    fn text(&mut self, text: &str) {
        let line = &mut self.top().line;
        for c in text.chars() {
            let start = line.is_empty() || line.ends_with('\n');
            let counts = matches!(c, '.' | ')') && is_number(line.rsplit('\n').next().unwrap_or_default());
            let mark = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|');
            if mark || counts || (start && matches!(c, '#' | '-' | '+' | '=')) {
                line.push('\\');
            }
            line.push(if c.is_control() { ' ' } else { c });
        }
    }

    fn code(&mut self, code: &str) {
        let ticks = "`".repeat(longest_run(code, '`') + 1);
        let padded = code.starts_with('`') || code.ends_with('`') || (code.starts_with(' ') && code.ends_with(' '));
        let space = if padded && !code.trim().is_empty() { " " } else { "" };
        self.top().line.push_str(&format!("{ticks}{space}{code}{space}{ticks}"));
    }

    fn finish(mut self) -> String {
        while self.frames.len() > 1 {
            self.close();
        }
        self.top().end_line();
        self.top().blocks.join("\n\n")
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn fenced(code: &str) -> String {
    let fence = "`".repeat((longest_run(code, '`') + 1).max(3));
    format!("{fence}\n{}\n{fence}", code.trim_end_matches('\n'))
}

fn listed(items: &[String], first: Option<u64>) -> String {
    let mut lines = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let marker = first.map_or_else(|| "- ".to_owned(), |first| format!("{}. ", first + i as u64));
        lines.push(prefixed(item, &marker, &" ".repeat(marker.len())));
    }
    let loose = items.iter().any(|item| item.contains("\n\n"));
    lines.join(if loose { "\n\n" } else { "\n" })
}

fn prefixed(text: &str, first: &str, rest: &str) -> String {
    let lines = text
        .lines()
        .enumerate()
        .map(|(i, line)| format!("{}{line}", if i == 0 { first } else { rest }));
    lines
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|c| c != wanted).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::{clean, escape, length, plain, squeeze};

    #[test]
    fn what_a_channel_shows_stays() {
        for text in [
            "**Bold** and *italic* and `code`.",
            "> A quote\n> of two lines",
            "- one\n- two\n\nAfter.",
            "3. three\n4. four",
            "[a link](<https://example.org/a_b>)",
            "```\nlet x = *p;\n```",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn what_it_does_not_is_written_otherwise() {
        for (text, expected) in [
            ("# Heading\ntext", "**Heading**\n\ntext"),
            ("__Bold__ and _italic_", "**Bold** and *italic*"),
            ("<b>bold</b> & co", "\\<b\\>bold\\</b\\> \\& co"),
            ("stray ** and _ and [x", "stray \\*\\* and \\_ and \\[x"),
            ("a *b", "a \\*b"),
            ("![picture](http://x/y.png)", "[picture](<http://x/y.png>)"),
            ("one\n\n---\n\ntwo", "one\n\ntwo"),
            ("\\# no heading\n1\\. no list", "\\# no heading\n1\\. no list"),
            ("<div>\nblock\n</div>", "\\<div\\>\n\nblock\n\n\\</div\\>"),
            ("  ", ""),
        ] {
            assert_eq!(clean(text), expected, "{text}");
        }
    }

    #[test]
    fn any_text_can_be_shown_as_it_is() {
        let text = "# 5 * 6 = <30> & `x` [y](z)";
        assert_eq!(plain(&escape(text)), text);
        assert_eq!(length("ab🙂"), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_comes_out_is_clean(text in "([*_`#<>\\[\\]()!&~|\\\\\n -]|[0-9][.)]|[а-яa-z]{1,4}|https://x\\.y|&amp;|\n\n){0,40}") {
            let written = clean(&text);
            prop_assert_eq!(clean(&written), written.clone(), "written anew");
            for event in Parser::new_ext(&written, Options::ENABLE_STRIKETHROUGH) {
                let forbidden = matches!(
                    event,
                    Event::Html(_) | Event::InlineHtml(_) | Event::Rule
                        | Event::Start(Tag::Heading { .. } | Tag::HtmlBlock | Tag::Image { .. } | Tag::Strikethrough)
                );
                prop_assert!(!forbidden, "{event:?} in {written:?}");
            }
            let marks: &[char] = &['\n', ' '];
            prop_assert_eq!(squeeze(&plain(&written)).replace(marks, ""), squeeze(&plain(&text)).replace(marks, ""));
        }
    }
}
