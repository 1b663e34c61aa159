//! Runs to lines, lines to paragraphs.

use std::collections::{HashMap, HashSet};

use super::page::Run;
use crate::blocks::clean;
use crate::plain::Paragraph;

/// A line of a page.
#[derive(Debug)]
struct Line {
    x: f32,
    end: f32,
    y: f32,
    size: f32,
    text: String,
}

/// How far apart base lines of one line may be, in sizes.
const SAME_LINE: f32 = 0.35;

/// How wide a gap between two runs is a space, in sizes.
const GAP: f32 = 0.18;

/// How far in a first line begins, in sizes.
const INDENT: f32 = 0.8;

/// How much more than the usual space between lines is a new paragraph.
const SPACE_BETWEEN: f32 = 1.35;

/// Makes paragraphs of the runs of pages. Numbers of pages are left out.
pub fn paragraphs(pages: Vec<Vec<Run>>) -> Vec<Paragraph> {
    let mut pages: Vec<Vec<Line>> = pages.into_iter().map(lines).collect();
    pages.iter_mut().for_each(drop_page_number);
    drop_running_lines(&mut pages);
    let indents = uses_indents(&pages);
    let mut found: Vec<Paragraph> = Vec::new();
    let mut size = 0.0;
    for lines in &pages {
        add_page(lines, indents, size, &mut found);
        size = lines.last().map_or(size, |line| line.size);
    }
    found
}

/// On how many pages a line stands that belongs to the pages and not to the text.
const RUNNING: usize = 3;

/// Leaves out running heads and feet: first and last lines that several pages have, but for the number of the page.
fn drop_running_lines(pages: &mut [Vec<Line>]) {
    let key = |line: &Line| line.text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for lines in pages.iter() {
        let ends: HashSet<String> = lines.first().into_iter().chain(lines.last()).map(key).collect();
        for end in ends {
            *seen.entry(end).or_default() += 1;
        }
    }
    let running = |line: &Line| {
        let key = key(line);
        !key.is_empty() && seen.get(&key).is_some_and(|pages| *pages >= RUNNING)
    };
    for lines in pages {
        if lines.first().is_some_and(running) {
            lines.remove(0);
        }
        if lines.last().is_some_and(running) {
            lines.pop();
        }
    }
}

/// Whether paragraphs are told apart by indents: some lines have one, most have none.
fn uses_indents(pages: &[Vec<Line>]) -> bool {
    let all: usize = pages.iter().map(Vec::len).sum();
    let indented: usize = pages
        .iter()
        .map(|lines| lines.iter().filter(|line| is_indented(line, left(lines))).count())
        .sum();
    indented * 50 > all && indented * 2 < all
}

fn left(lines: &[Line]) -> f32 {
    lines.iter().map(|line| line.x).fold(f32::INFINITY, f32::min)
}

fn is_indented(line: &Line, left: f32) -> bool {
    line.x - left > INDENT * line.size
}

fn lines(runs: Vec<Run>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for run in runs {
        match lines.last_mut() {
            // In the order of painting, which is that of reading in all but odd files.
            Some(line) if (line.y - run.y).abs() < SAME_LINE * line.size.max(run.size) && run.x >= line.x => {
                let gap = run.x - line.end;
                let spaced = line.text.ends_with(char::is_whitespace) || run.text.starts_with(char::is_whitespace);
                if gap > GAP * run.size && !spaced {
                    line.text.push(' ');
                }
                line.text.push_str(&run.text);
                line.end = line.end.max(run.end);
                line.size = line.size.max(run.size);
            }
            _ => lines.push(Line {
                x: run.x,
                end: run.end,
                y: run.y,
                size: run.size,
                text: run.text,
            }),
        }
    }
    lines.retain_mut(|line| {
        // A space at the beginning of a line is an indent that was typed.
        let typed = line.text.len() - line.text.trim_start().len();
        line.x += typed as f32 * line.size * 0.25;
        line.text = clean(&line.text, false);
        !line.text.is_empty()
    });
    lines
}

/// A number alone on the first or the last line of a page is the page's, when it stands apart from the text.
fn drop_page_number(lines: &mut Vec<Line>) {
    let is_number = |line: &Line| line.text.trim_matches(['-', '–', '—', ' ']).parse::<u32>().is_ok();
    let apart = |a: &Line, b: &Line| (a.y - b.y).abs() > a.size.max(b.size) * SPACE_BETWEEN * 1.2;
    if let [.., above, last] = lines.as_slice()
        && is_number(last)
        && apart(above, last)
    {
        lines.pop();
    }
    if let [first, below, ..] = lines.as_slice()
        && is_number(first)
        && apart(first, below)
    {
        lines.remove(0);
    }
}

/// `size` is that of the last page's last line.
fn add_page(lines: &[Line], indents: bool, size: f32, found: &mut Vec<Paragraph>) {
    let left = left(lines);
    let right = lines.iter().map(|line| line.end).fold(f32::NEG_INFINITY, f32::max);
    let leading = usual_leading(lines);
    let mut above: Option<&Line> = None;
    for line in lines {
        let indented = is_indented(line, left);
        let begins = match above {
            // The first line of a page goes on with the last page's paragraph, unless it is indented or set otherwise, or, where
            // there are no indents, that one had ended.
            None => indented || is_other_size(size, line.size) || (!indents && found.last().is_none_or(ends)),
            Some(above) => {
                let gap = above.y - line.y;
                let far = gap > leading * SPACE_BETWEEN || gap < 0.0;
                let other_size = is_other_size(above.size, line.size);
                let above_indented = is_indented(above, left);
                // A line that ends early ends a paragraph, when it also ends a sentence.
                let early = right - above.end > 0.25 * (right - left) && ends_sentence(&above.text) && !above_indented;
                let first = indented && (!above_indented || ends_sentence(&above.text) || starts_speech(&line.text));
                far || other_size || first || early
            }
        };
        if begins {
            let apart = above.is_none_or(|above| above.y - line.y > leading * SPACE_BETWEEN);
            found.push(Paragraph {
                lines: vec![line.text.clone()],
                apart,
                verse: false,
            });
        } else if let Some(last) = found.last_mut().and_then(|paragraph| paragraph.lines.last_mut()) {
            join(last, &line.text);
        }
        above = Some(line);
    }
}

fn is_other_size(a: f32, b: f32) -> bool {
    (a - b).abs() > 0.1 * a.max(b)
}

/// The space between lines that is seen most often.
fn usual_leading(lines: &[Line]) -> f32 {
    let mut gaps: Vec<f32> = lines
        .windows(2)
        .map(|pair| pair[0].y - pair[1].y)
        .filter(|gap| *gap > 0.0)
        .collect();
    gaps.sort_unstable_by(f32::total_cmp);
    gaps.get(gaps.len() / 3).copied().unwrap_or(f32::INFINITY)
}

/// Puts a line to the end of a paragraph: a word that was divided becomes one again.
fn join(paragraph: &mut String, line: &str) {
    let divided = paragraph
        .strip_suffix(['-', '\u{2010}'])
        .is_some_and(|rest| rest.ends_with(char::is_lowercase))
        && line.starts_with(char::is_lowercase);
    if divided {
        paragraph.pop();
    } else {
        paragraph.push(' ');
    }
    paragraph.push_str(line);
}

fn ends(paragraph: &Paragraph) -> bool {
    paragraph.lines.last().is_none_or(|line| ends_sentence(line))
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '»', '”', '\'', '’', ')', ']'])
        .ends_with(['.', '!', '?', '…', ':'])
}

fn starts_speech(text: &str) -> bool {
    text.starts_with(['—', '–', '«', '“', '"'])
}

#[cfg(test)]
mod tests {
    use super::{Run, paragraphs};

    fn run(x: f32, y: f32, width: f32, text: &str) -> Run {
        Run {
            x,
            y,
            end: x + width,
            size: 10.0,
            text: text.to_owned(),
        }
    }

    fn texts(pages: Vec<Vec<Run>>) -> Vec<String> {
        paragraphs(pages).into_iter().map(|p| p.lines.join("|")).collect()
    }

    #[test]
    fn what_belongs_to_the_pages_is_left_out() {
        let page = |n: usize| {
            vec![
                run(50.0, 720.0, 200.0, &format!("Chapter 4: Dogs {n}")),
                run(70.0, 700.0, 310.0, &format!("Text number {n} is here,")),
                run(
                    50.0,
                    688.0,
                    100.0,
                    &format!("and ends {}.", ["so", "thus", "here"][n - 1]),
                ),
                run(200.0, 600.0, 10.0, &n.to_string()),
            ]
        };
        let found = texts((1..4).map(page).collect());
        let expected =
            [(1, "so"), (2, "thus"), (3, "here")].map(|(n, word)| format!("Text number {n} is here, and ends {word}."));
        assert_eq!(found, expected);
    }

    #[test]
    fn runs_become_lines_and_lines_paragraphs() {
        let page = vec![
            run(70.0, 700.0, 100.0, "A  first"),
            run(175.0, 700.0, 200.0, "line that is di-"),
            run(50.0, 688.0, 330.0, "vided and goes on to"),
            run(50.0, 676.0, 60.0, "its end."),
            run(70.0, 664.0, 310.0, "Another one, without"),
            run(50.0, 652.0, 330.0, "an end on this page"),
            run(200.0, 600.0, 10.0, "17"),
        ];
        let next = vec![
            run(50.0, 700.0, 330.0, "but on the"),
            run(50.0, 688.0, 80.0, "next."),
            run(50.0, 660.0, 330.0, "Apart."),
        ];
        assert_eq!(
            texts(vec![page, next]),
            [
                "A first line that is divided and goes on to its end.",
                "Another one, without an end on this page but on the next.",
                "Apart."
            ]
        );
    }
}
