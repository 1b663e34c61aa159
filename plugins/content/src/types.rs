//! What the functions of this plugin pass around, and what they ask of the host.

use crate::Fault;

/// Where a text stands in its book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Citation {
    /// The number of the chapter, from 1.
    pub chapter: u32,
    /// The heading of the chapter.
    pub title: Option<String>,
    /// Where it begins, in characters from the start of the chapter's text.
    pub start: u32,
    /// Where it ends, in characters from the start of the text of the chapter that it ends in.
    pub end: u32,
    /// The number of the chapter that it ends in, when that is a later one.
    pub end_chapter: Option<u32>,
    /// Its first sentence, shortened.
    pub quote: String,
}

/// A piece of a book's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The same for the same text at the same place.
    pub id: String,
    /// Its number in the book, from 0.
    pub index: u32,
    /// The text.
    pub text: String,
    /// Where it stands.
    pub citation: Citation,
}

/// What a chunk says, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The id of the row that keeps it.
    pub id: String,
    /// The id of the chunk.
    pub chunk: String,
    /// What the chunk says.
    pub text: String,
    /// The model that was asked.
    pub model: Option<String>,
    /// Where the chunk stands.
    pub citation: Citation,
}

/// A question to a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// The model's name; the operator's default without one.
    pub model: Option<String>,
    /// What it is told to do.
    pub system: String,
    /// What it is given.
    pub user: String,
    /// How freely it chooses its words.
    pub temperature: Option<f64>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
}

/// What a model answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it said.
    pub text: String,
    /// Which model it was.
    pub model: String,
    /// Whether it was cut off at the longest answer.
    pub cut: bool,
}

/// A summary to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSummary {
    /// The blob id of the book.
    pub book: String,
    /// The id of the chunk.
    pub chunk: String,
    /// What the chunk says.
    pub text: String,
    /// The model that was asked; empty for the operator's default.
    pub model: String,
    /// The key of the prompt.
    pub prompt: String,
}

/// A summary that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The id of its row.
    pub id: String,
    /// The id of the chunk.
    pub chunk: String,
    /// What the chunk says.
    pub text: String,
    /// Whether a post was made from it.
    pub used: bool,
}

/// What the host offers: a model, and a library of summaries.
pub trait Host {
    /// Asks a model.
    ///
    /// # Errors
    /// Whatever the model's server answers instead.
    fn complete(&mut self, ask: Ask) -> Result<Answer, Fault>;

    /// Keeps a summary; one that is there already is given back.
    ///
    /// # Errors
    /// When the library is not to be had.
    fn save(&mut self, summary: NewSummary) -> Result<Stored, Fault>;

    /// The summary of a chunk by a model and a prompt.
    ///
    /// # Errors
    /// When the library is not to be had.
    fn find(&mut self, book: &str, chunk: &str, model: &str, prompt: &str) -> Result<Option<Stored>, Fault>;

    /// All summaries of a book by a model and a prompt.
    ///
    /// # Errors
    /// When the library is not to be had.
    fn list(&mut self, book: &str, model: &str, prompt: &str) -> Result<Vec<Stored>, Fault>;

    /// Marks them all as not used.
    ///
    /// # Errors
    /// When the library is not to be had.
    fn reset(&mut self, book: &str, model: &str, prompt: &str) -> Result<(), Fault>;
}
