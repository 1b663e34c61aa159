//! jaq's JSON values with Potok's numbers: a float without a fraction is an integer, everywhere.
//!
//! [`Val`] is jaq's own value with one invariant: every number in it is an integer (of any size) or a float that is not an
//! integer of 64 bits. Decimal literals, which jaq keeps as text, do not occur. So `10 / 2` is `5`, as text, as an index and
//! as a result, on a machine of any word size.

use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValR, ValT as CoreValT, ValX};
use jaq_json::{Map, Num, Val as Json};
use jaq_std::ValT;

type Range<V> = jaq_core::val::Range<V>;

/// A JSON value, or one that jq can hold besides (NaN, byte strings, keys that are not strings).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Val(pub Json);

/// 2^64 and -2^63: between them an integral float is an integer of 64 bits.
const BEYOND_UNSIGNED: f64 = 18_446_744_073_709_551_616.0;
const LEAST_SIGNED: f64 = -9_223_372_036_854_775_808.0;

/// A number by the rules.
fn number(num: Num) -> Num {
    match num {
        Num::Float(float) if float.fract() == 0.0 && (LEAST_SIGNED..BEYOND_UNSIGNED).contains(&float) => {
            Num::from_integral(float as i128)
        }
        Num::Dec(text) => match Num::from_dec_str(&text) {
            // Never again a decimal: a float or NaN.
            Num::Dec(_) => Num::Float(f64::NAN),
            other => number(other),
        },
        // On a machine of 32 bits results of small size may come as big integers.
        Num::BigInt(big) => match isize::try_from(&*big) {
            Ok(small) => Num::Int(small),
            Err(_) => Num::BigInt(big),
        },
        other => other,
    }
}

fn scalar(value: Json) -> Json {
    match value {
        Json::Num(num) => Json::Num(number(num)),
        other => other,
    }
}

/// A value from outside, with every number brought under the rules. `None` when it is nested deeper than `depth`.
pub fn admit(value: Json, depth: usize) -> Option<Val> {
    fn deep(value: &mut Json, depth: usize) -> Option<()> {
        match value {
            Json::Num(num) => *num = number(std::mem::replace(num, Num::Int(0))),
            Json::Arr(items) => {
                let depth = depth.checked_sub(1)?;
                Rc::make_mut(items).iter_mut().try_for_each(|item| deep(item, depth))?;
            }
            Json::Obj(map) => {
                let depth = depth.checked_sub(1)?;
                Rc::make_mut(map).values_mut().try_for_each(|item| deep(item, depth))?;
            }
            _ => {}
        }
        Some(())
    }
    let mut value = value;
    deep(&mut value, depth).map(|()| Val(value))
}

/// The result of one of jaq's operations, which keep the invariant but for the number at the top.
fn result(result: Result<Json, jaq_json::Error>) -> ValR<Val> {
    result
        .map(|value| Val(scalar(value)))
        .map_err(|error| Error::new(Val(error.into_val())))
}

impl Val {
    pub fn text(text: impl Into<String>) -> Self {
        Self(Json::utf8_str(text.into()))
    }

    /// An integer of any size that Rust has.
    pub fn integer<T: Copy + TryInto<isize> + Into<i128>>(integer: T) -> Self {
        Self(Json::Num(Num::from_integral(integer.into())))
    }

    fn wrong(self, wanted: &'static str) -> Error<Self> {
        Error::typ(self, wanted)
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self(Json::from(value))
    }
}

impl From<isize> for Val {
    fn from(value: isize) -> Self {
        Self(Json::from(value))
    }
}

impl From<usize> for Val {
    fn from(value: usize) -> Self {
        Self(Json::from(value))
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Self {
        Self(Json::Num(number(Num::Float(value))))
    }
}

impl From<String> for Val {
    fn from(value: String) -> Self {
        Self(Json::from(value))
    }
}

impl From<Range<Val>> for Val {
    fn from(range: Range<Val>) -> Self {
        Self(Json::from(range.start.map(|start| start.0)..range.end.map(|end| end.0)))
    }
}

impl FromIterator<Val> for Val {
    fn from_iter<T: IntoIterator<Item = Val>>(values: T) -> Self {
        Self(values.into_iter().map(|value| value.0).collect())
    }
}

impl Add for Val {
    type Output = ValR<Self>;
    fn add(self, other: Self) -> Self::Output {
        result(self.0 + other.0)
    }
}

impl Sub for Val {
    type Output = ValR<Self>;
    fn sub(self, other: Self) -> Self::Output {
        result(self.0 - other.0)
    }
}

impl Mul for Val {
    type Output = ValR<Self>;
    fn mul(self, other: Self) -> Self::Output {
        result(self.0 * other.0)
    }
}

impl Div for Val {
    type Output = ValR<Self>;
    fn div(self, other: Self) -> Self::Output {
        result(self.0 / other.0)
    }
}

impl Rem for Val {
    type Output = ValR<Self>;
    fn rem(self, other: Self) -> Self::Output {
        result(self.0 % other.0)
    }
}

impl Neg for Val {
    type Output = ValR<Self>;
    fn neg(self) -> Self::Output {
        result(-self.0)
    }
}

const ITERABLE: &str = "iterable (array or object)";

impl CoreValT for Val {
    fn from_num(text: &str) -> ValR<Self> {
        result(Json::from_num(text))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        Ok(Self(Json::obj(
            entries.into_iter().map(|(key, value)| (key.0, value.0)).collect(),
        )))
    }

    fn key_values(self) -> Box<dyn Iterator<Item = ValR<(Self, Self), Self>>> {
        match self.0 {
            Json::Arr(items) => {
                let items = Rc::unwrap_or_clone(items).into_iter().enumerate();
                Box::new(items.map(|(index, item)| Ok((Val::from(index), Val(item)))))
            }
            Json::Obj(map) => Box::new(
                Rc::unwrap_or_clone(map)
                    .into_iter()
                    .map(|(key, value)| Ok((Val(key), Val(value)))),
            ),
            other => Box::new(std::iter::once(Err(Val(other).wrong(ITERABLE)))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self.0 {
            Json::Arr(items) => Box::new(Rc::unwrap_or_clone(items).into_iter().map(|item| Ok(Val(item)))),
            Json::Obj(map) => Box::new(Rc::unwrap_or_clone(map).into_iter().map(|(_, value)| Ok(Val(value)))),
            other => Box::new(std::iter::once(Err(Val(other).wrong(ITERABLE)))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        result(self.0.index(&index.0))
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        let (start, end) = (range.start.map(bound), range.end.map(bound));
        result(self.0.range(start.as_ref()..end.as_ref()))
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self.0 {
            Json::Arr(items) => {
                let items = Rc::unwrap_or_clone(items).into_iter();
                items.flat_map(|item| f(Val(item))).collect()
            }
            Json::Obj(map) => {
                let mut mapped = Map::default();
                for (key, value) in Rc::unwrap_or_clone(map) {
                    if let Some(value) = f(Val(value)).next().transpose()? {
                        mapped.insert(key, value.0);
                    }
                }
                Ok(Val(Json::obj(mapped)))
            }
            other => opt.fail(Val(other), |value| Exn::from(value.wrong(ITERABLE))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self.0, &index.0) {
            (value @ (Json::BStr(_) | Json::TStr(_) | Json::Arr(_)), Json::Obj(range)) => {
                let end = |name: &str| range.get(&Json::utf8_str(name.to_owned())).cloned().map(Val);
                let (start, end) = (end("start"), end("end"));
                Val(value).map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (Json::Obj(mut map), key) => {
                let entries = Rc::make_mut(&mut map);
                let old = entries.get(key).cloned();
                let present = old.is_some();
                match f(Val(old.unwrap_or_default())).next().transpose()? {
                    Some(new) => drop(entries.insert(key.clone(), new.0)),
                    // The order of the other keys stays as it was.
                    None if present => drop(entries.shift_remove(key)),
                    None => {}
                }
                Ok(Val(Json::Obj(map)))
            }
            // As in jq, and not in jaq: assigning below null makes what is missing.
            (Json::Null, Json::TStr(_)) => Val(Json::obj(Map::default())).map_index(index, opt, f),
            (Json::Null, Json::Num(_)) => std::iter::empty().collect::<Val>().map_index(index, opt, f),
            (Json::Arr(mut items), _) => {
                let Some(position) = position(index, items.len()) else {
                    let message = format!("index {index} out of bounds");
                    return opt.fail(Val(Json::Arr(items)), |_| Exn::from(Error::str(message)));
                };
                let entries = Rc::make_mut(&mut items);
                let missing = position >= entries.len();
                let old = entries.get_mut(position).map(std::mem::take).unwrap_or_default();
                match f(Val(old)).next().transpose()? {
                    Some(new) if missing => {
                        entries.resize(position, Json::Null);
                        entries.push(new.0);
                    }
                    Some(new) => entries[position] = new.0,
                    None if missing => {}
                    None => drop(entries.remove(position)),
                }
                Ok(Val(Json::Arr(items)))
            }
            (other, _) => opt.fail(Val(other), |value| Exn::from(value.wrong(ITERABLE))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        // What lies before the range, in it and behind it.
        let before = self
            .clone()
            .range(None..Some(range.start.unwrap_or(&Val::from(0_usize))));
        let parts = before.and_then(|before| Ok((before, self.clone().range(range)?)));
        let (before, inside) = match parts {
            Ok(parts) => parts,
            Err(error) => return opt.fail(self, |_| Exn::from(error)),
        };
        let empty = inside.clone().range(None..Some(&Val::from(0_usize)))?;
        let size = |value: &Val| match &value.0 {
            Json::Arr(items) => items.len(),
            other => Val(other.clone()).as_bytes().map_or(0, <[u8]>::len),
        };
        let behind = size(&before) + size(&inside);
        let after = match &self.0 {
            Json::Arr(items) => items[behind..].iter().cloned().map(Val).collect(),
            _ => self
                .as_bytes()
                .map_or_else(Val::default, |bytes| self.as_sub_str(&bytes[behind..])),
        };
        let new = f(inside).next().transpose()?.unwrap_or(empty);
        Ok(((before + new)? + after)?)
    }

    fn as_bool(&self) -> bool {
        self.0.as_bool()
    }

    fn into_string(self) -> Self {
        Self(self.0.into_string())
    }
}

/// A bound of a slice, cut to what a machine of 32 bits can hold.
fn bound(value: &Val) -> Json {
    match &value.0 {
        Json::Num(Num::BigInt(big)) if big.to_string().starts_with('-') => Json::from(-(isize::MAX)),
        Json::Num(Num::BigInt(_)) => Json::from(isize::MAX),
        other => other.clone(),
    }
}

/// The position that an index means, from the end when it is negative; it may lie behind the end, but not before the start.
fn position(index: &Val, length: usize) -> Option<usize> {
    let index = index.as_isize()?;
    if index < 0 {
        length.checked_sub(index.unsigned_abs())
    } else {
        Some(index.unsigned_abs())
    }
}

impl ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.0 {
            Json::Arr(items) => Ok(Rc::unwrap_or_clone(items).into_iter().map(Val).collect()),
            other => Err(Val(other)),
        }
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self(self.0.as_sub_str(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self(Json::from_utf8_bytes(bytes))
    }
}
