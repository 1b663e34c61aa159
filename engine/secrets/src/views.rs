//! Ways of reading a text: as it is, without its URL encoding, without its JSON escapes, and what two of these in a row give. A secret that
//! is found in a view is found in the text, whatever part of it was encoded.

use std::{borrow::Cow, ops::Range};

/// A text as it reads when an encoding is taken off, and where each piece of it came from.
pub(crate) struct View<'t> {
    pub(crate) bytes: Cow<'t, [u8]>,
    /// Where a run of bytes in the view begins, and where in the text.
    runs: Vec<Run>,
    /// How long the text is.
    length: usize,
}

#[derive(Clone, Copy)]
struct Run {
    here: usize,
    there: usize,
    /// Byte for byte the same; else one escape, which is whole or nothing.
    same: bool,
}

/// Takes one unit off the front of some bytes: what it stands for and how long it is, if it is an escape.
type Decoder = fn(&[u8]) -> Option<(Unit, usize)>;

/// What an escape stands for: up to four bytes of UTF-8.
struct Unit([u8; 4], usize);

impl<'t> View<'t> {
    fn plain(text: &'t str) -> Self {
        let run = Run {
            here: 0,
            there: 0,
            same: true,
        };
        Self {
            bytes: Cow::Borrowed(text.as_bytes()),
            runs: vec![run],
            length: text.len(),
        }
    }

    /// The view with an encoding taken off; `None` when there was none of it.
    fn decoded(&self, decode: Decoder, marks: &[u8]) -> Option<Self> {
        if !self.bytes.iter().any(|byte| marks.contains(byte)) {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut runs: Vec<Run> = Vec::new();
        let (mut at, mut changed) = (0, false);
        while let Some(&byte) = self.bytes.get(at) {
            let unit = if marks.contains(&byte) {
                decode(&self.bytes[at..])
            } else {
                None
            };
            let here = bytes.len();
            let (length, same) = match unit {
                Some((Unit(unit, count), length)) => {
                    bytes.extend_from_slice(&unit[..count]);
                    changed = true;
                    (length, false)
                }
                None => {
                    bytes.push(byte);
                    (1, true)
                }
            };
            if !same || runs.last().is_none_or(|run| !run.same) {
                runs.push(Run { here, there: at, same });
            }
            at += length;
        }
        changed.then(|| self.over(bytes, &runs))
    }

    /// A view of this view as one of the text.
    fn over(&self, bytes: Vec<u8>, runs: &[Run]) -> Self {
        let mut joined = Vec::with_capacity(runs.len());
        for (index, run) in runs.iter().enumerate() {
            let end = runs.get(index + 1).map_or(bytes.len(), |next| next.here);
            if !run.same {
                joined.push(Run {
                    there: self.start(run.there),
                    ..*run
                });
                continue;
            }
            // One run here may be several there.
            let mut here = run.here;
            while here < end {
                let middle = run.there + (here - run.here);
                let (found, next) = self.run(middle);
                joined.push(Run {
                    here,
                    there: if found.same {
                        found.there + (middle - found.here)
                    } else {
                        found.there
                    },
                    same: found.same,
                });
                here = next.map_or(end, |next| end.min(here + (next - middle)));
            }
        }
        Self {
            bytes: Cow::Owned(bytes),
            runs: joined,
            length: self.length,
        }
    }

    /// The run that a byte of the view is in, and where the next one begins.
    fn run(&self, at: usize) -> (Run, Option<usize>) {
        let index = self.runs.partition_point(|run| run.here <= at).saturating_sub(1);
        (self.runs[index], self.runs.get(index + 1).map(|next| next.here))
    }

    fn start(&self, at: usize) -> usize {
        let (run, _) = self.run(at);
        if run.same {
            run.there + (at - run.here)
        } else {
            run.there
        }
    }

    /// Where a range of the view is in the text; an escape that is touched is taken whole.
    pub(crate) fn range(&self, here: Range<usize>) -> Range<usize> {
        if here.is_empty() {
            return 0..0;
        }
        let last = here.end - 1;
        let index = self.runs.partition_point(|run| run.here <= last).saturating_sub(1);
        let run = self.runs[index];
        let end = if run.same {
            run.there + (last - run.here) + 1
        } else {
            self.runs.get(index + 1).map_or(self.length, |next| next.there)
        };
        self.start(here.start)..end
    }
}

/// All views of a text, itself first.
pub(crate) fn of(text: &str) -> Vec<View<'_>> {
    const DEPTH: usize = 2;
    const DECODERS: [(Decoder, &[u8]); 3] = [(percent, b"%"), (form, b"%+"), (escape, b"\\")];
    let mut views = vec![View::plain(text)];
    let mut from = 0;
    for _ in 0..DEPTH {
        let until = views.len();
        for index in from..until {
            for (decode, marks) in DECODERS {
                let plus = marks.len() > 1;
                // A form is no more than percent-encoding where it has no plus.
                if plus && !views[index].bytes.contains(&b'+') {
                    continue;
                }
                if let Some(view) = views[index].decoded(decode, marks) {
                    views.push(view);
                }
            }
        }
        from = until;
    }
    views
}

fn one(byte: u8) -> Unit {
    Unit([byte, 0, 0, 0], 1)
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

/// `%41`
fn percent(bytes: &[u8]) -> Option<(Unit, usize)> {
    let byte = hex(bytes.get(1..3)?)?;
    Some((one(u8::try_from(byte).ok()?), 3))
}

/// `%41` and `+`
fn form(bytes: &[u8]) -> Option<(Unit, usize)> {
    match bytes.first()? {
        b'+' => Some((one(b' '), 1)),
        _ => percent(bytes),
    }
}

/// `\n`, `\"`, `\u0041`, and two of the last where one character takes them
fn escape(bytes: &[u8]) -> Option<(Unit, usize)> {
    let plain = match bytes.get(1)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(bytes),
        _ => return None,
    };
    Some((one(plain), 2))
}

fn unicode(bytes: &[u8]) -> Option<(Unit, usize)> {
    let first = hex(bytes.get(2..6)?)?;
    let (code, length) = match first {
        0xD800..=0xDBFF if bytes.get(6..8) == Some(b"\\u") => {
            let second = hex(bytes.get(8..12)?)?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
            (0x10000 + ((first - 0xD800) << 10) + second, 12)
        }
        code => (code, 6),
    };
    let mut unit = [0; 4];
    let count = char::from_u32(code)?.encode_utf8(&mut unit).len();
    Some((Unit(unit, count), length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Where a word is in a text, in some view of it.
    fn find<'t>(text: &'t str, word: &str) -> Option<&'t str> {
        of(text).iter().find_map(|view| {
            let at = view
                .bytes
                .windows(word.len())
                .position(|window| window == word.as_bytes())?;
            Some(&text[view.range(at..at + word.len())])
        })
    }

    #[test]
    fn a_word_is_found_through_encodings() {
        for (text, found) in [
            ("x a/b \"é y", "a/b \"é"),
            ("x=a%2Fb%20%22%C3%A9&y", "a%2Fb%20%22%C3%A9"),
            ("x=a%2fb+%22%c3%a9&y", "a%2fb+%22%c3%a9"),
            (r#"{"x":"a\/b \"\u00e9y"}"#, r#"a\/b \"\u00e9"#),
            (r#"{"x":"{\"y\":\"a\/b \\\"é\"}"}"#, r#"a\/b \\\"é"#),
            ("%22a%2Fb+%5C%22%C3%A9", "a%2Fb+%5C%22%C3%A9"),
            ("a%252Fb%2520%2522%25C3%25A9", "a%252Fb%2520%2522%25C3%25A9"),
        ] {
            assert_eq!(find(text, "a/b \"é"), Some(found), "{text}");
        }
        assert_eq!(find(r"\ud83d\ude00!", "😀"), Some(r"\ud83d\ude00"));
        for broken in ["%", "%4", "%zz", "\\", "\\u12", "\\ud83dx", "\\x"] {
            assert_eq!(find(broken, "A"), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_encoding_of_any_character_is_seen_through(
            word in "[a-zé\"\\\\/ %+&😀]{1,12}", ways in proptest::collection::vec(0..3u8, 12), around in "[a-z=]{0,5}"
        ) {
            let urlencoded: String = word.chars().zip(&ways).map(|(c, way)| match (c, way) {
                ('%' | '+', _) | (_, 0) => c.to_string().bytes().map(|b| format!("%{b:02X}")).collect(),
                (_, 1) => c.to_string().bytes().map(|b| format!("%{b:02x}")).collect(),
                _ => c.to_string(),
            }).collect();
            let text = format!("{around}{urlencoded}{around}");
            prop_assert!(find(&text, &word).is_some());
            let json = serde_json::to_string(&word).unwrap();
            let text = format!("{around}{json}{around}");
            prop_assert!(find(&text, &word).is_some());
            let twice = serde_json::to_string(&text).unwrap();
            prop_assert!(find(&twice, &word).is_some());
        }
    }
}
