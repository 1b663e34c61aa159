//! Where chapters are divided.

use std::fmt;
use std::ops::Range;

use crate::Chapter;
use crate::borders::divide;
use crate::chunk::{Chunk, Place};

/// The longest chunk when nothing is said, in characters.
const LIMIT: u32 = 3000;

/// The smallest limit, in characters.
const LEAST: u32 = 100;

/// How chapters are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The longest chunk, in characters; 3000 when nothing is said.
    pub limit: Option<u32>,
    /// A chunk shorter than this, in characters, is joined to a neighbour where the limit allows.
    pub minimum: Option<u32>,
    /// Whether a chunk may begin in one chapter and end in another.
    pub across_chapters: bool,
}

/// Options that contradict each other or the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// Divides chapters into chunks, at the ends of paragraphs where it can, else of sentences, else of words.
///
/// # Errors
/// [`Invalid`] when the limit is below 100, or the minimum above the limit.
pub fn split(chapters: &[Chapter], options: Options) -> Result<Vec<Chunk>, Invalid> {
    let limit = options.limit.unwrap_or(LIMIT);
    let minimum = options.minimum.unwrap_or(0);
    if limit < LEAST {
        return Err(Invalid(format!(
            "limit: a chunk of {limit} characters says nothing; the least is {LEAST}"
        )));
    }
    if minimum > limit {
        return Err(Invalid(format!(
            "minimum: {minimum} characters are more than the limit of {limit}"
        )));
    }
    let (limit, minimum) = (limit as usize, minimum as usize);
    let mut chunks = Vec::new();
    for section in sections(chapters, options.across_chapters) {
        for range in join_short(&section.text, divide(&section.text, limit), minimum, limit) {
            let (start, end) = (section.place(range.start), section.place_of_end(range.end));
            let text = match section.chapters.as_slice() {
                [_] => section.text[range].to_owned(),
                _ => section.text[range].replace(BETWEEN, "\n\n"),
            };
            chunks.push(Chunk::new(chunks.len(), text, chapters, start, end));
        }
    }
    Ok(chunks)
}

/// Between two chapters of one section: more than there is between paragraphs, so that a chunk rather ends here.
const BETWEEN: &str = "\n\n\n";

/// A text that chunks may not cross the borders of: a chapter, or all of them.
struct Section {
    text: String,
    /// Where its chapters begin, in bytes, and which they are.
    chapters: Vec<(usize, usize)>,
}

fn sections(chapters: &[Chapter], across: bool) -> Vec<Section> {
    let single = |(i, chapter): (usize, &Chapter)| Section {
        text: chapter.text.clone(),
        chapters: vec![(0, i)],
    };
    if !across {
        return chapters.iter().enumerate().map(single).collect();
    }
    let mut all = Section {
        text: String::new(),
        chapters: Vec::new(),
    };
    for (i, chapter) in chapters.iter().enumerate() {
        if i > 0 {
            all.text.push_str(BETWEEN);
        }
        all.chapters.push((all.text.len(), i));
        all.text.push_str(&chapter.text);
    }
    vec![all]
}

impl Section {
    fn place(&self, at: usize) -> Place {
        self.within(at, self.chapters.partition_point(|(start, _)| *start <= at))
    }

    /// The end of a chunk belongs to the chapter that its last character is in.
    fn place_of_end(&self, at: usize) -> Place {
        self.within(at, self.chapters.partition_point(|(start, _)| *start < at))
    }

    fn within(&self, at: usize, after: usize) -> Place {
        let (start, chapter) = self.chapters.get(after.saturating_sub(1)).copied().unwrap_or_default();
        Place {
            chapter,
            offset: self.text[start..at].chars().count(),
        }
    }
}

/// Joins chunks that are too short to the one before or, failing that, to the one after.
fn join_short(text: &str, ranges: Vec<Range<usize>>, minimum: usize, limit: usize) -> Vec<Range<usize>> {
    let length = |range: &Range<usize>| text[range.clone()].chars().count();
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        if let Some(last) = joined.last_mut() {
            let both = last.start..range.end;
            if (length(&range) < minimum || length(last) < minimum) && length(&both) <= limit {
                *last = both;
                continue;
            }
        }
        joined.push(range);
    }
    joined
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{Options, split};
    use crate::Chapter;

    fn chapter(title: &str, text: &str) -> Chapter {
        Chapter {
            title: Some(title.to_owned()),
            text: text.to_owned(),
        }
    }

    /// A paragraph of so many short sentences.
    fn paragraph(word: &str, sentences: usize) -> String {
        vec![format!("Here {word} stands."); sentences].join(" ")
    }

    #[test]
    fn chunks_end_with_paragraphs_and_chapters() {
        let one = [paragraph("one", 4), paragraph("two", 4), paragraph("three", 4)].join("\n\n");
        let chapters = [chapter("I", &one), chapter("II", "Short.")];
        let chunks = split(
            &chapters,
            Options {
                limit: Some(160),
                ..Options::default()
            },
        )
        .unwrap();
        let texts: Vec<_> = chunks.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                [paragraph("one", 4), paragraph("two", 4)].join("\n\n"),
                paragraph("three", 4),
                "Short.".to_owned()
            ]
        );
        let citation = &chunks[1].citation;
        assert_eq!((citation.chapter, citation.title.as_deref()), (1, Some("I")));
        let found: String = one
            .chars()
            .skip(citation.start as usize)
            .take((citation.end - citation.start) as usize)
            .collect();
        assert_eq!(found, chunks[1].text);
        assert_eq!(chunks[2].citation.chapter, 2);
        assert_eq!(chunks[0].citation.quote, "Here one stands. Here one stands.");
    }

    #[test]
    fn short_chunks_are_joined_where_the_limit_allows() {
        let text = format!("{}\n\nA tail.", paragraph("one", 9));
        let of = |minimum| {
            let options = Options {
                limit: Some(159),
                minimum: Some(minimum),
                ..Options::default()
            };
            split(&[chapter("I", &text)], options)
                .unwrap()
                .into_iter()
                .map(|c| c.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(0), [paragraph("one", 9), "A tail.".to_owned()]);
        assert_eq!(
            of(10),
            [paragraph("one", 9), "A tail.".to_owned()],
            "they are too long together"
        );
        let text = format!("{}\n\nTail.", paragraph("one", 3));
        let options = Options {
            limit: Some(100),
            minimum: Some(10),
            ..Options::default()
        };
        assert_eq!(split(&[chapter("I", &text)], options).unwrap()[0].text, text);
    }

    #[test]
    fn a_chunk_across_chapters_says_where_it_ends() {
        let chapters = [chapter("I", "One."), chapter("II", "Two."), chapter("III", "Three.")];
        let chunks = split(
            &chapters,
            Options {
                across_chapters: true,
                ..Options::default()
            },
        )
        .unwrap();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].text, "One.\n\nTwo.\n\nThree.");
        let citation = &chunks[0].citation;
        assert_eq!(
            (citation.chapter, citation.start, citation.end_chapter, citation.end),
            (1, 0, Some(3), 6)
        );
    }

    #[test]
    fn ids_are_those_of_texts_at_places() {
        let text = [paragraph("one", 8), paragraph("one", 8)].join("\n\n");
        let options = Options {
            limit: Some(160),
            ..Options::default()
        };
        let ids = |chapters: &[Chapter]| {
            split(chapters, options)
                .unwrap()
                .into_iter()
                .map(|c| c.id)
                .collect::<Vec<_>>()
        };
        let found = ids(&[chapter("I", &text)]);
        assert_eq!(found, ids(&[chapter("I", &text), chapter("II", "More.")])[..2]);
        assert_ne!(found[0], found[1]);
        assert!(found.iter().all(|id| id.len() == 24), "{found:?}");
    }

    #[test]
    fn options_that_cannot_be() {
        let with = |limit, minimum| {
            split(
                &[],
                Options {
                    limit,
                    minimum,
                    across_chapters: false,
                },
            )
            .unwrap_err()
            .to_string()
        };
        assert_eq!(
            with(Some(9), None),
            "limit: a chunk of 9 characters says nothing; the least is 100"
        );
        assert_eq!(
            with(None, Some(4000)),
            "minimum: 4000 characters are more than the limit of 3000"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(
            texts in prop::collection::vec("([А-Яа-яa-z]{1,12}[ ,.!\n]{1,3}){0,120}", 1..4),
            limit in 100_u32..400,
            minimum in 0_u32..100,
            across_chapters: bool,
        ) {
            let chapters: Vec<_> = texts.iter().map(|text| chapter("x", text)).collect();
            let chunks = split(&chapters, Options { limit: Some(limit), minimum: Some(minimum), across_chapters }).unwrap();
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            let found: String = chunks.iter().map(|c| squeeze(&c.text)).collect();
            prop_assert_eq!(found, texts.iter().map(|t| squeeze(t)).collect::<String>());
            for (i, chunk) in chunks.iter().enumerate() {
                prop_assert_eq!(chunk.index as usize, i);
                prop_assert!(chunk.text.chars().count() <= limit as usize);
                // Across chapters, what is between them is squeezed.
                if !across_chapters {
                    let place = chunk.citation.start as usize..chunk.citation.end as usize;
                    let cited: String = texts[chunk.citation.chapter as usize - 1].chars().skip(place.start).take(place.len()).collect();
                    prop_assert_eq!(&cited, &chunk.text);
                }
            }
        }
    }
}
