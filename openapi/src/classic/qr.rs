//! A link as the picture of a QR code.

use base64::{Engine, prelude::BASE64_STANDARD};
use qrcode::{QrCode, render::svg};

/// The picture as a `data:` URL of an SVG; `None` for a link that is too long for one.
pub(super) fn picture(link: &str) -> Option<String> {
    let code = QrCode::new(link).ok()?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    Some(format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(drawn)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_link_is_drawn_and_a_book_is_not() {
        let url = picture("tg://login?token=AQIDBA").unwrap();
        let drawn = BASE64_STANDARD.decode(url.split_once(',').unwrap().1).unwrap();
        assert!(String::from_utf8(drawn).unwrap().contains("<svg"));
        assert!(picture(&"x".repeat(10_000)).is_none());
    }
}
