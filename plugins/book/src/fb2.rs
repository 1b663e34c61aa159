//! FictionBook 2, plain and zipped.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::Book;
use crate::archive::Archive;
use crate::blocks::{Block, Chapters, clean};
use crate::encoding;
use crate::error::{Error, Kind};
use crate::format::{Format, is_fb2};
use crate::limits;
use crate::markup::{local, resolve};

/// Reads a FB2. What its XML declaration says of the encoding is trusted, unless another one is named.
///
/// # Errors
/// When it is not well-formed, cut off, or in an unknown encoding.
pub fn extract(bytes: &[u8], encoding: Option<&str>) -> Result<Book, Error> {
    let declared = declared_encoding(bytes);
    let (text, encoding) = encoding::decode(bytes, encoding.or(declared.as_deref()))?;
    let mut document = Document::default();
    document.read(&text)?;
    let Document {
        title,
        people,
        language,
        chapters,
        ..
    } = document;
    let names: Vec<String> = people.into_iter().filter_map(some).collect();
    Ok(Book {
        title: some(title),
        author: some(names.join(", ")),
        language: some(language),
        format: Format::Fb2,
        encoding: Some(encoding),
        chapters: chapters.finish(),
    })
}

/// Reads the first FB2 in a ZIP archive.
///
/// # Errors
/// As [`extract`], and when the archive is broken, encrypted or a bomb.
pub fn extract_zip(bytes: &[u8], encoding: Option<&str>) -> Result<Book, Error> {
    let bytes = Archive::open(bytes)?
        .read_first(is_fb2)?
        .ok_or_else(|| Error::new(Kind::Unsupported, "there is no FB2 in the archive"))?;
    Ok(Book {
        format: Format::Fb2Zip,
        ..extract(&bytes, encoding)?
    })
}

/// `encoding="…"` of the XML declaration, for encodings that keep ASCII as it is.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(200)];
    let head: String = head
        .iter()
        .take_while(|b| **b != b'>')
        .map(|b| char::from(*b))
        .collect();
    let rest = &head[head.find("encoding")?..];
    let quote = rest.find(['"', '\''])?;
    let rest = &rest[quote..];
    let name = rest[1..].split(rest.chars().next()?).next()?;
    // A declaration that can be read byte by byte is not in UTF-16, whatever it says.
    (!name.to_ascii_lowercase().starts_with("utf-16")).then(|| name.to_owned())
}

fn some(text: String) -> Option<String> {
    let text = clean(&text, false);
    (!text.is_empty()).then_some(text)
}

/// The mark of a note, `<a type="note">[1]</a>`, as an element of its own.
const NOTE: &str = "note mark";

/// Elements of a body that are no text of the book.
const NO_TEXT: &[&str] = &["annotation", "binary", NOTE];

#[derive(Default)]
struct Document {
    title: String,
    people: Vec<String>,
    language: String,
    chapters: Chapters,
    /// The open elements, outermost first.
    open: Vec<String>,
    /// The text of the paragraph that is being read.
    line: String,
    /// How many bodies began; all but the first are notes.
    bodies: usize,
}

impl Document {
    fn read(&mut self, text: &str) -> Result<(), Error> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().allow_dangling_amp = true;
        loop {
            match reader
                .read_event()
                .map_err(|e| Error::broken("the FB2 is not well-formed", e))?
            {
                Event::Start(start) => {
                    let note = start
                        .attributes()
                        .flatten()
                        .any(|a| a.key.as_ref() == "type" && a.value.as_ref() == "note");
                    self.open(if note {
                        NOTE.to_owned()
                    } else {
                        local(start.name().as_ref())
                    })?;
                }
                Event::Empty(empty) => {
                    let name = local(empty.name().as_ref());
                    if name == "empty-line" {
                        self.paragraph();
                    }
                }
                Event::End(_) => self.close(),
                Event::Text(text) => self.text(&text.xml10_content()),
                Event::CData(text) => self.text(&text.xml10_content()),
                Event::GeneralRef(entity) => self.text(&resolve(&entity)),
                Event::Eof => return self.finish(),
                _ => {}
            }
        }
    }

    fn finish(&self) -> Result<(), Error> {
        match self.open.last() {
            Some(name) => Err(Error::new(Kind::Broken, format!("the FB2 is cut off within <{name}>"))),
            None if self.bodies == 0 => Err(Error::new(Kind::Broken, "the FB2 has no <body>")),
            None => Ok(()),
        }
    }

    fn open(&mut self, name: String) -> Result<(), Error> {
        if self.open.len() >= limits::DEPTH {
            return Err(Error::new(
                Kind::Broken,
                format!("elements are nested more than {} deep", limits::DEPTH),
            ));
        }
        match name.as_str() {
            "body" => self.bodies += 1,
            "author" if self.inside("title-info") => self.people.push(String::new()),
            "p" | "subtitle" | "text-author" | "td" | "th" | "stanza" | "section" | "poem" | "cite" | "epigraph" => {
                self.paragraph();
            }
            _ => {}
        }
        self.open.push(name);
        Ok(())
    }

    fn close(&mut self) {
        match self.open.last().map(String::as_str) {
            Some("v") => self.line.push('\n'),
            Some("p" | "subtitle" | "text-author" | "td" | "th" | "stanza" | "poem" | "date") => self.paragraph(),
            Some("first-name" | "middle-name" | "last-name") if self.inside("author") && self.inside("title-info") => {
                if let Some(name) = self.people.last_mut() {
                    name.push(' ');
                }
            }
            _ => {}
        }
        self.open.pop();
    }

    fn text(&mut self, text: &str) {
        let Some(innermost) = self.open.last().map(String::as_str) else {
            return;
        };
        if self.inside("title-info") && !self.inside("annotation") {
            match innermost {
                "book-title" => self.title.push_str(text),
                "lang" => self.language.push_str(text),
                "first-name" | "middle-name" | "last-name" if self.inside("author") => {
                    if let Some(name) = self.people.last_mut() {
                        name.push_str(text);
                    }
                }
                _ => {}
            }
        }
        if self.in_text() {
            self.line.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
        }
    }

    /// Whether what is read is text of the book, and not of its notes, its annotations or its pictures.
    fn in_text(&self) -> bool {
        self.bodies == 1 && self.inside("body") && !self.open.iter().any(|open| NO_TEXT.contains(&open.as_str()))
    }

    fn inside(&self, name: &str) -> bool {
        self.open.iter().any(|open| open == name)
    }

    fn paragraph(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.trim().is_empty() || !self.in_text() {
            return;
        }
        if !self.inside("title") {
            self.chapters.push(Block::Paragraph(line));
        } else if self.inside("section") {
            self.chapters.push(Block::Heading(line));
        }
        // The title of the body itself is the book's.
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::extract;

    #[test]
    fn people_titles_and_verse() {
        let text = "<FictionBook><description><title-info><author><first-name>А.</first-name><last-name>Б</last-name></author>\
            <author><nickname>тень</nickname></author><author><last-name>В</last-name></author><book-title>К &amp; К</book-title>\
            <translator><first-name>Г.</first-name></translator><lang>ru</lang></title-info></description>\
            <body><title><p>К</p></title><epigraph><p>Эпиграф.</p></epigraph><section><title><p>Часть 1</p></title><section><title>\
            <p>Глава 1</p></title><p>Раз<a type='note'>[1]</a>, <emphasis>два</emphasis>.</p><poem><stanza><v>Стих один</v><v>стих два</v></stanza>\
            </poem><section><p>Три.</p></section></section><section><title><p>Глава 2</p></title><p>Четыре.</p></section></section></body>\
            <body name='notes'><p>Сноска.</p></body></FictionBook>";
        let book = extract(text.as_bytes(), None).unwrap();
        assert_eq!(
            (book.title.as_deref(), book.author.as_deref()),
            (Some("К & К"), Some("А. Б, В"))
        );
        let chapters: Vec<_> = book
            .chapters
            .iter()
            .map(|c| (c.title.as_deref(), c.text.as_str()))
            .collect();
        assert_eq!(
            chapters,
            [
                (None, "Эпиграф."),
                (Some("Часть 1. Глава 1"), "Раз, два.\n\nСтих один\nстих два\n\nТри."),
                (Some("Глава 2"), "Четыре.")
            ]
        );
    }
}
