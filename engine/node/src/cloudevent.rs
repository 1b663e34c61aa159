//! What a `CloudEvent` 1.0 must be, so that whatever is in the stream is one: <https://github.com/cloudevents/spec>.

use serde_json::{Map, Value};

/// The longest text of an attribute that names something (id, source, type), in characters.
const NAME: usize = 256;

/// How many attributes an event may have.
const ATTRIBUTES: usize = 64;

/// Why something is no event that can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// It is no object.
    #[error("an event is a JSON object")]
    NoObject,
    /// It is of another version.
    #[error("'specversion' must be \"1.0\"")]
    Version,
    /// What it must have is missing or empty.
    #[error("'{0}' must be a text that is not empty, of at most {NAME} characters")]
    Missing(&'static str),
    /// An attribute is not what it must be.
    #[error("'{0}' must be {1}")]
    Wrong(String, &'static str),
    /// A name that no attribute can have.
    #[error("'{0}' is no name of an attribute: lower-case letters and digits only")]
    Name(String),
    /// It has its data twice.
    #[error("an event has 'data' or 'data_base64', not both")]
    Data,
    /// It has too many attributes.
    #[error("an event has at most {ATTRIBUTES} attributes")]
    Many,
}

/// Checks an event, and takes away the attributes that are null, which is the same as not there.
///
/// # Errors
/// [`NotAnEvent`], the first thing that is wrong.
pub fn check(event: &mut Value) -> Result<(), NotAnEvent> {
    let Value::Object(members) = event else {
        return Err(NotAnEvent::NoObject);
    };
    members.retain(|name, value| name == "data" || !value.is_null());
    if members.get("specversion").and_then(Value::as_str) != Some("1.0") {
        return Err(NotAnEvent::Version);
    }
    for name in ["id", "source", "type"] {
        let text = members.get(name).and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() || text.chars().count() > NAME {
            return Err(NotAnEvent::Missing(name));
        }
    }
    if members.len() > ATTRIBUTES {
        return Err(NotAnEvent::Many);
    }
    if members.contains_key("data") && members.contains_key("data_base64") {
        return Err(NotAnEvent::Data);
    }
    members.iter().try_for_each(|(name, value)| attribute(name, value))?;
    if let Some(data) = members.get("data_base64").and_then(Value::as_str)
        && !is_base64(data)
    {
        return Err(NotAnEvent::Wrong("data_base64".to_owned(), "base64"));
    }
    Ok(())
}

fn attribute(name: &str, value: &Value) -> Result<(), NotAnEvent> {
    let wrong = |what| Err(NotAnEvent::Wrong(name.to_owned(), what));
    let text = value.as_str();
    match name {
        "data" | "specversion" | "id" | "type" => Ok(()),
        "data_base64" if text.is_none() => wrong("base64"),
        "data_base64" => Ok(()),
        "source" if !text.is_some_and(is_uri_reference) => wrong("a URI reference"),
        "dataschema" if !text.is_some_and(is_uri) => wrong("a URI"),
        "time" if text.is_none_or(|t| chrono::DateTime::parse_from_rfc3339(t).is_err()) => {
            wrong("a time such as 2026-01-31T09:30:00Z")
        }
        "subject" | "datacontenttype" if text.is_none_or(str::is_empty) => wrong("a text that is not empty"),
        "source" | "dataschema" | "time" | "subject" | "datacontenttype" => Ok(()),
        _ if !is_name(name) => Err(NotAnEvent::Name(name.to_owned())),
        _ => match value {
            Value::String(_) | Value::Bool(_) => Ok(()),
            Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
            _ => wrong("a text, a boolean or an integer of 32 bits"),
        },
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Loosely: what would break a log line or a header is no URI reference.
fn is_uri_reference(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}')
    })
}

fn is_uri(text: &str) -> bool {
    let scheme = text
        .split(':')
        .next()
        .filter(|scheme| scheme.len() < text.len())
        .unwrap_or_default();
    let mut letters = scheme.bytes();
    is_uri_reference(text)
        && letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// An event from its attributes, in the order in which people read them.
#[must_use]
pub fn event(id: &str, source: &str, kind: &str, subject: &str, time: &str, data: Value) -> Value {
    let mut members = Map::new();
    for (name, text) in [
        ("specversion", "1.0"),
        ("id", id),
        ("source", source),
        ("type", kind),
        ("subject", subject),
        ("time", time),
        ("datacontenttype", "application/json"),
    ] {
        members.insert(name.to_owned(), text.into());
    }
    members.insert("data".to_owned(), data);
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(more: Value) -> Result<Value, String> {
        let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/orders", "type": "order.paid" });
        if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
            event.extend(more);
        }
        check(&mut event).map(|()| event).map_err(|error| error.to_string())
    }

    #[test]
    fn good_events_pass() {
        for more in [
            json!({}),
            json!({ "data": { "any": ["thing", null] }, "time": "2026-01-31T09:30:00.123+03:00", "dataschema": "urn:a:b" }),
            json!({ "data_base64": "AAEC", "datacontenttype": "image/png", "subject": "7" }),
            json!({ "traceparent": "00-1", "priority": 5, "retry": false, "source": "https://example.com/a?b=c#d" }),
        ] {
            assert_eq!(checked(more.clone()).err(), None, "{more}");
        }
        assert_eq!(
            checked(json!({ "subject": null })).unwrap_or_default().get("subject"),
            None
        );
    }

    #[test]
    fn bad_events_are_told_what_is_wrong() {
        for (more, told) in [
            (json!({ "specversion": "0.3" }), "'specversion' must be \"1.0\""),
            (json!({ "id": "" }), "'id' must be a text that is not empty"),
            (json!({ "type": 5 }), "'type' must be a text"),
            (json!({ "source": "a b" }), "'source' must be a URI reference"),
            (json!({ "time": "yesterday" }), "'time' must be a time such as"),
            (json!({ "dataschema": "/relative" }), "'dataschema' must be a URI"),
            (json!({ "data": 1, "data_base64": "AA==" }), "not both"),
            (json!({ "data_base64": "A" }), "'data_base64' must be base64"),
            (json!({ "orderId": "7" }), "'orderId' is no name of an attribute"),
            (
                json!({ "order": { "id": 7 } }),
                "'order' must be a text, a boolean or an integer",
            ),
        ] {
            let error = checked(more.clone()).err().unwrap_or_default();
            assert!(error.contains(told), "{more}: {error}");
        }
        assert_eq!(check(&mut json!([])), Err(NotAnEvent::NoObject));
    }
}
