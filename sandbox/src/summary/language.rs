//! In which language a text is written, and how its words are reduced to stems.

use rust_stemmers::Algorithm;
use whatlang::Lang;

/// A language that the summariser knows how to stem. Stop words are known for English and Russian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Language {
    English,
    Russian,
    German,
    French,
    Spanish,
    Italian,
    Portuguese,
    Dutch,
    Swedish,
    Turkish,
    Other,
}

/// Only so much is looked at to tell the language, in characters.
const SAMPLE: usize = 4_000;

impl Language {
    /// The language of a text; a text too short to tell is English, or Russian when it is mostly Cyrillic.
    pub fn of(text: &str) -> Self {
        let sample: String = text.chars().take(SAMPLE).collect();
        let cyrillic = sample.chars().filter(|c| ('\u{400}'..='\u{4ff}').contains(c)).count();
        let letters = sample.chars().filter(|c| c.is_alphabetic()).count();
        let fallback = if cyrillic * 2 > letters {
            Self::Russian
        } else {
            Self::English
        };
        let Some(detected) = whatlang::detect(&sample).filter(whatlang::Info::is_reliable) else {
            return fallback;
        };
        match detected.lang() {
            Lang::Eng => Self::English,
            Lang::Rus => Self::Russian,
            Lang::Deu => Self::German,
            Lang::Fra => Self::French,
            Lang::Spa => Self::Spanish,
            Lang::Ita => Self::Italian,
            Lang::Por => Self::Portuguese,
            Lang::Nld => Self::Dutch,
            Lang::Swe => Self::Swedish,
            Lang::Tur => Self::Turkish,
            _ => Self::Other,
        }
    }

    pub(super) fn stemmer(self) -> Option<rust_stemmers::Stemmer> {
        let algorithm = match self {
            Self::English => Algorithm::English,
            Self::Russian => Algorithm::Russian,
            Self::German => Algorithm::German,
            Self::French => Algorithm::French,
            Self::Spanish => Algorithm::Spanish,
            Self::Italian => Algorithm::Italian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Dutch => Algorithm::Dutch,
            Self::Swedish => Algorithm::Swedish,
            Self::Turkish => Algorithm::Turkish,
            Self::Other => return None,
        };
        Some(rust_stemmers::Stemmer::create(algorithm))
    }
}
