//! Which sentences are said: the central ones that differ from one another and from what was said before.

use std::collections::HashSet;

use super::rank::{Vector, cosine, vectors};
use super::sentences::Sentence;
use super::words::{Terms, Vocabulary, is_stop_word, words};
use super::{Order, Summary};

/// How much being like what is already picked counts against a sentence.
const REDUNDANCY: f64 = 0.5;
/// More alike than this to something avoided: not said.
const TOO_ALIKE: f64 = 0.75;
const MAX_CANDIDATES: usize = 3_000;
const MAX_SENTENCES: usize = 500;
/// The longest title, in characters.
const MAX_TITLE: usize = 90;
/// More sentences than this are broken into paragraphs of [`PARAGRAPH`].
const ONE_PARAGRAPH: usize = 4;
const PARAGRAPH: usize = 3;

/// A sentence and its stems.
pub(super) struct Candidate {
    sentence: Sentence,
    pub(super) terms: Terms,
    /// The sentence without case and punctuation: what makes two of them the same.
    key: String,
    characters: usize,
    words: usize,
}

impl Candidate {
    pub(super) fn new(sentence: Sentence, vocabulary: &mut Vocabulary) -> Self {
        let terms = vocabulary.terms(&sentence.text);
        let key = words(&sentence.text)
            .map(str::to_lowercase)
            .collect::<Vec<_>>()
            .join(" ");
        let (characters, words) = (sentence.text.chars().count(), words(&sentence.text).count());
        Self {
            sentence,
            terms,
            key,
            characters,
            words,
        }
    }

    /// A sentence proper that says something: not a heading, a page number, a "Yes!".
    fn is_prose(&self) -> bool {
        self.sentence.terminated && self.terms.len() >= 3 && self.words >= 5
    }
}

/// Leaves out what was said elsewhere word for word, what stands twice, and, if anything else is there, what is no prose.
pub(super) fn worth_saying(all: Vec<Candidate>, avoid: &[Candidate]) -> Vec<Candidate> {
    let mut seen: HashSet<String> = avoid.iter().map(|candidate| candidate.key.clone()).collect();
    let fresh: Vec<Candidate> = all
        .into_iter()
        .filter(|candidate| seen.insert(candidate.key.clone()))
        .collect();
    for is_good in [Candidate::is_prose, |candidate: &Candidate| {
        candidate.sentence.terminated
    }] {
        if fresh.iter().any(is_good) {
            return fresh.into_iter().filter(is_good).collect();
        }
    }
    fresh
}

/// Keeps the most central sentences of a very long text, in their order: picking compares each with each picked one.
pub(super) fn shortlist(candidates: Vec<Candidate>, scores: Vec<f64>) -> (Vec<Candidate>, Vec<f64>) {
    if candidates.len() <= MAX_CANDIDATES {
        return (candidates, scores);
    }
    let mut ranked = scores.clone();
    let (_, last, _) = ranked.select_nth_unstable_by(MAX_CANDIDATES - 1, |a, b| b.total_cmp(a));
    let last = *last;
    candidates
        .into_iter()
        .zip(scores)
        .filter(|(_, score)| *score >= last)
        .take(MAX_CANDIDATES)
        .unzip()
}

/// Picks within the order's limits; at least one sentence if there is any, cut at a word if even that is too long.
pub(super) fn pick(candidates: &[Candidate], scores: &[f64], avoid: &[Candidate], order: &Order) -> Summary {
    if candidates.is_empty() {
        return Summary::default();
    }
    let everything: Vec<&Terms> = candidates
        .iter()
        .chain(avoid)
        .map(|candidate| &candidate.terms)
        .collect();
    let vectors = vectors(&everything);
    let (vectors, avoided) = vectors.split_at(candidates.len());
    let mut merit = merits(candidates, scores);
    let alike: Vec<f64> = vectors
        .iter()
        .map(|vector| most_alike(vector, avoided.iter()))
        .collect();
    if alike.iter().any(|alike| *alike < TOO_ALIKE) {
        for (merit, alike) in merit.iter_mut().zip(&alike) {
            *merit = if *alike < TOO_ALIKE {
                *merit * (1.0 - REDUNDANCY * alike)
            } else {
                f64::NEG_INFINITY
            };
        }
    }
    let mut room = Room::new(order, candidates.len());
    let title = order.title.then(|| title(candidates, &merit, &mut room)).flatten();
    let mut chosen = select(
        candidates,
        vectors,
        &merit,
        title.as_ref().and_then(|title| title.whole),
        &mut room,
    );
    if chosen.is_empty() {
        return Summary {
            title: title.map(|title| title.text),
            paragraphs: vec![shortened(candidates, &merit, &room)],
        };
    }
    chosen.sort_unstable();
    let said: Vec<&str> = chosen
        .iter()
        .map(|index| candidates[*index].sentence.text.as_str())
        .collect();
    let size = if said.len() > ONE_PARAGRAPH {
        PARAGRAPH
    } else {
        said.len()
    };
    let paragraphs = said.chunks(size).map(|sentences| sentences.join(" ")).collect();
    Summary {
        title: title.map(|title| title.text),
        paragraphs,
    }
}

/// Centrality, a little more for what stands early, less for what hangs on its neighbours or is badly long.
fn merits(candidates: &[Candidate], scores: &[f64]) -> Vec<f64> {
    let count = candidates.len() as f64;
    let judge = |(index, (candidate, score)): (usize, (&Candidate, &f64))| {
        let early = 1.0 + 0.1 * (1.0 - index as f64 / count);
        let length = match candidate.words {
            0..=7 => 0.8,
            8..=40 => 1.0,
            41..=70 => 0.8,
            _ => 0.5,
        };
        let first = words(&candidate.sentence.text)
            .next()
            .unwrap_or_default()
            .to_lowercase();
        let hangs = if is_stop_word(&first) { 0.9 } else { 1.0 };
        let spoken = if candidate.sentence.text.starts_with(['—', '–', '"', '“', '«', '‘']) {
            0.85
        } else {
            1.0
        };
        score * early * length * hangs * spoken
    };
    candidates.iter().zip(scores).enumerate().map(judge).collect()
}

fn most_alike<'a>(vector: &Vector, others: impl Iterator<Item = &'a Vector>) -> f64 {
    others.map(|other| cosine(vector, other)).fold(0.0, f64::max)
}

/// What is left of the order's limits.
struct Room {
    sentences: usize,
    characters: usize,
    words: usize,
}

impl Room {
    fn new(order: &Order, available: usize) -> Self {
        let limited_otherwise = order.characters.is_some() || order.words.is_some();
        let usual = if limited_otherwise {
            usize::MAX
        } else {
            (available / 5).clamp(2, 5)
        };
        Self {
            sentences: order.sentences.unwrap_or(usual).min(MAX_SENTENCES),
            characters: order.characters.unwrap_or(usize::MAX),
            words: order.words.unwrap_or(usize::MAX),
        }
    }

    fn fits(&self, characters: usize, words: usize) -> bool {
        characters <= self.characters && words <= self.words
    }

    /// Takes the room that a text needs, with the break after it; `false` when there is not enough.
    fn take(&mut self, characters: usize, words: usize) -> bool {
        if !self.fits(characters, words) {
            return false;
        }
        // Two more for the line break between paragraphs.
        self.characters = self.characters.saturating_sub(characters + 2);
        self.words -= words;
        true
    }
}

/// Maximal marginal relevance, greedily.
fn select(
    candidates: &[Candidate],
    vectors: &[Vector],
    merit: &[f64],
    taken: Option<usize>,
    room: &mut Room,
) -> Vec<usize> {
    let best = merit.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut chosen: Vec<usize> = Vec::new();
    let mut alike = vec![0.0_f64; candidates.len()];
    let mut open: Vec<usize> = (0..candidates.len())
        .filter(|index| Some(*index) != taken && merit[*index].is_finite())
        .collect();
    if let Some(taken) = taken {
        open.iter()
            .for_each(|index| alike[*index] = cosine(&vectors[*index], &vectors[taken]));
    }
    while chosen.len() < room.sentences {
        open.retain(|index| {
            alike[*index] <= TOO_ALIKE && room.fits(candidates[*index].characters, candidates[*index].words)
        });
        let value = |index: &usize| merit[*index] / best - REDUNDANCY * alike[*index];
        let Some(place) = (0..open.len()).max_by(|a, b| value(&open[*a]).total_cmp(&value(&open[*b])).then(b.cmp(a)))
        else {
            break;
        };
        let index = open.remove(place);
        room.take(candidates[index].characters, candidates[index].words);
        chosen.push(index);
        open.iter()
            .for_each(|other| alike[*other] = alike[*other].max(cosine(&vectors[*other], &vectors[index])));
    }
    chosen
}

struct Title {
    text: String,
    /// The sentence that it is the whole of, which then is not said again.
    whole: Option<usize>,
}

/// The best sentence short enough to be a title, else the beginning of the best sentence up to a comma or a word's end.
fn title(candidates: &[Candidate], merit: &[f64], room: &mut Room) -> Option<Title> {
    let by_merit = |indexes: &mut dyn Iterator<Item = usize>| {
        indexes
            .filter(|index| merit[*index].is_finite())
            .max_by(|a, b| merit[*a].total_cmp(&merit[*b]).then(b.cmp(a)))
    };
    let short = |index: &usize| {
        let Candidate {
            sentence, characters, ..
        } = &candidates[*index];
        *characters <= MAX_TITLE
            && sentence
                .text
                .starts_with(|c: char| c.is_alphanumeric() || "«“\"".contains(c))
    };
    let title = if let Some(index) = by_merit(&mut (0..candidates.len()).filter(short)).filter(|_| candidates.len() > 1)
    {
        let text = candidates[index].sentence.text.trim_end_matches('.').to_owned();
        Title {
            text,
            whole: Some(index),
        }
    } else {
        let index = by_merit(&mut (0..candidates.len()))?;
        Title {
            text: beginning(&candidates[index].sentence.text, MAX_TITLE),
            whole: None,
        }
    };
    room.take(title.text.chars().count(), words(&title.text).count())
        .then_some(title)
}

/// The first clause of a sentence within `characters`, or as many of its words as fit.
fn beginning(sentence: &str, characters: usize) -> String {
    let end = sentence
        .char_indices()
        .nth(characters)
        .map_or(sentence.len(), |(at, _)| at);
    let fits = &sentence[..end];
    let clause = fits
        .rfind([',', ';', ':', '—', '–'])
        .filter(|at| fits[..*at].chars().count() * 3 >= characters);
    let word = fits.rfind(' ').filter(|_| end < sentence.len());
    let cut = clause.or(word).unwrap_or(fits.len());
    fits[..cut]
        .trim_end_matches(|c: char| !c.is_alphanumeric() && !is_end_mark(c))
        .trim_end_matches('.')
        .to_owned()
}

fn is_end_mark(c: char) -> bool {
    matches!(c, '!' | '?' | '»' | '”' | '"' | ')' | '.')
}

/// Nothing fits: the best sentence, cut at a word and ended with an ellipsis.
fn shortened(candidates: &[Candidate], merit: &[f64], room: &Room) -> String {
    let best = (0..candidates.len())
        .max_by(|a, b| merit[*a].total_cmp(&merit[*b]).then(b.cmp(a)))
        .unwrap_or(0);
    let mut said = String::new();
    for word in candidates[best].sentence.text.split(' ').take(room.words) {
        if said.chars().count() + word.chars().count() + 2 > room.characters {
            break;
        }
        if !said.is_empty() {
            said.push(' ');
        }
        said.push_str(word);
    }
    if said.is_empty() {
        return said;
    }
    said.push('…');
    said
}
