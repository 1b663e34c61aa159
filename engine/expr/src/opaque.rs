//! What an expression may do with a secret that it reads: put it somewhere, with text around it, and no more. What looks into it (a
//! comparison, `test`, `@base64`) would see the placeholder and quietly give something else than its author wants, so it is refused.
//!
//! This is for authors, not a border: it follows a secret as far as an expression shows where it goes. Nothing depends on it that
//! keeps secrets secret.

use crate::check::{AUTHORIZATION, SECRETS, literal};
use crate::functions;
use crate::syntax::SyntaxError;
use crate::syntax::tree::{Math, Operator, Part, Pattern, Piece, Step, Term};

type Result<T> = std::result::Result<T, SyntaxError>;

/// What a term gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gives {
    /// No secret, as far as one can see.
    Other,
    /// Text with a secret in it.
    Secret,
}

use Gives::{Other, Secret};

/// Refuses what looks into a secret.
pub(crate) fn check(term: &Term) -> Result<()> {
    Follower::default().term(term, Other).map(drop)
}

#[derive(Default)]
struct Follower {
    /// The variables in scope, innermost last.
    variables: Vec<(String, Gives)>,
    /// The functions that the expression defines.
    functions: Vec<String>,
}

impl Follower {
    /// What a term gives for what `.` is.
    fn term(&mut self, term: &Term, dot: Gives) -> Result<Gives> {
        match term {
            Term::Id => Ok(dot),
            Term::Recurse | Term::Number(_) | Term::Array(None) | Term::Break(_) => Ok(Other),
            Term::Text(format, pieces) => {
                let mut gives = Other;
                for piece in pieces {
                    if let Piece::Interpolated(term) = piece {
                        gives = gives.max(self.term(term, dot)?);
                    }
                }
                match format {
                    Some(format) if gives == Secret && functions::looks(&format.text) => {
                        Err(refused(&format!("'{}'", format.text), format.at))
                    }
                    _ => Ok(gives),
                }
            }
            Term::Array(Some(inner)) => self.term(inner, dot).map(|_| Other),
            Term::Object(entries) => {
                for (key, value) in entries {
                    self.term(key, dot)?;
                    value.iter().try_for_each(|value| self.term(value, dot).map(drop))?;
                }
                Ok(Other)
            }
            Term::Negate(inner) => self.seen(inner, dot, "'-'").map(|()| Other),
            Term::Pipe(left, right) => {
                let left = self.term(left, dot)?;
                self.term(right, left)
            }
            Term::Bind(source, pattern, body) => {
                let source = self.term(source, dot)?;
                self.binding(pattern, source, |follower| follower.term(body, dot))
            }
            Term::Comma(terms) => self.any(terms, dot),
            Term::Binary(operator, left, right) => self.binary(*operator, left, right, dot),
            Term::Label(_, body) => self.term(body, dot),
            Term::Fold {
                source,
                pattern,
                arguments,
            } => {
                let source = self.term(source, dot)?;
                let start = arguments.first().map_or(Ok(Other), |start| self.term(start, dot))?;
                self.binding(pattern, source, |follower| {
                    follower.any(arguments.get(1..).unwrap_or_default(), start)
                })
            }
            Term::Try(body, handler) => {
                let body = self.term(body, dot)?;
                let handler = handler
                    .as_ref()
                    .map_or(Ok(Other), |handler| self.term(handler, Other))?;
                Ok(body.max(handler))
            }
            Term::If(branches, otherwise) => {
                let mut gives = otherwise
                    .as_ref()
                    .map_or(Ok(dot), |otherwise| self.term(otherwise, dot))?;
                for (condition, branch) in branches {
                    self.seen(condition, dot, "'if'")?;
                    gives = gives.max(self.term(branch, dot)?);
                }
                Ok(gives)
            }
            Term::Define(definitions, body) => {
                let functions = self.functions.len();
                self.functions
                    .extend(definitions.iter().map(|definition| definition.name.clone()));
                for definition in definitions {
                    self.term(&definition.body, Other)?;
                }
                let gives = self.term(body, dot);
                self.functions.truncate(functions);
                gives
            }
            Term::Call(name, arguments) => {
                let gives = self.any(arguments, dot)?.max(dot);
                if self.functions.contains(&name.text) {
                    return Ok(Other);
                }
                if gives == Secret && functions::looks(&name.text) {
                    return Err(refused(&format!("'{}'", name.text), name.at));
                }
                Ok(if name.text == "tostring" { gives } else { Other })
            }
            Term::Variable(name) => {
                let known = self.variables.iter().rev().find(|(variable, _)| *variable == name.text);
                Ok(known.map_or(Other, |(_, gives)| *gives))
            }
            Term::Path(base, steps) => {
                if let Term::Variable(name) = &**base
                    && !self.is_local(&name.text)
                    && (name.text == SECRETS || is_authorization(&name.text, steps))
                {
                    return Ok(Secret);
                }
                self.term(base, dot)?;
                for step in steps {
                    match &step.part {
                        Part::Index(index) => drop(self.term(index, dot)?),
                        Part::Slice(from, to) => {
                            from.iter()
                                .chain(to)
                                .try_for_each(|bound| self.term(bound, dot).map(drop))?;
                        }
                        Part::Iterate => {}
                    }
                }
                Ok(Other)
            }
        }
    }

    fn binary(&mut self, operator: Operator, left: &Term, right: &Term, dot: Gives) -> Result<Gives> {
        let sign = match operator {
            Operator::Alternative | Operator::Math(Math::Add) => {
                return Ok(self.term(left, dot)?.max(self.term(right, dot)?));
            }
            Operator::Assign => {
                self.term(left, dot)?;
                return self.term(right, dot).map(|_| Other);
            }
            Operator::Or => "'or'",
            Operator::And => "'and'",
            Operator::Compare(_) => "a comparison",
            Operator::Math(_) => "arithmetic",
        };
        self.seen(left, dot, sign)?;
        self.seen(right, dot, sign)?;
        Ok(Other)
    }

    /// A term whose value is looked at.
    fn seen(&mut self, term: &Term, dot: Gives, by: &str) -> Result<()> {
        match self.term(term, dot)? {
            Other => Ok(()),
            Secret => Err(refused(by, 0)),
        }
    }

    fn any(&mut self, terms: &[Term], dot: Gives) -> Result<Gives> {
        terms
            .iter()
            .try_fold(Other, |gives, term| Ok(gives.max(self.term(term, dot)?)))
    }

    fn is_local(&self, name: &str) -> bool {
        self.variables.iter().any(|(variable, _)| variable == name)
    }

    fn binding<T>(
        &mut self,
        pattern: &Pattern,
        gives: Gives,
        inside: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let variables = self.variables.len();
        self.pattern(pattern, gives);
        let result = inside(self);
        self.variables.truncate(variables);
        result
    }

    fn pattern(&mut self, pattern: &Pattern, gives: Gives) {
        match pattern {
            Pattern::Variable(name) => self.variables.push((name.clone(), gives)),
            Pattern::Array(items) => items.iter().for_each(|item| self.pattern(item, Other)),
            Pattern::Object(entries) => entries.iter().for_each(|(_, item)| self.pattern(item, Other)),
        }
    }
}

/// Whether a path is `$authorization.parameter`.
fn is_authorization(variable: &str, steps: &[Step]) -> bool {
    let first = steps.first().and_then(|step| literal(&step.part));
    variable == AUTHORIZATION.0 && first.as_deref() == Some(AUTHORIZATION.1)
}

fn refused(by: &str, at: usize) -> SyntaxError {
    let what = match by {
        "'@base64'" => "; for basic authentication there is 'authentication'",
        "'@uri'" => "; 'query' and URI templates encode it",
        _ => "",
    };
    SyntaxError::new(
        at,
        format!(
            "{by} looks into a secret, and would see what stands for it: an expression can put a secret somewhere, with text around it, and no more{what}"
        ),
    )
}
