//! Subjects and the patterns that match them, as NATS has them.

/// Whether a text is a subject: words joined by dots, without spaces and wildcards.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    text.split('.').all(is_word)
}

/// Whether a text is a pattern: as a subject, but a word may be `*`, and the last one `>`.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    let head = text.strip_suffix('>').map_or(
        Some(text),
        |head| if head.is_empty() { None } else { head.strip_suffix('.') },
    );
    match head {
        None => text == ">",
        Some(head) => head.split('.').all(|word| word == "*" || is_word(word)),
    }
}

/// Whether a pattern has wildcards; one that has none matches itself alone.
pub(crate) fn is_wild(pattern: &str) -> bool {
    pattern.split('.').any(|word| word == "*" || word == ">")
}

/// Whether a pattern matches a subject; both are taken to be well formed.
#[must_use]
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for expected in pattern.split('.') {
        match (expected, words.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (expected, Some(word)) if expected == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_stand_for_words() {
        for (pattern, subject, expected) in [
            ("runs.started", "runs.started", true),
            ("runs.started", "runs.ended", false),
            ("runs.*", "runs.started", true),
            ("runs.*", "runs", false),
            ("runs.*", "runs.a.b", false),
            ("*.started", "runs.started", true),
            ("runs.>", "runs.a.b", true),
            ("runs.>", "runs.a", true),
            ("runs.>", "runs", false),
            (">", "runs", true),
            ("runs", "runs.a", false),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_known() {
        for good in ["a", "a.b", "runs.0197-ab", "*", ">", "a.*.b", "a.>", "*.>"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in [
            "", ".", "a.", ".a", "a..b", "a b", "a.>.b", "a>", "a*", ">.>", "*a.b", ".>", "\n",
        ] {
            assert!(!is_pattern(bad), "{bad:?}");
        }
        assert!(is_subject("a.b") && !is_subject("a.*") && !is_subject("a.>") && !is_subject(""));
    }

    proptest! {
        #[test]
        fn a_subject_matches_itself_and_its_generalisations(words in prop::collection::vec("[a-z0-9-]{1,5}", 1..6), at in 0usize..6) {
            let subject = words.join(".");
            prop_assert!(is_subject(&subject) && is_pattern(&subject) && matches(&subject, &subject));
            let at = at % words.len();
            let mut starred = words.clone();
            starred[at] = "*".to_owned();
            prop_assert!(matches(&starred.join("."), &subject));
            let mut open = words[..at].to_vec();
            open.push(">".to_owned());
            prop_assert!(matches(&open.join("."), &subject));
            let longer = [subject.as_str(), ">"].join(".");
            prop_assert!(!matches(&longer, &subject));
        }
    }
}
