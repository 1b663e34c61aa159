//! Which functions a workflow calls: what deploying has to lock.

use potok_dsl::model::{Call, Task, TaskKind, TaskList, Text, Workflow};

/// The functions called anywhere in a workflow that are not in its own `use.functions`, each where it is first named.
#[must_use]
pub fn called(workflow: &Workflow) -> Vec<&Text> {
    let mut found = Found {
        workflow,
        names: Vec::new(),
    };
    found.list(&workflow.tasks);
    for task in workflow.uses.functions.values() {
        found.task(task);
    }
    found.names
}

struct Found<'a> {
    workflow: &'a Workflow,
    names: Vec<&'a Text>,
}

impl<'a> Found<'a> {
    fn list(&mut self, tasks: &'a TaskList) {
        for item in &tasks.0 {
            self.task(&item.task);
        }
    }

    fn task(&mut self, task: &'a Task) {
        match &task.kind {
            TaskKind::Call(Call::Function { name, .. }) => self.name(name),
            TaskKind::Do(tasks) => self.list(tasks),
            TaskKind::Fork(fork) => self.list(&fork.branches),
            TaskKind::For(each) => self.list(&each.tasks),
            TaskKind::Try(attempt) => {
                self.list(&attempt.tasks);
                self.optional(attempt.catch.tasks.as_ref());
            }
            TaskKind::Listen(listen) => self.optional(listen.tasks()),
            TaskKind::Call(_)
            | TaskKind::Emit(_)
            | TaskKind::Raise(_)
            | TaskKind::Run(_)
            | TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Wait(_) => {}
        }
    }

    fn optional(&mut self, tasks: Option<&'a TaskList>) {
        if let Some(tasks) = tasks {
            self.list(tasks);
        }
    }

    fn name(&mut self, name: &'a Text) {
        let own = self.workflow.uses.functions.contains_key(&name.value);
        if !own && !self.names.iter().any(|known| known.value == name.value) {
            self.names.push(name);
        }
    }
}
