//! Data with expressions in it: a JSON value whose strings of the form `${ … }` are computed, everything else is literal.

use serde_json::{Map, Value};

use crate::{Evaluator, Expression, ExpressionError, Scope};

/// How deep JSON may be nested, here and in every value an expression yields.
pub const MAX_DEPTH: usize = 128;

/// A JSON value in which the strings that are wholly `${ … }` (surrounding space allowed) are expressions.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// A subtree without any expression, kept whole.
    Literal(Value),
    Expression(Expression),
    /// An expression that stands for its own text when it fails.
    Loose(Expression, String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Template {
    /// Finds and compiles the expressions in `value`.
    ///
    /// # Errors
    /// The first bad expression, with the JSON pointer to it in `value`.
    pub fn parse(value: &Value, evaluator: &Evaluator) -> Result<Self, (String, ExpressionError)> {
        let mut pointer = String::new();
        let strict = |text: &str| match is_expression(text) {
            true => Expression::parse(text, evaluator).map(|expression| Some(Node::Expression(expression))),
            false => Ok(None),
        };
        compile(value, &strict, &mut pointer, 0)
            .map(Self)
            .map_err(|error| (pointer, error))
    }

    /// As [`Self::parse`] where any string may be an expression: `read` says which are. Where one fails it gives its own text.
    ///
    /// # Errors
    /// A value that is nested too deep, with the JSON pointer to the place.
    pub fn parse_loose(
        value: &Value,
        read: &dyn Fn(&str) -> Option<Expression>,
    ) -> Result<Self, (String, ExpressionError)> {
        let mut pointer = String::new();
        let loose = |text: &str| Ok(read(text).map(|expression| Node::Loose(expression, text.to_owned())));
        compile(value, &loose, &mut pointer, 0)
            .map(Self)
            .map_err(|error| (pointer, error))
    }

    /// The value itself, when nothing in it is an expression.
    #[must_use]
    pub fn literal(&self) -> Option<&Value> {
        match &self.0 {
            Node::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// Computes every expression and puts the results in their places.
    ///
    /// # Errors
    /// The first expression that fails.
    pub fn eval(&self, evaluator: &Evaluator, input: &Value, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        self.0.eval(evaluator, input, scope)
    }
}

impl Node {
    fn eval(&self, evaluator: &Evaluator, input: &Value, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expression(expression) => expression.eval(evaluator, input, scope)?,
            Self::Loose(expression, text) => match expression.eval(evaluator, input, scope) {
                Ok(value) => value,
                Err(_) => Value::from(text.as_str()),
            },
            Self::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.eval(evaluator, input, scope))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, node) in entries {
                    map.insert(key.clone(), node.eval(evaluator, input, scope)?);
                }
                Value::Object(map)
            }
        })
    }
}

/// What a string is, when it is not literal.
type Read<'r> = dyn Fn(&str) -> Result<Option<Node>, ExpressionError> + 'r;

/// On an error `pointer` is left at the place of it.
fn compile(value: &Value, read: &Read<'_>, pointer: &mut String, depth: usize) -> Result<Node, ExpressionError> {
    if depth > MAX_DEPTH {
        return Err(ExpressionError::new(
            "",
            format!("the value is nested deeper than {MAX_DEPTH}"),
        ));
    }
    match value {
        Value::String(text) => Ok(read(text)?.unwrap_or_else(|| Node::Literal(value.clone()))),
        Value::Array(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                nodes.push(within(pointer, &index.to_string(), |pointer| {
                    compile(item, read, pointer, depth + 1)
                })?);
            }
            let literal = nodes.iter().all(|node| matches!(node, Node::Literal(_)));
            Ok(if literal {
                Node::Literal(value.clone())
            } else {
                Node::Array(nodes)
            })
        }
        Value::Object(map) => {
            let mut nodes = Vec::with_capacity(map.len());
            for (key, item) in map {
                let token = key.replace('~', "~0").replace('/', "~1");
                let node = within(pointer, &token, |pointer| compile(item, read, pointer, depth + 1))?;
                nodes.push((key.clone(), node));
            }
            let literal = nodes.iter().all(|(_, node)| matches!(node, Node::Literal(_)));
            Ok(if literal {
                Node::Literal(value.clone())
            } else {
                Node::Object(nodes)
            })
        }
        _ => Ok(Node::Literal(value.clone())),
    }
}

fn within<T>(
    pointer: &mut String,
    token: &str,
    inside: impl FnOnce(&mut String) -> Result<T, ExpressionError>,
) -> Result<T, ExpressionError> {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(token);
    let value = inside(pointer)?;
    pointer.truncate(length);
    Ok(value)
}

/// Whether a string in data is an expression: `${ … }` from end to end.
#[must_use]
pub fn is_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("${") && text.ends_with('}')
}
