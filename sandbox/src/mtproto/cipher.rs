//! How messages are sealed: MTProto 2.0 from the server's side. A client's library has the other side only.

use grammers_crypto::aes;
use ring::digest::{Context, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::random;
use crate::world::KeyId;

/// Where in the key the part begins that the client, or the server, uses.
const FROM_CLIENT: usize = 0;
const FROM_SERVER: usize = 8;

/// Key id and message key.
const HEAD: usize = 24;

/// An authorisation key.
pub(super) struct Key {
    bytes: [u8; 256],
    id: KeyId,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The id of the key that a packet is sealed with.
pub(super) fn key_id(packet: &[u8]) -> Option<KeyId> {
    packet.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

impl Key {
    pub(super) fn from_bytes(bytes: [u8; 256]) -> Self {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &bytes);
        let id = hash.as_ref().last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Self { bytes, id }
    }

    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    /// What a client has sealed; `None` when it was not sealed with this key.
    pub(super) fn open<'a>(&self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        if packet.len() < HEAD || !(packet.len() - HEAD).is_multiple_of(16) {
            return None;
        }
        let (head, sealed) = packet.split_at_mut(HEAD);
        let message_key = head.last_chunk::<16>()?;
        let (key, iv) = self.derive(message_key, FROM_CLIENT);
        aes::ige_decrypt(sealed, &key, &iv);
        (self.message_key(sealed, FROM_CLIENT) == *message_key).then_some(&*sealed)
    }

    /// Seals what is for a client.
    pub(super) fn seal(&self, mut plain: Vec<u8>) -> Vec<u8> {
        let mut padding = [0; 32];
        random(&mut padding);
        let length = 16 + (16 - plain.len() % 16) % 16;
        plain.extend_from_slice(&padding[..length.min(padding.len())]);
        let message_key = self.message_key(&plain, FROM_SERVER);
        let (key, iv) = self.derive(&message_key, FROM_SERVER);
        aes::ige_encrypt(&mut plain, &key, &iv);
        [&self.id.to_le_bytes()[..], &message_key, &plain].concat()
    }

    fn message_key(&self, plain: &[u8], from: usize) -> [u8; 16] {
        let hash = sha256(&[&self.bytes[88 + from..120 + from], plain]);
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_ref()[8..24]);
        key
    }

    fn derive(&self, message_key: &[u8; 16], from: usize) -> ([u8; 32], [u8; 32]) {
        let a = sha256(&[message_key, &self.bytes[from..from + 36]]);
        let b = sha256(&[&self.bytes[40 + from..76 + from], message_key]);
        let (a, b) = (a.as_ref(), b.as_ref());
        let (mut key, mut iv) = ([0; 32], [0; 32]);
        key[..8].copy_from_slice(&a[..8]);
        key[8..24].copy_from_slice(&b[8..24]);
        key[24..].copy_from_slice(&a[24..]);
        iv[..8].copy_from_slice(&b[..8]);
        iv[8..24].copy_from_slice(&a[8..24]);
        iv[24..].copy_from_slice(&b[24..]);
        (key, iv)
    }
}

/// SHA-256 of the parts, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn what_was_changed_on_the_way_is_not_opened() {
        let key = Key::from_bytes(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let mut sealed = key.seal(vec![7; 40]);
        assert_eq!(key_id(&sealed), Some(key.id()));
        assert_eq!(key.open(&mut sealed), None, "sealed for a client, not by one");
        assert_eq!(key.open(&mut [0; 24 + 5]), None);
        assert_eq!(key.open(&mut [0; 3]), None);
    }
}
