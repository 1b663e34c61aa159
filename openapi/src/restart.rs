//! How a run is made from another one.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, Type},
};
use serde_json::Value;

use crate::params::Version;

/// Where a run that is made from another one begins, and with what.
#[derive(Debug, Default)]
pub(crate) struct Restart {
    /// The task that it begins with.
    pub from: Option<String>,
    /// What that task, or the workflow, gets instead.
    pub input: Option<Value>,
    /// The version that it goes on with.
    pub version: Option<String>,
}

/// The longest path of a task.
const PATH: usize = 4_000;

/// By hand, because an input that is null is an input.
impl ParseFromJSON for Restart {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let wrong = |why: &str| Err(ParseError::custom(why));
        let Some(Value::Object(mut members)) = value else {
            return wrong("an object is expected");
        };
        let from = match members.shift_remove("from") {
            None => None,
            Some(Value::String(path)) if path.starts_with('/') && path.len() <= PATH => Some(path),
            Some(_) => return wrong("'from' is the path or the reference of a task, such as /do/1/ask"),
        };
        let version = match members.shift_remove("version") {
            None => None,
            Some(Value::String(text)) if Version::parse_from_parameter(&text).is_ok() => Some(text),
            Some(_) => return wrong("'version' is a semantic version such as 1.0.0"),
        };
        let input = members.shift_remove("input");
        match members.keys().next() {
            Some(unknown) => wrong(&format!(
                "'{unknown}' is not known here; there are 'from', 'input' and 'version'"
            )),
            None => Ok(Self { from, input, version }),
        }
    }
}

impl Type for Restart {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Restart")
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Restart".to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("Restart".to_owned(), |_| {
            let text = |description| MetaSchema {
                description: Some(description),
                ..MetaSchema::new("string")
            };
            let from = MetaSchema {
                pattern: Some("^/".to_owned()),
                max_length: Some(PATH),
                ..text(
                    "The task that the run begins with: the path of its execution, or its reference when it was executed once. Without \
                     it the run begins with the workflow.",
                )
            };
            let input = MetaSchema {
                description: Some("What that task gets instead of its input; without `from`, what the workflow gets."),
                ..MetaSchema::ANY
            };
            let version = MetaSchema {
                pattern: Some("^[0-9]{1,9}\\.[0-9]{1,9}\\.[0-9]{1,9}([+-][0-9A-Za-z.+-]{1,64})?$".to_owned()),
                ..text("The version that the run goes on with; that of the other run unless named.")
            };
            let properties = [("from", from), ("input", input), ("version", version)];
            MetaSchema {
                description: Some("Where a run that is made from another one begins, and with what."),
                properties: { properties.map(|(name, schema)| (name, MetaSchemaRef::Inline(Box::new(schema)))) }.into(),
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
