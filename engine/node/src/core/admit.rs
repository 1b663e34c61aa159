//! Runs that wait for a place among others: who is admitted, who makes way, who may not start.
//!
//! The store decides, in the transaction in which a run is written for the first or the last time, and keeps its word in the outbox until the run
//! has heard it. So a word that is lost with a node is found at the next start.

use potok_dsl::{Problem, RunId};
use potok_machine::{Event, Parent};

use super::{Answer, Client, Command, Core, Output, SaveFailure};

/// Why a run ends whose place another one takes.
const REPLACED: &str = "a newer run takes its place";

impl Core {
    /// A run has its place and begins.
    pub(super) fn admit(&mut self, run: RunId, by: RunId, out: &mut Vec<Output>) {
        if self.stopping {
            return;
        }
        match self.runs.get_mut(&run) {
            Some(live) => {
                live.heard.push(by);
                if live.machine.is_held() {
                    self.consume(run, Event::Admitted, out);
                }
            }
            None => {
                // Whoever is being read may have been read before it had its place.
                self.admitted.insert(run, by);
                self.load(run, out);
            }
        }
    }

    /// A run makes way for another one.
    pub(super) fn replace(&mut self, run: RunId, out: &mut Vec<Output>) {
        if !self.stopping {
            self.command(run, Command::Cancel(Some(REPLACED.to_owned())), None, out);
        }
    }

    /// A run may not start: whoever asked for it is told why.
    pub(super) fn turn_away(
        &mut self,
        run: RunId,
        parent: Option<Parent>,
        client: Option<Client>,
        problem: &Problem,
        out: &mut Vec<Output>,
    ) {
        let waiters = self.waiters.remove(&run).unwrap_or_default();
        let clients = client.into_iter().chain(waiters);
        out.extend(clients.map(|client| Output::Answer(client, Answer::Rejected(problem.clone()))));
        if let Some(parent) = parent {
            self.child_failed(parent.run, run, &SaveFailure::Rejected(problem.clone()), out);
        }
    }
}
