//! What a tag makes of a value. Only the tags of the core schema mean something.

use granit_parser::{ScalarStyle, Tag};

use super::{
    Data,
    scalar::{self, Unfit, clip},
};
use crate::{diagnostic::Diagnostic, model::Location};

/// The value of a scalar, as its tag, its quotes or else the core schema say.
pub(super) fn typed_scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Location,
) -> Result<Result<Data, Unfit>, Diagnostic> {
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain {
            scalar::resolve(text)
        } else {
            Ok(Data::Text(text.to_owned()))
        });
    };
    let wrong = |what: &str| Diagnostic::new(at, format!("'{}' is not {what}, as its tag says", clip(text)));
    let is_number = |text: &str| matches!(scalar::number(text), Some(Some(_)));
    match tag.core_suffix() {
        Some("str") => Ok(Ok(Data::Text(text.to_owned()))),
        Some("null") if matches!(scalar::word(text), Some(Data::Null)) => Ok(Ok(Data::Null)),
        Some("null") => Err(wrong("null")),
        Some("bool") if matches!(scalar::word(text), Some(Data::Bool(_))) => Ok(scalar::resolve(text)),
        Some("bool") => Err(wrong("a boolean")),
        Some("int") if is_number(text) && !text.contains(['.', 'e', 'E']) => Ok(scalar::resolve(text)),
        Some("int") => Err(wrong("an integer")),
        Some("float") if is_number(text) => {
            let float = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            Ok(float.map_or_else(|| scalar::resolve(text), |number| Ok(Data::Number(number))))
        }
        Some("float") => Err(wrong("a number")),
        // The non-specific tag `!` makes any scalar text.
        None if tag.handle().is_empty() && tag.suffix() == "!" || tag.handle() == "!" && tag.suffix().is_empty() => {
            Ok(Ok(Data::Text(text.to_owned())))
        }
        _ => Err(unknown_tag(tag, at)),
    }
}

pub(super) fn check_tag(tag: Option<&Tag>, expected: &str, at: Location) -> Result<(), Diagnostic> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.core_suffix() == Some(expected) => Ok(()),
        Some(tag) => Err(unknown_tag(tag, at)),
    }
}

fn unknown_tag(tag: &Tag, at: Location) -> Diagnostic {
    Diagnostic::new(at, format!("the tag '{}' means nothing here", clip(&tag.original())))
        .with_help("only the tags of YAML's core schema (!!str, !!int, …) are known; remove it")
}
