//! The syntax tree of an expression.

/// A jq term.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// `.`
    Id,
    /// `..`
    Recurse,
    /// A number as it was written.
    Number(String),
    /// A string, with the name of a formatter (`@base64 "…"`) when it has one.
    Text(Option<Name>, Vec<Piece>),
    /// `[ … ]`
    Array(Option<Box<Term>>),
    /// `{ … }`; a key without a value is looked up in the input.
    Object(Vec<(Term, Option<Term>)>),
    /// `- …`
    Negate(Box<Term>),
    /// `a | b`
    Pipe(Box<Term>, Box<Term>),
    /// `a as $x | b`
    Bind(Box<Term>, Pattern, Box<Term>),
    /// `a, b, c`
    Comma(Vec<Term>),
    Binary(Operator, Box<Term>, Box<Term>),
    /// `label $x | …`
    Label(String, Box<Term>),
    /// `break $x`
    Break(Name),
    /// `reduce` and `foreach`
    Fold {
        source: Box<Term>,
        pattern: Pattern,
        arguments: Vec<Term>,
    },
    /// `try a catch b`; `a?` is `try a`.
    Try(Box<Term>, Option<Box<Term>>),
    /// `if … then … elif … then … else … end`
    If(Vec<(Term, Term)>, Option<Box<Term>>),
    /// `def f: …; …`
    Define(Vec<Definition>, Box<Term>),
    Call(Name, Vec<Term>),
    /// `$x`, named without `$`.
    Variable(Name),
    /// `a.b["c"][0][1:2][]`
    Path(Box<Term>, Vec<Step>),
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub text: String,
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Literal(String),
    /// `\( … )`
    Interpolated(Term),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub part: Part,
    /// Followed by `?`.
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// `.name`, `."name"`, `[index]`
    Index(Term),
    /// `[from:to]`
    Slice(Option<Term>, Option<Term>),
    /// `[]`
    Iterate,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pattern {
    Variable(String),
    Array(Vec<Pattern>),
    Object(Vec<(Term, Pattern)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub name: String,
    /// Parameters; those that are variables keep their `$`.
    pub parameters: Vec<String>,
    pub body: Term,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Alternative,
    Or,
    And,
    Compare(Comparison),
    Math(Math),
    /// `=`, `|=`, `+=`, `//=`, …
    Assign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Math {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}
