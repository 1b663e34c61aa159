//! What an expression refers to: every function must be one that it may call, every label must exist, and the variables
//! that it does not bind itself come from outside. Secrets are named in full: which ones an expression reads must not depend on
//! any value.

use std::collections::BTreeSet;

use crate::SecretPath;
use crate::functions;
use crate::secret;
use crate::syntax::SyntaxError;
use crate::syntax::tree::{Definition, Name, Part, Pattern, Piece, Step, Term};

/// The variable that holds the secrets.
pub(crate) const SECRETS: &str = "secrets";

/// The variable that may hold some, in one of its members.
pub(crate) const AUTHORIZATION: (&str, &str) = ("authorization", "parameter");

type Result<T> = std::result::Result<T, SyntaxError>;

/// What an expression takes from outside.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The variables, sorted.
    pub variables: Vec<String>,
    /// The secrets that it reads.
    pub secrets: BTreeSet<SecretPath>,
    /// Whether it can make text with characters that none of its texts has.
    pub decodes: bool,
}

/// Checks every name; yields what comes from outside.
pub(crate) fn check(term: &Term) -> Result<Names> {
    let mut checker = Checker::default();
    checker.term(term)?;
    Ok(Names {
        variables: checker.outside.into_iter().collect(),
        secrets: checker.secrets,
        decodes: checker.decodes,
    })
}

/// The names in scope at a place, innermost last.
#[derive(Default)]
struct Checker {
    functions: Vec<(String, usize)>,
    variables: Vec<String>,
    labels: Vec<String>,
    outside: BTreeSet<String>,
    secrets: BTreeSet<SecretPath>,
    decodes: bool,
}

impl Checker {
    fn term(&mut self, term: &Term) -> Result<()> {
        match term {
            Term::Id | Term::Recurse | Term::Number(_) | Term::Array(None) => Ok(()),
            Term::Text(format, pieces) => {
                if let Some(format) = format {
                    self.call(format, 0)?;
                }
                pieces.iter().try_for_each(|piece| match piece {
                    Piece::Literal(text) if secret::is_in_text(text) => Err(SyntaxError::new(
                        0,
                        "a string has the characters U+FDD0 or U+FDD1, which are kept for the placeholders of secrets",
                    )),
                    Piece::Literal(_) => Ok(()),
                    Piece::Interpolated(term) => self.term(term),
                })
            }
            Term::Array(Some(inner)) | Term::Negate(inner) => self.term(inner),
            Term::Object(entries) => entries.iter().try_for_each(|(key, value)| {
                self.term(key)?;
                value.iter().try_for_each(|value| self.term(value))
            }),
            Term::Pipe(left, right) | Term::Binary(_, left, right) => {
                self.term(left)?;
                self.term(right)
            }
            Term::Bind(source, pattern, body) => {
                self.term(source)?;
                self.binding(pattern, |checker| checker.term(body))
            }
            Term::Comma(terms) => terms.iter().try_for_each(|term| self.term(term)),
            Term::Label(name, body) => {
                self.labels.push(name.clone());
                self.term(body)?;
                self.labels.pop();
                Ok(())
            }
            Term::Break(name) if self.labels.contains(&name.text) => Ok(()),
            Term::Break(name) => Err(SyntaxError::new(name.at, format!("there is no label ${}", name.text))),
            Term::Fold {
                source,
                pattern,
                arguments,
            } => {
                self.term(source)?;
                let (start, rest) = arguments.split_at(1.min(arguments.len()));
                start.iter().try_for_each(|term| self.term(term))?;
                self.binding(pattern, |checker| rest.iter().try_for_each(|term| checker.term(term)))
            }
            Term::Try(body, handler) => {
                self.term(body)?;
                handler.iter().try_for_each(|handler| self.term(handler))
            }
            Term::If(branches, otherwise) => {
                for (condition, branch) in branches {
                    self.term(condition)?;
                    self.term(branch)?;
                }
                otherwise.iter().try_for_each(|term| self.term(term))
            }
            Term::Define(definitions, body) => {
                let functions = self.functions.len();
                for definition in definitions {
                    self.definition(definition)?;
                }
                self.term(body)?;
                self.functions.truncate(functions);
                Ok(())
            }
            Term::Call(name, arguments) => {
                self.call(name, arguments.len())?;
                arguments.iter().try_for_each(|argument| self.term(argument))
            }
            Term::Variable(name) if self.is_secrets(name) => Err(SyntaxError::new(
                name.at,
                "$secrets is no value of its own; name the secret: $secrets.name or $secrets.name.field",
            )),
            Term::Variable(name) => self.variable(name),
            Term::Path(base, steps) if matches!(&**base, Term::Variable(name) if self.is_secrets(name)) => {
                self.secret(steps, base)
            }
            Term::Path(base, steps) => {
                self.term(base)?;
                steps.iter().try_for_each(|step| self.step(step))
            }
        }
    }

    /// Whether a variable is the one from outside that holds the secrets.
    fn is_secrets(&self, name: &Name) -> bool {
        name.text == SECRETS && !self.variables.contains(&name.text)
    }

    /// Notes the secret that a path of `$secrets` names.
    fn secret(&mut self, steps: &[Step], base: &Term) -> Result<()> {
        let at = if let Term::Variable(name) = base { name.at } else { 0 };
        let names = steps.iter().map(|step| literal(&step.part)).collect::<Option<Vec<_>>>();
        let Some((name, fields)) = names.as_deref().and_then(<[String]>::split_first) else {
            return Err(SyntaxError::new(
                at,
                "a secret and its fields are named in full, as in $secrets.name.field; they cannot be computed",
            ));
        };
        self.outside.insert(SECRETS.to_owned());
        self.secrets.insert(SecretPath::new(name.clone(), fields.to_vec()));
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match &step.part {
            Part::Index(index) => self.term(index),
            Part::Slice(from, to) => from.iter().chain(to).try_for_each(|bound| self.term(bound)),
            Part::Iterate => Ok(()),
        }
    }

    fn definition(&mut self, definition: &Definition) -> Result<()> {
        self.functions
            .push((definition.name.clone(), definition.parameters.len()));
        let (functions, variables) = (self.functions.len(), self.variables.len());
        for parameter in &definition.parameters {
            match parameter.strip_prefix('$') {
                Some(variable) => self.variables.push(variable.to_owned()),
                None => self.functions.push((parameter.clone(), 0)),
            }
        }
        self.term(&definition.body)?;
        self.functions.truncate(functions);
        self.variables.truncate(variables);
        Ok(())
    }

    fn binding(&mut self, pattern: &Pattern, inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let variables = self.variables.len();
        self.pattern(pattern)?;
        inside(self)?;
        self.variables.truncate(variables);
        Ok(())
    }

    fn pattern(&mut self, pattern: &Pattern) -> Result<()> {
        match pattern {
            Pattern::Variable(name) => {
                self.variables.push(name.clone());
                Ok(())
            }
            Pattern::Array(items) => items.iter().try_for_each(|item| self.pattern(item)),
            Pattern::Object(entries) => entries.iter().try_for_each(|(key, item)| {
                self.term(key)?;
                self.pattern(item)
            }),
        }
    }

    fn call(&mut self, name: &Name, arguments: usize) -> Result<()> {
        self.decodes |= functions::decodes(&name.text);
        let own = self
            .functions
            .iter()
            .any(|(function, arity)| *function == name.text && *arity == arguments);
        if own {
            return Ok(());
        }
        functions::check_call(&name.text, arguments).map_err(|message| SyntaxError::new(name.at, message))
    }

    fn variable(&mut self, name: &Name) -> Result<()> {
        if self.variables.contains(&name.text) {
            return Ok(());
        }
        if let Some(refusal) = functions::refusal(&format!("${}", name.text)) {
            return Err(SyntaxError::new(name.at, refusal));
        }
        self.outside.insert(name.text.clone());
        Ok(())
    }
}

/// The name that a step names without computing anything.
pub(crate) fn literal(part: &Part) -> Option<String> {
    match part {
        Part::Index(Term::Text(None, pieces)) => match pieces.as_slice() {
            [] => Some(String::new()),
            [Piece::Literal(name)] => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}
