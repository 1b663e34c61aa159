//! The built-in model: an extractive summariser.
//!
//! TextRank (Mihalcea and Tarau, 2004) over sentences, with the TF-IDF cosine of LexRank (Erkan and Radev, 2004) as the
//! weight of an edge, and maximal marginal relevance (Carbonell and Goldstein, 1998) against saying a thing twice. It
//! writes only sentences that stand in the text, in the order in which they stand there. The same input always gives the
//! same output. It knows no prompt and no HTTP: [`Order`] says what is wanted.

mod language;
mod pick;
mod rank;
mod sentences;
mod words;

pub use language::Language;
pub use sentences::{Sentence, split};

use words::Vocabulary;

/// Likeness is looked for among so many of the last sentences to avoid; sameness among all of them.
const MAX_AVOIDED: usize = 2_000;

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// At most so many sentences; never more than 500.
    pub sentences: Option<usize>,
    /// At most so many characters, the title included.
    pub characters: Option<usize>,
    /// At most so many words, the title included.
    pub words: Option<usize>,
    /// Whether a title line comes first.
    pub title: bool,
    /// What has been said elsewhere and shall not be said again.
    pub avoid: Vec<String>,
}

/// A summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// A sentence, or the beginning of one, without its full stop.
    pub title: Option<String>,
    /// Paragraphs of sentences. Empty when the text says nothing that was not said elsewhere.
    pub paragraphs: Vec<String>,
}

impl Summary {
    /// Title, empty line, paragraphs with an empty line between them.
    pub fn text(&self) -> String {
        let title = self.title.iter().map(String::as_str);
        title
            .chain(self.paragraphs.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

/// Summarises a text.
pub fn summarise(text: &str, order: &Order) -> Summary {
    let sentences = sentences::split(text);
    let language = Language::of(text);
    let mut vocabulary = Vocabulary::new(language);
    let all: Vec<pick::Candidate> = sentences
        .into_iter()
        .map(|s| pick::Candidate::new(s, &mut vocabulary))
        .collect();
    let avoid: Vec<_> = order
        .avoid
        .iter()
        .flat_map(|passage| sentences::split(passage))
        .collect();
    let avoid: Vec<pick::Candidate> = avoid
        .into_iter()
        .map(|s| pick::Candidate::new(s, &mut vocabulary))
        .collect();
    let candidates = pick::worth_saying(all, &avoid);
    let scores = rank::scores(&candidates.iter().map(|candidate| &candidate.terms).collect::<Vec<_>>());
    let (candidates, scores) = pick::shortlist(candidates, scores);
    let recent = &avoid[avoid.len().saturating_sub(MAX_AVOIDED)..];
    pick::pick(&candidates, &scores, recent, order)
}

#[cfg(test)]
mod tests;
