//! `CloudEvents` 1.0 as JSON: what workflows see of an event.

use potok_dsl::model::EventRead;
use potok_expr::{Evaluator, Expression};
use serde_json::Value;

/// What a correlation's expression (see [`crate::Correlation::from`]) gives for an event; `None` when it gives nothing, or fails:
/// then the event does not fit.
#[must_use]
pub fn correlated(from: &str, evaluator: &Evaluator, event: &Value) -> Option<Value> {
    extracted(&Expression::parse(from, evaluator).ok()?, evaluator, event)
}

pub(crate) fn extracted(from: &Expression, evaluator: &Evaluator, event: &Value) -> Option<Value> {
    from.eval(evaluator, event, &()).ok().filter(|value| !value.is_null())
}

/// An event as a workflow reads it: its data (bytes as base64, null when it has none); all of it; or its data as text, before it is
/// understood: JSON is not parsed.
#[must_use]
pub fn read_event(event: &Value, read: EventRead) -> Value {
    let bytes = || event.get("data_base64").cloned().unwrap_or_default();
    match (read, event.get("data")) {
        (EventRead::Envelope, _) => event.clone(),
        (_, None) => bytes(),
        (EventRead::Data, Some(data)) => data.clone(),
        (EventRead::Raw, Some(Value::String(text))) if !is_json(event) => Value::from(text.as_str()),
        (EventRead::Raw, Some(data)) => Value::from(data.to_string()),
    }
}

/// Whether the data is JSON, as it is when nothing is said.
fn is_json(event: &Value) -> bool {
    let Some(kind) = event.get("datacontenttype").and_then(Value::as_str) else {
        return true;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_in_three_ways() {
        let event = json!({ "type": "a", "data": { "n": 1 } });
        assert_eq!(read_event(&event, EventRead::Data), json!({ "n": 1 }));
        assert_eq!(read_event(&event, EventRead::Raw), json!("{\"n\":1}"));
        assert_eq!(read_event(&event, EventRead::Envelope), event);
        let text = json!({ "type": "a", "data": "hi", "datacontenttype": "text/plain; charset=utf-8" });
        assert_eq!(read_event(&text, EventRead::Raw), json!("hi"));
        assert_eq!(read_event(&json!({ "data": "hi" }), EventRead::Raw), json!("\"hi\""));
        assert_eq!(
            read_event(&json!({ "data_base64": "AAE=" }), EventRead::Data),
            json!("AAE=")
        );
        assert_eq!(read_event(&json!({}), EventRead::Raw), json!(null));
    }

    #[test]
    fn what_cannot_be_extracted_is_nothing() {
        let evaluator = Evaluator::native();
        let event = json!({ "roomid": 7, "data": "text" });
        assert_eq!(correlated("${ .roomid }", &evaluator, &event), Some(json!(7)));
        assert_eq!(correlated(".data.id", &evaluator, &event), None);
        assert_eq!(correlated(".other", &evaluator, &event), None);
    }
}
