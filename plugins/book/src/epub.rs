//! EPUB 2 and 3: the spine in its order, and the headings of its pages.

use std::collections::HashMap;
use std::io::Cursor;

use rbook::Epub;

use crate::Book;
use crate::archive::Archive;
use crate::blocks::{Block, Chapters, clean};
use crate::encoding;
use crate::error::{Error, Kind};
use crate::format::Format;
use crate::markup::{Page, page};

/// Pages that are no text of the book, by what they say they are.
const NO_TEXT: &[&str] = &[
    "cover",
    "titlepage",
    "title-page",
    "halftitlepage",
    "copyright-page",
    "toc",
    "colophon",
    "landmarks",
];

/// The same, by the names that files are given.
const NO_TEXT_NAMES: &[&str] = &[
    "cover",
    "titlepage",
    "title-page",
    "halftitle",
    "copyright",
    "toc",
    "table-of-contents",
    "nav",
    "colophon",
    "imprint",
];

/// Encrypting fonts alone keeps no reader from the text.
const FONTS_ONLY: &[&str] = &["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];

/// Reads an EPUB.
///
/// # Errors
/// When it is broken, encrypted or a bomb.
pub fn extract(bytes: &[u8]) -> Result<Book, Error> {
    let mut archive = Archive::open(bytes)?;
    refuse_encrypted(&mut archive)?;
    // From here on every part is known to be readable and small enough.
    archive.check()?;
    let epub = Epub::read(Cursor::new(bytes.to_vec())).map_err(|e| Error::broken("the EPUB's package", e))?;

    let metadata = epub.metadata();
    let title = metadata
        .title()
        .map(|title| clean(title.value(), false))
        .filter(|title| !title.is_empty());
    let authors: Vec<String> = metadata
        .creators()
        .map(|creator| clean(creator.value(), false))
        .collect();
    let language = metadata.language().map(|language| language.value().to_owned());
    Ok(Book {
        title,
        author: (!authors.is_empty()).then(|| authors.join(", ")),
        language,
        format: Format::Epub,
        encoding: None,
        chapters: read_spine(&epub)?.finish(),
    })
}

fn refuse_encrypted(archive: &mut Archive<'_>) -> Result<(), Error> {
    let encrypted = |what: &str| Err(Error::new(Kind::Encrypted, format!("the EPUB is protected ({what})")));
    if archive.names().any(|name| name.ends_with("license.lcpl")) {
        return encrypted("LCP");
    }
    let Some(bytes) = archive.read_first(|name| name.eq_ignore_ascii_case("META-INF/encryption.xml"))? else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&bytes);
    let methods = text.split("EncryptionMethod").skip(1).step_by(1).filter_map(|rest| {
        let element = &rest[..rest.find('>')?];
        let value = element.split("Algorithm").nth(1)?;
        let quote = value.find(['"', '\''])?;
        value[quote + 1..].split(['"', '\'']).next().map(str::to_owned)
    });
    match methods
        .into_iter()
        .find(|method| !FONTS_ONLY.contains(&method.as_str()))
    {
        Some(method) => encrypted(&method),
        None => Ok(()),
    }
}

fn read_spine(epub: &Epub) -> Result<Chapters, Error> {
    let labels = labels(epub);
    let mut chapters = Chapters::default();
    for entry in epub.spine().iter() {
        let Some(item) = entry.manifest_entry() else { continue };
        let path = item.href().as_str().to_owned();
        if !entry.is_linear() || !item.media_type().contains("html") || item.properties().iter().any(|p| p == "nav") {
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or(&path).to_ascii_lowercase();
        let stem = name.split('.').next().unwrap_or(&name);
        if NO_TEXT_NAMES.contains(&stem) {
            continue;
        }
        let bytes = item.read_bytes().map_err(|e| Error::broken(&path, e))?;
        let (text, _) = encoding::decode(&bytes, None)?;
        let page = page(&text, &path)?;
        if page
            .kind
            .as_deref()
            .is_some_and(|kind| kind.split_whitespace().any(|kind| NO_TEXT.contains(&kind)))
        {
            continue;
        }
        add(page, labels.get(&path).map(String::as_str), &mut chapters);
        // A page of headings alone, such as a title page, is no part of the next page's title. A part's is.
        if chapters.is_empty() {
            chapters.drop_headings();
        }
    }
    Ok(chapters)
}

/// A page without a heading has the one that the table of contents gives it; if that has none, it goes on with the last chapter.
fn add(page: Page, label: Option<&str>, chapters: &mut Chapters) {
    let begins_with_heading = matches!(page.blocks.first(), Some(Block::Heading(_)));
    if let (false, Some(label)) = (begins_with_heading || page.blocks.is_empty(), label) {
        chapters.push(Block::Heading(label.to_owned()));
    }
    for block in page.blocks {
        chapters.push(block);
    }
}

/// What the table of contents calls a page, by the page's path.
fn labels(epub: &Epub) -> HashMap<String, String> {
    let mut labels = HashMap::new();
    let Some(contents) = epub.toc().contents() else {
        return labels;
    };
    for entry in contents.flatten() {
        if let Some(item) = entry.manifest_entry() {
            labels
                .entry(item.href().as_str().to_owned())
                .or_insert_with(|| entry.label().to_owned());
        }
    }
    labels
}
