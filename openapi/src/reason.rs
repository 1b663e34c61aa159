//! Why someone steers a run.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, Type},
};
use serde_json::Value;

/// Why something is asked of a run.
#[derive(Debug, Default)]
pub(crate) struct Reason {
    /// Shown with the run.
    pub reason: Option<String>,
}

/// The most characters of a reason.
const REASON: usize = 1_000;

/// By hand, because the framework takes numbers for texts and forgives what it does not know.
impl ParseFromJSON for Reason {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let wrong = |why: &str| Err(ParseError::custom(why));
        let Some(Value::Object(mut members)) = value else {
            return wrong("an object is expected");
        };
        let reason = match members.shift_remove("reason") {
            None => None,
            Some(Value::String(text)) if text.chars().count() <= REASON => Some(text),
            Some(_) => return wrong("'reason' is a text of at most 1000 characters"),
        };
        match members.keys().next() {
            Some(unknown) => wrong(&format!("'{unknown}' is not known here; there is only 'reason'")),
            None => Ok(Self { reason }),
        }
    }
}

impl Type for Reason {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Reason")
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Reason".to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("Reason".to_owned(), |_| {
            let reason = MetaSchema {
                description: Some("Shown with the run."),
                max_length: Some(REASON),
                ..MetaSchema::new("string")
            };
            MetaSchema {
                description: Some("Why something is asked of a run."),
                properties: vec![("reason", MetaSchemaRef::Inline(Box::new(reason)))],
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}
