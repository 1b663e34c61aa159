//! Paths, objects and strings.

use super::atoms::literal;
use super::parser::Parser;
use super::token::Token;
use super::tree::{Name, Part, Piece, Step, Term};
use super::{MAX_NESTING, Result, SyntaxError};

impl Parser<'_> {
    /// A path that starts with a key behind a dot.
    pub(super) fn path_from(&mut self, key: Term) -> Result<Term> {
        let optional = self.optional()?;
        let mut steps = vec![Step {
            part: Part::Index(key),
            optional,
        }];
        steps.extend(self.steps()?);
        Ok(Term::Path(Box::new(Term::Id), steps))
    }

    pub(super) fn optional(&mut self) -> Result<bool> {
        let mut optional = false;
        while self.take("?")? {
            optional = true;
        }
        Ok(optional)
    }

    pub(super) fn steps(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let (token, _, end) = self.peek()?;
            let part = match token {
                Token::Symbol("[") => {
                    self.at = end;
                    self.bracket()?
                }
                Token::Field(name) => {
                    self.at = end;
                    Part::Index(literal(name))
                }
                Token::Symbol(".") => {
                    self.at = end;
                    if self.take("[")? {
                        self.bracket()?
                    } else {
                        Part::Index(self.text_key()?)
                    }
                }
                _ => return Ok(steps),
            };
            steps.push(Step {
                part,
                optional: self.optional()?,
            });
            if steps.len() > MAX_NESTING {
                return Err(SyntaxError::new(
                    self.at,
                    format!("a path of more than {MAX_NESTING} steps"),
                ));
            }
        }
    }

    /// What stands behind `[` in a path.
    pub(super) fn bracket(&mut self) -> Result<Part> {
        if self.take("]")? {
            return Ok(Part::Iterate);
        }
        if self.take(":")? {
            let to = self.term(true)?;
            self.expect("]")?;
            return Ok(Part::Slice(None, Some(to)));
        }
        let from = self.term(true)?;
        if !self.take(":")? {
            self.expect("]")?;
            return Ok(Part::Index(from));
        }
        if self.take("]")? {
            return Ok(Part::Slice(Some(from), None));
        }
        let to = self.term(true)?;
        self.expect("]")?;
        Ok(Part::Slice(Some(from), Some(to)))
    }

    pub(super) fn object(&mut self) -> Result<Term> {
        let mut entries = Vec::new();
        if self.take("}")? {
            return Ok(Term::Object(entries));
        }
        loop {
            entries.push(self.object_entry()?);
            if self.take("}")? {
                return Ok(Term::Object(entries));
            }
            self.expect(",")?;
            if self.take("}")? {
                return Ok(Term::Object(entries));
            }
        }
    }

    pub(super) fn object_entry(&mut self) -> Result<(Term, Option<Term>)> {
        let (token, at, end) = self.peek()?;
        let key = match token {
            Token::Symbol("(") => {
                self.at = end;
                let key = self.term(true)?;
                self.expect(")")?;
                self.expect(":")?;
                return Ok((key, Some(self.term(false)?)));
            }
            Token::Variable(name) => {
                self.at = end;
                Term::Variable(Name {
                    text: name.to_owned(),
                    at,
                })
            }
            Token::Word(word) => {
                self.at = end;
                literal(word)
            }
            _ => self.text_key()?,
        };
        let value = if self.take(":")? { Some(self.term(false)?) } else { None };
        Ok((key, value))
    }

    /// `"…"` or `@format "…"`.
    pub(super) fn text_key(&mut self) -> Result<Term> {
        match self.next()? {
            (Token::Quote, at) => Ok(Term::Text(None, self.text_pieces(at)?)),
            (Token::Format(format), at) => match self.next()? {
                (Token::Quote, quote) => Ok(Term::Text(
                    Some(Name {
                        text: format.to_owned(),
                        at,
                    }),
                    self.text_pieces(quote)?,
                )),
                (token, at) => Err(SyntaxError::new(
                    at,
                    format!("expected a string, found {}", token.describe()),
                )),
            },
            (token, at) => Err(SyntaxError::new(
                at,
                format!("expected a key, found {}", token.describe()),
            )),
        }
    }

    /// The inside of a string whose opening quote (at `quote`) has been read.
    pub(super) fn text_pieces(&mut self, quote: usize) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(stop) = rest.find(['"', '\\']) else {
                return Err(SyntaxError::new(quote, "the string is not closed"));
            };
            literal.push_str(&rest[..stop]);
            self.at += stop + 1;
            if rest[stop..].starts_with('"') {
                break;
            }
            if self.text[self.at..].starts_with('(') {
                self.at += 1;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Interpolated(self.term(true)?));
                self.expect(")")?;
            } else {
                literal.push(self.escape()?);
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }

    /// The character that an escape behind a backslash stands for.
    fn escape(&mut self) -> Result<char> {
        let at = self.at - 1;
        let wrong = || SyntaxError::new(at, "unknown escape in a string");
        let rest = &self.text[self.at..];
        let first = rest.chars().next().ok_or_else(wrong)?;
        self.at += first.len_utf8();
        Ok(match first {
            '\\' | '/' | '"' => first,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let hex = rest
                    .get(1..5)
                    .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let code = hex
                    .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                    .and_then(char::from_u32);
                self.at += 4;
                code.ok_or_else(|| {
                    SyntaxError::new(at, "expected four hexadecimal digits of a character (no surrogates)")
                })?
            }
            _ => return Err(wrong()),
        })
    }
}
