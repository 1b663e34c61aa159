//! `call: http`: everything in the request that has to be evaluated.

use indexmap::IndexMap;
use potok_dsl::Problem;
use potok_expr::Template;
use serde_json::{Value, json};

use super::{
    Step, Taken,
    values::{brief, expression_problem, wrong},
};
use crate::{
    definition::{HttpTemplate, Place, Uri, UriPart},
    effect::HttpRequest,
};

impl Step<'_> {
    pub(super) fn http(&self, task: &Taken, template: &HttpTemplate) -> Result<HttpRequest, Problem> {
        let scope = self.scope(task, Place::Task);
        let method = self.text(&template.method, task, Place::Task, "with.method")?;
        let pairs = |pairs: &Option<Template>, what| match pairs {
            None => Ok(IndexMap::new()),
            Some(pairs) => strings(self.template(pairs, &task.input, &scope, what)?, what),
        };
        let body = match &template.body {
            None => None,
            Some(body) => Some(self.template(body, &task.input, &scope, "with.body")?),
        };
        let authentication = match &template.authentication {
            None => None,
            Some(policy) => {
                let what = "with.endpoint.authentication";
                let properties = self.template(&policy.properties, &task.input, &scope, what)?;
                Some(json!({ policy.scheme: properties }))
            }
        };
        Ok(HttpRequest {
            method: method.ok_or_else(|| wrong("with.method must give text, not null".to_owned()))?,
            uri: self.uri(task, &template.uri)?,
            headers: pairs(&template.headers, "with.headers")?,
            query: pairs(&template.query, "with.query")?,
            body,
            output: template.output,
            redirect: template.redirect,
            authentication,
        })
    }

    fn uri(&self, task: &Taken, uri: &Uri) -> Result<String, Problem> {
        let what = "with.endpoint";
        match uri {
            Uri::Expression(expression) => {
                let scope = self.scope(task, Place::Task);
                match expression.eval(self.evaluator, &task.input, &scope) {
                    Ok(Value::String(uri)) => Ok(uri),
                    Ok(other) => Err(wrong(format!("{what} must give text, not {}", brief(&other)))),
                    Err(error) => Err(expression_problem(&error, what)),
                }
            }
            Uri::Template(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        UriPart::Literal(literal) => text.push_str(literal),
                        UriPart::Variable(name) => match task.input.get(name) {
                            None => {}
                            Some(value) => match scalar(value) {
                                Some(value) => percent_encode(&value, &mut text),
                                None => {
                                    let found = brief(value);
                                    let message = format!("{what}: {{{name}}} must be text or a number, not {found}");
                                    return Err(wrong(message));
                                }
                            },
                        },
                    }
                }
                Ok(text)
            }
        }
    }
}

/// An object of strings; members that are null are left out.
fn strings(value: Value, what: &str) -> Result<IndexMap<String, String>, Problem> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return Ok(IndexMap::new()),
        other => return Err(wrong(format!("{what} must give an object, not {}", brief(&other)))),
    };
    let mut pairs = IndexMap::with_capacity(map.len());
    for (name, value) in map {
        if value.is_null() {
            continue;
        }
        match scalar(&value) {
            Some(text) => drop(pairs.insert(name, text)),
            None => {
                return Err(wrong(format!(
                    "{what}.{name} must be text or a number, not {}",
                    brief(&value)
                )));
            }
        }
    }
    Ok(pairs)
}

/// Text, a number or a boolean as text; null as no text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Simple string expansion (RFC 6570, section 3.2.2): everything but unreserved characters is encoded.
fn percent_encode(text: &str, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(DIGITS[usize::from(byte >> 4)]));
            into.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        let mut text = String::new();
        percent_encode("a-b._~ /ы?", &mut text);
        assert_eq!(text, "a-b._~%20%2F%D1%8B%3F");
    }
}
