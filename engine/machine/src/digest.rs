//! Hashes that name things: what is called, under which key, in which definition.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// 16 hex digits over some pieces; where one ends and the next begins matters.
pub(crate) fn short<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    hex(pieces, 8)
}

/// 32 hex digits over some pieces; where one ends and the next begins matters.
pub(crate) fn long<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    hex(pieces, 16)
}

/// 64 bits over some pieces, to seed a generator.
pub(crate) fn seed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let hash = sha256(pieces);
    hash.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// All bits over some pieces; where one ends and the next begins matters.
pub(crate) fn raw<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    sha256(pieces)
}

fn hex<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bytes: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes * 2);
    for byte in sha256(pieces).iter().take(bytes) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn sha256<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update((piece.len() as u64).to_le_bytes());
        hasher.update(piece);
    }
    hasher.finalize().into()
}

/// A value as JSON text in which members are sorted by name: equal values give equal text. Values are nested at most 128 deep,
/// so recursion is bounded.
pub(crate) fn canonical(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            into.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                canonical(item, into);
            }
            into.push(b']');
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            into.push(b'{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                scalar(name, into);
                into.push(b':');
                canonical(value, into);
            }
            into.push(b'}');
        }
        other => scalar(other, into),
    }
}

/// Writing JSON into memory cannot fail.
fn scalar<T: serde::Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) {
    let _ = serde_json::to_writer(into, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_canonical_text() {
        let text = |json: &str| {
            let mut text = Vec::new();
            canonical(&serde_json::from_str(json).unwrap_or_default(), &mut text);
            String::from_utf8(text).unwrap_or_default()
        };
        assert_eq!(
            text(r#"{"b":[1,{"d":null,"c":"x\n"}],"a":1.5}"#),
            r#"{"a":1.5,"b":[1,{"c":"x\n","d":null}]}"#
        );
        assert_eq!(text(r#"{"a":1,"b":2}"#), text(r#"{"b":2,"a":1}"#));
    }

    #[test]
    fn the_borders_of_pieces_matter() {
        assert_ne!(short([b"ab".as_slice(), b"c"]), short([b"a".as_slice(), b"bc"]));
        assert_eq!(long([b"x".as_slice()]).len(), 32);
    }
}
