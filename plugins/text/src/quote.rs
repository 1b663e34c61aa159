//! The first sentence of a text, short enough to be quoted.

use potok_guest::sentence::ends_sentence;

/// The longest quote, in characters.
const LONGEST: usize = 120;

/// A sentence shorter than this, in characters, is quoted with the next one: `Нет.` says nothing.
const SHORTEST: usize = 25;

/// The first sentence, or as many of its words as there is room for.
pub fn quote(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut quote = String::new();
    let mut length = 0;
    for (i, word) in words.iter().enumerate() {
        let more = word.chars().count() + usize::from(i > 0);
        if length + more > LONGEST {
            if i == 0 {
                quote.extend(word.chars().take(LONGEST - 1));
            }
            let kept = quote.trim_end_matches([',', ';', ':', '-', '—', '–', ' ']).len();
            quote.truncate(kept);
            quote.push('…');
            return quote;
        }
        if i > 0 {
            quote.push(' ');
        }
        quote.push_str(word);
        length += more;
        if length >= SHORTEST && ends_sentence(word, words.get(i + 1).copied()) {
            return quote;
        }
    }
    quote
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_sentence_ends_where_the_next_begins() {
        assert_eq!(
            quote("Прошёл месяц, и ещё один месяц. Каштанка привыкла."),
            "Прошёл месяц, и ещё один месяц."
        );
        assert_eq!(quote("Нет. Так жить невозможно! Нужно."), "Нет. Так жить невозможно!");
        assert_eq!(
            quote("The house of A. B. Smith stood there. It was red."),
            "The house of A. B. Smith stood there."
        );
        assert_eq!(
            quote("«Нужно застрелиться!» — подумала она и легла.\n\nВсё."),
            "«Нужно застрелиться!» — подумала она и легла."
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_words() {
        let long = "слово, ".repeat(40);
        let cut = quote(&long);
        assert!(cut.ends_with("слово…") && cut.chars().count() <= 120, "{cut}");
        assert_eq!(quote(&"x".repeat(500)).chars().count(), 120);
        assert_eq!(quote(""), "");
    }
}
