//! The plugin's face: WIT types on one side, [`split`](crate::split()) on the other.

use exports::potok::text::text::{Guest, SplitRequest};
use potok::book::types::{Chunk as WitChunk, Citation as WitCitation};
use potok::host::fault::Fault;

use crate::{Chapter, Chunk, Options, split};

wit_bindgen::generate!({ path: "../wit", world: "potok:plugins/text", generate_all });
potok_guest::describe!(
    "../../wit/deps/text.wit",
    "../../wit/deps/host.wit",
    "../../wit/deps/book.wit"
);

struct Plugin;
export!(Plugin);

impl Guest for Plugin {
    fn split(request: SplitRequest) -> Result<Vec<WitChunk>, Fault> {
        let chapters: Vec<_> = request
            .chapters
            .into_iter()
            .map(|chapter| Chapter {
                title: chapter.title,
                text: chapter.text,
            })
            .collect();
        let options = Options {
            limit: request.limit,
            minimum: request.minimum,
            across_chapters: request.across_chapters.unwrap_or(false),
        };
        let chunks = split(&chapters, options).map_err(|invalid| Fault {
            kind: "urn:potok:text:invalid".to_owned(),
            status: 400,
            title: "The text cannot be split like that".to_owned(),
            detail: Some(invalid.to_string()),
            retry_after_ms: None,
            data: None,
        })?;
        Ok(chunks.into_iter().map(WitChunk::from).collect())
    }
}

impl From<Chunk> for WitChunk {
    fn from(chunk: Chunk) -> Self {
        let citation = chunk.citation;
        Self {
            id: chunk.id,
            index: chunk.index,
            text: chunk.text,
            citation: WitCitation {
                chapter: citation.chapter,
                title: citation.title,
                start: citation.start,
                end: citation.end,
                end_chapter: citation.end_chapter,
                quote: citation.quote,
            },
        }
    }
}
