//! The plugin's face: WIT types on one side, [`extract`](crate::extract) on the other.

use exports::potok::book::book::{ExtractRequest, Extracted, Format as WitFormat, Guest};
use potok::blob::blobs;
use potok::book::types::Chapter as WitChapter;
use potok::host::fault::Fault;

use crate::{Book, Error, Format, Kind, limits};

wit_bindgen::generate!({ path: "../wit", world: "potok:plugins/book", generate_all });
potok_guest::describe!(
    "../../wit/deps/book.wit",
    "../../wit/deps/host.wit",
    "../../wit/deps/blob.wit"
);

/// The most that one call reads.
const PIECE: u32 = 256 << 10;

struct Plugin;
export!(Plugin);

impl Guest for Plugin {
    fn extract(request: ExtractRequest) -> Result<Extracted, Fault> {
        let bytes = read(&request.book)?;
        let format = request.format.map(Format::from);
        let book = crate::extract(&bytes, format, request.encoding.as_deref()).map_err(|e| fault(&e))?;
        Ok(book.into())
    }
}

fn read(id: &str) -> Result<Vec<u8>, Fault> {
    let size = blobs::size(id)?;
    if size > limits::FILE {
        return Err(fault(&Error::new(
            Kind::TooLarge,
            format!("the file has {size} bytes, the limit is {}", limits::FILE),
        )));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    while (bytes.len() as u64) < size {
        let piece = blobs::read(id, bytes.len() as u64, PIECE)?;
        if piece.is_empty() {
            let reason = format!("the file ends after {} of {size} bytes", bytes.len());
            return Err(fault(&Error::new(Kind::Broken, reason)));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn fault(error: &Error) -> Fault {
    Fault {
        kind: format!("urn:potok:book:{}", error.kind.name()),
        status: 422,
        title: error.kind.title().to_owned(),
        detail: Some(error.to_string()),
        retry_after_ms: None,
        data: None,
    }
}

impl From<WitFormat> for Format {
    fn from(format: WitFormat) -> Self {
        match format {
            WitFormat::Txt => Self::Txt,
            WitFormat::Epub => Self::Epub,
            WitFormat::Fb2 => Self::Fb2,
            WitFormat::Fb2Zip => Self::Fb2Zip,
            WitFormat::Pdf => Self::Pdf,
        }
    }
}

impl From<Format> for WitFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Txt => Self::Txt,
            Format::Epub => Self::Epub,
            Format::Fb2 => Self::Fb2,
            Format::Fb2Zip => Self::Fb2Zip,
            Format::Pdf => Self::Pdf,
        }
    }
}

impl From<Book> for Extracted {
    fn from(book: Book) -> Self {
        Self {
            title: book.title,
            author: book.author,
            language: book.language,
            format: book.format.into(),
            encoding: book.encoding.map(str::to_owned),
            chapters: book
                .chapters
                .into_iter()
                .map(|c| WitChapter {
                    title: c.title,
                    text: c.text,
                })
                .collect(),
        }
    }
}
