//! CommonMark as Telegram's `MarkdownV2`, escaped so that no text can make the Bot API refuse it.
//!
//! Telegram has no headings, lists, rules or images: a heading becomes bold, a list item begins with a bullet or its
//! number, a rule is a
//! dash, an image is a link. HTML is shown as the text that it is. Line breaks stay where they were written. Text and
//! escapes
//! are written by one writer ([`writer`]), which also keeps the plain text that people will see: Telegram's limit is
//! on that.

mod writer;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use writer::{Mark, Writer};

/// A text in `MarkdownV2`, and what people see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) source: String,
    pub(crate) plain: String,
}

/// Renders a CommonMark text (with `~~strikethrough~~`).
pub(crate) fn to_markdown_v2(text: &str) -> Rendered {
    let mut renderer = Renderer {
        text,
        writer: Writer::default(),
        lists: Vec::new(),
        block: None,
        fresh: true,
    };
    for (event, range) in Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH).into_offset_iter() {
        renderer.event(event, range.start);
    }
    renderer.writer.finish()
}

struct Renderer<'a> {
    text: &'a str,
    writer: Writer,
    /// The lists that are open, with the number of the next item of those that count.
    lists: Vec<Option<u64>>,
    /// The block whose text is collected before it is written: code, or HTML.
    block: Option<String>,
    /// Whether nothing stands before the next block: at the beginning, and right after a bullet.
    fresh: bool,
}

impl Renderer<'_> {
    fn event(&mut self, event: Event<'_>, at: usize) {
        match event {
            Event::Start(tag) => self.start(tag, at),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => match &mut self.block {
                Some(block) => block.push_str(&text),
                None => self.write(&text),
            },
            Event::Code(code) => {
                self.fresh = false;
                self.writer.code(&code);
            }
            Event::SoftBreak | Event::HardBreak => self.write("\n"),
            Event::Rule => {
                self.begin_block(at);
                self.write("———");
            }
            // These come only with options that are not set.
            Event::FootnoteReference(_) | Event::TaskListMarker(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, at: usize) {
        match tag {
            Tag::Paragraph => self.begin_block(at),
            Tag::Heading { .. } => {
                self.begin_block(at);
                self.writer.open(Mark::Bold);
            }
            Tag::BlockQuote(_) => {
                self.begin_block(at);
                self.writer.begin_quote();
                self.fresh = true;
            }
            Tag::CodeBlock(_) | Tag::HtmlBlock => {
                self.begin_block(at);
                self.block = Some(String::new());
                if let Tag::CodeBlock(CodeBlockKind::Fenced(info)) = tag {
                    self.writer.language(&info);
                }
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.begin_block(at);
                }
                self.lists.push(first);
            }
            Tag::Item => self.begin_item(at),
            Tag::Emphasis => self.writer.open(Mark::Italic),
            Tag::Strong => self.writer.open(Mark::Bold),
            Tag::Strikethrough => self.writer.open(Mark::Strikethrough),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.fresh = false;
                self.writer.begin_link(&dest_url);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.writer.close(Mark::Bold),
            TagEnd::BlockQuote(_) => {
                self.writer.end_quote();
                self.fresh = false;
            }
            TagEnd::CodeBlock => {
                let block = self.block.take().unwrap_or_default();
                self.fresh = false;
                self.writer.code_block(block.trim_end_matches('\n'));
            }
            TagEnd::HtmlBlock => {
                let block = self.block.take().unwrap_or_default();
                self.write(block.trim_end_matches('\n'));
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Item => self.fresh = false,
            TagEnd::Emphasis => self.writer.close(Mark::Italic),
            TagEnd::Strong => self.writer.close(Mark::Bold),
            TagEnd::Strikethrough => self.writer.close(Mark::Strikethrough),
            TagEnd::Link | TagEnd::Image => self.writer.end_link(),
            _ => {}
        }
    }

    fn write(&mut self, text: &str) {
        self.fresh = false;
        self.writer.text(text);
    }

    /// Separates a block from what stands before it as the source does: by a line break, or by an empty line.
    fn begin_block(&mut self, at: usize) {
        if std::mem::replace(&mut self.fresh, true) {
            return;
        }
        let gap = self.text[..at]
            .bytes()
            .rev()
            .take_while(|b| matches!(b, b' ' | b'\t' | b'>' | b'\r' | b'\n'));
        let lines = gap.filter(|b| *b == b'\n').count();
        self.writer.breaks(lines.clamp(1, 2));
    }

    fn begin_item(&mut self, at: usize) {
        self.begin_block(at);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(8));
        let bullet = match self.lists.last_mut() {
            Some(Some(number)) => {
                let bullet = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                bullet
            }
            _ => format!("{indent}• "),
        };
        self.write(&bullet);
        self.fresh = true;
    }
}

#[cfg(test)]
mod tests;
