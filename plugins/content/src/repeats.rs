//! What was said already: sentences, whatever their marks, capitals and punctuation.

use std::collections::HashSet;

use potok_guest::sentence::sentences;

use crate::markdown::{clean, plain};

/// A sentence with fewer letters than this may be said again: `Почему?` is no repetition.
const SHORTEST: usize = 12;

/// The sentences that were said.
#[derive(Debug, Clone, Default)]
pub struct Said(HashSet<String>);

impl Said {
    /// What texts in markdown say.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut said = Self::default();
        for text in texts {
            let text = plain(text);
            let keys = text.lines().flat_map(sentences).filter_map(key);
            said.0.extend(keys);
        }
        said
    }

    /// Whether a sentence was said.
    #[must_use]
    pub fn has(&self, sentence: &str) -> bool {
        key(&plain(sentence)).is_some_and(|key| self.0.contains(&key))
    }

    /// A text in markdown without the sentences that were said, or that it says twice.
    #[must_use]
    pub fn without(&self, text: &str) -> String {
        let mut said = self.clone();
        let mut blocks = Vec::new();
        for block in text.split("\n\n") {
            if block.starts_with("```") {
                blocks.push(block.to_owned());
                continue;
            }
            let lines: Vec<String> = units(block)
                .into_iter()
                .map(|unit| said.take(unit))
                .filter(|line| line.chars().any(char::is_alphanumeric))
                .collect();
            if !lines.is_empty() {
                blocks.push(lines.join("\n"));
            }
        }
        // A sentence may have taken a mark with it whose partner stayed.
        clean(&blocks.join("\n\n"))
    }

    /// What of a line is new; from now on it is said.
    fn take(&mut self, line: &str) -> String {
        let new = sentences(line)
            .into_iter()
            .filter(|sentence| key(&plain(sentence)).is_none_or(|key| self.0.insert(key)));
        new.collect::<Vec<_>>().join(" ")
    }
}

/// What is looked at at once: the lines of lists and quotes, else a whole paragraph.
fn units(block: &str) -> Vec<&str> {
    let marked = |line: &str| {
        let line = line.trim_start();
        line.starts_with("- ")
            || line.starts_with('>')
            || line.split_once(". ").is_some_and(|(n, _)| n.parse::<u32>().is_ok())
    };
    if block.lines().any(marked) {
        block.lines().collect()
    } else {
        vec![block]
    }
}

fn key(sentence: &str) -> Option<String> {
    let words: Vec<String> = sentence
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.to_lowercase().replace('ё', "е"))
        .collect();
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    (letters >= SHORTEST).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn what_was_said_is_left_out() {
        let said = Said::of(["Собака **бежала** по улице! Она искала хозяина.\n\n> Цитата из той же самой книги."]);
        assert!(said.has("собака бежала по улице"));
        assert_eq!(
            said.without("Собака бежала по улице. Шёл снег, и стало темно. Почему?"),
            "Шёл снег, и стало темно. Почему?"
        );
        assert_eq!(said.without("Она искала хозяина."), "");
        assert_eq!(
            said.without("- Она искала хозяина.\n- Шёл снег, было темно."),
            "- Шёл снег, было темно."
        );
        assert_eq!(
            said.without("Шёл снег, и было темно. Шёл снег, и было темно!"),
            "Шёл снег, и было темно."
        );
    }

    #[test]
    fn marks_stay_in_pairs() {
        let said = Said::of(["This was said before."]);
        assert_eq!(
            said.without("**This was said before. This is new to all.**"),
            "This is new to all.\\*\\*"
        );
    }
}
