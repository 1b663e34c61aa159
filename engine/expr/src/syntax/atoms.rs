//! Terms without operators: literals, calls, control structures and what stands in brackets.

use super::parser::Parser;
use super::token::Token;
use super::tree::{Definition, Name, Piece, Term};
use super::{Result, SyntaxError};

impl Parser<'_> {
    /// Whatever may stand behind `try`: a term without operators.
    pub(super) fn atom(&mut self) -> Result<Term> {
        self.nested(Self::atom_inside)
    }

    fn atom_inside(&mut self) -> Result<Term> {
        let (token, at) = self.next()?;
        let mut term = match token {
            Token::Symbol("-") => Term::Negate(Box::new(self.atom()?)),
            Token::Word("def") => self.definitions()?,
            Token::Word("if") => self.conditional()?,
            Token::Word("try") => {
                let body = self.atom()?;
                let handler = if self.take_word("catch")? {
                    Some(Box::new(self.atom()?))
                } else {
                    None
                };
                Term::Try(Box::new(body), handler)
            }
            Token::Word("label") => {
                let name = self.variable()?.text;
                self.expect("|")?;
                Term::Label(name, Box::new(self.term(true)?))
            }
            Token::Word("break") => Term::Break(self.variable()?),
            Token::Word("reduce" | "foreach") => self.fold(token, at)?,
            Token::Word("import" | "include") => return Err(SyntaxError::new(at, "modules are not available")),
            Token::Word(word @ ("then" | "elif" | "else" | "end" | "as" | "and" | "or" | "catch")) => {
                return Err(SyntaxError::new(at, format!("unexpected '{word}'")));
            }
            Token::Word(word) => {
                let arguments = self.arguments()?;
                Term::Call(
                    Name {
                        text: word.to_owned(),
                        at,
                    },
                    arguments,
                )
            }
            Token::Format(format) => {
                let name = Name {
                    text: format.to_owned(),
                    at,
                };
                if self.peek()?.0 == Token::Quote {
                    self.next()?;
                    Term::Text(Some(name), self.text_pieces(at)?)
                } else {
                    Term::Call(name, self.arguments()?)
                }
            }
            Token::Variable(name) => Term::Variable(Name {
                text: name.to_owned(),
                at,
            }),
            Token::Number(number) => Term::Number(number.to_owned()),
            Token::Quote => Term::Text(None, self.text_pieces(at)?),
            Token::Field(name) => self.path_from(literal(name))?,
            Token::Symbol("..") => Term::Recurse,
            Token::Symbol(".") => match self.peek()?.0 {
                Token::Quote | Token::Format(_) => {
                    let key = self.text_key()?;
                    self.path_from(key)?
                }
                _ => Term::Id,
            },
            Token::Symbol("(") => {
                let term = self.term(true)?;
                self.expect(")")?;
                term
            }
            Token::Symbol("[") => {
                if self.take("]")? {
                    Term::Array(None)
                } else {
                    let items = self.term(true)?;
                    self.expect("]")?;
                    Term::Array(Some(Box::new(items)))
                }
            }
            Token::Symbol("{") => self.object()?,
            token => {
                return Err(SyntaxError::new(
                    at,
                    format!("expected an expression, found {}", token.describe()),
                ));
            }
        };
        if self.optional()? {
            term = Term::Try(Box::new(term), None);
        }
        let steps = self.steps()?;
        Ok(if steps.is_empty() {
            term
        } else {
            Term::Path(Box::new(term), steps)
        })
    }

    fn definitions(&mut self) -> Result<Term> {
        let mut definitions = vec![self.definition()?];
        while self.take_word("def")? {
            definitions.push(self.definition()?);
        }
        Ok(Term::Define(definitions, Box::new(self.term(true)?)))
    }

    fn definition(&mut self) -> Result<Definition> {
        let name = match self.next()? {
            (Token::Word(name) | Token::Format(name), _) => name.to_owned(),
            (token, at) => {
                return Err(SyntaxError::new(
                    at,
                    format!("expected a name after 'def', found {}", token.describe()),
                ));
            }
        };
        let mut parameters = Vec::new();
        if self.take("(")? {
            loop {
                parameters.push(match self.next()? {
                    (Token::Word(name), _) => name.to_owned(),
                    (Token::Variable(name), _) => format!("${name}"),
                    (token, at) => {
                        return Err(SyntaxError::new(
                            at,
                            format!("expected a parameter, found {}", token.describe()),
                        ));
                    }
                });
                if self.take(")")? {
                    break;
                }
                self.expect(";")?;
            }
        }
        self.expect(":")?;
        let body = self.term(true)?;
        self.expect(";")?;
        Ok(Definition { name, parameters, body })
    }

    fn conditional(&mut self) -> Result<Term> {
        let mut branches = Vec::new();
        loop {
            let condition = self.term(true)?;
            self.expect_word("then")?;
            branches.push((condition, self.term(true)?));
            if self.take_word("end")? {
                return Ok(Term::If(branches, None));
            }
            if self.take_word("else")? {
                let otherwise = self.term(true)?;
                self.expect_word("end")?;
                return Ok(Term::If(branches, Some(Box::new(otherwise))));
            }
            if !self.take_word("elif")? {
                return Err(self.unexpected("'elif', 'else' or 'end'"));
            }
        }
    }

    fn fold(&mut self, keyword: Token<'_>, at: usize) -> Result<Term> {
        let source = self.atom()?;
        self.expect_word("as")?;
        let pattern = self.pattern()?;
        let arguments = self.arguments()?;
        match (keyword, arguments.len()) {
            (Token::Word("reduce"), 2) | (Token::Word("foreach"), 2 | 3) => Ok(Term::Fold {
                source: Box::new(source),
                pattern,
                arguments,
            }),
            _ => Err(SyntaxError::new(
                at,
                format!("{} takes (start; update)", keyword.describe()),
            )),
        }
    }

    pub(super) fn variable(&mut self) -> Result<Name> {
        match self.next()? {
            (Token::Variable(name), at) => Ok(Name {
                text: name.to_owned(),
                at,
            }),
            (token, at) => Err(SyntaxError::new(
                at,
                format!("expected a variable, found {}", token.describe()),
            )),
        }
    }

    pub(super) fn arguments(&mut self) -> Result<Vec<Term>> {
        let mut arguments = Vec::new();
        if self.take("(")? {
            loop {
                arguments.push(self.term(true)?);
                if self.take(")")? {
                    break;
                }
                if !self.take(";")? {
                    return Err(self.unexpected("';' or ')'"));
                }
            }
        }
        Ok(arguments)
    }
}

/// A string without interpolation.
pub(super) fn literal(text: &str) -> Term {
    Term::Text(
        None,
        if text.is_empty() {
            Vec::new()
        } else {
            vec![Piece::Literal(text.to_owned())]
        },
    )
}
