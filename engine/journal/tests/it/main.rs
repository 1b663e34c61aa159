//! The store from outside. What every store must hold (`runs`, `events`, `catalog`, `tables`) runs on every store there is (`contract`); what a file of
//! SQLite must hold besides is in `sqlite`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod catalog;
mod contract;
mod events;
mod inner;
mod rates;
mod retire;
mod runs;
mod slots;
mod sqlite;
mod tables;

use std::sync::Arc;

use potok_dsl::{RunId, WorkflowId};
use potok_journal::{
    DefinitionRow, Document, RunRow, RunUpdate, RunWrite, Store, StoreError, TimelineRow, Write, Written,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The id of the run of a number: they sort as their numbers do.
fn run_id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

/// A row as it begins, accepted at the time of its number.
fn row(number: u128) -> RunRow {
    RunRow {
        id: run_id(number),
        definition: "d".to_owned(),
        namespace: "default".to_owned(),
        name: "book".to_owned(),
        version: "1.0.0".to_owned(),
        status: "running".to_owned(),
        input: json!({ "number": number as u64 }),
        output: None,
        error: None,
        parent: None,
        origin: None,
        origin_path: None,
        trigger: None,
        idempotency_key: None,
        wake_at: None,
        created_at: number as i64,
        started_at: None,
        updated_at: number as i64,
        ended_at: None,
        labels: json!({}),
        recoveries: 0,
    }
}

/// What changes in a row, with nothing but a status and a time.
fn update(status: &str, at: i64) -> RunUpdate {
    RunUpdate {
        status: status.to_owned(),
        output: None,
        error: None,
        wake_at: None,
        started_at: None,
        updated_at: at,
        ended_at: None,
        labels: None,
        recoveries: 0,
    }
}

/// Opens a run with one entry.
fn opening(row: RunRow) -> Write {
    let mut write = RunWrite::new(row.id, 0);
    write.entries = vec![json!({ "entry": 1 }).into()];
    write.row = Some(row.into());
    Write::Run(Box::new(write))
}

/// A run's entries from one number to another.
fn appending(run: RunId, from: u64, to: u64) -> RunWrite {
    let mut write = RunWrite::new(run, from - 1);
    write.entries = (from..=to)
        .map(|number| Document::of(&json!({ "entry": number })))
        .collect();
    write
}

fn timeline_row(ordinal: u64, entry: Value) -> TimelineRow<Document> {
    let entry = Document::of(&entry);
    TimelineRow { ordinal, entry }
}

fn definition(hash: &str, version: &str, source: &str, draft: bool) -> DefinitionRow {
    DefinitionRow {
        hash: hash.to_owned(),
        id: WorkflowId {
            namespace: "default".to_owned(),
            name: "book".to_owned(),
            version: version.to_owned(),
        },
        source: source.to_owned(),
        lock: json!({ "functions": {} }),
        draft,
        created_at: 7,
    }
}

async fn commit_run(store: &Arc<dyn Store>, write: RunWrite) -> Result<u64, StoreError> {
    match store.commit(Write::Run(Box::new(write))).await? {
        Written::Run { last_seq, .. } => Ok(last_seq),
        other => panic!("{other:?}"),
    }
}
