//! What a plain scalar means: the core schema of YAML 1.2 (section 10.3.2), and nothing of YAML 1.1: `yes`, `on` and `1:30` are text.

use serde_json::Number;

use super::Data;

/// A scalar that the core schema knows but JSON cannot hold, with what to do about it.
pub(super) struct Unfit {
    pub message: String,
    pub help: &'static str,
}

/// The meaning of a plain scalar.
pub(super) fn resolve(text: &str) -> Result<Data, Unfit> {
    if let Some(data) = word(text) {
        return Ok(data);
    }
    if is_special_float(text) {
        return Err(Unfit {
            message: format!("the number {text} cannot be used: JSON has neither infinities nor NaN"),
            help: "put it in quotes if it is meant as text",
        });
    }
    match number(text) {
        Some(Some(number)) => Ok(Data::Number(number)),
        Some(None) => Err(Unfit {
            message: format!("the number {} does not fit 64 bits", clip(text)),
            help: "put it in quotes to keep it as text",
        }),
        None => Ok(Data::Text(text.to_owned())),
    }
}

/// Null and the booleans.
pub(super) fn word(text: &str) -> Option<Data> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Data::Null),
        "true" | "True" | "TRUE" => Some(Data::Bool(true)),
        "false" | "False" | "FALSE" => Some(Data::Bool(false)),
        _ => None,
    }
}

fn is_special_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// `None`: not a number. `Some(None)`: a number that does not fit.
pub(super) fn number(text: &str) -> Option<Option<Number>> {
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Some(integer(text));
    }
    is_float(unsigned).then(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

fn integer(text: &str) -> Option<Number> {
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse::<i64>()
        .map(Number::from)
        .or_else(|_| text.parse::<u64>().map(Number::from))
        .ok()
}

fn radix(digits: &str, radix: u32) -> Option<Option<Number>> {
    let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    fits.then(|| u64::from_str_radix(digits, radix).ok().map(Number::from))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, the sign already taken off.
fn is_float(unsigned: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(unsigned);
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if whole + count == 0 {
            return false;
        }
        rest = &fraction[count..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

/// The beginning of a text that may be long.
pub(crate) fn clip(text: &str) -> String {
    if text.chars().nth(40).is_none() {
        return text.to_owned();
    }
    text.chars().take(40).chain(['…']).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> serde_json::Value {
        match resolve(text) {
            Ok(data) => super::super::Node {
                at: Default::default(),
                data,
            }
            .to_value(),
            Err(unfit) => panic!("{}", unfit.message),
        }
    }

    #[test]
    fn the_core_schema() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("12", json!(12)),
            ("+12", json!(12)),
            ("-0", json!(0)),
            ("010", json!(10)),
            ("0o17", json!(15)),
            ("0xfF", json!(255)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-1.5e-3", json!(-0.0015)),
            ("1e3", json!(1000.0)),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_text() {
        for text in [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "tRue",
            "1_000",
            "1:30",
            "0b1",
            "0o8",
            "0x",
            ".",
            "e3",
            "1e",
            "+",
            "-",
            "1.2.3",
            "2024-01-01",
            "=",
            "<<",
            "+.e1",
            "0x-1",
        ] {
            assert!(matches!(resolve(text), Ok(Data::Text(_))), "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        for text in [
            ".inf",
            "-.INF",
            "+.Inf",
            ".nan",
            "18446744073709551616",
            "-9223372036854775809",
            "1e999",
            "0xfffffffffffffffff",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
