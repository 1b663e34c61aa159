//! Tasks that may not begin too often: each asks for its moment, waits for it, and begins.
//!
//! The moments of all runs are given out in one place, so asking is a call like any other: journaled, asked again after a crash under the same key.
//! A task that is late for its moment does not begin with others whose moment has come: it asks for a new one.

use std::sync::Arc;

use potok_dsl::{Millis, Problem, RunId, TaskPath, Timestamp};
use potok_expr::secret::is_in_text;
use serde_json::Value;

use super::{Signal, Step, Taken, calls::digest_of, values::wrong};
use crate::{
    definition::{Node, Place, Rate},
    digest,
    effect::{CallEffect, CallId, Effect, Request, TimerId},
    frame::{Body, Frame, FrameId},
    observer::TraceKind,
    request::RateRequest,
    secrets,
    state::{OpenCall, Purpose},
};

/// No moment is asked for further ahead than this.
const MOST_AHEAD: Millis = Millis(2_000);

impl Step<'_> {
    /// Begins a task, if need be when its turn has come.
    pub(super) fn take_turn(&mut self, task: Taken, node: &Node) -> Option<Signal> {
        match &node.rate {
            None => self.begin_task(task, node),
            Some(rate) => self.ask(task, node, rate, Millis(0)),
        }
    }

    fn ask(&mut self, mut task: Taken, node: &Node, rate: &Rate, ahead: Millis) -> Option<Signal> {
        let request = match self.rate_request(&task, node, rate, ahead) {
            Ok(request) => Request::Rate(request),
            Err(problem) => return Some(self.faulted(task, problem)),
        };
        self.state.calls_made += 1;
        let call = CallId(self.state.calls_made);
        let path = task.path.clone();
        let effect = CallEffect {
            call,
            digest: digest_of(&request),
            idempotency_key: turn_key(self.state.run, &path, call),
            path,
            reference: node.reference.to_string(),
            request,
            pure: false,
            at: None,
            once: false,
            limit: None,
            secrets: Vec::new(),
        };
        task.body = Body::Asking { call };
        let frame = self.keep(task);
        self.effects.push(Effect::Call(effect.clone()));
        self.state.calls.insert(call, OpenCall { frame, effect });
        None
    }

    fn rate_request(&self, task: &Taken, node: &Node, rate: &Rate, ahead: Millis) -> Result<RateRequest, Problem> {
        let what = "metadata.potok.rate.key";
        let key = match &rate.key {
            None => String::new(),
            Some(template) => match self.text(template, task, Place::Task, what)? {
                Some(key) if is_in_text(&key) => return Err(secrets::refused(format!("{what} cannot hold a secret"))),
                Some(key) => key,
                None => return Err(wrong(format!("{what} must give a value, not null"))),
            },
        };
        let id = self.definition.id();
        let keyed = [u8::from(rate.key.is_some())];
        let parts = [&id.namespace, &id.name, node.reference.as_ref(), &key].map(str::as_bytes);
        Ok(RateRequest {
            group: digest::long(parts.into_iter().chain([keyed.as_slice()])),
            limit: rate.limit,
            span: rate.span(),
            asked_at: self.state.now,
            ahead,
        })
    }

    /// Keeps a task that has not begun; its timeout does not run.
    fn keep(&mut self, task: Taken) -> FrameId {
        let parent = task.parent;
        let id = self.state.frames.insert(Frame::Task(task));
        self.adopt(parent, id);
        id
    }

    /// A task was told its moment.
    pub(super) fn turn_is_known(&mut self, frame: FrameId, outcome: Result<Arc<Value>, Problem>) {
        let Some(task) = self.state.frames.take_task(frame) else {
            return;
        };
        let signal = match outcome.and_then(|given| RateRequest::moment(&given)) {
            Ok(moment) => self.turn(task, moment),
            Err(problem) => Some(self.faulted(task, problem)),
        };
        if let Some(signal) = signal {
            self.settle(signal);
        }
    }

    /// A task has waited for its moment.
    pub(super) fn turn_has_come(&mut self, id: FrameId, timer: TimerId) -> Option<Signal> {
        match self.state.frames.task(id)?.body {
            Body::Queued { timer: waiting, until } if waiting == timer => {
                let task = self.state.frames.take_task(id)?;
                self.turn(task, until)
            }
            _ => None,
        }
    }

    /// A task whose moment is known waits for it, begins, or has missed it.
    fn turn(&mut self, mut task: Taken, moment: Timestamp) -> Option<Signal> {
        let (now, definition) = (self.state.now, self.definition);
        let node = definition.node(task.node);
        let rate = node.rate.as_ref()?;
        if now < moment {
            self.trace(&task, || TraceKind::Delayed { until: moment });
            let id = self.keep(task);
            let timer = self.start_timer(moment, Purpose::Turn(id));
            if let Some(task) = self.state.frames.task_mut(id) {
                task.body = Body::Queued { timer, until: moment };
            }
            return None;
        }
        let late = now.since(moment);
        if late > rate.grace() {
            return self.ask(task, node, rate, Millis(late.0.saturating_mul(2)).min(MOST_AHEAD));
        }
        task.body = Body::Instant;
        task.started_at = now;
        self.begin_task(task, node)
    }
}

/// The key under which a task asks for its moment. A task that is tried again begins again: its key is not that of the attempt before.
pub(super) fn turn_key(run: RunId, path: &TaskPath, call: CallId) -> String {
    digest::long([
        b"rate".as_slice(),
        &run.bytes(),
        path.0.as_bytes(),
        &call.0.to_be_bytes(),
    ])
}
