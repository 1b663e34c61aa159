//! Where sentences end, for texts in the scripts that know capital letters.

/// The sentences of a text, without the space around them. A line break within one stays.
#[must_use]
pub fn sentences(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let mut start = 0;
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if ends_sentence(word, words.get(i + 1).copied()) {
            let end = at(word) + word.len();
            found.push(text[start..end].trim());
            start = end;
        }
    }
    found.push(text[start..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// Whether a sentence ends with a word: the next one begins like a sentence. It does not in `и т. д. и`, nor after the dash that
/// follows speech, nor after an initial.
#[must_use]
pub fn ends_sentence(word: &str, next: Option<&str>) -> bool {
    let closing = ['"', '\'', '»', '”', '’', ')', ']', '*', '_'];
    let Some(next) = next else { return true };
    let bare = word.trim_end_matches(closing);
    let initial = bare.chars().count() == 2 && bare.ends_with('.') && bare.starts_with(char::is_uppercase);
    let title = matches!(
        bare,
        "Mr." | "Mrs." | "Ms." | "Dr." | "St." | "г." | "гг." | "ул." | "им."
    );
    let begins = next.trim_start_matches(['"', '\'', '«', '“', '‘', '(', '[', '`', '*', '_']);
    let capital = begins.starts_with(|c: char| c.is_uppercase() || c.is_numeric());
    bare.ends_with(['.', '!', '?', '…']) && !initial && !title && capital
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn a_sentence_ends_where_the_next_begins() {
        let text = "Прошёл месяц, и т. д. и т. п. Нет! «Нужно застрелиться!» — подумала она.\n\nMr. A. B. Smith **stood.** It was red…";
        let expected = [
            "Прошёл месяц, и т. д. и т. п.",
            "Нет!",
            "«Нужно застрелиться!» — подумала она.",
            "Mr. A. B. Smith **stood.**",
            "It was red…",
        ];
        assert_eq!(sentences(text), expected);
        assert!(sentences(" \n").is_empty());
    }
}
