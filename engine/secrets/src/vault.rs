//! All sources as one: the first that has a secret gives it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use potok_dsl::{ErrorType, Problem, SecretName};
use potok_expr::SecretPath;

use crate::{
    opened::Opened,
    secret::Secret,
    sources::{Source, SourceError},
};

/// Where secrets are asked for. Nothing is kept of them between two calls, so what was rotated is used at once.
#[derive(Clone, Default)]
pub struct Vault(Arc<[Arc<dyn Source>]>);

impl Vault {
    /// A vault of sources, the ones that go first first.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Self {
        Self(sources.into())
    }

    /// The same with one more source behind the others.
    #[must_use]
    pub fn with(&self, source: Arc<dyn Source>) -> Self {
        Self(self.0.iter().cloned().chain([source]).collect())
    }

    /// Whether a secret is there.
    ///
    /// # Errors
    /// When a source cannot say.
    pub async fn has(&self, name: &SecretName) -> Result<bool, SourceError> {
        Ok(self.find(name).await?.is_some())
    }

    /// Where a secret would be, for whoever misses it.
    #[must_use]
    pub fn places(&self, name: &SecretName) -> String {
        let places: Vec<String> = self.0.iter().map(|source| source.place(name)).collect();
        if places.is_empty() {
            "there is no place for secrets here".to_owned()
        } else {
            places.join(", ")
        }
    }

    /// Opens what a call needs. Of the others, which its workflow may have sent before, those that are there, so that they are
    /// known when they come back.
    ///
    /// # Errors
    /// Authorization, when a secret that is needed is not there; configuration, when it cannot be read. Both name it.
    pub async fn open(&self, needed: &BTreeSet<SecretPath>, others: &BTreeSet<SecretPath>) -> Result<Opened, Problem> {
        let mut secrets = BTreeMap::new();
        for path in needed.iter().chain(others) {
            let name = path.name();
            if secrets.contains_key(name) {
                continue;
            }
            let is_needed = needed.iter().any(|path| path.name() == name);
            match self.secret(name).await {
                Ok(secret) => drop(secrets.insert(name.to_owned(), secret)),
                Err(problem) if is_needed => return Err(problem),
                Err(_) => {}
            }
        }
        Opened::new(secrets, needed.iter().chain(others))
    }

    async fn secret(&self, name: &str) -> Result<Secret, Problem> {
        let name: SecretName = name
            .parse()
            .map_err(|error: potok_dsl::NameError| refused(error.to_string()))?;
        match self.find(&name).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => Err(refused(format!(
                "there is no secret '{name}'; looked for it in: {}. Set it with: potok secret set {name}",
                self.places(&name)
            ))),
            Err(error) => Err(Problem::new(
                ErrorType::Configuration,
                "Secret cannot be read",
                format!("the secret '{name}': {error}"),
            )),
        }
    }

    async fn find(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        for source in self.0.iter() {
            if let Some(secret) = source.get(name).await? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }
}

/// A secret that is not to be had.
pub(crate) fn refused(detail: String) -> Problem {
    Problem::new(ErrorType::Authorization, "Secret refused", detail)
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} sources)", self.0.len())
    }
}
