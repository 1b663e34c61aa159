//! What a write mentions: the values that belong to it, and the blobs whose ids stand anywhere in its texts. As long as something mentions them
//! they stay (see the store's `retire`).

use crate::rows::{Hash, StoredValue, parse_hex};

/// The values, and the blobs whose ids stand in them or in other texts.
pub(crate) fn mentions<'t>(values: &'t [StoredValue], texts: impl IntoIterator<Item = &'t [u8]>) -> Vec<Hash> {
    const BEGINNING: &str = "sha256:";
    let mut found: Vec<Hash> = values.iter().map(|value| value.hash).collect();
    let stored = values.iter().map(|value| &value.bytes[..]);
    for text in stored.chain(texts) {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        for (at, _) in text.match_indices(BEGINNING) {
            let digits = text.get(at + BEGINNING.len()..at + BEGINNING.len() + 64);
            found.extend(digits.and_then(parse_hex));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
