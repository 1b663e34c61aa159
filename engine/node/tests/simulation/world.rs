//! The world around a node: it answers late, twice, wrongly or not at all, and now and then it ends.
//!
//! The oracles, where they are checked:
//! - an effectful call leaves only when the journal on the disk leads to it and does not hold its completion, and one that leaves at most
//!   once leaves no second time; one that leaves again is said to ([`World::leaves`]);
//! - what is kept of the calls inside a call goes when that is over, and is there until then ([`Disk::write`], [`World::settle`]);
//! - of a group no more runs than it has places have begun and not ended ([`World::places`]), and none waits while one is free
//!   ([`World::nobody_is_forgotten`]);
//! - tasks with a rate begin no more often than it says, over all runs ([`World::rates`]);
//! - a client is told only what is on the disk ([`World::told`]);
//! - the journal on the disk always replays, and ends as the run's row says ([`World::settle`]);
//! - every run that was accepted ends ([`World::run`]);
//! - what a run listens for it is told of, and what it emits is in the stream once ([`World::nothing_is_missed`], [`World::settle`]);
//! - a child is started once, its end is what its parent hears, and a parent that has ended leaves none behind ([`World::children`],
//!   [`World::nobody_is_forgotten`]).

mod oracles;
mod report;
mod workflows;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use potok_dsl::{Problem, RunId, TaskPath, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{
    CallEffect, CallId, Made, RateRequest, Request, WorkflowRequest,
    testing::{Random, answer},
};
use potok_node::core::{
    Client, Command, Core, CoreConfig, Deployed, Durable, Input, Nudges, Output, Save, SaveFailure, StartRun, Wanted,
};
use serde_json::{Value, json};

use crate::disk::Disk;
pub use report::Report;
use workflows::event;

/// Something on its way to the core or to the disk.
enum Coming {
    Write(Box<Save>),
    Saved(RunId, Result<Durable, SaveFailure>),
    Look(RunId, Vec<Wanted>, u32),
    Behind(Option<RunId>, u32),
    /// Someone publishes an event, not for the first time perhaps.
    Publish(u64),
    Nudged(Nudges),
    Completion {
        run: RunId,
        call: CallId,
        path: TaskPath,
        digest: String,
        outcome: Result<Value, Problem>,
        made: Option<Made>,
    },
    /// A run of another workflow is looked for.
    Find(RunId, Box<CallEffect>, WorkflowRequest),
    Reserve(RunId, Box<CallEffect>, RateRequest),
    /// A record of a call inside a call is written.
    Keep(RunId, CallId),
    /// A run is read; whether without its snapshot.
    Load(RunId, bool),
    Due {
        until: Timestamp,
        after: Option<(Timestamp, RunId)>,
        limit: u32,
    },
    Ask(RunId, Command),
    Start(RunId),
}

/// A duty of those around the core that is not done. Whoever looks for faults must find these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A write is acknowledged before it is on the disk.
    Barrier,
    /// The disk takes a write that does not go on where the run stands.
    Fence,
    /// The disk forgets when a run is to be woken.
    Timer,
}

pub struct World {
    random: Random,
    sabotage: Option<Sabotage>,
    now: Timestamp,
    /// How far the node's clock is ahead, in milliseconds.
    ahead: i64,
    /// Until when the disk is full.
    full_until: Timestamp,
    evaluator: Evaluator,
    core: Core,
    disk: Disk,
    definitions: BTreeMap<RunId, Deployed>,
    /// What the others run.
    child: Option<Deployed>,
    coming: BinaryHeap<Reverse<(Timestamp, u64)>>,
    what: BTreeMap<u64, Coming>,
    numbered: u64,
    clients: BTreeMap<Client, (RunId, Option<Command>)>,
    accepted: Vec<RunId>,
    /// The calls with effects that have left.
    left: BTreeSet<(RunId, CallId)>,
    /// The calls that have left and may not do so again.
    once: BTreeSet<(RunId, CallId)>,
    /// Whether things still go wrong.
    faults: bool,
    /// How many events were published from outside.
    published: u64,
    /// How often a run went on after a yield.
    slices: u64,
    report: Report,
}

fn config() -> CoreConfig {
    CoreConfig {
        evict_after: potok_dsl::Millis(10),
        wake_batch: 2,
        ..CoreConfig::default()
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let evaluator = Evaluator::native();
        let mut world = Self {
            random: Random::new(seed),
            sabotage: None,
            ahead: 0,
            full_until: Timestamp(0),
            now: Timestamp(1_000_000),
            core: Core::new(config(), evaluator.clone()),
            evaluator,
            disk: Disk::default(),
            definitions: BTreeMap::new(),
            child: None,
            coming: BinaryHeap::new(),
            what: BTreeMap::new(),
            numbered: 0,
            clients: BTreeMap::new(),
            accepted: Vec::new(),
            left: BTreeSet::new(),
            once: BTreeSet::new(),
            faults: true,
            published: 0,
            slices: 0,
            report: Report::default(),
        };
        let child = world.definition(false);
        world.child = Some(Deployed {
            hash: "child".into(),
            definition: child,
        });
        for n in 0..1 + world.random.below(3) {
            let last = world.definitions.last_key_value().map(|(_, deployed)| deployed.clone());
            let deployed = match last.filter(|_| world.random.one_in(3)) {
                Some(same) => same,
                None => Deployed {
                    hash: format!("{seed}-{n}").into(),
                    definition: world.definition(true),
                },
            };
            let run = RunId::from_bytes([u8::try_from(n + 1).unwrap(); 16]);
            world.definitions.insert(run, deployed);
        }
        world
    }

    /// The same where someone neglects a duty.
    pub fn without(mut self, duty: Sabotage) -> Self {
        self.sabotage = Some(duty);
        self.disk.without = Some(duty);
        self
    }

    /// What the node's clock says.
    fn clock(&self) -> Timestamp {
        Timestamp(self.now.0 + self.ahead)
    }

    /// Lives until every run has ended.
    pub fn run(mut self) -> Report {
        let runs: Vec<RunId> = self.definitions.keys().copied().collect();
        for run in &runs {
            let delay = self.random.below(60);
            self.after(delay, Coming::Start(*run));
        }
        let steps = 50 + self.random.below(400);
        for _ in 0..steps {
            if !self.step() {
                break;
            }
            self.trouble(&runs);
        }
        self.faults = false;
        self.crash();
        self.finish();
        self.report.runs = runs.len() as u64;
        self.settle();
        self.report.clone()
    }

    /// Without any more faults every accepted run ends: people resume what stands still, and cancel what goes round in circles (some of the
    /// generated workflows do).
    fn finish(&mut self) {
        let mut quiet = 0;
        for step in 0..20_000 {
            let open: Vec<RunId> = self
                .disk
                .runs
                .iter()
                .filter(|(_, record)| record.outcome.is_none())
                .map(|(run, _)| *run)
                .collect();
            if open.is_empty() {
                return;
            }
            let still = !self.step();
            if still {
                self.nothing_is_missed();
                self.nobody_is_forgotten();
                // Perhaps they listen for something that did not come yet.
                quiet += 1;
                for _ in 0..4 {
                    self.published += 1;
                    self.soon(Coming::Publish(self.published));
                }
            }
            let command = if step > 1_000 || quiet > 20 {
                Command::Cancel(None)
            } else {
                Command::Resume
            };
            if still || step % 1_000 == 999 {
                for run in open {
                    let client = self.client(run, Some(command.clone()));
                    self.handle(Input::Command {
                        run,
                        command: command.clone(),
                        client,
                    });
                }
            }
        }
        let open: Vec<_> = self
            .disk
            .runs
            .iter()
            .filter(|(_, record)| record.outcome.is_none())
            .collect();
        panic!("{} runs never end, such as {}", open.len(), open[0].0);
    }

    /// The next thing that comes, or the next moment that the core waits for; false when there is neither.
    fn step(&mut self) -> bool {
        let next = self.coming.peek().map(|Reverse((at, _))| *at);
        let wakeup = self.core.wakeup().map(|at| Timestamp(at.0.saturating_sub(self.ahead)));
        let at = match (next, wakeup) {
            (None, None) => return false,
            (Some(next), Some(wakeup)) if wakeup < next => wakeup,
            (Some(next), _) => {
                self.now = self.now.max(next);
                let Some(Reverse((_, number))) = self.coming.pop() else {
                    return false;
                };
                let Some(coming) = self.what.remove(&number) else {
                    return true;
                };
                self.comes(coming);
                return true;
            }
            (None, Some(wakeup)) => wakeup,
        };
        self.now = self.now.max(at);
        let loaded = self.core.loaded_runs();
        if self.core.busy() {
            self.circle();
        }
        self.handle(Input::Tick);
        self.report.evicted += u64::from(self.core.loaded_runs() < loaded);
        true
    }

    /// A run computes and computes: time passes, and after a while someone has had enough of it.
    fn circle(&mut self) {
        self.now = self.now.after(potok_dsl::Millis(1));
        self.slices += 1;
        if self.slices.is_multiple_of(8) {
            for run in self.disk.runs.keys().copied().collect::<Vec<_>>() {
                self.soon(Coming::Ask(run, Command::Cancel(None)));
            }
        }
    }

    fn comes(&mut self, coming: Coming) {
        match coming {
            Coming::Write(save) => self.write(&save),
            Coming::Saved(run, result) => self.handle(Input::Saved { run, result }),
            Coming::Completion {
                run,
                call,
                path,
                digest,
                outcome,
                made,
            } => {
                self.handle(Input::CallDone {
                    run,
                    call,
                    path,
                    digest,
                    outcome: outcome.map(Arc::new),
                    made,
                });
            }
            Coming::Find(run, effect, wanted) => self.find(run, &effect, &wanted),
            Coming::Reserve(run, effect, asked) => {
                let clock = self.clock();
                let moment = self.disk.moments.reserve(&asked, &effect.idempotency_key, clock);
                self.soon(Coming::Completion {
                    run,
                    call: effect.call,
                    path: effect.path,
                    digest: effect.digest,
                    outcome: Ok(RateRequest::given(moment)),
                    made: None,
                });
            }
            Coming::Keep(run, call) => self.report.inner += u64::from(self.disk.keep(run, call)),
            Coming::Load(run, whole) => {
                let result = self.disk.load(run, whole);
                self.report.recovered += u64::from(result.is_ok());
                self.handle(Input::Loaded { run, result });
            }
            Coming::Due { until, after, limit } => {
                let due = self.disk.due(until, after, limit);
                self.handle(Input::Due(Ok(due)));
            }
            Coming::Look(run, wanted, limit) => {
                let result = Ok(self.disk.look(run, &wanted, limit));
                self.handle(Input::Looked { run, result });
            }
            Coming::Behind(after, limit) => {
                let behind = self.disk.behind(after, limit);
                self.handle(Input::Behind(Ok(behind)));
            }
            Coming::Publish(number) => self.publish(number),
            Coming::Nudged(nudges) => self.handle(Input::Nudged(nudges)),
            Coming::Start(run) => self.start(run),
            Coming::Ask(run, command) => {
                let client = self.client(run, Some(command.clone()));
                self.handle(Input::Command { run, command, client });
            }
        }
    }

    /// Someone starts a run and waits for its end.
    fn start(&mut self, run: RunId) {
        let client = self.client(run, None);
        let start = StartRun {
            run,
            deployed: self.definitions[&run].clone(),
            input: Arc::new(json!({ "n": 1, "list": [1, 2] })),
            parent: None,
            origin: None,
            trigger: None,
            idempotency_key: None,
            labels: json!({}),
            client: Some(client),
        };
        self.handle(Input::Start(start));
        let waiter = self.client(run, None);
        self.handle(Input::Wait { run, client: waiter });
    }

    /// A write reaches the disk, or does not; the core hears of it, or hears something else.
    fn write(&mut self, save: &Save) {
        let run = save.run;
        if self.faults && (self.now < self.full_until || self.random.one_in(25)) {
            self.report.refused_writes += 1;
            return self.soon(Coming::Saved(
                run,
                Err(SaveFailure::Unavailable("the disk is full".to_owned())),
            ));
        }
        let mut result = self.disk.write(save, &self.deployed(run));
        self.places();
        if self.faults && result.is_ok() && self.random.one_in(25) {
            self.report.lost_acknowledgements += 1;
            result = Err(SaveFailure::Unavailable("the answer was lost".to_owned()));
        }
        self.soon(Coming::Saved(run, result));
    }

    /// Someone publishes an event. Whoever gets no answer publishes it again.
    fn publish(&mut self, number: u64) {
        let event = Arc::new(event(number));
        let (new, runs) = self.disk.take(&event);
        self.report.published += u64::from(new);
        if self.random.one_in(10) {
            self.soon(Coming::Publish(number));
        }
        self.soon(Coming::Nudged(Nudges { runs, more: false }));
    }

    /// Now and then something goes wrong, or someone wants something.
    fn trouble(&mut self, runs: &[RunId]) {
        if self.random.one_in(8) {
            self.published += 1;
            self.soon(Coming::Publish(self.published));
        }
        if self.random.one_in(30) {
            self.crash();
        }
        if self.random.one_in(100) {
            // Someone sets the clock, mostly a little.
            let range = *self.random.pick(&[20, 2_000, 600_000]);
            self.ahead += i64::try_from(self.random.below(2 * range)).unwrap() - i64::try_from(range).unwrap();
            self.report.jumps += 1;
        }
        if self.random.one_in(100) {
            self.full_until = self.now.after(potok_dsl::Millis(self.random.below(300)));
        }
        if self.random.one_in(60) {
            let mut runs = runs.to_vec();
            runs.extend(self.disk.runs.keys());
            let run = *self.random.pick(&runs);
            let command = match self.random.below(4) {
                0 => Command::Cancel(None),
                1 => Command::Suspend(None),
                _ => Command::Resume,
            };
            self.soon(Coming::Ask(run, command));
        }
    }

    /// The node dies; what was on its way is lost, but for writes that had already reached the disk.
    fn crash(&mut self) {
        self.report.crashes += 1;
        let on_their_way = std::mem::take(&mut self.what);
        self.coming.clear();
        for (_, coming) in on_their_way {
            if let Coming::Write(save) = coming
                && self.random.one_in(2)
            {
                // The crash came after the commit and before its acknowledgement.
                let _ = self.disk.write(&save, &self.deployed(save.run));
            }
        }
        self.clients.clear();
        self.core = Core::new(config(), self.evaluator.clone());
        self.handle(Input::Tick);
    }

    fn client(&mut self, run: RunId, command: Option<Command>) -> Client {
        self.numbered += 1;
        let client = Client(self.numbered);
        self.clients.insert(client, (run, command));
        client
    }

    fn handle(&mut self, input: Input) {
        let mut out = Vec::new();
        self.core.handle(self.clock(), input, &mut out);
        for output in out {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Save(save) => {
                if self.sabotage == Some(Sabotage::Barrier) {
                    self.soon(Coming::Saved(save.run, Ok(Durable::default())));
                }
                // A disk may take its time.
                let delay = if self.faults && self.random.one_in(20) { 400 } else { 5 };
                let delay = self.random.below(delay);
                self.after(delay, Coming::Write(save));
            }
            Output::StartCall { run, effect, again } => self.leaves(run, &effect, again),
            Output::CancelCall { .. } => {}
            Output::Silence(run) => drop(self.disk.told.remove(&run)),
            Output::Load(run) => self.soon(Coming::Load(run, false)),
            Output::LoadWhole(run) => self.soon(Coming::Load(run, true)),
            Output::QueryDue { until, after, limit } => self.soon(Coming::Due { until, after, limit }),
            Output::Look { run, wanted, limit } => self.soon(Coming::Look(run, wanted, limit)),
            Output::QueryBehind { after, limit } => self.soon(Coming::Behind(after, limit)),
            Output::Answer(client, answer) => self.told(client, &answer),
            Output::Publish(update) => {
                let record = &self.disk.runs[&update.run];
                if let Some(outcome) = &update.outcome {
                    assert_eq!(
                        record.outcome.as_ref(),
                        Some(outcome),
                        "an end was told that is not durable"
                    );
                }
            }
            Output::Stopped => panic!("nobody asked the node to stop"),
        }
    }

    /// A call leaves the node.
    fn leaves(&mut self, run: RunId, effect: &CallEffect, again: bool) {
        if !effect.pure {
            self.report.effects += 1;
            let asked = self.disk.asks_for(run, effect, &self.evaluator);
            assert!(
                asked,
                "call {} at {} left before what it depends on was durable, or again",
                effect.call, effect.path
            );
            let first = self.left.insert((run, effect.call));
            assert!(
                first || again,
                "call {} at {} leaves again, and nobody says so",
                effect.call,
                effect.path
            );
        }
        if effect.once {
            let first = self.once.insert((run, effect.call));
            assert!(first, "call {} at {} left a second time", effect.call, effect.path);
        }
        if let Request::Workflow(wanted) = &effect.request {
            self.report.children += 1;
            return self.soon(Coming::Find(run, Box::new(effect.clone()), wanted.clone()));
        }
        if let Request::Rate(asked) = &effect.request {
            return self.soon(Coming::Reserve(run, Box::new(effect.clone()), asked.clone()));
        }
        let outcome = answer(effect, &mut self.random);
        let made = self.calls_inside(run, effect);
        let completion = || Coming::Completion {
            run,
            call: effect.call,
            path: effect.path.clone(),
            digest: effect.digest.clone(),
            outcome: outcome.clone(),
            made,
        };
        if self.faults && self.random.one_in(40) {
            // It hangs for ever, or until the node is started again.
            self.report.hanging += 1;
            return;
        }
        let slow = if self.random.one_in(10) { 500 } else { 30 };
        let delay = self.random.below(slow);
        self.after(delay, completion());
        if self.faults && self.random.one_in(15) {
            self.report.duplicates += 1;
            let again = self.random.below(100);
            self.after(delay + again, completion());
        }
    }

    /// A plugin with effects makes calls in turn, and what they give is kept on the disk until the call is over.
    fn calls_inside(&mut self, run: RunId, effect: &CallEffect) -> Option<Made> {
        if effect.pure || !matches!(effect.request, Request::Function { .. }) {
            return None;
        }
        let calls = u32::try_from(self.random.below(4)).unwrap();
        for _ in 0..calls {
            let delay = self.random.below(30);
            self.after(delay, Coming::Keep(run, effect.call));
        }
        let took = potok_dsl::Millis(u64::from(calls));
        (calls > 1).then_some(Made { calls, took })
    }

    fn soon(&mut self, coming: Coming) {
        let delay = self.random.below(5);
        self.after(delay, coming);
    }

    fn after(&mut self, delay: u64, coming: Coming) {
        self.numbered += 1;
        self.coming
            .push(Reverse((self.now.after(potok_dsl::Millis(delay)), self.numbered)));
        self.what.insert(self.numbered, coming);
    }
}
