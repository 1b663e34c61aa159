//! Where secrets come from: variables of the environment, and files as containers mount them. A store is another source, of whoever has one.

use std::{collections::HashMap, fmt, io, path::PathBuf};

use async_trait::async_trait;
use potok_dsl::SecretName;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{LARGEST, Secret};

/// A place where secrets are kept.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Where a secret of this name would be, in words for whoever misses it.
    fn place(&self, name: &SecretName) -> String;

    /// The secret as it is now; `None` when it is not here.
    ///
    /// # Errors
    /// When it is here and cannot be read, or when that cannot be known.
    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SourceError>;
}

/// A source that cannot be read. The message holds nothing of any secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// What the names of the variables begin with.
const PREFIX: &str = "POTOK_SECRETS_";

/// The variables that set up secrets and hold none.
const SETTINGS: [&str; 3] = ["KEY", "KEY_FILE", "PATH"];

/// Variables of the environment as they were when the process began: `POTOK_SECRETS_API_KEY` is `api-key`, `api_key` or `api.key`.
#[derive(Default)]
pub struct Environment(HashMap<String, Zeroizing<String>>);

impl Environment {
    /// Takes the secrets out of an environment.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let secret = |(name, text): (String, String)| {
            let name = name.strip_prefix(PREFIX).filter(|name| !SETTINGS.contains(name))?;
            Some((name.to_owned(), Zeroizing::new(text)))
        };
        Self(variables.into_iter().filter_map(secret).collect())
    }

    /// Whether a variable holds a secret.
    #[must_use]
    pub fn is_secret(variable: &str) -> bool {
        variable
            .strip_prefix(PREFIX)
            .is_some_and(|name| !SETTINGS.contains(&name))
    }

    fn variable(name: &SecretName) -> String {
        let upper = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        name.as_str().chars().map(upper).collect()
    }
}

#[async_trait]
impl Source for Environment {
    fn place(&self, name: &SecretName) -> String {
        let variable = Self::variable(name);
        if SETTINGS.contains(&variable.as_str()) {
            return "no variable, because its name would be that of a setting".to_owned();
        }
        format!("the variable {PREFIX}{variable}")
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        let text = self.0.get(&Self::variable(name));
        Ok(text.map(|text| Secret::parse(text.as_str().to_owned())))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A directory with a file for each secret, as Docker and Kubernetes mount them, or with a directory for one that has a file for each
/// field; or one JSON file with all of them. It is read when a secret is needed, so a new value is used at once.
#[derive(Debug)]
pub struct Files(PathBuf);

impl Files {
    /// Secrets in a directory or a JSON file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    async fn read(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        if tokio::fs::metadata(&self.0)
            .await
            .map_err(|e| unreadable(&self.0, &e))?
            .is_file()
        {
            return self.member(name).await;
        }
        let path = self.0.join(name.as_str());
        match tokio::fs::metadata(&path).await {
            Ok(found) if found.is_dir() => fields(&path).await.map(Some),
            Ok(_) => text(&path).await.map(|text| Some(Secret::parse(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// A member of the one file.
    async fn member(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        let text = Zeroizing::new(text(&self.0).await?);
        let no_object = || SourceError(format!("{} is not a JSON object of secrets", self.0.display()));
        let mut all: Map<String, Value> = serde_json::from_str(&text).map_err(|_| no_object())?;
        let found = all.remove(name.as_str());
        drop(Secret::from(all));
        match found {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Secret::from(fields))),
            Some(Value::String(text)) => Ok(Some(Secret::parse(text))),
            Some(_) => Err(SourceError(format!(
                "the secret '{name}' in {} is neither text nor an object",
                self.0.display()
            ))),
        }
    }
}

#[async_trait]
impl Source for Files {
    fn place(&self, name: &SecretName) -> String {
        if self.0.is_file() {
            format!("'{name}' in {}", self.0.display())
        } else {
            self.0.join(name.as_str()).display().to_string()
        }
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SourceError> {
        self.read(name).await
    }
}

/// The files of a directory as fields; those that begin with a dot are how Kubernetes exchanges them.
async fn fields(path: &std::path::Path) -> Result<Secret, SourceError> {
    const MOST: usize = 256;
    let failed = |error: io::Error| unreadable(path, &error);
    let mut fields = Map::new();
    let mut entries = tokio::fs::read_dir(path).await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let Ok(field) = entry.file_name().into_string() else {
            continue;
        };
        let is_file = tokio::fs::metadata(entry.path())
            .await
            .is_ok_and(|found| found.is_file());
        if field.starts_with('.') || !is_file {
            continue;
        }
        if fields.len() == MOST {
            return Err(SourceError(format!("{} has more than {MOST} files", path.display())));
        }
        let value = Secret::parse(text(&entry.path()).await?);
        fields.insert(field, value.at(&[]).cloned().unwrap_or_default());
    }
    Ok(Secret::from(fields))
}

async fn text(path: &std::path::Path) -> Result<String, SourceError> {
    let size = tokio::fs::metadata(path).await.map_err(|e| unreadable(path, &e))?.len();
    if size > LARGEST as u64 {
        return Err(SourceError(format!(
            "{} is over the {LARGEST} bytes of a secret",
            path.display()
        )));
    }
    let bytes = tokio::fs::read(path).await.map_err(|e| unreadable(path, &e))?;
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        SourceError(format!("{} is not UTF-8 text", path.display()))
    })
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> SourceError {
    SourceError(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    async fn value(source: &dyn Source, wanted: &str) -> Option<Value> {
        let secret = source.get(&name(wanted)).await.unwrap()?;
        Some(secret.at(&[]).unwrap().clone())
    }

    #[tokio::test]
    async fn variables_are_named_after_secrets() {
        let variables = [
            ("POTOK_SECRETS_API_KEY", "k"),
            ("POTOK_SECRETS_DB", "{\"user\":\"u\"}"),
            ("POTOK_SECRETS_KEY", "not one"),
            ("POTOK_LISTEN", "x"),
        ];
        let source = Environment::new(variables.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(value(&source, "api-key").await, Some("k".into()));
        assert_eq!(value(&source, "db").await.unwrap()["user"], "u");
        assert_eq!(value(&source, "key").await, None);
        assert_eq!(format!("{source:?}").len(), r#"{"API_KEY", "DB"}"#.len());
        assert!(source.place(&name("a.b")).contains("POTOK_SECRETS_A_B"));
    }

    #[tokio::test]
    async fn files_are_read_as_containers_mount_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "t\n").unwrap();
        std::fs::create_dir_all(dir.path().join("db/..data")).unwrap();
        std::fs::write(dir.path().join("db/user"), "u\n").unwrap();
        std::fs::write(dir.path().join("db/.hidden"), "h").unwrap();
        std::fs::write(dir.path().join("big"), vec![b'x'; LARGEST + 1]).unwrap();
        std::fs::write(dir.path().join("binary"), [0xFF, 0xFE]).unwrap();
        let source = Files::new(dir.path().to_owned());
        assert_eq!(value(&source, "token").await, Some("t".into()));
        assert_eq!(value(&source, "db").await, Some(serde_json::json!({ "user": "u" })));
        assert_eq!(value(&source, "other").await, None);
        std::fs::write(dir.path().join("token"), "rotated").unwrap();
        assert_eq!(value(&source, "token").await, Some("rotated".into()));
        for bad in ["big", "binary"] {
            assert!(source.get(&name(bad)).await.is_err(), "{bad}");
        }
        let file = dir.path().join("all.json");
        std::fs::write(&file, r#"{ "a": "x", "b": { "c": "y" }, "n": 1 }"#).unwrap();
        let source = Files::new(file);
        assert_eq!(value(&source, "a").await, Some("x".into()));
        assert_eq!(value(&source, "b").await.unwrap()["c"], "y");
        assert_eq!(value(&source, "z").await, None);
        assert!(source.get(&name("n")).await.is_err());
        assert!(Files::new("/no/such".into()).get(&name("n")).await.is_err());
    }
}
