//! The language of a book.

use crate::blocks::Chapter;

/// How much text to look at, in bytes.
const SAMPLE: usize = 20_000;

/// ISO 639-1 by ISO 639-2 or 639-3, for the languages that books say or the detector knows.
const CODES: &str = "eng en rus ru ukr uk bel be bul bg srp sr hrv hr ces cs cze cs slk sk slo sk pol pl slv sl mkd mk \
    deu de ger de fra fr fre fr spa es por pt ita it ron ro rum ro nld nl dut nl swe sv dan da nob no nor no fin fi est et \
    lav lv lit lt hun hu ell el gre el tur tr aze az kat ka geo ka hye hy arm hy heb he yid yi ara ar pes fa fas fa per fa \
    urd ur hin hi ben bn guj gu pan pa mar mr nep ne tam ta tel te kan kn mal ml ori or sin si tha th khm km mya my vie vi \
    ind id jav jv tgl tl cmn zh zho zh chi zh jpn ja kor ko uzb uz tuk tk kaz kk epo eo lat la cat ca afr af aka ak amh am \
    sna sn zul zu cym cy wel cy isl is gle ga eus eu mlt mt";

/// What a file says of its language, as an ISO 639-1 code: `ru-RU`, `rus` and `RU` are `ru`.
pub fn code(said: &str) -> Option<String> {
    let primary = said.trim().split(['-', '_']).next()?.to_ascii_lowercase();
    match primary.len() {
        2 if primary.chars().all(|c| c.is_ascii_lowercase()) => Some(primary),
        3 => {
            let mut codes = CODES.split_whitespace();
            while let (Some(long), Some(short)) = (codes.next(), codes.next()) {
                if long == primary {
                    return Some(short.to_owned());
                }
            }
            None
        }
        _ => None,
    }
}

/// The language that a text is written in, when that is clear.
pub fn detect(chapters: &[Chapter]) -> Option<String> {
    // A book may begin with an epigraph in another language: the longest chapter decides.
    let text = &chapters.iter().max_by_key(|chapter| chapter.text.len())?.text;
    let end = text
        .char_indices()
        .map(|(i, _)| i)
        .take_while(|i| *i <= SAMPLE)
        .last()
        .unwrap_or(0);
    let sample = if text.len() <= SAMPLE { text } else { &text[..end] };
    let info = whatlang::detect(sample)?;
    if !info.is_reliable() && info.confidence() < 0.5 {
        return None;
    }
    code(info.lang().code())
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn codes_are_made_short() {
        for (said, expected) in [
            ("ru", Some("ru")),
            ("ru-RU", Some("ru")),
            ("RUS", Some("ru")),
            ("eng", Some("en")),
            ("Russian", None),
            ("", None),
        ] {
            assert_eq!(code(said).as_deref(), expected, "{said}");
        }
    }

    #[test]
    fn the_detector_knows_no_language_that_has_no_short_code() {
        for lang in whatlang::Lang::all() {
            assert!(code(lang.code()).is_some(), "{} has no short code", lang.code());
        }
    }
}
