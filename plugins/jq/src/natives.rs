//! jaq's functions on JSON values, for [`Val`], and which of jaq's other functions exist here.

use jaq_core::native::{Filter, Fun, bome, unary, v};
use jaq_core::{Error, Exn, Native, RunPtr, ValR, ValT as _};
use jaq_json::{Num, Val as Json};
use jaq_std::ValT as _;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZoneDatabase};

use super::engine::{Data, MAX_DEPTH, too_deep};
use super::value::{Val, admit};

/// Functions of jaq that reach out of the expression: `strptime`, which is done differently here, looks for a database of time
/// zones in the environment.
const REFUSED: &[&str] = &[
    "halt",
    "env",
    "now",
    "localtime",
    "strflocaltime",
    "debug_empty",
    "stderr_empty",
    "strptime",
];

/// Every function that is not defined in jq itself.
pub fn functions() -> impl Iterator<Item = Fun<Data>> {
    let jaq = jaq_core::funs::<Data>()
        .chain(jaq_std::funs::<Data>())
        .filter(|(name, ..)| !REFUSED.contains(name));
    jaq.chain(json())
}

/// Whether a definition of jaq's exists here.
pub fn defined(name: &str) -> bool {
    !matches!(name, "stderr" | "debug" | "halt" | "halt_error")
}

fn json() -> impl Iterator<Item = Fun<Data>> {
    let functions: [Filter<RunPtr<Data>>; 8] = [
        ("fromjson", v(0), |cv| {
            let values = from_json(&cv.1);
            Box::new(values.into_iter().map(|value| value.map_err(Exn::from)))
        }),
        ("tojson", v(0), |cv| bome(Ok(Val::text(cv.1.to_string())))),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("contains", v(1), |cv| {
            unary(cv, |value, other| Ok(Val::from(contains(&value.0, &other.0))))
        }),
        ("has", v(1), |cv| unary(cv, has)),
        ("indices", v(1), |cv| unary(cv, |value, other| indices(value, &other))),
        ("strptime", v(1), |cv| {
            unary(cv, |value, format| broken_down(&value, &format))
        }),
        ("bsearch", v(1), |cv| {
            unary(cv, |value, wanted| match &value.0 {
                Json::Arr(items) => Ok(match items.binary_search(&wanted.0) {
                    Ok(index) => Val::from(index),
                    Err(index) => Val::from(-1 - index as isize),
                }),
                _ => Err(Error::typ(value, "array")),
            })
        }),
    ];
    functions
        .into_iter()
        .map(|(name, arguments, function)| (name, arguments, Native::<Data>::new(function)))
}

fn from_json(value: &Val) -> Vec<ValR<Val>> {
    let text = match value.try_as_utf8_bytes() {
        Ok(text) if too_deep(text) => {
            return vec![Err(Error::str(format_args!("JSON is nested deeper than {MAX_DEPTH}")))];
        }
        Ok(text) => text,
        Err(error) => return vec![Err(error)],
    };
    let mut values = Vec::new();
    for parsed in jaq_json::read::parse_many(text) {
        let value = match parsed {
            Ok(value) => {
                admit(value, MAX_DEPTH).ok_or_else(|| Error::str(format_args!("nested deeper than {MAX_DEPTH}")))
            }
            Err(error) => Err(Error::str(format_args!("cannot parse {value} as JSON: {error}"))),
        };
        let wrong = value.is_err();
        values.push(value);
        // The parser stays at what it cannot read, for ever.
        if wrong {
            break;
        }
    }
    values
}

/// A time, read by a format, as jq's array of its parts. A time without a zone is in UTC.
fn broken_down(value: &Val, format: &Val) -> ValR<Val> {
    let text = |value: &Val| Ok(String::from_utf8_lossy(value.try_as_utf8_bytes()?).into_owned());
    let mut time = BrokenDownTime::parse(text(format)?, text(value)?).map_err(Error::str)?;
    if time.offset().is_none() && time.iana_time_zone().is_none() {
        time.set_offset(Some(Offset::UTC));
    }
    let time = time
        .to_zoned_with(&TimeZoneDatabase::bundled())
        .map_err(Error::str)?
        .datetime();
    let (second, nanosecond) = (time.second(), time.subsec_nanosecond());
    let second = if nanosecond > 0 {
        Val::from(f64::from(second) + f64::from(nanosecond) / 1e9)
    } else {
        Val::integer(second)
    };
    let day_of_week = Val::integer(time.weekday().to_sunday_zero_offset());
    let day_of_year = Val::integer(time.day_of_year() - 1);
    let date = [
        Val::integer(time.year()),
        Val::integer(time.month() - 1),
        Val::integer(time.day()),
    ];
    let clock = [
        Val::integer(time.hour()),
        Val::integer(time.minute()),
        second,
        day_of_week,
        day_of_year,
    ];
    Ok(date.into_iter().chain(clock).collect())
}

fn length(value: Val) -> ValR<Val> {
    Ok(match &value.0 {
        Json::Null => Val::from(0_usize),
        Json::Num(Num::Int(integer)) => Val::integer((*integer as i128).abs()),
        Json::Num(Num::Float(float)) => Val::from(float.abs()),
        Json::Num(_) => return if value < Val::from(0_usize) { -value } else { Ok(value) },
        Json::TStr(bytes) => Val::from(String::from_utf8_lossy(bytes).chars().count()),
        Json::BStr(bytes) => Val::from(bytes.len()),
        Json::Arr(items) => Val::from(items.len()),
        Json::Obj(map) => Val::from(map.len()),
        Json::Bool(_) => return Err(Error::str(format_args!("{value} has no length"))),
    })
}

/// Equal, or a part of it: of a text, of an array's elements, of an object's entries.
fn contains(value: &Json, other: &Json) -> bool {
    match (value, other) {
        (Json::TStr(_), Json::TStr(_)) | (Json::BStr(_), Json::BStr(_)) => {
            let (text, part) = (
                value.as_bytes().unwrap_or_default(),
                other.as_bytes().unwrap_or_default(),
            );
            find(text, part).is_some()
        }
        (Json::Arr(items), Json::Arr(others)) => others
            .iter()
            .all(|other| items.iter().any(|item| contains(item, other))),
        (Json::Obj(map), Json::Obj(others)) => others
            .iter()
            .all(|(key, other)| map.get(key).is_some_and(|item| contains(item, other))),
        _ => value == other,
    }
}

fn has(value: Val, key: Val) -> ValR<Val> {
    match (&value.0, &key.0) {
        (Json::Null, _) => Ok(Val::from(false)),
        (Json::Obj(map), key) => Ok(Val::from(map.contains_key(key))),
        (Json::Arr(items), Json::Num(_)) if key.is_int() => {
            let length = items.len();
            let index = key.as_isize();
            Ok(Val::from(index.is_some_and(|index| {
                if index < 0 {
                    index.unsigned_abs() <= length
                } else {
                    index.unsigned_abs() < length
                }
            })))
        }
        _ => value.index(&key).map(|_| Val::from(true)),
    }
}

/// Where the other value begins: a text in a text, an array in an array, a value among the elements.
fn indices(value: Val, other: &Val) -> ValR<Val> {
    let positions: Vec<usize> = match (&value.0, &other.0) {
        (Json::TStr(_) | Json::BStr(_) | Json::Arr(_), wanted) if is_empty(wanted) => Vec::new(),
        (Json::TStr(text), Json::TStr(part)) => {
            let text = String::from_utf8_lossy(text);
            let starts = text.char_indices().enumerate();
            starts
                .filter(|(_, (at, _))| text.as_bytes()[*at..].starts_with(part))
                .map(|(index, _)| index)
                .collect()
        }
        (Json::BStr(bytes), Json::BStr(part)) => windows(bytes, part),
        (Json::Arr(items), Json::Arr(part)) => windows(items, part),
        (Json::Arr(items), wanted) => items
            .iter()
            .enumerate()
            .filter(|(_, item)| *item == wanted)
            .map(|(index, _)| index)
            .collect(),
        _ => return Err(Error::index(value, other.clone())),
    };
    Ok(positions.into_iter().map(Val::from).collect())
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::TStr(bytes) | Json::BStr(bytes) => bytes.is_empty(),
        Json::Arr(items) => items.is_empty(),
        _ => false,
    }
}

fn windows<T: PartialEq>(all: &[T], part: &[T]) -> Vec<usize> {
    all.windows(part.len())
        .enumerate()
        .filter(|(_, window)| *window == part)
        .map(|(index, _)| index)
        .collect()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    match (std::str::from_utf8(text), std::str::from_utf8(part)) {
        (Ok(text), Ok(part)) => text.find(part),
        _ => text.windows(part.len()).position(|window| window == part),
    }
}
