//! `book.extract`: a file in, a book's text out.
//!
//! Every format becomes the same stream of [`blocks`](blocks::Block), headings and paragraphs; what a chapter is, is decided in one
//! place. Nothing here knows the host: bytes come in, a [`Book`] or an [`Error`] goes out. Only `guest` speaks WIT.
//!
//! A file comes from anyone. What it expands to is bounded before it is allocated ([`limits`]), and a file that cannot be read is
//! an error that says why; no partial book is given out.

mod archive;
pub mod blocks;
mod encoding;
mod epub;
mod error;
mod fb2;
mod format;
#[cfg(target_family = "wasm")]
mod guest;
mod headings;
mod language;
pub mod limits;
mod markup;
mod pdf;
mod plain;

pub use blocks::Chapter;
pub use error::{Error, Kind};
pub use format::Format;

/// A book's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The title, when the file says it.
    pub title: Option<String>,
    /// The author, when the file says it; several are separated by commas.
    pub author: Option<String>,
    /// An ISO 639-1 code: what the file says, or what was detected.
    pub language: Option<String>,
    /// What the file is.
    pub format: Format,
    /// The encoding that the text was read with, where the format has one.
    pub encoding: Option<&'static str>,
    /// At least one, none of them empty.
    pub chapters: Vec<Chapter>,
}

/// Takes the text out of a file. Without a format, the first bytes decide; without an encoding, it is detected.
///
/// # Errors
/// When the file is broken, encrypted, too large, empty, or none of the formats.
pub fn extract(bytes: &[u8], format: Option<Format>, encoding: Option<&str>) -> Result<Book, Error> {
    if bytes.is_empty() {
        return Err(Error::new(Kind::Empty, "the file has no bytes"));
    }
    let mut book = match format.map_or_else(|| format::detect(bytes), Ok)? {
        Format::Txt => plain::extract(bytes, encoding),
        Format::Epub => epub::extract(bytes),
        Format::Fb2 => fb2::extract(bytes, encoding),
        Format::Fb2Zip => fb2::extract_zip(bytes, encoding),
        Format::Pdf => pdf::extract(bytes),
    }?;
    if book.chapters.is_empty() {
        return Err(Error::new(
            Kind::Empty,
            "the file is readable, but there is no text in it",
        ));
    }
    book.language = book
        .language
        .as_deref()
        .and_then(language::code)
        .or_else(|| language::detect(&book.chapters));
    Ok(book)
}
