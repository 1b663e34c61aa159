//! `run`: everything in the request that has to be evaluated.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem, RunId, TaskPath, Timestamp};
use potok_expr::Template;
use serde_json::{Map, Value};

use super::{
    Step, Taken,
    http::strings,
    uri::scalar,
    values::{brief, wrong},
};
use crate::{
    definition::{Binding, Place, ShellTemplate, WorkflowTemplate},
    digest,
    effect::CallId,
    request::{MOST_NESTED, Parent, ShellRequest, WorkflowRequest},
};

impl Step<'_> {
    /// A run of another workflow, started by the call of that number.
    pub(super) fn sub_workflow(
        &self,
        task: &Taken,
        template: &WorkflowTemplate,
        call: CallId,
    ) -> Result<WorkflowRequest, Problem> {
        let depth = self.state.parent.map_or(0, |parent| parent.depth) + 1;
        if depth > MOST_NESTED {
            let detail =
                format!("workflows that run workflows are nested deeper than {MOST_NESTED}; do they run each other?");
            return Err(Problem::new(ErrorType::Runtime, "Nested too deeply", detail));
        }
        let input = match &template.input {
            Some(input) => self.template(input, &task.input, &self.scope(task, Place::Task), "run.workflow.input")?,
            None => Value::Object(Map::new()),
        };
        let definition = match &template.binding {
            Binding::This => Some(self.state.definition.clone()),
            Binding::Locked(hash) => Some(hash.clone()),
            Binding::Late => None,
        };
        Ok(WorkflowRequest {
            run: self.child(&task.path, call),
            namespace: template.target.namespace.clone(),
            name: template.target.name.clone(),
            version: template.target.version.clone(),
            definition,
            input: Arc::new(input),
            parent: Parent {
                run: self.state.run,
                depth,
                awaits: template.wait,
            },
        })
    }

    /// The id of the run that a call starts.
    pub(super) fn child(&self, path: &TaskPath, call: CallId) -> RunId {
        let key = [
            b"child".as_slice(),
            &self.state.run.bytes(),
            path.0.as_bytes(),
            &call.0.to_be_bytes(),
        ];
        run_id(self.state.now, &digest::raw(key))
    }

    pub(super) fn shell(&self, task: &Taken, template: &ShellTemplate) -> Result<ShellRequest, Problem> {
        let scope = self.scope(task, Place::Task);
        let value = |template: &Option<Template>, what| match template {
            Some(template) => self.template(template, &task.input, &scope, what),
            None => Ok(Value::Null),
        };
        let arguments = value(&template.arguments, "run.shell.arguments")?;
        let environment = value(&template.environment, "run.shell.environment")?;
        let command = self.text(&template.command, task, Place::Task, "run.shell.command")?;
        let stdin = match &template.stdin {
            Some(stdin) => self.text(stdin, task, Place::Task, "run.shell.stdin")?,
            None => None,
        };
        let request = ShellRequest {
            command: command.ok_or_else(|| wrong("run.shell.command must give text, not null".to_owned()))?,
            arguments: words(arguments)?,
            environment: strings(environment, "run.shell.environment")?,
            stdin,
            output: template.output,
            awaits: template.wait,
        };
        let texts = request.environment.iter().flat_map(|(name, value)| [name, value]);
        if texts
            .chain(&request.arguments)
            .chain([&request.command])
            .any(|text| text.contains('\0'))
        {
            return Err(wrong(
                "a command, its arguments and its environment cannot hold a zero byte".to_owned(),
            ));
        }
        if let Some(name) = request
            .environment
            .keys()
            .find(|name| name.is_empty() || name.contains('='))
        {
            return Err(wrong(format!(
                "'{name}' cannot be the name of a variable of the environment"
            )));
        }
        Ok(request)
    }
}

/// The arguments of a command.
fn words(value: Value) -> Result<Vec<String>, Problem> {
    let what = "run.shell.arguments";
    let items = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        other => return Err(wrong(format!("{what} must give an array, not {}", brief(&other)))),
    };
    let word = |(index, item): (usize, &Value)| {
        scalar(item).ok_or_else(|| wrong(format!("{what}[{index}] must be text or a number, not {}", brief(item))))
    };
    items.iter().enumerate().map(word).collect()
}

/// A UUID of version 7: the time of the event that led to it, then bits of a hash.
fn run_id(at: Timestamp, hash: &[u8; 32]) -> RunId {
    let mut bytes = [0; 16];
    let time = u64::try_from(at.0).unwrap_or_default().to_be_bytes();
    bytes[..6].copy_from_slice(&time[2..]);
    bytes[6..].copy_from_slice(&hash[..10]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    RunId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_children_are_of_version_7_and_tell_the_time() {
        let id = run_id(Timestamp(0x0192_0000_0001), &[0xff; 32]);
        assert_eq!(id.to_string(), "01920000-0001-7fff-bfff-ffffffffffff");
    }
}
