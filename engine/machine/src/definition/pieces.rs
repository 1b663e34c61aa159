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

    /// In loose mode any text may be an expression; what cannot be one is literal.
    fn loose(&self, text: &str, place: Place, scope: &Variables) -> Option<Expression> {
        let expression = Expression::parse(text, self.evaluator).ok()?;
        let known = |name: &String| complaint(name, place, scope).is_none();
        let declared = |path: &SecretPath| {
            let name = path.name();
            self.workflow.uses.secrets.iter().any(|secret| secret.value == name)
        };
        let sound = expression.variables().iter().all(known) && expression.secrets().iter().all(declared);
        sound.then_some(expression)
    }

    fn is_loose(&self) -> bool {
        let evaluate = self.workflow.evaluate.as_ref();
        let mode = evaluate.and_then(|evaluate| evaluate.mode.as_ref());
        mode.is_some_and(|mode| mode.value == model::EvaluateMode::Loose)
    }

    fn loose_template(&mut self, json: &Json, place: Place, scope: &Variables) -> Option<Template> {
        let template = Template::parse_loose(&json.value, &|text| self.loose(text, place, scope));
        let mut texts = Vec::new();
        for_each_string(&json.value, &mut |text| texts.push(text));
        for text in texts {
            if let Some(expression) = self.loose(text, place, scope) {
                self.check_variables(&expression, json.at, place, scope);
            }
        }
        match template {
            Ok(template) => Some(template),
            Err((_, error)) => self.refuse(json.at, describe(&error)),
        }
    }

    fn check_variables(&mut self, expression: &Expression, at: Location, place: Place, scope: &Variables) {
        for name in expression.variables() {
            self.authorized |= name == "authorization";
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
        if self.is_loose() {
            return self.loose_template(json, place, scope);
        }
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
            Value::String(text) if self.is_loose() => match self.loose(text, place, scope) {
                Some(expression) => {
                    self.check_variables(&expression, json.at, place, scope);
                    Some(Shape::Loose(expression, text.clone()))
                }
                None => self.template(json, place, scope).map(Shape::Template),
            },
            Value::String(text) => self.expression_at(text, json.at, place, scope).map(Shape::Expression),
            _ => self.template(json, place, scope).map(Shape::Template),
        }
    }

    /// Text that is an expression only in `${ }`.
    pub(super) fn text(&mut self, text: &Text, place: Place, scope: &Variables) -> Option<TextTemplate> {
        if self.is_loose() {
            let Some(expression) = self.loose(&text.value, place, scope) else {
                return Some(TextTemplate::Literal(text.value.clone()));
            };
            self.check_variables(&expression, text.at, place, scope);
            return Some(TextTemplate::Loose(expression, text.value.clone()));
        }
        if is_expression(&text.value) {
            self.expression(text, place, scope).map(TextTemplate::Expression)
        } else {
            Some(TextTemplate::Literal(text.value.clone()))
        }
    }

    pub(super) fn span(&mut self, duration: &At<model::Duration>, place: Place, scope: &Variables) -> Option<Span> {
        match &duration.value {
            fixed @ model::Duration::Fixed { .. } => fixed.period().map(Span::Fixed),
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
