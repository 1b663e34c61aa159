//! What a workflow keeps elsewhere: in the network, or beside its file.
//!
//! A file is read only where a person deploys from a directory, and never outside of it, whatever links and dots say.

use std::path::{Component, Path, PathBuf};

use potok_calls::{DOCUMENT_LIMIT, HttpCaller, Url, parse_document};
use potok_dsl::Problem;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::link::is_remote;

/// Where things are looked for.
#[derive(Clone)]
pub(super) struct Resources {
    http: HttpCaller,
    directory: Option<PathBuf>,
}

/// A thing that was found.
pub(super) struct Resource {
    /// Where it was found: its address after redirections, or a `file:` URI.
    pub url: Url,
    /// Its text.
    pub text: String,
    /// What the text says.
    pub value: Value,
}

impl Resources {
    pub(super) fn new(http: HttpCaller) -> Self {
        Self { http, directory: None }
    }

    pub(super) fn within(self, directory: PathBuf) -> Self {
        Self {
            directory: Some(directory),
            ..self
        }
    }

    /// Gets what a URI names. The error says for people what is wrong.
    pub(super) async fn get(&self, uri: &str, authentication: Option<&Value>) -> Result<Resource, String> {
        let (url, text) = self.text(uri, authentication).await?;
        let value = parse_document(uri, &text).map_err(|problem| problem.detail.unwrap_or(problem.kind))?;
        Ok(Resource { url, text, value })
    }

    /// Gets the text that a URI names, and where it was found.
    pub(super) async fn text(&self, uri: &str, authentication: Option<&Value>) -> Result<(Url, String), String> {
        if !is_remote(uri) {
            return self.file(uri).await;
        }
        let failed = |problem: Problem| format!("{uri} cannot be fetched: {}", problem.detail.unwrap_or(problem.kind));
        let document = self.http.fetch(uri, authentication).await.map_err(failed)?;
        Ok((document.url, document.text))
    }

    async fn file(&self, uri: &str) -> Result<(Url, String), String> {
        let path = path_of(uri)?;
        let Some(directory) = &self.directory else {
            return Err(format!(
                "'{uri}' is a file, which is read only by 'potok run', 'potok validate' and 'potok serve --dev': deploy it with an http or https URI"
            ));
        };
        let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        let directory = tokio::fs::canonicalize(directory).await.map_err(unreadable)?;
        let whole = tokio::fs::canonicalize(directory.join(&path))
            .await
            .map_err(unreadable)?;
        if !whole.starts_with(&directory) {
            return Err(format!(
                "'{uri}' is outside of the workflow's directory, where nothing is read"
            ));
        }
        if !tokio::fs::metadata(&whole).await.map_err(unreadable)?.is_file() {
            return Err(format!("'{uri}' is no file"));
        }
        let limit = u64::try_from(DOCUMENT_LIMIT).unwrap_or(u64::MAX);
        let mut text = String::new();
        let file = tokio::fs::File::open(&whole).await.map_err(unreadable)?;
        let read = file
            .take(limit + 1)
            .read_to_string(&mut text)
            .await
            .map_err(unreadable)?;
        if read > DOCUMENT_LIMIT {
            return Err(format!("'{uri}' has more than {DOCUMENT_LIMIT} bytes"));
        }
        let url = Url::from_file_path(&whole).map_err(|()| format!("'{uri}' has no URI"))?;
        Ok((url, text))
    }
}

/// The path in a `file:` URI or a relative reference.
fn path_of(uri: &str) -> Result<PathBuf, String> {
    let rest = match uri.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            let rest = rest
                .strip_prefix("//")
                .map_or(rest, |rest| rest.strip_prefix("localhost").unwrap_or(rest));
            if rest.is_empty() {
                return Err(format!("'{uri}' names no file"));
            }
            rest
        }
        Some((scheme, _)) if !scheme.contains(['/', '.', '?']) => {
            return Err(format!("'{uri}' is neither http nor https nor a file"));
        }
        _ => uri,
    };
    if rest.contains(['?', '#']) {
        return Err(format!("'{uri}' is a file, which has no query"));
    }
    let decoded = percent_encoding::percent_decode_str(rest)
        .decode_utf8()
        .map_err(|_| format!("'{uri}' is no text once it is decoded"))?;
    let path = Path::new(&*decoded);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!(
            "'{uri}' is outside of the workflow's directory, where nothing is read"
        ));
    }
    Ok(path.to_owned())
}
