//! What the next posts are made from.

use std::collections::{HashMap, HashSet};

use crate::Fault;
use crate::prompt::Voice;
use crate::types::{Chunk, Host, Stored, Summary};

/// The most posts that one run makes.
const MOST: u32 = 1000;

/// What posts are wanted.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// The blob id of the book.
    pub book: String,
    /// All chunks of the book, in order.
    pub chunks: Vec<Chunk>,
    /// How many posts.
    pub posts: u32,
    /// How summaries are made.
    pub voice: Voice,
}

/// What the posts are to be made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Summaries that are there.
    pub reuse: Vec<Summary>,
    /// Chunks that have to be summarised.
    pub summarize: Vec<Chunk>,
    /// Whether used summaries are gone through again.
    pub started_over: bool,
}

/// Chooses: summaries that no post was made from first, then chunks without a summary, then, when there is neither, the used
/// summaries again, all in the order of the book.
///
/// # Errors
/// When no posts or too many are wanted, or the library is not to be had.
pub fn plan(request: &PlanRequest, host: &mut impl Host) -> Result<Selection, Fault> {
    if !(1..=MOST).contains(&request.posts) {
        return Err(Fault::invalid(format!(
            "posts: {} is not between 1 and {MOST}",
            request.posts
        )));
    }
    let (model, prompt) = (request.voice.model_key(), request.voice.summary_key());
    let stored = host.list(&request.book, model, &prompt)?;
    let selection = choose(request, &stored);
    if selection.started_over {
        host.reset(&request.book, model, &prompt)?;
    }
    Ok(selection)
}

fn choose(request: &PlanRequest, stored: &[Stored]) -> Selection {
    let by_chunk: HashMap<&str, &Stored> = stored.iter().map(|summary| (summary.chunk.as_str(), summary)).collect();
    let mut seen = HashSet::new();
    let chunks: Vec<(&Chunk, Option<&Stored>)> = request
        .chunks
        .iter()
        .filter(|chunk| seen.insert(chunk.id.as_str()))
        .map(|chunk| (chunk, by_chunk.get(chunk.id.as_str()).copied()))
        .collect();
    let stored = |used: bool| {
        chunks.iter().filter_map(move |(chunk, stored)| {
            let stored = stored.filter(|stored| stored.used == used)?;
            Some(summary(stored, chunk, &request.voice))
        })
    };
    let mut wanted = request.posts as usize;
    let mut reuse: Vec<Summary> = stored(false).take(wanted).collect();
    wanted -= reuse.len();
    let summarize: Vec<Chunk> = chunks
        .iter()
        .filter(|(_, stored)| stored.is_none())
        .map(|(chunk, _)| (*chunk).clone())
        .take(wanted)
        .collect();
    wanted -= summarize.len();
    let again: Vec<Summary> = stored(true).take(wanted).collect();
    let started_over = !again.is_empty();
    reuse.extend(again);
    Selection {
        reuse,
        summarize,
        started_over,
    }
}

/// A kept summary with the place of its chunk.
pub(crate) fn summary(stored: &Stored, chunk: &Chunk, voice: &Voice) -> Summary {
    Summary {
        id: stored.id.clone(),
        chunk: chunk.id.clone(),
        text: stored.text.clone(),
        model: voice.model.clone(),
        citation: chunk.citation.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PlanRequest, Selection, choose};
    use crate::types::{Chunk, Stored};

    /// `u` for a used summary, `f` for one that is free, `-` for a chunk without one.
    fn chosen(book: &str, posts: u32) -> (Vec<String>, Vec<String>, bool) {
        let chunks = (0..book.len())
            .map(|i| Chunk {
                id: i.to_string(),
                ..Chunk::default()
            })
            .collect();
        let stored: Vec<_> = book
            .char_indices()
            .filter(|(_, c)| *c != '-')
            .map(|(i, c)| Stored {
                id: format!("s{i}"),
                chunk: i.to_string(),
                used: c == 'u',
                ..Stored::default()
            })
            .collect();
        let request = PlanRequest {
            chunks,
            posts,
            ..PlanRequest::default()
        };
        let Selection {
            reuse,
            summarize,
            started_over,
        } = choose(&request, &stored);
        (
            reuse.into_iter().map(|s| s.chunk).collect(),
            summarize.into_iter().map(|c| c.id).collect(),
            started_over,
        )
    }

    fn ids(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn unused_first_then_new_then_again() {
        assert_eq!(chosen("----", 2), (ids(""), ids("01"), false));
        assert_eq!(chosen("ufu-f-", 3), (ids("14"), ids("3"), false));
        assert_eq!(chosen("uu--", 2), (ids(""), ids("23"), false));
        assert_eq!(chosen("uuuu", 2), (ids("01"), ids(""), true));
        assert_eq!(chosen("uuf-", 3), (ids("20"), ids("3"), true));
        assert_eq!(chosen("f-", 5), (ids("0"), ids("1"), false));
    }
}
