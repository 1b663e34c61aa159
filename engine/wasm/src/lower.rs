//! JSON to WIT values: arguments on their way into a component, and answers of providers.
//!
//! Strict, because a mistyped key that is passed over is a setting that is not made: an unknown key, a missing one, a
//! number out of range are errors, with the JSON pointer of the place.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Number, Value};
use wasmtime::component::Val;

use crate::{
    error::did_you_mean,
    names::nearest,
    shape::{Case, Named, Shape, Signature},
};

/// Base64 with the standard alphabet; padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The largest integer that a JSON float can name without doubt.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}{}{what}", if pointer.is_empty() { "" } else { ": " })]
pub(crate) struct Misfit {
    /// Where, as a JSON pointer.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) what: String,
}

impl Misfit {
    fn new(what: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            what: what.into(),
        }
    }

    fn within(mut self, step: &str) -> Self {
        let step = step.replace('~', "~0").replace('/', "~1");
        self.pointer.insert_str(0, &format!("/{step}"));
        self
    }
}

/// The arguments of a function: one record parameter takes the object itself, several named ones an object of them.
pub(crate) fn args(signature: &Signature, args: Value) -> Result<Vec<Val>, Misfit> {
    let args = match args {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        other => {
            return Err(Misfit::new(format!(
                "expected an object of arguments, got {}",
                kind(&other)
            )));
        }
    };
    match signature.record() {
        Some(fields) => Ok(vec![Val::Record(members(fields, args)?)]),
        None => Ok(members(&signature.params, args)?
            .into_iter()
            .map(|(_, value)| value)
            .collect()),
    }
}

/// A value of a type.
pub(crate) fn value(shape: &Shape, json: Value) -> Result<Val, Misfit> {
    Ok(match (shape, json) {
        (Shape::Bool, Value::Bool(b)) => Val::Bool(b),
        (Shape::S8, Value::Number(n)) => Val::S8(integer(&n)?),
        (Shape::U8, Value::Number(n)) => Val::U8(integer(&n)?),
        (Shape::S16, Value::Number(n)) => Val::S16(integer(&n)?),
        (Shape::U16, Value::Number(n)) => Val::U16(integer(&n)?),
        (Shape::S32, Value::Number(n)) => Val::S32(integer(&n)?),
        (Shape::U32, Value::Number(n)) => Val::U32(integer(&n)?),
        (Shape::S64, Value::Number(n)) => Val::S64(integer(&n)?),
        (Shape::U64, Value::Number(n)) => Val::U64(integer(&n)?),
        (Shape::F32, Value::Number(n)) => Val::Float32(single(&n)?),
        (Shape::F64, Value::Number(n)) => Val::Float64(double(&n)?),
        (Shape::Char, Value::String(s)) => Val::Char(character(&s)?),
        (Shape::String, Value::String(s)) => Val::String(s),
        (Shape::Bytes, Value::String(s)) => Val::List(bytes(&s)?),
        (Shape::List(item), Value::Array(values)) => Val::List(items(item, values)?),
        (Shape::Array(item, length), Value::Array(values)) => {
            expect_length(*length, values.len())?;
            Val::FixedLengthList(items(item, values)?)
        }
        (Shape::Record(fields), Value::Object(map)) => Val::Record(members(fields, map)?),
        (Shape::Tuple(shapes), Value::Array(values)) => {
            expect_length(shapes.len(), values.len())?;
            let pairs = shapes.iter().zip(values).enumerate();
            Val::Tuple(
                pairs
                    .map(|(i, (shape, v))| at(&i.to_string(), shape, v))
                    .collect::<Result<_, _>>()?,
            )
        }
        (Shape::Variant(cases), json) => variant(cases, json)?,
        (Shape::Enum(names), Value::String(s)) => Val::Enum(one_of(names, s)?),
        (Shape::Flags(names), Value::Array(values)) => Val::Flags(flags(names, values)?),
        (Shape::Option(_), Value::Null) => Val::Option(None),
        (Shape::Option(inner), json) => Val::Option(Some(Box::new(some(inner, json)?))),
        (Shape::Result(ok, err), json) => result(ok.as_deref(), err.as_deref(), json)?,
        (shape, json) => {
            return Err(Misfit::new(format!(
                "expected {}, got {}",
                expected(shape),
                kind(&json)
            )));
        }
    })
}

fn at(step: &str, shape: &Shape, json: Value) -> Result<Val, Misfit> {
    value(shape, json).map_err(|misfit| misfit.within(step))
}

/// An option whose inside can be null itself is written as an array of one.
fn some(inner: &Shape, json: Value) -> Result<Val, Misfit> {
    if !inner.is_nullable() {
        return value(inner, json);
    }
    match json {
        Value::Array(mut values) if values.len() == 1 => at("0", inner, values.pop().unwrap_or_default()),
        other => Err(Misfit::new(format!(
            "expected null or an array of one value (an option of an option), got {}",
            kind(&other)
        ))),
    }
}

fn items(shape: &Shape, values: Vec<Value>) -> Result<Vec<Val>, Misfit> {
    values
        .into_iter()
        .enumerate()
        .map(|(index, json)| value(shape, json).map_err(|misfit| misfit.within(&index.to_string())))
        .collect()
}

/// The members of an object, in the order of the fields. Keys in snake_case, or as WIT writes them.
fn members(fields: &[Named], mut map: Map<String, Value>) -> Result<Vec<(String, Val)>, Misfit> {
    let mut values = Vec::with_capacity(fields.len());
    let mut taken = 0;
    for field in fields {
        let mut json = map.get_mut(&field.json);
        if json.is_none() && field.json != field.wit {
            json = map.get_mut(&field.wit);
        }
        let value = match json {
            Some(json) => {
                taken += 1;
                at(&field.json, &field.shape, json.take())?
            }
            None if matches!(field.shape, Shape::Option(_)) => Val::Option(None),
            None => return Err(unknown_key(fields, &map).unwrap_or_else(|| missing(field))),
        };
        values.push((field.wit.clone(), value));
    }
    if taken == map.len() {
        return Ok(values);
    }
    Err(unknown_key(fields, &map).unwrap_or_else(|| written_twice(fields, &map)))
}

/// The first key that no field has. Where it is near to a field's, the missing field is most likely meant by it.
fn unknown_key(fields: &[Named], map: &Map<String, Value>) -> Option<Misfit> {
    let key = map
        .keys()
        .find(|key| !fields.iter().any(|f| f.json == **key || f.wit == **key))?;
    let help = match nearest(key, fields.iter().map(|f| f.json.as_str())) {
        Some(near) => did_you_mean(Some(&near)),
        None if fields.is_empty() => "; none are known".to_owned(),
        None => format!(
            "; known: {}",
            fields
                .iter()
                .map(|f| f.json.as_str())
                .take(20)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    Some(Misfit::new(format!("unknown key '{key}'{help}")))
}

fn missing(field: &Named) -> Misfit {
    Misfit::new(format!("'{}' is missing ({})", field.json, expected(&field.shape)))
}

fn written_twice(fields: &[Named], map: &Map<String, Value>) -> Misfit {
    let twice = fields
        .iter()
        .find(|f| f.json != f.wit && map.contains_key(&f.json) && map.contains_key(&f.wit));
    let name = twice.map_or("a key", |f| f.json.as_str());
    Misfit::new(format!("'{name}' is given twice, with '-' and with '_'"))
}

fn variant(cases: &[Case], json: Value) -> Result<Val, Misfit> {
    let (name, payload) = tagged(json, || {
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).take(20).collect();
        format!(
            "one of the cases {}, as a string or as an object with one key",
            names.join(", ")
        )
    })?;
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        return Err(unknown_case(&name, cases.iter().map(|case| case.name.as_str())));
    };
    let payload = payload_of(&name, case.payload.as_ref(), payload)?;
    Ok(Val::Variant(name, payload))
}

fn result(ok: Option<&Shape>, err: Option<&Shape>, json: Value) -> Result<Val, Misfit> {
    let (name, payload) = tagged(json, || {
        "\"ok\" or \"err\", as a string or as an object with one key".to_owned()
    })?;
    match name.as_str() {
        "ok" => Ok(Val::Result(Ok(payload_of("ok", ok, payload)?))),
        "err" => Ok(Val::Result(Err(payload_of("err", err, payload)?))),
        _ => Err(unknown_case(&name, ["ok", "err"].into_iter())),
    }
}

/// `"case"` or `{"case": payload}`.
fn tagged(json: Value, expected: impl FnOnce() -> String) -> Result<(String, Option<Value>), Misfit> {
    match json {
        Value::String(name) => Ok((name, None)),
        Value::Object(map) if map.len() == 1 => match map.into_iter().next() {
            Some((name, payload)) => Ok((name, Some(payload))),
            None => Err(Misfit::new(format!("expected {}", expected()))),
        },
        other => Err(Misfit::new(format!("expected {}, got {}", expected(), kind(&other)))),
    }
}

fn payload_of(case: &str, shape: Option<&Shape>, payload: Option<Value>) -> Result<Option<Box<Val>>, Misfit> {
    match (shape, payload) {
        (None, None | Some(Value::Null)) => Ok(None),
        (None, Some(_)) => Err(Misfit::new(format!(
            "the case '{case}' has no payload; write it as a string"
        ))),
        (Some(shape), Some(json)) => at(case, shape, json).map(|value| Some(Box::new(value))),
        (Some(Shape::Option(_)), None) => Ok(Some(Box::new(Val::Option(None)))),
        (Some(shape), None) => Err(Misfit::new(format!(
            "the case '{case}' has a payload: write {{\"{case}\": {}}}",
            expected(shape)
        ))),
    }
}

fn one_of(names: &[String], name: String) -> Result<String, Misfit> {
    if names.contains(&name) {
        return Ok(name);
    }
    Err(unknown_case(&name, names.iter().map(String::as_str)))
}

fn flags(names: &[String], values: Vec<Value>) -> Result<Vec<String>, Misfit> {
    let mut set = Vec::with_capacity(values.len().min(names.len()));
    for (index, json) in values.into_iter().enumerate() {
        let step = index.to_string();
        let Value::String(name) = json else {
            return Err(Misfit::new(format!("expected a string, got {}", kind(&json))).within(&step));
        };
        let name = one_of(names, name).map_err(|misfit| misfit.within(&step))?;
        if !set.contains(&name) {
            set.push(name);
        }
    }
    Ok(set)
}

fn unknown_case<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Misfit {
    let help = match nearest(name, names.clone()) {
        Some(near) => did_you_mean(Some(&near)),
        None => format!("; known: {}", names.take(20).collect::<Vec<_>>().join(", ")),
    };
    Misfit::new(format!("unknown value '{name}'{help}"))
}

fn integer<T: TryFrom<i128> + Bounds>(number: &Number) -> Result<T, Misfit> {
    let wide = match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(n), _, _) => i128::from(n),
        (_, Some(n), _) => i128::from(n),
        #[allow(clippy::cast_possible_truncation)]
        (_, _, Some(n)) if n.fract() == 0.0 && n.abs() <= EXACT => n as i128,
        (_, _, Some(n)) if n.fract() != 0.0 => return Err(Misfit::new(format!("expected an integer, got {n}"))),
        _ => {
            return Err(Misfit::new(format!(
                "{number} is out of range ({} to {})",
                T::LOW,
                T::HIGH
            )));
        }
    };
    T::try_from(wide).map_err(|_| Misfit::new(format!("{number} is out of range ({} to {})", T::LOW, T::HIGH)))
}

/// The range of an integer type, for messages.
trait Bounds {
    const LOW: i128;
    const HIGH: i128;
}

macro_rules! bounds {
    ($($integer:ty),*) => {
        $(impl Bounds for $integer {
            const LOW: i128 = <$integer>::MIN as i128;
            const HIGH: i128 = <$integer>::MAX as i128;
        })*
    };
}
bounds!(i8, u8, i16, u16, i32, u32, i64, u64);

fn double(number: &Number) -> Result<f64, Misfit> {
    number
        .as_f64()
        .filter(|n| n.is_finite())
        .ok_or_else(|| Misfit::new(format!("{number} is out of range")))
}

fn single(number: &Number) -> Result<f32, Misfit> {
    #[allow(clippy::cast_possible_truncation)]
    let single = double(number)? as f32;
    if single.is_finite() {
        Ok(single)
    } else {
        Err(Misfit::new(format!("{number} is out of range of a 32-bit float")))
    }
}

fn character(text: &str) -> Result<char, Misfit> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(Misfit::new(format!(
            "expected one character, got a string of {}",
            text.chars().count()
        ))),
    }
}

fn bytes(text: &str) -> Result<Vec<Val>, Misfit> {
    let bytes = BASE64
        .decode(text)
        .map_err(|e| Misfit::new(format!("expected bytes in base64: {e}")))?;
    Ok(bytes.into_iter().map(Val::U8).collect())
}

fn expect_length(expected: usize, length: usize) -> Result<(), Misfit> {
    if expected == length {
        return Ok(());
    }
    Err(Misfit::new(format!(
        "expected an array of {expected}, got one of {length}"
    )))
}

fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "a boolean",
        Shape::S8 | Shape::U8 | Shape::S16 | Shape::U16 | Shape::S32 | Shape::U32 | Shape::S64 | Shape::U64 => {
            "an integer"
        }
        Shape::F32 | Shape::F64 => "a number",
        Shape::Char => "a string of one character",
        Shape::String => "a string",
        Shape::Bytes => "bytes as a base64 string",
        Shape::List(_) | Shape::Array(..) | Shape::Tuple(_) => "an array",
        Shape::Record(_) => "an object",
        Shape::Variant(_) | Shape::Result(..) => "a case",
        Shape::Enum(_) => "a string, one of the known values",
        Shape::Flags(_) => "an array of strings",
        Shape::Option(inner) => expected(inner),
    }
}

fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
