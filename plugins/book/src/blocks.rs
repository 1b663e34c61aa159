//! What every format becomes: a stream of headings and paragraphs, and the chapters that it makes.

/// A part of a book with a heading of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// The heading; `None` for a text without chapters.
    pub title: Option<String>,
    /// Paragraphs, separated by blank lines.
    pub text: String,
}

/// A piece of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading; several in a row are one title.
    Heading(String),
    /// A paragraph; the lines of a verse are separated by line breaks.
    Paragraph(String),
}

/// Makes chapters: each begins at a heading. A heading without text, such as a line of a table of contents, makes none.
#[derive(Debug, Default)]
pub struct Chapters {
    done: Vec<Chapter>,
    title: Option<String>,
    paragraphs: Vec<String>,
    /// The headings since the last paragraph.
    headings: Vec<String>,
}

impl Chapters {
    /// Takes the next block.
    pub fn push(&mut self, block: Block) {
        match block {
            Block::Heading(text) => {
                let text = clean(&text, false);
                if !text.is_empty() {
                    self.headings.push(text);
                }
            }
            Block::Paragraph(text) => {
                let text = clean(&text, true);
                if text.is_empty() {
                    return;
                }
                if !self.headings.is_empty() {
                    let title = join_titles(&std::mem::take(&mut self.headings));
                    self.finish_chapter();
                    self.title = Some(title);
                }
                self.paragraphs.push(text);
            }
        }
    }

    /// Forgets headings that no text followed, as those of a table of contents.
    pub fn drop_headings(&mut self) {
        self.headings.clear();
    }

    /// Whether no text came since the last heading, and none before it.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.paragraphs.is_empty()
    }

    /// The chapters.
    pub fn finish(mut self) -> Vec<Chapter> {
        self.finish_chapter();
        self.done
    }

    fn finish_chapter(&mut self) {
        let paragraphs = std::mem::take(&mut self.paragraphs);
        let title = self.title.take();
        if !paragraphs.is_empty() {
            self.done.push(Chapter {
                title,
                text: paragraphs.join("\n\n"),
            });
        }
    }
}

/// `Глава первая` and `Дурное поведение` are `Глава первая. Дурное поведение`. What is there twice is said once.
fn join_titles(parts: &[String]) -> String {
    let mut title = String::new();
    let mut last = "";
    for part in parts {
        if part == last {
            continue;
        }
        if !title.is_empty() {
            title.push_str(if title.ends_with(['.', ':', '!', '?', '…', '—', ',']) {
                " "
            } else {
                ". "
            });
        }
        title.push_str(part);
        last = part;
    }
    title
}

/// One space between words; no soft hyphens and no other characters that are not seen. Line breaks stay when they are wanted.
pub fn clean(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    let mut line = false;
    for c in text.chars() {
        match c {
            '\u{ad}' | '\u{200b}' | '\u{feff}' | '\u{2060}' => {}
            '\n' if lines => line = true,
            c if c.is_whitespace() || c.is_control() => space = true,
            c => {
                if !out.is_empty() {
                    if line {
                        out.push('\n');
                    } else if space {
                        out.push(' ');
                    }
                }
                (line, space) = (false, false);
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Block, Chapters, clean};

    fn chapters(blocks: &[(&str, &str)]) -> Vec<(Option<String>, String)> {
        let mut chapters = Chapters::default();
        for (kind, text) in blocks {
            chapters.push(match *kind {
                "h" => Block::Heading((*text).to_owned()),
                _ => Block::Paragraph((*text).to_owned()),
            });
        }
        chapters.finish().into_iter().map(|c| (c.title, c.text)).collect()
    }

    #[test]
    fn headings_in_a_row_are_one_title() {
        let found = chapters(&[
            ("h", "Глава первая."),
            ("h", " Дурное  поведение"),
            ("p", "Раз."),
            ("p", "Два."),
            ("h", "II"),
            ("p", "Три."),
        ]);
        assert_eq!(
            found,
            [
                (
                    Some("Глава первая. Дурное поведение".to_owned()),
                    "Раз.\n\nДва.".to_owned()
                ),
                (Some("II".to_owned()), "Три.".to_owned())
            ]
        );
    }

    #[test]
    fn a_text_without_headings_is_one_chapter() {
        assert_eq!(
            chapters(&[("p", "a"), ("p", "  "), ("p", "b")]),
            [(None, "a\n\nb".to_owned())]
        );
        assert_eq!(chapters(&[("h", "a")]), []);
    }

    #[test]
    fn spaces_and_what_is_not_seen() {
        assert_eq!(clean("\u{feff} со\u{ad}бака\u{a0}\t бежит \r\n ", true), "собака бежит");
        assert_eq!(clean("a \n\n b", true), "a\nb");
        assert_eq!(clean("a \n b", false), "a b");
    }
}
