//! The capability calls inside one call of an effectful function, kept in the store until that is over.
//!
//! What a capability call gave is written when the next one is about to leave, which waits for it, or after a moment ([`Ledger::keep`]); the
//! end of the outer call replaces it. So nothing leaves that depends on what could still be lost, a call that makes one capability call costs
//! no flush more than one that makes none, and what is lost in a crash is at most the last answer.
//!
//! Secrets: what a call that holds some is answered loses them before the guest sees it and before it is kept, so that the guest sees the same
//! whether it is told or told again.

use std::{collections::VecDeque, convert::Infallible, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use potok_dsl::{ErrorType, Millis, Problem, RunId, TaskPath, Timestamp};
use potok_journal::{Hash, InnerCall, InnerWrite, Store, StoreError, Write, hex};
use potok_machine::{CallId, Made};
use potok_secrets::Opened;
use potok_wasm::{Answered, Asked, Turn};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Notify};

use super::{confidential::scrub, now};

/// How many capability calls with effects one call of a function may make.
const MOST: u32 = 10_000;

/// How many records are read at once.
const PAGE: usize = 256;

/// How long an answer that nothing has followed yet may stay unwritten.
const LINGER: Duration = Duration::from_millis(20);

/// How long the store is left alone after it was not to be had, first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The call whose capability calls are kept.
pub(super) struct Outer {
    pub run: RunId,
    pub call: CallId,
    pub path: TaskPath,
    /// The canonical name of what is called.
    pub function: String,
    /// Whether it may have been made before.
    pub again: bool,
    /// The secrets that it holds.
    pub opened: Option<Arc<Opened>>,
}

/// See the module.
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    outer: Outer,
    state: Mutex<State>,
    /// An answer has come that is not written.
    answered: Notify,
}

struct State {
    /// What was read and not asked for again yet.
    known: VecDeque<InnerCall>,
    /// The number after which the store may have more.
    more_after: Option<u64>,
    /// What was asked for last, without its answer.
    asked: Option<InnerCall>,
    /// What was answered last, when that is not durable.
    unwritten: Option<InnerCall>,
    calls: u32,
    took: u64,
}

impl Ledger {
    pub fn new(store: Arc<dyn Store>, outer: Outer) -> Self {
        let state = State {
            known: VecDeque::new(),
            more_after: outer.again.then_some(0),
            asked: None,
            unwritten: None,
            calls: 0,
            took: 0,
        };
        Self {
            store,
            outer,
            state: Mutex::new(state),
            answered: Notify::new(),
        }
    }

    /// What was made, when it was more than one call.
    pub async fn made(&self) -> Option<Made> {
        let state = self.state.lock().await;
        (state.calls > 1).then_some(Made {
            calls: state.calls,
            took: Millis(state.took),
        })
    }

    /// Writes what is answered and followed by nothing; never ends.
    pub async fn keep(&self) -> Infallible {
        loop {
            self.answered.notified().await;
            tokio::time::sleep(LINGER).await;
            let mut state = self.state.lock().await;
            if let Err(error) = self.write(&mut state).await {
                // The next call tries again, and waits; the outer call's end needs it no more.
                tracing::warn!(run = %self.outer.run, path = %self.outer.path, %error, "a capability call's answer is not kept yet");
            }
        }
    }

    /// Makes durable what is not.
    async fn write(&self, state: &mut State) -> Result<(), StoreError> {
        if let Some(inner) = &state.unwritten {
            let write = InnerWrite {
                run: self.outer.run,
                call: self.outer.call.0,
                path: self.outer.path.to_string(),
                inner: inner.clone(),
            };
            self.store.commit(Write::Inner(Box::new(write))).await?;
            state.unwritten = None;
        }
        Ok(())
    }

    /// The next record, if there is one.
    async fn next<'s>(&self, state: &'s mut State) -> Result<Option<&'s InnerCall>, StoreError> {
        while state.known.is_empty()
            && let Some(after) = state.more_after
        {
            let (run, call) = (self.outer.run, self.outer.call.0);
            let page = self.store.inner_calls(run, call, after, PAGE).await?;
            state.more_after = page.last().map(|last| last.number);
            state.known.extend(page);
        }
        Ok(state.known.front())
    }

    /// Makes what is unwritten durable and finds the next record, however long the store is not to be had: the call's deadline ends that.
    async fn ready<'s>(&self, state: &'s mut State) -> Result<Option<&'s InnerCall>, Problem> {
        let mut pause = RETRY.0;
        loop {
            let done = match self.write(state).await {
                Ok(()) => self.next(state).await.map(|_| ()),
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return Ok(state.known.front()),
                Err(StoreError::Unavailable(why)) => {
                    tracing::debug!(run = %self.outer.run, path = %self.outer.path, %why, "capability calls cannot be kept; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
                Err(error) => return Err(self.unkept(&error)),
            }
        }
    }

    fn digest(&self, args: &Value) -> Hash {
        match &self.outer.opened {
            None => digest(args),
            Some(opened) => {
                let mut args = args.clone();
                opened.scrubber().value(&mut args);
                digest(&args)
            }
        }
    }
}

fn digest(value: &Value) -> Hash {
    let mut hasher = Hasher(Sha256::new());
    // A value always has a JSON form, and a digest takes all of it.
    let _ = serde_json::to_writer(&mut hasher, value);
    hasher.0.finalize().into()
}

/// A digest that is written to.
struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl potok_wasm::Ledger for Ledger {
    async fn ask(&self, asked: Asked<'_>) -> Result<Turn, Problem> {
        let digest = self.digest(asked.args);
        let asked = InnerCall {
            number: u64::from(asked.number),
            function: format!("{}.{}", asked.interface, asked.function),
            digest,
            began_at: 0,
            ended_at: 0,
            outcome: Ok(Value::Null),
        };
        let mut state = self.state.lock().await;
        if let Some(record) = self.ready(&mut state).await? {
            if (record.number, &record.function, record.digest) != (asked.number, &asked.function, asked.digest) {
                return Err(self.strayed(record, Some(&asked)));
            }
            let known = state.known.pop_front().unwrap_or(asked);
            state.count(&known);
            return Ok(Turn::Known(Answered {
                at: Timestamp(known.ended_at),
                outcome: known.outcome.map_err(restored),
            }));
        }
        if state.calls >= MOST {
            return Err(self.too_many());
        }
        let now = now();
        state.asked = Some(InnerCall {
            began_at: now.0,
            ..asked
        });
        Ok(Turn::Make(now))
    }

    async fn answer(&self, outcome: Result<Value, Problem>) -> Answered {
        let outcome = match &self.outer.opened {
            Some(opened) => scrub(outcome, opened.scrubber()),
            None => outcome,
        };
        let mut state = self.state.lock().await;
        let mut at = now();
        if let Some(mut answered) = state.asked.take() {
            // A clock that was set back.
            at = at.max(Timestamp(answered.began_at));
            answered.ended_at = at.0;
            answered.outcome = match &outcome {
                Ok(value) => Ok(value.clone()),
                Err(problem) => Err(serde_json::to_value(problem).unwrap_or_default()),
            };
            state.count(&answered);
            state.unwritten = Some(answered);
            self.answered.notify_one();
        }
        Answered { outcome, at }
    }

    async fn returned(&self) -> Result<(), Problem> {
        let mut state = self.state.lock().await;
        if state.known.is_empty() && state.more_after.is_none() {
            return Ok(());
        }
        match self.ready(&mut state).await? {
            Some(record) => Err(self.strayed(record, None)),
            None => Ok(()),
        }
    }
}

impl State {
    fn count(&mut self, inner: &InnerCall) {
        let took = Timestamp(inner.ended_at).since(Timestamp(inner.began_at));
        self.calls = self.calls.saturating_add(1);
        self.took = self.took.saturating_add(took.0);
    }
}

/// A problem as it was kept.
fn restored(problem: Value) -> Problem {
    serde_json::from_value(problem).unwrap_or_else(|error| {
        let detail = format!("what went wrong with a capability call was kept in a form that cannot be read ({error})");
        Problem::new(ErrorType::Runtime, "Record cannot be read", detail)
    })
}

/// What ends the outer call.
impl Ledger {
    /// The guest does something else than before.
    fn strayed(&self, record: &InnerCall, asked: Option<&InnerCall>) -> Problem {
        let function = &self.outer.function;
        let before = format!("its capability call {} was {}", record.number, record.function);
        let now = match asked {
            None => "it returned without that call".to_owned(),
            Some(asked) if asked.number != record.number => {
                format!("its next one was call {}, {}", asked.number, asked.function)
            }
            Some(asked) if asked.function != record.function => format!("it was {}", asked.function),
            Some(_) => "it had other arguments".to_owned(),
        };
        let detail = format!(
            "{function} was made again after a crash and took another path: before, {before}; now {now}. A plugin that is made again is given the \
             answers that it had, and has to ask for the same things in the same order. Its arguments, its clock and its random numbers are the \
             same; look for what else it goes by, such as a blob that was not there before. A retry of the task begins the call anew"
        );
        let told = |inner: &InnerCall| json!({ "number": inner.number, "function": inner.function, "arguments": hex(&inner.digest) });
        let data = json!({ "function": function, "recorded": told(record), "asked": asked.map(told) });
        Problem::new(ErrorType::Runtime, "Plugin took another path", detail).with_data(data)
    }

    fn too_many(&self) -> Problem {
        let detail = format!(
            "{} made {MOST} capability calls and wanted another; that is the most of one step. Let several steps share the work",
            self.outer.function
        );
        Problem::new(ErrorType::Runtime, "Too many capability calls", detail)
    }

    fn unkept(&self, error: &StoreError) -> Problem {
        let detail = format!("a capability call of {} cannot be kept: {error}", self.outer.function);
        Problem::new(ErrorType::Runtime, "Capability call not kept", detail)
    }
}

#[cfg(test)]
mod tests;
