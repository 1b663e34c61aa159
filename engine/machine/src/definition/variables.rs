//! Which variables an expression may use where: the table in the specification's "Runtime Expressions", and the variables
//! that `for` and `catch` add to what is inside them.

use std::rc::Rc;

/// Where an expression stands, which decides the arguments that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The workflow's `input.from`.
    WorkflowInput,
    /// A task's `if`.
    If,
    /// A task's `input.from`.
    InputFrom,
    /// What a task does, and its timeout and metadata.
    Task,
    /// A task's `output.as`.
    OutputAs,
    /// A task's `export.as`.
    ExportAs,
    /// The workflow's `output.as`.
    WorkflowOutput,
}

/// All arguments of the specification.
const ARGUMENTS: [&str; 8] = [
    "context",
    "input",
    "output",
    "secrets",
    "authorization",
    "task",
    "workflow",
    "runtime",
];

impl Place {
    /// The arguments that exist here.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::WorkflowInput => &["secrets", "workflow", "runtime"],
            Self::If | Self::InputFrom => &["context", "secrets", "task", "workflow", "runtime"],
            Self::Task | Self::OutputAs => &[
                "context",
                "input",
                "secrets",
                "task",
                "workflow",
                "runtime",
                "authorization",
            ],
            Self::ExportAs => &[
                "context",
                "input",
                "output",
                "secrets",
                "task",
                "workflow",
                "runtime",
                "authorization",
            ],
            Self::WorkflowOutput => &["context", "secrets", "workflow", "runtime"],
        }
    }

    /// Whether an argument exists here.
    pub(crate) fn has(self, argument: &str) -> bool {
        self.arguments().contains(&argument)
    }

    /// The place in words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::WorkflowInput => "the workflow's input.from",
            Self::If => "a task's if",
            Self::InputFrom => "a task's input.from",
            Self::Task => "a task's definition",
            Self::OutputAs => "a task's output.as",
            Self::ExportAs => "a task's export.as",
            Self::WorkflowOutput => "the workflow's output.as",
        }
    }
}

/// Whether a name is one of the specification's arguments, which no `for` or `catch` may take.
pub(crate) fn is_argument(name: &str) -> bool {
    ARGUMENTS.contains(&name)
}

/// The variables that `for` and `catch` have added on the way to a task; cheap to clone and to extend.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(Option<Rc<Link>>);

#[derive(Debug)]
struct Link {
    names: Vec<String>,
    outer: Variables,
}

impl Variables {
    /// The same and these.
    pub(crate) fn with(&self, names: Vec<String>) -> Self {
        Self(Some(Rc::new(Link {
            names,
            outer: self.clone(),
        })))
    }

    /// All names, the innermost first.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut link = self.0.as_deref();
        while let Some(here) = link {
            names.extend(here.names.iter().map(String::as_str));
            link = here.outer.0.as_deref();
        }
        names
    }

    fn has(&self, name: &str) -> bool {
        let mut link = self.0.as_deref();
        while let Some(here) = link {
            if here.names.iter().any(|known| known == name) {
                return true;
            }
            link = here.outer.0.as_deref();
        }
        false
    }
}

/// What is wrong with using a variable in a place, and what to do about it; `None` when nothing is.
pub(crate) fn complaint(name: &str, place: Place, variables: &Variables) -> Option<(String, String)> {
    if place.has(name) || (!matches!(place, Place::WorkflowInput | Place::WorkflowOutput) && variables.has(name)) {
        return None;
    }
    let here: Vec<String> = place
        .arguments()
        .iter()
        .copied()
        .chain(variables.names())
        .map(|name| format!("${name}"))
        .collect();
    let help = format!("available here are {}", here.join(", "));
    let message = if is_argument(name) {
        format!("${name} does not exist in {}", place.describe())
    } else {
        format!("${name} is not defined here")
    };
    Some((message, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_decides_and_loops_add() {
        let loop_variables = Variables::default().with(vec!["item".into(), "index".into()]);
        assert!(complaint("item", Place::If, &loop_variables).is_none());
        assert!(complaint("item", Place::If, &Variables::default()).is_some());
        assert!(complaint("input", Place::Task, &Variables::default()).is_none());
        assert!(complaint("input", Place::InputFrom, &Variables::default()).is_some());
        assert!(complaint("output", Place::OutputAs, &Variables::default()).is_some());
        assert!(complaint("output", Place::ExportAs, &Variables::default()).is_none());
        assert!(complaint("task", Place::WorkflowOutput, &Variables::default()).is_some());
    }
}
