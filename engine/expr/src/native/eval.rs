//! Evaluation: borrowed where possible, one output where the node has one.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::environment::{At, Environment, Local, Result, Sink, Stop, truthy};
use super::lower::integer;
use super::node::{Expr, Key, Node, Piece};
use super::path::{indexes, iterate, single_step, walk};
use super::text::push_text;
use super::{builtins, math, order};
use crate::syntax::tree::{Comparison, Math};

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
                let total = math::apply(environment, Math::Add, Cow::Owned(left), item)?;
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
