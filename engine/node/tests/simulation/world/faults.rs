//! What goes wrong: writes that fail, that look failed and are durable at once or later, that a death cuts in two; clocks that jump; nodes that
//! die, and come back as another version.

use std::sync::Arc;

use potok_dsl::{Millis, RunId};
use potok_node::core::{Command, Core, Durable, Input, Nudges, Save, SaveFailure};

use super::{Coming, World, config, workflows::event};

impl World {
    /// Whether the disk is full now.
    pub(super) fn is_full(&self) -> bool {
        self.faults && self.now < self.full_until
    }

    /// A write reaches the disk, or does not; the core hears of it, or hears something else.
    pub(super) fn write(&mut self, save: Box<Save>) {
        let run = save.run;
        let failed = |why: &str| Coming::Saved(run, Err(SaveFailure::Unavailable(why.to_owned())));
        if self.is_full() || (self.faults && self.random.one_in(25)) {
            self.report.refused_writes += 1;
            return self.soon(failed("the disk is full"));
        }
        if self.faults && !self.late.contains_key(&run) && self.random.one_in(40) {
            // The store goes on with it though its answer is given up. It comes before whatever else is written of the run.
            self.report.late += 1;
            self.late.insert(run, save);
            let delay = self.random.below(400);
            self.after(delay, Coming::Late(run));
            return self.soon(failed("the connection broke"));
        }
        let mut result = self.commit(&save);
        if self.faults && result.is_ok() && self.random.one_in(25) {
            self.report.lost_acknowledgements += 1;
            result = Err(SaveFailure::Unavailable("the answer was lost".to_owned()));
        }
        self.soon(Coming::Saved(run, result));
    }

    fn commit(&mut self, save: &Save) -> Result<Durable, SaveFailure> {
        self.lands(save.run);
        let result = self.disk.write(save, &self.deployed_for(save));
        self.places();
        result
    }

    /// A write that was given up becomes durable, if there is one.
    pub(super) fn lands(&mut self, run: RunId) {
        if let Some(save) = self.late.remove(&run) {
            // Nobody hears of it.
            let _ = self.disk.write(&save, &self.deployed_for(&save));
            self.places();
        }
    }

    /// Someone publishes an event. Whoever gets no answer publishes it again.
    pub(super) fn publish(&mut self, number: u64) {
        if self.is_full() {
            return self.after(50, Coming::Publish(number));
        }
        let event = Arc::new(event(number));
        let (new, runs) = self.disk.take(&event);
        self.report.published += u64::from(new);
        if self.random.one_in(10) {
            self.soon(Coming::Publish(number));
        }
        self.soon(Coming::Nudged(Nudges { runs, more: false }));
    }

    /// Now and then something goes wrong, or someone wants something.
    pub(super) fn trouble(&mut self, runs: &[RunId]) {
        if self.random.one_in(8) {
            self.published += 1;
            self.soon(Coming::Publish(self.published));
        }
        if self.random.one_in(30) {
            self.crash();
        }
        if self.random.one_in(150) {
            self.upgrade();
        }
        if self.random.one_in(40) {
            self.make_one();
        }
        if self.random.one_in(100) {
            // Someone sets the clock, mostly a little.
            let range = *self.random.pick(&[20, 2_000, 600_000]);
            self.ahead += i64::try_from(self.random.below(2 * range)).unwrap() - i64::try_from(range).unwrap();
            self.report.jumps += 1;
        }
        if self.random.one_in(100) {
            self.full_until = self.now.after(Millis(self.random.below(300)));
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
    pub(super) fn crash(&mut self) {
        self.dies();
        self.lives();
    }

    fn dies(&mut self) {
        self.report.crashes += 1;
        let on_their_way = std::mem::take(&mut self.what);
        self.coming.clear();
        for (_, coming) in on_their_way {
            match coming {
                Coming::Late(run) if self.random.one_in(2) => self.lands(run),
                Coming::Write(save) => match self.random.below(4) {
                    // The crash came after the commit and before its acknowledgement.
                    0 | 1 => drop(self.commit(&save)),
                    2 => {
                        self.report.torn += 1;
                        self.lands(save.run);
                        self.disk.tear(&save, &self.deployed_for(&save));
                        self.places();
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        self.late.clear();
        self.clients.clear();
    }

    fn lives(&mut self) {
        self.core = Core::new(config(), self.evaluator.clone());
        self.handle(Input::Tick);
    }

    /// The node dies and comes back as another version: no snapshot that it finds can be used, and there is a newer text of each workflow. What
    /// runs stays with the one that it has; what has not been accepted yet is started again, with the newer one.
    fn upgrade(&mut self) {
        self.dies();
        self.version += 1;
        self.report.upgrades += 1;
        self.disk.outdate();
        let unknown = |run: &&RunId| !self.disk.runs.contains_key(*run) && !self.made.contains_key(*run);
        let waiting: Vec<RunId> = self.definitions.keys().filter(unknown).copied().collect();
        for run in waiting {
            let newer = self.newer(run);
            self.definitions.insert(run, newer);
            self.soon(Coming::Start(run));
        }
        self.lives();
    }
}
