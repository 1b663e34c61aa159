//! Which format a file has, by its first bytes.

use crate::archive::Archive;
use crate::encoding;
use crate::error::{Error, Kind};

/// What a file can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Txt,
    /// EPUB 2 and 3.
    Epub,
    /// FictionBook 2.
    Fb2,
    /// FictionBook 2 in a ZIP archive.
    Fb2Zip,
    /// PDF.
    Pdf,
}

/// How far to look for what is not at the very beginning.
const HEAD: usize = 4096;

/// What can be recognised, and is not read.
const OTHERS: &[(usize, &[u8], &str)] = &[
    (60, b"BOOKMOBI", "a MOBI or AZW file"),
    (0, b"AT&TFORM", "a DjVu file"),
    (0, b"{\\rtf", "an RTF file"),
    (0, b"\xd0\xcf\x11\xe0", "an old Word file"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
];

/// Looks at a file's first bytes.
///
/// # Errors
/// When it is none of the formats, or an archive that cannot be read.
pub fn detect(bytes: &[u8]) -> Result<Format, Error> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return detect_in_archive(bytes);
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    if head[..head.len().min(1024)].windows(5).any(|w| w == b"%PDF-") {
        return Ok(Format::Pdf);
    }
    for (at, magic, name) in OTHERS {
        if bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)) {
            return Err(Error::new(Kind::Unsupported, format!("this is {name}")));
        }
    }
    let text = encoding::peek(head);
    let text = text.trim_start();
    if text.contains("<FictionBook") {
        return Ok(Format::Fb2);
    }
    let lower: String = text.chars().take(15).collect::<String>().to_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return Err(Error::new(Kind::Unsupported, "this is a web page"));
    }
    if text.starts_with("<?xml") {
        return Err(Error::new(Kind::Unsupported, "this is XML, but not FB2"));
    }
    if text.contains('\0') {
        return Err(Error::new(
            Kind::Unsupported,
            "this is neither text nor a format that is known here",
        ));
    }
    Ok(Format::Txt)
}

fn detect_in_archive(bytes: &[u8]) -> Result<Format, Error> {
    let archive = Archive::open(bytes)?;
    if archive
        .names()
        .any(|name| name.eq_ignore_ascii_case("META-INF/container.xml"))
    {
        return Ok(Format::Epub);
    }
    if archive.names().any(is_fb2) {
        return Ok(Format::Fb2Zip);
    }
    Err(Error::new(
        Kind::Unsupported,
        "this is a ZIP archive without EPUB or FB2 in it",
    ))
}

/// Whether a name in an archive is that of a FB2.
pub fn is_fb2(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".fb2")
}
