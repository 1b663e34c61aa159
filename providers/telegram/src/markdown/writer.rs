//! Writes `MarkdownV2`: escapes, marks that never collide, quotations line by line.

use super::Rendered;

/// What must be escaped outside of code and addresses.
const RESERVED: &str = "\\_*[]()~`>#+-=|{}.!";

/// A mark around text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Bold,
    Italic,
    Strikethrough,
}

impl Mark {
    fn sign(self) -> char {
        match self {
            Self::Bold => '*',
            Self::Italic => '_',
            Self::Strikethrough => '~',
        }
    }
}

/// Text in the making.
#[derive(Debug, Default)]
pub(super) struct Writer {
    source: String,
    plain: String,
    /// How often each mark is open: Telegram does not nest a mark in itself, so only the outermost is written.
    depth: [usize; 3],
    /// The mark that the source ends with, when it was closed last: opening it again just goes on, because `_` twice
    /// would be another
    /// mark.
    closed: Option<(Mark, usize)>,
    /// Line breaks that come before whatever is written next.
    breaks: usize,
    /// How many quotations are open: Telegram does not nest them.
    quotes: usize,
    /// Whether the source's current line is empty.
    inside_line: bool,
    /// How many links and images are open: only the outermost is one.
    links: usize,
    /// The address of the outermost link, and where its text begins in the source and in the plain text.
    link: Option<(String, usize, usize)>,
    /// The language of the code block that comes next.
    language: String,
}

impl Writer {
    /// Text as it is to be seen.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => self.line_break(),
                // The Bot API drops it; written, it could stand between a mark and its text.
                '\r' => {}
                c => {
                    self.begin_line();
                    if RESERVED.contains(c) {
                        self.source.push('\\');
                    }
                    self.source.push(c);
                    self.plain.push(c);
                }
            }
        }
    }

    /// Code within a line.
    pub(super) fn code(&mut self, code: &str) {
        self.begin_line();
        self.source.push('`');
        self.escaped(code, "\\`");
        self.source.push('`');
        self.plain.push_str(code);
    }

    /// The language of the next code block, the first word of what stands behind the fence.
    pub(super) fn language(&mut self, info: &str) {
        let word = info.split([' ', ',', '{', '\t']).next().unwrap_or_default();
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-#_.".contains(&b));
        self.language = if plain { word.to_owned() } else { String::new() };
    }

    /// A block of code. In a quotation each line is code of its own, because the quotation is marked at the beginning
    /// of each line.
    pub(super) fn code_block(&mut self, code: &str) {
        let language = std::mem::take(&mut self.language);
        if code.trim().is_empty() {
            return;
        }
        if self.quotes > 0 {
            for (number, line) in code.lines().enumerate() {
                if number > 0 {
                    self.line_break();
                }
                if !line.is_empty() {
                    self.code(line);
                }
            }
            return;
        }
        self.new_line();
        self.begin_line();
        self.source.push_str("```");
        self.source.push_str(&language);
        self.source.push('\n');
        self.escaped(code, "\\`");
        self.source.push_str("```");
        self.plain.push_str(code);
    }

    /// Line breaks before whatever comes next.
    pub(super) fn breaks(&mut self, count: usize) {
        self.breaks = self.breaks.max(count);
    }

    pub(super) fn open(&mut self, mark: Mark) {
        self.depth[mark as usize] += 1;
        if self.depth[mark as usize] > 1 {
            return;
        }
        self.begin_line();
        if self.closed == Some((mark, self.source.len())) {
            self.source.pop();
            return;
        }
        self.source.push(mark.sign());
    }

    pub(super) fn close(&mut self, mark: Mark) {
        self.depth[mark as usize] = self.depth[mark as usize].saturating_sub(1);
        if self.depth[mark as usize] > 0 {
            return;
        }
        self.begin_line();
        self.source.push(mark.sign());
        self.closed = Some((mark, self.source.len()));
    }

    pub(super) fn begin_link(&mut self, address: &str) {
        self.links += 1;
        if self.links > 1 {
            return;
        }
        self.begin_line();
        self.source.push('[');
        self.link = Some((address.to_owned(), self.source.len(), self.plain.len()));
    }

    pub(super) fn end_link(&mut self) {
        self.links = self.links.saturating_sub(1);
        if self.links > 0 {
            return;
        }
        let Some((address, source, plain)) = self.link.take() else {
            return;
        };
        if self.plain.len() == plain {
            self.text(&address);
        }
        if address.trim().is_empty() {
            // There is nowhere to go: what was opened is no link.
            self.source.remove(source - 1);
            return;
        }
        self.source.push_str("](");
        self.escaped(&address.replace(['\r', '\n'], ""), "\\)");
        self.source.push(')');
    }

    pub(super) fn begin_quote(&mut self) {
        self.flush();
        self.quotes += 1;
        if self.quotes == 1 {
            self.new_line();
        }
    }

    pub(super) fn end_quote(&mut self) {
        self.quotes = self.quotes.saturating_sub(1);
        self.breaks = self.breaks.max(1);
    }

    pub(super) fn finish(self) -> Rendered {
        Rendered {
            source: self.source,
            plain: self.plain,
        }
    }

    /// What comes next is in the line: the breaks before it are written, and the sign of a quotation.
    fn begin_line(&mut self) {
        self.flush();
        if !self.inside_line && self.quotes > 0 {
            self.source.push('>');
        }
        self.inside_line = true;
    }

    fn flush(&mut self) {
        for _ in 0..std::mem::take(&mut self.breaks) {
            self.line_break();
        }
    }

    fn line_break(&mut self) {
        self.flush();
        if !self.inside_line && self.quotes > 0 {
            self.source.push('>');
        }
        self.source.push('\n');
        self.plain.push('\n');
        self.inside_line = false;
    }

    /// Ends the line if there is anything in it.
    fn new_line(&mut self) {
        self.flush();
        if self.inside_line {
            let quotes = std::mem::take(&mut self.quotes);
            self.line_break();
            self.quotes = quotes;
        }
    }

    fn escaped(&mut self, text: &str, reserved: &str) {
        for c in text.chars() {
            if reserved.contains(c) {
                self.source.push('\\');
            }
            self.source.push(c);
        }
    }
}
