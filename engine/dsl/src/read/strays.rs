//! A `then` that leads to a task of another list: where that task is, and why it cannot be reached. Looked for when all is read, and
//! only when a `then` has gone astray.

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
        for Stray { target, diagnostic } in std::mem::take(&mut self.strays) {
            let (Some(found), Some(diagnostic)) = (find(root, &target, None), self.list.get_mut(diagnostic)) else {
                continue;
            };
            let (target, line) = (clip(&target), found.at.line);
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

/// The first task of that name. Recursion ends where the depth of a document does.
fn find<'n>(node: &'n Node, name: &str, inside: Option<&'n str>) -> Option<Found<'n>> {
    if let Some(items) = node.items() {
        return items.iter().find_map(|item| find(item, name, inside));
    }
    for member in node.members()? {
        let tasks = matches!(member.key.as_str(), "do" | "try" | "branches" | "before" | "after");
        let entries = member.value.items().filter(|_| tasks).unwrap_or_default();
        for entry in entries.iter().filter_map(|entry| entry.members()?.first()) {
            if entry.key == name {
                return Some(Found {
                    at: entry.key_at,
                    inside,
                });
            }
            if let Some(found) = find(&entry.value, name, Some(&entry.key)) {
                return Some(found);
            }
        }
        if entries.is_empty()
            && let Some(found) = find(&member.value, name, inside)
        {
            return Some(found);
        }
    }
    None
}
