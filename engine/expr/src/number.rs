//! The rules for numbers: a float without a fraction is an integer, 64-bit integers are exact.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// A number as expressions see it. Integers are those of 64 bits, signed or unsigned; they are held wider so that
/// arithmetic can notice when it leaves that range.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Num {
    Integer(i128),
    /// Finite, and not an integer of 64 bits.
    Float(f64),
}

/// 2^64, the first float beyond the unsigned integers.
const BEYOND_UNSIGNED: f64 = 18_446_744_073_709_551_616.0;
/// -2^63, the least signed integer.
const LEAST_SIGNED: f64 = -9_223_372_036_854_775_808.0;

impl Num {
    pub(crate) fn of(number: &Number) -> Self {
        if let Some(integer) = number.as_i64() {
            Self::Integer(i128::from(integer))
        } else if let Some(integer) = number.as_u64() {
            Self::Integer(i128::from(integer))
        } else {
            // Always some: without arbitrary precision a number is one of the three, and finite.
            Self::from_f64(number.as_f64().unwrap_or_default()).unwrap_or(Self::Integer(0))
        }
    }

    /// `None` for NaN and infinities.
    pub(crate) fn from_f64(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        let integral = float.fract() == 0.0 && (LEAST_SIGNED..BEYOND_UNSIGNED).contains(&float);
        // The cast is exact: the float has no fraction and is in range.
        #[allow(clippy::cast_possible_truncation)]
        Some(if integral {
            Self::Integer(float as i128)
        } else {
            Self::Float(float)
        })
    }

    /// `None` for integers beyond 64 bits.
    pub(crate) fn into_value(self) -> Option<Value> {
        match self {
            Self::Integer(integer) => match i64::try_from(integer) {
                Ok(signed) => Some(Value::from(signed)),
                Err(_) => u64::try_from(integer).ok().map(Value::from),
            },
            Self::Float(float) => Number::from_f64(float).map(Value::Number),
        }
    }

    /// The nearest float.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }

    /// As jaq compares: two integers exactly, else as floats.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(&right),
            (left, right) => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
        }
    }
}

/// Whether a number must be rewritten to follow the rules.
pub(crate) fn is_integral_float(number: &Number) -> bool {
    number.is_f64() && matches!(Num::of(number), Num::Integer(_))
}
