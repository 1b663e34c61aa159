//! Headings in text that has no markup: what a line looks like, and what the lines around it say.

/// What a line may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// A part or a volume: chapters follow.
    Part,
    /// A chapter, by its name.
    Chapter,
    /// A number alone or before a few words; it counts when the numbers follow each other.
    Number(u32),
}

/// The longest line that is a heading, in characters.
pub const LONGEST: usize = 80;

const PARTS: &[&str] = &["part", "book", "volume", "часть", "книга", "том"];
const CHAPTERS: &[&str] = &[
    "chapter",
    "letter",
    "canto",
    "act",
    "глава",
    "письмо",
    "песнь",
    "действие",
];
const ALONE: &[&str] = &[
    "prologue",
    "epilogue",
    "preface",
    "introduction",
    "foreword",
    "conclusion",
    "afterword",
    "пролог",
    "эпилог",
    "предисловие",
    "введение",
    "вступление",
    "заключение",
    "послесловие",
];
const ORDINALS: &[&str] = &[
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "the",
    "last",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
];
/// How Russian ordinals begin: gender and case are in the rest.
const RUSSIAN_ORDINALS: &[&str] = &[
    "перв",
    "втор",
    "трет",
    "четв",
    "пят",
    "шест",
    "седьм",
    "восьм",
    "девят",
    "десят",
    "одиннадцат",
    "двенадцат",
    "тринадцат",
    "четырнадцат",
    "пятнадцат",
    "шестнадцат",
    "семнадцат",
    "восемнадцат",
    "девятнадцат",
    "двадцат",
    "тридцат",
    "сорок",
    "последн",
];

/// Whether a line looks like a heading, and of what.
pub fn rank(line: &str) -> Option<Rank> {
    let line = line.trim();
    if line.is_empty() || line.chars().count() > LONGEST {
        return None;
    }
    let lower = line.to_lowercase();
    let mut words = lower.split(|c: char| c.is_whitespace()).filter(|w| !w.is_empty());
    let first = words.next()?;
    let bare = first.trim_end_matches(['.', ':', ',']);
    let next = words
        .next()
        .map(|word| word.trim_end_matches(['.', ':', ',', '—', '-']));
    if let Some(next) = next
        && bare == first
        && is_ordinal(next)
    {
        if PARTS.contains(&bare) {
            return Some(Rank::Part);
        }
        if CHAPTERS.contains(&bare) {
            return Some(Rank::Chapter);
        }
    }
    // `Первая глава` is as good as `Глава первая`.
    if words.next().is_none() && next.is_some_and(|w| CHAPTERS.contains(&w)) && is_ordinal(bare) {
        return Some(Rank::Chapter);
    }
    if ALONE.contains(&bare) && next.is_none() {
        return Some(Rank::Chapter);
    }
    let number = number(bare)?;
    let alone = next.is_none();
    // `1. Дурное поведение`: a number needs its full stop when words follow, and a title does not end like a sentence.
    let titled = first.ends_with('.') && is_title(line);
    (alone || titled).then_some(Rank::Number(number))
}

/// Whether a heading says nothing but its number, so that the next line may be its title.
pub fn wants_title(line: &str) -> bool {
    match rank(line) {
        Some(Rank::Number(_)) => line.split_whitespace().count() == 1,
        Some(_) => line.split_whitespace().count() <= 2,
        None => false,
    }
}

/// Whether a line can be the title after a heading: short, beginning like a title, not ending like a sentence.
pub fn is_title(line: &str) -> bool {
    let line = line.trim();
    let starts = line
        .chars()
        .next()
        .is_some_and(|c| c.is_uppercase() || c.is_numeric() || matches!(c, '«' | '"' | '“'));
    starts && line.chars().count() <= LONGEST && !line.ends_with(['.', ',', ';', ':', '»', '”', '"', '…'])
}

/// Which of the lines are headings: those with a name, and numbers that follow each other from 1 or 2 on.
pub fn choose(candidates: &[(usize, Rank)]) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut numbers: Vec<usize> = Vec::new();
    let mut expected = 1;
    for (line, rank) in candidates {
        match rank {
            Rank::Part => {
                chosen.push(*line);
                expected = 1;
            }
            Rank::Chapter => chosen.push(*line),
            Rank::Number(number) if *number == expected || *number == 1 => {
                numbers.push(*line);
                expected = number + 1;
            }
            Rank::Number(_) => {}
        }
    }
    if numbers.len() >= 2 {
        chosen.extend(numbers);
        chosen.sort_unstable();
    }
    chosen
}

fn is_ordinal(word: &str) -> bool {
    number(word).is_some() || ORDINALS.contains(&word) || RUSSIAN_ORDINALS.iter().any(|start| word.starts_with(start))
}

/// A number in digits or in Roman numerals.
fn number(word: &str) -> Option<u32> {
    if word.len() <= 3 && word.chars().all(|c| c.is_ascii_digit()) {
        return word.parse().ok();
    }
    roman(word)
}

fn roman(word: &str) -> Option<u32> {
    let value = |c: char| match c {
        // Russian typists write Х for X, and І for I.
        'i' | 'і' => Some(1),
        'v' => Some(5),
        'x' | 'х' => Some(10),
        'l' => Some(50),
        'c' | 'с' => Some(100),
        _ => None,
    };
    if word.is_empty() || word.chars().count() > 8 {
        return None;
    }
    let values: Vec<u32> = word.chars().map(value).collect::<Option<_>>()?;
    let total = values
        .iter()
        .enumerate()
        .map(|(i, v)| {
            if values.get(i + 1).is_some_and(|next| next > v) {
                -i64::from(*v)
            } else {
                i64::from(*v)
            }
        })
        .sum::<i64>();
    // A word of these letters is a numeral only when it is written as one: `ill` is none, `iv` is.
    let total = u32::try_from(total).ok()?;
    (to_roman(total) == word.replace('і', "i").replace('х', "x").replace('с', "c")).then_some(total)
}

fn to_roman(mut n: u32) -> String {
    let mut out = String::new();
    for (value, letters) in [
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ] {
        while n >= value {
            out.push_str(letters);
            n -= value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Rank, choose, is_title, rank, wants_title};

    #[test]
    fn lines_that_are_headings() {
        for line in [
            "CHAPTER I",
            "Chapter 12. The End",
            "Глава первая.",
            "ГЛАВА IX",
            "Первая глава",
            "Chapter the Last",
            "Пролог",
            "EPILOGUE",
            "Letter 4",
        ] {
            assert_eq!(rank(line), Some(Rank::Chapter), "{line}");
        }
        assert_eq!(rank("ЧАСТЬ ВТОРАЯ"), Some(Rank::Part));
        assert_eq!(rank("Book One: 1805"), Some(Rank::Part));
        for (line, number) in [
            ("IV", 4),
            ("XI.", 11),
            ("7", 7),
            ("1. Дурное поведение", 1),
            ("ХIV", 14),
        ] {
            assert_eq!(rank(line), Some(Rank::Number(number)), "{line}");
        }
    }

    #[test]
    fn lines_that_are_not() {
        for line in [
            "Chapter",
            "Part of the ship was lost.",
            "I ran.",
            "Глава семьи был строг.",
            "1. He went home.",
            "iiii",
            "1887 год",
            "I do not know",
            "",
            "Act your age, said Alice",
            "Пролог был написан позже других глав.",
        ] {
            assert_eq!(rank(line), None, "{line}");
        }
    }

    #[test]
    fn numbers_have_to_follow_each_other() {
        assert_eq!(
            choose(&[(1, Rank::Number(1)), (5, Rank::Number(7)), (9, Rank::Number(2))]),
            [1, 9]
        );
        assert_eq!(choose(&[(1, Rank::Number(1))]), []);
        assert_eq!(
            choose(&[
                (0, Rank::Part),
                (1, Rank::Number(1)),
                (2, Rank::Number(2)),
                (3, Rank::Part),
                (4, Rank::Number(1))
            ]),
            [0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn titles() {
        assert!(wants_title("CHAPTER I") && wants_title("IV") && !wants_title("Chapter 1. The Pool"));
        assert!(is_title("Who Stole the Tarts?") && is_title("Дурное поведение"));
        assert!(!is_title("Once upon a time there was a dog.") && !is_title("— Нет") && !is_title("and so on"));
    }
}
