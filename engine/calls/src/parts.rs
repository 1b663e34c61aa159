//! A form of several parts (`multipart/form-data`, RFC 7578): how text, data and files travel in one body.
//!
//! A member is a part: text as it is, data as JSON, a list one part for each of its items. A file is an object whose only members are
//! `base64`, `filename` and `contentType`, of which the first must be there.
//!
//! The same members make the same bytes, the boundary too, so that a call that is made again is the same request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use potok_dsl::Problem;
use reqwest::header::HeaderValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::request::wrong;

const BYTES: &str = "base64";
const NAME: &str = "filename";
const TYPE: &str = "contentType";

/// One part.
struct Part {
    name: String,
    filename: Option<String>,
    content_type: Option<String>,
    content: Vec<u8>,
}

/// Writes a form: its content type, with the boundary, and its bytes.
pub(crate) fn write(members: &Map<String, Value>) -> Result<(HeaderValue, Vec<u8>), Problem> {
    let mut parts = Vec::new();
    for (name, value) in members {
        match value {
            Value::Array(items) => {
                for item in items {
                    parts.push(part(name, item)?);
                }
            }
            Value::Null => {}
            value => parts.push(part(name, value)?),
        }
    }
    let boundary = boundary(&parts);
    let mut bytes = Vec::new();
    for part in &parts {
        bytes.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        part.write(&mut bytes);
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
    Ok((content_type.map_err(|error| wrong(error.to_string()))?, bytes))
}

/// A body in which these members, which are bytes as base64, are files.
pub(crate) fn with_files(mut body: Value, files: &[String]) -> Value {
    for name in files {
        let Some(member) = body.get_mut(name) else { continue };
        let items = match member {
            Value::Array(items) => items.as_mut_slice(),
            member => std::slice::from_mut(member),
        };
        for item in items {
            if let Value::String(text) = item {
                *item = json!({ BYTES: text, NAME: name });
            }
        }
    }
    body
}

fn part(name: &str, value: &Value) -> Result<Part, Problem> {
    let plain = |content: Vec<u8>, content_type: Option<&str>| Part {
        name: name.to_owned(),
        filename: None,
        content_type: content_type.map(str::to_owned),
        content,
    };
    Ok(match value {
        Value::String(text) => plain(text.clone().into_bytes(), None),
        Value::Object(file) if is_file(file) => {
            let text = |member: &str| file.get(member).and_then(Value::as_str).map(str::to_owned);
            let content = STANDARD
                .decode(text(BYTES).unwrap_or_default())
                .map_err(|error| wrong(format!("the file '{name}' of the form is no base64: {error}")))?;
            Part {
                name: name.to_owned(),
                filename: Some(text(NAME).unwrap_or_else(|| name.to_owned())),
                content_type: Some(text(TYPE).unwrap_or_else(|| "application/octet-stream".to_owned())),
                content,
            }
        }
        Value::Array(_) | Value::Object(_) => plain(value.to_string().into_bytes(), Some("application/json")),
        Value::Number(_) | Value::Bool(_) | Value::Null => plain(value.to_string().into_bytes(), None),
    })
}

fn is_file(object: &Map<String, Value>) -> bool {
    let known = |(name, value): (&String, &Value)| [BYTES, NAME, TYPE].contains(&name.as_str()) && value.is_string();
    object.contains_key(BYTES) && object.iter().all(known)
}

impl Part {
    fn write(&self, bytes: &mut Vec<u8>) {
        let mut head = format!("content-disposition: form-data; name=\"{}\"", quoted(&self.name));
        if let Some(filename) = &self.filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
        }
        if let Some(content_type) = &self.content_type {
            head.push_str("\r\ncontent-type: ");
            head.extend(content_type.chars().filter(|c| !c.is_control()));
        }
        head.push_str("\r\n\r\n");
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&self.content);
        bytes.extend_from_slice(b"\r\n");
    }
}

/// A name between quotes, as browsers write it (the HTML standard, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands between the parts and, by its length, in none of them.
fn boundary(parts: &[Part]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.name.as_bytes());
        hasher.update([0]);
        hasher.update(&part.content);
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(body: &Value) -> String {
        let (content_type, bytes) = write(body.as_object().unwrap()).unwrap();
        let boundary = content_type
            .to_str()
            .unwrap()
            .split_once("boundary=")
            .unwrap()
            .1
            .to_owned();
        String::from_utf8(bytes)
            .unwrap()
            .replace(&boundary, "~")
            .replace("\r\n", "\n")
    }

    #[test]
    fn text_data_lists_and_files_are_parts() {
        let body = json!({
            "caption": "hello",
            "n": 3,
            "options": { "a": 1 },
            "tags": ["x", "y"],
            "left": null,
            "photo": { "base64": "cGljdHVyZQ==", "filename": "a\"\r\n.png", "contentType": "image/png" },
        });
        assert_eq!(
            written(&body),
            "--~\ncontent-disposition: form-data; name=\"caption\"\n\nhello\n\
             --~\ncontent-disposition: form-data; name=\"n\"\n\n3\n\
             --~\ncontent-disposition: form-data; name=\"options\"\ncontent-type: application/json\n\n{\"a\":1}\n\
             --~\ncontent-disposition: form-data; name=\"tags\"\n\nx\n\
             --~\ncontent-disposition: form-data; name=\"tags\"\n\ny\n\
             --~\ncontent-disposition: form-data; name=\"photo\"; filename=\"a%22%0D%0A.png\"\ncontent-type: image/png\n\npicture\n\
             --~--\n"
        );
    }

    #[test]
    fn the_same_members_make_the_same_bytes() {
        let body = json!({ "a": "1" });
        let twice = [0, 1].map(|_| write(body.as_object().unwrap()).unwrap());
        assert_eq!(twice[0], twice[1]);
        assert_ne!(twice[0].0, write(json!({ "a": "2" }).as_object().unwrap()).unwrap().0);
    }

    #[test]
    fn a_file_that_is_no_base64_is_refused() {
        let body = with_files(json!({ "photo": "no base64!" }), &["photo".to_owned()]);
        let problem = write(body.as_object().unwrap()).unwrap_err();
        assert!(problem.to_string().contains("'photo'"), "{problem}");
    }
}
