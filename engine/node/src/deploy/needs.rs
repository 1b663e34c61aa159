//! What a workflow needs besides its text: what deploying has to find and lock.

use potok_dsl::FunctionName;
use potok_dsl::model::{
    Bind, Call, ExternalResource, OpenApiCall, Run, RunProcess, Schema, SchemaSource, Task, TaskKind, TaskList, Text,
    Workflow, WorkflowRef,
};

/// What is needed, each thing as often as it is named.
#[derive(Debug, Default)]
pub(super) struct Needs<'w> {
    /// The functions of plugins, each where it is first named.
    pub functions: Vec<&'w Text>,
    /// The functions that stand in documents of their own, by URI, each where it is first named.
    pub documents: Vec<&'w Text>,
    /// The operations of APIs.
    pub operations: Vec<&'w OpenApiCall>,
    /// The schemas that are kept elsewhere.
    pub schemas: Vec<&'w ExternalResource>,
    /// What it runs, each with its task.
    pub runs: Vec<(&'w Task, &'w Run)>,
}

impl<'w> Needs<'w> {
    /// The workflows that are chosen when this one is deployed.
    pub(super) fn workflows(&self) -> impl Iterator<Item = WorkflowRef> {
        let late = |task: &Task| task.potok.bind.as_ref().is_some_and(|bind| bind.value == Bind::Start);
        self.runs
            .iter()
            .filter(move |(task, _)| !late(task))
            .filter_map(|(_, run)| run.workflow())
    }

    /// The tasks that run commands.
    pub(super) fn commands(&self) -> impl Iterator<Item = &'w Task> {
        let commands = self.runs.iter().filter(|(_, run)| run.process == RunProcess::Shell);
        commands.map(|(task, _)| *task)
    }

    pub(super) fn of(workflow: &'w Workflow) -> Self {
        let mut search = Search {
            workflow,
            needs: Self::default(),
        };
        search.workflow();
        search.needs
    }

    /// What one task needs that is called from a workflow.
    pub(super) fn of_task(task: &'w Task, workflow: &'w Workflow) -> Self {
        let mut search = Search {
            workflow,
            needs: Self::default(),
        };
        search.task(task);
        search.needs
    }
}

struct Search<'w> {
    workflow: &'w Workflow,
    needs: Needs<'w>,
}

impl<'w> Search<'w> {
    fn workflow(&mut self) {
        let workflow = self.workflow;
        self.schema(workflow.input.as_ref().and_then(|input| input.schema.as_ref()));
        self.schema(workflow.output.as_ref().and_then(|output| output.schema.as_ref()));
        self.list(&workflow.tasks);
        for task in workflow.uses.functions.values() {
            self.task(task);
        }
        for (_, extension) in &workflow.uses.extensions {
            self.optional(extension.value.before.as_ref());
            self.optional(extension.value.after.as_ref());
        }
    }

    fn list(&mut self, tasks: &'w TaskList) {
        for item in &tasks.0 {
            self.task(&item.task);
        }
    }

    fn task(&mut self, task: &'w Task) {
        self.schema(task.input.as_ref().and_then(|input| input.schema.as_ref()));
        self.schema(task.output.as_ref().and_then(|output| output.schema.as_ref()));
        self.schema(task.export.as_ref().and_then(|export| export.schema.as_ref()));
        match &task.kind {
            TaskKind::Call(Call::Function { name, .. }) => self.name(name),
            TaskKind::Call(Call::OpenApi(call)) => self.needs.operations.push(call),
            TaskKind::Run(run) => self.needs.runs.push((task, run)),
            TaskKind::Do(tasks) => self.list(tasks),
            TaskKind::Fork(fork) => self.list(&fork.branches),
            TaskKind::For(each) => self.list(&each.tasks),
            TaskKind::Try(attempt) => {
                self.list(&attempt.tasks);
                self.optional(attempt.catch.tasks.as_ref());
            }
            TaskKind::Listen(listen) => {
                if let Some(foreach) = &listen.foreach {
                    self.schema(foreach.output.as_ref().and_then(|output| output.schema.as_ref()));
                    self.schema(foreach.export.as_ref().and_then(|export| export.schema.as_ref()));
                }
                self.optional(listen.tasks());
            }
            TaskKind::Call(_)
            | TaskKind::Emit(_)
            | TaskKind::Raise(_)
            | TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Wait(_) => {}
        }
    }

    fn optional(&mut self, tasks: Option<&'w TaskList>) {
        if let Some(tasks) = tasks {
            self.list(tasks);
        }
    }

    fn schema(&mut self, schema: Option<&'w Schema>) {
        if let Some(Schema {
            source: SchemaSource::Resource(resource),
            ..
        }) = schema
        {
            self.needs.schemas.push(&resource.value);
        }
    }

    fn name(&mut self, name: &'w Text) {
        if self.workflow.uses.functions.contains_key(&name.value) {
            return;
        }
        let names = if FunctionName::is_uri(&name.value) {
            &mut self.needs.documents
        } else {
            &mut self.needs.functions
        };
        if !names.iter().any(|known| known.value == name.value) {
            names.push(name);
        }
    }
}
