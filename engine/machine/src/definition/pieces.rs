//! The small pieces of a definition: expressions, templates, spans, and what `use` defines by name.

use potok_dsl::model::{self, At, Json, Location, Text};
use potok_expr::{Expression, ExpressionError, SecretPath, Template, is_expression};
use serde_json::Value;

use super::{
    Shape, Span, TextTemplate,
    compile::{Compiler, for_each_string},
    variables::{Place, Variables, complaint},
};

impl<'a> Compiler<'a> {
    /// Text that is an expression, with or without `${ }`.
    pub(super) fn expression(&mut self, text: &Text, place: Place, scope: &Variables) -> Option<Expression> {
        self.expression_at(&text.value, text.at, place, scope)
    }

    fn expression_at(&mut self, text: &str, at: Location, place: Place, scope: &Variables) -> Option<Expression> {
        match Expression::parse(text, self.evaluator) {
            Ok(expression) => {
                self.check_variables(&expression, at, place, scope);
                Some(expression)
            }
            Err(error) => self.refuse(at, describe(&error)),
        }
    }

    fn check_variables(&mut self, expression: &Expression, at: Location, place: Place, scope: &Variables) {
        for name in expression.variables() {
            if let Some((message, help)) = complaint(name, place, scope) {
                self.complain_with(
                    at,
                    format!("{message} (in the expression `{}`)", expression.text()),
                    help,
                );
            }
        }
        for secret in expression.secrets() {
            self.secret(secret, at);
        }
    }

    /// Secrets that a workflow reads are declared, so that people see them in one place.
    pub(super) fn secret(&mut self, path: &SecretPath, at: Location) {
        let (name, declared) = (path.name(), &self.workflow.uses.secrets);
        if declared.iter().any(|secret| secret.value == name) {
            self.secrets.insert(path.clone());
            return;
        }
        let message = format!("the secret '{name}' is not declared");
        self.complain_with(at, message, format!("add '{name}' to use.secrets"));
    }

    /// Data with expressions in its strings.
    pub(super) fn template(&mut self, json: &Json, place: Place, scope: &Variables) -> Option<Template> {
        match Template::parse(&json.value, self.evaluator) {
            Ok(template) => {
                if template.literal().is_none() {
                    let mut texts = Vec::new();
                    for_each_string(&json.value, &mut |text| texts.push(text));
                    for text in texts.into_iter().filter(|text| is_expression(text)) {
                        // It was parsed a moment ago; this time it is about the variables.
                        self.expression_at(text, json.at, place, scope);
                    }
                }
                Some(template)
            }
            Err((pointer, error)) => {
                let place = if pointer.is_empty() {
                    String::new()
                } else {
                    format!(" at {pointer}")
                };
                self.refuse(json.at, format!("{}{place}", describe(&error)))
            }
        }
    }

    /// An expression (a string), or data with expressions in its strings.
    pub(super) fn shape(&mut self, json: &Json, place: Place, scope: &Variables) -> Option<Shape> {
        match &json.value {
            Value::String(text) => self.expression_at(text, json.at, place, scope).map(Shape::Expression),
            _ => self.template(json, place, scope).map(Shape::Template),
        }
    }

    /// Text that is an expression only in `${ }`.
    pub(super) fn text(&mut self, text: &Text, place: Place, scope: &Variables) -> Option<TextTemplate> {
        if is_expression(&text.value) {
            self.expression(text, place, scope).map(TextTemplate::Expression)
        } else {
            Some(TextTemplate::Literal(text.value.clone()))
        }
    }

    pub(super) fn span(&mut self, duration: &At<model::Duration>, place: Place, scope: &Variables) -> Option<Span> {
        match &duration.value {
            model::Duration::Fixed { span, .. } => Some(Span::Fixed(*span)),
            model::Duration::Expression(text) => self
                .expression_at(text, duration.at, place, scope)
                .map(Span::Expression),
        }
    }

    pub(super) fn timeout(
        &mut self,
        timeout: Option<&model::TimeoutRef>,
        place: Place,
        scope: &Variables,
    ) -> Option<Span> {
        let timeout = match timeout? {
            model::TimeoutRef::Inline(timeout) => timeout,
            model::TimeoutRef::Use(name) => {
                let workflow = self.workflow;
                self.named(name, "timeouts", &workflow.uses.timeouts)?
            }
        };
        self.span(&timeout.value.after, place, scope)
    }

    /// What a section of `use` defines under a name.
    pub(super) fn named<T>(
        &mut self,
        name: &Text,
        section: &str,
        defined: &'a indexmap::IndexMap<String, T>,
    ) -> Option<&'a T> {
        let found = defined.get(&name.value);
        if found.is_none() {
            let message = format!("use.{section} defines no '{}'", name.value);
            let known: Vec<String> = defined.keys().map(|name| format!("'{name}'")).collect();
            if known.is_empty() {
                self.complain(name.at, message);
            } else {
                self.complain_with(name.at, message, format!("it defines {}", known.join(", ")));
            }
        }
        found
    }
}

fn describe(error: &ExpressionError) -> String {
    format!("{} (in the expression `{}`)", error.message, error.expression)
}
