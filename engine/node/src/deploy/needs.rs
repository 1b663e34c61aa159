//! What a workflow needs besides its text: what deploying has to find and lock.

use potok_dsl::model::{
    Bind, Call, ExternalResource, OpenApiCall, Run, RunProcess, Schema, SchemaSource, Task, TaskKind, TaskList, Text,
    Workflow, WorkflowRef,
};

/// What is needed, each thing as often as it is named.
#[derive(Debug, Default)]
pub(super) struct Needs<'w> {
    /// The functions that are not in the workflow's own `use.functions`, each where it is first named.
    pub functions: Vec<&'w Text>,
    /// The operations of APIs.
    pub operations: Vec<&'w OpenApiCall>,
    /// The schemas that are kept elsewhere.
    pub schemas: Vec<&'w ExternalResource>,
    /// What it runs, each with its task.
    pub runs: Vec<(&'w Task, &'w Run)>,
}

/// The functions called anywhere in a workflow that are not in its own `use.functions`, each where it is first named.
#[must_use]
pub fn called(workflow: &Workflow) -> Vec<&Text> {
    Needs::of(workflow).functions
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
        search.schema(workflow.input.as_ref().and_then(|input| input.schema.as_ref()));
        search.schema(workflow.output.as_ref().and_then(|output| output.schema.as_ref()));
        search.list(&workflow.tasks);
        for task in workflow.uses.functions.values() {
            search.task(task);
        }
        for (_, extension) in &workflow.uses.extensions {
            search.optional(extension.value.before.as_ref());
            search.optional(extension.value.after.as_ref());
        }
        search.needs
    }
}

struct Search<'w> {
    workflow: &'w Workflow,
    needs: Needs<'w>,
}

impl<'w> Search<'w> {
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
        let own = self.workflow.uses.functions.contains_key(&name.value);
        if !own && !self.needs.functions.iter().any(|known| known.value == name.value) {
            self.needs.functions.push(name);
        }
    }
}
