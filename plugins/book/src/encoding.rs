//! Bytes of unknown encoding to text.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, KOI8_R, KOI8_U, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::{Error, Kind};

/// A text and the encoding that it was read with.
pub type Decoded = (String, &'static str);

/// How much of a text may be unreadable before it is called broken: one character in so many.
const TOLERANCE: usize = 1000;

/// Reads a text: as it is told, else as a byte order mark says, else as the bytes look.
///
/// # Errors
/// When the encoding is not known, or the bytes are not in it.
pub fn decode(bytes: &[u8], named: Option<&str>) -> Result<Decoded, Error> {
    let encoding = match named {
        Some(name) => by_name(name)?,
        None => guess(bytes),
    };
    // A byte order mark goes first, as on the web: a label is more often wrong than a mark.
    let (text, used, _) = encoding.decode(bytes);
    let unreadable = text.chars().filter(|c| *c == '\u{fffd}').count();
    if unreadable > 3 && unreadable > text.len() / TOLERANCE {
        return Err(Error::new(
            Kind::Broken,
            format!(
                "{unreadable} characters are not in the encoding {}; if it is another one, name it",
                used.name()
            ),
        ));
    }
    Ok((text.into_owned(), used.name()))
}

/// An encoding by the name that people and files give it.
///
/// # Errors
/// When there is none of that name.
pub fn by_name(name: &str) -> Result<&'static Encoding, Error> {
    let label = match name.to_ascii_lowercase().as_str() {
        "cp1251" | "win-1251" | "win1251" => "windows-1251",
        "utf8" => "utf-8",
        "utf16" => "utf-16",
        _ => name,
    };
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| Error::new(Kind::Unsupported, format!("there is no encoding '{name}'")))
}

/// The beginning of a text, roughly, to recognise its format.
pub fn peek(head: &[u8]) -> String {
    let encoding = Encoding::for_bom(head).map_or_else(|| utf16(head).unwrap_or(UTF_8), |(encoding, _)| encoding);
    encoding.decode(head).0.into_owned()
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    if let Some(encoding) = utf16(bytes) {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let encoding = detector.guess(None, Utf8Detection::Allow);
    // The detector knows no KOI8-R: where the two read the same, the text is called what Russian texts are called.
    if encoding == KOI8_U && KOI8_R.decode(bytes).0 == KOI8_U.decode(bytes).0 {
        KOI8_R
    } else {
        encoding
    }
}

/// UTF-16 without a byte order mark: every second byte is one of the few that begin a page of Latin or Cyrillic characters.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(8192) & !1];
    if sample.len() < 16 {
        return None;
    }
    let pages = |offset: usize| {
        let page = |b: &&u8| matches!(**b, 0x00 | 0x04 | 0x20);
        sample[offset..].iter().step_by(2).filter(page).count() * 20 > sample.len() / 2 * 19
    };
    // Text in an encoding of single bytes has no zero byte.
    if !sample.contains(&0) {
        return None;
    }
    match (pages(0), pages(1)) {
        (true, false) => Some(UTF_16BE),
        (false, true) => Some(UTF_16LE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use encoding_rs::WINDOWS_1251;

    use super::{KOI8_R, decode};

    const TEXT: &str = "Молодая рыжая собака бегала взад и вперёд по тротуару и беспокойно оглядывалась по сторонам.";

    fn utf16(little: bool, mark: bool) -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(TEXT.encode_utf16());
        units
            .flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() })
            .collect()
    }

    #[test]
    fn russian_in_every_encoding() {
        for (bytes, name) in [
            (TEXT.as_bytes().to_vec(), "UTF-8"),
            ([b"\xef\xbb\xbf", TEXT.as_bytes()].concat(), "UTF-8"),
            (WINDOWS_1251.encode(TEXT).0.into_owned(), "windows-1251"),
            (KOI8_R.encode(TEXT).0.into_owned(), "KOI8-R"),
            (utf16(true, true), "UTF-16LE"),
            (utf16(false, true), "UTF-16BE"),
            (utf16(true, false), "UTF-16LE"),
            (utf16(false, false), "UTF-16BE"),
        ] {
            assert_eq!(decode(&bytes, None).unwrap(), (TEXT.to_owned(), name));
        }
    }

    #[test]
    fn a_name_is_taken_at_its_word() {
        let bytes = WINDOWS_1251.encode("да").0.into_owned();
        assert_eq!(
            decode(&bytes, Some("cp1251")).unwrap(),
            ("да".to_owned(), "windows-1251")
        );
        assert_eq!(
            decode(&bytes, Some("klingon")).unwrap_err().reason,
            "there is no encoding 'klingon'"
        );
        let error = decode(&WINDOWS_1251.encode(TEXT).0, Some("utf-8")).unwrap_err();
        assert!(error.reason.contains("not in the encoding UTF-8"), "{}", error.reason);
    }
}
