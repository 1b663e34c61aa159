//! `CloudEvents` as they come over HTTP: structured, binary or a batch (<https://github.com/cloudevents/spec>, the HTTP binding).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{Request, RequestBody, Result, http::HeaderMap};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::{Map, Value};

use crate::{
    failure::{Failure, refusal},
    payload::{CURL, Room, bytes, essence},
};

/// One event.
const STRUCTURED: &str = "application/cloudevents+json";

/// Several events.
const BATCH: &str = "application/cloudevents-batch+json";

/// The largest event, in bytes.
const EVENT: usize = 1024 * 1024;

/// The largest batch, in bytes.
const EVENTS: usize = 16 * 1024 * 1024;

/// The prefix of a header that is an attribute.
const PREFIX: &str = "ce-";

/// Events of a request; each is JSON, and not more is known of it.
pub(crate) struct CloudEvents {
    pub list: Vec<Value>,
    #[expect(dead_code, reason = "held until the request is served")]
    room: Room,
}

impl<'a> ApiExtractor<'a> for CloudEvents {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        // What they look like is said where the document is completed.
        let content = [(STRUCTURED, "object"), (BATCH, "array")].map(|(content_type, kind)| MetaMediaType {
            content_type,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new(kind))),
        });
        Some(MetaRequest {
            description: None,
            content: content.into(),
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let kind = request.content_type().map(essence).unwrap_or_default();
        if request.headers().contains_key("ce-specversion") {
            let (data, room) = bytes(request, body, EVENT).await?;
            let list = vec![binary(request.headers(), data).map_err(Failure::<0>::bad_request)?];
            return Ok(Self { list, room });
        }
        let most = if kind == BATCH { EVENTS } else { EVENT };
        let known = [STRUCTURED, BATCH, "application/json", CURL, ""];
        if !known.contains(&kind.as_str()) {
            let detail = format!(
                "'{kind}' without headers ce-specversion, ce-id, ce-source and ce-type is no event; send {STRUCTURED} or {BATCH}"
            );
            return Err(Failure::<0>(refusal(415, "Unsupported content type", detail)).into());
        }
        let (text, room) = bytes(request, body, most).await?;
        let value = serde_json::from_slice(&text)
            .map_err(|error| Failure::<0>::bad_request(format!("the body is not JSON that can be taken: {error}")))?;
        let list = match value {
            Value::Array(events) if kind == BATCH => events,
            _ if kind == BATCH => return Err(Failure::<0>::bad_request("a batch is an array of events").into()),
            event => vec![event],
        };
        Ok(Self { list, room })
    }
}

/// An event whose attributes are headers and whose data is the body.
fn binary(headers: &HeaderMap, data: Vec<u8>) -> Result<Value, String> {
    let mut event = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        let text = value
            .to_str()
            .map_err(|_| format!("the header {name} is not ASCII text"))?;
        if event
            .insert(attribute.to_owned(), Value::String(decoded(text)))
            .is_some()
        {
            return Err(format!("the header {name} is there twice"));
        }
    }
    if event.contains_key("data") || event.contains_key("data_base64") || event.contains_key("datacontenttype") {
        return Err("data is the body and its type is Content-Type; neither is a header ce-…".to_owned());
    }
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
    if let Some(content_type) = content_type {
        event.insert("datacontenttype".to_owned(), content_type.into());
    }
    if data.is_empty() {
        return Ok(Value::Object(event));
    }
    let kind = content_type.map_or_else(|| "application/json".to_owned(), essence);
    let json = kind == "application/json" || kind == "text/json" || kind.ends_with("+json");
    if json {
        let data = serde_json::from_slice(&data).map_err(|error| format!("the data is not JSON: {error}"))?;
        event.insert("data".to_owned(), data);
    } else if kind.starts_with("text/") || kind == "application/xml" || kind.ends_with("+xml") {
        let text = String::from_utf8(data).map_err(|_| "the data is not UTF-8 text".to_owned())?;
        event.insert("data".to_owned(), text.into());
    } else {
        event.insert("data_base64".to_owned(), STANDARD.encode(data).into());
    }
    Ok(Value::Object(event))
}

/// A header's value: percent-encoded as the binding says, perhaps in quotes.
fn decoded(text: &str) -> String {
    let text = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use poem::http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn event(headers: &[(&str, &str)], data: &[u8]) -> Result<Value, String> {
        let pairs = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        binary(&pairs.collect(), data.to_vec())
    }

    #[test]
    fn headers_make_an_event() {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", "a%20b"),
            ("ce-type", "\"t\""),
            ("x-other", "1"),
        ];
        assert_eq!(
            event(&headers, b"").unwrap(),
            json!({ "specversion": "1.0", "id": "a b", "type": "t" })
        );
        let typed = |kind: &str, data: &[u8]| event(&[("ce-id", "1"), ("content-type", kind)], data);
        assert_eq!(typed("application/json", b"[1]").unwrap()["data"], json!([1]));
        assert_eq!(typed("text/plain; charset=utf-8", b"hi").unwrap()["data"], json!("hi"));
        assert_eq!(typed("image/png", &[0, 1, 2]).unwrap()["data_base64"], json!("AAEC"));
        assert!(typed("application/json", b"{").is_err() && typed("text/plain", &[0xff]).is_err());
        assert!(event(&[("ce-data", "1")], b"").is_err());
    }

    #[test]
    fn percent_signs_are_decoded_where_they_are_codes() {
        assert_eq!(decoded("Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro € 😀");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz"), "%zz");
    }
}
