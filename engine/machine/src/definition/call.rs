//! What a `call` task calls, compiled.

use potok_expr::{Expression, Template};

use super::{NodeId, TextTemplate};
use crate::{effect::HttpOutput, lock::LockedFunction};

/// A call.
#[derive(Debug)]
pub(crate) enum Call {
    /// A function of a plugin; `key` is for the idempotency key, instead of the derived one.
    Function {
        function: LockedFunction,
        with: Option<Template>,
        key: Option<TextTemplate>,
    },
    /// A task of `use.functions`.
    Task { node: NodeId, with: Option<Template> },
    /// An HTTP request.
    Http {
        request: Box<HttpTemplate>,
        key: Option<TextTemplate>,
    },
}

/// `with` of `call: http`.
#[derive(Debug)]
pub(crate) struct HttpTemplate {
    pub(crate) method: TextTemplate,
    pub(crate) uri: Uri,
    pub(crate) headers: Option<Template>,
    pub(crate) query: Option<Template>,
    pub(crate) body: Option<Template>,
    pub(crate) output: HttpOutput,
    pub(crate) redirect: bool,
    pub(crate) authentication: Option<Authentication>,
}

/// A URI: an expression, or a template of literal parts and names in braces.
#[derive(Debug)]
pub(crate) enum Uri {
    Expression(Expression),
    Template(Vec<UriPart>),
}

/// A part of a URI template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UriPart {
    Literal(String),
    Variable(String),
}

impl Uri {
    /// Splits a URI template; the error says what is wrong with it.
    pub(crate) fn parse_template(text: &str) -> Result<Vec<UriPart>, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (literal, tail) = rest.split_at(open);
            let close = tail
                .find('}')
                .ok_or_else(|| format!("'{{' without '}}' in the URI template {text}"))?;
            let name = &tail[1..close];
            if name.is_empty() || name.contains('{') {
                return Err(format!(
                    "a name is expected between '{{' and '}}' in the URI template {text}"
                ));
            }
            if !literal.is_empty() {
                parts.push(UriPart::Literal(literal.to_owned()));
            }
            parts.push(UriPart::Variable(name.to_owned()));
            rest = &tail[close + 1..];
        }
        if rest.contains('}') {
            return Err(format!("'}}' without '{{' in the URI template {text}"));
        }
        if !rest.is_empty() {
            parts.push(UriPart::Literal(rest.to_owned()));
        }
        Ok(parts)
    }
}

/// An authentication policy.
#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) scheme: &'static str,
    pub(crate) properties: Template,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uri_templates_are_split_at_their_names() {
        let parts = Uri::parse_template("https://a/{x}?y={pet.id}").unwrap();
        let literal = |text: &str| UriPart::Literal(text.to_owned());
        let variable = |text: &str| UriPart::Variable(text.to_owned());
        assert_eq!(
            parts,
            [literal("https://a/"), variable("x"), literal("?y="), variable("pet.id")]
        );
        for bad in ["{", "a{}b", "a}b", "{a{b}}"] {
            assert!(Uri::parse_template(bad).is_err(), "{bad}");
        }
    }
}
