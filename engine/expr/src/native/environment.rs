//! Where an evaluation takes place: its variables, what it may still cost, and how it ends early.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::order;

pub(super) type Result<T> = std::result::Result<T, Stop>;

/// What ends an evaluation before its time.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A jq error.
    Error(String),
    /// The full evaluator must answer.
    Beyond,
    /// Enough outputs; never leaves this module.
    Done,
}

/// The steps that an evaluation may take. A step is a node evaluated, a value copied, or 64 bytes of text.
const BUDGET: usize = 2_000_000;
const BYTES_A_STEP: usize = 64;

/// What stays the same during an evaluation.
pub(super) struct Environment<'v> {
    pub variables: &'v [Arc<Value>],
    budget: Cell<usize>,
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub(super) struct At<'v> {
    pub environment: &'v Environment<'v>,
    pub input: &'v Value,
    pub locals: Option<&'v Local<'v>>,
}

/// A variable bound inside the expression, in front of those further out.
pub(super) struct Local<'v> {
    pub index: usize,
    pub value: &'v Value,
    pub outer: Option<&'v Local<'v>>,
}

pub(super) type Sink<'s, 'v> = &'s mut dyn FnMut(Cow<'v, Value>) -> Result<()>;

pub(super) fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

impl<'v> Environment<'v> {
    pub(super) fn new(variables: &'v [Arc<Value>]) -> Self {
        Self {
            variables,
            budget: Cell::new(BUDGET),
        }
    }

    pub(super) fn charge(&self, steps: usize) -> Result<()> {
        self.budget
            .set(self.budget.get().checked_sub(steps).ok_or(Stop::Beyond)?);
        Ok(())
    }

    pub(super) fn charge_bytes(&self, bytes: usize) -> Result<()> {
        self.charge(1 + bytes / BYTES_A_STEP)
    }

    /// Pays for looking at a whole value about `log2(times)` times.
    pub(super) fn charge_weight(&self, value: &Value, times: usize) -> Result<()> {
        let factor = times.checked_ilog2().unwrap_or(0) as usize + 1;
        match value {
            Value::String(text) => self.charge(factor * (1 + text.len() / BYTES_A_STEP)),
            Value::Array(items) => {
                self.charge(factor)?;
                items.iter().try_for_each(|item| self.charge_weight(item, times))
            }
            Value::Object(map) => {
                self.charge(factor * (1 + 2 * map.len()))?;
                map.values().try_for_each(|item| self.charge_weight(item, times))
            }
            _ => self.charge(factor),
        }
    }

    /// The value itself, or a copy of it, which costs.
    pub(super) fn own(&self, value: Cow<'_, Value>) -> Result<Value> {
        match value {
            Cow::Owned(value) => Ok(value),
            Cow::Borrowed(value) => self.copy(value),
        }
    }

    pub(super) fn copy(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => {
                self.charge_bytes(text.len())?;
                Value::String(text.clone())
            }
            Value::Array(items) => {
                self.charge(1)?;
                Value::Array(items.iter().map(|item| self.copy(item)).collect::<Result<_>>()?)
            }
            Value::Object(map) => {
                self.charge(1)?;
                let mut copy = Map::with_capacity(map.len());
                for (key, item) in map {
                    self.charge_bytes(key.len())?;
                    copy.insert(key.clone(), self.copy(item)?);
                }
                Value::Object(copy)
            }
            other => {
                self.charge(1)?;
                other.clone()
            }
        })
    }

    /// Whether two values are equal, at a price.
    pub(super) fn equal(&self, left: &Value, right: &Value) -> Result<bool> {
        // The smaller of the two bounds the work.
        match (left, right) {
            (Value::Array(l), Value::Array(r)) if l.len() == r.len() => self.charge_weight(left, 1)?,
            (Value::Object(l), Value::Object(r)) if l.len() == r.len() => self.charge_weight(left, 1)?,
            (Value::String(l), Value::String(r)) if l.len() == r.len() => self.charge(l.len() / BYTES_A_STEP)?,
            _ => {}
        }
        Ok(order::equal(left, right))
    }
}

impl<'v> At<'v> {
    pub(super) fn new(environment: &'v Environment<'v>, input: &'v Value) -> Self {
        Self {
            environment,
            input,
            locals: None,
        }
    }

    pub(super) fn with_input(self, input: &'v Value) -> Self {
        Self { input, ..self }
    }

    pub(super) fn local(self, index: usize) -> Option<&'v Value> {
        let mut local = self.locals;
        while let Some(found) = local {
            if found.index == index {
                return Some(found.value);
            }
            local = found.outer;
        }
        None
    }

    pub(super) fn depth(self) -> usize {
        self.locals.map_or(0, |local| local.index + 1)
    }
}
