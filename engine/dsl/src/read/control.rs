//! The tasks that steer others, and the small ones: `for`, `fork`, `raise`, `run`, `set`, `switch`, `try`.

use super::{Reader, clip, fields::Fields, json, shapes, task::Scope};
use crate::{
    model::{At, Catch, ErrorRef, For, Fork, Json, Run, RunProcess, SwitchCase, Try},
    yaml::{Member, Node},
};

const PROCESSES: [(&str, RunProcess); 4] = [
    ("container", RunProcess::Container),
    ("script", RunProcess::Script),
    ("shell", RunProcess::Shell),
    ("workflow", RunProcess::Workflow),
];

const RETURNS: [(&str, ()); 5] = [("stdout", ()), ("stderr", ()), ("code", ()), ("all", ()), ("none", ())];

impl Reader {
    pub fn fork(&mut self, node: &Node) -> Option<Fork> {
        let mut fields = Fields::of(self, node, "'fork'")?;
        let branches = fields.require("branches").and_then(|node| self.branches(node));
        let compete = fields.boolean(self, "compete");
        fields.finish(self);
        Some(Fork {
            branches: branches?,
            compete: compete.as_ref().is_some_and(|compete| compete.value),
            compete_at: compete.map(|compete| compete.at),
        })
    }

    pub fn for_each(&mut self, node: &Node, task: &mut Fields) -> Option<For> {
        let condition = task.text(self, "while");
        let tasks = task.require("do").and_then(|node| self.task_list(node, "do"));
        let mut fields = Fields::of(self, node, "'for'")?;
        let each = fields.get("each").and_then(|node| self.variable(node, "each"));
        let items = fields.require("in").and_then(|node| self.items(node));
        let at = fields.get("at").and_then(|node| self.variable(node, "at"));
        fields.finish(self);
        let name = |given: &Option<At<String>>, default: &str| {
            given.as_ref().map_or(default.to_owned(), |given| given.value.clone())
        };
        if name(&each, "item") == name(&at, "index") {
            self.wrong_help(
                node.at,
                "the item and the index have the same name in 'for'",
                "give one of them another with 'each' or 'at'",
            );
        }
        Some(For {
            each,
            items: items?,
            at,
            condition,
            tasks: tasks?,
        })
    }

    /// An expression, or objects in place.
    fn items(&mut self, node: &Node) -> Option<Json> {
        if node.text().is_some() {
            return Some(json(node));
        }
        let Some(items) = node.items() else {
            self.expected(node, "'in'", "text (an expression) or a list of objects");
            return None;
        };
        if let Some(item) = items.iter().find(|item| item.members().is_none()) {
            let message = format!("an item of 'in' must be an object, not {}", item.kind());
            self.wrong_help(
                item.at,
                message,
                "other items are written as an expression: ${ [1, 2, 3] }",
            );
            return None;
        }
        Some(json(node))
    }

    pub fn raise(&mut self, node: &Node) -> Option<At<ErrorRef>> {
        let mut fields = Fields::of(self, node, "'raise'")?;
        let error = fields.require("error");
        fields.finish(self);
        let error = error?;
        Some(At {
            value: self.error_ref(error)?,
            at: error.at,
        })
    }

    pub fn run(&mut self, node: &Node) -> Option<Run> {
        let mut fields = Fields::of(self, node, "'run'")?;
        let process = fields.one_of(self, &PROCESSES.map(|(name, _)| name));
        let wait = fields.boolean(self, "await");
        let output = fields.get("return").and_then(|node| {
            self.word(node, "return", &RETURNS)?;
            self.text(node, "return")
        });
        fields.finish(self);
        let member = process?;
        let (name, process) = *PROCESSES.iter().find(|(name, _)| *name == member.key)?;
        self.check_object(&member.value, name, shapes::process(process));
        if process == RunProcess::Container {
            self.check_lifetime(&member.value);
        }
        Some(Run {
            process,
            properties: json(&member.value),
            wait: wait.as_ref().is_none_or(|wait| wait.value),
            wait_at: wait.map(|wait| wait.at),
            output,
        })
    }

    pub fn set(&mut self, node: &Node) -> Option<Json> {
        let set = self.text_or_object(node, "set")?;
        if node.members().is_some_and(<[Member]>::is_empty) {
            self.wrong(node.at, "'set' is empty: it needs at least one member");
        }
        Some(set)
    }

    pub fn switch(&mut self, node: &Node, scope: &Scope) -> Option<Vec<SwitchCase>> {
        let entries = self.entries(node, "switch", "case")?;
        let mut default: Option<&Member> = None;
        let mut cases = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(mut fields) = Fields::of(self, &entry.value, format!("case '{}'", clip(&entry.key))) else {
                continue;
            };
            let when = fields.text(self, "when");
            let then = fields.require("then").and_then(|node| self.flow(node, scope));
            let unconditional = fields.peek("when").is_none();
            fields.finish(self);
            match default {
                Some(first) if unconditional => {
                    let message = format!(
                        "case '{}' has no 'when', and neither has '{}'",
                        clip(&entry.key),
                        clip(&first.key)
                    );
                    self.wrong_help(
                        entry.key_at,
                        message,
                        "one case alone may be the default: give the other a 'when'",
                    );
                }
                None if unconditional => default = Some(entry),
                _ => {}
            }
            let name = At {
                value: entry.key.clone(),
                at: entry.key_at,
            };
            cases.extend(then.map(|then| SwitchCase { name, when, then }));
        }
        Some(cases)
    }

    pub fn try_catch(&mut self, node: &Node, task: &mut Fields, scope: &Scope) -> Option<Try> {
        let tasks = self.task_list(node, "try");
        let catch = task.require("catch").and_then(|node| self.catch(node, scope));
        Some(Try {
            tasks: tasks?,
            catch: catch?,
        })
    }

    fn catch(&mut self, node: &Node, scope: &Scope) -> Option<Catch> {
        let mut fields = Fields::of(self, node, "'catch'")?;
        let errors = fields.get("errors").and_then(|node| self.error_filter(node));
        let catch = Catch {
            at: node.at,
            errors,
            variable: fields.get("as").and_then(|node| self.variable(node, "as")),
            when: fields.text(self, "when"),
            except_when: fields.text(self, "exceptWhen"),
            retry: fields.get("retry").and_then(|node| self.retry_ref(node)),
            tasks: fields.get("do").and_then(|node| self.task_list(node, "do")),
            then: fields.get("then").and_then(|node| self.flow(node, scope)),
        };
        fields.finish(self);
        Some(catch)
    }
}
