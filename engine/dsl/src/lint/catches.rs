//! Catches that never catch: what they ask for is never raised, is caught before, or names a task that is not there.
//!
//! Whatever evaluates an expression or leaves the process can fail in any way, so little is known of most tasks. What is known is what a
//! `raise` raises, that a constant cannot fail, and that a `catch` without conditions lets nothing through.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    is_expression, is_literally,
    walk::{Everything, Spot},
};
use crate::{
    ErrorType,
    diagnostic::Diagnostic,
    model::{Catch, Duration, ErrorDefinition, ErrorRef, EvaluateMode, Task, TaskKind, TaskList, Try, Workflow},
};

pub(super) fn check(workflow: &Workflow, everything: &Everything<'_>, found: &mut Vec<Diagnostic>) {
    let survey = Survey { workflow };
    let references: HashSet<&str> = everything.tasks.iter().map(|spot| spot.reference.as_str()).collect();
    let raises_elsewhere = everything.tasks.iter().any(|spot| survey.names_an_instance(spot.task));
    for Spot { task, .. } in &everything.tasks {
        let TaskKind::Try(attempt) = &task.kind else { continue };
        survey.conditions(&attempt.catch, found);
        survey.faults(attempt, found);
        if !raises_elsewhere {
            instance(&attempt.catch, &references, found);
        }
    }
}

/// How something can fail.
enum Faults {
    /// In ways that nobody knows.
    Any,
    /// With these errors alone.
    Known(Vec<Raised>),
}

/// An error that is raised.
struct Raised {
    kind: String,
    status: Option<u64>,
}

impl Faults {
    fn none() -> Self {
        Self::Known(Vec::new())
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known(mut these), Self::Known(those)) => {
                these.extend(those);
                Self::Known(these)
            }
            _ => Self::Any,
        }
    }
}

/// A path without a reference: `/input`, `/output` and `/timeout` belong to the workflow as a whole.
fn instance(catch: &Catch, references: &HashSet<&str>, found: &mut Vec<Diagnostic>) {
    let Some(instance) = catch.errors.as_ref().and_then(|filter| filter.instance.as_ref()) else {
        return;
    };
    let path = instance.value.as_str();
    if (path.starts_with("/do/") || path.starts_with("/use/")) && !references.contains(path) {
        let message = format!("this catches errors of the task '{path}', and there is none");
        let help = "the instance of an error is the reference of its task, such as /do/0/fetch";
        found.push(Diagnostic::warning(instance.at, message).with_help(help));
    }
}

struct Survey<'w> {
    workflow: &'w Workflow,
}

impl Survey<'_> {
    fn mode(&self) -> EvaluateMode {
        let mode = self
            .workflow
            .evaluate
            .as_ref()
            .and_then(|evaluate| evaluate.mode.as_ref());
        mode.map(|mode| mode.value).unwrap_or_default()
    }

    fn conditions(&self, catch: &Catch, found: &mut Vec<Diagnostic>) {
        for (condition, word) in [(&catch.when, "false"), (&catch.except_when, "true")] {
            if let Some(condition) = condition.as_ref().filter(|condition| is_literally(condition, word)) {
                let message = format!("this 'catch' catches nothing: its condition is always {word}");
                found.push(Diagnostic::warning(condition.at, message).with_help("remove the condition, or the 'try'"));
            }
        }
    }

    fn faults(&self, attempt: &Try, found: &mut Vec<Diagnostic>) {
        let Faults::Known(raised) = self.of_list(&attempt.tasks) else {
            return;
        };
        if raised.iter().any(|raised| matches(&attempt.catch, raised)) {
            return;
        }
        let inner = attempt.tasks.0.iter().find_map(|item| match &item.task.kind {
            TaskKind::Try(inner) if catches_all(&inner.catch) => Some((&item.name.value, inner.catch.at.line)),
            _ => None,
        });
        let diagnostic = match (inner, raised.first()) {
            (Some((name, line)), _) => {
                let help = format!("the 'catch' of '{name}' on line {line} catches every error first");
                Diagnostic::warning(attempt.catch.at, "this 'catch' never has anything to catch").with_help(help)
            }
            (None, None) => Diagnostic::warning(attempt.catch.at, "this 'catch' never has anything to catch")
                .with_help("nothing that is tried here can fail"),
            (None, Some(raised)) => Diagnostic::warning(attempt.catch.at, "this 'catch' never matches")
                .with_help(format!("what is tried here raises '{}' alone", raised.kind)),
        };
        found.push(diagnostic);
    }

    fn of_list(&self, list: &TaskList) -> Faults {
        let tasks = list.0.iter().map(|item| &item.task);
        tasks.fold(Faults::none(), |faults, task| match faults {
            Faults::Any => Faults::Any,
            known => known.and(self.of_task(task)),
        })
    }

    /// How a task can fail. Recursion ends where the depth of a document does.
    fn of_task(&self, task: &Task) -> Faults {
        let shaped = task.condition.is_some() || task.input.is_some() || task.output.is_some() || task.export.is_some();
        if shaped || task.timeout.is_some() {
            return Faults::Any;
        }
        match &task.kind {
            TaskKind::Set(value) if self.is_constant(&value.value) => Faults::none(),
            TaskKind::Wait(duration) if matches!(duration.value, Duration::Fixed { .. }) => Faults::none(),
            TaskKind::Raise(error) => match &error.value {
                ErrorRef::Inline(error) => self.raised(error),
                ErrorRef::Use(name) => match self.workflow.uses.errors.get(&name.value) {
                    Some(error) => self.raised(&error.value),
                    None => Faults::Any,
                },
            },
            TaskKind::Do(tasks) => self.of_list(tasks),
            TaskKind::Fork(fork) => self.of_list(&fork.branches),
            TaskKind::Try(attempt) => {
                let tried = match self.of_list(&attempt.tasks) {
                    _ if catches_all(&attempt.catch) => Faults::none(),
                    other => other,
                };
                match &attempt.catch.tasks {
                    Some(tasks) => tried.and(self.of_list(tasks)),
                    None => tried,
                }
            }
            _ => Faults::Any,
        }
    }

    fn raised(&self, error: &ErrorDefinition) -> Faults {
        let computed = |text: &str| text.contains("${");
        let texts = [&error.title, &error.detail, &error.instance];
        let computes = texts.into_iter().flatten().any(|text| computed(&text.value));
        if computes || computed(&error.kind.value) || !self.is_constant(&error.status.value) {
            return Faults::Any;
        }
        Faults::Known(vec![Raised {
            kind: error.kind.value.clone(),
            status: error.status.value.as_u64(),
        }])
    }

    fn names_an_instance(&self, task: &Task) -> bool {
        match &task.kind {
            TaskKind::Raise(error) => match &error.value {
                ErrorRef::Inline(error) => error.instance.is_some(),
                ErrorRef::Use(name) => {
                    let error = self.workflow.uses.errors.get(&name.value);
                    error.is_some_and(|error| error.value.instance.is_some())
                }
            },
            _ => false,
        }
    }

    /// Whether a value holds no expression.
    fn is_constant(&self, value: &Value) -> bool {
        let mut stack = vec![value];
        while let Some(value) = stack.pop() {
            match value {
                Value::String(text) if is_expression(text, self.mode()) => return false,
                Value::Array(items) => stack.extend(items),
                Value::Object(members) => stack.extend(members.values()),
                _ => {}
            }
        }
        // Text alone is an expression in places such as `set`.
        !value.is_string()
    }
}

/// Whether no error gets past a `catch`.
fn catches_all(catch: &Catch) -> bool {
    let filter = catch.errors.as_ref();
    let unfiltered = filter.is_none_or(|filter| {
        filter.kind.is_none()
            && filter.status.is_none()
            && filter.instance.is_none()
            && filter.title.is_none()
            && filter.detail.is_none()
    });
    // A retry policy that gives up lets the error through when nothing else is to be done.
    let keeps = catch.retry.is_none() || catch.tasks.is_some() || catch.then.is_some();
    unfiltered && keeps && catch.when.is_none() && catch.except_when.is_none()
}

/// Whether a `catch` may catch an error.
fn matches(catch: &Catch, raised: &Raised) -> bool {
    let Some(filter) = &catch.errors else { return true };
    let kind = filter.kind.as_ref();
    let status = filter.status.as_ref();
    kind.is_none_or(|kind| kind.value.contains("${") || ErrorType::same(&kind.value, &raised.kind))
        && status.is_none_or(|status| raised.status.is_none_or(|raised| raised == u64::from(status.value)))
}
