//! `run`: which workflow or command, compiled.

use potok_dsl::model::{self, At, Json, Location, RunProcess, Task, WORKFLOW_LATEST, WorkflowRef};
use potok_expr::Template;
use serde_json::Value;

use super::{
    TextTemplate,
    call::{Binding, Call, ShellTemplate, WorkflowTemplate},
    compile::Compiler,
    variables::{Place, Variables},
};
use crate::request::ProcessOutput;

impl<'a> Compiler<'a> {
    pub(super) fn run(&mut self, run: &'a model::Run, task: &'a Task, scope: &Variables) -> Option<Call> {
        match run.process {
            RunProcess::Workflow => self.sub_workflow(run, task, scope),
            RunProcess::Shell => self.shell(run, scope),
            RunProcess::Container => self.refuse(task.kind_at, "not supported yet: run: container".to_owned()),
            RunProcess::Script => self.refuse(task.kind_at, "not supported yet: run: script".to_owned()),
        }
    }

    fn sub_workflow(&mut self, run: &'a model::Run, task: &'a Task, scope: &Variables) -> Option<Call> {
        let target = run.workflow()?;
        let at = run.properties.at;
        for name in [&target.namespace, &target.name, &target.version] {
            if potok_expr::is_expression(name) {
                let help = "write it out; to choose while the workflow runs, put a 'switch' before several 'run' tasks";
                self.complain_with(
                    at,
                    "which workflow runs must be known before it runs: no expression",
                    help,
                );
                return None;
            }
        }
        let late = task
            .potok
            .bind
            .as_ref()
            .is_some_and(|bind| bind.value == model::Bind::Start);
        let binding = if late {
            Binding::Late
        } else if self.is_this(&target) {
            Binding::This
        } else if let Some(locked) = self.lock.workflows.get(&target.to_string()) {
            Binding::Locked(locked.definition.clone())
        } else {
            let help = "deploy it first; or let this task look for it when it comes to it: metadata.potok.bind: start";
            self.complain_with(at, format!("the workflow '{target}' is not deployed"), help);
            return None;
        };
        let input = self.member(run, "input", scope);
        Some(Call::Workflow(Box::new(WorkflowTemplate {
            target,
            binding,
            input,
            wait: run.wait,
            output: wanted(run),
        })))
    }

    /// Whether a workflow that is named is the one that is being compiled.
    fn is_this(&self, target: &WorkflowRef) -> bool {
        let document = &self.workflow.document;
        let version = target.version == WORKFLOW_LATEST || target.version == document.version.value;
        target.namespace == document.namespace.value && target.name == document.name.value && version
    }

    fn shell(&mut self, run: &'a model::Run, scope: &Variables) -> Option<Call> {
        let at = run.properties.at;
        let command = self.text_member(run.properties.value.get("command"), at, scope)?;
        let stdin = match run.properties.value.get("stdin") {
            Some(stdin) => Some(self.text_member(Some(stdin), at, scope)?),
            None => None,
        };
        Some(Call::Shell(Box::new(ShellTemplate {
            command,
            arguments: self.member(run, "arguments", scope),
            environment: self.member(run, "environment", scope),
            stdin,
            output: wanted(run),
            wait: run.wait,
        })))
    }

    fn member(&mut self, run: &model::Run, name: &str, scope: &Variables) -> Option<Template> {
        let value = run.properties.value.get(name)?.clone();
        let at = run.properties.at;
        self.template(&Json { value, at }, Place::Task, scope)
    }

    fn text_member(&mut self, value: Option<&Value>, at: Location, scope: &Variables) -> Option<TextTemplate> {
        let value = value?.as_str()?.to_owned();
        self.text(&At { value, at }, Place::Task, scope)
    }
}

/// What the task's output is.
fn wanted(run: &model::Run) -> ProcessOutput {
    match run.output.as_ref().map(|output| output.value.as_str()) {
        None | Some("stdout") => ProcessOutput::Stdout,
        Some("stderr") => ProcessOutput::Stderr,
        Some("code") => ProcessOutput::Code,
        Some("all") => ProcessOutput::All,
        Some(_) => ProcessOutput::None,
    }
}
