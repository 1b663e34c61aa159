//! XHTML to blocks, and what XML readers have in common.

use quick_xml::escape::resolve_html5_entity;
use quick_xml::events::{BytesRef, Event};
use quick_xml::{Reader, XmlVersion};

use crate::blocks::Block;
use crate::error::{Error, Kind};
use crate::limits;

/// The text of a document of a web page's kind.
#[derive(Debug, Default)]
pub struct Page {
    /// Its headings and paragraphs.
    pub blocks: Vec<Block>,
    /// What the document says it is (`epub:type` of its body or of the first section).
    pub kind: Option<String>,
}

/// Elements whose content is no text of the book.
const SKIPPED: &[&str] = &[
    "head", "script", "style", "nav", "svg", "math", "template", "audio", "video",
];

/// Elements that stand within a line.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "q", "ruby", "rb", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var",
    "wbr", "img",
];

/// Reads XHTML the way readers do: what is not well-formed is passed over where that can be done.
///
/// # Errors
/// When it is no XML at all, or nested without end.
pub fn page(text: &str, name: &str) -> Result<Page, Error> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut writer = Writer::default();
    let mut depth = 0_usize;
    let mut skipped: Option<usize> = None;
    loop {
        match reader.read_event().map_err(|e| Error::broken(name, e))? {
            Event::Start(start) => {
                depth += 1;
                if depth > limits::DEPTH {
                    return Err(Error::new(
                        Kind::Broken,
                        format!("{name}: elements are nested more than {} deep", limits::DEPTH),
                    ));
                }
                let tag = local(start.name().as_ref());
                if skipped.is_none() && SKIPPED.contains(&tag.as_str()) {
                    skipped = Some(depth);
                }
                if writer.page.kind.is_none()
                    && let Some(kind) = start.attributes().flatten().find(|a| a.key.as_ref() == "epub:type")
                    && let Ok(kind) = kind.normalized_value(XmlVersion::Explicit1_0)
                {
                    writer.page.kind = Some(kind.into_owned());
                }
                if skipped.is_none() {
                    writer.open(&tag);
                }
            }
            Event::End(end) => {
                if skipped.is_none() {
                    writer.close(&local(end.name().as_ref()));
                }
                if skipped == Some(depth) {
                    skipped = None;
                }
                depth = depth.saturating_sub(1);
            }
            Event::Empty(empty) if skipped.is_none() => {
                let tag = local(empty.name().as_ref());
                writer.open(&tag);
                writer.close(&tag);
            }
            Event::Text(text) if skipped.is_none() => writer.text(&text.html_content()),
            Event::CData(text) if skipped.is_none() => writer.text(&text.html_content()),
            Event::GeneralRef(entity) if skipped.is_none() => writer.text(&resolve(&entity)),
            Event::Eof => return Ok(writer.finish()),
            _ => {}
        }
    }
}

/// The text of `&…;`.
pub fn resolve(entity: &BytesRef<'_>) -> String {
    if let Ok(Some(c)) = entity.resolve_char_ref() {
        return c.to_string();
    }
    let name = entity.html_content();
    resolve_html5_entity(&name).map_or_else(|| format!("&{name};"), str::to_owned)
}

/// A name without its prefix, in small letters.
pub fn local(name: &str) -> String {
    name.rsplit(":").next().unwrap_or(name).to_ascii_lowercase()
}

#[derive(Debug, Default)]
struct Writer {
    page: Page,
    line: String,
    /// Whether the line is within a heading.
    heading: bool,
    /// How many `pre` are open.
    pre: usize,
}

impl Writer {
    fn open(&mut self, tag: &str) {
        match tag {
            "br" => self.line.push('\n'),
            "h1" | "h2" | "h3" => {
                self.flush();
                self.heading = true;
            }
            "pre" => {
                self.flush();
                self.pre += 1;
            }
            "hr" => self.flush(),
            tag if INLINE.contains(&tag) => {}
            _ if self.heading => self.line.push(' '),
            _ => self.flush(),
        }
    }

    fn close(&mut self, tag: &str) {
        match tag {
            "h1" | "h2" | "h3" => {
                self.flush();
                self.heading = false;
            }
            "pre" => {
                self.flush();
                self.pre = self.pre.saturating_sub(1);
            }
            "br" | "hr" => {}
            tag if INLINE.contains(&tag) => {}
            _ if self.heading => self.line.push(' '),
            _ => self.flush(),
        }
    }

    fn text(&mut self, text: &str) {
        if self.pre > 0 {
            self.line.push_str(text);
        } else {
            self.line.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.trim().is_empty() {
            return;
        }
        self.page.blocks.push(if self.heading {
            Block::Heading(line)
        } else {
            Block::Paragraph(line)
        });
    }

    fn finish(mut self) -> Page {
        self.flush();
        self.page
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::page;
    use crate::blocks::Block;

    #[test]
    fn headings_paragraphs_and_verse() {
        let text = "<html><head><title>x</title></head><body epub:type='chapter'><h1>I<br/>The <em>Tarts</em></h1>\
            <p>One&nbsp;&amp; two,\n three &#8212; four.<p>Five<div>six</div><blockquote>se<b>v</b>en<br/>eight</blockquote></body></html>";
        let page = page(text, "x.html").unwrap();
        let p = |text: &str| Block::Paragraph(text.to_owned());
        assert_eq!(page.kind.as_deref(), Some("chapter"));
        assert_eq!(
            page.blocks,
            [
                Block::Heading("I\nThe Tarts".to_owned()),
                p("One\u{a0}& two,  three — four."),
                p("Five"),
                p("six"),
                p("seven\neight")
            ]
        );
    }

    #[test]
    fn nesting_ends() {
        assert!(
            page(&"<div>".repeat(100_000), "x")
                .unwrap_err()
                .reason
                .contains("nested")
        );
    }
}
