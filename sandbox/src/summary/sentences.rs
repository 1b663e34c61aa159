//! Where one sentence ends and the next begins, in English and in Russian.
//!
//! A full stop is not always one: abbreviations (`Mr.`, `т. е.`), initials (`А. С. Пушкин`), an ellipsis in the middle
//! of a thought, the question inside somebody's quoted words, the exclamation before «— сказал он». Lines are joined:
//! only an empty line, a line that begins a dialogue with a dash, or a very short line after which a sentence begins
//! anew ends a paragraph.

use super::words::is_stop_word;

/// A sentence of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its characters; runs of white space are one space.
    pub text: String,
    /// The number of its paragraph, from 0.
    pub paragraph: usize,
    /// Whether it ends like a sentence; a heading does not.
    pub terminated: bool,
}

/// Inside quotation marks or brackets a sentence goes on, but not for longer than this, in bytes: marks get lost.
const MAX_QUOTED: usize = 600;

/// Splits a text.
pub fn split(text: &str) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for (number, paragraph) in paragraphs(text).iter().enumerate() {
        for piece in split_paragraph(paragraph) {
            let terminated = ends_sentence(piece);
            sentences.push(Sentence {
                text: piece.to_owned(),
                paragraph: number,
                terminated,
            });
        }
    }
    sentences
}

/// Paragraphs with their lines joined and their white space made single spaces.
fn paragraphs(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut current = String::new();
    let mut last_line_len = 0;
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let begins_dialogue = line.starts_with(['—', '–']);
        let after_short_line = last_line_len > 0
            && last_line_len < 40
            && line
                .chars()
                .next()
                .is_some_and(|c| c.is_uppercase() || "«“\"—".contains(c))
            && !ends_with_comma(&current);
        if (line.is_empty() || begins_dialogue || after_short_line) && !current.is_empty() {
            done.push(std::mem::take(&mut current));
        }
        last_line_len = line.chars().count();
        if line.is_empty() {
            continue;
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(&line);
    }
    if !current.is_empty() {
        done.push(current);
    }
    done
}

fn ends_with_comma(text: &str) -> bool {
    text.ends_with([',', ';', ':', '-', '—', '–'])
}

/// Whether a piece ends with `.`, `!`, `?` or `…`, closing marks aside.
fn ends_sentence(piece: &str) -> bool {
    piece.trim_end_matches(is_closing).ends_with(is_terminator)
}

fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…')
}

fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | '“' | ')' | ']' | '_' | '*')
}

fn is_opening(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '‘' | '«' | '„' | '(' | '[' | '_' | '*')
}

fn split_paragraph(paragraph: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let mut marks = Marks::default();
    let mut chars = paragraph.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        marks.see(c, &paragraph[..at], &paragraph[at + c.len_utf8()..]);
        if !is_terminator(c) || chars.peek().is_some_and(|(_, next)| is_terminator(*next)) {
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some((closing_at, closing)) = chars.next_if(|(_, next)| is_closing(*next)) {
            marks.see(
                closing,
                &paragraph[..closing_at],
                &paragraph[closing_at + closing.len_utf8()..],
            );
            end = closing_at + closing.len_utf8();
        }
        let inside = marks.open() && end - begin < MAX_QUOTED;
        if !inside && is_end(&paragraph[begin..end], &paragraph[end..]) {
            pieces.push(paragraph[begin..end].trim());
            begin = end;
            marks = Marks::default();
        }
    }
    pieces.push(paragraph[begin..].trim());
    pieces.retain(|piece| piece.chars().any(char::is_alphanumeric));
    pieces
}

/// Which marks are open.
#[derive(Default)]
struct Marks {
    angle: u32,
    curly: u32,
    bracket: u32,
    straight: bool,
}

impl Marks {
    fn see(&mut self, c: char, before: &str, after: &str) {
        match c {
            '«' => self.angle += 1,
            '»' => self.angle = self.angle.saturating_sub(1),
            '„' => self.curly += 1,
            // In German and Russian “ closes what „ opened.
            '“' if self.curly > 0 && !after.starts_with(char::is_alphabetic) => self.curly -= 1,
            '“' => self.curly += 1,
            '”' => self.curly = self.curly.saturating_sub(1),
            '(' | '[' => self.bracket += 1,
            ')' | ']' => self.bracket = self.bracket.saturating_sub(1),
            '"' => {
                let opens = before.is_empty() || before.ends_with(|c: char| c.is_whitespace() || is_opening(c));
                self.straight = opens && !after.is_empty();
            }
            _ => {}
        }
    }

    fn open(&self) -> bool {
        self.angle > 0 || self.curly > 0 || self.bracket > 0 || self.straight
    }
}

/// Whether a sentence ends between `before`, which ends with a terminator and closing marks, and `after`.
fn is_end(before: &str, after: &str) -> bool {
    if after.trim().is_empty() {
        return true;
    }
    if !after.starts_with(char::is_whitespace) {
        return false;
    }
    let next = after.trim_start();
    let dashed = next.starts_with(['—', '–']);
    let next = next.trim_start_matches(|c: char| is_opening(c) || c.is_whitespace() || matches!(c, '—' | '–' | '…'));
    let Some(first) = next.chars().next() else { return true };
    if first.is_lowercase() || !(first.is_alphanumeric()) {
        return false;
    }
    let core = before.trim_end_matches(is_closing);
    let quoted = core.len() < before.len();
    if quoted && !dashed && names_speaker(next) {
        return false;
    }
    if core.ends_with("..") || !core.ends_with('.') {
        return true;
    }
    let word = last_word(core);
    match abbreviation(word, core) {
        Abbreviation::No => true,
        Abbreviation::Always => false,
        Abbreviation::MayEnd => begins_with_stop_word(next),
        Abbreviation::EndsBeforeCapital => !first.is_numeric(),
    }
}

fn last_word(core: &str) -> &str {
    let trimmed = core.trim_end_matches('.');
    let begin = trimmed
        .rfind(|c: char| c.is_whitespace() || is_opening(c) || c == '—')
        .map_or(0, |at| at + trimmed[at..].chars().next().map_or(0, char::len_utf8));
    &trimmed[begin..]
}

fn begins_with_stop_word(text: &str) -> bool {
    let word: String = text.chars().take_while(|c| c.is_alphabetic() || *c == '\'').collect();
    is_stop_word(&word.to_lowercase())
}

/// `"Really?" Alice said.`: the words after the quotation name who speaks.
fn names_speaker(next: &str) -> bool {
    const VERBS: [&str; 16] = [
        "said",
        "asked",
        "cried",
        "replied",
        "answered",
        "shouted",
        "whispered",
        "thought",
        "exclaimed",
        "remarked",
        "added",
        "began",
        "repeated",
        "continued",
        "growled",
        "muttered",
    ];
    let near: Vec<String> = next
        .split_whitespace()
        .take(4)
        .map(|word| word.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase())
        .collect();
    near.iter().skip(1).any(|word| VERBS.contains(&word.as_str()))
}

enum Abbreviation {
    No,
    /// Something always follows: `Mr.`, `ул.`, an initial.
    Always,
    /// Both happen: `г.`, `p.m.`; a small word with a capital letter then begins a sentence.
    MayEnd,
    /// It ends a list: `etc.`, `и т. д.`; a capital letter begins a sentence.
    EndsBeforeCapital,
}

const ALWAYS: &str = "mr mrs ms dr st prof rev gen col capt lt sgt hon messrs mme mlle vs viz cf no nos vol vols fig figs \
ch pp ed eds trans e.g i.e eg ie approx dept est inc jan feb mar apr jun jul aug sep sept oct nov dec mt ft \
г-н г-жа ул пер просп пл бул наб стр рис табл гл см ср напр т.е т.к т.н т.наз им проф акад доц д-р инж ген полк кап лейт \
св преп о-в р-н обл нач канд чл корр изд ред пер сост прим п с ст ч кн д кв корп оз р";
const MAY_END: &str = "jr sr esq co corp ltd a.m p.m am pm u.s u.k ph.d b.c a.d г гг в вв в.в н.э р.х тыс млн млрд руб коп \
мин сек час ч.л см.ниже км м кг др пр";
const ENDS_BEFORE_CAPITAL: &str = "etc al т.д т.п т.д. т.п.";

fn abbreviation(word: &str, core: &str) -> Abbreviation {
    let lower = word.to_lowercase();
    let listed = |list: &str| list.split_whitespace().any(|entry| entry == lower);
    let spaced = spaced_abbreviation(core);
    if listed(ENDS_BEFORE_CAPITAL) || matches!(spaced.as_deref(), Some("т.д" | "т.п" | "др" | "пр")) {
        return Abbreviation::EndsBeforeCapital;
    }
    if matches!(spaced.as_deref(), Some("т.е" | "т.к" | "т.н" | "т.о")) {
        return Abbreviation::Always;
    }
    if matches!(spaced.as_deref(), Some("н.э" | "р.х")) || listed(MAY_END) {
        return Abbreviation::MayEnd;
    }
    let mut letters = word.chars();
    let (first, second) = (letters.next(), letters.next());
    if let (Some(letter), None) = (first, second) {
        // An initial, or the one-letter words that end sentences.
        if letter.is_uppercase() {
            return if matches!(letter, 'I' | 'Я') {
                Abbreviation::MayEnd
            } else {
                Abbreviation::Always
            };
        }
    }
    // `Дж.`, `Ю.А`: initials of more letters.
    if word.contains('.') && word.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase) {
        return Abbreviation::MayEnd;
    }
    if listed(ALWAYS) || matches!(word, "Дж" | "Ал" | "Вл" | "Wm" | "Chas" | "Geo") {
        return Abbreviation::Always;
    }
    Abbreviation::No
}

/// `т. д` and `и др` at the end, with the space taken out.
fn spaced_abbreviation(core: &str) -> Option<String> {
    let tail = core.trim_end_matches('.');
    let mut words = tail.rsplit(' ');
    let (last, before) = (words.next()?, words.next()?);
    match before {
        "т." | "н." | "р." | "Р." => Some(format!("{before}{last}").to_lowercase()),
        "и" if matches!(last, "др" | "пр") => Some(last.to_owned()),
        _ => None,
    }
}
