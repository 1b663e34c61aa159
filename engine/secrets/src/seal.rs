//! Sealing: what a store keeps of a secret can be read with the key alone, and only under the name and version that it was stored under.

use std::{fmt, fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::{Zeroize, Zeroizing};

/// How long a key is, in bytes.
const KEY: usize = 32;

/// What a sealed secret begins with: the version of this form.
const FORM: u8 = 1;

/// Why a key cannot be had, or a secret not be sealed or opened. No message holds anything of either.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// There is no key.
    #[error("no secret can be kept here: there is no key; set POTOK_SECRETS_KEY or secrets.key_file")]
    Nowhere,
    /// The text is no key.
    #[error("{0} is no key: 32 bytes in base64 are expected, such as 'openssl rand -base64 32' prints")]
    NoKey(String),
    /// Others can read the key.
    #[error("the key file {0} can be read by others; allow it to its owner alone: chmod 600 {0}")]
    Open(String),
    /// The key file cannot be read or made.
    #[error(
        "the key file {path} cannot be used: {source}; set POTOK_SECRETS_KEY, or secrets.key_file to another place"
    )]
    File {
        /// Which one.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It was sealed with another key.
    #[error(
        "the secret '{name}' was sealed with the key {sealed}, and the key here is {here}; use the key that it was sealed with, or set it anew"
    )]
    OtherKey {
        /// Which secret.
        name: String,
        /// The id of the key that it was sealed with.
        sealed: String,
        /// The id of the key here.
        here: String,
    },
    /// The bytes are not those that were sealed under this name and version.
    #[error("what is stored of the secret '{0}' was changed since it was sealed; set it anew")]
    Damaged(String),
    /// The operating system gives no random bytes.
    #[error("there is no randomness to be had from the operating system")]
    NoRandomness,
}

/// The key that secrets are sealed with.
pub struct SealKey {
    key: LessSafeKey,
    id: String,
}

impl SealKey {
    /// A key from its text: 32 bytes in base64. `whence` names it in messages.
    ///
    /// # Errors
    /// When the text is no key.
    pub fn parse(text: &str, whence: &str) -> Result<Self, SealError> {
        let no_key = || SealError::NoKey(whence.to_owned());
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| no_key())?);
        if bytes.len() != KEY {
            return Err(no_key());
        }
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| no_key())?;
        let mut hashed = Zeroizing::new(b"the id of a key of potok's secrets".to_vec());
        hashed.extend_from_slice(&bytes);
        let hash = digest::digest(&digest::SHA256, &hashed);
        Ok(Self {
            key: LessSafeKey::new(unbound),
            id: hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// The key in a file that its owner alone may read, which is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be read or made, others can read it, or it holds no key.
    pub fn from_file(path: &Path) -> Result<Self, SealError> {
        use std::os::unix::fs::PermissionsExt;
        let shown = path.display().to_string();
        let failed = |source| SealError::File {
            path: shown.clone(),
            source,
        };
        match fs::metadata(path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => return Err(SealError::Open(shown)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, &failed)?,
            Err(error) => return Err(failed(error)),
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        Self::parse(&text, &format!("what is in {shown}"))
    }

    /// A short name of the key, which says nothing of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a secret under a name and a version.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, name: &str, version: i64, text: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::NoRandomness)?;
        let mut sealed = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(name, version), &mut sealed)
            .map_err(|_| SealError::NoRandomness)?;
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&nonce);
        bytes.append(&mut sealed);
        Ok(bytes)
    }

    /// Opens what was sealed under a name and a version with the key of an id.
    ///
    /// # Errors
    /// When it was sealed with another key, or is not what was sealed.
    pub fn open(&self, name: &str, version: i64, key: &str, bytes: &[u8]) -> Result<String, SealError> {
        if key != self.id {
            return Err(SealError::OtherKey {
                name: name.to_owned(),
                sealed: key.to_owned(),
                here: self.id.clone(),
            });
        }
        let damaged = || SealError::Damaged(name.to_owned());
        let rest = bytes.strip_prefix(&[FORM]).ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self
            .key
            .open_in_place(nonce, bound(name, version), &mut sealed)
            .map_err(|_| damaged())?;
        String::from_utf8(text.to_vec()).map_err(|error| {
            error.into_bytes().zeroize();
            damaged()
        })
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a sealed secret is bound to. A name has no line break.
fn bound(name: &str, version: i64) -> Aad<Vec<u8>> {
    Aad::from(format!("potok secret\n{name}\n{version}").into_bytes())
}

/// Makes a key file. Of two who make it at the same time, one makes it and both use that.
fn make(path: &Path, failed: &dyn Fn(io::Error) -> SealError) -> Result<(), SealError> {
    let mut bytes = Zeroizing::new([0; KEY]);
    SystemRandom::new()
        .fill(bytes.as_mut())
        .map_err(|_| SealError::NoRandomness)?;
    let text = Zeroizing::new(STANDARD.encode(bytes.as_ref()) + "\n");
    // Written beside and linked, so that nobody ever sees a part of it.
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
    // A draft that was never made cannot be removed either.
    let _ = fs::remove_file(&draft);
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::parse(&STANDARD.encode([byte; KEY]), "the test's key").unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_and_version_alone() {
        let key = key(1);
        let sealed = key.seal("api", 3, "hunter2hunter2").unwrap();
        assert!(!sealed.windows(7).any(|bytes| bytes == b"hunter2"));
        assert_eq!(key.open("api", 3, key.id(), &sealed).unwrap(), "hunter2hunter2");
        assert_ne!(sealed, key.seal("api", 3, "hunter2hunter2").unwrap());
        assert!(matches!(
            key.open("api", 2, key.id(), &sealed),
            Err(SealError::Damaged(_))
        ));
        assert!(matches!(
            key.open("db", 3, key.id(), &sealed),
            Err(SealError::Damaged(_))
        ));
        for cut in [0, 1, 12, 13, sealed.len() - 1] {
            assert!(matches!(
                key.open("api", 3, key.id(), &sealed[..cut]),
                Err(SealError::Damaged(_))
            ));
        }
        let mut flipped = sealed;
        flipped[20] ^= 1;
        assert!(matches!(
            key.open("api", 3, key.id(), &flipped),
            Err(SealError::Damaged(_))
        ));
    }

    #[test]
    fn another_key_is_named() {
        let (one, other) = (key(1), key(2));
        let sealed = one.seal("api", 1, "x").unwrap();
        let error = other.open("api", 1, one.id(), &sealed).unwrap_err().to_string();
        assert!(
            error.contains(one.id()) && error.contains(other.id()) && one.id() != other.id(),
            "{error}"
        );
        for bad in ["", "short", "AAAA", &STANDARD.encode([1; 31])] {
            assert!(
                matches!(SealKey::parse(bad, "POTOK_SECRETS_KEY"), Err(SealError::NoKey(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.key");
        let made = SealKey::from_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SealKey::from_file(&path).unwrap().id(), made.id());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SealKey::from_file(&path), Err(SealError::Open(_))));
        assert!(matches!(
            SealKey::from_file(&dir.path().join("no/such")),
            Err(SealError::File { .. })
        ));
    }
}
