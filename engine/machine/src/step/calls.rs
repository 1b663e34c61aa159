//! `call`: what leaves the run, and what comes back.

use std::sync::Arc;

use potok_dsl::{Millis, Problem, RunId, TaskPath};
use potok_expr::secret::is_in_text;
use serde_json::Value;

use super::{
    Signal, Step, Taken,
    values::{brief, wrong},
};
use crate::{
    definition::{Call, Delivery, Kind, Node, Place, TextTemplate},
    digest,
    effect::{CallEffect, CallId, Effect, Request},
    event::Made,
    frame::{Body, FrameId},
    observer::TraceKind,
    secrets,
    state::{OpenCall, Work},
};

impl Step<'_> {
    pub(super) fn perform_call(&mut self, task: Taken, node: &Node, call: &Call) -> Option<Signal> {
        let (path, reference) = (task.path.clone(), node.reference.to_string());
        let request = self.request(&task, call);
        let request = request.and_then(|made| secrets::check(&made.0, self.definition.secrets()).map(|()| made));
        let (request, pure, delivery) = match request {
            Ok(request) => request,
            Err(problem) => return Some(self.faulted(task, problem)),
        };
        let idempotency_key =
            match self.idempotency_key(&task, &path, delivery.and_then(|delivery| delivery.key.as_ref())) {
                Ok(key) => key,
                Err(problem) => return Some(self.faulted(task, problem)),
            };
        let id = match self.open(task, node, Body::Instant) {
            Ok(id) => id,
            Err(signal) => return Some(signal),
        };
        self.state.calls_made += 1;
        let call = CallId(self.state.calls_made);
        if let Some(task) = self.state.frames.task_mut(id) {
            task.body = Body::Call { call };
        }
        let digest = digest_of(&request);
        let effect = CallEffect {
            call,
            path,
            reference,
            digest,
            idempotency_key,
            request,
            pure,
            at: Some(self.state.now),
            once: !pure && delivery.is_some_and(|delivery| delivery.once),
            limit: self.limit(id),
            secrets: self.definition.secrets().iter().map(ToString::to_string).collect(),
        };
        self.effects.push(Effect::Call(effect.clone()));
        self.state.calls.insert(call, OpenCall { frame: id, effect });
        None
    }

    /// How long a task that was opened a moment ago may take: as it says, or as the `call` says that runs it as a function.
    fn limit(&self, id: FrameId) -> Option<Millis> {
        let mut next = Some(id);
        while let Some(task) = next.and_then(|id| self.state.frames.task(id)) {
            if let Some(timer) = task.timeout.and_then(|timer| self.state.timers.get(&timer)) {
                return Some(timer.at.since(self.state.now));
            }
            next = Some(task.parent);
        }
        None
    }

    /// What is called, whether that is pure, and how it is delivered.
    fn request<'c>(&self, task: &Taken, call: &'c Call) -> Result<(Request, bool, Option<&'c Delivery>), Problem> {
        match call {
            Call::Function {
                function,
                with,
                delivery,
            } => {
                let args = self.arguments(task, with.as_ref())?;
                if !args.is_object() {
                    return Err(wrong(format!(
                        "the arguments of a function are an object, not {}",
                        brief(&args)
                    )));
                }
                Ok((
                    Request::Function {
                        function: function.clone(),
                        args,
                    },
                    function.pure,
                    Some(delivery),
                ))
            }
            Call::Http { request, delivery } => Ok((Request::Http(self.http(task, request)?), false, Some(delivery))),
            Call::OpenApi { request, delivery } => {
                let request = Request::OpenApi(self.openapi(task, request)?);
                Ok((request, false, Some(delivery)))
            }
            Call::Workflow(workflow) => {
                let call = CallId(self.state.calls_made + 1);
                Ok((Request::Workflow(self.sub_workflow(task, workflow, call)?), false, None))
            }
            Call::Shell(shell) => Ok((Request::Shell(self.shell(task, shell)?), false, None)),
            Call::Task { .. } => Err(wrong("a task of use.functions is no request".to_owned())),
        }
    }

    fn idempotency_key(&self, task: &Taken, path: &TaskPath, key: Option<&TextTemplate>) -> Result<String, Problem> {
        let Some(template) = key else {
            return Ok(key_of(self.state.run, path));
        };
        let what = "metadata.potok.idempotencyKey";
        let key = self.text(template, task, Place::Task, what)?;
        match key {
            Some(key) if is_in_text(&key) => Err(secrets::refused(format!("{what} cannot hold a secret"))),
            Some(key) if !key.is_empty() => Ok(key),
            _ => Err(wrong(format!("{what} must give text, not nothing"))),
        }
    }

    /// A call has ended. Nobody may be waiting for it any more.
    pub(crate) fn call_ended(&mut self, call: CallId, frame: FrameId, outcome: Result<Arc<Value>, Problem>) {
        match self.state.frames.task(frame).map(|task| &task.body) {
            Some(Body::Call { call: waiting }) if *waiting == call => {}
            Some(Body::Asking { call: waiting }) if *waiting == call => return self.turn_is_known(frame, outcome),
            _ => return,
        }
        let Some(task) = self.state.frames.take_task(frame) else {
            return;
        };
        let outcome = match &self.definition.node(task.node).kind {
            Kind::Call(call) => call.outcome(outcome, &task.input),
            _ => outcome,
        };
        let signal = match outcome {
            Ok(output) => self.finish(task, output, None),
            Err(problem) => self.faulted(task, problem),
        };
        self.settle(signal);
    }

    /// Takes a completed call off the list; halted, the run keeps the outcome for later.
    pub(crate) fn complete_call(&mut self, call: CallId, outcome: Result<Arc<Value>, Problem>, made: Option<Made>) {
        let Some(open) = self.state.calls.remove(&call) else {
            return;
        };
        if let Some(Made { calls, took }) = made {
            self.trace_open(open.frame, || TraceKind::Called { calls, took });
        }
        if self.state.suspended {
            self.state.queue.push_back(Work::Ended {
                call,
                frame: open.frame,
                outcome,
            });
        } else {
            self.call_ended(call, open.frame, outcome);
        }
    }
}

/// The key of a call that says nothing of its own.
pub(super) fn key_of(run: RunId, path: &TaskPath) -> String {
    digest::long([run.bytes().as_slice(), path.0.as_bytes()])
}

pub(super) fn digest_of(request: &Request) -> String {
    let mut text = Vec::new();
    match request {
        Request::Function { function, args } => {
            digest::canonical(args, &mut text);
            digest::short([
                b"function".as_slice(),
                function.component.as_bytes(),
                function.function.as_bytes(),
                &text,
            ])
        }
        Request::Http(request) => {
            digest::canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
            digest::short([b"http".as_slice(), &text])
        }
        Request::OpenApi(request) => {
            digest::canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
            digest::short([b"openapi".as_slice(), &text])
        }
        Request::Workflow(request) => {
            digest::canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
            digest::short([b"workflow".as_slice(), &text])
        }
        Request::Rate(request) => {
            digest::canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
            digest::short([b"rate".as_slice(), &text])
        }
        Request::Shell(request) => {
            digest::canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
            digest::short([b"shell".as_slice(), &text])
        }
    }
}
