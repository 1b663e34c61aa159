//! URIs with variables: simple string expansion (RFC 6570, section 3.2.2), which is all that the specification takes of URI templates.

use potok_dsl::model::Text;
use potok_expr::Expression;

use super::{
    compile::Compiler,
    variables::{Place, Variables},
};

/// The operators of the other kinds of expansion (RFC 6570, section 2.2).
const OPERATORS: &str = "+#./;?&=,!@|";

/// A URI: an expression, or a template.
#[derive(Debug)]
pub(crate) enum Uri {
    Expression(Expression),
    Template(UriTemplate),
}

/// Literal parts, and variables in braces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UriTemplate(pub(crate) Vec<UriPart>);

/// A part of a URI template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UriPart {
    Literal(String),
    /// `{name}` or `{first,second}`.
    Variables(Vec<UriVariable>),
}

/// A variable: the name of a member of the input, as it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UriVariable {
    pub(crate) name: String,
    /// How many characters of it are wanted, when not all: `{name:3}`.
    pub(crate) prefix: Option<usize>,
}

impl UriTemplate {
    /// Splits a template; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (literal, tail) = rest.split_at(open);
            let close = tail
                .find('}')
                .ok_or_else(|| format!("'{{' without '}}' in the URI template {text}"))?;
            if !literal.is_empty() {
                parts.push(UriPart::Literal(literal.to_owned()));
            }
            parts.push(UriPart::Variables(variables(&tail[1..close], text)?));
            rest = &tail[close + 1..];
        }
        if rest.contains('}') {
            return Err(format!("'}}' without '{{' in the URI template {text}"));
        }
        if !rest.is_empty() {
            parts.push(UriPart::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

fn variables(inside: &str, text: &str) -> Result<Vec<UriVariable>, String> {
    if inside.starts_with(|first| OPERATORS.contains(first)) {
        return Err(format!(
            "{{{inside}}} in the URI template {text} is no simple expansion: write {{name}}"
        ));
    }
    inside
        .split(',')
        .map(|variable| {
            let (name, prefix) = modifiers(variable);
            if name.is_empty() || name.contains('{') {
                return Err(format!(
                    "a name is expected between '{{' and '}}' in the URI template {text}"
                ));
            }
            Ok(UriVariable {
                name: name.to_owned(),
                prefix,
            })
        })
        .collect()
}

/// A prefix (`:3`) or an explosion (`*`, which changes nothing of text) behind a name.
fn modifiers(variable: &str) -> (&str, Option<usize>) {
    if let Some((name, length)) = variable.rsplit_once(':')
        && matches!(length.len(), 1..=4)
        && length.bytes().all(|b| b.is_ascii_digit())
    {
        return (name, length.parse().ok());
    }
    (variable.strip_suffix('*').unwrap_or(variable), None)
}

impl Compiler<'_> {
    /// A URI, a URI template or an expression.
    pub(super) fn uri(&mut self, text: &Text, place: Place, scope: &Variables) -> Option<Uri> {
        if potok_expr::is_expression(&text.value) {
            return self.expression(text, place, scope).map(Uri::Expression);
        }
        match UriTemplate::parse(&text.value) {
            Ok(template) => Some(Uri::Template(template)),
            Err(message) => self.refuse(text.at, message),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn variable(name: &str, prefix: Option<usize>) -> UriVariable {
        UriVariable {
            name: name.to_owned(),
            prefix,
        }
    }

    #[test]
    fn templates_are_split_at_their_variables() {
        let literal = |text: &str| UriPart::Literal(text.to_owned());
        let one = |name: &str| UriPart::Variables(vec![variable(name, None)]);
        let parts = UriTemplate::parse("https://a/{x}?y={pet.id}").unwrap();
        assert_eq!(
            parts.0,
            [literal("https://a/"), one("x"), literal("?y="), one("pet.id")]
        );
        let parts = UriTemplate::parse("{x,pet-id:3,z*,a:b}").unwrap();
        let variables = vec![
            variable("x", None),
            variable("pet-id", Some(3)),
            variable("z", None),
            variable("a:b", None),
        ];
        assert_eq!(parts.0, [UriPart::Variables(variables)]);
        for bad in ["{", "a{}b", "a}b", "{a{b}}", "{a,}", "{:3}"] {
            assert!(UriTemplate::parse(bad).is_err(), "{bad}");
        }
        for other in ["{?x}", "{+x}", "{#x}", "{/x}", "{.x}", "{;x}", "{&x}"] {
            let said = UriTemplate::parse(other).unwrap_err();
            assert!(said.contains("no simple expansion"), "{said}");
        }
    }
}
