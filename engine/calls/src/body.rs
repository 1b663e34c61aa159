//! The body that leaves: JSON, a form, the parts of a form, or text as it is.

use potok_dsl::Problem;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use crate::content::Kind;
use crate::parts;
use crate::request::wrong;

/// Writes a body as its content type wants it; names the type when the workflow does not.
pub(crate) fn write(body: &Value, headers: &mut HeaderMap) -> Result<Vec<u8>, Problem> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    match (Kind::of(content_type.as_deref()), body) {
        (Kind::Unsaid, body) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            json(body)
        }
        (Kind::Json, body) => json(body),
        (_, Value::String(text)) => Ok(text.clone().into_bytes()),
        (Kind::Form, Value::Object(members)) => self::members(members),
        (Kind::Parts, Value::Object(members)) => {
            let (content_type, bytes) = parts::write(members)?;
            headers.insert(CONTENT_TYPE, content_type);
            Ok(bytes)
        }
        (_, Value::Number(_) | Value::Bool(_)) => Ok(body.to_string().into_bytes()),
        (_, Value::Null) => Ok(Vec::new()),
        (_, Value::Array(_) | Value::Object(_)) => {
            let content_type = content_type.unwrap_or_default();
            Err(wrong(format!(
                "the body is an object or array, but its content type is '{content_type}': make it text"
            )))
        }
    }
}

fn json(body: &Value) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|e| wrong(format!("the body is no JSON: {e}")))
}

fn members(members: &Map<String, Value>) -> Result<Vec<u8>, Problem> {
    let mut pairs = Vec::new();
    for (name, value) in members {
        let values = match value {
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            pairs.push((
                name.as_str(),
                match value {
                    Value::String(text) => text.clone(),
                    Value::Null => continue,
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    Value::Array(_) | Value::Object(_) => {
                        return Err(wrong(format!(
                            "the member '{name}' of the form is an object or has an array in an array: make it text"
                        )));
                    }
                },
            ));
        }
    }
    Ok(form(pairs.iter().map(|(name, value)| (*name, value.as_str()))).into_bytes())
}

/// Names and values as a form, `a=b&c=d`.
pub(crate) fn form<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}
