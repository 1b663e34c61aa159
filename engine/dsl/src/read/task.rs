//! Lists of tasks, and what all tasks have in common. Which task it is, the key says that names it.

use std::collections::HashMap;

use super::{Reader, clip, fields::Fields};
use crate::{
    model::{At, Flow, Location, Task, TaskItem, TaskKind, TaskList, Text},
    yaml::{Member, Node},
};

/// The keys that name a task, and the members that may stand beside them.
const KINDS: [(&str, &[&str]); 12] = [
    ("call", &["with"]),
    ("do", &[]),
    ("fork", &[]),
    ("emit", &[]),
    ("for", &["while", "do"]),
    ("listen", &["foreach"]),
    ("raise", &[]),
    ("run", &[]),
    ("set", &[]),
    ("switch", &[]),
    ("try", &["catch"]),
    ("wait", &[]),
];

/// The members that every task may have.
const COMMON: [&str; 7] = ["if", "input", "output", "export", "timeout", "then", "metadata"];

/// Where a `then` may lead.
pub(super) struct Scope {
    names: HashMap<String, u32>,
    /// Why there is nowhere to go, when there is not.
    none: Option<&'static str>,
}

impl Scope {
    /// A task that stands alone.
    pub fn alone(why: &'static str) -> Self {
        Self {
            names: HashMap::new(),
            none: Some(why),
        }
    }
}

impl Reader {
    /// A list of tasks of which `then` may choose one.
    pub fn task_list(&mut self, node: &Node, name: &str) -> Option<TaskList> {
        let entries = self.entries(node, name, "task")?;
        let scope = self.scope(&entries, true);
        Some(self.task_items(&entries, &scope))
    }

    /// A list of tasks that run side by side.
    pub fn branches(&mut self, node: &Node) -> Option<TaskList> {
        let entries = self.entries(node, "branches", "branch")?;
        self.scope(&entries, true);
        let scope = Scope::alone("branches run side by side, so none can be jumped to");
        Some(self.task_items(&entries, &scope))
    }

    fn task_items(&mut self, entries: &[&Member], scope: &Scope) -> TaskList {
        let items = entries.iter().filter_map(|entry| {
            let name = At {
                value: entry.key.clone(),
                at: entry.key_at,
            };
            let task = self.task(&entry.value, &entry.key, scope)?;
            Some(TaskItem { name, task })
        });
        TaskList(items.collect())
    }

    /// The entries of a list of objects with one member each: its name and what it is.
    pub fn entries<'n>(&mut self, node: &'n Node, name: &str, what: &str) -> Option<Vec<&'n Member>> {
        let Some(items) = node.items() else {
            let message = format!("'{name}' must be a list, not {}", node.kind());
            self.wrong_help(node.at, message, format!("write '- ' before the name of each {what}"));
            return None;
        };
        if items.is_empty() {
            self.wrong(
                node.at,
                format!("'{name}' is an empty list: it needs at least one {what}"),
            );
        }
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            match item.members() {
                Some([entry]) => entries.push(entry),
                Some([]) => {
                    let message = format!("an entry of '{name}' is empty");
                    self.wrong_help(
                        item.at,
                        message,
                        format!("write the name of the {what}, or remove the entry"),
                    );
                }
                Some([first, second, ..]) => {
                    let message = format!(
                        "'{}' and '{}' are in one entry of '{name}'",
                        clip(&first.key),
                        clip(&second.key)
                    );
                    let help = if KINDS.iter().any(|(kind, _)| *kind == first.key || *kind == second.key) {
                        format!("each entry is the name of the {what} and, indented under it, what it does")
                    } else {
                        format!(
                            "write '- ' before each {what}, or indent what belongs to '{}' further",
                            clip(&first.key)
                        )
                    };
                    self.wrong_help(second.key_at, message, help);
                }
                None => {
                    let message = format!("an entry of '{name}' must be an object, not {}", item.kind());
                    let help = format!("each entry is the name of the {what}, ':', and what it is");
                    self.wrong_help(item.at, message, help);
                }
            }
        }
        Some(entries)
    }

    /// The names that a `then` may use. A name that is there twice could not be chosen.
    fn scope(&mut self, entries: &[&Member], unique: bool) -> Scope {
        let mut names: HashMap<String, u32> = HashMap::with_capacity(entries.len());
        for entry in entries {
            match names.get(&entry.key) {
                Some(line) if unique => {
                    let message = format!(
                        "there already is a task '{}' in this list, on line {line}",
                        clip(&entry.key)
                    );
                    self.wrong_help(
                        entry.key_at,
                        message,
                        "give one of them another name: 'then' could not choose",
                    );
                }
                Some(_) => {}
                None => {
                    names.insert(entry.key.clone(), entry.key_at.line);
                }
            }
        }
        Scope { names, none: None }
    }

    /// What comes next.
    pub fn flow(&mut self, node: &Node, scope: &Scope) -> Option<At<Flow>> {
        let text = self.text(node, "then")?;
        let flow = match text.value.as_str() {
            "continue" => Flow::Continue,
            "exit" => Flow::Exit,
            "end" => Flow::End,
            name => {
                self.check_target(&text, scope);
                Flow::To(name.to_owned())
            }
        };
        Some(At {
            value: flow,
            at: text.at,
        })
    }

    fn check_target(&mut self, target: &Text, scope: &Scope) {
        if scope.names.contains_key(&target.value) {
            return;
        }
        let message = format!(
            "'then' leads to '{}', and there is no such task in this list",
            clip(&target.value)
        );
        let known = ["continue", "exit", "end"]
            .into_iter()
            .chain(scope.names.keys().map(String::as_str));
        let help = match (self.suggest(&target.value, known), scope.none) {
            (Some(near), _) => format!("did you mean '{near}'?"),
            (None, Some(why)) => format!("{why}; use continue, exit or end"),
            (None, None) => {
                self.stray(&target.value);
                "it reaches the tasks of its own list only, or continue, exit, end".to_owned()
            }
        };
        self.wrong_help(target.at, message, help);
    }

    /// A task, whose name is for messages.
    pub fn task(&mut self, node: &Node, name: &str, scope: &Scope) -> Option<Task> {
        let mut fields = Fields::of(self, node, format!("task '{}'", clip(name)))?;
        let condition = fields.text(self, "if");
        let input = fields.get("input").and_then(|node| self.input(node));
        let kind = self.kind(&mut fields, scope);
        let output = fields.get("output").and_then(|node| self.output(node));
        let export = fields.get("export").and_then(|node| self.export(node));
        let timeout = fields.get("timeout").and_then(|node| self.timeout_ref(node));
        let then = fields.get("then").and_then(|node| self.flow(node, scope));
        let metadata = fields.object(self, "metadata");
        let potok = fields.peek("metadata").and_then(|member| member.value.get("potok"));
        let potok = potok
            .and_then(|node| self.task_potok(node, kind.as_ref().and_then(|(kind, _)| kind.as_ref())))
            .unwrap_or_default();
        // Without a kind every member would be unknown, and that is not what is wrong.
        if kind.is_some() {
            fields.finish(self);
        }
        let (kind, kind_at) = kind?;
        let source = self.copy(node, name)?;
        Some(Task {
            at: node.at,
            condition,
            input,
            output,
            export,
            timeout,
            then,
            metadata,
            potok,
            kind: kind?,
            kind_at,
            source,
        })
    }

    fn copy(&mut self, node: &Node, name: &str) -> Option<serde_json::Value> {
        let Some(left) = self.may_copy.checked_sub(node.count()) else {
            let message = format!("task '{}' holds too much data so deep inside other tasks", clip(name));
            self.wrong_help(
                node.at,
                message,
                "move inner tasks to 'use.functions', or pass large data as the run's input",
            );
            return None;
        };
        self.may_copy = left;
        Some(node.to_value())
    }

    /// What the task does and where that is said; outer `None` when nothing says it, inner when that is wrong.
    fn kind(&mut self, fields: &mut Fields, scope: &Scope) -> Option<(Option<TaskKind>, Location)> {
        let (key, beside, at) = self.dispatch(fields)?;
        for key in beside {
            fields.member(key);
        }
        let node = fields.get(key)?;
        let kind = match key {
            "call" => self.call(node, fields.get("with"), at).map(TaskKind::Call),
            "do" => self.task_list(node, "do").map(TaskKind::Do),
            "fork" => self.fork(node).map(TaskKind::Fork),
            "emit" => self.emit(node).map(TaskKind::Emit),
            "for" => self.for_each(node, fields).map(TaskKind::For),
            "listen" => self.listen(node, fields).map(TaskKind::Listen),
            "raise" => self.raise(node).map(TaskKind::Raise),
            "run" => self.run(node).map(TaskKind::Run),
            "set" => self.set(node).map(TaskKind::Set),
            "switch" => self.switch(node, scope).map(TaskKind::Switch),
            "try" => self.try_catch(node, fields, scope).map(TaskKind::Try),
            _ => self.duration(node, "wait").map(TaskKind::Wait),
        };
        Some((kind, at))
    }

    /// The one key that says what the task does.
    fn dispatch(&mut self, fields: &Fields) -> Option<(&'static str, &'static [&'static str], Location)> {
        let mut present: Vec<_> = KINDS
            .iter()
            .filter_map(|(key, beside)| fields.peek(key).map(|member| (*key, *beside, member.key_at)))
            .collect();
        // The tasks of a `for` are its own.
        if present.iter().any(|(key, ..)| *key == "for") {
            present.retain(|(key, ..)| *key != "do");
        }
        present.sort_by_key(|(.., at)| *at);
        match present.as_slice() {
            [one] => Some(*one),
            [first, second, ..] => {
                let message = format!("{} has '{}' and also '{}'", fields.what, first.0, second.0);
                self.wrong_help(second.2, message, "a task does one thing: make two tasks of it");
                None
            }
            [] => {
                let message = format!("{} says nothing that it does", fields.what);
                let kinds = KINDS.map(|(key, _)| key);
                let companion = KINDS.iter().find_map(|(kind, beside)| {
                    let key = beside.iter().find(|key| fields.peek(key).is_some())?;
                    Some((kind, key))
                });
                if let Some((kind, key)) = companion {
                    self.wrong_help(
                        fields.at,
                        message,
                        format!("'{key}' goes with '{kind}', which is missing"),
                    );
                    return None;
                }
                let near = fields
                    .keys()
                    .filter(|(key, _)| !COMMON.contains(key))
                    .find_map(|(key, at)| Some((key, at, self.suggest(key, kinds)?)));
                match near {
                    Some((key, at, near)) => {
                        let message = format!("unknown property '{}' in {}", clip(key), fields.what);
                        self.wrong_help(at, message, format!("did you mean '{near}'?"));
                    }
                    None => self.wrong_help(fields.at, message, format!("it needs one of {}", kinds.join(", "))),
                }
                None
            }
        }
    }
}
