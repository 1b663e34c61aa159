//! The URIs that a task makes of its input.

use potok_dsl::Problem;
use potok_expr::secret::percent_around;
use serde_json::Value;

use super::{
    Step, Taken,
    values::{brief, expression_problem, wrong},
};
use crate::definition::{Place, Uri, UriPart, UriTemplate, UriVariable};

impl Step<'_> {
    /// A URI of a task; `what` names it in an error.
    pub(super) fn uri(&self, task: &Taken, uri: &Uri, what: &str) -> Result<String, Problem> {
        match uri {
            Uri::Template(template) => expand(template, &task.input, what),
            Uri::Expression(expression) => {
                let scope = self.scope(task, Place::Task);
                match expression.eval(self.evaluator, &task.input, &scope) {
                    Ok(Value::String(uri)) => Ok(uri),
                    Ok(other) => Err(wrong(format!("{what} must give text, not {}", brief(&other)))),
                    Err(error) => Err(expression_problem(&error, what)),
                }
            }
        }
    }
}

/// Puts members of the input in the place of the variables. Those that are not there, or null, are left out.
pub(super) fn expand(template: &UriTemplate, input: &Value, what: &str) -> Result<String, Problem> {
    let mut text = String::new();
    for part in &template.0 {
        match part {
            UriPart::Literal(literal) => text.push_str(literal),
            UriPart::Variables(variables) => {
                let mut first = true;
                for variable in variables {
                    let Some(value) = member(input, variable, what)? else {
                        continue;
                    };
                    if !std::mem::take(&mut first) {
                        text.push(',');
                    }
                    percent_around(&value, &mut text, &mut percent_encode);
                }
            }
        }
    }
    Ok(text)
}

fn member(input: &Value, variable: &UriVariable, what: &str) -> Result<Option<String>, Problem> {
    let name = &variable.name;
    let text = match input.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => scalar(value).ok_or_else(|| {
            wrong(format!(
                "{what}: {{{name}}} must be text or a number, not {}",
                brief(value)
            ))
        })?,
    };
    Ok(Some(match variable.prefix {
        Some(length) => text.chars().take(length).collect(),
        None => text,
    }))
}

/// Text, a number or a boolean as text; null as no text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Everything but unreserved characters is encoded.
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
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    /// The examples of RFC 6570, section 3.2.2, as far as their values are no lists.
    #[test]
    fn the_examples_of_the_standard() {
        let input = json!({
            "var": "value", "hello": "Hello World!", "half": "50%", "empty": "", "undef": null, "x": 1024, "y": "768",
            "pet.id": "a/ы?", "yes": true, "list": ["a"],
        });
        for (template, expected) in [
            ("{var}", "value"),
            ("{hello}", "Hello%20World%21"),
            ("{half}", "50%25"),
            ("O{empty}X", "OX"),
            ("O{undef}X", "OX"),
            ("O{missing}X", "OX"),
            ("{x,y}", "1024,768"),
            ("{x,hello,y}", "1024,Hello%20World%21,768"),
            ("?{x,empty}", "?1024,"),
            ("?{x,undef}", "?1024"),
            ("?{undef,y}", "?768"),
            ("{var:3}", "val"),
            ("{var:30}", "value"),
            ("{var*}", "value"),
            ("{pet.id}-{yes}", "a%2F%D1%8B%3F-true"),
        ] {
            let parsed = UriTemplate::parse(template).unwrap();
            assert_eq!(expand(&parsed, &input, "it").unwrap(), expected, "{template}");
        }
        let parsed = UriTemplate::parse("{list}").unwrap();
        let said = expand(&parsed, &input, "with.endpoint").unwrap_err().to_string();
        assert!(
            said.contains("with.endpoint: {list} must be text or a number"),
            "{said}"
        );
        assert_eq!(
            expand(&UriTemplate::parse("/{x}").unwrap(), &json!([]), "it").unwrap(),
            "/"
        );
    }
}
