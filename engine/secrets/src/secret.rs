//! One secret in the clear, for as long as it is needed.

use std::fmt;

use potok_expr::SecretPath;
use serde_json::Value;
use zeroize::Zeroize;

/// The largest secret, in bytes.
pub const LARGEST: usize = 64 * 1024;

/// A secret: text, or an object whose fields are read by name. It is overwritten when it is dropped.
pub struct Secret(Value);

impl Secret {
    /// A secret as it was written: an object where the text is one in JSON, else the text itself, without the line break that editors
    /// and shells put at its end.
    #[must_use]
    pub fn parse(mut text: String) -> Self {
        if text.trim_start().starts_with('{')
            && let Ok(value @ Value::Object(_)) = serde_json::from_str(&text)
        {
            text.zeroize();
            return Self(value);
        }
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Self(Value::String(text))
    }

    /// What is at the end of a way of fields; the error is the name of the field that is not there.
    pub(crate) fn at<'s>(&self, fields: &'s [String]) -> Result<&Value, &'s str> {
        let mut value = &self.0;
        for field in fields {
            value = value.get(field.as_str()).ok_or(field.as_str())?;
        }
        Ok(value)
    }

    /// The texts of a value of this secret, each with the way to it.
    pub(crate) fn texts(path: &SecretPath, value: &Value) -> Vec<(SecretPath, String)> {
        let mut texts = Vec::new();
        let mut open = vec![(path.clone(), value)];
        while let Some((path, value)) = open.pop() {
            let inside = |field: String| {
                let mut fields = path.fields().to_vec();
                fields.push(field);
                SecretPath::new(path.name(), fields)
            };
            match value {
                Value::String(text) => texts.push((path, text.clone())),
                Value::Number(number) => texts.push((path, number.to_string())),
                Value::Array(items) => {
                    open.extend(
                        items
                            .iter()
                            .enumerate()
                            .map(|(index, item)| (inside(index.to_string()), item)),
                    );
                }
                Value::Object(map) => open.extend(map.iter().map(|(field, item)| (inside(field.clone()), item))),
                Value::Null | Value::Bool(_) => {}
            }
        }
        texts
    }
}

impl From<serde_json::Map<String, Value>> for Secret {
    fn from(fields: serde_json::Map<String, Value>) -> Self {
        Self(Value::Object(fields))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        overwrite(&mut self.0);
    }
}

/// Overwrites the texts in a value. Secrets are JSON that was parsed, so at most 128 deep.
fn overwrite(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(overwrite),
        Value::Object(map) => map.values_mut().for_each(overwrite),
        _ => {}
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_secret_is_text_or_an_object() {
        let text = Secret::parse("hunter2\r\n".to_owned());
        assert_eq!(text.at(&[]).unwrap(), "hunter2");
        let object = Secret::parse(" {\"user\": \"ann\", \"deep\": {\"pin\": 1234}}\n".to_owned());
        let deep = ["deep".to_owned(), "pin".to_owned()];
        assert_eq!(object.at(&deep).unwrap(), 1234);
        assert_eq!(object.at(&["no".to_owned()]).unwrap_err(), "no");
        assert_eq!(Secret::parse("{not json".to_owned()).at(&[]).unwrap(), "{not json");
        assert_eq!(Secret::parse("[1]".to_owned()).at(&[]).unwrap(), "[1]");
        assert!(!format!("{text:?} {object:?}").contains("hunter2"));
    }
}
