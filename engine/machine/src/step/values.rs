//! Evaluating what a definition leaves to be evaluated; every failure is an error of the workflow that says what failed.

use std::sync::Arc;

use potok_dsl::{ErrorType, Millis, Period, Problem, model};
use potok_expr::{Expression, ExpressionError, Template};
use serde_json::{Map, Value};

use super::{Step, Taken};
use crate::{
    definition::{Place, Shape, Span, TextTemplate},
    scope::Scope,
};

impl Step<'_> {
    /// The variables of an expression of a task.
    pub(super) fn scope<'s>(&'s self, task: &'s Taken, place: Place) -> Scope<'s> {
        self.view().scope(task, place)
    }

    /// The variables of an expression of the workflow.
    pub(super) fn workflow_scope<'s>(&'s self, place: Place, context: Option<&'s Arc<Value>>) -> Scope<'s> {
        Scope {
            definition: self.definition,
            state: self.state,
            workflow: self.workflow,
            place,
            task: None,
            raw_output: None,
            output: None,
            context,
            extra: &[],
            extending: false,
        }
    }

    /// The workflow's transformed input.
    pub(crate) fn workflow_input(&self) -> Result<Arc<Value>, Problem> {
        let intake = &self.definition.input;
        let raw = &self.state.raw_input;
        let made = || {
            if let Some(schema) = &intake.schema {
                schema.check(raw, "the workflow's input")?;
            }
            match &intake.from {
                None => Ok(Arc::clone(raw)),
                Some(from) => {
                    let scope = self.workflow_scope(Place::WorkflowInput, None);
                    self.shape(from, raw, &scope, "the workflow's input.from").map(Arc::new)
                }
            }
        };
        made().map_err(|problem| at("/input", problem))
    }

    /// The workflow's transformed output.
    pub(super) fn workflow_output(
        &self,
        raw: &Arc<Value>,
        context: Option<&Arc<Value>>,
    ) -> Result<Arc<Value>, Problem> {
        let shaping = &self.definition.output;
        let made = || {
            let output = match &shaping.shape {
                None => Arc::clone(raw),
                Some(shape) => {
                    let scope = self.workflow_scope(Place::WorkflowOutput, context);
                    Arc::new(self.shape(shape, raw, &scope, "the workflow's output.as")?)
                }
            };
            if let Some(schema) = &shaping.schema {
                schema.check(&output, "the workflow's output")?;
            }
            Ok(output)
        };
        made().map_err(|problem| at("/output", problem))
    }

    /// How long the workflow may take.
    pub(crate) fn workflow_timeout(&self, input: &Arc<Value>) -> Result<Option<Millis>, Problem> {
        let span = match &self.definition.timeout {
            None => return Ok(None),
            Some(Span::Fixed(period)) => return Ok(Some(self.length(*period))),
            Some(Span::Expression(expression)) => expression,
        };
        let scope = self.workflow_scope(Place::WorkflowOutput, None);
        let value = span.eval(self.evaluator, input, &scope);
        let value = value.map_err(|error| expression_problem(&error, "the workflow's timeout"));
        value
            .and_then(|value| duration(&value, "the workflow's timeout"))
            .map(|period| Some(self.length(period)))
            .map_err(|problem| at("/timeout", problem))
    }

    pub(super) fn shape(&self, shape: &Shape, input: &Value, scope: &Scope<'_>, what: &str) -> Result<Value, Problem> {
        match shape {
            Shape::Expression(expression) => expression
                .eval(self.evaluator, input, scope)
                .map_err(|error| expression_problem(&error, what)),
            Shape::Loose(expression, text) => {
                let value = expression.eval(self.evaluator, input, scope);
                Ok(value.unwrap_or_else(|_| Value::from(text.as_str())))
            }
            Shape::Template(template) => self.template(template, input, scope, what),
        }
    }

    pub(super) fn template(
        &self,
        template: &Template,
        input: &Value,
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<Value, Problem> {
        template
            .eval(self.evaluator, input, scope)
            .map_err(|error| expression_problem(&error, what))
    }

    /// Whether a condition holds, with the variables of a loop or a catch that is not open.
    pub(super) fn test(
        &self,
        condition: &Expression,
        task: &Taken,
        input: &Value,
        extra: &[(&str, Arc<Value>)],
        what: &str,
    ) -> Result<bool, Problem> {
        let scope = Scope {
            extra,
            ..self.scope(task, Place::Task)
        };
        condition
            .test(self.evaluator, input, &scope)
            .map_err(|error| expression_problem(&error, what))
    }

    /// Text; `None` where an expression gives null, JSON where it gives something else than text.
    pub(super) fn text(
        &self,
        template: &TextTemplate,
        task: &Taken,
        place: Place,
        what: &str,
    ) -> Result<Option<String>, Problem> {
        Ok(match self.value(template, task, place, what)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        })
    }

    /// What text gives: itself, or the value of the expression that it is.
    pub(super) fn value(
        &self,
        template: &TextTemplate,
        task: &Taken,
        place: Place,
        what: &str,
    ) -> Result<Value, Problem> {
        match template {
            TextTemplate::Literal(text) => Ok(Value::from(text.as_str())),
            TextTemplate::Expression(expression) => expression
                .eval(self.evaluator, &task.input, &self.scope(task, place))
                .map_err(|error| expression_problem(&error, what)),
            TextTemplate::Loose(expression, text) => {
                let value = expression.eval(self.evaluator, &task.input, &self.scope(task, place));
                Ok(value.unwrap_or_else(|_| Value::from(text.as_str())))
            }
        }
    }

    /// How long a span is that begins now.
    pub(super) fn span(
        &self,
        span: &Span,
        task: &Taken,
        extra: &[(&str, Arc<Value>)],
        what: &str,
    ) -> Result<Millis, Problem> {
        self.period(span, task, extra, what).map(|period| self.length(period))
    }

    fn length(&self, period: Period) -> Millis {
        self.state.now.after_period(period).since(self.state.now)
    }

    pub(super) fn period(
        &self,
        span: &Span,
        task: &Taken,
        extra: &[(&str, Arc<Value>)],
        what: &str,
    ) -> Result<Period, Problem> {
        let expression = match span {
            Span::Fixed(period) => return Ok(*period),
            Span::Expression(expression) => expression,
        };
        let scope = Scope {
            extra,
            ..self.scope(task, Place::Task)
        };
        let value = expression.eval(self.evaluator, &task.input, &scope);
        duration(&value.map_err(|error| expression_problem(&error, what))?, what)
    }

    /// The arguments of a call; an empty object when none are written.
    pub(super) fn arguments(&self, task: &Taken, with: Option<&Template>) -> Result<Arc<Value>, Problem> {
        let Some(with) = with else {
            return Ok(Arc::new(Value::Object(Map::new())));
        };
        self.template(with, &task.input, &self.scope(task, Place::Task), "with")
            .map(Arc::new)
    }
}

/// An expression failed; `what` names the property that it stands in.
pub(super) fn expression_problem(error: &ExpressionError, what: &str) -> Problem {
    wrong(format!("{what}: {error}"))
}

/// An expression gave what cannot be used.
pub(super) fn wrong(detail: String) -> Problem {
    Problem::new(ErrorType::Expression, "Expression failed", detail)
}

/// A value in a few words, for messages.
pub(super) fn brief(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.len() <= 40 => format!("\"{text}\""),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(items) => format!("an array of {} items", items.len()),
        Value::Object(map) => format!("an object of {} members", map.len()),
    }
}

fn duration(value: &Value, what: &str) -> Result<Period, Problem> {
    model::Duration::from_value(value).map_err(|error| wrong(format!("{what}: {error}")))
}

fn at(instance: &str, mut problem: Problem) -> Problem {
    problem.instance = Some(instance.to_owned());
    problem
}
