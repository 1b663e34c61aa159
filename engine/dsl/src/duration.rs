//! Spans of time as the language writes them: ISO 8601 (`PT1M30S`) or an object (`{ minutes: 1, seconds: 30 }`).
//!
//! Both give whole milliseconds; what is finer is cut off. Any component of an ISO duration may have a fraction, as in the language's
//! schema. A day has 24 hours. A year or a month has no fixed length: it is 12 months or one of the calendar, from a moment that
//! whoever executes knows ([`Period`]).

use serde_json::{Map, Value};

use crate::{Millis, Period, model::Duration};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The members of a duration object, with their lengths in milliseconds.
pub(crate) const MEMBERS: [(&str, u64); 5] = [
    ("days", DAY),
    ("hours", HOUR),
    ("minutes", MINUTE),
    ("seconds", SECOND),
    ("milliseconds", 1),
];

/// The components of an ISO duration before and after its `T`, in their order.
const DATE: [(char, u64); 4] = [('Y', 365 * DAY), ('M', 30 * DAY), ('W', 7 * DAY), ('D', DAY)];
const TIME: [(char, u64); 3] = [('H', HOUR), ('M', MINUTE), ('S', SECOND)];

/// What is wrong with a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not a duration: {why}")]
#[non_exhaustive]
pub struct DurationError {
    /// What was given.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl Duration {
    /// A duration from what an expression gave: an ISO 8601 text or a duration object.
    ///
    /// # Errors
    /// When it is neither, or when it does not fit.
    pub fn from_value(value: &Value) -> Result<Period, DurationError> {
        let error = |why: &str| DurationError {
            what: value.to_string(),
            why: why.to_owned(),
        };
        match value {
            Value::String(text) => period(text).map_err(&error),
            Value::Object(members) => object(members).map(fixed).map_err(|why| error(&why)),
            _ => Err(error(
                "text such as PT30S or an object such as {\"seconds\": 30} is expected",
            )),
        }
    }

    /// How long, when no expression says so.
    #[must_use]
    pub fn period(&self) -> Option<Period> {
        match self {
            Self::Fixed {
                written: Value::String(text),
                span,
            } => Some(period(text).unwrap_or(fixed(*span))),
            Self::Fixed { span, .. } => Some(fixed(*span)),
            Self::Expression(_) => None,
        }
    }

    /// About how long, when no expression says so: a year as 365 days, a month as 30.
    #[must_use]
    pub fn fixed(&self) -> Option<Millis> {
        match self {
            Self::Fixed { span, .. } => Some(*span),
            Self::Expression(_) => None,
        }
    }
}

fn fixed(rest: Millis) -> Period {
    Period { months: 0, rest }
}

/// An ISO duration with its months apart. A fraction of a year is months, a fraction of a month is a part of 30 days.
fn period(text: &str) -> Result<Period, &'static str> {
    const MONTH: u64 = 30 * DAY;
    const CALENDAR: [(char, u64); 2] = [('Y', 12 * MONTH), ('M', MONTH)];
    let whole = iso(text)?;
    if !is_calendar(text) {
        return Ok(fixed(whole));
    }
    let date = text.trim_start_matches('P');
    let end = date
        .split('T')
        .next()
        .and_then(|date| date.rfind(['Y', 'M']))
        .map_or(0, |end| end + 1);
    let (calendar, rest) = date.split_at(end);
    let calendar = components(calendar, &CALENDAR).ok_or("it is too long")?;
    let months = u32::try_from(calendar / u128::from(MONTH)).map_err(|_| "it is too long")?;
    let part = u64::try_from(calendar % u128::from(MONTH)).unwrap_or(0);
    let rest = if rest.is_empty() {
        Millis(0)
    } else {
        iso(&format!("P{rest}"))?
    };
    let rest = rest.0.checked_add(part).map(Millis).ok_or("it is too long")?;
    Ok(Period { months, rest })
}

/// Whether an ISO duration has years or months.
fn is_calendar(text: &str) -> bool {
    let date = text.split('T').next().unwrap_or_default();
    date.starts_with('P') && date.contains(['Y', 'M'])
}

/// `^P(?!$)(\d+(?:\.\d+)?Y)?(…M)?(…W)?(…D)?(T(?=\d)(…H)?(…M)?(…S)?)?$`
pub(crate) fn iso(text: &str) -> Result<Millis, &'static str> {
    const SHAPE: &str = "an ISO 8601 duration such as PT30S, PT1H30M or P2D is expected";
    let rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(SHAPE)?;
    let (date, time) = rest
        .split_once('T')
        .map_or((rest, None), |(date, time)| (date, Some(time)));
    if time == Some("") {
        return Err("hours, minutes or seconds are expected after 'T'");
    }
    let date = components(date, &DATE).ok_or(SHAPE)?;
    let time = components(time.unwrap_or_default(), &TIME).ok_or(SHAPE)?;
    date.checked_add(time)
        .and_then(|total| u64::try_from(total).ok())
        .map(Millis)
        .ok_or("it is too long")
}

/// The sum of numbers with units that come in a given order; `None` when they do not. In milliseconds, saturated.
fn components(mut text: &str, units: &[(char, u64)]) -> Option<u128> {
    let mut units = units.iter();
    let mut total = 0_u128;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = text[end..].chars().next()?;
        let length = units.by_ref().find(|(name, _)| *name == unit)?.1;
        total = total.saturating_add(decimal(&text[..end], length)?);
        text = &text[end + unit.len_utf8()..];
    }
    Some(total)
}

/// `\d+(\.\d+)?` times a length, in whole milliseconds, saturated.
fn decimal(text: &str, length: u64) -> Option<u128> {
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return None;
    }
    let length = u128::from(length);
    let whole = whole
        .parse::<u64>()
        .map_or(u128::MAX, |whole| u128::from(whole) * length);
    // Digits past the fifteenth are far below a millisecond, even of a year.
    let fraction: String = fraction.unwrap_or_default().chars().take(15).collect();
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let part = fraction.parse::<u128>().unwrap_or(0) * length / scale;
    Some(whole.saturating_add(part))
}

/// The length of a duration object.
pub(crate) fn object(members: &Map<String, Value>) -> Result<Millis, String> {
    if members.is_empty() {
        return Err("it needs at least one of days, hours, minutes, seconds, milliseconds".to_owned());
    }
    let mut total = 0_u64;
    for (name, value) in members {
        let Some((_, length)) = MEMBERS.iter().find(|(member, _)| member == name) else {
            return Err(format!(
                "'{name}' is not one of days, hours, minutes, seconds, milliseconds"
            ));
        };
        let Some(count) = value.as_u64() else {
            return Err(format!("'{name}' must be an integer that is not negative"));
        };
        total = count
            .checked_mul(*length)
            .and_then(|part| total.checked_add(part))
            .ok_or("it is too long")?;
    }
    Ok(Millis(total))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn iso_durations() {
        for (text, millis) in [
            ("PT30S", 30_000),
            ("PT1H30M", 5_400_000),
            ("P1D", DAY),
            ("P1W2DT3H", 9 * DAY + 3 * HOUR),
            ("PT0.5S", 500),
            ("PT0.0019S", 1),
            ("P1.5D", 36 * HOUR),
            ("PT0S", 0),
            ("PT1.123456789012345678901234567890S", 1123),
            ("P1Y", 365 * DAY),
            ("P1M", 30 * DAY),
            ("P1MT1M", 30 * DAY + MINUTE),
        ] {
            assert_eq!(iso(text), Ok(Millis(millis)), "{text}");
        }
        for text in [
            "", "P", "PT", "P1", "PT1", "30S", "P1DT", "PT1S1M", "P1D1D", "P-1D", "PT.5S", "PT1.S", "PT1,5S", "P1H",
            "PT1D", " PT1S", "PTS", "pt1s", "PT1S ",
        ] {
            assert!(iso(text).is_err(), "{text}");
        }
        assert_eq!(iso("P99999999999999999999Y"), Err("it is too long"));
        assert_eq!(iso("P18446744073709551615Y"), Err("it is too long"));
    }

    #[test]
    fn values() {
        assert_eq!(
            Duration::from_value(&json!({ "minutes": 1, "seconds": 30 })),
            Ok(fixed(Millis(90_000)))
        );
        assert_eq!(Duration::from_value(&json!("PT1S")), Ok(fixed(Millis(1000))));
        for (text, months, rest) in [
            ("P1M", 1, 0),
            ("P1Y2M", 14, 0),
            ("P1.5Y", 18, 0),
            ("P0.5M", 0, 15 * DAY),
            ("P1MT1M", 1, MINUTE),
            ("P1Y1W1DT1H", 12, 8 * DAY + HOUR),
        ] {
            let rest = Millis(rest);
            assert_eq!(
                Duration::from_value(&json!(text)),
                Ok(Period { months, rest }),
                "{text}"
            );
        }
        let january = crate::Timestamp::parse("2027-01-31T08:00:00Z").unwrap();
        let after = |text: &str| {
            january
                .after_period(Duration::from_value(&json!(text)).unwrap())
                .rfc3339()
        };
        assert_eq!(after("P1M"), "2027-02-28T08:00:00.000Z");
        assert_eq!(after("P1Y1MT1H"), "2028-02-29T09:00:00.000Z");
        assert_eq!(
            january
                .after_period(Period {
                    months: u32::MAX,
                    rest: Millis(0)
                })
                .0,
            i64::MAX
        );
        for bad in [
            json!({}),
            json!({ "weeks": 1 }),
            json!({ "seconds": -1 }),
            json!({ "seconds": 1.5 }),
            json!({ "days": u64::MAX }),
            json!(5),
        ] {
            assert!(Duration::from_value(&bad).is_err(), "{bad}");
        }
    }
}
