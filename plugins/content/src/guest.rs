//! The plugin's face: WIT types on one side, this crate's on the other.

use exports::potok::content::content as wit;
use potok::ai::chat;
use potok::book::types as book;
use potok::host::fault::Fault as WitFault;
use potok::library::summaries;

use crate::{
    Answer, Ask, Chunk, Citation, ComposeRequest, Fault, Host, NewSummary, PlanRequest, Stored, SummarizeRequest,
    Summary, Voice,
};

wit_bindgen::generate!({ path: "../wit", world: "potok:plugins/content", generate_all });
potok_guest::describe!(
    "../../wit/deps/content.wit",
    "../../wit/deps/host.wit",
    "../../wit/deps/book.wit",
    "../../wit/deps/ai.wit",
    "../../wit/deps/library.wit",
);

struct Plugin;
export!(Plugin);

impl wit::Guest for Plugin {
    fn plan(request: wit::PlanRequest) -> Result<wit::Selection, WitFault> {
        let request = PlanRequest {
            book: request.book,
            chunks: request.chunks.into_iter().map(Chunk::from).collect(),
            posts: request.posts,
            voice: Voice {
                model: request.model,
                language: request.language,
                prompt: request.prompt,
                ..Voice::default()
            },
        };
        let selection = crate::plan(&request, &mut Capabilities)?;
        Ok(wit::Selection {
            reuse: selection.reuse.into_iter().map(Into::into).collect(),
            summarize: selection.summarize.into_iter().map(Into::into).collect(),
            started_over: selection.started_over,
        })
    }

    fn summarize(request: wit::SummarizeRequest) -> Result<wit::Summary, WitFault> {
        let request = SummarizeRequest {
            book: request.book,
            chunk: request.chunk.into(),
            title: request.title,
            author: request.author,
            voice: Voice {
                model: request.model,
                language: request.language,
                prompt: request.prompt,
                temperature: request.temperature,
                max_tokens: request.max_tokens,
            },
        };
        Ok(crate::summarize(&request, &mut Capabilities)?.into())
    }

    fn compose_post(request: wit::ComposeRequest) -> Result<wit::Post, WitFault> {
        let request = ComposeRequest {
            summary: request.summary.into(),
            title: request.title,
            author: request.author,
            previous: request.previous,
            voice: Voice {
                model: request.model,
                language: request.language,
                prompt: request.prompt,
                temperature: request.temperature,
                max_tokens: request.max_tokens,
            },
            limit: request.limit,
        };
        let post = crate::compose(&request, &mut Capabilities)?;
        Ok(wit::Post {
            text: post.text,
            length: post.length,
            summary: post.summary,
            chunk: post.chunk,
            prompt: post.prompt,
            model: post.model,
        })
    }

    fn summaries(request: wit::SummariesRequest) -> Result<wit::SummariesPage, WitFault> {
        summaries::page(&request)
    }

    fn mark_used(summaries: Vec<String>) -> Result<u32, WitFault> {
        summaries::mark_used(&summaries)
    }
}

/// What the host grants.
struct Capabilities;

impl Host for Capabilities {
    fn complete(&mut self, ask: Ask) -> Result<Answer, Fault> {
        let message = |role, content| chat::Message { role, content };
        let completion = chat::complete(&chat::Request {
            model: ask.model,
            messages: vec![
                message(chat::Role::System, ask.system),
                message(chat::Role::User, ask.user),
            ],
            temperature: ask.temperature,
            max_tokens: ask.max_tokens,
        })?;
        Ok(Answer {
            text: completion.text,
            model: completion.model,
            cut: completion.finish_reason.is_some_and(|reason| reason == "length"),
        })
    }

    fn save(&mut self, new: NewSummary) -> Result<Stored, Fault> {
        let NewSummary {
            book,
            chunk,
            text,
            model,
            prompt,
        } = new;
        Ok(summaries::save(&summaries::NewSummary {
            book,
            chunk,
            text,
            model,
            prompt,
        })?
        .into())
    }

    fn find(&mut self, book: &str, chunk: &str, model: &str, prompt: &str) -> Result<Option<Stored>, Fault> {
        Ok(summaries::find(book, chunk, model, prompt)?.map(Into::into))
    }

    fn list(&mut self, book: &str, model: &str, prompt: &str) -> Result<Vec<Stored>, Fault> {
        Ok(summaries::list(book, model, prompt)?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    fn reset(&mut self, book: &str, model: &str, prompt: &str) -> Result<(), Fault> {
        summaries::reset(book, model, prompt)?;
        Ok(())
    }
}

impl From<summaries::Summary> for Stored {
    fn from(row: summaries::Summary) -> Self {
        Self {
            id: row.id,
            chunk: row.chunk,
            text: row.text,
            used: row.used,
        }
    }
}

impl From<WitFault> for Fault {
    fn from(fault: WitFault) -> Self {
        let WitFault {
            kind,
            status,
            title,
            detail,
            retry_after_ms,
            data,
        } = fault;
        Self {
            kind,
            status,
            title,
            detail,
            retry_after_ms,
            data,
        }
    }
}

impl From<Fault> for WitFault {
    fn from(fault: Fault) -> Self {
        let Fault {
            kind,
            status,
            title,
            detail,
            retry_after_ms,
            data,
        } = fault;
        Self {
            kind,
            status,
            title,
            detail,
            retry_after_ms,
            data,
        }
    }
}

impl From<book::Citation> for Citation {
    fn from(citation: book::Citation) -> Self {
        let book::Citation {
            chapter,
            title,
            start,
            end,
            end_chapter,
            quote,
        } = citation;
        Self {
            chapter,
            title,
            start,
            end,
            end_chapter,
            quote,
        }
    }
}

impl From<Citation> for book::Citation {
    fn from(citation: Citation) -> Self {
        let Citation {
            chapter,
            title,
            start,
            end,
            end_chapter,
            quote,
        } = citation;
        Self {
            chapter,
            title,
            start,
            end,
            end_chapter,
            quote,
        }
    }
}

impl From<book::Chunk> for Chunk {
    fn from(chunk: book::Chunk) -> Self {
        Self {
            id: chunk.id,
            index: chunk.index,
            text: chunk.text,
            citation: chunk.citation.into(),
        }
    }
}

impl From<Chunk> for book::Chunk {
    fn from(chunk: Chunk) -> Self {
        Self {
            id: chunk.id,
            index: chunk.index,
            text: chunk.text,
            citation: chunk.citation.into(),
        }
    }
}

impl From<wit::Summary> for Summary {
    fn from(summary: wit::Summary) -> Self {
        let wit::Summary {
            id,
            chunk,
            text,
            model,
            citation,
        } = summary;
        Self {
            id,
            chunk,
            text,
            model,
            citation: citation.into(),
        }
    }
}

impl From<Summary> for wit::Summary {
    fn from(summary: Summary) -> Self {
        let Summary {
            id,
            chunk,
            text,
            model,
            citation,
        } = summary;
        Self {
            id,
            chunk,
            text,
            model,
            citation: citation.into(),
        }
    }
}
