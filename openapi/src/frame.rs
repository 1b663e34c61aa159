//! What is the same for every request: who may ask, what a path takes, and the headers that every answer has.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::Value;

use crate::{
    access::Access,
    failure::{Failure, refusal},
    params::is_key,
};

/// What each path takes.
pub(crate) struct Routes(Vec<Route>);

struct Route {
    /// The parts of the path; `None` stands for a parameter.
    parts: Vec<Option<String>>,
    /// What the header `Allow` says.
    allow: HeaderValue,
}

impl Routes {
    /// The routes of documents, each with what its paths begin with, and some that only read.
    pub fn new(documents: &[(&Value, &str)], read_only: &[&str]) -> Self {
        let described = documents.iter().flat_map(|(document, prefix)| {
            let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
            paths.map(move |(path, item)| (prefix, path, item))
        });
        let mut routes: Vec<Route> = described
            .map(|(prefix, path, item)| {
                let methods = item
                    .as_object()
                    .into_iter()
                    .flat_map(|item| item.keys())
                    .map(String::as_str);
                Route::new(&format!("{prefix}{path}"), methods)
            })
            .chain(read_only.iter().map(|path| Route::new(path, ["get"].into_iter())))
            .collect();
        // A literal part goes before a parameter, as it does where requests are handed out.
        routes.sort_by_key(|route| route.parts.iter().map(Option::is_none).collect::<Vec<_>>());
        Self(routes)
    }

    /// What a path takes, as the header `Allow` says it; `None` when there is no such path.
    fn allow(&self, path: &str) -> Option<&HeaderValue> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |route: &&Route| {
            route.parts.len() == parts.len()
                && route.parts.iter().zip(&parts).all(|(own, given)| match own {
                    Some(literal) => literal == given,
                    None => !given.is_empty(),
                })
        };
        self.0.iter().find(fits).map(|route| &route.allow)
    }
}

impl Route {
    fn new<'a>(path: &str, methods: impl Iterator<Item = &'a str>) -> Self {
        let parts = path
            .split('/')
            .map(|part| (!part.starts_with('{')).then(|| part.to_owned()))
            .collect();
        let mut methods: Vec<String> = methods.map(str::to_ascii_uppercase).collect();
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        methods.push("OPTIONS".to_owned());
        let allow = HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
        Self { parts, allow }
    }
}

/// Serves a request.
pub(crate) async fn serve<E: Endpoint>(
    endpoint: Arc<E>,
    routes: &Routes,
    access: &Access,
    request: Request,
) -> Response {
    let (method, path, began) = (
        request.method().clone(),
        request.uri().path().to_owned(),
        Instant::now(),
    );
    let refused = access.refuse(&request);
    let mut response = match refused.or_else(|| Some(refuse(&request)?.into_response())) {
        Some(response) => response,
        None if method == Method::OPTIONS && routes.allow(&path).is_some() => StatusCode::NO_CONTENT.into_response(),
        None => endpoint.get_response(request).await,
    };
    let status = response.status();
    let headers = response.headers_mut();
    if method == Method::OPTIONS || status == StatusCode::METHOD_NOT_ALLOWED {
        headers.extend(routes.allow(&path).map(|allow| (header::ALLOW, allow.clone())));
    }
    // What people and plugins have stored is answered with here: no browser shall take it for a script or a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    tracing::debug!(%method, path, status = status.as_u16(), took_ms = began.elapsed().as_millis(), "request");
    response
}

/// Why a request is not to be looked at any further.
fn refuse(request: &Request) -> Option<Failure> {
    let key = request.headers().get_all("idempotency-key");
    if key.iter().any(|key| !key.to_str().is_ok_and(is_key)) {
        return Some(Failure::bad_request(
            "the header Idempotency-Key takes 1 to 255 visible ASCII characters without spaces",
        ));
    }
    let detail = "a page of another site asks for this; only pages of this server and programs may";
    comes_from_another_site(request).then(|| Failure(refusal(403, "Forbidden", detail)))
}

/// Whether a browser says that a page of another site wants to change something here. Whoever reaches the address may use it where
/// nobody has to sign in; a page that someone happens to look at may not.
fn comes_from_another_site(request: &Request) -> bool {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    ) {
        return false;
    }
    if let Some(site) = request.header("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return false;
    };
    let host = request
        .header("host")
        .or_else(|| request.uri().authority().map(poem::http::uri::Authority::as_str));
    let own = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    own.is_none() || own != host
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn routes() -> Routes {
        let document = json!({ "paths": {
            "/w/{a}/{b}": { "get": {}, "delete": {} },
            "/w/{a}/runs": { "post": {} },
        } });
        Routes::new(&[(&document, "/api")], &["/docs"])
    }

    #[test]
    fn a_path_says_what_it_takes() {
        let routes = routes();
        let allow = |path| routes.allow(path).map(|allow| allow.to_str().unwrap());
        assert_eq!(allow("/api/w/x/y"), Some("GET, DELETE, HEAD, OPTIONS"));
        assert_eq!(allow("/api/w/x/runs"), Some("POST, OPTIONS"));
        assert_eq!(allow("/docs"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(allow("/api/w//y"), None);
        assert_eq!(allow("/api/w"), None);
    }

    #[test]
    fn pages_of_other_sites_may_only_read() {
        let ask = |method: Method, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            comes_from_another_site(&request.finish())
        };
        let own = ("host", "127.0.0.1:8080");
        assert!(!ask(Method::POST, &[own]));
        assert!(!ask(Method::POST, &[own, ("origin", "http://127.0.0.1:8080")]));
        assert!(!ask(
            Method::POST,
            &[
                own,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://proxy.example")
            ]
        ));
        assert!(ask(Method::POST, &[own, ("origin", "http://evil.example")]));
        assert!(ask(Method::DELETE, &[own, ("origin", "null")]));
        assert!(ask(Method::PUT, &[own, ("sec-fetch-site", "cross-site")]));
        assert!(!ask(Method::GET, &[own, ("sec-fetch-site", "cross-site")]));
    }
}
