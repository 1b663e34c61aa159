//! A chunk: a text, where it stands, and an id that is always the same.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::Chapter;
use crate::quote::quote;

/// Where a text stands in its book.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The same for the same text at the same place, whenever it is made.
    pub id: String,
    /// Its number in the book, from 0.
    pub index: u32,
    /// The text.
    pub text: String,
    /// Where it stands.
    pub citation: Citation,
}

/// A place: a chapter by its index, and characters from the start of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub chapter: usize,
    pub offset: usize,
}

/// Bytes of the id; enough that no two chunks of a library have the same.
const ID: usize = 12;

impl Chunk {
    /// A chunk between two places.
    pub fn new(index: usize, text: String, chapters: &[Chapter], start: Place, end: Place) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let citation = Citation {
            chapter: number(start.chapter + 1),
            title: chapters.get(start.chapter).and_then(|chapter| chapter.title.clone()),
            start: number(start.offset),
            end: number(end.offset),
            end_chapter: (end.chapter != start.chapter).then(|| number(end.chapter + 1)),
            quote: quote(&text),
        };
        Self {
            id: id(&text, start),
            index: number(index),
            text,
            citation,
        }
    }
}

fn id(text: &str, start: Place) -> String {
    let hash = Sha256::new()
        .chain_update((start.chapter as u64).to_be_bytes())
        .chain_update((start.offset as u64).to_be_bytes())
        .chain_update(text.as_bytes())
        .finalize();
    hash[..ID].iter().fold(String::with_capacity(2 * ID), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}
