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
//! - a run goes on with the text that its journal begins with ([`World::settle`]), and one that was made from another with what that was then
//!   ([`World::origins`]);
//! - every run that was accepted ends ([`World::run`]);
//! - what a run listens for it is told of, and what it emits is in the stream once ([`World::nothing_is_missed`], [`World::settle`]);
//! - a child is started once, its end is what its parent hears, and a parent that has ended leaves none behind ([`World::children`],
//!   [`World::nobody_is_forgotten`]).

mod again;
mod calls;
mod faults;
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
use potok_machine::{CallEffect, CallId, Made, RateRequest, WorkflowRequest, testing::Random};
use potok_node::core::{
    Client, Command, Core, CoreConfig, Deployed, Durable, Input, Nudges, Output, Save, SaveFailure, StartRun, Wanted,
};
use serde_json::{Value, json};

use crate::disk::Disk;
pub use report::Report;

/// Something on its way to the core or to the disk.
enum Coming {
    Write(Box<Save>),
    /// A write that was given up becomes durable.
    Late(RunId),
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
    /// Half of a commit stays when the node dies in its middle.
    Atomicity,
    /// A run that is read goes on with the newest text.
    Pin,
}

pub struct World {
    random: Random,
    sabotage: Option<Sabotage>,
    now: Timestamp,
    /// How far the node's clock is ahead, in milliseconds.
    ahead: i64,
    /// Until when the disk is full.
    full_until: Timestamp,
    /// Writes that look failed and are not.
    late: BTreeMap<RunId, Box<Save>>,
    /// How often the node was replaced by a newer one.
    version: u64,
    /// The runs that were made from others.
    made: BTreeMap<RunId, again::Made>,
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
        ahead: potok_dsl::Millis(10),
        loads: 2,
        fire_batch: 2,
        wake_batch: 2,
        snapshot_every: 5,
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
            late: BTreeMap::new(),
            version: 0,
            made: BTreeMap::new(),
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
            Coming::Write(save) => self.write(save),
            Coming::Late(run) => self.lands(run),
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
            Coming::Reserve(run, effect, asked) if self.is_full() => {
                self.after(50, Coming::Reserve(run, effect, asked));
            }
            Coming::Keep(run, call) if self.is_full() => self.after(50, Coming::Keep(run, call)),
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
                self.report.whole += u64::from(whole);
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
