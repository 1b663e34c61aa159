//! Calls inside calls: kept until the outer one is over, whole, in order, and never for longer than their run.

use std::sync::Arc;

use potok_journal::{InnerCall, InnerWrite, RowChange, Store, StoreError, Write, hash};
use serde_json::{Value, json};

use crate::{appending, commit_run, opening, row, run_id, update};

fn inner(number: u64, outcome: Result<Value, Value>) -> InnerCall {
    InnerCall {
        number,
        function: "potok:ai/chat.complete".to_owned(),
        digest: hash(&number.to_be_bytes()),
        began_at: 100,
        ended_at: 130,
        outcome,
    }
}

async fn keep(store: &Arc<dyn Store>, run: u128, call: u64, inner: InnerCall) -> Result<(), StoreError> {
    let write = InnerWrite {
        run: run_id(run),
        call,
        path: "/do/0/ask".to_owned(),
        inner,
    };
    store.commit(Write::Inner(Box::new(write))).await.map(|_| ())
}

async fn kept(store: &Arc<dyn Store>, run: u128, call: u64) -> Vec<InnerCall> {
    store.inner_calls(run_id(run), call, 0, 1_000).await.unwrap()
}

pub async fn inner_calls_are_read_as_they_were_kept(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    let large = json!({ "pages": ["x".repeat(100_000), "y".repeat(100_000)], "$potok.value": "no reference" });
    let problem = json!({ "type": "urn:x", "status": 500 });
    let written = [
        inner(1, Ok(json!(null))),
        inner(2, Ok(large)),
        inner(5, Err(problem.clone())),
    ];
    for call in &written {
        keep(&store, 1, 3, call.clone()).await.unwrap();
    }
    keep(&store, 1, 30, inner(1, Ok(json!("of another call"))))
        .await
        .unwrap();
    assert_eq!(kept(&store, 1, 3).await, written);
    let page = store.inner_calls(run_id(1), 3, 1, 1).await.unwrap();
    assert_eq!(page, written[1..2]);
    assert_eq!(store.inner_calls(run_id(1), 3, 5, 9).await.unwrap(), []);

    // The newest, in order; large answers are not read.
    let newest = store.open_inner_calls(run_id(1), 2).await.unwrap();
    let shown: Vec<_> = newest.iter().map(|row| (row.call, row.number, &row.error)).collect();
    assert_eq!(shown, [(3, 5, &Some(problem)), (30, 1, &None)]);
    assert_eq!((newest[0].began_at, newest[0].ended_at), (100, 130));
    assert_eq!(newest[0].path, "/do/0/ask");

    // Made again before anything followed: what the guest goes on with is what counts.
    keep(&store, 1, 30, inner(1, Ok(json!("again")))).await.unwrap();
    assert_eq!(kept(&store, 1, 30).await, [inner(1, Ok(json!("again")))]);
}

pub async fn inner_calls_go_with_the_call_that_made_them(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    store.commit(opening(row(2))).await.unwrap();
    let large = || Ok(json!("x".repeat(100_000)));
    for (run, call) in [(1, 3), (1, 4), (2, 3)] {
        keep(&store, run, call, inner(1, large())).await.unwrap();
    }
    let mut refused = appending(run_id(1), 3, 3);
    refused.over = vec![3];
    commit_run(&store, refused).await.unwrap_err();
    assert_eq!(
        kept(&store, 1, 3).await.len(),
        1,
        "a write that is refused takes nothing with it"
    );
    let mut over = appending(run_id(1), 2, 2);
    over.over = vec![3, 7];
    commit_run(&store, over).await.unwrap();
    assert_eq!(kept(&store, 1, 3).await, []);
    assert_eq!(kept(&store, 1, 4).await, [inner(1, large())]);
    assert_eq!(kept(&store, 2, 3).await, [inner(1, large())]);

    // The end of a run leaves nothing, and what comes too late does not come.
    let mut end = appending(run_id(1), 3, 3);
    end.row = Some(RowChange::from(update("cancelled", 9_000)));
    end.finished = true;
    commit_run(&store, end).await.unwrap();
    assert_eq!(store.open_inner_calls(run_id(1), 9).await.unwrap(), []);
    let late = keep(&store, 1, 4, inner(2, large())).await.unwrap_err();
    assert!(matches!(late, StoreError::Missing(_)), "{late}");
    let nobody = keep(&store, 9, 1, inner(1, large())).await.unwrap_err();
    assert!(matches!(nobody, StoreError::Missing(_)), "{nobody}");
    assert_eq!(kept(&store, 2, 3).await.len(), 1);
}

pub async fn an_inner_call_is_progress(store: Arc<dyn Store>) {
    let mut stuck = row(1);
    stuck.recoveries = 2;
    store.commit(opening(stuck)).await.unwrap();
    keep(&store, 1, 1, inner(1, Ok(json!(1)))).await.unwrap();
    let row = store.run_row(run_id(1)).await.unwrap().unwrap();
    assert_eq!(row.recoveries, 0);
}
