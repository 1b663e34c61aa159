//! The first sentence of a text, short enough to be quoted.

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

/// A full stop ends a sentence when the next word begins like one: `и т. д. и` does not, nor does the dash after speech.
pub fn ends_sentence(word: &str, next: Option<&str>) -> bool {
    let closing = ['"', '\'', '»', '”', '’', ')', ']', '*', '_'];
    let Some(next) = next else { return true };
    let bare = word.trim_end_matches(closing);
    let initial = bare.chars().count() == 2 && bare.ends_with('.') && bare.starts_with(char::is_uppercase);
    let begins = next.trim_start_matches(['"', '\'', '«', '“', '‘', '(', '[', '`', '*', '_']);
    bare.ends_with(['.', '!', '?', '…']) && !initial && begins.starts_with(|c: char| c.is_uppercase() || c.is_numeric())
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_sentence_ends_where_the_next_begins() {
        assert_eq!(quote("Прошёл месяц, и ещё один месяц. Каштанка привыкла."), "Прошёл месяц, и ещё один месяц.");
        assert_eq!(quote("Нет. Так жить невозможно! Нужно."), "Нет. Так жить невозможно!");
        assert_eq!(quote("The house of A. B. Smith stood there. It was red."), "The house of A. B. Smith stood there.");
        assert_eq!(quote("«Нужно застрелиться!» — подумала она и легла.\n\nВсё."), "«Нужно застрелиться!» — подумала она и легла.");
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
