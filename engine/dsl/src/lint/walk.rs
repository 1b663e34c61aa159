//! Every task of a workflow with its reference, and every list of tasks that run one after the other.

use std::collections::VecDeque;

use crate::model::{Task, TaskKind, TaskList, Workflow};

/// A task and where it is.
pub(super) struct Spot<'w> {
    /// Its reference, which is a JSON pointer into the document too.
    pub reference: String,
    pub task: &'w Task,
}

/// All tasks of a workflow, those of functions and extensions too.
pub(super) struct Everything<'w> {
    pub tasks: Vec<Spot<'w>>,
    /// The lists whose tasks run one after the other.
    pub lists: Vec<&'w TaskList>,
}

impl<'w> Everything<'w> {
    pub fn of(workflow: &'w Workflow) -> Self {
        let mut everything = Self {
            tasks: Vec::new(),
            lists: Vec::new(),
        };
        let mut pending = VecDeque::from([("/do".to_owned(), &workflow.tasks)]);
        for (name, task) in &workflow.uses.functions {
            everything.task(format!("/use/functions/{}", escape(name)), task, &mut pending);
        }
        for (index, (name, extension)) in workflow.uses.extensions.iter().enumerate() {
            for (what, tasks) in [("before", &extension.value.before), ("after", &extension.value.after)] {
                let reference = format!("/use/extensions/{index}/{}/{what}", escape(name));
                pending.extend(tasks.as_ref().map(|tasks| (reference, tasks)));
            }
        }
        while let Some((reference, list)) = pending.pop_front() {
            if !reference.ends_with("/fork/branches") {
                everything.lists.push(list);
            }
            for (index, item) in list.0.iter().enumerate() {
                let reference = format!("{reference}/{index}/{}", escape(&item.name.value));
                everything.task(reference, &item.task, &mut pending);
            }
        }
        everything
    }

    fn task(&mut self, reference: String, task: &'w Task, pending: &mut VecDeque<(String, &'w TaskList)>) {
        let mut list = |part: &str, tasks: &'w TaskList| pending.push_back((format!("{reference}{part}"), tasks));
        match &task.kind {
            TaskKind::Do(tasks) => list("/do", tasks),
            TaskKind::Fork(fork) => list("/fork/branches", &fork.branches),
            TaskKind::For(each) => list("/do", &each.tasks),
            TaskKind::Listen(listen) => {
                if let Some(tasks) = listen.tasks() {
                    list("/foreach/do", tasks);
                }
            }
            TaskKind::Try(attempt) => {
                list("/try", &attempt.tasks);
                if let Some(tasks) = &attempt.catch.tasks {
                    list("/catch/do", tasks);
                }
            }
            _ => {}
        }
        self.tasks.push(Spot { reference, task });
    }
}

/// A step of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
