//! Parameters of a method, however they were sent: in the query, as a form, as multipart, as JSON.

use std::collections::BTreeMap;

use poem::http::header;
use poem::web::{Form, Multipart};
use poem::{Body, FromRequest, Request, RequestBody};
use serde_json::Value;

use super::error::ApiError;
use crate::text::{self, Entity, Formatted, ParseMode};

/// The largest body, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Accounts for the most parameters that any method takes, many times over.
const MAX_PARAMETERS: usize = 100;

/// Names and values; whatever is not text is JSON text.
#[derive(Debug, Default)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the query and the body.
    pub(super) async fn read(request: &Request, body: Body) -> Result<Self, ApiError> {
        let mut params = Self::default();
        params.extend(
            request
                .params::<Vec<(String, String)>>()
                .map_err(ApiError::bad_request)?,
        )?;
        let bytes = body.into_bytes_limit(MAX_BODY).await.map_err(|error| match error {
            poem::error::ReadBodyError::PayloadTooLarge => ApiError::new(413, "Request Entity Too Large".to_owned()),
            other => ApiError::bad_request(other),
        })?;
        if bytes.is_empty() {
            return Ok(params);
        }
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        if content_type.starts_with("application/json") {
            params.extend(json_parameters(&bytes)?)?;
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            let form = Form::<Vec<(String, String)>>::from_request(request, &mut RequestBody::new(bytes.into())).await;
            params.extend(form.map_err(ApiError::bad_request)?.0)?;
        } else if content_type.starts_with("multipart/form-data") {
            let mut parts = Multipart::from_request(request, &mut RequestBody::new(bytes.into()))
                .await
                .map_err(ApiError::bad_request)?;
            while let Some(field) = parts.next_field().await.map_err(ApiError::bad_request)? {
                let name = field.name().unwrap_or_default().to_owned();
                if field.file_name().is_some() {
                    return Err(ApiError::bad_request(format!(
                        "the sandbox does not support the file \"{name}\""
                    )));
                }
                params.extend([(name, field.text().await.map_err(ApiError::bad_request)?)])?;
            }
        }
        Ok(params)
    }

    fn extend(&mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Result<(), ApiError> {
        self.0.extend(pairs);
        if self.0.len() > MAX_PARAMETERS {
            return Err(ApiError::bad_request("too many parameters"));
        }
        Ok(())
    }

    /// Refuses what is not in the list: better an error than a message that is not what was meant.
    pub(super) fn only(&self, method: &str, known: &[&str]) -> Result<(), ApiError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(ApiError::bad_request(format!(
                "the sandbox does not support the parameter \"{name}\" of {method}"
            ))),
        }
    }

    /// The value, empty when it was not given.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// `chat_id` and its like: an id or an `@name`.
    pub(super) fn chat(&self, name: &str) -> Result<String, ApiError> {
        match self.text(name).trim() {
            "" => Err(ApiError::bad_request(format!("{name} is empty"))),
            chat => Ok(chat.to_owned()),
        }
    }

    /// A message's number; 0, which none has, when it was not given or is no number.
    pub(super) fn message_id(&self) -> i32 {
        self.text("message_id").trim().parse().unwrap_or(0)
    }

    /// A user's id.
    pub(super) fn user_id(&self) -> Result<i64, ApiError> {
        let id = self.text("user_id").trim().parse().ok().filter(|id| *id > 0);
        id.ok_or_else(|| ApiError::bad_request("invalid user_id specified"))
    }

    /// A number; `default` when it was not given or is none.
    pub(super) fn number(&self, name: &str, default: i64) -> i64 {
        self.text(name).trim().parse().unwrap_or(default)
    }

    /// `true`, `yes`, `1`.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).to_ascii_lowercase().as_str(), "true" | "yes" | "1")
    }

    /// A list of words, as JSON; `None` when it was not given.
    pub(super) fn words(&self, name: &str) -> Option<Vec<String>> {
        serde_json::from_str(self.0.get(name)?).ok()
    }

    /// `text`, `parse_mode`, `entities`.
    pub(super) fn formatted(&self) -> Result<Formatted, ApiError> {
        parse_text(self.text("text"), self.text("parse_mode"), self.text("entities"))
    }

    /// `link_preview_options`, or what it was called before.
    pub(super) fn link_preview(&self) -> Result<Option<Value>, ApiError> {
        match self.text("link_preview_options") {
            "" if self.flag("disable_web_page_preview") => Ok(Some(serde_json::json!({ "is_disabled": true }))),
            "" => Ok(None),
            json => match serde_json::from_str(json) {
                Ok(value @ Value::Object(_)) => Ok(Some(value)),
                Ok(_) => Err(ApiError::bad_request("object expected as link preview options")),
                Err(_) => Err(ApiError::bad_request("can't parse link preview options JSON object")),
            },
        }
    }
}

/// A text with its parse mode and its entities as JSON, both possibly empty.
pub(crate) fn parse_text(source: &str, mode: &str, entities: &str) -> Result<Formatted, ApiError> {
    let mode = ParseMode::from_parameter(mode)?;
    let explicit = match (mode, entities) {
        (ParseMode::Plain, json) if !json.is_empty() => explicit_entities(json)?,
        _ => Vec::new(),
    };
    Ok(text::format(source, mode, explicit)?)
}

fn explicit_entities(json: &str) -> Result<Vec<Entity>, ApiError> {
    let values: Vec<Value> =
        serde_json::from_str(json).map_err(|_| ApiError::bad_request("can't parse entities JSON object"))?;
    let mut entities = Vec::with_capacity(values.len());
    for mut value in values {
        // These are found in the text anyway.
        let found = [
            "mention",
            "hashtag",
            "cashtag",
            "bot_command",
            "url",
            "email",
            "phone_number",
            "bank_card_number",
        ];
        if value["type"].as_str().is_some_and(|kind| found.contains(&kind)) {
            continue;
        }
        if let Some(id) = value.pointer("/user/id").cloned() {
            value["user_id"] = id;
        }
        let entity = serde_json::from_value(value);
        entities.push(entity.map_err(|error| ApiError::bad_request(format!("can't parse MessageEntity: {error}")))?);
    }
    Ok(entities)
}

fn json_parameters(bytes: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|_| ApiError::bad_request("can't parse JSON object"))?;
    let pairs = object.into_iter().filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        other => Some((name, other.to_string())),
    });
    Ok(pairs.collect())
}
