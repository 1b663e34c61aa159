//! Events that runs listen for: who is told to look, what is offered to them, what they consume.
//!
//! The store marks those for whom something came, in the transaction in which it came; the node only has to look. So a nudge that is lost
//! costs time, never an event: the marks are asked for at every start.

use potok_dsl::{RunId, Timestamp};
use potok_machine::{Event, Status};

use super::{BehindRuns, Core, Found, Nudges, Output, load::RETRY};

/// What is known of the runs for which something came.
pub(super) struct Behind {
    /// When the store must be asked.
    ask_at: Option<Timestamp>,
    /// Where its last answer broke off.
    after: Option<RunId>,
    asking: bool,
}

impl Default for Behind {
    /// After a start all of them are to be found.
    fn default() -> Self {
        Self {
            ask_at: Some(Timestamp(0)),
            after: None,
            asking: false,
        }
    }
}

impl Behind {
    /// When the store is to be asked.
    pub fn wakeup(&self) -> Option<Timestamp> {
        self.ask_at.filter(|_| !self.asking)
    }
}

impl Core {
    /// Runs are told to look.
    pub(super) fn nudged(&mut self, nudges: &Nudges, out: &mut Vec<Output>) {
        if self.stopping {
            // They are marked, and found at the next start.
            return;
        }
        for run in &nudges.runs {
            self.nudge(*run, out);
        }
        if nudges.more {
            self.behind.after = None;
            self.behind.ask_at = Some(self.now);
        }
    }

    fn nudge(&mut self, run: RunId, out: &mut Vec<Output>) {
        if let Some(live) = self.runs.get_mut(&run) {
            live.listening.nudge();
            self.look(run, out);
        } else {
            // Whoever is being read may have been read before the mark was there.
            self.nudged.insert(run);
            self.load(run, out);
        }
    }

    /// Asks which runs are marked, when that is due.
    pub(super) fn ask_behind(&mut self, out: &mut Vec<Output>) {
        if self.stopping || self.behind.asking || self.behind.ask_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.behind.asking = true;
        self.behind.ask_at = None;
        out.push(Output::QueryBehind {
            after: self.behind.after,
            limit: self.config.wake_batch,
        });
    }

    /// The store has said which runs are marked.
    pub(super) fn behind(&mut self, answer: Result<BehindRuns, String>, out: &mut Vec<Output>) {
        self.behind.asking = false;
        match answer {
            Ok(answer) => {
                for run in &answer.runs {
                    self.nudge(*run, out);
                }
                if answer.more && self.behind.ask_at.is_none() {
                    self.behind.after = answer.runs.last().copied();
                    self.behind.ask_at = Some(self.now);
                }
            }
            Err(why) => {
                tracing::warn!(%why, "the store did not say for whom something came; asking again");
                self.behind.ask_at = Some(self.now.after(RETRY));
            }
        }
    }

    /// Has the stream looked into for a run, if it is time.
    pub(super) fn look(&mut self, run: RunId, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&run) else { return };
        // A run that someone has halted takes nothing; what came is looked for when it goes on.
        if live.outcome.is_some() || self.stopping || live.machine.status() == Status::Suspended {
            return;
        }
        if let Some(wanted) = live.listening.look() {
            out.push(Output::Look {
                run,
                wanted,
                limit: self.config.look_batch,
            });
        }
    }

    /// The stream was looked into: what was found is offered to the run, in order.
    pub(super) fn looked(&mut self, run: RunId, result: Result<Found, String>, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&run) else { return };
        let found = match result {
            Ok(found) => found,
            Err(why) => {
                tracing::warn!(%run, %why, "the stream of events cannot be read; trying again");
                live.listening.looked_in_vain();
                self.looks.insert((self.now.after(RETRY), run));
                return;
            }
        };
        live.listening.looked();
        if !self.offer(run, found, out) {
            return;
        }
        if let Some(live) = self.runs.get_mut(&run) {
            live.listening.settle(live.durable);
        }
        // What began to listen meanwhile is told by its write whether there is something for it.
        self.look(run, out);
        self.settle(run, out);
    }

    /// Offers events until someone begins to listen who was not looked for; false when the run is gone.
    fn offer(&mut self, run: RunId, found: Found, out: &mut Vec<Output>) -> bool {
        for (sequence, event) in found.events {
            let Some(live) = self.runs.get_mut(&run) else {
                return false;
            };
            if live.outcome.is_some() {
                return true;
            }
            if live.machine.status() == Status::Suspended {
                live.listening.look_again();
                return true;
            }
            if !live.listening.is_steady() {
                live.listening.broke_off();
                return true;
            }
            if !live.listening.has_consumed(sequence)
                && let Some(subscription) = live.machine.accepts(&event)
            {
                live.listening.consume(subscription, sequence, live.seq + 1);
                let consumed = Event::EventConsumed {
                    subscription,
                    sequence,
                    event,
                };
                self.consume(run, consumed, out);
            }
            let Some(live) = self.runs.get_mut(&run) else {
                return false;
            };
            live.listening.offered(sequence);
        }
        let Some(live) = self.runs.get_mut(&run) else {
            return false;
        };
        live.listening.offered(found.upto);
        if found.more {
            live.listening.look_again();
        }
        true
    }
}
