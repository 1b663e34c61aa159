//! A task begins: its condition, its input, then what it does.

use std::{fmt::Write, sync::Arc};

use potok_dsl::{ErrorType, Problem, TaskPath};
use serde_json::Value;

use super::{Signal, Step, Taken};
use crate::{
    definition::{Call, Kind, ListId, Next, Node, NodeId, Place, Raise, Span},
    frame::{Body, Frame, FrameId, Role, Task},
    observer::TraceKind,
    state::{Purpose, Work},
};

/// How deep functions of `use.functions` may call each other.
const MOST_NESTED: usize = 100;

/// How many tasks and lists may be open for another function to begin.
const MOST_OPEN: usize = 100_000;

impl Step<'_> {
    /// Begins the workflow's first list.
    pub(crate) fn begin(&mut self, input: Arc<Value>) {
        let root = self.open_block(None, self.definition.root, Arc::from("/do"), Role::Plain, None);
        self.state.root = Some(root);
        if let Some(signal) = self.advance(root, 0, input) {
            self.settle(signal);
        }
    }

    /// Enters a task, unless what it belongs to has been ended in the meantime.
    pub(super) fn enter(&mut self, parent: FrameId, node_id: NodeId, input: Arc<Value>) {
        let definition = self.definition;
        let node = definition.node(node_id);
        let Some(path) = self.path(parent, node) else { return };
        let mut task = Task {
            parent,
            node: node_id,
            path,
            label: None,
            started_at: self.state.now,
            raw_input: Arc::clone(&input),
            input,
            timeout: None,
            authorization: None,
            extensions: Vec::new(),
            body: Body::Instant,
        };
        let signal = match self.prepare(&mut task, node) {
            Ok(true) => {
                self.trace(&task, || TraceKind::Started {
                    input: Arc::clone(&task.input),
                });
                self.take_turn(task, node)
            }
            // A task that did not run leads nowhere: what comes next is the next in the list, whatever its `then` says.
            Ok(false) => {
                self.trace(&task, || TraceKind::Skipped);
                self.note_skipped(parent);
                Some(Signal::Done {
                    parent,
                    output: task.raw_input,
                    next: Next::Continue,
                })
            }
            Err(problem) => {
                self.trace(&task, || TraceKind::Started {
                    input: Arc::clone(&task.raw_input),
                });
                Some(self.faulted(task, problem))
            }
        };
        if let Some(signal) = signal {
            self.settle(signal);
        }
    }

    /// The path of a task that is entered now; `None` when its parent is gone.
    fn path(&mut self, parent: FrameId, node: &Node) -> Option<TaskPath> {
        if let Some(block) = self.state.frames.block_mut(parent) {
            let mut path = String::with_capacity(block.path.len() + node.segment.len() + 4);
            path.push_str(&block.path);
            path.push_str(&node.segment);
            if self.definition.list(block.list).revisits {
                let visits = block.visits.entry(block.position).or_insert(0);
                *visits += 1;
                if *visits > 1 {
                    // Writing to a string cannot fail.
                    let _ = write!(path, "#{visits}");
                }
            }
            return Some(TaskPath(Arc::from(path)));
        }
        let caller = self.state.frames.task(parent)?;
        Some(TaskPath(Arc::from(format!("{}{}", caller.path, node.segment))))
    }

    /// Condition, schema and shape of the input; whether the task runs.
    fn prepare(&mut self, task: &mut Taken, node: &Node) -> Result<bool, Problem> {
        if let Some(label) = &node.label {
            // What people see must not be what a run fails of: a label that cannot be evaluated is none.
            task.label = self.text(label, task, Place::If, "label").ok().flatten();
        }
        if let Some(condition) = &node.condition {
            let scope = self.scope(task, Place::If);
            let holds = condition.test(self.evaluator, &task.raw_input, &scope);
            if !holds.map_err(|error| super::values::expression_problem(&error, "if"))? {
                return Ok(false);
            }
        }
        if let Some(schema) = &node.input.schema {
            schema.check(&task.raw_input, "the task's input")?;
        }
        if let Some(from) = &node.input.from {
            let scope = self.scope(task, Place::InputFrom);
            task.input = Arc::new(self.shape(from, &task.raw_input, &scope, "input.from")?);
        }
        if node.authorized {
            task.authorization = self.authorization(task, node)?;
        }
        Ok(true)
    }

    /// Does what the task is there for.
    pub(super) fn perform(&mut self, task: Taken, node: &Node) -> Option<Signal> {
        match &node.kind {
            Kind::Set(shape) => {
                let value = self.shape(shape, &task.input, &self.scope(&task, Place::Task), "set");
                Some(match value {
                    Ok(value) => self.finish(task, Arc::new(value), None),
                    Err(problem) => self.faulted(task, problem),
                })
            }
            Kind::Switch { cases, default } => {
                let chosen = self.choose(&task, cases, *default);
                Some(match chosen {
                    Ok(next) => {
                        let output = Arc::clone(&task.input);
                        self.finish(task, output, next)
                    }
                    Err(problem) => self.faulted(task, problem),
                })
            }
            Kind::Raise(raise) => {
                let problem = self.raised(&task, raise).unwrap_or_else(|problem| problem);
                Some(self.faulted(task, problem))
            }
            Kind::Do(list) => self.perform_do(task, node, *list),
            Kind::Fork(fork) => self.perform_fork(task, node, fork),
            Kind::Emit(emit) => Some(self.perform_emit(task, emit)),
            Kind::Listen(listen) => self.perform_listen(task, node, listen),
            Kind::For(each) => self.perform_for(task, node, each),
            Kind::Try(tried) => self.perform_try(task, node, tried),
            Kind::Wait(span) => self.perform_wait(task, node, span),
            Kind::Call(call) => match call.as_ref() {
                Call::Task { node: function, with } => self.perform_function(task, node, *function, with.as_ref()),
                call => self.perform_call(task, node, call),
            },
        }
    }

    fn choose(
        &self,
        task: &Taken,
        cases: &[(potok_expr::Expression, Next)],
        default: Option<Next>,
    ) -> Result<Option<Next>, Problem> {
        for (when, next) in cases {
            if self.test(when, task, &task.input, &[], "when")? {
                return Ok(Some(*next));
            }
        }
        Ok(default)
    }

    /// The error that a `raise` raises; `Err` when it cannot even be made.
    fn raised(&self, task: &Taken, raise: &Raise) -> Result<Problem, Problem> {
        let text = |template: &Option<crate::definition::TextTemplate>, what| match template {
            Some(template) => self.text(template, task, Place::Task, what),
            None => Ok(None),
        };
        let kind = self.text(&raise.kind, task, Place::Task, "raise.error.type")?;
        let scope = self.scope(task, Place::Task);
        let status = self.template(&raise.status, &task.input, &scope, "raise.error.status")?;
        let status = status
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| {
                Problem::new(
                    ErrorType::Expression,
                    "Expression failed",
                    format!(
                        "raise.error.status must give a number from 100 to 599, not {}",
                        super::values::brief(&status)
                    ),
                )
            })?;
        Ok(Problem {
            kind: kind.unwrap_or_else(|| "about:blank".to_owned()),
            status,
            title: text(&raise.title, "raise.error.title")?,
            detail: text(&raise.detail, "raise.error.detail")?,
            instance: text(&raise.instance, "raise.error.instance")?,
            retry_after_ms: None,
            data: None,
        })
    }

    fn perform_do(&mut self, task: Taken, node: &Node, list: ListId) -> Option<Signal> {
        let input = Arc::clone(&task.input);
        let path = self.block_path(&task.path, None, list);
        let id = match self.open(task, node, Body::Child { child: None }) {
            Ok(id) => id,
            Err(signal) => return Some(signal),
        };
        let block = self.open_block(Some(id), list, path, Role::Plain, None);
        self.adopt(id, block);
        self.advance(block, 0, input)
    }

    /// Runs a task of `use.functions` under the task that calls it.
    fn perform_function(
        &mut self,
        task: Taken,
        node: &Node,
        function: NodeId,
        with: Option<&potok_expr::Template>,
    ) -> Option<Signal> {
        if let Err(problem) = self.may_nest(task.parent) {
            return Some(self.faulted(task, problem));
        }
        let input = match self.arguments(&task, with) {
            Ok(input) => input,
            Err(problem) => return Some(self.faulted(task, problem)),
        };
        match self.open(task, node, Body::Child { child: None }) {
            Ok(parent) => {
                self.state.queue.push_back(Work::Enter {
                    parent,
                    node: function,
                    input,
                });
                None
            }
            Err(signal) => Some(signal),
        }
    }

    /// Whether a function may be run here: functions may call each other and themselves, but not without end.
    fn may_nest(&self, parent: FrameId) -> Result<(), Problem> {
        let mut functions = 0;
        let mut next = Some(parent);
        while let Some(frame) = next.and_then(|id| self.state.frames.get(id)) {
            next = match frame {
                Frame::Block(block) => block.parent,
                Frame::Task(task) => {
                    let is_call = matches!(self.definition.node(task.node).kind, Kind::Call(_));
                    functions += usize::from(is_call && matches!(task.body, Body::Child { .. }));
                    Some(task.parent)
                }
            };
        }
        let why = if functions >= MOST_NESTED {
            format!("functions of 'use.functions' call each other more than {MOST_NESTED} deep; let them end")
        } else if self.state.frames.places() >= MOST_OPEN {
            format!("more than {MOST_OPEN} tasks are open at once; let functions call fewer at once")
        } else {
            return Ok(());
        };
        Err(Problem::new(ErrorType::Runtime, "Too many functions", why))
    }

    fn perform_wait(&mut self, task: Taken, node: &Node, span: &Span) -> Option<Signal> {
        let span = match self.span(span, &task, &[], "wait") {
            Ok(span) => span,
            Err(problem) => return Some(self.faulted(task, problem)),
        };
        if span.0 == 0 {
            let output = Arc::clone(&task.input);
            return Some(self.finish(task, output, None));
        }
        let id = match self.open(task, node, Body::Instant) {
            Ok(id) => id,
            Err(signal) => return Some(signal),
        };
        let timer = self.start_timer(self.state.now.after(span), Purpose::Wait(id));
        if let Some(task) = self.state.frames.task_mut(id) {
            task.body = Body::Wait { timer };
        }
        None
    }

    /// Makes a frame of a task that lasts, and starts its timeout.
    pub(super) fn open(&mut self, task: Taken, node: &Node, body: Body<Arc<Value>>) -> Result<FrameId, Signal> {
        let limit = match &node.timeout {
            // It has run since the task's extensions began.
            _ if task.timeout.is_some() => None,
            None => None,
            Some(span) => match self.span(span, &task, &[], "timeout.after") {
                Ok(limit) => Some(limit),
                Err(problem) => return Err(self.faulted(task, problem)),
            },
        };
        let (parent, timeout) = (task.parent, task.timeout);
        let id = self.state.frames.insert(Frame::Task(Task { body, ..task }));
        self.adopt(parent, id);
        if let Some(open) = timeout.and_then(|timer| self.state.timers.get_mut(&timer)) {
            open.purpose = Purpose::Task(id);
        }
        if let Some(limit) = limit {
            let timer = self.start_timer(self.state.now.after(limit), Purpose::Task(id));
            if let Some(task) = self.state.frames.task_mut(id) {
                task.timeout = Some(timer);
            }
        }
        Ok(id)
    }

    /// Notes a frame as the child of the one above it.
    pub(super) fn adopt(&mut self, parent: FrameId, child: FrameId) {
        self.set_child(parent, Some(child));
    }

    pub(super) fn set_child(&mut self, parent: FrameId, to: Option<FrameId>) {
        if let Some(block) = self.state.frames.block_mut(parent) {
            block.child = to;
        } else if let Some(task) = self.state.frames.task_mut(parent) {
            match &mut task.body {
                Body::Child { child } => *child = to,
                Body::Extended(extending) => extending.child = to,
                Body::Try(trying) => trying.child = to,
                Body::Listen(listening) => listening.running = to,
                _ => {}
            }
        }
    }
}
