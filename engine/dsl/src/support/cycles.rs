//! Functions of `use.functions` that call themselves, directly or through others: depth-first, each function looked at once.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use crate::model::{Call, Task, TaskKind, TaskList};

/// For each cycle the function at which it closes, and the way around it: `a → b → a`.
pub(super) fn find(functions: &IndexMap<String, Task>) -> Vec<(&Task, String)> {
    let edges: HashMap<&str, Vec<&str>> = functions
        .iter()
        .map(|(name, task)| {
            let mut called = Vec::new();
            collect(task, &mut called);
            called.retain(|name| functions.contains_key(*name));
            (name.as_str(), called)
        })
        .collect();
    let mut found = Vec::new();
    let mut done: HashSet<&str> = HashSet::new();
    for start in functions.keys() {
        // The way from the start to where we are, with the callees still to look at.
        let mut way: Vec<(&str, &[&str])> = Vec::new();
        let mut on_way: HashSet<&str> = HashSet::new();
        let mut next = Some(start.as_str());
        loop {
            if let Some(name) = next.take() {
                if on_way.contains(name) {
                    let names: Vec<&str> = way.iter().map(|(name, _)| *name).skip_while(|on| *on != name).collect();
                    found.extend(functions.get(name).map(|task| (task, around(&names, name))));
                } else if done.insert(name) {
                    on_way.insert(name);
                    way.push((name, edges.get(name).map_or(&[], Vec::as_slice)));
                }
            }
            let Some((name, callees)) = way.last_mut() else { break };
            match callees.split_first() {
                Some((first, rest)) => {
                    *callees = rest;
                    next = Some(first);
                }
                None => {
                    on_way.remove(*name);
                    way.pop();
                }
            }
        }
    }
    found
}

fn around(names: &[&str], back_to: &str) -> String {
    const SHOWN: usize = 6;
    let mut shown: Vec<&str> = names.iter().copied().take(SHOWN).collect();
    if names.len() > SHOWN {
        shown.push("…");
    }
    shown.push(back_to);
    shown.join(" → ")
}

/// The names of the functions that a task calls, in itself and in its tasks.
fn collect<'t>(task: &'t Task, found: &mut Vec<&'t str>) {
    let mut lists: Vec<&TaskList> = Vec::new();
    match &task.kind {
        TaskKind::Call(Call::Function { name, .. }) => found.push(&name.value),
        TaskKind::Do(tasks) => lists.push(tasks),
        TaskKind::Fork(fork) => lists.push(&fork.branches),
        TaskKind::For(each) => lists.push(&each.tasks),
        TaskKind::Listen(listen) => lists.extend(listen.tasks()),
        TaskKind::Try(attempt) => {
            lists.push(&attempt.tasks);
            lists.extend(&attempt.catch.tasks);
        }
        _ => {}
    }
    lists
        .into_iter()
        .flat_map(|list| &list.0)
        .for_each(|item| collect(&item.task, found));
}
