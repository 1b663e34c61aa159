//! Evaluation: borrowed where possible, bounded by a budget, one output where the node has one.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::lower::integer;
use super::node::{Expr, Key, Node, Part, Piece, Step};
use super::text::{excerpt, push_text};
use super::{builtins, math, order};
use crate::syntax::tree::Comparison;

type Result<T> = std::result::Result<T, Stop>;

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

static NULL: Value = Value::Null;

/// What stays the same during an evaluation.
pub(super) struct Environment<'v> {
    variables: &'v [Arc<Value>],
    budget: Cell<usize>,
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub(super) struct At<'v> {
    environment: &'v Environment<'v>,
    pub input: &'v Value,
    locals: Option<&'v Local<'v>>,
}

/// A variable bound inside the expression, in front of those further out.
struct Local<'v> {
    index: usize,
    value: &'v Value,
    outer: Option<&'v Local<'v>>,
}

type Sink<'s, 'v> = &'s mut dyn FnMut(Cow<'v, Value>) -> Result<()>;

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

    /// The first output.
    pub(super) fn first(&'v self, expr: &'v Expr, input: &'v Value) -> Result<Option<Cow<'v, Value>>> {
        first(
            expr,
            At {
                environment: self,
                input,
                locals: None,
            },
        )
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
    pub(super) fn environment(self) -> &'v Environment<'v> {
        self.environment
    }

    fn with_input(self, input: &'v Value) -> Self {
        Self { input, ..self }
    }

    fn local(self, index: usize) -> Option<&'v Value> {
        let mut local = self.locals;
        while let Some(found) = local {
            if found.index == index {
                return Some(found.value);
            }
            local = found.outer;
        }
        None
    }

    fn depth(self) -> usize {
        self.locals.map_or(0, |local| local.index + 1)
    }
}

/// The first output of any expression.
pub(super) fn first<'v>(expr: &'v Expr, at: At<'v>) -> Result<Option<Cow<'v, Value>>> {
    if expr.single {
        return one(expr, at).map(Some);
    }
    let mut found = None;
    match each(expr, at, &mut |value| {
        found = Some(value);
        Err(Stop::Done)
    }) {
        Ok(()) | Err(Stop::Done) => Ok(found),
        Err(stop) => Err(stop),
    }
}

/// The output of an expression that has exactly one.
pub(super) fn one<'v>(expr: &'v Expr, at: At<'v>) -> Result<Cow<'v, Value>> {
    at.environment.charge(1)?;
    match &*expr.node {
        Node::Identity => Ok(Cow::Borrowed(at.input)),
        Node::Literal(value) => Ok(Cow::Borrowed(value)),
        Node::Outside(index) => at
            .environment
            .variables
            .get(*index)
            .map(|value| Cow::Borrowed(&**value))
            .ok_or(Stop::Beyond),
        Node::Local(index) => at.local(*index).map(Cow::Borrowed).ok_or(Stop::Beyond),
        Node::Path(base, steps) => {
            let indexes = indexes(steps, at)?;
            let mut indexes = indexes.iter();
            let mut value = one(base, at)?;
            for step in steps {
                value = single_step(at.environment, value, &step.part, &mut indexes)?;
            }
            Ok(value)
        }
        Node::Array(None) => Ok(Cow::Owned(Value::Array(Vec::new()))),
        Node::Array(Some(inner)) => collect(inner, at).map(|items| Cow::Owned(Value::Array(items))),
        Node::Object(entries) => object(entries, at).map(Cow::Owned),
        Node::Text(pieces) => text(pieces, at).map(Cow::Owned),
        Node::Negate(inner) => math::negate(&*one(inner, at)?).map(Cow::Owned),
        Node::Math(operator, left, right) => {
            let (left, right) = (one(left, at)?, one(right, at)?);
            math::apply(at.environment, *operator, left, right)
        }
        Node::Compare(comparison, left, right) => {
            let (left, right) = (one(left, at)?, one(right, at)?);
            compare(at.environment, *comparison, &left, &right).map(boolean)
        }
        Node::And(left, right) => Ok(boolean(truthy(&*one(left, at)?) && truthy(&*one(right, at)?))),
        Node::Or(left, right) => Ok(boolean(truthy(&*one(left, at)?) || truthy(&*one(right, at)?))),
        Node::Alternative(left, right) => {
            let value = one(left, at)?;
            if truthy(&value) { Ok(value) } else { one(right, at) }
        }
        Node::Pipe(left, right) => match one(left, at)? {
            Cow::Borrowed(value) => one(right, at.with_input(value)),
            Cow::Owned(value) => {
                let output = one(right, at.with_input(&value))?;
                at.environment.own(output).map(Cow::Owned)
            }
        },
        Node::Bind(source, body) => match one(source, at)? {
            Cow::Borrowed(value) => {
                let local = Local {
                    index: at.depth(),
                    value,
                    outer: at.locals,
                };
                let output = one(
                    body,
                    At {
                        locals: Some(&local),
                        ..at
                    },
                )?;
                at.environment.own(output).map(Cow::Owned)
            }
            Cow::Owned(value) => {
                let local = Local {
                    index: at.depth(),
                    value: &value,
                    outer: at.locals,
                };
                let output = one(
                    body,
                    At {
                        locals: Some(&local),
                        ..at
                    },
                )?;
                at.environment.own(output).map(Cow::Owned)
            }
        },
        Node::If(branches, otherwise) => match branch(branches, otherwise.as_ref(), at)? {
            Some(branch) => one(branch, at),
            None => Ok(Cow::Borrowed(at.input)),
        },
        Node::Function(function) => builtins::function(*function, at),
        Node::Function1(function, argument) => {
            let argument = one(argument, at)?;
            builtins::function1(*function, at, &argument)
        }
        Node::Map(inner) => {
            let mut items = Vec::new();
            let environment = at.environment;
            iterate(environment, Cow::Borrowed(at.input), &mut |item| {
                let mut push = |output: Cow<'_, Value>| {
                    items.push(environment.own(output)?);
                    Ok(())
                };
                piped(inner, at, item, &mut push)
            })?;
            Ok(Cow::Owned(Value::Array(items)))
        }
        Node::Add(inner) => {
            let mut sum = Value::Null;
            let environment = at.environment;
            each(inner, at, &mut |item| {
                let left = std::mem::take(&mut sum);
                let total = math::apply(environment, crate::syntax::tree::Math::Add, Cow::Owned(left), item)?;
                sum = environment.own(total)?;
                Ok(())
            })?;
            Ok(Cow::Owned(sum))
        }
        Node::Quantify(wanted, generator, condition) => {
            let mut found = false;
            let result = each(generator, at, &mut |item| {
                let met = match item {
                    Cow::Borrowed(item) => truthy(&*one(condition, at.with_input(item))?),
                    Cow::Owned(item) => truthy(&*one(condition, at.with_input(&item))?),
                };
                found = met == *wanted;
                if found { Err(Stop::Done) } else { Ok(()) }
            });
            match result {
                Ok(()) | Err(Stop::Done) => Ok(boolean(found == *wanted)),
                Err(stop) => Err(stop),
            }
        }
        Node::Comma(_) | Node::Try(_) | Node::Empty | Node::Select(_) | Node::First(_) | Node::Range(..) => {
            Err(Stop::Beyond)
        }
    }
}

/// All outputs, in order, until `sink` has enough.
pub(super) fn each<'v>(expr: &'v Expr, at: At<'v>, sink: Sink<'_, 'v>) -> Result<()> {
    if expr.single {
        return sink(one(expr, at)?);
    }
    at.environment.charge(1)?;
    match &*expr.node {
        Node::Path(base, steps) => each(base, at, &mut |value| {
            let indexes = indexes(steps, at)?;
            walk(at.environment, value, steps, &indexes, sink)
        }),
        Node::Pipe(left, right) => each(left, at, &mut |value| piped(right, at, value, sink)),
        Node::Bind(source, body) => each(source, at, &mut |value| {
            let local = Local {
                index: at.depth(),
                value: &value,
                outer: at.locals,
            };
            each(
                body,
                At {
                    locals: Some(&local),
                    ..at
                },
                &mut |output| sink(Cow::Owned(at.environment.own(output)?)),
            )
        }),
        Node::Comma(terms) => terms.iter().try_for_each(|term| each(term, at, sink)),
        Node::Alternative(left, right) => {
            let mut any = false;
            each(left, at, &mut |value| {
                if truthy(&value) {
                    any = true;
                    sink(value)?;
                }
                Ok(())
            })?;
            if any { Ok(()) } else { each(right, at, sink) }
        }
        Node::If(branches, otherwise) => match branch(branches, otherwise.as_ref(), at)? {
            Some(branch) => each(branch, at, sink),
            None => sink(Cow::Borrowed(at.input)),
        },
        Node::Try(body) => {
            // An error of what follows is not an error of the body.
            let mut outer = None;
            let result = each(body, at, &mut |value| {
                sink(value).map_err(|stop| {
                    outer = Some(stop);
                    Stop::Done
                })
            });
            match (outer, result) {
                (Some(stop), _) => Err(stop),
                (None, Err(Stop::Error(_))) => Ok(()),
                (None, result) => result,
            }
        }
        Node::Empty => Ok(()),
        Node::Select(condition) => {
            if truthy(&*one(condition, at)?) {
                sink(Cow::Borrowed(at.input))?;
            }
            Ok(())
        }
        Node::First(inner) => match first(inner, at)? {
            Some(value) => sink(value),
            None => Ok(()),
        },
        Node::Range(from, to) => {
            let from = match from {
                Some(from) => whole(&*one(from, at)?)?,
                None => 0,
            };
            let to = whole(&*one(to, at)?)?;
            for number in from..to {
                at.environment.charge(1)?;
                sink(Cow::Owned(Value::from(number)))?;
            }
            Ok(())
        }
        // All others have one output.
        _ => Err(Stop::Beyond),
    }
}

/// The outputs of `expr` with `input`, which may live no longer than this call.
fn piped<'v>(expr: &'v Expr, at: At<'v>, input: Cow<'v, Value>, sink: Sink<'_, 'v>) -> Result<()> {
    match input {
        Cow::Borrowed(input) => each(expr, at.with_input(input), sink),
        Cow::Owned(input) => each(expr, at.with_input(&input), &mut |output| {
            sink(Cow::Owned(at.environment.own(output)?))
        }),
    }
}

fn collect<'v>(expr: &'v Expr, at: At<'v>) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    each(expr, at, &mut |item| {
        items.push(at.environment.own(item)?);
        Ok(())
    })?;
    Ok(items)
}

fn object<'v>(entries: &'v [(Key, Expr)], at: At<'v>) -> Result<Value> {
    let mut map = Map::with_capacity(entries.len());
    for (key, value) in entries {
        let key = match key {
            Key::Literal(key) => key.clone(),
            Key::Computed(key) => match at.environment.own(one(key, at)?)? {
                Value::String(key) => key,
                // Such objects exist in the full evaluator, for as long as they do not leave it.
                _ => return Err(Stop::Beyond),
            },
        };
        at.environment.charge_bytes(key.len())?;
        let value = at.environment.own(one(value, at)?)?;
        map.insert(key, value);
    }
    Ok(Value::Object(map))
}

fn text<'v>(pieces: &'v [Piece], at: At<'v>) -> Result<Value> {
    let mut text = String::new();
    for piece in pieces {
        let before = text.len();
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Computed(expr) => {
                let value = one(expr, at)?;
                if !matches!(*value, Value::String(_)) {
                    at.environment.charge_weight(&value, 1)?;
                }
                push_text(&value, &mut text);
            }
        }
        at.environment.charge_bytes(text.len() - before)?;
    }
    Ok(Value::String(text))
}

fn branch<'v>(branches: &'v [(Expr, Expr)], otherwise: Option<&'v Expr>, at: At<'v>) -> Result<Option<&'v Expr>> {
    for (condition, branch) in branches {
        if truthy(&*one(condition, at)?) {
            return Ok(Some(branch));
        }
    }
    Ok(otherwise)
}

fn boolean<'v>(value: bool) -> Cow<'v, Value> {
    Cow::Owned(Value::Bool(value))
}

fn whole(value: &Value) -> Result<i64> {
    match value {
        Value::Number(number) => integer(number)
            .and_then(|integer| i64::try_from(integer).ok())
            .ok_or(Stop::Beyond),
        _ => Err(Stop::Beyond),
    }
}

fn compare(environment: &Environment<'_>, comparison: Comparison, left: &Value, right: &Value) -> Result<bool> {
    Ok(match comparison {
        Comparison::Equal => environment.equal(left, right)?,
        Comparison::NotEqual => !environment.equal(left, right)?,
        _ => {
            if matches!(
                (left, right),
                (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_))
            ) {
                environment.charge_weight(left, 1)?;
                environment.charge_weight(right, 1)?;
            }
            let order = order::compare(left, right);
            match comparison {
                Comparison::Less => order.is_lt(),
                Comparison::LessOrEqual => order.is_le(),
                Comparison::Greater => order.is_gt(),
                _ => order.is_ge(),
            }
        }
    })
}

/// The values of the computed indexes of a path, in order. They see the path's input, not what they index.
fn indexes<'v>(steps: &'v [Step], at: At<'v>) -> Result<Vec<Cow<'v, Value>>> {
    let mut values = Vec::new();
    for step in steps {
        match &step.part {
            Part::Field(_) | Part::Iterate => {}
            Part::Index(index) => values.push(one(index, at)?),
            Part::Slice(from, to) => {
                for bound in [from, to].into_iter().flatten() {
                    values.push(one(bound, at)?);
                }
            }
        }
    }
    Ok(values)
}

/// Follows a path that may have many ends.
fn walk<'v>(
    environment: &Environment<'_>,
    value: Cow<'v, Value>,
    steps: &'v [Step],
    indexes: &[Cow<'v, Value>],
    sink: Sink<'_, 'v>,
) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else {
        return sink(value);
    };
    environment.charge(1)?;
    if matches!(step.part, Part::Iterate) {
        if step.optional && !matches!(*value, Value::Array(_) | Value::Object(_)) {
            return Ok(());
        }
        return iterate(environment, value, &mut |item| {
            walk(environment, item, rest, indexes, sink)
        });
    }
    let mut remaining = indexes.iter();
    match single_step(environment, value, &step.part, &mut remaining) {
        Ok(value) => walk(environment, value, rest, remaining.as_slice(), sink),
        Err(Stop::Error(_)) if step.optional => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// The elements of an array, the values of an object.
fn iterate<'v>(environment: &Environment<'_>, value: Cow<'v, Value>, sink: Sink<'_, 'v>) -> Result<()> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().try_for_each(|item| sink(Cow::Borrowed(item))),
        Cow::Borrowed(Value::Object(map)) => map.values().try_for_each(|item| sink(Cow::Borrowed(item))),
        Cow::Owned(Value::Array(items)) => items.into_iter().try_for_each(|item| sink(Cow::Owned(item))),
        Cow::Owned(Value::Object(map)) => map.into_iter().try_for_each(|(_, item)| sink(Cow::Owned(item))),
        other => Err(Stop::Error(format!("cannot iterate over {}", excerpt(&other)))),
    }?;
    environment.charge(1)
}

/// Follows a step with one end.
fn single_step<'v>(
    environment: &Environment<'_>,
    value: Cow<'v, Value>,
    part: &'v Part,
    indexes: &mut std::slice::Iter<'_, Cow<'v, Value>>,
) -> Result<Cow<'v, Value>> {
    match part {
        Part::Field(name) => field(value, name),
        Part::Index(_) => {
            let index = indexes.next().ok_or(Stop::Beyond)?;
            match &**index {
                Value::String(name) => field(value, name),
                Value::Number(number) => element(value, number),
                _ => match &*value {
                    Value::Null => Ok(Cow::Borrowed(&NULL)),
                    _ => Err(Stop::Beyond),
                },
            }
        }
        Part::Slice(from, to) => {
            let mut bound = |given: &Option<Expr>| {
                given
                    .as_ref()
                    .map(|_| indexes.next().map(|value| &**value).ok_or(Stop::Beyond))
                    .transpose()
            };
            let (from, to) = (bound(from)?, bound(to)?);
            slice(environment, &value, from, to).map(Cow::Owned)
        }
        Part::Iterate => Err(Stop::Beyond),
    }
}

fn field<'v>(value: Cow<'v, Value>, name: &str) -> Result<Cow<'v, Value>> {
    Ok(match value {
        Cow::Borrowed(Value::Object(map)) => Cow::Borrowed(map.get(name).unwrap_or(&NULL)),
        Cow::Owned(Value::Object(mut map)) => Cow::Owned(map.swap_remove(name).unwrap_or_default()),
        Cow::Borrowed(Value::Null) | Cow::Owned(Value::Null) => Cow::Borrowed(&NULL),
        other => {
            let message = format!("cannot take \"{name}\" of {}", excerpt(&other));
            return Err(Stop::Error(message));
        }
    })
}

fn element<'v>(value: Cow<'v, Value>, number: &Number) -> Result<Cow<'v, Value>> {
    let position = |length: usize| {
        let index = integer(number)?;
        let index = if index < 0 { index + length as i128 } else { index };
        usize::try_from(index).ok().filter(|index| *index < length)
    };
    Ok(match value {
        Cow::Borrowed(Value::Array(items)) if integer(number).is_some() => Cow::Borrowed(
            position(items.len())
                .and_then(|index| items.get(index))
                .unwrap_or(&NULL),
        ),
        Cow::Owned(Value::Array(mut items)) if integer(number).is_some() => Cow::Owned(
            position(items.len())
                .map(|index| items.swap_remove(index))
                .unwrap_or_default(),
        ),
        // In jaq an object may have numbers as keys, but none that came from JSON has.
        Cow::Borrowed(Value::Null | Value::Object(_)) | Cow::Owned(Value::Null | Value::Object(_)) => {
            Cow::Borrowed(&NULL)
        }
        other => {
            return Err(Stop::Error(format!(
                "cannot take element {number} of {}",
                excerpt(&other)
            )));
        }
    })
}

fn slice(environment: &Environment<'_>, value: &Value, from: Option<&Value>, to: Option<&Value>) -> Result<Value> {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::String(text) => {
            environment.charge_bytes(text.len())?;
            text.chars().count()
        }
        other => return Err(Stop::Error(format!("cannot slice {}", excerpt(other)))),
    };
    let start = bound(from, length, 0)?;
    let take = bound(to, length, length)?.saturating_sub(start);
    Ok(match value {
        Value::Array(items) => {
            let items = items.iter().skip(start).take(take);
            Value::Array(items.map(|item| environment.copy(item)).collect::<Result<_>>()?)
        }
        Value::String(text) => Value::String(text.chars().skip(start).take(take).collect()),
        _ => Value::Null,
    })
}

/// A slice's bound within the length, counted from the end when it is negative.
fn bound(value: Option<&Value>, length: usize, default: usize) -> Result<usize> {
    match value {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Number(number)) => {
            let index = integer(number).ok_or_else(|| Stop::Error(format!("cannot slice at {number}")))?;
            let index = if index < 0 {
                (index + length as i128).max(0)
            } else {
                index
            };
            Ok(usize::try_from(index).unwrap_or(length).min(length))
        }
        Some(other) => Err(Stop::Error(format!("cannot slice at {}", excerpt(other)))),
    }
}
