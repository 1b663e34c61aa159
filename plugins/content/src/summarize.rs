//! `content.summarize`: what a chunk says, in short.

use potok_guest::sentence::sentences;

use crate::Fault;
use crate::plan::summary;
use crate::prompt::{Subject, Voice};
use crate::types::{Ask, Chunk, Host, NewSummary, Summary};

/// A chunk to summarise.
#[derive(Debug, Clone, Default)]
pub struct SummarizeRequest {
    /// The blob id of the book.
    pub book: String,
    /// The chunk.
    pub chunk: Chunk,
    /// The book's title.
    pub title: Option<String>,
    /// Its author.
    pub author: Option<String>,
    /// Who summarises.
    pub voice: Voice,
}

/// Summarises a chunk and keeps the summary. One that was kept before is given back, and no model is asked.
///
/// # Errors
/// What the model's server or the library answers, and when the model says nothing.
pub fn summarize(request: &SummarizeRequest, host: &mut impl Host) -> Result<Summary, Fault> {
    let (voice, chunk) = (&request.voice, &request.chunk);
    if chunk.text.trim().is_empty() {
        return Err(Fault::invalid(format!("chunk: {} has no text", chunk.id)));
    }
    let (model, prompt) = (voice.model_key(), voice.summary_key());
    if let Some(stored) = host.find(&request.book, &chunk.id, model, &prompt)? {
        return Ok(summary(&stored, chunk, voice));
    }
    let subject = Subject {
        title: request.title.as_deref(),
        author: request.author.as_deref(),
        chapter: chunk.citation.title.as_deref(),
    };
    let answer = host.complete(Ask {
        model: voice.model.clone(),
        system: voice.summary_prompt(subject),
        user: format!("<text>\n{}\n</text>", chunk.text),
        temperature: voice.temperature,
        max_tokens: voice.max_tokens,
    })?;
    let text = if answer.cut {
        whole_sentences(&answer.text)
    } else {
        answer.text.trim().to_owned()
    };
    if text.is_empty() {
        return Err(Fault::empty_answer(&answer.model));
    }
    let stored = host.save(NewSummary {
        book: request.book.clone(),
        chunk: chunk.id.clone(),
        text,
        model: model.to_owned(),
        prompt,
    })?;
    Ok(summary(&stored, chunk, voice))
}

/// An answer that was cut off, up to its last whole sentence; all of it when there is none.
fn whole_sentences(text: &str) -> String {
    let text = text.trim();
    match sentences(text).as_slice() {
        [first, .., last] if !last.ends_with(['.', '!', '?', '…', '»', '"']) => {
            let start = first.as_ptr() as usize - text.as_ptr() as usize;
            let end = last.as_ptr() as usize - text.as_ptr() as usize;
            text[start..end].trim_end().to_owned()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::whole_sentences;

    #[test]
    fn a_cut_answer_ends_with_a_sentence() {
        assert_eq!(whole_sentences("One here. Two there. And thr"), "One here. Two there.");
        assert_eq!(whole_sentences("One here. Two."), "One here. Two.");
        assert_eq!(whole_sentences("no end at all"), "no end at all");
    }
}
