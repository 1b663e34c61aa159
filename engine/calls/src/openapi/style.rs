//! How parameters are written (OpenAPI 3.1, "Style Values" and "Style Examples"; RFC 6570).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Parameter;

/// Everything but unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same without the reserved characters that mean nothing in a query.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';');

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Spot {
    Path,
    Query,
    Header,
    Cookie,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "in the path",
            Self::Query => "in the query",
            Self::Header => "a header",
            Self::Cookie => "a cookie",
        })
    }
}

/// How it is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

impl Style {
    /// The style of that name; `None` for one that a place cannot have.
    pub(super) fn of(name: &str, spot: Spot) -> Option<Self> {
        Some(match (name, spot) {
            ("simple", Spot::Path | Spot::Header) => Self::Simple,
            ("label", Spot::Path) => Self::Label,
            ("matrix", Spot::Path) => Self::Matrix,
            ("form", Spot::Query | Spot::Cookie) => Self::Form,
            ("spaceDelimited", Spot::Query) => Self::SpaceDelimited,
            ("pipeDelimited", Spot::Query) => Self::PipeDelimited,
            ("deepObject", Spot::Query) => Self::DeepObject,
            _ => return None,
        })
    }
}

/// A value by its kind, with all its parts encoded.
enum Parts {
    One(String),
    List(Vec<String>),
    Members(Vec<(String, String)>),
}

/// Writes a value; `None` for an empty list or object, which is nothing. The error says what is wrong with it.
pub(super) fn write(parameter: &Parameter, value: &Value) -> Result<Option<String>, &'static str> {
    let encode = |text: &str| match (parameter.spot, parameter.reserved) {
        (Spot::Header, _) => text.to_owned(),
        (_, false) => utf8_percent_encode(text, VALUE).to_string(),
        (_, true) => utf8_percent_encode(text, RESERVED).to_string(),
    };
    let parts = match value {
        Value::Array(items) => Parts::List(
            items
                .iter()
                .map(|item| scalar(item).map(|text| encode(&text)))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(members) => Parts::Members(
            members
                .iter()
                .map(|(name, value)| scalar(value).map(|value| (encode(name), encode(&value))))
                .collect::<Result<_, _>>()?,
        ),
        value => Parts::One(encode(&scalar(value)?)),
    };
    let empty = match &parts {
        Parts::One(_) => false,
        Parts::List(items) => items.is_empty(),
        Parts::Members(members) => members.is_empty(),
    };
    if empty {
        return if parameter.required {
            Err("is needed, and is empty")
        } else {
            Ok(None)
        };
    }
    let name = match parameter.spot {
        Spot::Header => parameter.name.clone(),
        _ => utf8_percent_encode(&parameter.name, VALUE).to_string(),
    };
    let explode = parameter.explode;
    Ok(Some(match parameter.style {
        Style::Simple => joined(&parts, explode, ","),
        Style::Label => format!(".{}", joined(&parts, explode, if explode { "." } else { "," })),
        Style::Matrix => format!(";{}", named(&name, &parts, explode, ";", ",")),
        Style::Form => named(&name, &parts, explode, "&", ","),
        Style::SpaceDelimited => named(&name, &parts, explode, "&", "%20"),
        Style::PipeDelimited => named(&name, &parts, explode, "&", "%7C"),
        Style::DeepObject => match parts {
            Parts::Members(members) => {
                let members = members
                    .iter()
                    .map(|(member, value)| format!("{name}%5B{member}%5D={value}"));
                members.collect::<Vec<_>>().join("&")
            }
            Parts::One(_) | Parts::List(_) => return Err("is written as a deep object, and is none"),
        },
    }))
}

/// Values without the parameter's name.
fn joined(parts: &Parts, explode: bool, separator: &str) -> String {
    match parts {
        Parts::One(text) => text.clone(),
        Parts::List(items) => items.join(separator),
        Parts::Members(members) => {
            let equals = if explode { "=" } else { separator };
            let members = members.iter().map(|(name, value)| format!("{name}{equals}{value}"));
            members.collect::<Vec<_>>().join(separator)
        }
    }
}

/// Values under the parameter's name; exploded, each has its own.
fn named(name: &str, parts: &Parts, explode: bool, between: &str, within: &str) -> String {
    match parts {
        Parts::List(items) if explode => {
            let items = items.iter().map(|item| format!("{name}={item}"));
            items.collect::<Vec<_>>().join(between)
        }
        Parts::Members(_) if explode => joined(parts, true, between),
        parts => format!("{name}={}", joined(parts, false, within)),
    }
}

fn scalar(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err("holds lists or objects inside others, which have no form there"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn written(spot: Spot, style: &str, explode: bool, value: &Value) -> Option<String> {
        let parameter = Parameter {
            name: "color".to_owned(),
            spot,
            style: Style::of(style, spot).unwrap(),
            explode,
            required: false,
            reserved: false,
            json: false,
        };
        write(&parameter, value).unwrap()
    }

    /// The table "Style Examples" of OpenAPI 3.1.
    #[test]
    fn the_examples_of_the_standard() {
        let one = json!("blue");
        let list = json!(["blue", "black", "brown"]);
        let object = json!({ "R": 100, "G": 200, "B": 150 });
        for (spot, style, explode, a, b, c) in [
            (
                Spot::Path,
                "matrix",
                false,
                ";color=blue",
                ";color=blue,black,brown",
                ";color=R,100,G,200,B,150",
            ),
            (
                Spot::Path,
                "matrix",
                true,
                ";color=blue",
                ";color=blue;color=black;color=brown",
                ";R=100;G=200;B=150",
            ),
            (
                Spot::Path,
                "label",
                false,
                ".blue",
                ".blue,black,brown",
                ".R,100,G,200,B,150",
            ),
            (
                Spot::Path,
                "label",
                true,
                ".blue",
                ".blue.black.brown",
                ".R=100.G=200.B=150",
            ),
            (
                Spot::Query,
                "form",
                false,
                "color=blue",
                "color=blue,black,brown",
                "color=R,100,G,200,B,150",
            ),
            (
                Spot::Query,
                "form",
                true,
                "color=blue",
                "color=blue&color=black&color=brown",
                "R=100&G=200&B=150",
            ),
            (
                Spot::Header,
                "simple",
                false,
                "blue",
                "blue,black,brown",
                "R,100,G,200,B,150",
            ),
            (
                Spot::Header,
                "simple",
                true,
                "blue",
                "blue,black,brown",
                "R=100,G=200,B=150",
            ),
            (
                Spot::Query,
                "spaceDelimited",
                false,
                "color=blue",
                "color=blue%20black%20brown",
                "color=R%20100%20G%20200%20B%20150",
            ),
            (
                Spot::Query,
                "pipeDelimited",
                false,
                "color=blue",
                "color=blue%7Cblack%7Cbrown",
                "color=R%7C100%7CG%7C200%7CB%7C150",
            ),
        ] {
            for (value, expected) in [(&one, a), (&list, b), (&object, c)] {
                assert_eq!(
                    written(spot, style, explode, value).as_deref(),
                    Some(expected),
                    "{style} {explode}"
                );
            }
        }
        let deep = written(Spot::Query, "deepObject", true, &object).unwrap();
        assert_eq!(deep, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150");
        assert_eq!(
            written(Spot::Query, "form", true, &json!("")).as_deref(),
            Some("color=")
        );
        assert_eq!(written(Spot::Query, "form", true, &json!([])), None);
    }

    #[test]
    fn what_means_something_is_encoded() {
        let value = json!("a/b c&d=ы,");
        assert_eq!(
            written(Spot::Path, "simple", false, &value).unwrap(),
            "a%2Fb%20c%26d%3D%D1%8B%2C"
        );
        assert_eq!(written(Spot::Header, "simple", false, &value).unwrap(), "a/b c&d=ы,");
    }
}
