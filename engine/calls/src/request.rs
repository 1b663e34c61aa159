//! From the workflow's request to the one that leaves.

use potok_dsl::{ErrorType, Problem};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Map, Value, json};

use crate::auth::basic;
use crate::{HttpRequest, body};

/// Headers whose values are not shown in outputs.
const SECRET: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"];

/// Headers that say where a message ends or what becomes of the connection: those are not the workflow's to set.
const FRAMING: [&str; 8] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
];

/// The request as the `response` output shows it.
pub(crate) fn shown(request: &Request) -> Value {
    json!({
        "method": request.method().as_str(),
        "uri": request.url().as_str(),
        "headers": headers(request.headers()),
    })
}

/// Headers as an object: secrets are hidden, repeated ones joined.
pub(crate) fn headers(map: &HeaderMap) -> Value {
    let mut object = Map::new();
    for (name, value) in map {
        let shown = if SECRET.contains(&name.as_str()) {
            "***".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        match object.get_mut(name.as_str()) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(&shown);
            }
            _ => _ = object.insert(name.to_string(), Value::String(shown)),
        }
    }
    Value::Object(object)
}

/// A request that cannot be made.
pub(crate) fn wrong(detail: String) -> Problem {
    Problem::new(ErrorType::Configuration, "Request cannot be made", detail)
}

/// Where a request goes, for people: without query, fragment and password, where secrets are.
pub(crate) fn place(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // They fail for URLs without a host, of which there is none here.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// The URI with its query.
pub(crate) fn url(request: &HttpRequest) -> Result<Url, Problem> {
    let shown = || request.uri.split(['?', '#']).next().unwrap_or_default().to_owned();
    let mut url = Url::parse(&request.uri).map_err(|e| wrong(format!("'{}' is not a URI: {e}", shown())))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("'{}' is neither http nor https", shown())));
    }
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    Ok(url)
}

/// Builds the request; `authorization` goes before any that the workflow writes as a header.
pub(crate) fn build(
    mut url: Url,
    request: &HttpRequest,
    key: &str,
    authorization: Option<HeaderValue>,
) -> Result<Request, Problem> {
    let method = method(&request.method)?;
    let changes = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut map = header_map(request)?;
    if changes && !map.contains_key("idempotency-key") {
        let key = HeaderValue::from_str(key).map_err(|_| wrong("the idempotency key cannot be a header".to_owned()))?;
        map.insert(HeaderName::from_static("idempotency-key"), key);
    }
    let credentials = credentials(&mut url);
    if let Some(authorization) = authorization {
        map.insert(AUTHORIZATION, authorization);
    } else if let Some(credentials) = credentials {
        map.entry(AUTHORIZATION).or_insert(credentials);
    }
    let body = request
        .body
        .as_ref()
        .map(|value| body::write(value, &mut map))
        .transpose()?;
    let mut built = Request::new(method, url);
    *built.headers_mut() = map;
    *built.body_mut() = body.map(Into::into);
    Ok(built)
}

/// Takes user and password out of a URI: they leave as basic authentication.
fn credentials(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let (username, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    // They fail for URLs without a host, of which there is none here.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    basic(&username, &password).ok()
}

fn method(name: &str) -> Result<Method, Problem> {
    match Method::from_bytes(name.to_ascii_uppercase().as_bytes()) {
        Ok(Method::CONNECT) => Err(wrong("CONNECT is for proxies".to_owned())),
        Ok(method) => Ok(method),
        Err(_) => Err(wrong(format!("'{name}' is not an HTTP method"))),
    }
}

fn header_map(request: &HttpRequest) -> Result<HeaderMap, Problem> {
    let mut map = HeaderMap::new();
    for (name, value) in &request.headers {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(format!("'{name}' is not a header's name")))?;
        if FRAMING.contains(&header.as_str()) {
            return Err(wrong(format!(
                "the header '{name}' is set by the connection: leave it out"
            )));
        }
        let value = HeaderValue::from_str(value).map_err(|_| {
            wrong(format!(
                "the value of the header '{name}' has characters that no header can have"
            ))
        })?;
        map.append(header, value);
    }
    Ok(map)
}
