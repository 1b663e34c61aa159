//! Runs that leave, and what leaves with them.

use std::sync::Arc;

use potok_journal::{
    InnerCall, InnerWrite, NewEvent, RunWrite, SqlStatement, SqlValue, Store, StoreError, Trim, Write, Written, hash,
    hex,
};
use serde_json::json;

use crate::{commit_run, opening, row, run_id, timeline_row, update};

/// Opens a run with an entry that has a large value, and ends it.
async fn ended(store: &Arc<dyn Store>, number: u128, text: &str, at: i64) {
    let mut write = RunWrite::new(run_id(number), 0);
    write.entries = vec![json!({ "input": text }).into()];
    write.row = Some(row(number).into());
    write.timeline = vec![timeline_row(0, json!({ "output": text }))];
    commit_run(store, write).await.unwrap();
    end(store, number, at).await;
}

async fn end(store: &Arc<dyn Store>, number: u128, at: i64) {
    let mut write = RunWrite::new(run_id(number), 1);
    let mut change = update("completed", at);
    change.ended_at = Some(at);
    write.row = Some(change.into());
    write.finished = true;
    commit_run(store, write).await.unwrap();
}

async fn retire(store: &Arc<dyn Store>, number: u128) -> Result<Written, StoreError> {
    store.commit(Write::Retire { run: run_id(number) }).await
}

async fn sweep(store: &Arc<dyn Store>, most: usize) -> u64 {
    let mut times = 0;
    while store.commit(Write::Sweep { most }).await.unwrap() != Written::Swept(0) {
        times += 1;
    }
    times
}

fn stored_as(text: &str) -> [u8; 32] {
    hash(serde_json::to_string(text).unwrap().as_bytes())
}

pub(crate) async fn a_run_leaves_with_what_it_alone_mentions(store: Arc<dyn Store>) {
    let (shared, own) = ("shared ".repeat(20_000), "own ".repeat(20_000));
    ended(&store, 1, &shared, 10).await;
    ended(&store, 2, &shared, 20).await;
    ended(&store, 3, &own, 30).await;
    let has = async |text: &str| store.value(&stored_as(text)).await.unwrap().is_some();
    assert!(has(&shared).await && has(&own).await);
    for number in [1, 3] {
        retire(&store, number).await.unwrap();
        assert_eq!(
            store.run_row(run_id(number)).await.unwrap(),
            None,
            "nobody sees it any more"
        );
    }
    let listed = store.list_runs(&Default::default(), None, 10).await.unwrap().runs;
    assert_eq!(listed.iter().map(|run| run.id).collect::<Vec<_>>(), [run_id(2)]);
    sweep(&store, 100).await;
    assert!(has(&shared).await && !has(&own).await);
    assert_eq!(store.journal(run_id(1)).await.unwrap(), Vec::<serde_json::Value>::new());
    assert_eq!(store.journal(run_id(2)).await.unwrap()[0]["input"], shared);
    assert_eq!(
        store.timeline(run_id(2), None, 5).await.unwrap()[0].entry["output"],
        shared
    );
    retire(&store, 2).await.unwrap();
    sweep(&store, 100).await;
    assert!(!has(&shared).await);
}

pub(crate) async fn who_has_not_ended_stays_with_what_it_needs(store: Arc<dyn Store>) {
    let text = "kept ".repeat(20_000);
    store.commit(opening(row(1))).await.unwrap();
    let mut child = row(2);
    child.parent = Some(run_id(1));
    store.commit(opening(child)).await.unwrap();
    end(&store, 2, 10).await;
    ended(&store, 3, &text, 20).await;
    // Only a snapshot of the first run has the value of the third.
    let mut write = RunWrite::new(run_id(1), 1);
    write.snapshot = Some(json!({ "context": text }));
    commit_run(&store, write).await.unwrap();

    assert_eq!(store.retirable(1_000, 10).await.unwrap(), [run_id(3)]);
    for number in [1, 2, 9] {
        assert!(
            matches!(retire(&store, number).await, Err(StoreError::Refused(_))),
            "{number}"
        );
    }
    retire(&store, 3).await.unwrap();
    sweep(&store, 100).await;
    let loaded = store.load_run(run_id(1)).await.unwrap().unwrap();
    assert_eq!(loaded.snapshot.unwrap().1["context"], text);
    end(&store, 1, 30).await;
    assert_eq!(store.retirable(1_000, 10).await.unwrap(), [run_id(2), run_id(1)]);
}

pub(crate) async fn the_oldest_leave_in_small_steps(store: Arc<dyn Store>) {
    for number in 1..=5 {
        ended(&store, number, "small", number as i64 * 10).await;
    }
    let mut write = RunWrite::new(run_id(6), 0);
    write.row = Some(row(6).into());
    write.entries = vec![json!({ "entry": 1 }).into()];
    commit_run(&store, write).await.unwrap();
    for entry in 2..=40 {
        let mut write = crate::appending(run_id(6), entry, entry);
        write.timeline = vec![timeline_row(entry, json!({ "entry": entry }))];
        commit_run(&store, write).await.unwrap();
    }
    let mut write = RunWrite::new(run_id(6), 40);
    let mut change = update("faulted", 5);
    change.ended_at = Some(5);
    (write.row, write.finished) = (Some(change.into()), true);
    commit_run(&store, write).await.unwrap();

    assert_eq!(store.oldest_of_newest(6).await.unwrap(), Some(5));
    assert_eq!(store.oldest_of_newest(7).await.unwrap(), None);
    let before = store.oldest_of_newest(3).await.unwrap().unwrap();
    assert_eq!(before, 30);
    assert_eq!(
        store.retirable(before, 10).await.unwrap(),
        [run_id(6), run_id(1), run_id(2)]
    );
    assert_eq!(store.retirable(before, 1).await.unwrap(), [run_id(6)]);
    retire(&store, 6).await.unwrap();
    assert!(sweep(&store, 10).await >= 8, "eighty rows go in steps of ten");
    assert_eq!(store.journal(run_id(6)).await.unwrap(), Vec::<serde_json::Value>::new());

    // A key is free again as soon as its run is on its way out.
    let keyed = |number| {
        let mut row = row(number);
        row.idempotency_key = Some("key".to_owned());
        opening(row)
    };
    store.commit(keyed(7)).await.unwrap();
    end(&store, 7, 40).await;
    assert_eq!(store.commit(keyed(8)).await, Err(StoreError::Duplicate(run_id(7))));
    retire(&store, 7).await.unwrap();
    store.commit(keyed(8)).await.unwrap();
}

pub(crate) async fn blobs_that_nothing_mentions_go_after_a_while(store: Arc<dyn Store>) {
    let put = async |text: &str, created_at| {
        let write = Write::Blob {
            bytes: text.as_bytes().into(),
            name: None,
            media_type: None,
            created_at,
        };
        store.commit(write).await.unwrap();
        format!("blob:sha256:{}", hex(&hash(text.as_bytes())))
    };
    let in_run = put("in a run", 1).await;
    let in_table = put("in a table", 1).await;
    let in_text = put("in a definition", 1).await;
    let in_lock = put("in what was fetched for a definition", 1).await;
    let in_answer = put("in an answer inside a call", 1).await;
    put("nowhere", 1).await;
    put("again", 1).await;
    put("again", 100).await;
    ended(&store, 1, &format!("read {in_run}, please"), 10).await;
    store
        .commit(Write::Tables(vec![SqlStatement {
            sql: "SELECT $1",
            params: vec![SqlValue::Text(in_table)],
        }]))
        .await
        .unwrap();
    let mut definition = crate::definition("d", "1.0.0", &format!("input: {in_text}"), false);
    definition.lock = json!({ "documents": { "./f.yaml": { "text": format!("set: {in_lock}") } } });
    store.commit(opening(row(2))).await.unwrap();
    let inner = InnerCall {
        number: 1,
        function: "potok:ai/chat.complete".to_owned(),
        digest: hash(b"what was asked"),
        began_at: 1,
        ended_at: 2,
        outcome: Ok(json!(in_answer)),
    };
    let write = InnerWrite {
        run: run_id(2),
        call: 1,
        path: "/do/0/ask".to_owned(),
        inner,
    };
    store.commit(Write::Inner(Box::new(write))).await.unwrap();
    store.commit(Write::Definition(Box::new(definition))).await.unwrap();

    let nowhere = hash(b"nowhere");
    assert_eq!(store.unmentioned_blobs(50, 10).await.unwrap(), [nowhere]);
    let everything = [
        "in a run",
        "in a table",
        "in a definition",
        "in what was fetched for a definition",
        "in an answer inside a call",
        "nowhere",
        "again",
    ]
    .map(|text| hash(text.as_bytes()));
    let write = Write::SweepBlobs {
        hashes: everything.to_vec(),
        before: 50,
    };
    assert_eq!(store.commit(write).await, Ok(Written::Swept(1)));
    assert_eq!(
        (
            store.blob(&nowhere).await.unwrap(),
            store.value(&nowhere).await.unwrap()
        ),
        (None, None)
    );
    assert!(store.value(&hash(b"in a run")).await.unwrap().is_some());
    retire(&store, 1).await.unwrap();
    sweep(&store, 100).await;
    assert!(
        store.value(&hash(b"in a run")).await.unwrap().is_some(),
        "it is a blob still"
    );
    assert_eq!(store.unmentioned_blobs(50, 10).await.unwrap(), [hash(b"in a run")]);
    end(&store, 2, 10).await;
    retire(&store, 2).await.unwrap();
    sweep(&store, 100).await;
    assert_eq!(
        store.unmentioned_blobs(50, 10).await.unwrap().len(),
        2,
        "the run has left, and its answer with it"
    );
    store
        .commit(Write::RemoveDefinition { hash: "d".to_owned() })
        .await
        .unwrap();
    assert_eq!(store.unmentioned_blobs(50, 10).await.unwrap().len(), 4);
}

pub(crate) async fn values_of_events_leave_with_them(store: Arc<dyn Store>) {
    let text = "event ".repeat(20_000);
    let event = |id: &str| NewEvent {
        source: "/test".to_owned(),
        id: id.to_owned(),
        kind: "large".to_owned(),
        quiet: false,
        keys: Vec::new(),
        event: json!({ "id": id, "data": text }),
        received_at: 1_000,
    };
    for id in ["a", "b"] {
        store.commit(Write::Events(vec![event(id)])).await.unwrap();
    }
    let trim = |keep| {
        Write::TrimEvents(Trim {
            received_before: 0,
            keep,
            not_from: u64::MAX,
            most: 10,
        })
    };
    store.commit(trim(1)).await.unwrap();
    assert!(store.value(&stored_as(&text)).await.unwrap().is_some());
    store.commit(trim(0)).await.unwrap();
    assert_eq!(store.value(&stored_as(&text)).await.unwrap(), None);
}
