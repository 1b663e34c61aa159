//! What is secret of an account, as one document that is sealed under the account's id and the document's version.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use potok_secrets::{Keeper, SealError};
use serde::{Deserialize, Serialize};

use super::error::AccountError;

/// Seals and opens documents.
#[derive(Debug)]
pub(super) struct Vault {
    keeper: Arc<Keeper>,
}

/// A sealed document as the row has it.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) key_id: String,
    pub(super) bytes: Vec<u8>,
}

/// The secrets of one account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) api_hash: String,
    /// `socks5://…`, with its password.
    pub(super) proxy: Option<String>,
    /// The keys that it has; none before its first connection.
    pub(super) session: Option<Keys>,
    /// Whether somebody is signed in with them.
    #[serde(default)]
    pub(super) signed_in: bool,
    /// What has to come back with the code.
    #[serde(default)]
    pub(super) code_hash: Option<String>,
}

/// The data centres that a session knows and the keys that it has there.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) home: i32,
    pub(super) centres: Vec<CentreKey>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CentreKey {
    pub(super) id: i32,
    pub(super) address: SocketAddr,
    /// In base64.
    pub(super) key: Option<String>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("signed_in", &self.signed_in)
            .finish_non_exhaustive()
    }
}

impl Document {
    pub(super) fn new(api_hash: &str, proxy: Option<String>) -> Self {
        Self {
            api_hash: api_hash.to_owned(),
            proxy,
            session: None,
            signed_in: false,
            code_hash: None,
        }
    }

    /// The session is of no use any more.
    pub(super) fn forget_session(&mut self) {
        self.session = None;
        self.signed_in = false;
        self.code_hash = None;
    }
}

impl CentreKey {
    pub(super) fn bytes(&self) -> Option<[u8; 256]> {
        STANDARD.decode(self.key.as_ref()?).ok()?.try_into().ok()
    }
}

/// A key as it is kept.
pub(super) fn key_text(key: &[u8; 256]) -> String {
    STANDARD.encode(key)
}

impl Vault {
    pub(super) fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper }
    }

    pub(super) fn seal(&self, id: i64, version: i64, document: &Document) -> Result<Sealed, AccountError> {
        let text = serde_json::to_string(document).map_err(|error| AccountError::Odd(error.to_string()))?;
        self.seal_text(&name(id), version, &text)
    }

    pub(super) fn open(&self, id: i64, version: i64, sealed: &Sealed) -> Result<Document, AccountError> {
        let name = name(id);
        let text = self.open_text(&name, version, sealed)?;
        serde_json::from_str(&text).map_err(|_| SealError::Damaged(name).into())
    }

    /// Seals a text under a name and a version.
    pub(super) fn seal_text(&self, name: &str, version: i64, text: &str) -> Result<Sealed, AccountError> {
        let key = self.keeper.key()?;
        let bytes = key.seal(name, version, text)?;
        let key_id = key.id().to_owned();
        Ok(Sealed { key_id, bytes })
    }

    pub(super) fn open_text(&self, name: &str, version: i64, sealed: &Sealed) -> Result<String, AccountError> {
        let key = self.keeper.key()?;
        let text = key.open(name, version, &sealed.key_id, &sealed.bytes)?;
        Ok(text.to_string())
    }
}

fn name(id: i64) -> String {
    format!("telegram account {id}")
}
