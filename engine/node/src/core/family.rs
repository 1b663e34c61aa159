//! Runs that start other runs: parents and their children.
//!
//! A child's id is derived from its parent and the call, so it starts once, however often it is asked for. Whoever asks again (after a
//! crash, or because the parent was out of memory) is told what the store has of it. What a child and its parent say to each other (the end;
//! that nobody waits any more) is written in the transaction that causes it, and told when that is durable; the store keeps it until it has been
//! heard.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem, RunId, Timestamp};
use potok_machine::{CallId, Effect, Event, Outcome, Status};
use serde_json::{Value, json};

use super::{Command, Core, Message, Output, SaveFailure, StartRun, Word, load::RETRY};

/// Why a child is cancelled when its parent does not wait for it any more.
const FORSAKEN: &str = "the run that waited for it does not wait any more";

/// A child that a call has asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub run: RunId,
    /// Whether the parent waits for its end.
    pub awaited: bool,
    /// Whether it is durable: nothing is left to do but to wait for its end.
    pub there: bool,
}

impl Core {
    /// A child is to be started, unless its parent does not want it any more.
    pub(super) fn start_child(&mut self, parent: RunId, call: CallId, start: StartRun, out: &mut Vec<Output>) {
        let child = start.run;
        let wanted = self.runs.get(&parent).and_then(|live| live.child(call));
        if wanted.is_none_or(|wanted| wanted.run != child) {
            return;
        }
        match self.runs.get(&child) {
            None => self.start(start, out),
            Some(live) if live.durable > 0 => self.child_there(parent, child, out),
            // Its first write is under way; the parent hears of it then.
            Some(_) => {}
        }
    }

    /// A child is durable. A parent that does not wait for its end goes on.
    pub(super) fn child_there(&mut self, parent: RunId, child: RunId, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&parent) else { return };
        let Some(call) = live.call_of(child) else { return };
        match live.child_mut(call) {
            Some(known) if known.awaited => {
                known.there = true;
                self.settle(parent, out);
            }
            _ => self.call_done(parent, call, Ok(started(child)), out),
        }
    }

    /// A child could not be written for the first time.
    pub(super) fn child_failed(&mut self, parent: RunId, child: RunId, failure: &SaveFailure, out: &mut Vec<Output>) {
        let Some(call) = self.runs.get(&parent).and_then(|live| live.call_of(child)) else {
            return;
        };
        match failure {
            SaveFailure::Refused(why) => {
                let detail = format!("run {child} could not be started: {why}");
                let problem = Problem::new(ErrorType::Runtime, "Sub-workflow not started", detail);
                self.call_done(parent, call, Err(problem), out);
            }
            SaveFailure::Rejected(problem) => {
                let problem = Problem {
                    instance: None,
                    ..problem.clone()
                };
                self.call_done(parent, call, Err(problem), out);
            }
            // It may be there all the same: the store is asked again.
            _ => drop(self.again.insert((self.now.after(RETRY), parent, call))),
        }
    }

    /// A child that was waited for has ended, durably.
    fn child_ended(&mut self, parent: RunId, child: RunId, outcome: &Outcome, out: &mut Vec<Output>) {
        let Some(live) = self.runs.get_mut(&parent) else {
            // Loaded, it asks for the child again, and is told how it ended. What is being read of it may not say yet that the child has ended.
            if !self.stopping {
                if self.loading.contains_key(&parent) {
                    self.ended.insert((parent, child));
                }
                self.load(parent, out);
            }
            return;
        };
        match live.call_of(child) {
            Some(call) => self.call_done(parent, call, handed_over(child, outcome), out),
            None => self.unwanted(parent, child, out),
        }
    }

    /// The end of a child that its parent does not wait for (any more) is heard, or the parent would be due for ever.
    fn unwanted(&mut self, parent: RunId, child: RunId, out: &mut Vec<Output>) {
        if let Some(live) = self.runs.get_mut(&parent) {
            live.heard.push(child);
            self.settle(parent, out);
        }
    }

    /// The children that have ended while their parent was being read.
    pub(super) fn ended_meanwhile(&mut self, parent: RunId) -> Vec<RunId> {
        let last = (parent, RunId::from_bytes([0xff; 16]));
        let first = (parent, RunId::from_bytes([0; 16]));
        let ended: Vec<_> = self.ended.range(first..=last).copied().collect();
        for pair in &ended {
            self.ended.remove(pair);
        }
        ended.into_iter().map(|(_, child)| child).collect()
    }

    /// A parent was read while children of it ended. Those that it waits for are asked for again and say themselves how they ended.
    pub(super) fn children_ended(&mut self, parent: RunId, children: Vec<RunId>, out: &mut Vec<Output>) {
        for child in children {
            let live = self.runs.get(&parent);
            if live.is_some_and(|live| live.call_of(child).is_none() && !live.leaving && !live.heard.contains(&child)) {
                self.unwanted(parent, child, out);
            }
        }
    }

    pub(super) fn call_done(
        &mut self,
        run: RunId,
        call: CallId,
        outcome: Result<Arc<Value>, Problem>,
        out: &mut Vec<Output>,
    ) {
        let Some((path, digest)) = self.runs.get(&run).and_then(|live| live.call(call)) else {
            return;
        };
        let event = Event::CallCompleted {
            call,
            path,
            digest,
            outcome,
            made: None,
        };
        self.consume(run, event, out);
    }

    /// What a run has said to others is durable: they are told.
    pub(super) fn tell(
        &mut self,
        from: RunId,
        messages: Vec<Message>,
        outcome: Option<&Outcome>,
        out: &mut Vec<Output>,
    ) {
        for Message { run, word } in messages {
            match (word, outcome) {
                (Word::Ended, Some(outcome)) => self.child_ended(run, from, outcome, out),
                (Word::Ended, None) => {}
                (Word::Cancel, _) => self.forsake(run, out),
                (Word::Admitted, _) => self.admit(run, from, out),
                (Word::Replaced, _) => self.replace(run, out),
            }
        }
    }

    /// Cancels a child that nobody waits for any more, unless it has ended.
    pub(super) fn forsake(&mut self, child: RunId, out: &mut Vec<Output>) {
        // When the node stops, the next start finds what was said.
        if self.stopping {
            return;
        }
        if let Some(live) = self.runs.get_mut(&child) {
            live.forsaken = true;
        }
        self.command(child, Command::Cancel(Some(FORSAKEN.to_owned())), None, out);
    }

    /// Asks again for children that could not be started, when their time has come.
    pub(super) fn ask_again(&mut self, out: &mut Vec<Output>) {
        while let Some(&(at, run, call)) = self.again.first().filter(|next| next.0 <= self.now) {
            self.again.remove(&(at, run, call));
            let open = self.runs.get(&run).filter(|live| live.is_open(call));
            let effects = open.map(|live| live.machine.outstanding()).unwrap_or_default();
            let effect = effects.into_iter().find_map(|effect| match effect {
                Effect::Call(effect) if effect.call == call => Some(Box::new(effect)),
                _ => None,
            });
            out.extend(effect.map(|effect| Output::StartCall {
                run,
                effect,
                again: true,
            }));
        }
    }

    /// When a child is to be asked for again.
    pub(super) fn next_again(&self) -> Option<Timestamp> {
        self.again.first().map(|next| next.0)
    }
}

/// What the call gives that has started a child which nobody waits for.
#[must_use]
pub fn started(child: RunId) -> Arc<Value> {
    Arc::new(json!({ "run": child.to_string() }))
}

/// A child's end as its parent sees it: its output, or its error with the type kept.
///
/// # Errors
/// The child's error, or that it was cancelled.
pub fn handed_over(child: RunId, outcome: &Outcome) -> Result<Arc<Value>, Problem> {
    match (outcome.status, &outcome.error) {
        (Status::Completed, _) => Ok(outcome.output.clone().unwrap_or_default()),
        (Status::Faulted, Some(error)) => Err(Problem {
            // Where it happened is a place in another workflow; here it is the task that ran it.
            instance: None,
            ..error.clone()
        }),
        _ => {
            let detail = format!("run {child} was cancelled");
            Err(Problem::new(ErrorType::Runtime, "Sub-workflow cancelled", detail))
        }
    }
}
