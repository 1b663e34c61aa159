//! Plain text: paragraphs out of lines, chapters out of what looks like headings.

use crate::Book;
use crate::blocks::{Block, Chapters, clean};
use crate::encoding;
use crate::error::{Error, Kind};
use crate::format::Format;
use crate::headings::{self, Rank};

/// Text before the first heading is a title page up to this length, in bytes, and a chapter without a title beyond it.
const TITLE_PAGE: usize = 2000;

/// The narrowest column that lines are broken at, in characters.
const COLUMN: usize = 45;

/// Reads plain text.
///
/// # Errors
/// When its encoding is not known or not kept to.
pub fn extract(bytes: &[u8], encoding: Option<&str>) -> Result<Book, Error> {
    let (text, encoding) = encoding::decode(bytes, encoding)?;
    if text.contains('\0') {
        return Err(Error::new(
            Kind::Unsupported,
            "there are zero bytes in it, so it is no plain text",
        ));
    }
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{c}'], "\n");
    let text = quotation_marks(text);
    let (text, said) = gutenberg(&text);
    let front = assemble(paragraphs(text));
    Ok(Book {
        title: said.title.or(front.title),
        author: said.author.or(front.author),
        language: said.language,
        format: Format::Txt,
        encoding: Some(encoding),
        chapters: front.chapters.finish(),
    })
}

/// Texts that were typed in ASCII quote with a grave accent and an apostrophe. Their marks become the ones that were meant, or a reader of markdown would take them
/// for code.
fn quotation_marks(text: String) -> String {
    let mut before = ' ';
    let (mut opening, mut others) = (0, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '`' {
            let opens = !before.is_alphanumeric() && chars.peek().is_some_and(|next| !next.is_whitespace());
            *(if opens { &mut opening } else { &mut others }) += 1;
        }
        before = c;
    }
    let closing = text.matches('\'').count();
    if opening < 10 || others * 10 > opening || closing < opening / 2 {
        return text;
    }
    text.replace('`', "‘").replace('\'', "’")
}

/// What a text says of itself before it begins.
#[derive(Debug, Default)]
struct Said {
    title: Option<String>,
    author: Option<String>,
    language: Option<String>,
}

/// Cuts off the header and the licence that Project Gutenberg puts around its texts.
fn gutenberg(text: &str) -> (&str, Said) {
    let mark = |line: &str, word: &str| {
        line.starts_with("***") && line.contains(word) && line.to_ascii_uppercase().contains("PROJECT GUTENBERG")
    };
    let (mut start, mut end, mut at) = (None, text.len(), 0);
    for line in text.split_inclusive('\n') {
        if start.is_none() && mark(line, "START OF") {
            start = Some((at, at + line.len()));
        } else if start.is_some() && mark(line, "END OF") {
            end = at;
            break;
        }
        at += line.len();
    }
    let Some((header_end, start)) = start else {
        return (text, Said::default());
    };
    let field = |name: &str| {
        text[..header_end]
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|v| clean(v, false))
            .filter(|v| !v.is_empty())
    };
    let language = field("Language:").and_then(|name| match name.to_ascii_lowercase().as_str() {
        "english" => Some("en".to_owned()),
        "russian" => Some("ru".to_owned()),
        "german" => Some("de".to_owned()),
        "french" => Some("fr".to_owned()),
        _ => None,
    });
    (
        &text[start..end],
        Said {
            title: field("Title:"),
            author: field("Author:"),
            language,
        },
    )
}

/// The lines of a paragraph.
#[derive(Debug)]
pub struct Paragraph {
    /// Its lines, trimmed.
    pub lines: Vec<String>,
    /// Whether nothing stands directly above it.
    pub apart: bool,
    /// Whether its lines are those of a verse.
    pub verse: bool,
}

impl Paragraph {
    fn text(&self) -> String {
        self.lines.join(if self.verse { "\n" } else { " " })
    }
}

/// Finds the paragraphs: where lines are broken at a column, a blank line or an indented line begins one; else every line is one.
fn paragraphs(text: &str) -> Vec<Paragraph> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let wrapped = is_wrapped(&lines);
    let mut found: Vec<Paragraph> = Vec::new();
    let mut indents: Vec<usize> = Vec::new();
    let mut above = None;
    for line in lines {
        let content = line.trim_start();
        if content.is_empty() {
            above = None;
            continue;
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let begins = !wrapped || above.is_none_or(|above| indent > 0 && above == 0);
        if begins {
            settle_verse(&mut found, &indents);
            indents.clear();
            found.push(Paragraph {
                lines: Vec::new(),
                apart: above.is_none(),
                verse: false,
            });
        }
        if let Some(paragraph) = found.last_mut() {
            paragraph.lines.push(content.to_owned());
        }
        indents.push(indent);
        above = Some(indent);
    }
    settle_verse(&mut found, &indents);
    found
}

fn settle_verse(found: &mut [Paragraph], indents: &[usize]) {
    if let Some(paragraph) = found.last_mut() {
        let short = paragraph.lines.iter().all(|line| line.chars().count() <= 60);
        paragraph.verse = paragraph.lines.len() > 1 && short && indents.iter().all(|indent| *indent >= 4);
    }
}

/// Whether lines that others follow are about as long as a column is wide.
fn is_wrapped(lines: &[&str]) -> bool {
    let mut lengths: Vec<usize> = lines
        .windows(2)
        .filter(|pair| !pair[0].trim().is_empty() && !pair[1].trim().is_empty())
        .map(|pair| pair[0].chars().count())
        .collect();
    if lengths.is_empty() {
        return false;
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    (COLUMN..=120).contains(&median)
}

/// Chapters, and what the title page says.
#[derive(Debug)]
pub struct Assembled {
    /// The chapters.
    pub chapters: Chapters,
    /// The title.
    pub title: Option<String>,
    /// The author.
    pub author: Option<String>,
}

/// Makes chapters of paragraphs without markup.
pub fn assemble(mut paragraphs: Vec<Paragraph>) -> Assembled {
    if paragraphs.last().is_some_and(|last| is_end_mark(&last.text())) {
        paragraphs.pop();
    }
    let candidates: Vec<(usize, Rank)> = paragraphs
        .iter()
        .enumerate()
        .filter(|(_, p)| p.lines.len() <= 3 && !p.verse)
        .filter_map(|(i, p)| Some((i, headings::rank(p.lines.first()?)?)))
        .filter(|(i, rank)| {
            !matches!(rank, Rank::Number(_)) || (paragraphs[*i].apart && paragraphs[*i].lines.len() == 1)
        })
        .collect();
    let chosen = headings::choose(&candidates);
    let body = chosen.first().copied().unwrap_or(0);
    let front = title_page(&paragraphs[..if chosen.is_empty() { paragraphs.len() } else { body }]);
    let mut assembled = Assembled {
        chapters: Chapters::default(),
        title: front.title,
        author: front.author,
    };
    let begin = if chosen.is_empty() {
        front.lines
    } else if paragraphs[..body].iter().map(|p| p.text().len()).sum::<usize>() <= TITLE_PAGE {
        body
    } else {
        front.lines
    };
    let mut index = begin;
    let mut last = None;
    while index < paragraphs.len() {
        let paragraph = &paragraphs[index];
        index += 1;
        if chosen.binary_search(&(index - 1)).is_err() {
            assembled.chapters.push(Block::Paragraph(paragraph.text()));
            continue;
        }
        // A chapter after a chapter without text is a line of a table of contents; after a part, it is the part's first.
        let rank = candidates
            .iter()
            .find(|(line, _)| *line == index - 1)
            .map(|(_, rank)| *rank);
        if rank == Some(Rank::Part) || last != Some(Rank::Part) {
            assembled.chapters.drop_headings();
        }
        last = rank;
        for (i, line) in paragraph.lines.iter().enumerate() {
            let heading = i == 0 || headings::is_title(line);
            assembled.chapters.push(if heading {
                Block::Heading(line.clone())
            } else {
                Block::Paragraph(line.clone())
            });
        }
        let number_alone = paragraph.lines.len() == 1 && headings::wants_title(&paragraph.lines[0]);
        if let (true, Some(next)) = (number_alone, paragraphs.get(index))
            && let [line] = next.lines.as_slice()
            && headings::is_title(line)
            && chosen.binary_search(&index).is_err()
        {
            assembled.chapters.push(Block::Heading(line.clone()));
            index += 1;
        }
    }
    assembled
}

struct TitlePage {
    title: Option<String>,
    author: Option<String>,
    /// How many paragraphs it has.
    lines: usize,
}

/// The short lines that a text begins with: a title and an author, in either order.
fn title_page(paragraphs: &[Paragraph]) -> TitlePage {
    let short = paragraphs
        .iter()
        .take(6)
        .take_while(|p| p.lines.len() == 1 && headings::is_title(&p.lines[0]));
    let lines: Vec<&str> = short.map(|p| p.lines[0].as_str()).collect();
    // A text of short lines alone has no title page, and one line is a title only when text follows.
    if lines.len() == paragraphs.len() && lines.len() > 3 {
        return TitlePage {
            title: None,
            author: None,
            lines: 0,
        };
    }
    let count = lines.len();
    let by = |line: &str| {
        line.strip_prefix("by ")
            .or_else(|| line.strip_prefix("By "))
            .unwrap_or(line)
            .to_owned()
    };
    let (title, author) = match lines.as_slice() {
        [] => (None, None),
        [title] => (Some(*title), None),
        [first, second, ..] if is_name(first) && !is_name(&by(second)) => (Some(*second), Some(*first)),
        [first, second, ..] if is_name(&by(second)) => (Some(*first), Some(*second)),
        [first, ..] => (Some(*first), None),
    };
    TitlePage {
        title: title.map(|t| clean(t, false)),
        author: author.map(|a| clean(&by(a), false)),
        lines: count,
    }
}

/// Whether a line looks like the name of a person: two to four words, each with a capital letter and small ones, or initials.
fn is_name(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = |word: &&str| {
        let mut chars = word.chars();
        let capital = chars.next().is_some_and(char::is_uppercase);
        let rest = chars.as_str();
        capital
            && (rest == "." || (!rest.is_empty() && rest.chars().all(|c| c.is_lowercase() || c == '-' || c == '\'')))
    };
    (2..=4).contains(&words.len()) && words.iter().all(name)
}

fn is_end_mark(text: &str) -> bool {
    let text = text.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    matches!(text.as_str(), "the end" | "end" | "finis" | "конец")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::extract;

    #[test]
    fn wrapped_lines_and_verse() {
        let text = "\n   ALICE IN WONDERLAND\n\n    Lewis Carroll\n\n      EDITION 2.9\n\n    CHAPTER I\n\n   Down the Hole\n\n  \
            Alice was beginning to get very tired of sitting by her sister\non the bank, and of having nothing to do: once or twice she had\n\
            peeped into the book.\n  So she was considering in her own mind, as well as she could,\nfor the hot day.\n\n     \
            How doth the little\n       crocodile\n\n    CHAPTER II\n\nMore of the same text that is long enough to be wrapped at a column.\n\n   THE END\n";
        let book = extract(text.as_bytes(), None).unwrap();
        assert_eq!(book.title.as_deref(), Some("ALICE IN WONDERLAND"));
        assert_eq!(book.author.as_deref(), Some("Lewis Carroll"));
        assert_eq!(book.chapters.len(), 2);
        assert_eq!(book.chapters[0].title.as_deref(), Some("CHAPTER I. Down the Hole"));
        assert_eq!(
            book.chapters[0].text,
            "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once or twice \
             she had peeped into the book.\n\nSo she was considering in her own mind, as well as she could, for the hot day.\n\n\
             How doth the little\ncrocodile"
        );
        assert!(book.chapters[1].text.ends_with("at a column."));
    }

    #[test]
    fn a_line_is_a_paragraph_where_lines_are_not_broken() {
        let text = "Каштанка\n\nАнтон Чехов\n\nГлава первая.\nДурное поведение\nМолодая рыжая собака бегала взад и вперёд.\n\
            — Каштанка, пойдём!\n\nГлава вторая.\nТаинственный незнакомец\nБыло уже темно.\n";
        let book = extract(text.as_bytes(), None).unwrap();
        assert_eq!(
            (book.title.as_deref(), book.author.as_deref()),
            (Some("Каштанка"), Some("Антон Чехов"))
        );
        assert_eq!(
            book.chapters[0].title.as_deref(),
            Some("Глава первая. Дурное поведение")
        );
        assert_eq!(
            book.chapters[0].text,
            "Молодая рыжая собака бегала взад и вперёд.\n\n— Каштанка, пойдём!"
        );
        assert_eq!(
            book.chapters[1].title.as_deref(),
            Some("Глава вторая. Таинственный незнакомец")
        );
    }

    #[test]
    fn what_project_gutenberg_adds_is_left_out() {
        let text = "The Project Gutenberg eBook of X\n\nTitle: X and Y\nAuthor: A. Writer\nLanguage: English\n\n\
            *** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nI.\n\nFirst text.\n\nII.\n\nSecond text.\n\n\
            *** END OF THE PROJECT GUTENBERG EBOOK X ***\n\nLicence\n";
        let book = extract(text.as_bytes(), None).unwrap();
        assert_eq!(
            (book.title.as_deref(), book.author.as_deref()),
            (Some("X and Y"), Some("A. Writer"))
        );
        let chapters: Vec<_> = book
            .chapters
            .iter()
            .map(|c| (c.title.as_deref(), c.text.as_str()))
            .collect();
        assert_eq!(chapters, [(Some("I."), "First text."), (Some("II."), "Second text.")]);
    }

    #[test]
    fn a_table_of_contents_makes_no_chapters() {
        let text = "Contents\n\nChapter 1\nChapter 2\n\nChapter 1\n\nOne is here.\n\nChapter 2\n\nTwo is here.\n";
        let book = extract(text.as_bytes(), None).unwrap();
        let chapters: Vec<_> = book
            .chapters
            .iter()
            .map(|c| (c.title.as_deref(), c.text.as_str()))
            .collect();
        assert_eq!(
            chapters,
            [(Some("Chapter 1"), "One is here."), (Some("Chapter 2"), "Two is here.")]
        );
    }

    #[test]
    fn typed_quotation_marks_become_printed_ones() {
        let text = "`I don't know,' said Alice. ".repeat(10);
        let book = extract(text.as_bytes(), None).unwrap();
        assert!(book.chapters[0].text.starts_with("‘I don’t know,’ said Alice."));
        let code = "Run `ls` and then `pwd`, don't forget. ".repeat(10);
        assert!(
            extract(code.as_bytes(), None).unwrap().chapters[0]
                .text
                .contains("Run `ls` and")
        );
    }

    #[test]
    fn text_without_chapters_is_one() {
        let book = extract("Просто текст.\nИ ещё строка.".as_bytes(), None).unwrap();
        assert_eq!(book.chapters.len(), 1);
        assert_eq!(book.chapters[0].title, None);
        assert_eq!(book.chapters[0].text, "Просто текст.\n\nИ ещё строка.");
    }
}
