//! The guests that the binary carries: components, compressed, by name.
//!
//! This room only carries them. It knows no component model and installs nothing; that is the host's work.

/// A guest that was built with this binary.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// Its name: `book`, `text`, …
    pub name: &'static str,
    /// Its size when it is not compressed, in bytes.
    pub size: usize,
    /// The SHA-256 of the component, in hex.
    pub hash: &'static str,
    /// The component, compressed with zstd.
    pub bytes_compressed: &'static [u8],
}

impl Component {
    /// The component as it was built.
    ///
    /// # Errors
    /// [`Damaged`] when the bytes are not what was put in.
    pub fn decompress(&self) -> Result<Vec<u8>, Damaged> {
        let damaged = |reason: String| Damaged {
            name: self.name,
            reason,
        };
        let bytes = zstd::bulk::decompress(self.bytes_compressed, self.size).map_err(|e| damaged(e.to_string()))?;
        if bytes.len() != self.size {
            return Err(damaged(format!("{} bytes instead of {}", bytes.len(), self.size)));
        }
        Ok(bytes)
    }
}

/// A guest in the binary cannot be unpacked: the binary itself is damaged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the plugin {name} in this binary is damaged ({reason}); install the binary again")]
pub struct Damaged {
    /// The guest.
    pub name: &'static str,
    /// What unpacking it said.
    pub reason: String,
}

include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The plugins that every Potok has.
#[must_use]
pub fn shipped() -> &'static [Component] {
    SHIPPED
}

/// The full evaluator of jq: no plugin, but the engine's own.
#[must_use]
pub fn jq() -> &'static Component {
    &JQ
}

/// The guests of tests and measurements: `demo`, `count`, `durable`, `ungranted`.
#[must_use]
pub fn fixtures() -> &'static [Component] {
    FIXTURES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{fixtures, jq, shipped};

    #[test]
    fn every_guest_is_a_component() {
        for component in shipped().iter().chain([jq()]).chain(fixtures()) {
            let bytes = component.decompress().unwrap();
            assert_eq!(&bytes[..8], b"\0asm\x0d\0\x01\0", "{}", component.name);
        }
    }
}
