//! Tasks that nothing leads to, and cases that never hold.
//!
//! A list begins with its first task. A task leads to where its `then` or its cases say, else to the next one, if it can come to an end at
//! all: a `raise` cannot, nor a `do` whose every way ends the workflow. A task with an `if` may be skipped, and then the next one follows.

use super::{is_literally, walk::Everything};
use crate::{
    diagnostic::Diagnostic,
    model::{Flow, SwitchCase, Task, TaskKind, TaskList},
};

pub(super) fn check(everything: &Everything<'_>, found: &mut Vec<Diagnostic>) {
    for list in &everything.lists {
        unreachable_tasks(list, found);
    }
    for spot in &everything.tasks {
        if let TaskKind::Switch(cases) = &spot.task.kind {
            unreachable_cases(cases, found);
        }
    }
}

fn unreachable_tasks(list: &TaskList, found: &mut Vec<Diagnostic>) {
    let reached = reached(list).0;
    let mut before: Option<usize> = None;
    for (index, item) in list.0.iter().enumerate() {
        if reached.get(index) == Some(&true) {
            before = Some(index);
            continue;
        }
        // Of several in a row the first one says it for all.
        if before.is_none_or(|before| before + 1 != index) {
            continue;
        }
        let more = reached[index..].iter().take_while(|reached| !**reached).count() - 1;
        let others = match more {
            0 => String::new(),
            1 => ", nor is the one after it".to_owned(),
            more => format!(", nor are the {more} after it"),
        };
        let message = format!("task '{}' is never reached{others}", item.name.value);
        let previous = before.and_then(|before| list.0.get(before));
        let why = previous.map_or_else(String::new, |previous| why_not(&previous.name.value, &previous.task));
        found.push(Diagnostic::warning(item.name.at, message).with_help(why));
    }
}

/// Why nothing comes after a task.
fn why_not(name: &str, task: &Task) -> String {
    let line = task.kind_at.line;
    match (&task.kind, &task.then) {
        (TaskKind::Raise(_), _) => format!("'{name}' before it raises an error (line {line})"),
        (TaskKind::Switch(_), _) => format!("no case of '{name}' before it leads here (line {line})"),
        (_, Some(then)) if then.value != Flow::Continue && can_end(task) => {
            let to = match &then.value {
                Flow::To(to) => to,
                Flow::Exit => "exit",
                Flow::End | Flow::Continue => "end",
            };
            format!("'{name}' before it goes on with '{to}' (line {})", then.at.line)
        }
        _ => format!("'{name}' before it never comes to an end of its own (line {line})"),
    }
}

fn unreachable_cases(cases: &[SwitchCase], found: &mut Vec<Diagnostic>) {
    let always = cases
        .iter()
        .position(|case| case.when.as_ref().is_some_and(|when| is_literally(when, "true")));
    for case in always.map_or(&[][..], |index| &cases[index + 1..]) {
        let message = format!("case '{}' is never chosen", case.name.value);
        found.push(Diagnostic::warning(case.name.at, message).with_help("a case before it always holds"));
    }
    let default = cases.iter().position(|case| case.when.is_none());
    if let Some(index) = default.filter(|index| index + 1 < cases.len()) {
        let case = &cases[index];
        let message = format!("case '{}' has no 'when' and is not the last", case.name.value);
        let help = "it is chosen only when no other case holds, those after it too: move it to the end";
        found.push(Diagnostic::warning(case.name.at, message).with_help(help));
    }
    let before = &cases[..always.unwrap_or(cases.len())];
    for case in before
        .iter()
        .filter(|case| case.when.as_ref().is_some_and(|when| is_literally(when, "false")))
    {
        let message = format!("case '{}' is never chosen", case.name.value);
        found.push(Diagnostic::warning(case.name.at, message).with_help("its condition never holds"));
    }
}

/// Which tasks of a list are reached, and whether the list can come to its end.
fn reached(list: &TaskList) -> (Vec<bool>, bool) {
    let mut reached = vec![false; list.0.len()];
    let mut ends = false;
    let mut pending = vec![0];
    while let Some(index) = pending.pop() {
        let Some(item) = list.0.get(index) else {
            // Beyond the last task is the end of the list.
            ends = true;
            continue;
        };
        if std::mem::replace(&mut reached[index], true) {
            continue;
        }
        for flow in leads_to(&item.task) {
            match flow {
                Flow::Continue => pending.push(index + 1),
                Flow::Exit => ends = true,
                Flow::End => {}
                Flow::To(name) => pending.extend(list.0.iter().position(|item| item.name.value == *name)),
            }
        }
    }
    (reached, ends)
}

/// Where a task can lead.
fn leads_to(task: &Task) -> Vec<&Flow> {
    let then = task.then.as_ref().map_or(&Flow::Continue, |then| &then.value);
    let mut flows = Vec::new();
    if task.condition.is_some() {
        flows.push(&Flow::Continue);
    }
    match &task.kind {
        TaskKind::Switch(cases) => {
            let always = |case: &SwitchCase| case.when.as_ref().is_none_or(|when| is_literally(when, "true"));
            flows.extend(cases.iter().map(|case| &case.then.value));
            if !cases.iter().any(always) {
                flows.push(then);
            }
        }
        TaskKind::Try(attempt) => {
            if can_end(task) {
                flows.push(then);
            }
            flows.extend(attempt.catch.then.as_ref().map(|then| &then.value));
        }
        _ if can_end(task) => flows.push(then),
        _ => {}
    }
    flows
}

/// Whether a task that has begun can come to its end, other than by an error or with the whole workflow. Recursion ends where the depth
/// of a document does.
fn can_end(task: &Task) -> bool {
    match &task.kind {
        TaskKind::Raise(_) => false,
        TaskKind::Do(tasks) => reached(tasks).1,
        TaskKind::Fork(fork) => {
            let mut branches = fork.branches.0.iter().map(|item| &item.task);
            let may = |task: &Task| task.condition.is_some() || can_end(task);
            if fork.compete {
                branches.any(may)
            } else {
                branches.all(may)
            }
        }
        TaskKind::Try(attempt) => {
            let catch = &attempt.catch;
            let caught = match &catch.tasks {
                Some(tasks) => reached(tasks).1,
                // When the retries are used up and nothing else is to be done, the error goes on.
                None => catch.retry.is_none() || catch.then.is_some(),
            };
            caught || reached(&attempt.tasks).1
        }
        _ => true,
    }
}
