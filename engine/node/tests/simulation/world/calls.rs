//! Calls that leave the node: they answer late, twice, or never.

use potok_dsl::RunId;
use potok_machine::{CallEffect, Made, Request, testing::answer};

use super::{Coming, World};

impl World {
    /// A call leaves the node.
    pub(super) fn leaves(&mut self, run: RunId, effect: &CallEffect, again: bool) {
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
        // The first version did not count them, and had no place for the number in its entries.
        (calls > 1 && self.version > 0).then_some(Made { calls, took })
    }
}
