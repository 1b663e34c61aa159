//! The parser: recursive descent for atoms and paths, precedence climbing for operators, bounded in depth.

use super::atoms::literal;
use super::operators::{Joint, Tail, operator};
use super::token::{Token, token};
use super::tree::{Operator, Pattern, Term};
use super::{MAX_NESTING, MAX_TEXT, Result, SyntaxError};

/// Parses a whole expression.
pub(crate) fn parse(text: &str) -> Result<Term> {
    if text.len() > MAX_TEXT {
        return Err(SyntaxError::new(
            0,
            format!("an expression has at most {MAX_TEXT} bytes"),
        ));
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        height: 0,
    };
    let term = parser.term(true)?;
    match parser.peek()? {
        (Token::End, ..) => Ok(term),
        (token, at, _) => Err(SyntaxError::new(at, format!("unexpected {}", token.describe()))),
    }
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// How many terms and atoms are open.
    depth: usize,
    /// An upper bound of the height of the tree below what is being read.
    height: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Result<(Token<'a>, usize, usize)> {
        token(self.text, self.at)
    }

    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize)> {
        let (token, start, end) = self.peek()?;
        self.at = end;
        Ok((token, start))
    }

    pub(super) fn take(&mut self, symbol: &str) -> Result<bool> {
        let (token, _, end) = self.peek()?;
        let taken = token == Token::Symbol(symbol);
        if taken {
            self.at = end;
        }
        Ok(taken)
    }

    pub(super) fn take_word(&mut self, word: &str) -> Result<bool> {
        let (token, _, end) = self.peek()?;
        let taken = token == Token::Word(word);
        if taken {
            self.at = end;
        }
        Ok(taken)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.take(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{symbol}'")))
        }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{word}'")))
        }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> SyntaxError {
        match self.peek() {
            Ok((token, at, _)) => SyntaxError::new(at, format!("expected {wanted}, found {}", token.describe())),
            Err(error) => error,
        }
    }

    /// Runs a part of the grammar one level deeper.
    pub(super) fn nested<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_NESTING {
            return Err(SyntaxError::new(self.at, format!("nested deeper than {MAX_NESTING}")));
        }
        self.depth += 1;
        let siblings = std::mem::take(&mut self.height);
        let result = inside(self)?;
        self.depth -= 1;
        self.height = siblings.max(self.height + 1);
        if self.height > MAX_NESTING {
            return Err(SyntaxError::new(
                self.at,
                format!("more than {MAX_NESTING} operators and levels"),
            ));
        }
        Ok(result)
    }

    /// `a | b as $x | c, d + e …`; without commas inside object values.
    pub(super) fn term(&mut self, commas: bool) -> Result<Term> {
        self.nested(|parser| {
            let head = parser.atom()?;
            let mut tail = Vec::new();
            let mut chain = 0;
            while let Some(joint) = parser.joint(commas)? {
                // Commas make a flat list, all else makes the tree higher by one.
                chain += usize::from(!matches!(joint, Joint::Comma));
                tail.push((joint, parser.atom()?));
            }
            parser.height += chain;
            if parser.height > MAX_NESTING {
                return Err(SyntaxError::new(
                    parser.at,
                    format!("more than {MAX_NESTING} operators and levels"),
                ));
            }
            tail.reverse();
            Ok(Tail { reversed: tail }.climb(head, 0))
        })
    }

    pub(super) fn joint(&mut self, commas: bool) -> Result<Option<Joint>> {
        let (token, at, end) = self.peek()?;
        let joint = match token {
            Token::Word("or") => Joint::Operator(Operator::Or),
            Token::Word("and") => Joint::Operator(Operator::And),
            Token::Word("as") => {
                self.at = end;
                let pattern = self.pattern()?;
                self.expect("|")?;
                return Ok(Some(Joint::Bind(pattern)));
            }
            Token::Symbol("|") => Joint::Pipe,
            Token::Symbol(",") if commas => Joint::Comma,
            Token::Symbol(symbol) => match operator(symbol) {
                Some(operator) => Joint::Operator(operator),
                None if symbol.starts_with(|c: char| "|=!<>+-*/%".contains(c)) => {
                    return Err(SyntaxError::new(at, format!("'{symbol}' is not an operator")));
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at = end;
        Ok(Some(joint))
    }

    pub(super) fn pattern(&mut self) -> Result<Pattern> {
        self.nested(|parser| match parser.next()? {
            (Token::Variable(name), _) => Ok(Pattern::Variable(name.to_owned())),
            (Token::Symbol("["), _) => {
                let mut items = vec![parser.pattern()?];
                while !parser.take("]")? {
                    parser.expect(",")?;
                    items.push(parser.pattern()?);
                }
                Ok(Pattern::Array(items))
            }
            (Token::Symbol("{"), _) => {
                let mut entries = vec![parser.pattern_entry()?];
                while !parser.take("}")? {
                    parser.expect(",")?;
                    if parser.take("}")? {
                        break;
                    }
                    entries.push(parser.pattern_entry()?);
                }
                Ok(Pattern::Object(entries))
            }
            (token, at) => Err(SyntaxError::new(
                at,
                format!("expected a pattern, found {}", token.describe()),
            )),
        })
    }

    pub(super) fn pattern_entry(&mut self) -> Result<(Term, Pattern)> {
        let (token, _, end) = self.peek()?;
        let key = match token {
            Token::Variable(name) => {
                self.at = end;
                return Ok((literal(name), Pattern::Variable(name.to_owned())));
            }
            Token::Symbol("(") => {
                self.at = end;
                let key = self.term(true)?;
                self.expect(")")?;
                key
            }
            Token::Word(word) => {
                self.at = end;
                literal(word)
            }
            _ => self.text_key()?,
        };
        self.expect(":")?;
        Ok((key, self.pattern()?))
    }
}
