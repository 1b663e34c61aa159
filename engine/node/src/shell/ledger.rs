//! The capability calls inside one call of an effectful function, kept in the store until that is over.
//!
//! What a capability call gave is written when the next one is about to leave, which waits for it, or after a moment ([`Ledger::keep`]); the end of the
//! outer call replaces it. So nothing leaves that depends on what could still be lost, a call that makes one capability call costs no flush
//! more than one that makes none, and what is lost in a crash is at most the last answer.
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
                    tracing::warn!(run = %self.outer.run, path = %self.outer.path, %why, "capability calls cannot be kept; trying again");
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use potok_expr::SecretPath;
    use potok_journal::{RunRow, RunWrite, SqliteStore};
    use potok_secrets::{Environment, Vault};
    use potok_wasm::Ledger as _;

    use super::*;

    const RUN: RunId = RunId(uuid::Uuid::from_bytes([7; 16]));

    /// A store with an unfinished run.
    async fn store() -> Arc<dyn Store> {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let row = RunRow {
            id: RUN,
            definition: "d".to_owned(),
            namespace: "test".to_owned(),
            name: "w".to_owned(),
            version: "1.0.0".to_owned(),
            status: "running".to_owned(),
            input: json!({}),
            output: None,
            error: None,
            parent: None,
            trigger: None,
            idempotency_key: None,
            wake_at: None,
            created_at: 1,
            started_at: None,
            updated_at: 1,
            ended_at: None,
            labels: json!({}),
            recoveries: 0,
        };
        let mut write = RunWrite::new(RUN, 0);
        write.entries = vec![json!({})];
        write.row = Some(row.into());
        store.commit(Write::Run(Box::new(write))).await.unwrap();
        store
    }

    fn ledger(store: &Arc<dyn Store>, again: bool, opened: Option<Arc<Opened>>) -> Ledger {
        let outer = Outer {
            run: RUN,
            call: CallId(3),
            path: TaskPath("/do/0/ask".into()),
            function: "demo.ask:1.0.0".to_owned(),
            again,
            opened,
        };
        Ledger::new(Arc::clone(store), outer)
    }

    async fn ask(ledger: &Ledger, number: u32, function: &str, args: Value) -> Result<Turn, Problem> {
        let asked = Asked {
            number,
            interface: "a:b/c",
            function,
            args: &args,
        };
        ledger.ask(asked).await
    }

    /// Asks for something that is really made.
    async fn made(ledger: &Ledger, number: u32, args: Value, outcome: Result<Value, Problem>) -> Answered {
        let turn = ask(ledger, number, "ask", args).await.unwrap();
        assert!(matches!(turn, Turn::Make(_)), "{turn:?}");
        ledger.answer(outcome).await
    }

    async fn kept(store: &Arc<dyn Store>) -> Vec<u64> {
        let calls = store.inner_calls(RUN, 3, 0, 1_000).await.unwrap();
        calls.iter().map(|call| call.number).collect()
    }

    #[tokio::test]
    async fn an_answer_is_durable_before_the_next_call_leaves_and_not_sooner() {
        let store = store().await;
        let first = ledger(&store, false, None);
        let commits = || store.metrics().commits;
        let before = commits();
        let mut answers = vec![made(&first, 1, json!(1), Ok(json!("one"))).await];
        assert_eq!(commits(), before, "one call costs no flush");
        let problem = Problem::new(ErrorType::Communication, "Gone", "it is gone").with_retry_after(7);
        answers.push(made(&first, 2, json!(2), Err(problem)).await);
        assert_eq!((kept(&store).await, commits()), (vec![1], before + 1));
        answers.push(made(&first, 5, json!(5), Ok(json!(null))).await);
        assert_eq!((kept(&store).await, commits()), (vec![1, 2], before + 2));
        assert_eq!(first.made().await.unwrap().calls, 3);
        first.returned().await.unwrap();

        // A crash: the last answer is lost, what was before comes back as it was.
        let second = ledger(&store, true, None);
        for (number, answer) in [(1, &answers[0]), (2, &answers[1])] {
            let turn = ask(&second, number, "ask", json!(number)).await.unwrap();
            assert_eq!(turn, Turn::Known(answer.clone()));
        }
        made(&second, 5, json!(5), Ok(json!("again"))).await;
        made(&second, 6, json!(6), Ok(json!(6))).await;
        assert_eq!(kept(&store).await, [1, 2, 5]);
        second.returned().await.unwrap();
        assert_eq!(second.made().await.unwrap().calls, 4);
    }

    #[tokio::test]
    async fn an_answer_that_nothing_follows_is_written_after_a_moment() {
        let store = store().await;
        let ledger = ledger(&store, false, None);
        made(&ledger, 1, json!(1), Ok(json!(1))).await;
        let written = async {
            while kept(&store).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = written => {}
            never = ledger.keep() => match never {},
        }
        let commits = store.metrics().commits;
        made(&ledger, 2, json!(2), Ok(json!(2))).await;
        assert_eq!(store.metrics().commits, commits, "it is written once");
    }

    #[tokio::test]
    async fn records_are_read_in_pages() {
        let store = store().await;
        let first = ledger(&store, false, None);
        let many = 2 * u32::try_from(PAGE).unwrap() + 1;
        for number in 1..=many {
            made(&first, number, json!(number), Ok(json!(number))).await;
        }
        let second = ledger(&store, true, None);
        for number in 1..many {
            let turn = ask(&second, number, "ask", json!(number)).await.unwrap();
            assert!(matches!(turn, Turn::Known(Answered { outcome: Ok(n), .. }) if n == json!(number)));
            assert!(second.state.lock().await.known.len() < PAGE);
        }
        made(&second, many, json!(many), Ok(json!(0))).await;
    }

    #[tokio::test]
    async fn another_path_is_named() {
        let store = store().await;
        let first = ledger(&store, false, None);
        for number in [1, 2] {
            made(&first, number, json!({ "n": number }), Ok(json!(1))).await;
        }
        let detail = |problem: Problem| {
            assert!(problem.is(ErrorType::Runtime));
            assert_eq!(problem.title.as_deref(), Some("Plugin took another path"));
            let detail = problem.detail.unwrap_or_default();
            detail.split(". A plugin").next().unwrap_or_default().to_owned()
        };
        let again = || ledger(&store, true, None);
        let said = [
            detail(ask(&again(), 1, "tell", json!({ "n": 1 })).await.unwrap_err()),
            detail(ask(&again(), 1, "ask", json!({ "n": 7 })).await.unwrap_err()),
            detail(ask(&again(), 2, "ask", json!({ "n": 1 })).await.unwrap_err()),
            detail(again().returned().await.unwrap_err()),
        ];
        let begun = "demo.ask:1.0.0 was made again after a crash and took another path: before, its capability call 1 was a:b/c.ask; now ";
        assert_eq!(
            said.map(|text| text.strip_prefix(begun).unwrap_or(&text).to_owned()),
            [
                "it was a:b/c.tell",
                "it had other arguments",
                "its next one was call 2, a:b/c.ask",
                "it returned without that call",
            ]
        );
    }

    #[tokio::test]
    async fn there_is_a_most_of_calls() {
        let store = store().await;
        let ledger = ledger(&store, false, None);
        ledger.state.lock().await.calls = MOST;
        let problem = ask(&ledger, MOST + 1, "ask", json!(1)).await.unwrap_err();
        assert_eq!(problem.title.as_deref(), Some("Too many capability calls"));
        assert!(problem.detail.unwrap_or_default().contains("10000"));
    }

    #[tokio::test]
    async fn a_run_that_has_ended_lets_nothing_leave() {
        let store = store().await;
        let ledger = ledger(&store, false, None);
        made(&ledger, 1, json!(1), Ok(json!(1))).await;
        let mut end = RunWrite::new(RUN, 1);
        end.finished = true;
        store.commit(Write::Run(Box::new(end))).await.unwrap();
        let problem = ask(&ledger, 2, "ask", json!(2)).await.unwrap_err();
        assert_eq!(problem.title.as_deref(), Some("Capability call not kept"));
        assert!(kept(&store).await.is_empty());
    }

    #[tokio::test]
    async fn secrets_are_neither_kept_nor_told_again() {
        let store = store().await;
        let path: SecretPath = "token".parse().unwrap();
        let vault = Vault::new(vec![Arc::new(Environment::new([(
            "POTOK_SECRETS_TOKEN".to_owned(),
            "canary-canary".to_owned(),
        )]))]);
        let known: BTreeSet<SecretPath> = [path].into();
        let opened = Arc::new(vault.open(&known, &known).await.unwrap());
        let first = ledger(&store, false, Some(Arc::clone(&opened)));
        let secret = json!({ "text": "the canary-canary sings" });
        let answered = made(&first, 1, secret.clone(), Ok(secret.clone())).await;
        made(&first, 2, json!(2), Ok(json!(2))).await;
        let records = format!("{:?}", store.inner_calls(RUN, 3, 0, 9).await.unwrap());
        assert!(records.contains("sings") && !records.contains("canary"), "{records}");
        assert_ne!(answered.outcome, Ok(secret.clone()));
        let second = ledger(&store, true, Some(opened));
        assert_eq!(ask(&second, 1, "ask", secret).await.unwrap(), Turn::Known(answered));
    }
}
