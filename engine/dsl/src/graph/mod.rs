//! A workflow as a Mermaid flowchart, for people to look at.
//!
//! A task is a node; a task with tasks inside is a subgraph, and so is every function and extension. Nodes are written where they
//! belong, edges after all of them, since Mermaid puts a node where it first hears of it. Mermaid takes no edge from a subgraph to
//! itself or from within it to it: such a jump goes through a node of its own.

mod label;

use std::{collections::HashMap, fmt::Write};

use crate::model::{Call, Catch, Flow, Fork, Schedule, Task, TaskItem, TaskKind, TaskList, Try, Workflow};

use label::{Shape, describe, escape, headline};

/// The workflow as the text of a Mermaid flowchart.
#[must_use]
pub fn graph(workflow: &Workflow) -> String {
    let mut drawing = Drawing::default();
    let document = &workflow.document;
    let id = format!(
        "{}/{}:{}",
        document.namespace.value, document.name.value, document.version.value
    );
    let title = document.title.as_ref().map_or(id, |title| title.value.clone());
    // Quoted; and without '%', in which Mermaid looks for directives before anything else.
    let title = serde_json::Value::from(title).to_string().replace('%', "\\u0025");
    let mut text = format!("---\ntitle: {title}\n---\nflowchart TD\n");
    drawing.workflow(workflow);
    text.push_str(&drawing.nodes);
    text.push_str(&drawing.edges);
    text
}

const START: &str = "start";
const FINISH: &str = "finish";

#[derive(Default)]
struct Drawing {
    nodes: String,
    edges: String,
    /// The number of the next node.
    next: usize,
    /// The subgraphs that are open where we draw.
    open: Vec<String>,
    functions: HashMap<String, String>,
}

/// Where a list of tasks leads.
struct Scope<'s> {
    names: HashMap<&'s str, &'s str>,
    /// Where its last task leads, and what is written on that edge.
    done: Option<(String, &'static str)>,
    /// Where `exit` leads.
    exit: String,
}

impl Drawing {
    fn workflow(&mut self, workflow: &Workflow) {
        for name in workflow.uses.functions.keys() {
            let id = self.id();
            self.functions.insert(name.clone(), id);
        }
        self.node(START, &starter(workflow.schedule.as_ref()), Shape::Stadium);
        self.node(FINISH, "end", Shape::Stadium);
        let first = self.list(&workflow.tasks, Some((FINISH.to_owned(), "")), Some(FINISH));
        if let Some(first) = first {
            self.edge(START, &first, "");
        }
        for (name, task) in &workflow.uses.functions {
            let Some(id) = self.functions.get(name).cloned() else {
                continue;
            };
            self.begin(&id, &format!("function {name}"));
            let inner = self.id();
            self.task(&inner, name, task);
            self.end();
        }
        for (name, extension) in &workflow.uses.extensions {
            let id = self.id();
            self.begin(&id, &format!("extension {name} of {}", extension.value.extend.word()));
            for (what, tasks) in [("before", &extension.value.before), ("after", &extension.value.after)] {
                if let Some(tasks) = tasks {
                    let id = self.id();
                    self.begin(&id, what);
                    self.list(tasks, None, None);
                    self.end();
                }
            }
            self.end();
        }
    }

    /// The tasks of a scope and the edges between them; the first of them.
    fn list(&mut self, tasks: &TaskList, done: Option<(String, &'static str)>, exit: Option<&str>) -> Option<String> {
        let ids: Vec<String> = tasks.0.iter().map(|_| self.id()).collect();
        let names = tasks
            .0
            .iter()
            .zip(&ids)
            .map(|(item, id)| (item.name.value.as_str(), id.as_str()))
            .collect();
        let exit = match exit {
            Some(exit) => exit.to_owned(),
            None if tasks.0.iter().any(|item| leads_to_exit(&item.task)) => {
                let id = self.id();
                self.node(&id, "exit", Shape::Circle);
                id
            }
            None => String::new(),
        };
        let scope = Scope { names, done, exit };
        for (index, TaskItem { name, task }) in tasks.0.iter().enumerate() {
            let Some(id) = ids.get(index) else { continue };
            let catch = self.task(id, &name.value, task);
            self.leave(id, task, ids.get(index + 1), &scope, catch.as_deref());
        }
        ids.into_iter().next()
    }

    /// The edges that leave a task.
    fn leave(&mut self, id: &str, task: &Task, next: Option<&String>, scope: &Scope, catch: Option<&str>) {
        let target = |flow: &Flow| -> Option<(String, &'static str)> {
            match flow {
                Flow::Continue => next.map(|next| (next.clone(), "")).or_else(|| scope.done.clone()),
                Flow::Exit => Some((scope.exit.clone(), "")),
                Flow::End => Some((FINISH.to_owned(), "")),
                Flow::To(name) => scope.names.get(name.as_str()).map(|id| ((*id).to_owned(), "")),
            }
        };
        let after = target(task.then.as_ref().map_or(&Flow::Continue, |then| &then.value));
        match &task.kind {
            TaskKind::Switch(cases) => {
                for case in cases {
                    if let Some((to, _)) = target(&case.then.value) {
                        self.edge(id, &to, &case.name.value);
                    }
                }
                if let Some((to, _)) = after.filter(|_| cases.iter().all(|case| case.when.is_some())) {
                    self.edge(id, &to, "otherwise");
                }
            }
            TaskKind::Raise(_) => {
                if let Some((to, _)) = after.filter(|_| task.condition.is_some()) {
                    self.edge(id, &to, "skipped");
                }
            }
            kind => {
                if let Some((to, label)) = after {
                    self.edge(id, &to, label);
                }
                if let (TaskKind::Try(attempt), Some(catch)) = (kind, catch)
                    && let Some(then) = &attempt.catch.then
                    && let Some((to, _)) = target(&then.value)
                {
                    self.open.push(id.to_owned());
                    self.edge(catch, &to, "caught");
                    self.open.pop();
                }
            }
        }
    }

    /// A task; for a `try`, its `catch`.
    fn task(&mut self, id: &str, name: &str, task: &Task) -> Option<String> {
        match &task.kind {
            TaskKind::Do(tasks) => {
                self.begin(id, &headline(name, task));
                self.list(tasks, None, None);
                self.end();
            }
            TaskKind::For(each) => {
                self.begin(id, &headline(name, task));
                self.cycle(&describe(task), Shape::Hexagon, &each.tasks, "next item");
                self.end();
            }
            TaskKind::Fork(fork) => self.fork(id, name, task, fork),
            TaskKind::Listen(listen) if listen.tasks().is_some() => {
                self.begin(id, &headline(name, task));
                if let Some(tasks) = listen.tasks() {
                    self.cycle(&describe(task), Shape::LeanLeft, tasks, "next event");
                }
                self.end();
            }
            TaskKind::Try(attempt) => return Some(self.attempt(id, name, task, attempt)),
            kind => {
                let text = format!("{}\n{}", headline(name, task), describe(task));
                self.node(id, &text, Shape::of(kind));
                if let TaskKind::Call(Call::Function { name, .. }) = kind
                    && let Some(function) = self.functions.get(&name.value).cloned()
                    && !self.open.contains(&function)
                {
                    let _ = writeln!(self.edges, "  {id} -.-> {function}");
                }
            }
        }
        None
    }

    /// A head, tasks after it, and the way back to it.
    fn cycle(&mut self, text: &str, shape: Shape, tasks: &TaskList, back: &'static str) {
        let head = self.id();
        self.node(&head, text, shape);
        if let Some(first) = self.list(tasks, Some((head.clone(), back)), None) {
            self.edge(&head, &first, "");
        }
    }

    fn fork(&mut self, id: &str, name: &str, task: &Task, fork: &Fork) {
        self.begin(id, &headline(name, task));
        let (head, join) = (self.id(), self.id());
        self.node(&head, &describe(task), Shape::Hexagon);
        for TaskItem { name, task } in &fork.branches.0 {
            let branch = self.id();
            self.task(&branch, &name.value, task);
            self.edge(&head, &branch, "");
            self.edge(&branch, &join, "");
        }
        self.node(&join, if fork.compete { "first" } else { "all" }, Shape::Circle);
        self.end();
    }

    fn attempt(&mut self, id: &str, name: &str, task: &Task, attempt: &Try) -> String {
        let Try { tasks, catch } = attempt;
        self.begin(id, &headline(name, task));
        let (tried, caught) = (self.id(), self.id());
        self.begin(&tried, "try");
        self.list(tasks, None, None);
        self.end();
        match &catch.tasks {
            Some(tasks) => {
                self.begin(&caught, "catch");
                self.list(tasks, None, None);
                self.end();
            }
            None => self.node(&caught, "catch", Shape::Round),
        }
        self.end();
        self.dotted(&tried, &caught, &caught_errors(catch));
        if catch.retry.is_some() {
            self.dotted(&caught, &tried, "retry");
        }
        caught
    }

    fn id(&mut self) -> String {
        let id = format!("n{}", self.next);
        self.next += 1;
        id
    }

    fn indent(&self) -> String {
        "  ".repeat(self.open.len() + 1)
    }

    fn node(&mut self, id: &str, text: &str, shape: Shape) {
        let (left, right) = shape.brackets();
        let _ = writeln!(self.nodes, "{}{id}{left}\"{}\"{right}", self.indent(), escape(text));
    }

    fn begin(&mut self, id: &str, text: &str) {
        let _ = writeln!(self.nodes, "{}subgraph {id}[\"{}\"]", self.indent(), escape(text));
        self.open.push(id.to_owned());
    }

    fn end(&mut self) {
        self.open.pop();
        let _ = writeln!(self.nodes, "{}end", self.indent());
    }

    fn edge(&mut self, from: &str, to: &str, label: &str) {
        if from == to || self.open.iter().any(|open| open == to) {
            let again = self.id();
            let _ = writeln!(self.edges, "  {again}((\"again\"))");
            self.arrow(from, &again, "-->", label);
            return self.arrow(&again, to, "-->", "");
        }
        self.arrow(from, to, "-->", label);
    }

    fn dotted(&mut self, from: &str, to: &str, label: &str) {
        self.arrow(from, to, "-.->", label);
    }

    fn arrow(&mut self, from: &str, to: &str, arrow: &str, label: &str) {
        let _ = match label {
            "" => writeln!(self.edges, "  {from} {arrow} {to}"),
            label => writeln!(self.edges, "  {from} {arrow}|\"{}\"| {to}", escape(label)),
        };
    }
}

fn leads_to_exit(task: &Task) -> bool {
    let exits = |flow: &Flow| *flow == Flow::Exit;
    task.then.as_ref().is_some_and(|then| exits(&then.value))
        || match &task.kind {
            TaskKind::Switch(cases) => cases.iter().any(|case| exits(&case.then.value)),
            TaskKind::Try(attempt) => attempt.catch.then.as_ref().is_some_and(|then| exits(&then.value)),
            _ => false,
        }
}

fn caught_errors(catch: &Catch) -> String {
    let filter = catch.errors.as_ref();
    let kind = filter
        .and_then(|filter| filter.kind.as_ref())
        .map(|kind| kind.value.rsplit('/').next().unwrap_or(&kind.value).to_owned());
    let status = filter
        .and_then(|filter| filter.status.as_ref())
        .map(|status| status.value.to_string());
    let parts: Vec<String> = kind.into_iter().chain(status).collect();
    if parts.is_empty() {
        "error".to_owned()
    } else {
        parts.join(" ")
    }
}

/// What starts the workflow.
fn starter(schedule: Option<&Schedule>) -> String {
    let Some(schedule) = schedule else {
        return "start".to_owned();
    };
    let mut parts = Vec::new();
    parts.extend(
        schedule
            .every
            .as_ref()
            .map(|every| format!("every {}", label::duration(&every.value))),
    );
    parts.extend(schedule.cron.as_ref().map(|cron| format!("cron {}", cron.value)));
    parts.extend(
        schedule
            .after
            .as_ref()
            .map(|after| format!("after {}", label::duration(&after.value))),
    );
    parts.extend(
        schedule
            .on
            .as_ref()
            .map(|on| format!("on {}", label::describe_events(&on.value))),
    );
    parts.join("\n")
}
