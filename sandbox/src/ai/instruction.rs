//! Limits and the title, read from plain words.

use crate::summary::Order;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Sentences,
    Characters,
    Words,
}

enum Token {
    Number(usize),
    Word(String),
}

/// How far before its unit a number may stand, and how far after, in words.
const BEFORE: usize = 4;
const AFTER: usize = 2;

pub(super) fn read(instruction: &str) -> Order {
    let mut order = Order::default();
    for line in instruction.lines() {
        let tokens = tokens(line);
        limits(&tokens, &mut order);
        if let Some(title) = title(&tokens) {
            order.title = title;
        }
    }
    order
}

fn limits(tokens: &[Token], order: &mut Order) {
    let units: Vec<(usize, Unit)> = tokens
        .iter()
        .enumerate()
        .filter_map(|(index, token)| Some((index, unit(token)?)))
        .collect();
    let mut taken = 0;
    let mut clause = 0;
    for (index, unit) in units {
        let from = index.saturating_sub(BEFORE).max(taken);
        let before = (from..index).rev().find_map(|at| Some((at, number(&tokens[at])?)));
        let until = (index + 1 + AFTER).min(tokens.len());
        let after = || (index + 1..until).find_map(|at| Some((at, number(&tokens[at])?)));
        taken = index + 1;
        let Some((at, count)) = before.or_else(after).filter(|(_, count)| *count > 0) else {
            continue;
        };
        let begin = std::mem::replace(&mut clause, taken.max(at + 1));
        if at > index {
            taken = at + 1;
        } else if is_each(&tokens[begin..at]) {
            continue;
        }
        match unit {
            Unit::Sentences => order.sentences = Some(count),
            Unit::Characters => order.characters = Some(count),
            Unit::Words => order.words = Some(count),
        }
    }
}

/// "each sentence at most 20 words" is not a limit of the whole.
fn is_each(before: &[Token]) -> bool {
    before.iter().any(|token| match token {
        Token::Word(word) => matches!(word.as_str(), "each" | "every" | "per") || word.starts_with("кажд"),
        Token::Number(_) => false,
    })
}

fn unit(token: &Token) -> Option<Unit> {
    let Token::Word(word) = token else { return None };
    match word.as_str() {
        "sentence" | "sentences" => Some(Unit::Sentences),
        "character" | "characters" | "chars" | "char" | "symbols" | "знак" | "знака" | "знаков" | "знаками"
        | "знакам" => Some(Unit::Characters),
        "word" | "words" | "слово" | "слова" | "слов" | "словами" | "словам" => {
            Some(Unit::Words)
        }
        word if word.starts_with("предложени") || word.starts_with("фраз") => Some(Unit::Sentences),
        word if word.starts_with("символ") => Some(Unit::Characters),
        _ => None,
    }
}

fn number(token: &Token) -> Option<usize> {
    match token {
        Token::Number(number) => Some(*number),
        Token::Word(word) => numeral(word),
    }
}

fn numeral(word: &str) -> Option<usize> {
    const STEMS: [(&str, usize); 11] = [
        ("одн", 1),
        ("один", 1),
        ("четыр", 4),
        ("пят", 5),
        ("шест", 6),
        ("восем", 8),
        ("восьм", 8),
        ("девят", 9),
        ("десят", 10),
        ("пар", 2),
        ("полтор", 2),
    ];
    let exact = match word {
        "one" | "single" => 1,
        "two" | "couple" | "pair" | "два" | "две" | "двух" | "двумя" | "двум" => 2,
        "three" | "три" | "трех" | "тремя" | "трем" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" | "семь" | "семи" | "семью" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "eleven" | "одиннадцать" | "одиннадцати" => 11,
        "twelve" | "dozen" | "двенадцать" | "двенадцати" => 12,
        "fifteen" | "пятнадцать" | "пятнадцати" => 15,
        "twenty" | "двадцать" | "двадцати" => 20,
        "hundred" | "сто" | "ста" => 100,
        _ => 0,
    };
    if exact > 0 {
        return Some(exact);
    }
    // A stem and an ending of at most three letters: «пяти», «одного», but not «пятнами».
    let found = STEMS.iter().find(|(stem, _)| {
        word.strip_prefix(stem)
            .is_some_and(|ending| ending.chars().count() <= 3 && !ending.starts_with("н"))
    });
    found.map(|(_, number)| *number)
}

/// Whether this line asks for a title (`Some(true)`), forbids one (`Some(false)`), or says nothing of it.
fn title(tokens: &[Token]) -> Option<bool> {
    let word = |index: usize| match tokens.get(index) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let at = (0..tokens.len()).find(|index| {
        matches!(word(*index), "title" | "titles" | "headline" | "heading") || word(*index).starts_with("заголов")
    })?;
    let near = |from: usize, to: usize, wanted: &dyn Fn(&str) -> bool| (from..to).any(|index| wanted(word(index)));
    let no = |word: &str| {
        matches!(
            word,
            "no" | "not" | "without" | "don't" | "never" | "omit" | "skip" | "без" | "не" | "нет"
        )
    };
    if near(at.saturating_sub(4), at, &no) {
        return Some(false);
    }
    let asks = |word: &str| {
        matches!(
            word,
            "write" | "begin" | "start" | "give" | "add" | "with" | "include" | "put" | "compose" | "make"
        ) || matches!(word, "first" | "then" | "followed" | "с" | "со" | "сначала" | "нужен")
            || [
                "напиш",
                "начн",
                "начин",
                "дай",
                "добав",
                "придума",
                "постав",
                "перв",
                "сдела",
            ]
            .iter()
            .any(|stem| word.starts_with(stem))
    };
    let asked = near(at.saturating_sub(8), at, &asks) || near(at + 1, (at + 7).min(tokens.len()), &asks);
    asked.then_some(true)
}

/// Words in lower case without ё, and numbers, whose thousands may be set apart.
fn tokens(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() {
            let (number, length) = digits(rest);
            tokens.push(Token::Number(number));
            rest = &rest[length..];
        } else if first.is_alphabetic() {
            let length = rest
                .find(|c: char| !c.is_alphabetic() && c != '\'' && c != '’')
                .unwrap_or(rest.len());
            tokens.push(Token::Word(
                rest[..length].to_lowercase().replace('ё', "е").replace('’', "'"),
            ));
            rest = &rest[length..];
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// A number and its length in bytes; `1 000`, `1,000` and `1.000` are a thousand.
fn digits(text: &str) -> (usize, usize) {
    let run = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut length = run(text);
    let mut number = text[..length].to_owned();
    while length <= 20 {
        let rest = &text[length..];
        let Some(separator) = rest.chars().next().filter(|c| " ,.\u{a0}\u{202f}'".contains(*c)) else {
            break;
        };
        let group = &rest[separator.len_utf8()..];
        if run(group) != 3 || number.len() > 3 && number.len() == text[..length].len() {
            break;
        }
        number.push_str(&group[..3]);
        length += separator.len_utf8() + 3;
    }
    (number.parse().unwrap_or(usize::MAX), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_two_languages() {
        let limits = |text: &str| {
            let order = read(text);
            (order.sentences, order.characters, order.words)
        };
        for (text, expected) in [
            ("Summarise in 3 sentences.", (Some(3), None, None)),
            (
                "Use three to five short sentences, at most 900 characters.",
                (Some(5), Some(900), None),
            ),
            ("Write 3-5 sentences.", (Some(5), None, None)),
            ("In one sentence", (Some(1), None, None)),
            (
                "No more than 1,200 characters, 1 000 words",
                (None, Some(1_200), Some(1_000)),
            ),
            ("Sentences: 4", (Some(4), None, None)),
            ("Each sentence at most 20 words. Two sentences.", (Some(2), None, None)),
            ("Use your own words and characters", (None, None, None)),
            (
                "Изложи в трёх предложениях, не более 700 знаков.",
                (Some(3), Some(700), None),
            ),
            ("Не больше пяти предложений", (Some(5), None, None)),
            ("Одним предложением. До 1 500 символов.", (Some(1), Some(1_500), None)),
            ("от 2 до 4 предложений по 300 слов", (Some(4), None, Some(300))),
            ("Количество предложений: 6", (Some(6), None, None)),
            ("Пара фраз о книге, 4096 символов", (Some(2), Some(4_096), None)),
            ("The book of 1999, 100 pages", (None, None, None)),
        ] {
            assert_eq!(limits(text), expected, "{text}");
        }
    }

    #[test]
    fn titles_are_asked_for_forbidden_or_data() {
        for (text, expected) in [
            ("Start with a short title line.", true),
            ("Write a title, then the text", true),
            ("The first line is the headline.", true),
            ("Начни с заголовка", true),
            ("Напиши пост. Первой строкой — заголовок.", true),
            ("Write without a title.", false),
            ("Без заголовка", false),
            ("Do not add a title", false),
            ("Book title: Alice", false),
            ("Summarise.", false),
        ] {
            assert_eq!(read(text).title, expected, "{text}");
        }
    }
}
