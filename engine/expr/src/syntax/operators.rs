//! Operators: how strongly they bind, and precedence climbing.

use super::tree::{Comparison, Math, Operator, Pattern, Term};

/// What joins two atoms, before precedence is settled.
pub(super) enum Joint {
    Pipe,
    Bind(Pattern),
    Comma,
    Operator(Operator),
}

impl Joint {
    fn precedence(&self) -> u8 {
        match self {
            Self::Pipe => 0,
            Self::Comma => 1,
            Self::Bind(_) => 2,
            Self::Operator(Operator::Assign) => 3,
            Self::Operator(Operator::Alternative) => 4,
            Self::Operator(Operator::Or) => 5,
            Self::Operator(Operator::And) => 6,
            Self::Operator(Operator::Compare(Comparison::Equal | Comparison::NotEqual)) => 7,
            Self::Operator(Operator::Compare(_)) => 8,
            Self::Operator(Operator::Math(Math::Add | Math::Subtract)) => 9,
            Self::Operator(Operator::Math(Math::Multiply | Math::Divide)) => 10,
            Self::Operator(Operator::Math(Math::Remainder)) => 11,
        }
    }

    fn right_associative(&self) -> bool {
        matches!(self, Self::Pipe | Self::Bind(_) | Self::Operator(Operator::Assign))
    }

    fn join(self, left: Term, right: Term) -> Term {
        match self {
            Self::Pipe => Term::Pipe(Box::new(left), Box::new(right)),
            Self::Bind(pattern) => Term::Bind(Box::new(left), pattern, Box::new(right)),
            Self::Operator(operator) => Term::Binary(operator, Box::new(left), Box::new(right)),
            Self::Comma => match left {
                Term::Comma(mut terms) => {
                    terms.push(right);
                    Term::Comma(terms)
                }
                left => Term::Comma(vec![left, right]),
            },
        }
    }
}

/// What follows the first atom of a term, read from the end towards the start (so that `pop` is `next`).
pub(super) struct Tail {
    pub(super) reversed: Vec<(Joint, Term)>,
}

impl Tail {
    fn next_precedence(&self) -> Option<u8> {
        self.reversed.last().map(|(joint, _)| joint.precedence())
    }

    /// Joins `left` with everything that binds at least as strongly as `least`.
    pub(super) fn climb(&mut self, mut left: Term, least: u8) -> Term {
        while self.next_precedence().is_some_and(|precedence| precedence >= least) {
            let Some((joint, mut right)) = self.reversed.pop() else {
                break;
            };
            let this = joint.precedence();
            if matches!(joint, Joint::Bind(_)) {
                // The scope of `as $x |` reaches to the end of the term.
                right = self.climb(right, 0);
            }
            while let Some(next) = self.next_precedence() {
                if next > this || (joint.right_associative() && next == this) {
                    right = self.climb(right, next);
                } else {
                    break;
                }
            }
            left = joint.join(left, right);
        }
        left
    }
}

/// The operator that a symbol is, but for `|` and `,`.
pub(super) fn operator(symbol: &str) -> Option<Operator> {
    Some(match symbol {
        "+" => Operator::Math(Math::Add),
        "-" => Operator::Math(Math::Subtract),
        "*" => Operator::Math(Math::Multiply),
        "/" => Operator::Math(Math::Divide),
        "%" => Operator::Math(Math::Remainder),
        "==" => Operator::Compare(Comparison::Equal),
        "!=" => Operator::Compare(Comparison::NotEqual),
        "<" => Operator::Compare(Comparison::Less),
        "<=" => Operator::Compare(Comparison::LessOrEqual),
        ">" => Operator::Compare(Comparison::Greater),
        ">=" => Operator::Compare(Comparison::GreaterOrEqual),
        "//" => Operator::Alternative,
        "=" | "|=" | "+=" | "-=" | "*=" | "/=" | "%=" | "//=" => Operator::Assign,
        _ => return None,
    })
}
