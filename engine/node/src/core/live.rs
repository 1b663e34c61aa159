//! A run in memory: its machine, what of it is durable, and what waits for that.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use potok_dsl::{RunId, TaskPath, Timestamp};
use potok_machine::{
    CallEffect, CallId, Effect, Entry, Event, Machine, Mismatch, Observer, Outcome, Parent, Request, Status, TimerId,
    Trace,
};

use serde_json::Value;

use super::{
    family::Child,
    listen::Listening,
    types::{Client, Deployed, Kept, ListenChange, Message, Opening, Output, Save, Update, Word},
};

/// Traces of a run beyond this number are no longer kept: a loop that never ends must not fill the disk with its timeline.
pub(super) const TRACES_KEPT: u64 = 100_000;

/// So many entries may wait to be written; then pure calls wait too. A disk that is full for hours must not fill the memory.
pub(super) const MOST_UNSAVED: usize = 4_096;

/// Entries after which a snapshot is written with the next save at the latest. A large state is written less often than a small one, so that what
/// snapshots cost stays in proportion to what the run does; and no recovery reads more entries than this.
const SNAPSHOT_AT_LAST: u64 = 16_384;

/// How much of a state may be written for each entry, in parts of values.
const PARTS_AN_ENTRY: u64 = 32;

/// A run in memory.
pub(super) struct Live {
    pub machine: Machine,
    pub deployed: Deployed,
    pub trigger: Option<Arc<str>>,
    /// Entries consumed.
    pub seq: u64,
    /// Entries durable.
    pub durable: u64,
    /// Entries that were durable when it was read: what they led to may have left before.
    restored: u64,
    /// The entry up to which a write is under way, with the traces that it carries.
    pub writing: Option<Writing>,
    /// Entries consumed and not yet handed to a write.
    unsaved: Vec<Entry>,
    /// The row of a run that no write has carried yet.
    pub opening: Option<Opening>,
    /// Calls that wait until the entry of that number is durable.
    gated: VecDeque<(u64, Box<CallEffect>)>,
    /// Clients that wait for the start to be durable.
    pub starters: Vec<Client>,
    /// Clients that wait for the entry of a command to be durable.
    pub commanders: Vec<(u64, Client)>,
    /// Events that were emitted and not yet handed to a write.
    emits: Vec<Arc<Value>>,
    /// What it listens for.
    pub listening: Listening,
    /// Calls that are open.
    calls: HashMap<CallId, OpenCall>,
    /// What it says to other runs with its next write.
    messages: Vec<Message>,
    /// The runs whose messages its next write has heard.
    pub heard: Vec<RunId>,
    /// The calls that are over with its next write, of those that may have made others in turn.
    over: Vec<CallId>,
    /// Whether the run that started it does not wait for it any more.
    pub forsaken: bool,
    /// When its row says that it must be looked at again.
    pub row_wakes: Option<Timestamp>,
    /// Timers that are armed.
    pub timers: HashMap<TimerId, Timestamp>,
    /// How the run has ended.
    pub outcome: Option<Outcome>,
    /// Whether a write has carried that.
    end_written: bool,
    /// Traces not yet handed to a write, and the number of the first.
    traces: Traces,
    /// The entry of the newest snapshot.
    snapshot_at: u64,
    /// How many entries must follow it for its size.
    snapshot_worth: u64,
    /// How often it was recovered without progress, and whether the row says so.
    pub recoveries: u32,
    /// Whether something besides entries is to be written.
    pub row_changed: bool,
    /// Since when nothing has happened.
    pub quiet_since: Timestamp,
    /// When unsaved entries that nobody waits for are written, if that is set.
    pub linger: Option<Timestamp>,
    /// How often in a row a write has failed.
    pub failures: u32,
    /// Whether it leaves memory as soon as everything is durable.
    pub leaving: bool,
    /// Those who have resumed it meanwhile: it goes on when it has left and is read anew.
    pub resumers: Vec<Option<Client>>,
}

/// A call that is open.
struct OpenCall {
    path: TaskPath,
    digest: String,
    /// The run that it wants.
    child: Option<Child>,
    /// Whether it may make others in turn that are kept.
    inner: bool,
}

impl OpenCall {
    fn of(call: &CallEffect) -> Self {
        let child = match &call.request {
            Request::Workflow(wanted) => Some(Child {
                run: wanted.run,
                awaited: wanted.parent.awaits,
                there: false,
            }),
            _ => None,
        };
        Self {
            path: call.path.clone(),
            digest: call.digest.clone(),
            child,
            inner: !call.pure && matches!(call.request, Request::Function { .. }),
        }
    }

    /// Whether nothing is to be done for it but to wait for another run.
    fn rests(&self) -> bool {
        self.child.is_some_and(|child| child.awaited && child.there)
    }

    /// The run that is to be cancelled when nobody waits for the call any more.
    fn awaited(&self) -> Option<RunId> {
        self.child.filter(|child| child.awaited).map(|child| child.run)
    }
}

/// A write under way.
pub(super) struct Writing {
    pub upto: u64,
    update: Update,
    opening: Option<Opening>,
    entries: Vec<Entry>,
    emits: Vec<Arc<Value>>,
    listening: Vec<ListenChange>,
    consumed: Vec<u64>,
    messages: Vec<Message>,
    heard: Vec<RunId>,
    over: Vec<CallId>,
}

/// Traces in order, the first one numbered.
#[derive(Default)]
pub(super) struct Traces {
    next: u64,
    skip_below: u64,
    list: Vec<Trace>,
}

impl Observer for Traces {
    fn on(&mut self, trace: Trace) {
        if self.next >= self.skip_below && self.next < TRACES_KEPT {
            self.list.push(trace);
        }
        self.next += 1;
    }
}

impl Traces {
    fn first(&self) -> u64 {
        self.next.min(TRACES_KEPT) - self.list.len() as u64
    }
}

/// What an effect asks of the core beyond the run itself.
pub(super) enum Wish {
    Out(Output),
    Arm(TimerId, Timestamp),
    Disarm(TimerId, Timestamp),
    Proceed,
    /// A call that leaves at most once may have left before the run was read.
    Unknown(CallId),
}

impl Live {
    /// A run that begins.
    pub fn begin(machine: Machine, deployed: Deployed, opening: Opening, start: Entry, now: Timestamp) -> Self {
        let mut live = Self::around(machine, deployed, opening.trigger.clone(), now);
        live.opening = Some(opening);
        live.unsaved.push(start);
        live.seq = 1;
        live
    }

    /// A run read from the store; `seq` entries of it are durable.
    pub fn restored(machine: Machine, deployed: Deployed, trigger: Option<Arc<str>>, seq: u64, now: Timestamp) -> Self {
        let mut live = Self::around(machine, deployed, trigger, now);
        live.seq = seq;
        live.durable = seq;
        live.restored = seq;
        live
    }

    fn around(machine: Machine, deployed: Deployed, trigger: Option<Arc<str>>, now: Timestamp) -> Self {
        Self {
            machine,
            deployed,
            trigger,
            seq: 0,
            durable: 0,
            restored: 0,
            writing: None,
            unsaved: Vec::new(),
            opening: None,
            gated: VecDeque::new(),
            starters: Vec::new(),
            commanders: Vec::new(),
            emits: Vec::new(),
            listening: Listening::default(),
            calls: HashMap::new(),
            messages: Vec::new(),
            heard: Vec::new(),
            over: Vec::new(),
            forsaken: false,
            row_wakes: Some(Timestamp(0)),
            timers: HashMap::new(),
            outcome: None,
            end_written: false,
            traces: Traces::default(),
            snapshot_at: 0,
            snapshot_worth: 0,
            recoveries: 0,
            row_changed: false,
            quiet_since: now,
            linger: None,
            failures: 0,
            leaving: false,
            resumers: Vec::new(),
        }
    }

    /// Where traces go that the machine gives while it is built or replayed: those below `kept` are durable already.
    pub fn adopt_traces(&mut self, traces: Traces, snapshot_at: u64) {
        self.traces = traces;
        self.snapshot_at = snapshot_at;
    }

    pub fn run(&self) -> RunId {
        self.machine.run()
    }

    /// The run that started it.
    pub fn parent(&self) -> Option<Parent> {
        self.machine.parent()
    }

    /// Whether a completion is of a call that is open, with the path and digest that it was made with.
    pub fn is_open(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// The path and the digest of a call that is open.
    pub fn call(&self, call: CallId) -> Option<(TaskPath, String)> {
        let open = self.calls.get(&call)?;
        Some((open.path.clone(), open.digest.clone()))
    }

    /// The run that an open call wants.
    pub fn child(&self, call: CallId) -> Option<Child> {
        self.calls.get(&call)?.child
    }

    pub fn child_mut(&mut self, call: CallId) -> Option<&mut Child> {
        self.calls.get_mut(&call)?.child.as_mut()
    }

    /// The open call that wants a run.
    pub fn call_of(&self, child: RunId) -> Option<CallId> {
        let wants = |open: &OpenCall| open.child.is_some_and(|wanted| wanted.run == child);
        self.calls.iter().find(|(_, open)| wants(open)).map(|(call, _)| *call)
    }

    /// Consumes an event: the only way in.
    pub fn consume(&mut self, now: Timestamp, event: Event) -> Result<Vec<Wish>, Mismatch> {
        let recorded = self.machine.record(now, event);
        if let Event::CallCompleted { call, .. } = &recorded.event
            && let Some(closed) = self.calls.remove(call)
        {
            self.heard.extend(closed.awaited());
            self.over.extend(closed.inner.then_some(*call));
        }
        if let Event::TimerFired { timer } = &recorded.event {
            self.timers.remove(timer);
        }
        let effects = self.machine.apply(&recorded, &mut self.traces)?;
        self.seq += 1;
        self.unsaved.push(Entry::Event(recorded));
        self.quiet_since = now;
        if self.recoveries > 0 {
            self.recoveries = 0;
            self.row_changed = true;
        }
        Ok(self.take(effects))
    }

    /// Goes on after a yield.
    pub fn proceed(&mut self, now: Timestamp) -> Vec<Wish> {
        let effects = self.machine.proceed(&mut self.traces);
        self.quiet_since = now;
        self.take(effects)
    }

    /// Takes the machine's effects: pure calls leave at once unless too much is unwritten, others when everything before them is durable. What comes of entries that were
    /// there when the run was read may have left before; so a call that leaves at most once is not made then.
    pub fn take(&mut self, effects: Vec<Effect>) -> Vec<Wish> {
        let mut wishes = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Call(call) => {
                    self.calls.insert(call.call, OpenCall::of(&call));
                    let call = Box::new(call);
                    if call.once && self.seq <= self.restored {
                        wishes.push(Wish::Unknown(call.call));
                    } else if (call.pure && self.unsaved.len() < MOST_UNSAVED) || self.durable >= self.seq {
                        wishes.push(Wish::Out(Output::StartCall {
                            run: self.run(),
                            effect: call,
                            again: self.seq <= self.restored,
                        }));
                    } else {
                        self.gated.push_back((self.seq, call));
                    }
                }
                Effect::CancelCall { call } => {
                    let closed = self.calls.remove(&call);
                    let before = self.gated.len();
                    self.gated.retain(|(_, gated)| gated.call != call);
                    if self.gated.len() == before {
                        self.over
                            .extend(closed.as_ref().filter(|closed| closed.inner).map(|_| call));
                        let child = closed.and_then(|closed| closed.awaited());
                        // Whatever it has said, nobody wants to know any more.
                        self.heard.extend(child);
                        self.messages.extend(child.map(|run| Message {
                            run,
                            word: Word::Cancel,
                        }));
                        wishes.push(Wish::Out(Output::CancelCall { run: self.run(), call }));
                    }
                }
                Effect::StartTimer { timer, at } => {
                    self.timers.insert(timer, at);
                    wishes.push(Wish::Arm(timer, at));
                }
                Effect::CancelTimer { timer } => {
                    if let Some(at) = self.timers.remove(&timer) {
                        wishes.push(Wish::Disarm(timer, at));
                    }
                }
                Effect::Subscribe(subscription) => self.listening.subscribe(subscription, false),
                Effect::Unsubscribe { subscription } => self.listening.unsubscribe(subscription),
                // It leaves with the entry that led to it: in one write, or not at all.
                Effect::Emit(emit) => self.emits.push(emit.event),
                Effect::Finish(outcome) => {
                    self.outcome = Some(outcome);
                    let waits = self.parent().filter(|parent| parent.awaits && !self.forsaken);
                    self.messages.extend(waits.map(|parent| Message {
                        run: parent.run,
                        word: Word::Ended,
                    }));
                }
                Effect::Yield => wishes.push(Wish::Proceed),
            }
        }
        wishes
    }

    /// Asks again for what was outstanding when the run was written last.
    pub fn resume(&mut self, outstanding: Vec<Effect>) -> Vec<Wish> {
        let mut others = Vec::with_capacity(outstanding.len());
        for effect in outstanding {
            match effect {
                Effect::Subscribe(subscription) => self.listening.subscribe(subscription, true),
                other => others.push(other),
            }
        }
        self.take(others)
    }

    /// Whether there is anything to write.
    pub fn dirty(&self) -> bool {
        !self.unsaved.is_empty()
            || self.row_changed
            // A long computation may end without an entry, and without a trace that is still kept.
            || (self.outcome.is_some() && !self.end_written)
            || !self.traces.list.is_empty()
            || !self.emits.is_empty()
            || !self.messages.is_empty()
            // What was heard must leave the store: there the run is due as long as it has not.
            || !self.heard.is_empty()
            || (self.outcome.is_none() && self.listening.dirty())
    }

    /// Whether someone waits for what is not yet written, or too much of it has gathered.
    pub fn urgent(&self) -> bool {
        !self.gated.is_empty()
            || !self.emits.is_empty()
            || !self.starters.is_empty()
            || !self.commanders.is_empty()
            || self.outcome.is_some()
            || self.row_changed
            || !self.messages.is_empty()
            // It begins when the store lets it.
            || self.opening.as_ref().is_some_and(|opening| opening.admission.is_some())
            || self.unsaved.len() >= 256
            || self.traces.list.len() >= 1024
    }

    /// Whether nothing happens in it before its next timer, and everything is durable.
    pub fn idle(&self) -> bool {
        self.calls.values().all(OpenCall::rests)
            && self.writing.is_none()
            && !self.dirty()
            && !self.listening.is_looking()
            && (!self.listening.busy() || self.machine.status() == Status::Suspended)
            && !self.machine.wants_to_proceed()
    }

    /// Whether time alone brings it back: no other run, and no event.
    pub fn only_sleeps(&self) -> bool {
        !self.timers.is_empty() && self.calls.is_empty() && self.listening.is_empty()
    }

    /// When it must be looked at again, at the latest.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.outcome.is_some() {
            return None;
        }
        if !self.calls.values().all(OpenCall::rests) || self.machine.wants_to_proceed() {
            return Some(Timestamp(0));
        }
        self.timers.values().min().copied()
    }

    /// The write that makes everything so far durable. A snapshot comes with it after so many entries, or more when the state is large; with
    /// `None` in any case.
    pub fn save(&mut self, now: Timestamp, snapshot_every: Option<u64>) -> Save {
        let upto = self.seq;
        let due = snapshot_every.is_none_or(|entries| upto - self.snapshot_at >= entries.max(self.snapshot_worth));
        let snapshot = (due && self.outcome.is_none() && upto > self.snapshot_at).then(|| {
            let machine = self.machine.snapshot();
            self.snapshot_at = upto;
            self.snapshot_worth = (machine.weight() / PARTS_AN_ENTRY).min(SNAPSHOT_AT_LAST);
            let traces = self.traces.next;
            Arc::new(Kept { machine, traces })
        });
        let first_trace = self.traces.first();
        let traces = Arc::new(std::mem::take(&mut self.traces.list));
        let entries = std::mem::take(&mut self.unsaved);
        let opening = self.opening.take();
        let emits = std::mem::take(&mut self.emits);
        let (listening, consumed) = self.listening.take();
        let (messages, heard) = (std::mem::take(&mut self.messages), std::mem::take(&mut self.heard));
        let over = std::mem::take(&mut self.over);
        let status = self.status();
        self.end_written = self.outcome.is_some();
        self.row_wakes = self.wake_at();
        self.row_changed = false;
        self.linger = None;
        let save = Save {
            run: self.run(),
            after: self.durable,
            definition: Arc::clone(&self.deployed.definition),
            entries: entries.clone(),
            opening: opening.clone(),
            status,
            outcome: self.outcome.clone(),
            wake_at: self.row_wakes,
            at: now,
            recoveries: self.recoveries,
            snapshot,
            first_trace,
            traces: Arc::clone(&traces),
            emits: emits.clone(),
            listening: listening.clone(),
            consumed: consumed.clone(),
            messages: messages.clone(),
            heard: heard.clone(),
            over: over.clone(),
        };
        let update = Update {
            run: self.run(),
            workflow: self.deployed.definition.id().clone(),
            status,
            first: first_trace,
            traces,
            outcome: self.outcome.clone(),
            trigger: self.trigger.clone(),
        };
        self.writing = Some(Writing {
            upto,
            update,
            opening,
            entries,
            emits,
            listening,
            consumed,
            messages,
            heard,
            over,
        });
        save
    }

    /// The write under way is durable: what waited for it may leave.
    pub fn saved(&mut self) -> (Vec<Output>, Vec<Message>, Option<Update>) {
        let Some(writing) = self.writing.take() else {
            return (Vec::new(), Vec::new(), None);
        };
        self.durable = writing.upto;
        self.listening.settle(self.durable);
        self.failures = 0;
        let mut out = Vec::new();
        while self.gated.front().is_some_and(|(seq, _)| *seq <= self.durable) {
            if let Some((_, effect)) = self.gated.pop_front() {
                out.push(Output::StartCall {
                    run: self.run(),
                    effect,
                    again: false,
                });
            }
        }
        (out, writing.messages, Some(writing.update))
    }

    /// The write under way did not happen: what it carried is unsaved again.
    pub fn unsave(&mut self) {
        let Some(mut writing) = self.writing.take() else { return };
        self.failures += 1;
        writing.entries.append(&mut self.unsaved);
        self.unsaved = writing.entries;
        writing.emits.append(&mut self.emits);
        self.emits = writing.emits;
        self.listening.untake(writing.listening, writing.consumed);
        if self.opening.is_none() {
            self.opening = writing.opening;
        }
        let mut traces = writing.update.traces.as_ref().clone();
        traces.append(&mut self.traces.list);
        self.traces.list = traces;
        writing.messages.append(&mut self.messages);
        self.messages = writing.messages;
        writing.heard.append(&mut self.heard);
        self.heard = writing.heard;
        writing.over.append(&mut self.over);
        self.over = writing.over;
        self.snapshot_at = self.snapshot_at.min(self.durable);
        self.end_written = false;
        self.row_changed = true;
    }

    /// The calls that are open.
    pub fn open_calls(&self) -> impl Iterator<Item = CallId> + '_ {
        self.calls.keys().copied()
    }

    /// Whether the newest snapshot holds everything consumed.
    pub fn snapshot_is_current(&self) -> bool {
        self.snapshot_at == self.seq
    }

    /// The run's status as people see it.
    pub fn status(&self) -> Status {
        self.outcome
            .as_ref()
            .map_or_else(|| self.machine.status(), |outcome| outcome.status)
    }
}

impl Traces {
    /// Continues a timeline: the next trace has the number `next`, those below `kept` are durable.
    pub fn resume(next: u64, kept: u64) -> Self {
        Self {
            next,
            skip_below: kept,
            list: Vec::new(),
        }
    }
}
