//! The node without IO: what a node decides, as a function of what happens to it.
//!
//! [`Core::handle`] takes one [`Input`] and appends [`Output`]s. It has no clock, no store, no network and no randomness, so a whole
//! node runs in a simulator as it runs in production. The rule that it keeps is *output commit* (Elnozahy et al., "A survey of
//! rollback-recovery protocols", 2002, section 2.4): nothing leaves that depends on something that could still be lost.
//!
//! Each run has at most one write under way; while it is, new entries gather and go with the next. The store groups the
//! writes of many runs into one transaction.

mod admit;
mod events;
mod family;
#[cfg(test)]
mod growth_tests;
mod listen;
mod live;
mod load;
#[cfg(test)]
mod tests;
mod types;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use potok_dsl::{Millis, RunId, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{CallEffect, CallId, Entry, Event, Machine, Outcome, SEMANTICS, Start, Status, TimerId};

use events::Behind;
pub use family::{handed_over, started};
use live::{Live, Traces, Wish};
pub use types::*;

/// How a core behaves.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// How long entries that nobody waits for may stay unwritten.
    pub linger: Millis,
    /// How long a run that only waits stays in memory.
    pub evict_after: Millis,
    /// How long before its time a run that sleeps is read. One that wakes sooner does not leave memory. The store is asked every half of it at most.
    pub ahead: Millis,
    /// How many due runs are asked for at once.
    pub wake_batch: u32,
    /// How many runs are read at once, before the next of those that are due are asked for.
    pub loads: usize,
    /// How many timers fire before others have their turn.
    pub fire_batch: usize,
    /// How many events a run is offered at once.
    pub look_batch: u32,
    /// After how many entries a run's snapshot is written, at the earliest.
    pub snapshot_every: u64,
    /// After how many recoveries without progress a run is suspended.
    pub recoveries: u32,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            linger: Millis(5),
            evict_after: Millis(2_000),
            ahead: Millis(2_000),
            wake_batch: 512,
            loads: 512,
            fire_batch: 256,
            look_batch: 64,
            snapshot_every: 256,
            recoveries: 3,
        }
    }
}

impl CoreConfig {
    /// When a run that has nothing to do leaves memory: at once when only time brings it back.
    fn leaves(&self, live: &Live) -> Timestamp {
        if live.only_sleeps() {
            live.quiet_since
        } else {
            live.quiet_since.after(self.evict_after)
        }
    }

    /// When a run is to be read that wakes at a time.
    fn before(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(i64::try_from(self.ahead.0).unwrap_or(i64::MAX)))
    }
}

/// A node's decisions.
pub struct Core {
    config: CoreConfig,
    evaluator: Evaluator,
    now: Timestamp,
    runs: HashMap<RunId, Live>,
    /// Runs that are being read, with what waits for them.
    loading: HashMap<RunId, Vec<(Command, Option<Client>)>>,
    /// Clients that wait for a run's end.
    waiters: HashMap<RunId, Vec<Client>>,
    timers: BTreeSet<(Timestamp, RunId, TimerId)>,
    lingering: BTreeSet<(Timestamp, RunId)>,
    idling: BTreeSet<(Timestamp, RunId)>,
    /// Runs that want to go on after a yield.
    ready: VecDeque<RunId>,
    /// When the store must be asked for due runs.
    next_due: Option<Timestamp>,
    /// When it was asked last, from the beginning on.
    asked_at: Option<Timestamp>,
    /// Where the store's last answer about due runs broke off.
    due_after: Option<(Timestamp, RunId)>,
    /// Whether everything that was under way at the start is known.
    recovered: bool,
    /// Runs to be read again.
    reloads: BTreeSet<(Timestamp, RunId)>,
    /// Calls that want runs which could not be started, to be made again.
    again: BTreeSet<(Timestamp, RunId, CallId)>,
    asking: bool,
    /// Children that have ended while their parents were being read, by parent and child.
    ended: BTreeSet<(RunId, RunId)>,
    /// Runs that have got a place and are being read, with those whose word it is.
    admitted: HashMap<RunId, RunId>,
    /// Runs for which something came.
    behind: Behind,
    /// Those of them that are being read.
    nudged: HashSet<RunId>,
    /// Runs that are to look into the stream of events again.
    looks: BTreeSet<(Timestamp, RunId)>,
    stopping: bool,
}

impl Core {
    /// A core that will ask the store for everything that is due, as after any start.
    #[must_use]
    pub fn new(config: CoreConfig, evaluator: Evaluator) -> Self {
        Self {
            config,
            evaluator,
            now: Timestamp(0),
            runs: HashMap::new(),
            loading: HashMap::new(),
            waiters: HashMap::new(),
            timers: BTreeSet::new(),
            lingering: BTreeSet::new(),
            idling: BTreeSet::new(),
            ready: VecDeque::new(),
            next_due: Some(Timestamp(0)),
            asked_at: None,
            due_after: None,
            recovered: false,
            reloads: BTreeSet::new(),
            again: BTreeSet::new(),
            asking: false,
            ended: BTreeSet::new(),
            admitted: HashMap::new(),
            behind: Behind::default(),
            nudged: HashSet::new(),
            looks: BTreeSet::new(),
            stopping: false,
        }
    }

    /// Takes what happened at a moment; appends what is to be done.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        // A clock that is set back must not make timers fire late by that much, nor time run backwards within a run.
        self.now = self.now.max(now);
        match input {
            Input::Start(start) => self.start(start, out),
            Input::Command { run, command, client } => self.command(run, command, Some(client), out),
            Input::Wait { run, client } => self.waiters.entry(run).or_default().push(client),
            Input::Accepted { run, client } => self.accepted(run, client, out),
            Input::Forget { run, client } => self.forget(run, client),
            Input::CallDone {
                run,
                call,
                path,
                digest,
                outcome,
                made,
            } => {
                if self.runs.get(&run).is_some_and(|live| live.is_open(call)) {
                    self.consume(
                        run,
                        Event::CallCompleted {
                            call,
                            path,
                            digest,
                            outcome,
                            made,
                        },
                        out,
                    );
                }
            }
            Input::Child { parent, call, start } => self.start_child(parent, call, *start, out),
            Input::ChildThere { parent, child, .. } => self.child_there(parent, child, out),
            Input::Saved { run, result } => self.saved(run, result, out),
            Input::Loaded { run, result } => self.loaded(run, result, out),
            Input::Due(due) => self.due(due, out),
            Input::Nudged(nudges) => self.nudged(&nudges, out),
            Input::Behind(answer) => self.behind(answer, out),
            Input::Looked { run, result } => self.looked(run, result, out),
            Input::Stop => self.stop(out),
            Input::Tick => {}
        }
        self.turn(out);
    }

    /// When [`Input::Tick`] is wanted at the latest, if nothing else happens.
    #[must_use]
    pub fn wakeup(&self) -> Option<Timestamp> {
        if !self.ready.is_empty() {
            return Some(self.now);
        }
        // While it is asked page by page, what was read says when to go on.
        let due = self.next_ask().filter(|_| !self.asking && self.due_after.is_none());
        [
            self.timers.first().map(|t| t.0),
            self.lingering.first().map(|t| t.0),
            self.idling.first().map(|t| t.0),
            self.reloads.first().map(|t| t.0),
            self.looks.first().map(|t| t.0),
            self.behind.wakeup(),
            self.next_again(),
            due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How many runs are in memory.
    #[must_use]
    pub fn loaded_runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether runs want to go on at once.
    #[must_use]
    pub fn busy(&self) -> bool {
        !self.ready.is_empty() || self.timers.first().is_some_and(|timer| timer.0 <= self.now)
    }

    fn start(&mut self, start: StartRun, out: &mut Vec<Output>) {
        let StartRun {
            run,
            deployed,
            input,
            parent,
            origin,
            trigger,
            idempotency_key,
            labels,
            client,
        } = start;
        if self.stopping {
            let waiters = self.waiters.remove(&run).unwrap_or_default();
            let refused = Answer::Failed("the node is stopping".to_owned());
            out.extend(
                client
                    .into_iter()
                    .chain(waiters)
                    .map(|c| Output::Answer(c, refused.clone())),
            );
            return;
        }
        let entry = Start {
            semantics: SEMANTICS,
            run,
            definition: deployed.hash.to_string(),
            input: Arc::clone(&input),
            at: self.now,
            parent,
            held: deployed.definition.is_held(),
            origin,
        };
        let mut traces = Traces::default();
        let (mut machine, effects) = Machine::start(
            Arc::clone(&deployed.definition),
            self.evaluator.clone(),
            &entry,
            &mut traces,
        );
        let admission = match machine.admission() {
            Ok(admission) => admission,
            Err(problem) => return self.turn_away(run, parent, client, &problem, out),
        };
        let opening = Opening {
            definition: Arc::clone(&deployed.hash),
            workflow: deployed.definition.id().clone(),
            input,
            parent: parent.map(|parent| parent.run),
            origin: entry.origin.as_ref().map(|origin| (origin.run, origin.path.clone())),
            trigger,
            idempotency_key,
            labels,
            at: self.now,
            admission,
        };
        let mut live = Live::begin(machine, deployed, opening, Entry::Start(entry), self.now);
        live.adopt_traces(traces, 0);
        live.starters.extend(client);
        let wishes = live.take(effects);
        self.runs.insert(run, live);
        self.grant(run, wishes, out);
        self.settle(run, out);
    }

    fn command(&mut self, run: RunId, command: Command, client: Option<Client>, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&run) else {
            let waiting = self.loading.entry(run).or_insert_with(|| {
                out.push(Output::Load(run));
                Vec::new()
            });
            waiting.push((command, client));
            return;
        };
        let status = live.status();
        if live.outcome.is_some() {
            out.extend(client.map(|client| Output::Answer(client, Answer::Refused(status))));
            return;
        }
        let event = match command {
            Command::Suspend(_) if status == Status::Suspended && live.durable < live.seq => {
                // It is held, and nobody may say so before that is durable.
                let seq = live.seq;
                live.commanders.extend(client.map(|client| (seq, client)));
                return self.settle(run, out);
            }
            Command::Suspend(_) if status == Status::Suspended => {
                return out.extend(client.map(|client| Output::Answer(client, Answer::Taken(status))));
            }
            Command::Resume if status != Status::Suspended => {
                return out.extend(client.map(|client| Output::Answer(client, Answer::Refused(status))));
            }
            // What was outstanding when it was read was never asked for: it is when it is read anew.
            Command::Resume if live.leaving => return live.resumers.push(client),
            Command::Cancel(reason) => Event::Cancel { reason },
            Command::Suspend(reason) => Event::Suspend { reason },
            Command::Resume => Event::Resume,
        };
        let seq = live.seq + 1;
        live.commanders.extend(client.map(|client| (seq, client)));
        self.consume(run, event, out);
        // Events that came while it was halted.
        self.look(run, out);
    }

    /// Answers when the start is durable. A run that is not in memory has become durable before it left, or was refused: the store knows.
    fn accepted(&mut self, run: RunId, client: Client, out: &mut Vec<Output>) {
        match self.runs.get_mut(&run) {
            Some(live) if live.durable == 0 => {
                live.starters.push(client);
                self.settle(run, out);
            }
            _ => out.push(Output::Answer(client, Answer::Started(run))),
        }
    }

    fn forget(&mut self, run: RunId, client: Client) {
        if let Some(list) = self.waiters.get_mut(&run) {
            list.retain(|c| *c != client);
            if list.is_empty() {
                self.waiters.remove(&run);
            }
        }
    }

    /// Lets a run consume an event and does what it asks for.
    fn consume(&mut self, run: RunId, event: Event, out: &mut Vec<Output>) {
        let now = self.now;
        let Some(live) = self.runs.get_mut(&run) else { return };
        if live.outcome.is_some() {
            return;
        }
        match live.consume(now, event) {
            Ok(wishes) => self.grant(run, wishes, out),
            Err(mismatch) => {
                // Only a completion with another digest than its call gets here: a fault of this program, not of the run. The run keeps
                // what is durable and stops where a person can see it.
                tracing::error!(%run, %mismatch, "a completion does not fit its call");
                return self.drop_run(run, &mismatch.to_string(), out);
            }
        }
        self.settle(run, out);
    }

    fn grant(&mut self, run: RunId, wishes: Vec<Wish>, out: &mut Vec<Output>) {
        let mut unknown = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Out(output) => out.push(output),
                Wish::Arm(timer, at) => {
                    self.timers.insert((at, run, timer));
                }
                Wish::Disarm(timer, at) => {
                    self.timers.remove(&(at, run, timer));
                }
                Wish::Proceed => self.ready.push_back(run),
                Wish::Unknown(call) => unknown.push(call),
            }
        }
        // A completion is an entry that was not there when the run was read: nothing that it leads to is unknown.
        for call in unknown {
            self.call_done(run, call, Err(CallEffect::unknown()), out);
        }
    }

    /// After how many entries a snapshot comes with a write; with any write when the node stops, so that the next one starts fast.
    fn snapshot_every(&self) -> Option<u64> {
        (!self.stopping).then_some(self.config.snapshot_every)
    }

    /// Decides what is to be written of a run, and when.
    fn settle(&mut self, run: RunId, out: &mut Vec<Output>) {
        let (now, snapshot_every) = (self.now, self.snapshot_every());
        let Some(live) = self.runs.get_mut(&run) else { return };
        if live.writing.is_some() {
            return;
        }
        if live.failures > 0 && !self.stopping {
            let delay = Millis(50 << live.failures.min(7));
            live.linger.get_or_insert_with(|| now.after(delay));
            self.lingering.extend(live.linger.map(|at| (at, run)));
            return;
        }
        if live.dirty() && (live.urgent() || self.stopping) {
            if let Some(at) = live.linger.take() {
                self.lingering.remove(&(at, run));
            }
            let save = live.save(now, snapshot_every);
            out.push(Output::Save(Box::new(save)));
        } else if live.dirty() {
            if live.linger.is_none() {
                let at = now.after(self.config.linger);
                live.linger = Some(at);
                self.lingering.insert((at, run));
            }
        } else if live.idle() {
            self.idling.insert((self.config.leaves(live), run));
        }
    }

    fn saved(&mut self, run: RunId, result: Result<Durable, SaveFailure>, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&run) else {
            // It was given up meanwhile; others may wait for what was written.
            if let Ok(Durable { nudges, said }) = result {
                self.tell(run, said, None, out);
                self.nudged(&nudges, out);
            }
            return;
        };
        match result {
            Ok(Durable { nudges, said }) => {
                self.durable(run, out);
                self.tell(run, said, None, out);
                self.nudged(&nudges, out);
                // What broke off before the write goes on after it.
                self.look(run, out);
            }
            Err(failure) if live.durable == 0 && live.parent().is_some() => {
                let parent = live.parent();
                let reload = !matches!(failure, SaveFailure::Refused(_) | SaveFailure::Rejected(_));
                self.drop_run(run, "it could not be written", out);
                if let Some(parent) = parent {
                    self.child_failed(parent.run, run, &failure, out);
                }
                if reload {
                    self.reload(run);
                }
            }
            Err(SaveFailure::Duplicate(existing)) => {
                let mut clients = std::mem::take(&mut live.starters);
                clients.extend(self.waiters.remove(&run).unwrap_or_default());
                self.abandon(run, out);
                out.extend(clients.into_iter().map(|c| Output::Answer(c, Answer::Exists(existing))));
            }
            Err(SaveFailure::Refused(why)) => self.drop_run(run, &why, out),
            Err(SaveFailure::Rejected(problem)) => self.dismiss(run, &Answer::Rejected(problem), out),
            Err(SaveFailure::Fenced(why)) => {
                // Either another owner writes to it now, or a write of ours had arrived and its acknowledgement had not.
                self.drop_run(run, &why, out);
                self.reload(run);
            }
            Err(SaveFailure::Unavailable(why)) => {
                live.unsave();
                if live.durable == 0 {
                    // Nobody was told that it exists: better a clear refusal now than a promise that may never be kept.
                    // Should it have arrived all the same, it is found and run.
                    self.drop_run(run, &why, out);
                    self.reload(run);
                } else {
                    // What they asked for is done as soon as it can be written; how long that takes nobody knows.
                    let waiting = std::mem::take(&mut live.commanders);
                    let failed = |(_, client)| Output::Answer(client, Answer::Failed(why.clone()));
                    out.extend(waiting.into_iter().map(failed));
                    tracing::debug!(%run, %why, "the store is not available; trying again");
                    if self.stopping {
                        // Not for ever: what is durable is enough to go on from.
                        self.stop_run(run, out);
                    } else {
                        self.settle(run, out);
                    }
                }
            }
        }
    }

    fn durable(&mut self, run: RunId, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&run) else { return };
        let first = live.durable == 0;
        let parent = live.parent().filter(|_| first);
        let (released, messages, update) = live.saved();
        out.extend(released);
        out.extend(live.starters.drain(..).map(|c| Output::Answer(c, Answer::Started(run))));
        let (status, durable) = (live.status(), live.durable);
        let (now_durable, still): (Vec<_>, Vec<_>) = live.commanders.drain(..).partition(|(seq, _)| *seq <= durable);
        live.commanders = still;
        out.extend(
            now_durable
                .into_iter()
                .map(|(_, c)| Output::Answer(c, Answer::Taken(status))),
        );
        out.extend(update.map(Output::Publish));
        let outcome = live.outcome.clone();
        let ended = outcome.clone().filter(|_| live.durable == live.seq && !live.dirty());
        if let Some(parent) = parent {
            self.child_there(parent.run, run, out);
        }
        self.tell(run, messages, outcome.as_ref(), out);
        let Some(live) = self.runs.get(&run) else { return };
        match ended {
            Some(outcome) => self.ended(run, &outcome, out),
            None if self.stopping => self.stop_run(run, out),
            None if live.leaving && !live.dirty() => self.abandon(run, out),
            None => self.settle(run, out),
        }
    }

    fn ended(&mut self, run: RunId, outcome: &Outcome, out: &mut Vec<Output>) {
        let waiters = self.waiters.remove(&run).unwrap_or_default();
        out.extend(
            waiters
                .into_iter()
                .map(|c| Output::Answer(c, Answer::Ended(outcome.clone()))),
        );
        self.abandon(run, out);
    }

    /// Gives up a run that this node may not or cannot drive any further, and tells who waits.
    fn drop_run(&mut self, run: RunId, why: &str, out: &mut Vec<Output>) {
        self.dismiss(run, &Answer::Failed(why.to_owned()), out);
    }

    fn dismiss(&mut self, run: RunId, answer: &Answer, out: &mut Vec<Output>) {
        let clients = self.runs.get_mut(&run).map(|live| {
            let mut clients = std::mem::take(&mut live.starters);
            clients.extend(live.commanders.drain(..).map(|(_, c)| c));
            clients
        });
        let waiters = self.waiters.remove(&run).unwrap_or_default();
        for client in clients.into_iter().flatten().chain(waiters) {
            out.push(Output::Answer(client, answer.clone()));
        }
        self.abandon(run, out);
    }

    /// Takes a run out of memory.
    fn abandon(&mut self, run: RunId, out: &mut Vec<Output>) {
        let Some(live) = self.runs.remove(&run) else { return };
        for (timer, at) in &live.timers {
            self.timers.remove(&(*at, run, *timer));
        }
        if let Some(at) = live.linger {
            self.lingering.remove(&(at, run));
        }
        for at in [live.quiet_since, live.quiet_since.after(self.config.evict_after)] {
            self.idling.remove(&(at, run));
        }
        out.extend(live.open_calls().map(|call| Output::CancelCall { run, call }));
        for client in live.resumers {
            if self.stopping {
                let refused = Answer::Failed("the node is stopping".to_owned());
                out.extend(client.map(|client| Output::Answer(client, refused)));
            } else {
                self.command(run, Command::Resume, client, out);
            }
        }
    }

    /// Everything that time brings: timers, writes that lingered, runs that are idle, runs that go on.
    fn turn(&mut self, out: &mut Vec<Output>) {
        let (now, snapshot_every) = (self.now, self.snapshot_every());
        // So many a turn: a hundred thousand at the same second keep nobody waiting.
        for _ in 0..self.config.fire_batch {
            let Some(&(at, run, timer)) = self.timers.first().filter(|t| t.0 <= now) else {
                break;
            };
            self.timers.remove(&(at, run, timer));
            self.consume(run, Event::TimerFired { timer }, out);
        }
        while let Some(&(at, run)) = self.lingering.first().filter(|t| t.0 <= now) {
            self.lingering.remove(&(at, run));
            if let Some(live) = self.runs.get_mut(&run) {
                live.linger = None;
                if live.dirty() && live.writing.is_none() {
                    let save = live.save(now, snapshot_every);
                    out.push(Output::Save(Box::new(save)));
                }
            }
        }
        while let Some(&(at, run)) = self.idling.first().filter(|t| t.0 <= now) {
            self.idling.remove(&(at, run));
            self.evict(run, out);
        }
        // One slice a turn, so that a computation that never ends keeps nobody waiting.
        if let Some(run) = self.ready.pop_front()
            && let Some(live) = self.runs.get_mut(&run)
        {
            let wishes = live.proceed(now);
            self.grant(run, wishes, out);
            self.settle(run, out);
        }
        self.ask_again(out);
        while let Some(&(at, run)) = self.reloads.first().filter(|t| t.0 <= now) {
            self.reloads.remove(&(at, run));
            self.load(run, out);
        }
        while let Some(&(at, run)) = self.looks.first().filter(|t| t.0 <= now) {
            self.looks.remove(&(at, run));
            self.look(run, out);
        }
        self.ask_behind(out);
        if self.wants_due() {
            self.ask(out);
        }
        if self.stopping && self.runs.is_empty() && self.loading.is_empty() {
            out.push(Output::Stopped);
        }
    }

    fn evict(&mut self, run: RunId, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get(&run) else { return };
        let quiet_until = self.config.leaves(live);
        if !live.idle() || live.outcome.is_some() {
            return;
        }
        if quiet_until > self.now {
            self.idling.insert((quiet_until, run));
            return;
        }
        let wake = live.wake_at();
        if wake != live.row_wakes {
            // Its row has to say what brings it back.
            if let Some(live) = self.runs.get_mut(&run) {
                live.row_changed = true;
            }
            return self.settle(run, out);
        }
        let soon = self.now.after(self.config.ahead);
        if wake.is_some_and(|at| at <= soon) {
            self.idling.insert((soon, run));
            return;
        }
        self.abandon(run, out);
        self.wake_by(wake.map(|at| self.config.before(at)));
    }

    fn wake_by(&mut self, at: Option<Timestamp>) {
        self.next_due = self.next_due.into_iter().chain(at).min();
    }

    fn stop(&mut self, out: &mut Vec<Output>) {
        self.stopping = true;
        self.loading.clear();
        self.admitted.clear();
        self.ended.clear();
        self.reloads.clear();
        self.looks.clear();
        self.nudged.clear();
        let runs: Vec<RunId> = self.runs.keys().copied().collect();
        for run in runs {
            self.stop_run(run, out);
        }
    }
}
