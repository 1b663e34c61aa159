//! The world around a node: it answers late, twice, wrongly or not at all, and now and then it ends.
//!
//! The oracles, where they are checked:
//! - an effectful call leaves only when the journal on the disk leads to it and does not hold its completion, and one that leaves at most
//!   once leaves no second time ([`World::leaves`]);
//! - of a group no more runs than it has places have begun and not ended ([`World::places`]), and none waits while one is free
//!   ([`World::nobody_is_forgotten`]);
//! - tasks with a rate begin no more often than it says, over all runs ([`World::rates`]);
//! - a client is told only what is on the disk ([`World::told`]);
//! - the journal on the disk always replays, and ends as the run's row says ([`World::settle`]);
//! - every run that was accepted ends ([`World::run`]);
//! - a child is started once, its end is what its parent hears, and a parent that has ended leaves none behind ([`World::children`],
//!   [`World::nobody_is_forgotten`]).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use potok_dsl::{Problem, RunId, TaskPath, Timestamp};
use potok_expr::Evaluator;
use potok_machine::{
    CallEffect, CallId, Definition, Effect, Entry, Event, RateRequest, Request, Status, WorkflowRequest,
    testing::{self, Driver, Random, answer, compiled, eventful},
};
use potok_node::core::{
    Answer, Client, Command, Core, CoreConfig, Deployed, Durable, Input, Nudges, Output, Save, SaveFailure, StartRun,
    Wanted, handed_over, started,
};
use serde_json::{Value, json};

use crate::disk::{Disk, Group};

/// What a run of the world came to.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub runs: u64,
    pub crashes: u64,
    pub recovered: u64,
    pub evicted: u64,
    pub effects: u64,
    pub duplicates: u64,
    pub lost_acknowledgements: u64,
    pub refused_writes: u64,
    pub published: u64,
    pub consumed: u64,
    pub emitted: u64,
    pub children: u64,
    pub unknown: u64,
    pub rated: u64,
    pub waited: u64,
    pub rejected: u64,
}

impl Report {
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.crashes += other.crashes;
        self.recovered += other.recovered;
        self.evicted += other.evicted;
        self.effects += other.effects;
        self.duplicates += other.duplicates;
        self.lost_acknowledgements += other.lost_acknowledgements;
        self.refused_writes += other.refused_writes;
        self.published += other.published;
        self.consumed += other.consumed;
        self.emitted += other.emitted;
        self.children += other.children;
        self.unknown += other.unknown;
        self.rated += other.rated;
        self.waited += other.waited;
        self.rejected += other.rejected;
    }
}

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
    },
    Find(RunId, Box<CallEffect>, WorkflowRequest),
    Reserve(RunId, Box<CallEffect>, RateRequest),
    Load(RunId),
    Due {
        until: Timestamp,
        after: Option<(Timestamp, RunId)>,
        limit: u32,
    },
    Ask(RunId, Command),
    Start(RunId),
}

pub struct World {
    random: Random,
    now: Timestamp,
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

/// What the ids of events from outside begin with.
const OUTSIDE: &str = "outside-";

/// The event of a number, as the generated workflows listen for them.
fn event(number: u64) -> Value {
    let mut event = testing::event(&mut Random::new(number));
    event["id"] = json!(format!("{OUTSIDE}{number}"));
    event
}

/// How many effectful calls a workflow makes until it ends, if it does so within some hundred tasks when nothing goes wrong.
fn ends(definition: &Arc<Definition>, evaluator: &Evaluator, random: &mut Random) -> Option<u64> {
    let mut effects = 0;
    let mut driver = Driver::start(definition, evaluator, json!({ "n": 1, "list": [1, 2] }), None);
    for _ in 0..200 {
        if driver.machine.outcome().is_some() {
            return Some(effects);
        }
        if driver.machine.wants_to_proceed() || driver.machine.tasks() > 300 {
            return None;
        }
        if driver.machine.is_held() {
            driver.apply(Event::Admitted).unwrap();
            continue;
        }
        let call = driver.calls().next().cloned();
        let event = match call {
            Some(effect) => {
                effects += u64::from(!effect.pure);
                let outcome = match &effect.request {
                    Request::Rate(asked) => Ok(RateRequest::given(asked.earliest(driver.now))),
                    _ => answer(&effect, random),
                };
                Some(driver.completion(effect.call, outcome))
            }
            None if driver.subscriptions().next().is_some() && !random.one_in(4) => {
                let fitting = (0..12).find_map(|_| driver.incoming(testing::event(random)));
                fitting.or_else(|| driver.next_timer())
            }
            None => driver.next_timer(),
        };
        driver.apply(event?).unwrap();
    }
    None
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

    /// A random workflow that ends soon, at least once: some of the generated ones go round in circles.
    fn definition(&mut self, parent: bool) -> Arc<Definition> {
        loop {
            let size = 6 + self.random.below(30);
            // A loop over what a loop has collected may double its data each time; that is another test's business.
            let text = eventful(self.random.next(), size).replace(r#""list":"${ . }""#, r#""list":"${ [.[0].n] }""#);
            if !parent && (text.contains(r#""child""#) || text.contains(r#""concurrency""#)) {
                continue;
            }
            let definition = compiled(&text, &self.evaluator);
            let effects = ends(&definition, &self.evaluator, &mut self.random);
            // Most should have something that can be done twice.
            if effects.is_some_and(|effects| effects >= 2 || self.random.one_in(6)) {
                return definition;
            }
        }
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

    /// When nothing more comes, every run has what it listens for.
    fn nothing_is_missed(&self) {
        for run in self.disk.runs.keys() {
            let missed = self.disk.missed(*run, &self.evaluator);
            assert_eq!(missed, None, "{run} listens for an event that it was never told of");
        }
    }

    /// Nothing happens any more: no child goes on that nobody waits for, and no parent waits for a child that has ended.
    fn nobody_is_forgotten(&self) {
        for ((group, limit), Group { begun, waiting }) in self.disk.groups() {
            let free = begun.len() < limit as usize;
            assert!(!free || waiting.is_empty(), "{waiting:?} wait, and {group} has a place");
        }
        for (run, record) in self.disk.runs.iter().filter(|(_, record)| record.outcome.is_none()) {
            let machine = self.disk.replay(*run, &self.evaluator).unwrap();
            if let Some(parent) = machine.parent().filter(|parent| parent.awaits) {
                let ended = self.disk.runs[&parent.run].outcome.is_some();
                assert!(!ended, "{run} goes on, and its parent {} has ended", parent.run);
            }
            if machine.status() == Status::Suspended {
                continue;
            }
            for effect in machine.outstanding() {
                if let Effect::Call(CallEffect {
                    request: Request::Workflow(wanted),
                    ..
                }) = effect
                {
                    let child = self.disk.runs.get(&wanted.run);
                    assert!(
                        child.is_some_and(|child| child.outcome.is_none()),
                        "{run} waits for {}, which has ended or never was ({:?})",
                        wanted.run,
                        record.entries.last()
                    );
                }
            }
        }
    }

    /// The next thing that comes, or the next moment that the core waits for; false when there is neither.
    fn step(&mut self) -> bool {
        let next = self.coming.peek().map(|Reverse((at, _))| *at);
        let wakeup = self.core.wakeup();
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
            } => {
                self.handle(Input::CallDone {
                    run,
                    call,
                    path,
                    digest,
                    outcome: outcome.map(Arc::new),
                });
            }
            Coming::Find(run, effect, wanted) => self.find(run, &effect, &wanted),
            Coming::Reserve(run, effect, asked) => {
                let moment = self.disk.moments.reserve(&asked, &effect.idempotency_key, self.now);
                self.soon(Coming::Completion {
                    run,
                    call: effect.call,
                    path: effect.path,
                    digest: effect.digest,
                    outcome: Ok(RateRequest::given(moment)),
                });
            }
            Coming::Load(run) => {
                let result = self.disk.load(run);
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

    /// What a run runs: what was made for it, or what a child runs.
    fn deployed(&self, run: RunId) -> Deployed {
        let own = self.definitions.get(&run);
        own.or(self.child.as_ref()).unwrap().clone()
    }

    /// The run that a call wants is looked for.
    fn find(&mut self, parent: RunId, effect: &CallEffect, wanted: &WorkflowRequest) {
        let child = wanted.run;
        let done = |outcome| Input::CallDone {
            run: parent,
            call: effect.call,
            path: effect.path.clone(),
            digest: effect.digest.clone(),
            outcome,
        };
        let found = match self.disk.runs.get(&child).map(|record| &record.outcome) {
            Some(_) if !wanted.parent.awaits => done(Ok(started(child))),
            Some(Some(outcome)) => done(handed_over(child, outcome)),
            Some(None) => Input::ChildThere {
                parent,
                call: effect.call,
                child,
            },
            None => Input::Child {
                parent,
                call: effect.call,
                start: Box::new(StartRun {
                    run: child,
                    deployed: self.deployed(child),
                    input: Arc::clone(&wanted.input),
                    parent: Some(wanted.parent),
                    trigger: None,
                    idempotency_key: Some(format!("run:{child}")),
                    labels: json!({}),
                    client: None,
                }),
            },
        };
        self.handle(found);
    }

    /// Someone starts a run and waits for its end.
    fn start(&mut self, run: RunId) {
        let client = self.client(run, None);
        let start = StartRun {
            run,
            deployed: self.definitions[&run].clone(),
            input: Arc::new(json!({ "n": 1, "list": [1, 2] })),
            parent: None,
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
        if self.faults && self.random.one_in(25) {
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

    /// No more have begun than there are places.
    fn places(&mut self) {
        for ((group, limit), Group { begun, waiting }) in self.disk.groups() {
            let crowded = begun.len() > limit as usize;
            assert!(!crowded, "{begun:?} have begun, and {group} has {limit} place(s)");
            self.report.waited += waiting.len() as u64;
        }
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
        self.core.handle(self.now, input, &mut out);
        for output in out {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Save(save) => self.soon(Coming::Write(save)),
            Output::StartCall { run, effect } => self.leaves(run, &effect),
            Output::CancelCall { .. } => {}
            Output::Silence(run) => drop(self.disk.told.remove(&run)),
            Output::Load(run) => self.soon(Coming::Load(run)),
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
    fn leaves(&mut self, run: RunId, effect: &CallEffect) {
        if !effect.pure {
            self.report.effects += 1;
            let asked = self.disk.asks_for(run, effect, &self.evaluator);
            assert!(
                asked,
                "call {} at {} left before what it depends on was durable, or again",
                effect.call, effect.path
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
        let completion = || Coming::Completion {
            run,
            call: effect.call,
            path: effect.path.clone(),
            digest: effect.digest.clone(),
            outcome: outcome.clone(),
        };
        let slow = if self.random.one_in(10) { 500 } else { 30 };
        let delay = self.random.below(slow);
        self.after(delay, completion());
        if self.faults && self.random.one_in(15) {
            self.report.duplicates += 1;
            let again = self.random.below(100);
            self.after(delay + again, completion());
        }
    }

    /// Someone is told something: it must be on the disk.
    fn told(&mut self, client: Client, answer: &Answer) {
        let (run, command) = self
            .clients
            .remove(&client)
            .expect("an answer to someone who asked, once");
        match answer {
            Answer::Started(started) => {
                assert_eq!(*started, run);
                assert!(
                    self.disk.runs.contains_key(&run),
                    "a start was acknowledged that is not durable"
                );
                self.accepted.push(run);
            }
            Answer::Ended(outcome) => {
                assert_eq!(
                    self.disk.runs[&run].outcome.as_ref(),
                    Some(outcome),
                    "an end was told that is not durable"
                );
            }
            Answer::Taken(status) => {
                let already = command == Some(Command::Suspend(None)) && *status == Status::Suspended;
                let durable = self.disk.runs[&run].entries.iter().any(|text| {
                    let Ok(Entry::Event(recorded)) = serde_json::from_str(text) else {
                        return false;
                    };
                    matches!(
                        (&recorded.event, &command),
                        (Event::Cancel { .. }, Some(Command::Cancel(_)))
                            | (Event::Suspend { .. }, Some(Command::Suspend(_)))
                            | (Event::Resume, Some(Command::Resume))
                    )
                });
                assert!(durable || already, "a command was acknowledged that is not durable");
            }
            Answer::Missing => assert!(
                !self.disk.runs.contains_key(&run),
                "a run that is there was said to be missing"
            ),
            Answer::Rejected(_) => {
                self.report.rejected += 1;
                assert!(
                    !self.disk.runs.contains_key(&run),
                    "a run that is there was said to be turned away"
                );
            }
            Answer::Refused(_) | Answer::Failed(_) | Answer::Exists(_) => {}
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

    /// The end: every run that was accepted is there, has ended, and ended as its journal says.
    fn settle(&mut self) {
        // A task that is tried again emits the same event again: an id names it.
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        let mut emitted = BTreeSet::new();
        for run in self.disk.runs.keys() {
            emitted.extend(self.disk.emitted(*run, &self.evaluator).iter().map(|event| id(event)));
        }
        let inside: Vec<String> = self.disk.events.iter().map(|event| id(event)).collect();
        let inside: Vec<String> = inside.into_iter().filter(|id| !id.starts_with(OUTSIDE)).collect();
        for id in &emitted {
            let there = inside.iter().filter(|known| *known == id).count();
            assert_eq!(
                there, 1,
                "event {id}, which a run has emitted, is in the stream {there} times"
            );
        }
        assert_eq!(
            inside.len(),
            emitted.len(),
            "the stream has an event whose cause is not durable"
        );
        self.report.emitted = inside.len() as u64;
        self.report.consumed = self.disk.runs.values().map(|record| record.consumed.len() as u64).sum();
        for run in &self.accepted {
            assert!(self.disk.runs.contains_key(run), "{run} was accepted and is gone");
        }
        let mut unknown = 0;
        for (run, record) in &self.disk.runs {
            let machine = self.disk.replay(*run, &self.evaluator).unwrap();
            unknown += self.children(*run);
            assert_eq!(
                machine.outcome(),
                record.outcome.as_ref(),
                "{run} ended otherwise than its journal says"
            );
            assert!(
                machine.outstanding().is_empty(),
                "{run} has ended and still wants something"
            );
        }
        self.report.unknown = unknown;
        self.report.rated = self.rates();
    }

    /// How many tasks with a rate have begun: never more than two in a second, as all the generated ones say.
    fn rates(&self) -> u64 {
        let mut begun: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for run in self.disk.runs.keys() {
            for (group, at) in self.disk.begun(*run, &self.evaluator) {
                begun.entry(group).or_default().push(at);
            }
        }
        for (group, times) in &mut begun {
            times.sort_unstable();
            let crowded = times.windows(3).find(|three| three[2] - three[0] < 1_000);
            assert_eq!(crowded, None, "too many tasks of {group} have begun within a second");
        }
        begun.values().map(|times| times.len() as u64).sum()
    }

    /// What a run has heard of its children is how they ended; how many calls there were of which nobody knows whether they have left.
    fn children(&self, run: RunId) -> u64 {
        let mut unknown = 0;
        let wanted = self.disk.wanted(run, &self.evaluator);
        for text in &self.disk.runs[&run].entries {
            let Ok(Entry::Event(recorded)) = serde_json::from_str(text) else {
                continue;
            };
            let Event::CallCompleted { call, outcome, .. } = recorded.event else {
                continue;
            };
            unknown += u64::from(outcome == Err(CallEffect::unknown()));
            let Some(child) = wanted.get(&call) else { continue };
            let record = self.disk.runs.get(&child.run);
            let record = record.unwrap_or_else(|| panic!("{run} has heard of {}, which never was", child.run));
            if child.parent.awaits {
                let ended = record.outcome.as_ref().map(|outcome| handed_over(child.run, outcome));
                assert_eq!(ended, Some(outcome), "{run} was told otherwise of {}", child.run);
            }
        }
        unknown
    }
}
