//! Secrets that are kept in the store, sealed. The store sees names, versions and bytes that mean nothing without the key. The node's other
//! tables keep theirs under the same key ([`StoredSecrets::seal`]).

use std::{collections::HashMap, path::Path, sync::Arc};

use async_trait::async_trait;
use potok_dsl::SecretName;
use potok_journal::{
    ProviderMigration, SqlRow, SqlStatement, SqlValue, SqliteStore, Store, StoreError, Write, Written,
};
pub use potok_secrets::KeyPlace;
use potok_secrets::{IN_FLIGHT, Keeper, LARGEST, SealError, Secret, Source, SourceError};
use zeroize::Zeroizing;

/// The table, kept up to date as providers' are.
pub const MIGRATIONS: &[ProviderMigration] = &[ProviderMigration {
    owner: "secrets",
    version: 1,
    sql: "CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        version BIGINT NOT NULL,
        key_id TEXT NOT NULL,
        sealed BYTEA NOT NULL,
        updated_at BIGINT NOT NULL
    )",
}];

/// How often a change is tried again that someone else was faster with.
const TRIES: usize = 8;

/// The secrets in a store.
pub struct StoredSecrets {
    store: Arc<dyn Store>,
    key: Keeper,
}

/// The secrets of a database file as they were when it was looked into; for what keeps nothing and changes nothing.
pub struct KeptSecrets {
    rows: HashMap<String, Sealed>,
    key: Keeper,
}

/// A secret, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// How often it was set.
    pub version: u64,
    /// When it was last set.
    pub updated_at: i64,
}

/// Why a secret could not be kept, listed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// It is too large.
    #[error("a secret of {size} bytes is over the ceiling of {LARGEST}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is empty.
    #[error("the secret is empty")]
    Empty,
    /// Others change the same secret all the time.
    #[error("the secret is being changed by others; try again")]
    Busy,
    /// The key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoredSecrets {
    /// The secrets in a store, whose tables are made here.
    ///
    /// # Errors
    /// When they cannot be made.
    pub async fn open(store: Arc<dyn Store>, place: KeyPlace) -> Result<Self, StoreError> {
        store.apply_migrations(MIGRATIONS).await?;
        let key = Keeper::new(place);
        Ok(Self { store, key })
    }

    /// Keeps a secret; a new value takes the place of the former. Whether it is new.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn set(&self, name: &SecretName, text: &str, now: i64) -> Result<bool, SecretsError> {
        if text.is_empty() {
            return Err(SecretsError::Empty);
        }
        if text.len() > LARGEST {
            return Err(SecretsError::TooLarge { size: text.len() });
        }
        let key = self.key.key()?;
        for _ in 0..TRIES {
            let before = self.row(name).await?.map(|row| row.version);
            let version = before.unwrap_or(0) + 1;
            let sealed = key.seal(name.as_str(), version, text)?;
            let mut params = vec![
                SqlValue::Text(name.as_str().to_owned()),
                SqlValue::Integer(version),
                SqlValue::Text(key.id().to_owned()),
                SqlValue::Blob(sealed),
                SqlValue::Integer(now),
            ];
            let sql = match before {
                None => {
                    "INSERT INTO secrets (name, version, key_id, sealed, updated_at) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (name) DO NOTHING RETURNING version"
                }
                Some(before) => {
                    params.push(SqlValue::Integer(before));
                    "UPDATE secrets SET version = $2, key_id = $3, sealed = $4, updated_at = $5
                     WHERE name = $1 AND version = $6 RETURNING version"
                }
            };
            if self.write(sql, params).await? > 0 {
                return Ok(before.is_none());
            }
        }
        Err(SecretsError::Busy)
    }

    /// Removes a secret; whether it was there.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn remove(&self, name: &SecretName) -> Result<bool, SecretsError> {
        let sql = "DELETE FROM secrets WHERE name = $1 RETURNING version";
        Ok(self.write(sql, vec![SqlValue::Text(name.as_str().to_owned())]).await? > 0)
    }

    /// The secrets that are kept, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<Vec<SecretView>, SecretsError> {
        let sql = "SELECT name, version, updated_at FROM secrets ORDER BY name";
        let rows = self.store.read_rows(SqlStatement { sql, params: vec![] }).await?;
        let view = |row: SqlRow| match row.as_slice() {
            [
                SqlValue::Text(name),
                SqlValue::Integer(version),
                SqlValue::Integer(updated_at),
            ] => Some(SecretView {
                name: name.clone(),
                version: u64::try_from(*version).unwrap_or(0),
                updated_at: *updated_at,
            }),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(view).collect())
    }

    /// Seals a secret that someone has sent into a text that an input may hold ([`IN_FLIGHT`]).
    ///
    /// # Errors
    /// When there is no key.
    pub fn in_flight(&self, secret: &str) -> Result<String, SecretsError> {
        Ok(self.key.seal_text(IN_FLIGHT, secret)?)
    }

    /// Seals what a table of the node's own keeps; `name` says whose it is, and is no name of a secret.
    pub(crate) fn seal(&self, name: &str, text: &str) -> Result<Sealed, SecretsError> {
        let key = self.key.key()?;
        Ok(Sealed {
            version: ONLY,
            key: key.id().to_owned(),
            bytes: key.seal(name, ONLY, text)?,
        })
    }

    /// Opens what was sealed under a name.
    pub(crate) fn unseal(&self, name: &str, sealed: &Sealed) -> Result<Zeroizing<String>, SecretsError> {
        let text = self.key.key()?.open(name, sealed.version, &sealed.key, &sealed.bytes)?;
        Ok(Zeroizing::new(text))
    }

    async fn row(&self, name: &SecretName) -> Result<Option<Sealed>, StoreError> {
        let statement = SqlStatement {
            sql: "SELECT version, key_id, sealed FROM secrets WHERE name = $1",
            params: vec![SqlValue::Text(name.as_str().to_owned())],
        };
        let row = self.store.read_rows(statement).await?.into_iter().next();
        Ok(row.and_then(Sealed::read))
    }

    /// Writes; how many rows there were to it.
    async fn write(&self, sql: &'static str, params: Vec<SqlValue>) -> Result<usize, StoreError> {
        match self
            .store
            .commit(Write::Tables(vec![SqlStatement { sql, params }]))
            .await?
        {
            Written::Rows(rows) => Ok(rows.first().map_or(0, Vec::len)),
            _ => Ok(0),
        }
    }
}

impl KeptSecrets {
    /// The secrets in a database file, which another process may have.
    ///
    /// # Errors
    /// When the file is not one of ours or cannot be read.
    pub fn look_into(database: &Path, place: KeyPlace) -> Result<Self, StoreError> {
        let statement = SqlStatement {
            sql: "SELECT version, key_id, sealed, name FROM secrets",
            params: vec![],
        };
        let named = |mut row: SqlRow| match row.pop() {
            Some(SqlValue::Text(name)) => Some((name, Sealed::read(row)?)),
            _ => None,
        };
        let rows = SqliteStore::rows_in(database, "secrets", &statement)?;
        Ok(Self {
            rows: rows.into_iter().filter_map(named).collect(),
            key: Keeper::new(place),
        })
    }
}

#[async_trait]
impl Source for KeptSecrets {
    fn place(&self, _: &SecretName) -> String {
        "the store".to_owned()
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        self.rows
            .get(name.as_str())
            .map(|row| open(&self.key, name, row))
            .transpose()
    }
}

/// Opens what a row holds.
fn open(key: &Keeper, name: &SecretName, row: &Sealed) -> Result<Secret, SourceError> {
    let failed = |error: SealError| SourceError(error.to_string());
    let text = key.key().map_err(failed)?;
    let text = text.open(name.as_str(), row.version, &row.key, &row.bytes);
    text.map(Secret::parse).map_err(failed)
}

/// What is sealed once has one version.
const ONLY: i64 = 1;

/// A sealed secret: nothing of it can be read without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    version: i64,
    key: String,
    bytes: Vec<u8>,
}

impl Sealed {
    /// One that a table of the node's own has.
    pub(crate) fn kept(key: String, bytes: Vec<u8>) -> Self {
        Self {
            version: ONLY,
            key,
            bytes,
        }
    }

    /// The id of its key, and its bytes.
    pub(crate) fn columns(&self) -> [SqlValue; 2] {
        [SqlValue::Text(self.key.clone()), SqlValue::Blob(self.bytes.clone())]
    }

    fn read(row: SqlRow) -> Option<Self> {
        match <[SqlValue; 3]>::try_from(row).ok()? {
            [SqlValue::Integer(version), SqlValue::Text(key), SqlValue::Blob(bytes)] => {
                Some(Self { version, key, bytes })
            }
            _ => None,
        }
    }
}

#[async_trait]
impl Source for StoredSecrets {
    fn place(&self, _: &SecretName) -> String {
        "the store".to_owned()
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        match self.row(name).await {
            Ok(row) => row.map(|row| open(&self.key, name, &row)).transpose(),
            Err(error) => Err(SourceError(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    async fn kept(store: &Arc<dyn Store>, key: &std::path::Path) -> StoredSecrets {
        StoredSecrets::open(Arc::clone(store), KeyPlace::File(key.to_owned()))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn secrets_are_kept_sealed_and_replaced() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("a.key");
        let secrets = kept(&store, &key).await;
        assert!(secrets.get(&name("api")).await.unwrap().is_none());
        assert!(!key.exists(), "a key is made when it is needed");
        assert!(secrets.set(&name("api"), "first-value", 1).await.unwrap());
        assert!(!secrets.set(&name("api"), "second-value", 2).await.unwrap());
        assert_eq!(
            secrets.list().await.unwrap(),
            [SecretView {
                name: "api".to_owned(),
                version: 2,
                updated_at: 2
            }]
        );
        let vault = potok_secrets::Vault::new(vec![Arc::new(kept(&store, &key).await)]);
        let path = potok_expr::SecretPath::new("api", vec![]);
        let opened = vault.open(&[path.clone()].into(), &[].into()).await.unwrap();
        assert_eq!(opened.text(&path.placeholder()).unwrap(), "second-value");

        let other = kept(&store, &dir.path().join("b.key")).await;
        other.key.key().unwrap();
        let error = other.get(&name("api")).await.unwrap_err().to_string();
        assert!(error.contains("sealed with the key"), "{error}");
        assert!(secrets.remove(&name("api")).await.unwrap() && !secrets.remove(&name("api")).await.unwrap());
        assert!(matches!(secrets.set(&name("x"), "", 0).await, Err(SecretsError::Empty)));
        let large = "x".repeat(LARGEST + 1);
        assert!(matches!(
            secrets.set(&name("x"), &large, 0).await,
            Err(SecretsError::TooLarge { .. })
        ));
    }
}
