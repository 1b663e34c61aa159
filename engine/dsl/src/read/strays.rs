//! A `then` that leads to a task of another list: where that task is, and why it cannot be reached. Looked for when all is read, and
//! only when a `then` has gone astray.

use std::collections::HashMap;

use super::{Reader, clip};
use crate::{model::Location, yaml::Node};

/// A `then` whose target is not in its list.
pub(super) struct Stray {
    target: String,
    /// The number of the diagnostic that says so.
    diagnostic: usize,
}

/// A task of the name that was looked for.
struct Found<'n> {
    at: Location,
    /// The task that it is inside of; `None` for one of the workflow's own list.
    inside: Option<&'n str>,
}

impl Reader {
    /// Notes that the diagnostic which comes next is about such a `then`.
    pub fn stray(&mut self, target: &str) {
        if self.strays.len() < crate::MAX_DIAGNOSTICS {
            self.strays.push(Stray {
                target: target.to_owned(),
                diagnostic: self.list.len(),
            });
        }
    }

    /// Says of each where its target is, if it is anywhere.
    pub fn explain_strays(&mut self, root: &Node) {
        let strays = std::mem::take(&mut self.strays);
        if strays.is_empty() {
            return;
        }
        let mut found = strays.iter().map(|stray| (stray.target.as_str(), None)).collect();
        find(root, None, &mut found);
        for Stray { target, diagnostic } in &strays {
            let (Some(Some(found)), Some(diagnostic)) = (found.get(target.as_str()), self.list.get_mut(*diagnostic))
            else {
                continue;
            };
            let (target, line) = (clip(target), found.at.line);
            diagnostic.help = Some(match found.inside {
                Some(task) => format!(
                    "the '{target}' on line {line} is inside '{}', and a 'then' stays in its own list",
                    clip(task)
                ),
                None => format!(
                    "the '{target}' on line {line} is outside of this list: leave it with 'exit', and go on from the task around it"
                ),
            });
        }
    }
}

/// Finds the first task of each name. Recursion ends where the depth of a document does.
fn find<'n>(node: &'n Node, inside: Option<&'n str>, found: &mut HashMap<&str, Option<Found<'n>>>) {
    for item in node.items().unwrap_or_default() {
        find(item, inside, found);
    }
    for member in node.members().unwrap_or_default() {
        let tasks = matches!(member.key.as_str(), "do" | "try" | "branches" | "before" | "after");
        let Some(entries) = member.value.items().filter(|_| tasks) else {
            find(&member.value, inside, found);
            continue;
        };
        for entry in entries.iter().filter_map(|entry| entry.members()?.first()) {
            if let Some(place @ None) = found.get_mut(entry.key.as_str()) {
                *place = Some(Found {
                    at: entry.key_at,
                    inside,
                });
            }
            find(&entry.value, Some(&entry.key), found);
        }
    }
}
