//! The form in which native expressions are evaluated.

use serde_json::Value;

use crate::syntax::tree::{Comparison, Math};

/// A node and whether it has exactly one output (or an error), whatever its input.
pub(super) struct Expr {
    pub node: Box<Node>,
    pub single: bool,
}

pub(super) enum Node {
    Identity,
    Literal(Value),
    /// A variable from outside, by position.
    Outside(usize),
    /// A variable bound inside, by position from the outermost.
    Local(usize),
    Path(Expr, Vec<Step>),
    Array(Option<Expr>),
    Object(Vec<(Key, Expr)>),
    Text(Vec<Piece>),
    Negate(Expr),
    Math(Math, Expr, Expr),
    Compare(Comparison, Expr, Expr),
    And(Expr, Expr),
    Or(Expr, Expr),
    Alternative(Expr, Expr),
    Pipe(Expr, Expr),
    /// `source as $x | body`; the variable is the next one inside.
    Bind(Expr, Expr),
    Comma(Vec<Expr>),
    If(Vec<(Expr, Expr)>, Option<Expr>),
    Try(Expr),
    Empty,
    /// A function of its input alone.
    Function(Function),
    /// A function of its input and one argument.
    Function1(Function1, Expr),
    Select(Expr),
    Map(Expr),
    First(Expr),
    /// `add(f)`
    Add(Expr),
    /// `any` (true) or `all` (false) of a condition over a generator.
    Quantify(bool, Expr, Expr),
    Range(Option<Expr>, Expr),
}

pub(super) enum Key {
    Literal(String),
    Computed(Expr),
}

pub(super) enum Piece {
    Literal(String),
    Computed(Expr),
}

pub(super) struct Step {
    pub part: Part,
    pub optional: bool,
}

pub(super) enum Part {
    Field(String),
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
    Iterate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    Keys,
    Not,
    ToString,
    ToNumber,
    ToJson,
    Type,
    Downcase,
    Upcase,
    Trim,
    TrimStart,
    TrimEnd,
    Floor,
    Round,
    Ceil,
    Abs,
    Reverse,
    Sort,
    Unique,
    Min,
    Max,
    ToEntries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function1 {
    Has,
    Contains,
    Join,
    Split,
    StartsWith,
    EndsWith,
    TrimPrefix,
    TrimSuffix,
}
