//! Bodies as they come in: bounded, and with the content types that people really send.

use poem::{FromRequest, Request, RequestBody, Result, http::StatusCode};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{ParsePayload, Payload},
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::Value;

use crate::failure::Failure;

/// The largest definition, in bytes.
const DEFINITION: usize = 1024 * 1024;

/// The largest value and the largest blob, in bytes.
const VALUE: usize = 64 * 1024 * 1024;

async fn bytes(body: &mut RequestBody, limit: usize) -> Result<Vec<u8>> {
    let bytes = body.take()?.into_bytes_limit(limit).await;
    bytes.map(|b| b.to_vec()).map_err(|error| {
        let too_large = poem::Error::from(error);
        if too_large.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let problem = potok_dsl::Problem::new(
                potok_dsl::ErrorType::Validation,
                "Too large",
                format!("the body is over the limit of {limit} bytes"),
            );
            return Failure(problem.with_status(413)).into();
        }
        too_large
    })
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// What `impl_apirequest_for_payload!` of the framework does, for payloads of our own: a body, taken when its content type fits.
macro_rules! extracts {
    ($type:ty) => {
        impl<'a> ApiExtractor<'a> for $type {
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
                // A body without a content type is taken for what is expected here: `curl -d` and `curl -T` are used by people.
                match request.content_type() {
                    Some(given) if !<Self as Payload>::check_content_type(given) => {
                        let problem = potok_dsl::Problem::new(
                            potok_dsl::ErrorType::Validation,
                            "Unsupported content type",
                            format!("'{given}' is not taken here; send {}", <Self as Payload>::CONTENT_TYPE),
                        );
                        Err(Failure(problem.with_status(415)).into())
                    }
                    _ => <Self as ParsePayload>::from_request(request, body).await,
                }
            }
        }
    };
}

/// A workflow definition: YAML (JSON is YAML).
pub(crate) struct Yaml(pub String);

impl Payload for Yaml {
    const CONTENT_TYPE: &'static str = "application/yaml";

    fn check_content_type(content_type: &str) -> bool {
        let known = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain", "application/json"];
        let form = "application/x-www-form-urlencoded"; // what `curl --data-binary @file` says unless told otherwise
        known.contains(&essence(content_type)) || essence(content_type) == form
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }
}

impl ParsePayload for Yaml {
    const IS_REQUIRED: bool = true;

    async fn from_request(_: &Request, body: &mut RequestBody) -> Result<Self> {
        let text = String::from_utf8(bytes(body, DEFINITION).await?);
        text.map(Self).map_err(|_| Failure::bad_request("the definition is not UTF-8 text").into())
    }
}

extracts!(Yaml);

/// Any JSON value; nothing at all is an empty object.
pub(crate) struct Json(pub Value);

impl Payload for Json {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        let essence = essence(content_type);
        essence == "application/json" || essence.ends_with("+json") || essence == "application/x-www-form-urlencoded"
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::ANY))
    }
}

impl ParsePayload for Json {
    const IS_REQUIRED: bool = false;

    async fn from_request(_: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = bytes(body, VALUE).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|e| Failure::bad_request(format!("the body is not JSON: {e}")).into())
    }
}

extracts!(Json);

/// Bytes.
pub(crate) struct Bytes(pub Vec<u8>);

impl Payload for Bytes {
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    /// Bytes are bytes, whatever they are said to be.
    fn check_content_type(_: &str) -> bool {
        true
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")))
    }
}

impl ParsePayload for Bytes {
    const IS_REQUIRED: bool = true;

    async fn from_request(_: &Request, body: &mut RequestBody) -> Result<Self> {
        bytes(body, VALUE).await.map(Self)
    }
}

extracts!(Bytes);
