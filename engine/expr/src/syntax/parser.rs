//! The parser: recursive descent for atoms and paths, precedence climbing for operators, bounded in depth.

use super::token::{Token, token};
use super::tree::{Comparison, Definition, Math, Name, Operator, Part, Pattern, Piece, Step, Term};
use super::{MAX_NESTING, MAX_TEXT, SyntaxError};

type Result<T> = std::result::Result<T, SyntaxError>;

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

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// How many terms and atoms are open.
    depth: usize,
    /// An upper bound of the height of the tree below what is being read.
    height: usize,
}

/// What joins two atoms, before precedence is settled.
enum Joint {
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
struct Tail {
    reversed: Vec<(Joint, Term)>,
}

impl Tail {
    fn next_precedence(&self) -> Option<u8> {
        self.reversed.last().map(|(joint, _)| joint.precedence())
    }

    /// Joins `left` with everything that binds at least as strongly as `least`.
    fn climb(&mut self, mut left: Term, least: u8) -> Term {
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

impl<'a> Parser<'a> {
    fn peek(&self) -> Result<(Token<'a>, usize, usize)> {
        token(self.text, self.at)
    }

    fn next(&mut self) -> Result<(Token<'a>, usize)> {
        let (token, start, end) = self.peek()?;
        self.at = end;
        Ok((token, start))
    }

    fn take(&mut self, symbol: &str) -> Result<bool> {
        let (token, _, end) = self.peek()?;
        let taken = token == Token::Symbol(symbol);
        if taken {
            self.at = end;
        }
        Ok(taken)
    }

    fn take_word(&mut self, word: &str) -> Result<bool> {
        let (token, _, end) = self.peek()?;
        let taken = token == Token::Word(word);
        if taken {
            self.at = end;
        }
        Ok(taken)
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.take(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{symbol}'")))
        }
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{word}'")))
        }
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        match self.peek() {
            Ok((token, at, _)) => SyntaxError::new(at, format!("expected {wanted}, found {}", token.describe())),
            Err(error) => error,
        }
    }

    /// Runs a part of the grammar one level deeper.
    fn nested<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
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
    fn term(&mut self, commas: bool) -> Result<Term> {
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

    fn joint(&mut self, commas: bool) -> Result<Option<Joint>> {
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

    fn pattern(&mut self) -> Result<Pattern> {
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

    fn pattern_entry(&mut self) -> Result<(Term, Pattern)> {
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

    /// Whatever may stand behind `try`: a term without operators.
    fn atom(&mut self) -> Result<Term> {
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

    /// A path that starts with a key behind a dot.
    fn path_from(&mut self, key: Term) -> Result<Term> {
        let optional = self.optional()?;
        let mut steps = vec![Step {
            part: Part::Index(key),
            optional,
        }];
        steps.extend(self.steps()?);
        Ok(Term::Path(Box::new(Term::Id), steps))
    }

    fn optional(&mut self) -> Result<bool> {
        let mut optional = false;
        while self.take("?")? {
            optional = true;
        }
        Ok(optional)
    }

    fn steps(&mut self) -> Result<Vec<Step>> {
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
        }
    }

    /// What stands behind `[` in a path.
    fn bracket(&mut self) -> Result<Part> {
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

    fn object(&mut self) -> Result<Term> {
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

    fn object_entry(&mut self) -> Result<(Term, Option<Term>)> {
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
    fn text_key(&mut self) -> Result<Term> {
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

    fn variable(&mut self) -> Result<Name> {
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

    fn arguments(&mut self) -> Result<Vec<Term>> {
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

    /// The inside of a string whose opening quote (at `quote`) has been read.
    fn text_pieces(&mut self, quote: usize) -> Result<Vec<Piece>> {
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

fn literal(text: &str) -> Term {
    Term::Text(
        None,
        if text.is_empty() {
            Vec::new()
        } else {
            vec![Piece::Literal(text.to_owned())]
        },
    )
}

fn operator(symbol: &str) -> Option<Operator> {
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
