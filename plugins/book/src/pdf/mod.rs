//! PDF: from painted glyphs back to lines, paragraphs and chapters.
//!
//! A page says where each run of glyphs stands and nothing else. [`page`] reads the runs, [`layout`] makes lines and paragraphs of
//! them; headings are then found as in plain text.

mod layout;
mod page;

use lopdf::{Document, LoadOptions, Object};

use crate::Book;
use crate::blocks::clean;
use crate::error::{Error, Kind};
use crate::format::Format;
use crate::{limits, plain};

/// Reads a PDF.
///
/// # Errors
/// When it is broken, encrypted or a bomb. One of scanned pages has no text and gives no chapters.
pub fn extract(bytes: &[u8]) -> Result<Book, Error> {
    if !bytes[bytes.len().saturating_sub(2048)..]
        .windows(5)
        .any(|w| w == b"%%EOF")
    {
        return Err(Error::new(Kind::Broken, "the PDF is cut off: its end is missing"));
    }
    let options = LoadOptions {
        max_decompressed_size: Some(limits::PAGE),
        ..LoadOptions::default()
    };
    let document = match Document::load_mem_with_options(bytes, options) {
        Ok(document) => document,
        Err(lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword) => return Err(encrypted()),
        Err(e) => return Err(broken(&e)),
    };
    if document.is_encrypted() || document.was_encrypted() || document.trailer.has(b"Encrypt") {
        return Err(encrypted());
    }
    let mut budget = limits::TOTAL as usize;
    let mut pages = Vec::new();
    for id in document.page_iter() {
        pages.push(page::read(&document, id, &mut budget)?);
    }
    if pages.is_empty() {
        return Err(Error::new(Kind::Broken, "the PDF has no pages"));
    }
    let assembled = plain::assemble(layout::paragraphs(pages));
    Ok(Book {
        title: info(&document, b"Title").or(assembled.title),
        author: info(&document, b"Author").or(assembled.author),
        language: catalog_language(&document),
        format: Format::Pdf,
        encoding: None,
        chapters: assembled.chapters.finish(),
    })
}

fn encrypted() -> Error {
    Error::new(Kind::Encrypted, "the PDF is encrypted")
}

fn broken(error: &lopdf::Error) -> Error {
    if let lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) = error {
        return Error::new(
            Kind::TooLarge,
            format!("a part of the PDF expands to more than {} bytes", limits::PAGE),
        );
    }
    Error::broken("the PDF", error)
}

/// An entry of the document's information.
fn info(document: &Document, key: &[u8]) -> Option<String> {
    let info = document
        .trailer
        .get_deref(b"Info", document)
        .and_then(Object::as_dict)
        .ok()?;
    let text = lopdf::decode_text_string(info.get_deref(key, document).ok()?).ok()?;
    let text = clean(&text, false);
    (!text.is_empty()).then_some(text)
}

fn catalog_language(document: &Document) -> Option<String> {
    let language = document.catalog().ok()?.get_deref(b"Lang", document).ok()?;
    lopdf::decode_text_string(language).ok()
}
