//! Bodies as they come in: bounded one by one and all together, and with the content types that people really send.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures::StreamExt;
use poem::{Body, Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{ParsePayload, Payload},
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
    types::ParseFromJSON,
};
use potok_secrets::LARGEST;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{Failure, plain, refusal, unavailable};

/// The largest definition, in bytes.
pub(crate) const DEFINITION: usize = 1024 * 1024;

/// The largest value and the largest blob, in bytes.
pub(crate) const VALUE: usize = 64 * 1024 * 1024;

/// The most that all bodies under way may take together, in KiB.
const TOGETHER: usize = 512 * 1024;

/// How long nothing of a body may come before the request is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for bodies, in KiB. One for the process: it is the process that has the memory.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(TOGETHER)));

/// Room that a body takes, given back when its request has been served.
#[derive(Default)]
pub(crate) struct Room {
    permit: Option<OwnedSemaphorePermit>,
    /// How many bytes there is room for.
    bytes: usize,
}

impl Room {
    fn grow(&mut self, to: usize) -> Result<(), Failure> {
        if to <= self.bytes {
            return Ok(());
        }
        let more = (to - self.bytes).div_ceil(1024);
        let asked = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&ROOM).try_acquire_many_owned(asked) else {
            return Err(unavailable("too many large requests at once; try again").into());
        };
        self.bytes += more * 1024;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

/// Reads a body of at most `limit` bytes, whether it says its length or comes in chunks.
pub(crate) async fn bytes(request: &Request, body: &mut RequestBody, limit: usize) -> Result<(Vec<u8>, Room)> {
    let too_large = || {
        Failure::<0>(refusal(
            413,
            "Too large",
            format!("the body is over the limit of {limit} bytes"),
        ))
    };
    let said = request
        .header("content-length")
        .and_then(|length| length.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit as u64) {
        return Err(too_large().into());
    }
    let mut chunks = std::pin::pin!(body.take()?.into_bytes_stream());
    let mut room = Room::default();
    let mut bytes = Vec::new();
    loop {
        let Ok(chunk) = tokio::time::timeout(PATIENCE, chunks.next()).await else {
            return Err(Failure::<0>(refusal(408, "Request timeout", "the body did not come in time")).into());
        };
        let Some(chunk) = chunk else { return Ok((bytes, room)) };
        let chunk = chunk.map_err(|e| Failure::<0>::bad_request(format!("the body cannot be read: {e}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large().into());
        }
        room.grow(bytes.len() + chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
}

pub(crate) fn essence(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// What `curl --data` and `--data-binary` say unless they are told otherwise.
pub(crate) const CURL: &str = "application/x-www-form-urlencoded";

/// What `impl_apirequest_for_payload!` of the framework does, for payloads of our own: a body, taken when its content type fits.
macro_rules! extracts {
    ([$($parameters:tt)*] $type:ty) => {
        impl<'a, $($parameters)*> ApiExtractor<'a> for $type {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                <Self as Payload>::register(registry);
            }

            fn request_meta() -> Option<MetaRequest> {
                let content_type = <Self as Payload>::CONTENT_TYPE;
                let content = vec![MetaMediaType { content_type, schema: <Self as Payload>::schema_ref() }];
                Some(MetaRequest { description: None, content, required: <Self as ParsePayload>::IS_REQUIRED })
            }

            async fn from_request(
                request: &'a Request,
                body: &mut RequestBody,
                _: ExtractParamOptions<Self::ParamType>,
            ) -> Result<Self> {
                // A body without a content type is taken for what is expected here: `curl -T` sends none.
                match request.content_type() {
                    Some(given) if !<Self as Payload>::check_content_type(given) => {
                        let detail = format!("'{given}' is not taken here; send {}", <Self as Payload>::CONTENT_TYPE);
                        Err(Failure::<0>(refusal(415, "Unsupported content type", detail)).into())
                    }
                    _ => <Self as ParsePayload>::from_request(request, body).await,
                }
            }
        }
    };
}

/// A workflow definition: YAML (JSON is YAML).
pub(crate) struct Yaml(
    pub String,
    #[expect(dead_code, reason = "held until the request is served")] Room,
);

impl Payload for Yaml {
    const CONTENT_TYPE: &'static str = "application/yaml";

    fn check_content_type(content_type: &str) -> bool {
        let known = [
            "application/yaml",
            "application/x-yaml",
            "text/yaml",
            "text/x-yaml",
            "text/plain",
            "application/json",
            CURL,
        ];
        known.contains(&essence(content_type).as_str())
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }
}

impl ParsePayload for Yaml {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let (bytes, room) = bytes(request, body, DEFINITION).await?;
        let text = String::from_utf8(bytes);
        text.map(|text| Self(text, room))
            .map_err(|_| Failure::<0>::bad_request("the definition is not UTF-8 text").into())
    }
}

extracts!([] Yaml);

/// A secret as text, overwritten when the request has been served. What is wrong with one says nothing of it.
pub(crate) struct SecretText(pub Zeroizing<String>);

impl Payload for SecretText {
    const CONTENT_TYPE: &'static str = "text/plain";

    /// It is a secret, whatever it is said to be.
    fn check_content_type(_: &str) -> bool {
        true
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(LARGEST),
            ..MetaSchema::new("string")
        }))
    }
}

impl ParsePayload for SecretText {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let (bytes, _) = bytes(request, body, LARGEST).await?;
        String::from_utf8(bytes)
            .map(|text| Self(Zeroizing::new(text)))
            .map_err(|error| {
                error.into_bytes().zeroize();
                Failure::<0>::bad_request("the secret is not UTF-8 text").into()
            })
    }
}

extracts!([] SecretText);

/// JSON; nothing at all is an empty object.
pub(crate) struct Json<T>(
    pub T,
    #[expect(dead_code, reason = "held until the request is served")] Room,
);

/// Up to here every integer is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A body in which `5.0` is the integer that it is.
fn integral(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            #[expect(clippy::cast_possible_truncation, reason = "it is an integer below 2^53")]
            let integer = float.filter(|float| float.abs() < EXACT).map(|float| float as i64);
            integer.map_or(value, Value::from)
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = integral(item.take()));
            value
        }
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|member| *member = integral(member.take()));
            value
        }
        _ => value,
    }
}

impl<T: ParseFromJSON> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        let essence = essence(content_type);
        essence == "application/json" || essence.ends_with("+json") || essence == CURL
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Json<T> {
    const IS_REQUIRED: bool = false;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let (bytes, room) = bytes(request, body, VALUE).await?;
        let value = if bytes.is_empty() {
            Ok(Value::Object(serde_json::Map::new()))
        } else {
            serde_json::from_slice(&bytes)
        };
        let value =
            value.map_err(|e| Failure::<0>::bad_request(format!("the body is not JSON that can be taken: {e}")))?;
        drop(bytes);
        let value = T::parse_from_json(Some(integral(value)));
        value
            .map(|value| Self(value, room))
            .map_err(|e| Failure::<0>::bad_request(format!("the body: {}", plain(e.message()))).into())
    }
}

extracts!([T: ParseFromJSON] Json<T>);

/// A form, possibly with files.
pub(crate) struct Form<T, const LIMIT: usize = FORM>(
    pub T,
    #[expect(dead_code, reason = "held until the request is served")] Room,
);

/// The largest form, in bytes.
pub(crate) const FORM: usize = 8 * 1024 * 1024;

impl<T: Payload + ParsePayload + Send + Sync, const LIMIT: usize> Payload for Form<T, LIMIT> {
    const CONTENT_TYPE: &'static str = T::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        T::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Payload + ParsePayload + Send + Sync, const LIMIT: usize> ParsePayload for Form<T, LIMIT> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let (bytes, room) = bytes(request, body, LIMIT).await?;
        let mut bounded = RequestBody::new(Body::from(bytes));
        let form = T::from_request(request, &mut bounded).await;
        form.map(|form| Self(form, room))
            .map_err(|e| Failure::<0>::bad_request(format!("the form: {}", plain(&e.to_string()))).into())
    }
}

extracts!([T: Payload + ParsePayload + Send + Sync, const LIMIT: usize] Form<T, LIMIT>);

/// Bytes. Where none need to come, nothing at all is no bytes.
pub(crate) struct Bytes<const REQUIRED: bool>(
    pub Vec<u8>,
    #[expect(dead_code, reason = "held until the request is served")] Room,
);

impl<const REQUIRED: bool> Payload for Bytes<REQUIRED> {
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    /// Bytes are bytes, whatever they are said to be.
    fn check_content_type(_: &str) -> bool {
        true
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")))
    }
}

impl<const REQUIRED: bool> ParsePayload for Bytes<REQUIRED> {
    const IS_REQUIRED: bool = REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        bytes(request, body, VALUE).await.map(|(bytes, room)| Self(bytes, room))
    }
}

extracts!([const REQUIRED: bool] Bytes<REQUIRED>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_share_one_room() {
        let mut rooms: Vec<Room> = Vec::new();
        // Eight of the largest fit.
        for _ in 0..TOGETHER * 1024 / VALUE {
            let mut room = Room::default();
            room.grow(1).unwrap();
            room.grow(VALUE).unwrap();
            room.grow(VALUE - 5).unwrap();
            rooms.push(room);
        }
        let problem = Room::default().grow(1).unwrap_err().0;
        assert_eq!((problem.status, problem.retry_after_ms), (503, Some(1_000)));
        rooms.pop();
        Room::default().grow(VALUE).unwrap();
    }

    #[test]
    fn content_types_are_known_by_what_they_are() {
        assert!(Json::<Value>::check_content_type("application/json; charset=utf-8"));
        assert!(Json::<Value>::check_content_type("Application/CloudEvents+JSON"));
        assert!(
            !Json::<Value>::check_content_type("text/html") && !Json::<Value>::check_content_type("application/jsonx")
        );
        assert!(Yaml::check_content_type("text/yaml") && !Yaml::check_content_type("image/png"));
    }

    #[test]
    fn an_integer_is_one_however_it_is_written() {
        let given = json!({ "a": [100.0, -3.0, 0.5, 1e300], "b": "5.0", "c": 9_007_199_254_740_993_i64 });
        let kept = json!({ "a": [100, -3, 0.5, 1e300], "b": "5.0", "c": 9_007_199_254_740_993_i64 });
        assert_eq!(integral(given).to_string(), kept.to_string());
    }
}
