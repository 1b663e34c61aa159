//! `listen`: subscriptions, the events that come by them, and what is done for each.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem};
use serde_json::Value;

use super::{Signal, Step, Taken, values::wrong};
use crate::{
    cloudevent::read_event,
    definition::{Foreach, Kind, Listen, Node, Place, TextTemplate, Until},
    effect::{Effect, Subscription, SubscriptionId},
    frame::{Block, Body, Frame, FrameId, Role},
    listening::{Listening, MOST_BYTES, MOST_KEPT, MOST_WAITING},
    observer::TraceKind,
    scope::{Scope, context_of, set_context},
    state::{OpenSubscription, Work},
};

impl Step<'_> {
    pub(super) fn perform_listen(&mut self, task: Taken, node: &Node, listen: &Listen) -> Option<Signal> {
        let parameters = match self.parameters(&task, listen) {
            Ok(parameters) => Arc::new(Value::Array(parameters)),
            Err(problem) => return Some(self.faulted(task, problem)),
        };
        if listen.to.all && listen.to.filters.is_empty() {
            return Some(self.finish(task, Arc::new(Value::Array(Vec::new())), None));
        }
        // What ends a listener is older than the listener, so that it comes first.
        let until = matches!(listen.until, Some(Until::Events(_))).then(|| self.next_subscription_id());
        let subscription = self.next_subscription_id();
        let mut listening = Listening::new(subscription, until, parameters);
        for strategy in [listen.strategy(false), listen.strategy(true)].into_iter().flatten() {
            for correlation in strategy.filters.iter().flat_map(|filter| &filter.correlations) {
                if let Some(value) = correlation.expect.and_then(|number| listening.parameters.get(number)) {
                    let known = listening.known.entry(correlation.name.clone());
                    known.or_insert_with(|| Arc::new(value.clone()));
                }
            }
        }
        let path = task.path.clone();
        let id = match self.open(task, node, Body::Listen(Box::new(listening))) {
            Ok(id) => id,
            Err(signal) => return Some(signal),
        };
        self.trace_open(id, || TraceKind::Listening);
        for subscription in until.into_iter().chain([subscription]) {
            let effect = Subscription {
                subscription,
                path: path.clone(),
                patterns: self.view().patterns(id, subscription),
            };
            self.effects.push(Effect::Subscribe(effect.clone()));
            let open = OpenSubscription { frame: id, effect };
            self.state.subscriptions.insert(subscription, open);
        }
        // Nothing may be needed to end it: an `until` of `all: []`.
        match listen.strategy(true) {
            Some(until) if until.all && until.filters.is_empty() => self.listen_on(id, true),
            _ => None,
        }
    }

    fn parameters(&self, task: &Taken, listen: &Listen) -> Result<Vec<Value>, Problem> {
        let evaluate = |(parameter, place): &(TextTemplate, String)| {
            let what = format!("listen.to: {place}");
            let value = self.value(parameter, task, Place::Task, &what)?;
            if value.is_null() {
                return Err(wrong(format!("{what} gives null, so no event would ever fit")));
            }
            Ok(value)
        };
        listen.parameters.iter().map(evaluate).collect()
    }

    fn next_subscription_id(&mut self) -> SubscriptionId {
        self.state.subscriptions_made += 1;
        SubscriptionId(self.state.subscriptions_made)
    }

    fn listening(&mut self, id: FrameId) -> Option<&mut Listening<Arc<Value>>> {
        match &mut self.state.frames.task_mut(id)?.body {
            Body::Listen(listening) => Some(listening),
            _ => None,
        }
    }

    /// Asks again for what a listener wants, where that has changed.
    fn refresh(&mut self, id: FrameId) {
        let Some(listening) = self.listening(id) else { return };
        for subscription in listening.until.into_iter().chain([listening.subscription]) {
            let patterns = self.view().patterns(id, subscription);
            let Some(open) = self.state.subscriptions.get_mut(&subscription) else {
                continue;
            };
            if open.effect.patterns != patterns {
                open.effect.patterns = patterns;
                self.effects.push(Effect::Subscribe(open.effect.clone()));
            }
        }
    }

    /// Lets all listeners rest, or wakes them, as the run is suspended or not.
    pub(crate) fn refresh_all(&mut self) {
        let frames: Vec<FrameId> = self.state.subscriptions.values().map(|open| open.frame).collect();
        for frame in frames {
            self.refresh(frame);
        }
    }

    /// Takes back the subscriptions of a listener.
    pub(super) fn unsubscribe(&mut self, subscription: SubscriptionId, until: Option<SubscriptionId>) {
        for subscription in until.into_iter().chain([subscription]) {
            if self.state.subscriptions.remove(&subscription).is_some() {
                self.effects.push(Effect::Unsubscribe { subscription });
            }
        }
    }

    /// An open subscription takes an event by one of its filters.
    pub(crate) fn event_consumed(
        &mut self,
        subscription: SubscriptionId,
        sequence: u64,
        event: &Arc<Value>,
        filter: u32,
    ) {
        if let Some(signal) = self.take_event(subscription, sequence, event, filter) {
            self.settle(signal);
        }
    }

    fn take_event(
        &mut self,
        subscription: SubscriptionId,
        sequence: u64,
        event: &Arc<Value>,
        filter: u32,
    ) -> Option<Signal> {
        let id = self.state.subscriptions.get(&subscription)?.frame;
        self.trace_open(id, || TraceKind::Consumed {
            sequence,
            cloud_event: Arc::clone(event),
        });
        let definition = self.definition;
        let Kind::Listen(listen) = &definition.node(self.state.frames.task(id)?.node).kind else {
            return None;
        };
        let view = self.view();
        let listener = view.listener(id)?;
        let until = listener.listening.until == Some(subscription);
        let strategy = listen.strategy(until)?;
        let scope = view.scope(listener.task, Place::Task);
        let facts = view.facts(&scope, listener);
        let learnt = strategy.filters.get(filter as usize)?.learnt(event, &facts);
        let item = Arc::new(read_event(event, listen.read));

        let listening = self.listening(id)?;
        for (name, value) in learnt {
            listening.known.insert(name, Arc::new(value));
        }
        if until {
            listening.until_filled.insert(filter);
            let over = strategy.is_over(&listening.until_filled);
            return self.listen_on(id, over);
        }
        listening.filled.insert(filter);
        if listen.foreach.is_some() {
            listening.waiting.push_back(Arc::clone(&item));
            listening.full |= listening.waiting.len() >= MOST_WAITING;
        }
        if listen.foreach.is_none() || matches!(listen.until, Some(Until::Holds(_))) {
            listening.consumed.push(item);
        }
        if listen.foreach.is_some() {
            listening.consumed.trim();
        } else if listening.consumed.is_too_much() {
            let message = format!(
                "it has consumed more than it can keep: {MOST_KEPT} events, or {} MiB of them; work on each by 'foreach'",
                MOST_BYTES >> 20
            );
            return self.fault_around(id, Problem::new(ErrorType::Runtime, "Too much to keep", message));
        }
        let over = match &listen.until {
            None => strategy.is_over(&listening.filled),
            Some(Until::Events(_)) => false,
            Some(Until::Holds(_)) => match self.until_holds(id) {
                Ok(over) => over,
                Err(problem) => return self.fault_around(id, problem),
            },
        };
        self.listen_on(id, over)
    }

    /// Whether the condition holds that ends a listener.
    fn until_holds(&self, id: FrameId) -> Result<bool, Problem> {
        let Some(listener) = self.view().listener(id) else {
            return Ok(false);
        };
        match &listener.listen.until {
            Some(Until::Holds(condition)) => {
                let consumed = listener.listening.consumed.array();
                self.test(condition, listener.task, &consumed, &[], "until")
            }
            _ => Ok(false),
        }
    }

    /// Goes on after something has happened to a listener.
    fn listen_on(&mut self, id: FrameId, over: bool) -> Option<Signal> {
        let listening = self.listening(id)?;
        if over && !listening.over {
            listening.over = true;
            let (subscription, until) = (listening.subscription, listening.until);
            let keys = listening.known.clone();
            self.unsubscribe(subscription, until);
            self.trace_open(id, || TraceKind::Correlated { keys });
        } else {
            self.refresh(id);
        }
        let listening = self.listening(id)?;
        if listening.running.is_some() || listening.queued {
            return None;
        }
        if !listening.waiting.is_empty() {
            listening.queued = true;
            self.state.queue.push_back(Work::Iterate { task: id });
            return None;
        }
        if !listening.over {
            return None;
        }
        let listener = self.view().listener(id)?;
        let output = match listener.listen.foreach {
            Some(_) => listener.listening.outputs.array(),
            None => listener.listening.consumed.array(),
        };
        let output = Arc::new(output);
        let task = self.state.frames.take_task(id)?;
        Some(self.finish(task, output, None))
    }

    /// Does what is to be done for the next event.
    pub(super) fn next_event(&mut self, id: FrameId) -> Option<Signal> {
        let definition = self.definition;
        let task = self.state.frames.task(id)?;
        let (path, input) = (task.path.clone(), Arc::clone(&task.input));
        let Kind::Listen(listen) = &definition.node(task.node).kind else {
            return None;
        };
        let foreach = listen.foreach.as_ref()?;
        let listening = self.listening(id)?;
        listening.queued = false;
        let item = listening.waiting.pop_front()?;
        let index = listening.next;
        listening.next += 1;
        if listening.full && listening.waiting.len() <= MOST_WAITING / 2 {
            listening.full = false;
            self.refresh(id);
        }
        let Some(list) = foreach.list else {
            let output = Arc::clone(&item);
            return self.event_output(id, foreach, index, item, &output);
        };
        let path = self.block_path(&path, Some(index), list);
        let block = self.open_block(Some(id), list, path, Role::Iteration { index, item }, None);
        self.adopt(id, block);
        self.advance(block, 0, input)
    }

    pub(super) fn event_done(&mut self, id: FrameId, block: Block<Arc<Value>>, output: Arc<Value>) -> Option<Signal> {
        let Role::Iteration { index, item } = block.role else {
            return None;
        };
        let definition = self.definition;
        let Kind::Listen(listen) = &definition.node(self.state.frames.task(id)?.node).kind else {
            return None;
        };
        self.event_output(id, listen.foreach.as_ref()?, index, item, &output)
    }

    /// Shapes, checks, exports and keeps what came of an event.
    fn event_output(
        &mut self,
        id: FrameId,
        foreach: &Foreach,
        index: u64,
        item: Arc<Value>,
        raw: &Arc<Value>,
    ) -> Option<Signal> {
        let extra = [
            (foreach.item.as_str(), item),
            (foreach.index.as_str(), Arc::new(Value::from(index))),
        ];
        match self.event_hand_over(id, foreach, raw, &extra) {
            Ok(output) => {
                let listening = self.listening(id)?;
                listening.outputs.push(output);
                listening.outputs.trim();
            }
            Err(problem) => return self.fault_around(id, problem),
        }
        // What is exported may be what `until` waits for.
        let listening = self.listening(id)?;
        let over = listening.over;
        match if over { Ok(true) } else { self.until_holds(id) } {
            Ok(over) => self.listen_on(id, over),
            Err(problem) => self.fault_around(id, problem),
        }
    }

    fn event_hand_over(
        &mut self,
        id: FrameId,
        foreach: &Foreach,
        raw: &Arc<Value>,
        extra: &[(&str, Arc<Value>)],
    ) -> Result<Arc<Value>, Problem> {
        let Some(task) = self.state.frames.task(id) else {
            return Ok(Arc::clone(raw));
        };
        let parent = task.parent;
        let scope = |place, output| Scope {
            extra,
            output,
            ..self.scope(task, place)
        };
        let output = match &foreach.output.shape {
            None => Arc::clone(raw),
            Some(shape) => Arc::new(self.shape(shape, raw, &scope(Place::OutputAs, None), "foreach.output.as")?),
        };
        if let Some(schema) = &foreach.output.schema {
            schema.check(&output, "the output for an event")?;
        }
        let context = match &foreach.export.shape {
            None => None,
            Some(shape) => {
                let scope = scope(Place::ExportAs, Some(&output));
                Some(Arc::new(self.shape(shape, &output, &scope, "foreach.export.as")?))
            }
        };
        if let Some(schema) = &foreach.export.schema {
            let exported = context.as_ref().unwrap_or(context_of(self.state, parent));
            schema.check(exported, "the exported context")?;
        }
        if let Some(context) = context {
            set_context(self.state, parent, context);
        }
        Ok(output)
    }

    /// Tells of all tasks that are open.
    pub(crate) fn trace_all(&mut self, kind: impl Fn() -> TraceKind) {
        if !self.observer.wants() {
            return;
        }
        let tasks: Vec<Taken> = self.state.frames.iter().filter_map(Frame::as_task).cloned().collect();
        for task in tasks {
            self.trace(&task, &kind);
        }
    }

    /// Tells of a task that is open.
    pub(crate) fn trace_open(&mut self, id: FrameId, kind: impl FnOnce() -> TraceKind) {
        if self.observer.wants()
            && let Some(task) = self.state.frames.task(id).cloned()
        {
            self.trace(&task, kind);
        }
    }
}
