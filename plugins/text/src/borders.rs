//! The borders within a text, from the widest to the narrowest, and the fullest pieces between them.

use std::ops::Range;

use potok_guest::sentence::sentences;

/// What ends at a border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Border {
    Chapter,
    Paragraph,
    Line,
    Sentence,
    Word,
    Character,
}

/// Divides a text into pieces of at most `limit` characters. Each is as full as it can be without ending at a narrower border than
/// it has to: first whole paragraphs go together, and only one that is too long itself is divided.
pub fn divide(text: &str, limit: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    pack(text, 0..text.len(), Border::Chapter, limit, &mut pieces);
    pieces
}

fn length(text: &str, range: &Range<usize>) -> usize {
    text[range.clone()].chars().count()
}

fn pack(text: &str, range: Range<usize>, border: Border, limit: usize, pieces: &mut Vec<Range<usize>>) {
    let first = pieces.len();
    for part in parts(text, range, border, limit) {
        // What is there of this range may take the next part in; what was there before it may not.
        if let Some(last) = pieces.get_mut(first..).and_then(<[_]>::last_mut)
            && length(text, &(last.start..part.end)) <= limit
        {
            last.end = part.end;
        } else if length(text, &part) <= limit {
            pieces.push(part);
        } else {
            pack(text, part, border.narrower(), limit, pieces);
        }
    }
}

impl Border {
    fn narrower(self) -> Self {
        match self {
            Self::Chapter => Self::Paragraph,
            Self::Paragraph => Self::Line,
            Self::Line => Self::Sentence,
            Self::Sentence => Self::Word,
            Self::Word | Self::Character => Self::Character,
        }
    }
}

/// The parts of a range between borders of one kind, without the space around them.
fn parts(text: &str, range: Range<usize>, border: Border, limit: usize) -> Vec<Range<usize>> {
    let within = &text[range.clone()];
    let at = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    let place = |part: &str| {
        let part = part.trim();
        at(part)..at(part) + part.len()
    };
    let found: Vec<Range<usize>> = match border {
        Border::Chapter => within.split("\n\n\n").map(place).collect(),
        Border::Paragraph => within.split("\n\n").map(place).collect(),
        Border::Line => within.split('\n').map(place).collect(),
        Border::Word => within.split_whitespace().map(place).collect(),
        Border::Sentence => sentences(within).into_iter().map(place).collect(),
        Border::Character => {
            let starts: Vec<usize> = within
                .char_indices()
                .step_by(limit)
                .map(|(i, _)| range.start + i)
                .collect();
            let ends = starts.iter().skip(1).copied().chain([range.end]);
            starts.iter().zip(ends).map(|(start, end)| *start..end).collect()
        }
    };
    found.into_iter().filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::divide;

    fn pieces(text: &str, limit: usize) -> Vec<&str> {
        divide(text, limit).into_iter().map(|piece| &text[piece]).collect()
    }

    #[test]
    fn the_widest_border_that_will_do() {
        assert_eq!(pieces("One two.\n\nThree four.", 30), ["One two.\n\nThree four."]);
        assert_eq!(pieces("One two.\n\nThree four.", 12), ["One two.", "Three four."]);
        assert_eq!(pieces("One two. Three four.", 12), ["One two.", "Three four."]);
        assert_eq!(pieces("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(pieces("абвгдежз", 3), ["абв", "где", "жз"]);
        assert_eq!(pieces(" \n\n ", 3), [""; 0]);
    }

    #[test]
    fn what_is_left_of_a_long_paragraph_goes_with_the_next() {
        assert_eq!(
            pieces("Aaa bbb. Ccc ddd. Eee.\n\nFff.", 17),
            ["Aaa bbb. Ccc ddd.", "Eee.\n\nFff."]
        );
    }
}
