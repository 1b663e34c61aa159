//! From the syntax tree to the native form, for what is within the subset.
//!
//! Operands of operators, object entries, indexes and most arguments must have exactly one output here: jq's cartesian
//! products go to the full evaluator.

use serde_json::{Map, Number, Value};

use super::node::{Expr, Function, Function1, Key, Node, Part, Piece, Step};
use crate::number::Num;
use crate::syntax::tree::{self, Operator, Pattern, Term};

/// How many arrays and objects an expression may construct, each of which can nest its result one deeper.
const MAX_CONSTRUCTORS: usize = 128;

pub(super) fn lower(term: &Term, variables: &[String]) -> Option<Expr> {
    let mut lowering = Lowering {
        outside: variables,
        locals: Vec::new(),
        constructors: 0,
    };
    lowering.term(term)
}

struct Lowering<'a> {
    outside: &'a [String],
    locals: Vec<String>,
    constructors: usize,
}

impl Expr {
    fn new(node: Node, single: bool) -> Self {
        Self {
            node: Box::new(node),
            single,
        }
    }

    fn single(node: Node) -> Self {
        Self::new(node, true)
    }

    fn literal(value: impl Into<Value>) -> Self {
        Self::single(Node::Literal(value.into()))
    }
}

impl Lowering<'_> {
    fn term(&mut self, term: &Term) -> Option<Expr> {
        Some(match term {
            Term::Id => Expr::single(Node::Identity),
            Term::Number(text) => Expr::literal(number(text)?),
            Term::Text(None, pieces) => self.text(pieces)?,
            Term::Array(inner) => {
                self.construct()?;
                match inner {
                    None => Expr::literal(Value::Array(Vec::new())),
                    Some(inner) => {
                        let inner = self.term(inner)?;
                        constant_array(&inner).unwrap_or_else(|| Expr::single(Node::Array(Some(inner))))
                    }
                }
            }
            Term::Object(entries) => self.object(entries)?,
            Term::Negate(inner) => match (&**inner, self.one(inner)?) {
                (Term::Number(text), _) => Expr::literal(number(&format!("-{text}"))?),
                (_, inner) => Expr::single(Node::Negate(inner)),
            },
            Term::Pipe(left, right) => {
                let (left, right) = (self.term(left)?, self.term(right)?);
                let single = left.single && right.single;
                Expr::new(Node::Pipe(left, right), single)
            }
            Term::Bind(source, Pattern::Variable(name), body) => {
                let source = self.term(source)?;
                self.locals.push(name.clone());
                let body = self.term(body);
                self.locals.pop();
                let body = body?;
                let single = source.single && body.single;
                Expr::new(Node::Bind(source, body), single)
            }
            Term::Comma(terms) => {
                let terms = terms.iter().map(|term| self.term(term)).collect::<Option<Vec<_>>>()?;
                Expr::new(Node::Comma(terms), false)
            }
            Term::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Term::Try(body, None) => Expr::new(Node::Try(self.term(body)?), false),
            Term::If(branches, otherwise) => self.conditional(branches, otherwise.as_deref())?,
            Term::Call(name, arguments) => self.call(&name.text, arguments)?,
            Term::Variable(name) => Expr::single(self.variable(&name.text)?),
            Term::Path(base, steps) => self.path(base, steps)?,
            Term::Recurse
            | Term::Text(Some(_), _)
            | Term::Bind(..)
            | Term::Label(..)
            | Term::Break(_)
            | Term::Fold { .. }
            | Term::Try(_, Some(_))
            | Term::Define(..) => return None,
        })
    }

    /// A term with exactly one output.
    fn one(&mut self, term: &Term) -> Option<Expr> {
        self.term(term).filter(|expr| expr.single)
    }

    fn construct(&mut self) -> Option<()> {
        self.constructors += 1;
        (self.constructors <= MAX_CONSTRUCTORS).then_some(())
    }

    fn variable(&self, name: &str) -> Option<Node> {
        if let Some(index) = self.locals.iter().rposition(|local| local == name) {
            return Some(Node::Local(index));
        }
        self.outside
            .iter()
            .position(|outside| outside == name)
            .map(Node::Outside)
    }

    fn text(&mut self, pieces: &[tree::Piece]) -> Option<Expr> {
        match pieces {
            [] => return Some(Expr::literal("")),
            [tree::Piece::Literal(text)] => return Some(Expr::literal(text.as_str())),
            _ => {}
        }
        let pieces = pieces.iter().map(|piece| {
            Some(match piece {
                tree::Piece::Literal(text) => Piece::Literal(text.clone()),
                tree::Piece::Interpolated(term) => Piece::Computed(self.one(term)?),
            })
        });
        Some(Expr::single(Node::Text(pieces.collect::<Option<_>>()?)))
    }

    fn object(&mut self, entries: &[(Term, Option<Term>)]) -> Option<Expr> {
        self.construct()?;
        let mut lowered = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key_expr = match key {
                // `{$x}` is `{x: $x}`, but `{$x: 1}` is `{($x): 1}`.
                Term::Variable(name) if value.is_none() => Expr::literal(name.text.as_str()),
                key => self.one(key)?,
            };
            let value = match (key, value) {
                (_, Some(value)) => self.one(value)?,
                (Term::Variable(_), None) => self.one(key)?,
                (_, None) => {
                    let part = match self.one(key)? {
                        Expr { node, .. } if matches!(*node, Node::Literal(Value::String(_))) => field(*node),
                        index => Part::Index(index),
                    };
                    let steps = vec![Step { part, optional: false }];
                    Expr::single(Node::Path(Expr::single(Node::Identity), steps))
                }
            };
            let key = match *key_expr.node {
                Node::Literal(Value::String(text)) => Key::Literal(text),
                // Other keys than strings exist in jaq.
                Node::Literal(_) => return None,
                node => Key::Computed(Expr::single(node)),
            };
            lowered.push((key, value));
        }
        Some(constant_object(&lowered).unwrap_or_else(|| Expr::single(Node::Object(lowered))))
    }

    fn binary(&mut self, operator: Operator, left: &Term, right: &Term) -> Option<Expr> {
        if operator == Operator::Alternative {
            let (left, right) = (self.term(left)?, self.term(right)?);
            let single = left.single && right.single;
            return Some(Expr::new(Node::Alternative(left, right), single));
        }
        let (left, right) = (self.one(left)?, self.one(right)?);
        Some(Expr::single(match operator {
            Operator::Or => Node::Or(left, right),
            Operator::And => Node::And(left, right),
            Operator::Compare(comparison) => Node::Compare(comparison, left, right),
            Operator::Math(math) => Node::Math(math, left, right),
            Operator::Alternative | Operator::Assign => return None,
        }))
    }

    fn conditional(&mut self, branches: &[(Term, Term)], otherwise: Option<&Term>) -> Option<Expr> {
        let mut single = true;
        let mut lowered = Vec::with_capacity(branches.len());
        for (condition, branch) in branches {
            let (condition, branch) = (self.one(condition)?, self.term(branch)?);
            single &= branch.single;
            lowered.push((condition, branch));
        }
        let otherwise = match otherwise {
            Some(term) => Some(self.term(term)?),
            None => None,
        };
        single &= otherwise.as_ref().is_none_or(|otherwise| otherwise.single);
        Some(Expr::new(Node::If(lowered, otherwise), single))
    }

    fn path(&mut self, base: &Term, steps: &[tree::Step]) -> Option<Expr> {
        let base = self.term(base)?;
        let mut single = base.single;
        let mut lowered = Vec::with_capacity(steps.len());
        for step in steps {
            let part = match &step.part {
                tree::Part::Iterate => Part::Iterate,
                tree::Part::Index(index) => match self.one(index)? {
                    Expr { node, .. } if matches!(*node, Node::Literal(Value::String(_))) => field(*node),
                    index => Part::Index(index),
                },
                tree::Part::Slice(from, to) => {
                    let from = from.as_ref().map(|from| self.one(from).ok_or(())).transpose().ok()?;
                    let to = to.as_ref().map(|to| self.one(to).ok_or(())).transpose().ok()?;
                    Part::Slice(from, to)
                }
            };
            single &= !step.optional && !matches!(part, Part::Iterate);
            lowered.push(Step {
                part,
                optional: step.optional,
            });
        }
        Some(Expr::new(Node::Path(base, lowered), single))
    }

    fn call(&mut self, name: &str, arguments: &[Term]) -> Option<Expr> {
        // Functions that an expression defines itself never get here: definitions are beyond the subset.
        match arguments {
            [] => Some(match name {
                "null" => Expr::literal(Value::Null),
                "true" => Expr::literal(true),
                "false" => Expr::literal(false),
                "empty" => Expr::new(Node::Empty, false),
                "first" => self.indexed(0),
                "last" => self.indexed(-1),
                "any" | "all" => Expr::single(Node::Quantify(name == "any", elements(), Expr::single(Node::Identity))),
                "add" => Expr::single(Node::Add(elements())),
                "to_entries" => {
                    // An array of objects: two deeper.
                    self.construct()?;
                    self.construct()?;
                    Expr::single(Node::Function(Function::ToEntries))
                }
                _ => Expr::single(Node::Function(function(name)?)),
            }),
            [argument] => self.call1(name, argument),
            [generator, condition] => match name {
                "any" | "all" => {
                    let (generator, condition) = (self.term(generator)?, self.one(condition)?);
                    Some(Expr::single(Node::Quantify(name == "any", generator, condition)))
                }
                "range" => {
                    let (from, to) = (self.one(generator)?, self.one(condition)?);
                    Some(Expr::new(Node::Range(Some(from), to), false))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn call1(&mut self, name: &str, argument: &Term) -> Option<Expr> {
        Some(match name {
            "map" => {
                self.construct()?;
                Expr::single(Node::Map(self.term(argument)?))
            }
            "select" => Expr::new(Node::Select(self.one(argument)?), false),
            "first" => Expr::new(Node::First(self.term(argument)?), false),
            "add" => Expr::single(Node::Add(self.term(argument)?)),
            "any" | "all" => Expr::single(Node::Quantify(name == "any", elements(), self.one(argument)?)),
            "range" => Expr::new(Node::Range(None, self.one(argument)?), false),
            _ => Expr::single(Node::Function1(function1(name)?, self.one(argument)?)),
        })
    }

    fn indexed(&self, index: i64) -> Expr {
        let steps = vec![Step {
            part: Part::Index(Expr::literal(index)),
            optional: false,
        }];
        Expr::single(Node::Path(Expr::single(Node::Identity), steps))
    }
}

/// `.[]`
fn elements() -> Expr {
    let steps = vec![Step {
        part: Part::Iterate,
        optional: false,
    }];
    Expr::new(Node::Path(Expr::single(Node::Identity), steps), false)
}

fn field(node: Node) -> Part {
    match node {
        Node::Literal(Value::String(name)) => Part::Field(name),
        other => Part::Index(Expr::single(other)),
    }
}

/// A number literal within 64 bits.
fn number(text: &str) -> Option<Value> {
    if let Ok(integer) = text.parse::<i128>() {
        return Num::Integer(integer).into_value();
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return None;
    }
    Num::from_f64(text.parse().ok()?)?.into_value()
}

fn constant_array(inner: &Expr) -> Option<Expr> {
    let literal = |expr: &Expr| match &*expr.node {
        Node::Literal(value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
            Some(value.clone())
        }
        _ => None,
    };
    let items = match &*inner.node {
        Node::Comma(items) => items.iter().map(literal).collect::<Option<Vec<_>>>()?,
        _ => vec![literal(inner)?],
    };
    Some(Expr::literal(Value::Array(items)))
}

fn constant_object(entries: &[(Key, Expr)]) -> Option<Expr> {
    let mut map = Map::with_capacity(entries.len());
    for (key, value) in entries {
        match (key, &*value.node) {
            (Key::Literal(key), Node::Literal(value)) => map.insert(key.clone(), value.clone()),
            _ => return None,
        };
    }
    Some(Expr::literal(Value::Object(map)))
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "length" => Function::Length,
        "keys" => Function::Keys,
        "not" => Function::Not,
        "tostring" => Function::ToString,
        "tonumber" => Function::ToNumber,
        "tojson" => Function::ToJson,
        "type" => Function::Type,
        "ascii_downcase" => Function::Downcase,
        "ascii_upcase" => Function::Upcase,
        "trim" => Function::Trim,
        "ltrim" => Function::TrimStart,
        "rtrim" => Function::TrimEnd,
        "floor" => Function::Floor,
        "round" => Function::Round,
        "ceil" => Function::Ceil,
        "abs" => Function::Abs,
        "reverse" => Function::Reverse,
        "sort" => Function::Sort,
        "unique" => Function::Unique,
        "min" => Function::Min,
        "max" => Function::Max,
        _ => return None,
    })
}

fn function1(name: &str) -> Option<Function1> {
    Some(match name {
        "has" => Function1::Has,
        "contains" => Function1::Contains,
        "join" => Function1::Join,
        "split" => Function1::Split,
        "startswith" => Function1::StartsWith,
        "endswith" => Function1::EndsWith,
        "ltrimstr" => Function1::TrimPrefix,
        "rtrimstr" => Function1::TrimSuffix,
        _ => return None,
    })
}

/// The integer, when a number is one.
pub(super) fn integer(number: &Number) -> Option<i128> {
    match Num::of(number) {
        Num::Integer(integer) => Some(integer),
        Num::Float(_) => None,
    }
}
