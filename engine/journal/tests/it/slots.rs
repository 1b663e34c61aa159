//! Places of runs in their groups: taken and given up in the order of the writes.

use std::sync::Arc;

use potok_dsl::RunId;
use potok_journal::{
    ADMITTED, Conflict, MOST_WAITING, Message, REPLACED, RowChange, RunWrite, Slot, Store, StoreError, Write, Written,
};
use serde_json::json;

use crate::{row, run_id, update};

fn slot(limit: u32, conflict: Conflict) -> Option<Slot> {
    Some(Slot {
        group: "a".to_owned(),
        limit,
        conflict,
    })
}

/// A run begins; what the store says because of it.
async fn begin(store: &Arc<dyn Store>, number: u128, slot: Option<Slot>) -> Result<Vec<Message>, StoreError> {
    let mut write = RunWrite::new(run_id(number), 0);
    write.entries = vec![json!({ "entry": "start" }).into()];
    write.row = Some(RowChange::from(row(number)));
    write.slot = slot;
    said(store, write).await
}

/// A run ends; what the store says because of it.
async fn end(store: &Arc<dyn Store>, number: u128) -> Vec<Message> {
    let mut write = RunWrite::new(run_id(number), 1);
    write.entries = vec![json!({ "entry": "end" }).into()];
    write.row = Some(RowChange::from(update("completed", 9_000)));
    write.finished = true;
    said(store, write).await.unwrap()
}

async fn said(store: &Arc<dyn Store>, write: RunWrite) -> Result<Vec<Message>, StoreError> {
    match store.commit(Write::Run(Box::new(write))).await? {
        Written::Run { said, .. } => Ok(said),
        other => panic!("{other:?}"),
    }
}

fn say(number: u128, word: &str) -> Message {
    Message {
        run: run_id(number),
        word: word.to_owned(),
    }
}

async fn told(store: &Arc<dyn Store>, number: u128) -> Vec<(RunId, String)> {
    let loaded = store.load_run(run_id(number)).await.unwrap().unwrap();
    loaded
        .messages
        .into_iter()
        .map(|message| (message.run, message.word))
        .collect()
}

async fn due(store: &Arc<dyn Store>) -> Vec<RunId> {
    let due = store.due(0, None, 100).await.unwrap();
    due.into_iter().map(|(_, run)| run).collect()
}

pub async fn the_oldest_gets_the_place_that_is_free(store: Arc<dyn Store>) {
    let queue = || slot(2, Conflict::Queue);
    assert_eq!(begin(&store, 1, queue()).await.unwrap(), [say(1, ADMITTED)]);
    assert_eq!(begin(&store, 2, queue()).await.unwrap(), [say(2, ADMITTED)]);
    for number in [3, 4, 5] {
        assert_eq!(begin(&store, number, queue()).await.unwrap(), []);
    }
    // Known after a crash, too: who has a place is due.
    assert_eq!(told(&store, 1).await, [(run_id(1), ADMITTED.to_owned())]);
    assert_eq!(due(&store).await, [run_id(1), run_id(2)]);
    assert_eq!(end(&store, 2).await, [say(3, ADMITTED)]);
    assert_eq!(told(&store, 3).await, [(run_id(2), ADMITTED.to_owned())]);
    assert_eq!(due(&store).await, [run_id(1), run_id(3)]);
    assert_eq!(end(&store, 4).await, [], "who waits and ends leaves no place free");
    assert_eq!(end(&store, 1).await, [say(5, ADMITTED)]);
    // What it has heard is forgotten with the entry that says so.
    let mut write = RunWrite::new(run_id(5), 1);
    write.entries = vec![json!({ "entry": "admitted" }).into()];
    write.heard = vec![run_id(1)];
    assert_eq!(said(&store, write).await.unwrap(), []);
    assert_eq!(told(&store, 5).await, []);
    // Another group and no group are none of its business.
    let mut other = queue();
    other.as_mut().unwrap().group = "b".to_owned();
    assert_eq!(begin(&store, 6, other).await.unwrap(), [say(6, ADMITTED)]);
    assert_eq!(begin(&store, 7, None).await.unwrap(), []);
}

pub async fn a_run_without_a_place_can_be_refused(store: Arc<dyn Store>) {
    begin(&store, 1, slot(1, Conflict::Reject)).await.unwrap();
    let refused = begin(&store, 2, slot(1, Conflict::Reject)).await;
    assert_eq!(refused, Err(StoreError::Occupied { holder: run_id(1) }));
    assert_eq!(store.load_run(run_id(2)).await.unwrap(), None, "nothing of it stays");
    assert_eq!(end(&store, 1).await, []);
    assert_eq!(
        begin(&store, 2, slot(1, Conflict::Reject)).await.unwrap(),
        [say(2, ADMITTED)]
    );
    for number in 3..3 + u128::from(MOST_WAITING) {
        begin(&store, number, slot(1, Conflict::Queue)).await.unwrap();
    }
    let crowded = begin(&store, 9_999, slot(1, Conflict::Queue)).await;
    assert_eq!(crowded, Err(StoreError::Crowded { waiting: MOST_WAITING }));
}

pub async fn the_newest_takes_the_place_of_the_oldest(store: Arc<dyn Store>) {
    let replace = || slot(1, Conflict::Replace);
    assert_eq!(begin(&store, 1, replace()).await.unwrap(), [say(1, ADMITTED)]);
    assert_eq!(begin(&store, 2, replace()).await.unwrap(), [say(1, REPLACED)]);
    assert_eq!(begin(&store, 3, replace()).await.unwrap(), [say(2, REPLACED)]);
    assert_eq!(told(&store, 1).await.len(), 2);
    // The second never had its place, and does not get it now.
    assert_eq!(end(&store, 1).await, [say(3, ADMITTED)]);
    assert_eq!(end(&store, 2).await, []);
    assert_eq!(end(&store, 3).await, []);
    assert_eq!(begin(&store, 4, replace()).await.unwrap(), [say(4, ADMITTED)]);
}
