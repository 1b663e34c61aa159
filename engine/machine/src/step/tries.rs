//! `try`: attempts, what is caught, and what comes after.

use std::sync::Arc;

use potok_dsl::{ErrorType, Millis, Problem, Timestamp, model::ErrorFilter};
use serde_json::Value;

use super::{Signal, Step, Taken};
use crate::{
    definition::{Kind, Node, Retry, Try},
    frame::{Body, FrameId, Phase, Role, Trying},
    observer::TraceKind,
    retry,
    state::Purpose,
};

impl Step<'_> {
    pub(super) fn perform_try(&mut self, task: Taken, node: &Node, _: &Try) -> Option<Signal> {
        let trying = Trying {
            attempt: 0,
            phase: Phase::Pausing,
            child: None,
            timer: None,
        };
        match self.open(task, node, Body::Try(trying)) {
            Ok(id) => self.attempt(id),
            Err(signal) => Some(signal),
        }
    }

    /// Tries, for the first time or again.
    pub(super) fn attempt(&mut self, id: FrameId) -> Option<Signal> {
        let definition = self.definition;
        let task = self.state.frames.task(id)?;
        let Kind::Try(tried) = &definition.node(task.node).kind else {
            return None;
        };
        let limit = tried.retry.as_ref().and_then(|retry| retry.attempt_duration.as_ref());
        let limit = match limit.map(|span| self.span(span, task, &[], "retry.limit.attempt.duration")) {
            None => None,
            Some(Ok(limit)) => Some(limit),
            Some(Err(problem)) => {
                let task = self.state.frames.take_task(id)?;
                return Some(self.faulted(task, problem));
            }
        };
        let input = Arc::clone(&task.input);
        let path = self.block_path(&task.path, None, tried.list);
        let timer = limit.map(|limit| self.start_timer(self.state.now.after(limit), Purpose::Attempt(id)));
        let block = self.open_block(Some(id), tried.list, path, Role::Plain, None);
        let trying = self.trying(id)?;
        trying.attempt += 1;
        trying.phase = Phase::Trying;
        trying.timer = timer;
        trying.child = Some(block);
        self.advance(block, 0, input)
    }

    fn trying(&mut self, id: FrameId) -> Option<&mut Trying> {
        match &mut self.state.frames.task_mut(id)?.body {
            Body::Try(trying) => Some(trying),
            _ => None,
        }
    }

    /// What is tried has ended with an error: it is tried again, handled, or goes on upwards.
    pub(super) fn caught(&mut self, id: FrameId, problem: Problem) -> Option<Signal> {
        let timer = self.trying(id)?.timer.take();
        self.close_timer(timer);
        let definition = self.definition;
        let task = self.state.frames.task(id)?;
        let Kind::Try(tried) = &definition.node(task.node).kind else {
            return None;
        };
        let error = Arc::new(serde_json::to_value(&problem).unwrap_or_default());
        let decision = self.decide(task, tried, &problem, &error);
        let retry_at = match decision {
            Ok(Decision::Handle) => return self.handle(id, tried, error),
            Ok(Decision::Retry(at)) => at,
            Ok(Decision::Escalate) => {
                let task = self.state.frames.take_task(id)?;
                return Some(self.faulted(task, problem));
            }
            Err(problem) => {
                let task = self.state.frames.take_task(id)?;
                return Some(self.faulted(task, problem));
            }
        };
        let attempt = self.trying(id)?.attempt + 1;
        if let Some(task) = self.state.frames.task(id).cloned() {
            self.trace(&task, || TraceKind::Retrying {
                attempt,
                error: problem,
                until: retry_at,
            });
        }
        if retry_at <= self.state.now {
            return self.attempt(id);
        }
        let timer = self.start_timer(retry_at, Purpose::Retry(id));
        let trying = self.trying(id)?;
        trying.phase = Phase::Pausing;
        trying.timer = Some(timer);
        None
    }

    fn decide(&self, task: &Taken, tried: &Try, problem: &Problem, error: &Arc<Value>) -> Result<Decision, Problem> {
        let extra = [(tried.variable.as_str(), Arc::clone(error))];
        if !matches(&tried.filter, problem) {
            return Ok(Decision::Escalate);
        }
        if let Some(when) = &tried.when
            && !self.test(when, task, &task.input, &extra, "catch.when")?
        {
            return Ok(Decision::Escalate);
        }
        if let Some(except) = &tried.except_when
            && self.test(except, task, &task.input, &extra, "catch.exceptWhen")?
        {
            return Ok(Decision::Escalate);
        }
        let Some(policy) = &tried.retry else {
            return Ok(Decision::Handle);
        };
        if let Some(at) = self.retry_at(task, policy, problem, &extra)? {
            return Ok(Decision::Retry(at));
        }
        // A policy alone says how often to try, not that the error does not matter.
        let handles = tried.handler.is_some() || tried.then.is_some();
        Ok(if handles { Decision::Handle } else { Decision::Escalate })
    }

    /// When to try again; `None` when the policy does not want to, or has come to its limits.
    fn retry_at(
        &self,
        task: &Taken,
        policy: &Retry,
        problem: &Problem,
        extra: &[(&str, Arc<Value>)],
    ) -> Result<Option<Timestamp>, Problem> {
        let Body::Try(trying) = &task.body else { return Ok(None) };
        let retry = trying.attempt;
        if policy.attempts.is_some_and(|most| retry > most) {
            return Ok(None);
        }
        if let Some(when) = &policy.when
            && !self.test(when, task, &task.input, extra, "retry.when")?
        {
            return Ok(None);
        }
        if let Some(except) = &policy.except_when
            && self.test(except, task, &task.input, extra, "retry.exceptWhen")?
        {
            return Ok(None);
        }
        let span = |span: &Option<crate::definition::Span>, what| match span {
            Some(span) => self.span(span, task, extra, what).map(Some),
            None => Ok(None),
        };
        let base = span(&policy.delay, "retry.delay")?.unwrap_or_default();
        let from = span(&policy.jitter_from, "retry.jitter.from")?.unwrap_or_default();
        let to = span(&policy.jitter_to, "retry.jitter.to")?.unwrap_or_default();
        let growth = retry::Growth {
            increment: span(&policy.increment, "retry.backoff.linear.increment")?,
            multiplier: policy.multiplier,
            most: span(&policy.max_delay, "retry.backoff.maxDelay")?,
        };
        let delay = retry::grown(policy.backoff, base, growth, retry);
        let jitter = retry::jitter(self.state.run, &task.path, retry, from, to);
        let delay = delay
            .0
            .saturating_add(jitter.0)
            .max(problem.retry_after_ms.unwrap_or(0));
        let at = self.state.now.after(Millis(delay));
        let limit = match &policy.duration {
            Some(limit) => Some(self.period(limit, task, extra, "retry.limit.duration")?),
            None => None,
        };
        Ok(Some(at).filter(|at| limit.is_none_or(|limit| *at <= task.started_at.after_period(limit))))
    }

    /// Does what `catch` says about an error that is not tried again.
    fn handle(&mut self, id: FrameId, tried: &Try, error: Arc<Value>) -> Option<Signal> {
        let task = self.state.frames.task(id)?;
        let input = Arc::clone(&task.input);
        let Some(handler) = tried.handler else {
            let task = self.state.frames.take_task(id)?;
            return Some(self.finish(task, input, tried.then));
        };
        let path = self.block_path(&task.path, None, handler);
        let role = Role::Handler { error };
        let block = self.open_block(Some(id), handler, path, role, None);
        let trying = self.trying(id)?;
        trying.phase = Phase::Catching;
        trying.child = Some(block);
        self.advance(block, 0, input)
    }
}

enum Decision {
    Retry(Timestamp),
    Handle,
    Escalate,
}

/// Whether an error has all members that a filter asks for.
fn matches(filter: &ErrorFilter, problem: &Problem) -> bool {
    let text = |wanted: &Option<potok_dsl::model::Text>, found: &Option<String>| {
        wanted
            .as_ref()
            .is_none_or(|wanted| found.as_deref() == Some(wanted.value.as_str()))
    };
    filter
        .kind
        .as_ref()
        .is_none_or(|kind| ErrorType::same(&kind.value, &problem.kind))
        && filter
            .status
            .as_ref()
            .is_none_or(|status| status.value == problem.status)
        && text(&filter.instance, &problem.instance)
        && text(&filter.title, &problem.title)
        && text(&filter.detail, &problem.detail)
}
