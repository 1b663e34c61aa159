//! Sealing with a key that is had when it is first needed: who keeps no secrets needs none. What a [`Keeper`] seals as text can stand in a
//! column, or in an input that everyone may read.

use std::{fmt, path::PathBuf, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::{Zeroize, Zeroizing};

use crate::{SealError, SealKey};

/// The name under which a server seals a secret that someone has sent, for whoever a run takes it to: so no run holds it.
pub const IN_FLIGHT: &str = "a secret in flight";

/// What a sealed text begins with.
const SEALED: &str = "sealed:";

/// A sealed text has one version.
const ONLY: i64 = 1;

/// Where the key comes from.
pub enum KeyPlace {
    /// Its text, with the name of where that was.
    Text(Zeroizing<String>, String),
    /// A file, which is made when a secret is first sealed.
    File(PathBuf),
    /// There is none: nothing can be kept.
    None,
}

impl KeyPlace {
    /// A key that is at hand; `whence` names it in messages.
    #[must_use]
    pub fn text(text: String, whence: &str) -> Self {
        Self::Text(Zeroizing::new(text), whence.to_owned())
    }
}

/// Nothing of the key.
impl fmt::Debug for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_, whence) => write!(f, "KeyPlace({whence})"),
            Self::File(path) => write!(f, "KeyPlace({})", path.display()),
            Self::None => f.write_str("KeyPlace(none)"),
        }
    }
}

/// Seals and opens with the key of a place.
#[derive(Debug)]
pub struct Keeper {
    place: KeyPlace,
    key: OnceLock<SealKey>,
}

impl Keeper {
    /// One whose key is there.
    #[must_use]
    pub fn new(place: KeyPlace) -> Self {
        let key = OnceLock::new();
        Self { place, key }
    }

    /// The key; read, and made where it is to be made, when it is first asked for.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn key(&self) -> Result<&SealKey, SealError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = match &self.place {
            KeyPlace::Text(text, whence) => SealKey::parse(text, whence)?,
            KeyPlace::File(path) => SealKey::from_file(path)?,
            KeyPlace::None => return Err(SealError::Nowhere),
        };
        Ok(self.key.get_or_init(|| key))
    }

    /// Seals a secret into a text that says nothing of it. It opens under the same name alone.
    ///
    /// # Errors
    /// When there is no key.
    pub fn seal_text(&self, name: &str, secret: &str) -> Result<String, SealError> {
        let key = self.key()?;
        let sealed = STANDARD_NO_PAD.encode(key.seal(name, ONLY, secret)?);
        Ok(format!("{SEALED}{}:{sealed}", key.id()))
    }

    /// Opens what was sealed under a name; `None` when the text is no sealed one.
    ///
    /// # Errors
    /// When it was sealed with another key or under another name, or was changed.
    pub fn open_text(&self, name: &str, text: &str) -> Result<Option<Zeroizing<String>>, SealError> {
        let Some((key, sealed)) = text.strip_prefix(SEALED).and_then(|rest| rest.split_once(':')) else {
            return Ok(None);
        };
        let damaged = |_| SealError::Damaged(name.to_owned());
        let mut bytes = STANDARD_NO_PAD.decode(sealed).map_err(damaged)?;
        let opened = self.key()?.open(name, ONLY, key, &bytes);
        bytes.zeroize();
        opened.map(|secret| Some(Zeroizing::new(secret)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_text_is_sealed_for_its_name_with_a_key_that_is_made_when_it_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.key");
        let keeper = Keeper::new(KeyPlace::File(file.clone()));
        assert!(keeper.open_text("bot", "1:in-the-clear").unwrap().is_none());
        assert!(!file.exists());
        let sealed = keeper.seal_text("bot", "1:hunter2hunter2").unwrap();
        assert!(file.exists() && !sealed.contains("hunter2"), "{sealed}");
        let again = Keeper::new(KeyPlace::File(file));
        assert_eq!(
            again.open_text("bot", &sealed).unwrap().unwrap().as_str(),
            "1:hunter2hunter2"
        );
        assert!(matches!(again.open_text("other", &sealed), Err(SealError::Damaged(_))));
        assert!(matches!(
            again.open_text("bot", &format!("{sealed}!")),
            Err(SealError::Damaged(_))
        ));
        assert!(matches!(
            Keeper::new(KeyPlace::None).seal_text("bot", "x"),
            Err(SealError::Nowhere)
        ));
    }
}
