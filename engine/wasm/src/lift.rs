//! WIT values to JSON: what a component returns, and the arguments that it hands to a capability.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value};
use wasmtime::component::Val;

use crate::shape::{Case, Named, Shape};

/// Floats up to here are written as integers when they have no fraction.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a value cannot be JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unliftable {
    /// It is larger than allowed.
    #[error("more than {}", crate::problem::mebibytes(*limit))]
    TooLarge { limit: usize },
    /// NaN or an infinity.
    #[error("{0}, which JSON cannot say")]
    NotANumber(String),
    /// The value is of another type than the function's; never seen from a component that was linked.
    #[error("a value of another type than the function's")]
    Mismatch,
}

/// Turns values to JSON, counting its size as it goes.
pub(crate) struct Lift {
    limit: usize,
    left: usize,
}

impl Lift {
    /// Allows so many bytes of JSON.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Unliftable> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(Unliftable::TooLarge { limit: self.limit })?;
        Ok(())
    }

    /// A value of a type.
    pub(crate) fn value(&mut self, shape: &Shape, value: Val) -> Result<Value, Unliftable> {
        self.spend(2)?;
        Ok(match (shape, value) {
            (Shape::Bool, Val::Bool(b)) => Value::Bool(b),
            (Shape::S8, Val::S8(n)) => n.into(),
            (Shape::U8, Val::U8(n)) => n.into(),
            (Shape::S16, Val::S16(n)) => n.into(),
            (Shape::U16, Val::U16(n)) => n.into(),
            (Shape::S32, Val::S32(n)) => n.into(),
            (Shape::U32, Val::U32(n)) => n.into(),
            (Shape::S64, Val::S64(n)) => n.into(),
            (Shape::U64, Val::U64(n)) => n.into(),
            (Shape::F32, Val::Float32(n)) => number(shortest(n))?,
            (Shape::F64, Val::Float64(n)) => number(n)?,
            (Shape::Char, Val::Char(c)) => Value::String(c.to_string()),
            (Shape::String, Val::String(s)) => {
                self.spend(s.len())?;
                Value::String(s)
            }
            (Shape::Bytes, Val::List(values)) => self.bytes(values)?,
            (Shape::List(item), Val::List(values)) => self.items(item, values)?,
            (Shape::Array(item, _), Val::FixedLengthList(values)) => self.items(item, values)?,
            (Shape::Record(fields), Val::Record(values)) => self.record(fields, values)?,
            (Shape::Tuple(shapes), Val::Tuple(values)) => {
                let pairs = shapes.iter().zip(values);
                Value::Array(pairs.map(|(shape, v)| self.value(shape, v)).collect::<Result<_, _>>()?)
            }
            (Shape::Variant(cases), Val::Variant(name, payload)) => self.variant(cases, name, payload)?,
            (Shape::Enum(_), Val::Enum(name)) => self.word(name)?,
            (Shape::Flags(_), Val::Flags(names)) => Value::Array(
                names
                    .into_iter()
                    .map(|name| self.word(name))
                    .collect::<Result<_, _>>()?,
            ),
            (Shape::Option(_), Val::Option(None)) => Value::Null,
            (Shape::Option(inner), Val::Option(Some(value))) => {
                let json = self.value(inner, *value)?;
                if inner.is_nullable() {
                    Value::Array(vec![json])
                } else {
                    json
                }
            }
            (Shape::Result(ok, _), Val::Result(Ok(value))) => self.tagged("ok".to_owned(), ok.as_deref(), value)?,
            (Shape::Result(_, err), Val::Result(Err(value))) => self.tagged("err".to_owned(), err.as_deref(), value)?,
            _ => return Err(Unliftable::Mismatch),
        })
    }

    /// The arguments of an imported function as an object of its parameters.
    pub(crate) fn args(&mut self, params: &[Named], args: &[Val]) -> Result<Value, Unliftable> {
        let mut map = Map::new();
        for (param, value) in params.iter().zip(args) {
            map.insert(param.json.clone(), self.value(&param.shape, value.clone())?);
        }
        Ok(Value::Object(map))
    }

    fn items(&mut self, shape: &Shape, values: Vec<Val>) -> Result<Value, Unliftable> {
        let mut items = Vec::with_capacity(values.len());
        for value in values {
            items.push(self.value(shape, value)?);
        }
        Ok(Value::Array(items))
    }

    fn record(&mut self, fields: &[Named], values: Vec<(String, Val)>) -> Result<Value, Unliftable> {
        let mut map = Map::with_capacity(fields.len());
        for (field, (_, value)) in fields.iter().zip(values) {
            self.spend(field.json.len() + 3)?;
            map.insert(field.json.clone(), self.value(&field.shape, value)?);
        }
        Ok(Value::Object(map))
    }

    fn variant(&mut self, cases: &[Case], name: String, payload: Option<Box<Val>>) -> Result<Value, Unliftable> {
        let case = cases
            .iter()
            .find(|case| case.name == name)
            .ok_or(Unliftable::Mismatch)?;
        self.tagged(name, case.payload.as_ref(), payload)
    }

    /// `"case"` or `{"case": payload}`.
    fn tagged(&mut self, name: String, shape: Option<&Shape>, payload: Option<Box<Val>>) -> Result<Value, Unliftable> {
        match (shape, payload) {
            (None, None) => self.word(name),
            (Some(shape), Some(payload)) => {
                self.spend(name.len() + 3)?;
                let payload = self.value(shape, *payload)?;
                Ok(Value::Object(Map::from_iter([(name, payload)])))
            }
            _ => Err(Unliftable::Mismatch),
        }
    }

    fn word(&mut self, word: String) -> Result<Value, Unliftable> {
        self.spend(word.len() + 2)?;
        Ok(Value::String(word))
    }

    fn bytes(&mut self, values: Vec<Val>) -> Result<Value, Unliftable> {
        self.spend(values.len().div_ceil(3).saturating_mul(4))?;
        let byte = |value| {
            if let Val::U8(byte) = value {
                Ok(byte)
            } else {
                Err(Unliftable::Mismatch)
            }
        };
        let bytes: Vec<u8> = values.into_iter().map(byte).collect::<Result<_, _>>()?;
        Ok(Value::String(STANDARD.encode(bytes)))
    }
}

/// A float as JSON; as an integer where it has no fraction, so that `10/2` is 5 in every room.
fn number(n: f64) -> Result<Value, Unliftable> {
    let negative_zero = n == 0.0 && n.is_sign_negative();
    if n.fract() == 0.0 && n.abs() <= EXACT && !negative_zero {
        #[allow(clippy::cast_possible_truncation)]
        return Ok(Value::from(n as i64));
    }
    Number::from_f64(n)
        .map(Value::Number)
        .ok_or_else(|| Unliftable::NotANumber(n.to_string()))
}

/// The 64-bit float with the fewest digits that is this 32-bit one: 0.1, not 0.10000000149011612.
fn shortest(n: f32) -> f64 {
    n.to_string().parse().unwrap_or_else(|_| f64::from(n))
}
