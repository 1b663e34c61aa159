//! Documents that a workflow keeps elsewhere, fetched when it is deployed.

use std::time::{Duration, Instant};

use potok_dsl::{ErrorType, Problem, model::HttpOutput};
use reqwest::Url;
use serde_json::Value;

use crate::request::{place, wrong};
use crate::{Credentials, HttpCaller, HttpContext, HttpRequest, broken, late, request, response};

/// The largest document, in bytes.
pub const DOCUMENT_LIMIT: usize = 16 * 1024 * 1024;

/// How long fetching one may take.
const TIME: Duration = Duration::from_secs(30);

/// A document as it was found.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where it was, after redirections.
    pub url: Url,
    /// Its text.
    pub text: String,
}

impl HttpCaller {
    /// Fetches a document; redirections are followed.
    ///
    /// # Errors
    /// As [`HttpCaller::call`]; and a `communication` problem for a document that is too large or no text.
    pub async fn fetch(&self, uri: &str, authentication: Option<&Value>) -> Result<Document, Problem> {
        let request = HttpRequest {
            method: "GET".to_owned(),
            uri: uri.to_owned(),
            headers: [(
                "accept".to_owned(),
                "application/json, application/yaml;q=0.9, */*;q=0.8".to_owned(),
            )]
            .into(),
            query: Vec::new(),
            body: None,
            output: HttpOutput::Content,
            redirect: true,
            authentication: None,
        };
        let cx = HttpContext {
            idempotency_key: String::new(),
            deadline: Instant::now() + TIME,
        };
        let url = request::url(&request)?;
        let place = place(&url);
        let credentials = authentication.map(Credentials::read).transpose()?;
        let fetching = async {
            let (_, response, _) = self.authenticated(url, &request, &cx, credentials.as_ref()).await?;
            if !response.status().is_success() {
                return Err(response::status_problem(&response, &place));
            }
            let url = response.url().clone();
            let (bytes, whole) = response::read(response, DOCUMENT_LIMIT)
                .await
                .map_err(|error| broken(&place, &error))?;
            if !whole {
                return Err(unfit(format!("{place} has more than {DOCUMENT_LIMIT} bytes")));
            }
            let text = String::from_utf8(bytes).map_err(|_| unfit(format!("{place} is no text in UTF-8")))?;
            Ok(Document { url, text })
        };
        tokio::time::timeout(TIME, fetching)
            .await
            .unwrap_or_else(|_| Err(late(&place)))
    }
}

/// Data in a document: JSON, or YAML.
///
/// # Errors
/// A `configuration` problem that says where the text is neither.
pub fn parse(name: &str, text: &str) -> Result<Value, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    potok_dsl::data(name, text).map_err(|diagnostics| {
        let first = diagnostics.list.first().map(ToString::to_string).unwrap_or_default();
        wrong(format!("{name} is neither JSON nor YAML: {first}"))
    })
}

fn unfit(detail: String) -> Problem {
    Problem::new(ErrorType::Communication, "Document cannot be read", detail).with_status(502)
}
