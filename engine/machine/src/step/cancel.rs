//! Ending what nobody waits for any more.

use crate::{
    effect::{CallId, Effect},
    frame::{Body, Frame, FrameId},
    observer::TraceKind,
};

use super::Step;

impl Step<'_> {
    /// Ends a frame and everything under it, the innermost first.
    pub(crate) fn cancel(&mut self, top: FrameId) {
        self.cancel_all(top, |_| None);
    }

    /// As [`Self::cancel`], with another story for some of the tasks.
    pub(super) fn cancel_all(&mut self, top: FrameId, story: impl Fn(FrameId) -> Option<TraceKind>) {
        for id in self.under(top).into_iter().rev() {
            let Some(Frame::Task(task)) = self.state.frames.remove(id) else {
                continue;
            };
            self.close_timer(task.timeout);
            match &task.body {
                Body::Call { call } | Body::Asking { call } => self.cancel_call(*call),
                Body::Wait { timer } | Body::Queued { timer, .. } => self.close_timer(Some(*timer)),
                Body::Try(trying) => self.close_timer(trying.timer),
                Body::Listen(listening) => self.unsubscribe(listening.subscription, listening.until),
                Body::Instant | Body::Child { .. } | Body::Extended(_) | Body::Fork(_) | Body::For(_) => {}
            }
            self.trace(&task, || story(id).unwrap_or(TraceKind::Cancelled));
        }
    }

    /// A frame and all frames under it, each before those under it.
    fn under(&self, top: FrameId) -> Vec<FrameId> {
        let mut found = Vec::new();
        let mut stack = vec![top];
        while let Some(id) = stack.pop() {
            let Some(frame) = self.state.frames.get(id) else {
                continue;
            };
            found.push(id);
            match frame {
                Frame::Block(block) => stack.extend(block.child),
                Frame::Task(task) => match &task.body {
                    Body::Child { child } => stack.extend(*child),
                    Body::Try(trying) => stack.extend(trying.child),
                    Body::Extended(extending) => stack.extend(extending.child),
                    Body::Fork(forking) => stack.extend(forking.running.values()),
                    Body::Listen(listening) => stack.extend(listening.running),
                    Body::For(looping) => stack.extend(looping.running.values()),
                    Body::Instant
                    | Body::Call { .. }
                    | Body::Asking { .. }
                    | Body::Queued { .. }
                    | Body::Wait { .. } => {}
                },
            }
        }
        found
    }

    pub(super) fn cancel_call(&mut self, call: CallId) {
        if self.state.calls.remove(&call).is_some() {
            self.effects.push(Effect::CancelCall { call });
        }
    }
}
