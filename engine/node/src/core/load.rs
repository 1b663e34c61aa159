//! Runs that come back from the store: after a crash, after an upgrade, or because their time has come.

use std::sync::Arc;

use potok_dsl::{Millis, RunId, Timestamp};
use potok_machine::{Effect, Entry, Event, Machine, Request};

use super::{
    Answer, Client, Command, Core, DueRuns, LoadFailure, Output, Stored, Word,
    live::{Live, Traces},
};

/// How long the store is left alone after it was not to be had.
pub(super) const RETRY: Millis = Millis(1_000);

impl Core {
    /// The store has said which runs are due.
    pub(super) fn due(&mut self, due: Result<DueRuns, String>, out: &mut Vec<Output>) {
        self.asking = false;
        if self.stopping {
            return;
        }
        let due = match due {
            Ok(due) => due,
            Err(why) => {
                tracing::warn!(%why, "the store did not say which runs are due; asking again");
                self.due_after = None;
                return self.wake_by(Some(self.now.after(RETRY)));
            }
        };
        for (_, run) in &due.runs {
            self.load(*run, out);
        }
        // The first answers tell of every run that was under way when the last node stopped; later ones only of runs that slept.
        self.due_after = due.runs.last().copied().filter(|_| due.more);
        if self.due_after.is_none() {
            self.recovered = true;
            self.wake_by(due.next.map(|at| self.config.before(at)));
        }
    }

    /// When the store is to be asked again from the beginning on. What was asked for a moment ago is not asked for each run anew.
    pub(super) fn next_ask(&self) -> Option<Timestamp> {
        let pause = Millis(self.config.ahead.0 / 2);
        let earliest = self.asked_at.map(|at| at.after(pause));
        self.next_due.map(|at| earliest.map_or(at, |earliest| at.max(earliest)))
    }

    /// Whether it is time to ask. The next page is not asked for while many runs of the last one are being read, so that what is on its way stays
    /// bounded, however many are due.
    pub(super) fn wants_due(&self) -> bool {
        let time = match self.due_after {
            Some(_) => self.loading.len() < self.config.loads,
            None => self.next_ask().is_some_and(|at| at <= self.now),
        };
        time && !self.asking && !self.stopping
    }

    /// Asks the store which runs are due, or will be in a moment.
    pub(super) fn ask(&mut self, out: &mut Vec<Output>) {
        self.asking = true;
        if self.due_after.is_none() {
            self.next_due = None;
            self.asked_at = Some(self.now);
        }
        let slept = (Timestamp(0), RunId::from_bytes([0xff; 16]));
        let after = self.due_after.or(self.recovered.then_some(slept));
        out.push(Output::QueryDue {
            until: self.now.after(self.config.ahead),
            after,
            limit: self.config.wake_batch,
        });
    }

    /// Has a run read, unless it is here or on its way.
    pub(super) fn load(&mut self, run: RunId, out: &mut Vec<Output>) {
        if !self.runs.contains_key(&run) && !self.loading.contains_key(&run) {
            self.loading.insert(run, Vec::new());
            out.push(Output::Load(run));
        }
    }

    /// Has a run read a little later: what is durable of it decides how it goes on.
    pub(super) fn reload(&mut self, run: RunId) {
        if !self.stopping {
            self.reloads.insert((self.now.after(RETRY), run));
        }
    }

    /// A run was read.
    pub(super) fn loaded(&mut self, run: RunId, result: Result<Box<Stored>, LoadFailure>, out: &mut Vec<Output>) {
        let Some(waiting) = self.loading.remove(&run) else {
            return;
        };
        let nudged = self.nudged.remove(&run);
        let ended = self.ended_meanwhile(run);
        // One that was started while it was looked for is here, and further than what was read of it.
        if self.runs.contains_key(&run) {
            self.take_up(run, nudged, waiting, out);
            return self.children_ended(run, ended, out);
        }
        let mut stored = match result {
            Ok(stored) => stored,
            Err(failure) => {
                if let LoadFailure::Unavailable(_) = failure {
                    self.reload(run);
                } else {
                    self.admitted.remove(&run);
                }
                // Nobody waits for the answer to what one run says to another: a run that never was does not have to hear it.
                if matches!(failure, LoadFailure::Missing) && waiting.iter().any(|(_, client)| client.is_none()) {
                    out.push(Output::Silence(run));
                }
                for client in waiting.into_iter().filter_map(|(_, client)| client) {
                    out.push(Output::Answer(client, refusal(&failure)));
                }
                return;
            }
        };
        let restored = match stored.snapshot.take() {
            None => None,
            Some((seq, kept)) => {
                let definition = Arc::clone(&stored.deployed.definition);
                match Machine::restore(definition, self.evaluator.clone(), kept.machine) {
                    Ok(machine) => Some((seq, machine, kept.traces)),
                    Err(why) => {
                        // Another version has written it. What it was made of is still there.
                        tracing::info!(%run, %why, "a snapshot cannot be used; the whole journal is read");
                        self.loading.insert(run, waiting);
                        self.nudged.extend(nudged.then_some(run));
                        return out.push(Output::LoadWhole(run));
                    }
                }
            }
        };
        if let Err(why) = self.revive(run, restored, *stored, out) {
            tracing::error!(%run, %why, "a stored run cannot go on; it stays as it is");
            self.admitted.remove(&run);
            for client in waiting.into_iter().filter_map(|(_, client)| client) {
                out.push(Output::Answer(client, Answer::Failed(why.clone())));
            }
            return;
        }
        self.take_up(run, nudged, waiting, out);
        self.children_ended(run, ended, out);
    }

    /// Gives a run what has waited until it is here.
    fn take_up(&mut self, run: RunId, nudged: bool, waiting: Vec<(Command, Option<Client>)>, out: &mut Vec<Output>) {
        if let Some(by) = self.admitted.remove(&run) {
            self.admit(run, by, out);
        }
        if let Some(live) = self.runs.get_mut(&run)
            && (nudged || live.listening.is_marked())
        {
            live.listening.nudge();
            self.look(run, out);
        }
        for (command, client) in waiting {
            self.command(run, command, client, out);
        }
    }

    /// Rebuilds the machine by feeding it what it has consumed since it was kept, then issues again what was outstanding. What was kept comes
    /// with the number of its last entry and of its next trace.
    fn revive(
        &mut self,
        run: RunId,
        kept: Option<(u64, Machine, u64)>,
        stored: Stored,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Stored {
            deployed,
            snapshot: _,
            entries,
            timeline,
            recoveries,
            trigger,
            listeners,
            wake_at,
            messages,
        } = stored;
        let definition = Arc::clone(&deployed.definition);
        let mut entries = entries.into_iter();
        let snapshot_at = kept.as_ref().map_or(0, |(seq, ..)| *seq);
        let (mut machine, mut traces, mut seq) = match kept {
            Some((seq, machine, traces)) => (machine, Traces::resume(traces, timeline), seq),
            None => {
                let Some(Entry::Start(start)) = entries.next() else {
                    return Err("its journal does not begin with a start".to_owned());
                };
                let mut traces = Traces::resume(0, timeline);
                let (machine, _) = Machine::start(definition, self.evaluator.clone(), &start, &mut traces);
                (machine, traces, 1)
            }
        };
        for entry in entries {
            let Entry::Event(recorded) = entry else {
                return Err("its journal has a second start".to_owned());
            };
            machine.apply(&recorded, &mut traces).map_err(|e| e.to_string())?;
            seq += 1;
        }
        let outstanding = machine.outstanding();
        let calls = outstanding.iter().any(is_made_again);
        let outcome = machine.outcome().cloned();
        let mut live = Live::restored(machine, deployed, trigger, seq, self.now);
        live.adopt_traces(traces, snapshot_at);
        live.outcome = outcome;
        live.recoveries = recoveries;
        live.listening.restore(&listeners);
        live.row_wakes = wake_at;
        let parent = live.parent().map(|parent| parent.run);
        let told = messages
            .iter()
            .any(|message| matches!(message.word, Word::Cancel | Word::Replaced));
        let admitted = messages.iter().find(|message| message.word == Word::Admitted);
        if let Some(message) = admitted {
            self.admitted.insert(run, message.run);
        }
        live.forsaken = messages
            .iter()
            .any(|message| message.word == Word::Cancel && Some(message.run) == parent);
        if calls {
            live.recoveries += 1;
            live.row_changed = true;
        }
        let stuck = live.recoveries > self.config.recoveries;
        let wishes = if stuck { Vec::new() } else { live.resume(outstanding) };
        // The end of a child that is no longer waited for is heard by reading it.
        let ended = messages.iter().filter(|message| message.word == Word::Ended);
        let unwanted: Vec<RunId> = ended
            .map(|message| message.run)
            .filter(|child| live.call_of(*child).is_none())
            .collect();
        if !stuck {
            live.heard.extend(unwanted);
        }
        self.runs.insert(run, live);
        if told {
            self.grant(run, wishes, out);
            self.command(run, Command::Cancel(None), None, out);
        } else if stuck {
            let reason = format!("recovered {recoveries} times without progress");
            self.hold(run, reason, out);
        } else {
            self.grant(run, wishes, out);
        }
        self.settle(run, out);
        Ok(())
    }

    /// Suspends a run that keeps the node from making progress; what was outstanding is issued when a person resumes it, which
    /// loads it anew.
    fn hold(&mut self, run: RunId, reason: String, out: &mut Vec<Output>) {
        tracing::error!(%run, %reason, "run suspended");
        if let Some(live) = self.runs.get_mut(&run) {
            live.leaving = true;
        }
        self.consume(run, Event::Suspend { reason: Some(reason) }, out);
    }

    /// Writes a run down and lets it go, for a node that stops.
    pub(super) fn stop_run(&mut self, run: RunId, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&run) else { return };
        if live.writing.is_some() {
            return;
        }
        let written = live.durable == live.seq && !live.dirty() && live.snapshot_is_current();
        if written || live.failures > 3 {
            return self.abandon(run, out);
        }
        live.row_changed = true;
        self.settle(run, out);
    }
}

/// Whether a call is made again after a recovery. A run that waits for another one makes no progress by itself.
fn is_made_again(effect: &Effect) -> bool {
    match effect {
        Effect::Call(call) => !matches!(&call.request, Request::Workflow(wanted) if wanted.parent.awaits),
        _ => false,
    }
}

fn refusal(failure: &LoadFailure) -> Answer {
    match failure {
        LoadFailure::Missing => Answer::Missing,
        LoadFailure::Ended(status) => Answer::Refused(*status),
        LoadFailure::Unavailable(why) | LoadFailure::Incompatible(why) => Answer::Failed(why.clone()),
    }
}
