//! Following redirections, where a workflow asks for it.
//!
//! The methods go as browsers do it (Fetch standard, "HTTP-redirect fetch"): 303 makes a GET, 301 and 302 make a GET of a POST, 307 and 308
//! change nothing. To another origin goes only what says what is wanted: a key, a cookie or a password was meant for the first.

use potok_dsl::{ErrorType, Problem};
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use reqwest::{Method, Request, Response, StatusCode, Url};

use crate::request::place;

/// How many redirections of one call are followed.
pub(crate) const MOST: usize = 10;

/// The request that an answer redirects to; `None` for an answer that is the last one: it redirects nowhere, or where no request can go.
///
/// # Errors
/// When it leads from https to http.
pub(crate) fn next(response: &Response, mut request: Request) -> Result<Option<Request>, Problem> {
    let status = response.status();
    let from = request.url().clone();
    let Some(to) = target(status, response.headers(), &from) else {
        return Ok(None);
    };
    if from.scheme() == "https" && to.scheme() == "http" {
        let detail = format!(
            "{} redirects to http, which would give away what is secret",
            place(&from)
        );
        return Err(failed("Unsafe redirection", detail, status));
    }
    let get = match status {
        StatusCode::SEE_OTHER => request.method() != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method() == Method::POST,
        _ => false,
    };
    if get {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for header in [CONTENT_TYPE, CONTENT_LENGTH, HeaderName::from_static("idempotency-key")] {
            request.headers_mut().remove(header);
        }
    }
    if to.origin() != from.origin() {
        *request.headers_mut() = harmless(request.headers());
    }
    *request.url_mut() = to;
    Ok(Some(request))
}

/// The headers that go to another origin too.
fn harmless(headers: &HeaderMap) -> HeaderMap {
    [
        ACCEPT,
        ACCEPT_LANGUAGE,
        CONTENT_TYPE,
        HeaderName::from_static("idempotency-key"),
    ]
    .into_iter()
    .filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)))
    .collect()
}

/// There were too many.
pub(crate) fn too_many(first: &Url, status: StatusCode) -> Problem {
    let detail = format!("{} redirects more than {MOST} times", place(first));
    failed("Too many redirections", detail, status)
}

fn failed(title: &str, detail: String, status: StatusCode) -> Problem {
    Problem::new(ErrorType::Communication, title, detail).with_status(status.as_u16())
}

fn target(status: StatusCode, headers: &HeaderMap, from: &Url) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let mut to = from
        .join(location)
        .ok()
        .filter(|to| matches!(to.scheme(), "http" | "https"))?;
    // They fail for URLs without a host, of which there is none here.
    let _ = to.set_username("");
    let _ = to.set_password(None);
    Some(to)
}
