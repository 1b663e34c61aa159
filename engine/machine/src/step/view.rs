//! A run as it is looked at: who listens, and for what.

use std::sync::{Arc, OnceLock};

use potok_expr::Evaluator;
use serde_json::Value;

use super::{Step, Taken};
use crate::{
    definition::{Definition, Kind, Listen, Place},
    effect::{Pattern, SubscriptionId},
    filter::Facts,
    frame::{Body, FrameId},
    listening::Listening,
    scope::Scope,
    state::{Live, OpenSubscription},
};

/// A run and what it is looked at with.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    pub(crate) definition: &'v Definition,
    pub(crate) evaluator: &'v Evaluator,
    pub(crate) workflow: &'v OnceLock<Arc<Value>>,
    pub(crate) state: &'v Live,
}

/// A task that listens.
#[derive(Clone, Copy)]
pub(super) struct Listener<'v> {
    pub(super) task: &'v Taken,
    pub(super) listen: &'v Listen,
    pub(super) listening: &'v Listening<Arc<Value>>,
}

impl Step<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        View {
            definition: self.definition,
            evaluator: self.evaluator,
            workflow: self.workflow,
            state: self.state,
        }
    }
}

impl<'v> View<'v> {
    /// The variables of an expression of a task.
    pub(super) fn scope(self, task: &'v Taken, place: Place) -> Scope<'v> {
        Scope {
            definition: self.definition,
            state: self.state,
            workflow: self.workflow,
            place,
            task: Some(task),
            raw_output: None,
            output: None,
            context: None,
            extra: &[],
            extending: false,
        }
    }

    pub(super) fn listener(self, frame: FrameId) -> Option<Listener<'v>> {
        let task = self.state.frames.task(frame)?;
        match (&task.body, &self.definition.node(task.node).kind) {
            (Body::Listen(listening), Kind::Listen(listen)) => Some(Listener {
                task,
                listen,
                listening,
            }),
            _ => None,
        }
    }

    /// The number of the filter by which an open subscription takes an event.
    pub(crate) fn takes(self, subscription: SubscriptionId, event: &Value) -> Option<u32> {
        self.fitting(subscription, self.state.subscriptions.get(&subscription)?, event)
    }

    pub(crate) fn fitting(self, subscription: SubscriptionId, open: &OpenSubscription, event: &Value) -> Option<u32> {
        if open.effect.patterns.is_empty() {
            return None;
        }
        let listener = self.listener(open.frame)?;
        let until = listener.listening.until == Some(subscription);
        let strategy = listener.listen.strategy(until)?;
        let scope = self.scope(listener.task, Place::Task);
        strategy.fitting(listener.listening.filled(until), event, &self.facts(&scope, listener))
    }

    pub(super) fn facts<'f>(self, scope: &'f Scope<'_>, listener: Listener<'f>) -> Facts<'f>
    where
        'v: 'f,
    {
        Facts {
            evaluator: self.evaluator,
            scope,
            parameters: &listener.listening.parameters,
            known: &listener.listening.known,
        }
    }

    /// What a subscription asks for now.
    pub(super) fn patterns(self, frame: FrameId, subscription: SubscriptionId) -> Vec<Pattern> {
        let Some(Listener { listen, listening, .. }) = self.listener(frame) else {
            return Vec::new();
        };
        if self.state.suspended || listening.full {
            return Vec::new();
        }
        let until = listening.until == Some(subscription);
        listen.strategy(until).map_or_else(Vec::new, |strategy| {
            strategy.patterns(listening.filled(until), &listening.parameters, &listening.known)
        })
    }
}
