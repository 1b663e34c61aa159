//! Shapes of data that the model keeps as JSON: checked as strictly as the rest, but not given types of their own.

use super::{Reader, clip, fields::Fields, format};
use crate::yaml::Node;

/// What a value must look like.
pub(super) enum Shape {
    Any,
    Text,
    /// An integer from the first to the second.
    Integer(i64, i64),
    /// One of some words.
    Words(&'static [&'static str]),
    /// A host name.
    Host,
    /// A runtime expression in `${ }`.
    Expression,
    /// A URI or a URI template.
    Uri,
    /// A URI or an expression.
    UriOrExpression,
    /// A moment (RFC 3339) or an expression.
    TimeOrExpression,
    /// The name of a variable.
    Variable,
    Duration,
    Endpoint,
    Resource,
    Authentication,
    Output,
    Export,
    /// A list of tasks.
    Tasks,
    /// Text or an object of anything with at least so many members.
    TextOrObject(usize),
    List(&'static Shape),
    /// An object of anything that has that shape.
    Map(&'static Shape),
    Object(&'static ObjectShape),
}

/// What an object must look like.
pub(super) struct ObjectShape {
    pub members: &'static [(&'static str, Shape)],
    pub required: &'static [&'static str],
    /// Of each group exactly one.
    pub one_of: &'static [&'static [&'static str]],
    /// Whether members that are not listed are welcome.
    pub open: bool,
    /// The fewest members.
    pub least: usize,
}

impl ObjectShape {
    /// An object of these members alone.
    pub const fn closed(members: &'static [(&'static str, Shape)], required: &'static [&'static str]) -> Self {
        Self {
            members,
            required,
            one_of: &[],
            open: false,
            least: 0,
        }
    }
}

impl ObjectShape {
    /// Its smallest form: `{ username: …, password: … }`.
    fn example(&self) -> String {
        let choices = self.one_of.iter().filter_map(|group| group.first());
        let mut names: Vec<&str> = self.required.iter().chain(choices).copied().collect();
        if names.is_empty() {
            names.extend(self.members.first().map(|(name, _)| *name));
        }
        let members: Vec<String> = names.iter().map(|name| format!("{name}: …")).collect();
        format!("{{ {} }}", members.join(", "))
    }
}

impl Reader {
    /// Says what is wrong with a value.
    pub fn check(&mut self, node: &Node, name: &str, shape: &Shape) {
        match shape {
            Shape::Any => {}
            Shape::Text => drop(self.text(node, name)),
            Shape::Integer(min, max) => drop(self.integer(node, name, *min, *max)),
            Shape::Words(words) => {
                let words: Vec<(&'static str, ())> = words.iter().map(|word| (*word, ())).collect();
                self.word(node, name, &words);
            }
            Shape::Host => self.check_text(
                node,
                name,
                format::is_host,
                "a host name of letters, digits, '-' and '.'",
            ),
            Shape::Expression => self.check_text(node, name, format::is_expression, "an expression in ${ }"),
            Shape::Uri => drop(self.uri(node, name)),
            Shape::UriOrExpression => self.check_text(
                node,
                name,
                |text| format::is_uri(text) || format::is_expression(text),
                "a URI or an expression in ${ }",
            ),
            Shape::TimeOrExpression => self.check_text(
                node,
                name,
                |text| format::is_expression(text) || chrono::DateTime::parse_from_rfc3339(text).is_ok(),
                "a moment such as 2026-01-31T08:00:00Z, or an expression in ${ }",
            ),
            Shape::Variable => drop(self.variable(node, name)),
            Shape::Duration => drop(self.duration(node, name)),
            Shape::Endpoint => drop(self.endpoint(node, name)),
            Shape::Resource => drop(self.resource(node, name)),
            Shape::Authentication => drop(self.authentication_ref(node)),
            Shape::Output => drop(self.output(node)),
            Shape::Export => drop(self.export(node)),
            Shape::Tasks => drop(self.task_list(node, name)),
            Shape::TextOrObject(least) => {
                let few = node.members().is_some_and(|members| members.len() < *least);
                if self.text_or_object(node, name).is_some() && few {
                    self.wrong_help(
                        node.at,
                        format!("'{name}' is empty"),
                        "leave it out, or give it members",
                    );
                }
            }
            Shape::List(item) => match node.items() {
                Some(items) => items.iter().for_each(|node| match item {
                    Shape::Text if node.text().is_none() => {
                        self.expected(node, &format!("an entry of '{name}'"), "text");
                    }
                    item => self.check(node, name, item),
                }),
                None => self.expected(node, &format!("'{name}'"), "a list"),
            },
            Shape::Map(value) => match node.members() {
                Some(members) => members
                    .iter()
                    .for_each(|member| self.check(&member.value, &clip(&member.key), value)),
                None => {
                    let message = format!("'{name}' must be an object, not {}", node.kind());
                    self.wrong_help(node.at, message, format!("write {name}: {{ name: value }}"));
                }
            },
            Shape::Object(shape) => self.check_object(node, name, shape),
        }
    }

    pub fn check_object(&mut self, node: &Node, name: &str, shape: &ObjectShape) {
        if node.members().is_none() {
            let message = format!("'{name}' must be an object, not {}", node.kind());
            return self.wrong_help(node.at, message, format!("write {name}: {}", shape.example()));
        }
        let Some(mut fields) = Fields::of(self, node, format!("'{name}'")) else {
            return;
        };
        for (member, shape) in shape.members {
            if let Some(node) = fields.get(member) {
                self.check(node, member, shape);
            }
        }
        for member in shape.required {
            fields.require(member);
        }
        for group in shape.one_of {
            fields.one_of(self, group);
        }
        if node.members().is_some_and(|members| members.len() < shape.least) {
            self.wrong(node.at, format!("'{name}' is empty: it needs at least one member"));
        }
        if shape.open {
            fields.finish_open(self);
        } else {
            fields.finish(self);
        }
    }

    fn check_text(&mut self, node: &Node, name: &str, sound: impl Fn(&str) -> bool, what: &str) {
        if let Some(text) = self.text(node, name)
            && !sound(&text.value)
        {
            self.wrong(node.at, format!("'{name}' must be {what}"));
        }
    }
}
