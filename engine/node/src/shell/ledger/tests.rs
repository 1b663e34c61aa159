//! A ledger over a real store: what is told again, what is refused, what is kept when.
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
        origin: None,
        origin_path: None,
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
    write.entries = vec![json!({}).into()];
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
        while ledger.state.lock().await.unwritten.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = written => {}
        never = ledger.keep() => match never {},
    }
    assert_eq!(kept(&store).await, [1]);
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
