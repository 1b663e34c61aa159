//! What every store must hold, written against the trait. Each test runs on every store in [`on_every_store`].

use std::sync::Arc;

use potok_dsl::WorkflowId;
use potok_journal::{
    BlobRow, DefinitionFilter, PluginRow, ProviderMigration, RowChange, RunCursor, RunFilter, RunWrite, SqlStatement,
    SqlValue, Store, StoreError, StoredValue, TriggerRow, Write, Written, hash,
};
use serde_json::{Value, json};

use crate::{appending, commit_run, definition, opening, row, run_id, timeline_row, update};

/// Runs each test on a file and in memory.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let directory = tempfile::tempdir().unwrap();
                let store = potok_journal::SqliteStore::open(directory.path().join("potok.db"), &Default::default()).unwrap();
                super::$test(std::sync::Arc::new(store)).await;
            })+
        }
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(std::sync::Arc::new(potok_journal::SqliteStore::in_memory().unwrap())).await;
            })+
        }
    };
}

on_every_store!(
    a_run_is_read_as_it_was_written,
    snapshots_cut_the_journal,
    another_writer_is_fenced_off,
    what_belongs_together_stands_or_falls_together,
    an_ended_run_takes_no_more_entries,
    a_key_starts_a_workflow_once,
    producers_share_transactions,
    large_values_are_stored_once,
    values_of_snapshots_go_with_them,
    too_large_values_are_named,
    runs_are_listed_newest_first,
    due_runs_come_in_order,
    timelines_come_in_pages,
    definitions_have_versions_and_drafts,
    the_active_version_is_the_chosen_or_the_newest,
    used_definitions_stay,
    plugins_are_known_by_hash_and_version,
    triggers_keep_their_state,
    blobs_are_listed,
    providers_have_their_tables,
    provider_statements_stay_in_their_place,
    migrations_run_forward_once,
);

async fn a_run_is_read_as_it_was_written(store: Arc<dyn Store>) {
    let run = run_id(1);
    assert_eq!(store.load_run(run).await.unwrap(), None);
    let mut first = RunWrite::new(run, 0);
    first.entries = vec![
        json!({ "start": 1.5e-7 }),
        json!([u64::MAX, i64::MIN, "ё\u{0}\"", null]),
    ];
    first.timeline = vec![timeline_row(0, json!("a")), timeline_row(1, json!("b"))];
    let mut opened = row(1);
    opened.parent = Some(run_id(9));
    opened.trigger = Some("nightly".to_owned());
    opened.idempotency_key = Some("k".to_owned());
    opened.wake_at = Some(i64::MIN);
    opened.labels = json!({ "team": "a" });
    first.row = Some(opened.clone().into());
    assert_eq!(commit_run(&store, first.clone()).await, Ok(2));

    let loaded = store.load_run(run).await.unwrap().unwrap();
    assert_eq!((loaded.row, loaded.finished), (opened.clone(), false));
    assert_eq!(
        (loaded.snapshot, loaded.last_seq, loaded.last_ordinal),
        (None, 2, Some(1))
    );
    assert_eq!(loaded.entries_after_snapshot, first.entries);

    let mut second = appending(run, 3, 3);
    second.finished = true;
    let mut end = update("completed", 20);
    end.output = Some(json!({ "posts": 5 }));
    end.started_at = Some(11);
    end.ended_at = Some(20);
    end.wake_at = Some(30);
    end.recoveries = 2;
    second.row = Some(end.into());
    assert_eq!(commit_run(&store, second).await, Ok(3));
    let loaded = store.load_run(run).await.unwrap().unwrap();
    let mut ended = opened;
    ended.status = "completed".to_owned();
    ended.output = Some(json!({ "posts": 5 }));
    (
        ended.started_at,
        ended.ended_at,
        ended.updated_at,
        ended.wake_at,
        ended.recoveries,
    ) = (Some(11), Some(20), 20, None, 2);
    assert_eq!((&loaded.row, loaded.finished, loaded.last_seq), (&ended, true, 3));
    assert_eq!(store.run_row(run).await.unwrap(), Some(ended));
    let all: Vec<Value> = first.entries.into_iter().chain([json!({ "entry": 3 })]).collect();
    assert_eq!(store.journal(run).await.unwrap(), all);
    let page = store.journal_page(run, 1, 1).await.unwrap();
    assert_eq!(
        page,
        [(2, all[1].clone())],
        "a page may begin and end inside what was written together"
    );
    assert_eq!(store.metrics().entries, 3);
}

async fn snapshots_cut_the_journal(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    let run = run_id(1);
    for (number, state) in [(2, "old"), (4, "new")] {
        let mut write = appending(run, number, number + 1);
        write.snapshot = Some(json!({ "state": state }));
        commit_run(&store, write).await.unwrap();
    }
    commit_run(&store, appending(run, 6, 7)).await.unwrap();
    let loaded = store.load_run(run).await.unwrap().unwrap();
    assert_eq!(loaded.snapshot, Some((5, json!({ "state": "new" }))));
    assert_eq!(
        loaded.entries_after_snapshot,
        [json!({ "entry": 6 }), json!({ "entry": 7 })]
    );
    assert_eq!(loaded.last_seq, 7);

    // A snapshot alone, as a clean shutdown writes it.
    let mut write = RunWrite::new(run, 7);
    write.snapshot = Some(json!("at rest"));
    assert_eq!(commit_run(&store, write).await, Ok(7));
    let loaded = store.load_run(run).await.unwrap().unwrap();
    assert_eq!(
        (loaded.snapshot, loaded.entries_after_snapshot.len(), loaded.last_seq),
        (Some((7, json!("at rest"))), 0, 7)
    );

    let mut write = appending(run, 8, 8);
    write.finished = true;
    commit_run(&store, write).await.unwrap();
    let loaded = store.load_run(run).await.unwrap().unwrap();
    assert_eq!(
        (loaded.snapshot, loaded.entries_after_snapshot.len()),
        (None, 8),
        "an ended run has its journal alone"
    );
}

async fn another_writer_is_fenced_off(store: Arc<dyn Store>) {
    let run = run_id(1);
    let missing = commit_run(&store, appending(run, 1, 1)).await;
    assert!(matches!(missing, Err(StoreError::Missing(what)) if what.contains(&run.to_string())));
    assert_eq!(
        commit_run(&store, appending(run, 5, 5)).await,
        Err(StoreError::Conflict {
            run,
            expected: 4,
            found: 0
        })
    );
    store.commit(opening(row(1))).await.unwrap();
    commit_run(&store, appending(run, 2, 3)).await.unwrap();
    for expected in [0, 1, 2, 4] {
        let conflict = commit_run(&store, appending(run, expected + 1, expected + 1)).await;
        assert_eq!(
            conflict,
            Err(StoreError::Conflict {
                run,
                expected,
                found: 3
            })
        );
    }
    let again = store.commit(opening(row(1))).await;
    assert_eq!(
        again,
        Err(StoreError::Conflict {
            run,
            expected: 0,
            found: 3
        })
    );
    assert_eq!(
        store.journal(run).await.unwrap().len(),
        3,
        "nothing of what was fenced off stays"
    );
    assert_eq!(store.metrics().refused, 7);
}

async fn what_belongs_together_stands_or_falls_together(store: Arc<dyn Store>) {
    let trigger = |next_at| {
        let key = "cron".to_owned();
        Write::Trigger(TriggerRow {
            definition: "d".to_owned(),
            key,
            next_at: Some(next_at),
            state: json!(null),
        })
    };
    let written = store
        .commit(Write::All(vec![opening(row(1)), trigger(10)]))
        .await
        .unwrap();
    assert_eq!(written, Written::All(vec![Written::Run { last_seq: 1 }, Written::Done]));
    let refused = store
        .commit(Write::All(vec![trigger(20), opening(row(2)), opening(row(1))]))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    assert_eq!(store.triggers().await.unwrap()[0].next_at, Some(10));
    assert_eq!(store.run_row(run_id(2)).await.unwrap(), None);
    let nested = store.commit(Write::All(vec![Write::All(vec![])])).await;
    assert!(matches!(nested, Err(StoreError::Refused(_))));
}

async fn an_ended_run_takes_no_more_entries(store: Arc<dyn Store>) {
    let mut write = RunWrite::new(run_id(1), 0);
    write.entries = vec![json!(1)];
    write.row = Some(row(1).into());
    write.finished = true;
    commit_run(&store, write).await.unwrap();
    assert!(matches!(
        commit_run(&store, appending(run_id(1), 2, 2)).await,
        Err(StoreError::Refused(_))
    ));
    let mut labels = RunWrite::new(run_id(1), 1);
    let mut change = update("completed", 5);
    change.labels = Some(json!({ "kept": true }));
    labels.row = Some(change.into());
    assert_eq!(commit_run(&store, labels).await, Ok(1), "its row may still change");
    let loaded = store.load_run(run_id(1)).await.unwrap().unwrap();
    assert!(loaded.finished && loaded.row.labels == json!({ "kept": true }));
}

async fn a_key_starts_a_workflow_once(store: Arc<dyn Store>) {
    let keyed = |number, name: &str, version: &str| {
        let mut row = row(number);
        row.idempotency_key = Some("key".to_owned());
        (row.name, row.version) = (name.to_owned(), version.to_owned());
        opening(row)
    };
    store.commit(keyed(1, "book", "1.0.0")).await.unwrap();
    assert_eq!(
        store.commit(keyed(2, "book", "2.0.0")).await,
        Err(StoreError::Duplicate(run_id(1)))
    );
    store.commit(keyed(3, "other", "1.0.0")).await.unwrap();
    assert_eq!(store.run_row(run_id(2)).await.unwrap(), None);

    let racing = (10..40).map(|number| {
        let store = Arc::clone(&store);
        let write = keyed(number, "raced", "1.0.0");
        tokio::spawn(async move { store.commit(write).await })
    });
    let (mut started, mut duplicates) = (0, Vec::new());
    for result in racing.collect::<Vec<_>>() {
        match result.await.unwrap() {
            Ok(_) => started += 1,
            Err(StoreError::Duplicate(of)) => duplicates.push(of),
            Err(other) => panic!("{other}"),
        }
    }
    duplicates.dedup();
    assert_eq!(
        (started, duplicates.len()),
        (1, 1),
        "all the others name the one that was first"
    );
}

async fn producers_share_transactions(store: Arc<dyn Store>) {
    const PRODUCERS: u128 = 64;
    const ENTRIES: u64 = 40;
    let producers = (1..=PRODUCERS).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            store.commit(opening(row(number))).await.unwrap();
            for entry in 2..=ENTRIES {
                assert_eq!(
                    commit_run(&store, appending(run_id(number), entry, entry)).await,
                    Ok(entry)
                );
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await.unwrap();
    }
    for number in 1..=PRODUCERS {
        let journal = store.journal(run_id(number)).await.unwrap();
        let expected: Vec<Value> = (1..=ENTRIES).map(|number| json!({ "entry": number })).collect();
        assert_eq!(journal, expected);
    }
    let metrics = store.metrics();
    assert_eq!(metrics.writes, PRODUCERS as u64 * ENTRIES);
    assert!(
        metrics.commits * 4 < metrics.writes,
        "{} commits for {} writes",
        metrics.commits,
        metrics.writes
    );
    assert_eq!(
        (metrics.batch.sum, metrics.commit_micros.count()),
        (metrics.writes, metrics.commits)
    );
    assert_eq!(metrics.queue_depth, 0);
}

async fn large_values_are_stored_once(store: Arc<dyn Store>) {
    let text = "Пролетело лето. ".repeat(100_000);
    let run = run_id(1);
    let mut write = RunWrite::new(run, 0);
    write.entries = vec![
        json!({ "input": { "text": text } }),
        json!({ "output": [text, { "$potok.value": "mine" }] }),
    ];
    write.timeline = vec![timeline_row(1, json!({ "output": text }))];
    write.snapshot = Some(json!({ "context": { "text": text } }));
    let mut opened = row(1);
    opened.input = json!({ "text": text });
    opened.output = Some(json!(text));
    write.row = Some(opened.clone().into());
    let entries = write.entries.clone();
    commit_run(&store, write).await.unwrap();

    let loaded = store.load_run(run).await.unwrap().unwrap();
    assert_eq!(loaded.row, opened);
    assert_eq!(loaded.snapshot, Some((2, json!({ "context": { "text": text } }))));
    assert_eq!(store.journal(run).await.unwrap(), entries);
    assert_eq!(
        store.timeline(run, None, 10).await.unwrap()[0].entry,
        json!({ "output": text })
    );

    let count = SqlStatement {
        sql: "SELECT COUNT(*), MAX(size) FROM \"values\"",
        params: vec![],
    };
    let json_size = serde_json::to_vec(&text).unwrap().len() as i64;
    assert_eq!(
        store.read_rows(count).await.unwrap(),
        [[SqlValue::Integer(1), SqlValue::Integer(json_size)]]
    );
    let listed = store.list_runs(&RunFilter::default(), None, 1).await.unwrap();
    assert_eq!(
        listed.runs[0].input["text"]["$potok.value"].as_str().map(str::len),
        Some(64),
        "a list stays small"
    );
    let stored = hash(&serde_json::to_vec(&text).unwrap());
    assert_eq!(
        store.value(&stored).await.unwrap(),
        Some(serde_json::to_vec(&text).unwrap())
    );

    // Values that come along must be what they say.
    let mut write = RunWrite::new(run, 2);
    write.values = vec![
        StoredValue::new(b"1".to_vec().into()),
        StoredValue {
            hash: [7; 32],
            bytes: b"2".to_vec().into(),
        },
    ];
    assert!(matches!(
        commit_run(&store, write.clone()).await,
        Err(StoreError::Refused(_))
    ));
    write.values.pop();
    commit_run(&store, write).await.unwrap();
    assert_eq!(store.value(&hash(b"1")).await.unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.value(&[7; 32]).await.unwrap(), None);
}

async fn values_of_snapshots_go_with_them(store: Arc<dyn Store>) {
    let (kept, passing) = ("k".repeat(100_000), "p".repeat(100_000));
    let run = run_id(1);
    let mut write = RunWrite::new(run, 0);
    write.entries = vec![json!(kept)];
    write.snapshot = Some(json!([kept, passing, "s".repeat(100_000)]));
    write.row = Some(row(1).into());
    commit_run(&store, write).await.unwrap();
    let values = async || {
        let sql = "SELECT (SELECT COUNT(*) FROM \"values\"), (SELECT COUNT(*) FROM snapshot_values)";
        store.read_rows(SqlStatement { sql, params: vec![] }).await.unwrap()
    };
    assert_eq!(values().await, [[SqlValue::Integer(1), SqlValue::Integer(2)]]);

    let mut write = appending(run, 2, 2);
    let state = json!([kept, passing, "another ".repeat(20_000)]);
    write.snapshot = Some(state.clone());
    commit_run(&store, write).await.unwrap();
    assert_eq!(
        values().await,
        [[SqlValue::Integer(1), SqlValue::Integer(2)]],
        "what no snapshot names any more is gone"
    );
    assert_eq!(store.load_run(run).await.unwrap().unwrap().snapshot, Some((2, state)));

    let mut write = appending(run, 3, 3);
    write.finished = true;
    commit_run(&store, write).await.unwrap();
    assert_eq!(values().await, [[SqlValue::Integer(1), SqlValue::Integer(0)]]);
    assert_eq!(store.journal(run).await.unwrap()[0], json!(kept));
}

async fn too_large_values_are_named(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    let mut write = RunWrite::new(run_id(1), 1);
    write.entries = vec![json!(1), json!({ "outcome": { "book": "x".repeat(65 << 20) } })];
    match commit_run(&store, write).await {
        Err(StoreError::TooLarge { what, size, limit }) => {
            assert_eq!(what, "entry 3 at /outcome/book");
            assert!(size > limit && limit >= 64 << 20);
        }
        other => panic!("{other:?}"),
    }
    let bytes: Arc<[u8]> = vec![0; 66 << 20].into();
    assert!(matches!(
        store.commit(Write::Value { bytes }).await,
        Err(StoreError::TooLarge { .. })
    ));
    assert_eq!(store.load_run(run_id(1)).await.unwrap().unwrap().last_seq, 1);
}

async fn runs_are_listed_newest_first(store: Arc<dyn Store>) {
    for number in 1..=20 {
        let mut row = row(number);
        row.created_at = number as i64 / 2;
        row.name = if number % 2 == 0 { "even" } else { "odd" }.to_owned();
        row.status = if number % 5 == 0 { "faulted" } else { "running" }.to_owned();
        row.trigger = (number > 15).then(|| "cron".to_owned());
        row.parent = (number == 7).then(|| run_id(3));
        store.commit(opening(row)).await.unwrap();
    }
    let listed = async |filter: RunFilter| {
        let (mut after, mut found): (Option<RunCursor>, Vec<u128>) = (None, Vec::new());
        loop {
            let page = store.list_runs(&filter, after, 3).await.unwrap();
            assert!(page.runs.len() <= 3);
            found.extend(page.runs.iter().map(|row| row.id.0.as_u128()));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    let all = RunFilter::default;
    assert_eq!(
        listed(all()).await,
        (1..=20).rev().collect::<Vec<_>>(),
        "runs of one time come by id"
    );
    assert_eq!(
        listed(RunFilter {
            name: Some("even".into()),
            created_before: Some(4),
            ..all()
        })
        .await,
        [6, 4, 2]
    );
    assert_eq!(
        listed(RunFilter {
            status: vec!["faulted".into()],
            ..all()
        })
        .await,
        [20, 15, 10, 5]
    );
    assert_eq!(
        listed(RunFilter {
            status: vec!["faulted".into(), "running".into()],
            ..all()
        })
        .await
        .len(),
        20
    );
    assert_eq!(
        listed(RunFilter {
            trigger: Some("cron".into()),
            created_from: Some(9),
            ..all()
        })
        .await,
        [20, 19, 18]
    );
    assert_eq!(
        listed(RunFilter {
            parent: Some(run_id(3)),
            ..all()
        })
        .await,
        [7]
    );
    assert_eq!(
        listed(RunFilter {
            namespace: Some("none".into()),
            ..all()
        })
        .await,
        []
    );
    assert_eq!(
        listed(RunFilter {
            version: Some("1.0.0".into()),
            ..all()
        })
        .await
        .len(),
        20
    );
}

async fn due_runs_come_in_order(store: Arc<dyn Store>) {
    for (number, wake_at) in [
        (1, Some(50)),
        (2, Some(10)),
        (3, None),
        (4, Some(10)),
        (5, Some(90)),
        (6, Some(i64::MIN)),
    ] {
        let mut row = row(number);
        row.wake_at = wake_at;
        store.commit(opening(row)).await.unwrap();
    }
    let due = store.due(50, None, 10).await.unwrap();
    assert_eq!(
        due,
        [(i64::MIN, run_id(6)), (10, run_id(2)), (10, run_id(4)), (50, run_id(1))]
    );
    assert_eq!(store.due(50, Some(due[1]), 1).await.unwrap(), [(10, run_id(4))]);
    assert_eq!(store.next_wake(50).await.unwrap(), Some(90));
    assert_eq!(store.next_wake(90).await.unwrap(), None);

    let mut write = RunWrite::new(run_id(2), 1);
    write.finished = true;
    commit_run(&store, write).await.unwrap();
    let mut write = RunWrite::new(run_id(1), 1);
    write.row = Some(RowChange::Update(update("running", 5)));
    commit_run(&store, write).await.unwrap();
    assert_eq!(
        store.due(50, None, 10).await.unwrap(),
        [(i64::MIN, run_id(6)), (10, run_id(4))],
        "ended, and put off"
    );
}

async fn timelines_come_in_pages(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    let mut ordinal = 0;
    for count in [3, 1, 4] {
        let mut write = RunWrite::new(run_id(1), 1);
        write.timeline = (ordinal..ordinal + count)
            .map(|ordinal| timeline_row(ordinal, json!(ordinal)))
            .collect();
        ordinal += count;
        commit_run(&store, write).await.unwrap();
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied();
        let page = store.timeline(run_id(1), after, 3).await.unwrap();
        assert!(page.iter().all(|row| row.entry == json!(row.ordinal)));
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|row| row.ordinal));
    }
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
    assert_eq!(store.timeline(run_id(2), None, 3).await.unwrap(), []);
    let mut gap = RunWrite::new(run_id(1), 1);
    gap.timeline = vec![timeline_row(8, json!(8)), timeline_row(10, json!(10))];
    assert!(matches!(commit_run(&store, gap).await, Err(StoreError::Refused(_))));

    // A page of large entries is cut short, and never empty.
    let mut write = RunWrite::new(run_id(1), 1);
    write.timeline = vec![timeline_row(8, json!("x".repeat(40 << 20)))];
    commit_run(&store, write).await.unwrap();
    let mut write = RunWrite::new(run_id(1), 1);
    write.timeline = vec![timeline_row(9, json!(9))];
    commit_run(&store, write).await.unwrap();
    let page = store.timeline(run_id(1), Some(7), 10).await.unwrap();
    assert_eq!(page.iter().map(|row| row.ordinal).collect::<Vec<_>>(), [8]);
}

async fn definitions_have_versions_and_drafts(store: Arc<dyn Store>) {
    let put = async |row| store.commit(Write::Definition(Box::new(row))).await;
    let done = |hash: &str, created| {
        Ok(Written::Definition {
            hash: hash.to_owned(),
            created,
        })
    };
    assert_eq!(put(definition("a", "1.0.0", "text", false)).await, done("a", true));
    assert_eq!(put(definition("a", "1.0.0", "text", false)).await, done("a", false));
    assert_eq!(
        put(definition("b", "1.0.0", "text", false)).await,
        done("a", false),
        "the same text under another lock"
    );
    let other = definition("c", "1.0.0", "changed", false);
    match put(other.clone()).await {
        Err(StoreError::DefinitionConflict { id, hash, source_text }) => {
            assert_eq!(
                (*id, hash.as_str(), source_text.as_str()),
                (other.id.clone(), "a", "text")
            );
        }
        result => panic!("{result:?}"),
    }
    assert_eq!(
        put(definition("c", "1.0.0", "changed", true)).await,
        done("c", true),
        "a draft may be anything"
    );
    assert_eq!(put(definition("d", "2.0.0", "next", true)).await, done("d", true));
    assert_eq!(
        put(definition("d", "2.0.0", "next", false)).await,
        done("d", true),
        "a draft that is deployed"
    );

    assert_eq!(
        store.definition("c").await.unwrap(),
        Some(definition("c", "1.0.0", "changed", true))
    );
    assert_eq!(store.definition_by_id(&other.id).await.unwrap().unwrap().hash, "a");
    let unknown = WorkflowId {
        namespace: "x".into(),
        ..other.id
    };
    assert_eq!(store.definition_by_id(&unknown).await.unwrap(), None);
    let hashes = async |filter: DefinitionFilter| {
        let mut rows = Vec::new();
        loop {
            let page = store.definitions(&filter, rows.last(), 2).await.unwrap();
            if page.is_empty() {
                return rows
                    .iter()
                    .map(|row: &potok_journal::DefinitionRow| row.hash.clone())
                    .collect::<String>();
            }
            rows.extend(page);
        }
    };
    assert_eq!(hashes(DefinitionFilter::default()).await, "ad");
    assert_eq!(
        hashes(DefinitionFilter {
            drafts: true,
            ..Default::default()
        })
        .await,
        "acd"
    );
    assert_eq!(
        hashes(DefinitionFilter {
            name: Some("none".into()),
            ..Default::default()
        })
        .await,
        ""
    );
}

async fn the_active_version_is_the_chosen_or_the_newest(store: Arc<dyn Store>) {
    let active = async || {
        store
            .active_definition("default", "book")
            .await
            .unwrap()
            .map(|row| row.id.version)
    };
    assert_eq!(active().await, None);
    for version in ["1.9.0", "1.10.0", "1.2.0", "not-semantic"] {
        store
            .commit(Write::Definition(Box::new(definition(
                version, version, version, false,
            ))))
            .await
            .unwrap();
    }
    store
        .commit(Write::Definition(Box::new(definition("draft", "9.0.0", "draft", true))))
        .await
        .unwrap();
    assert_eq!(active().await.as_deref(), Some("1.10.0"));
    let activate = async |version: Option<&str>| {
        let (namespace, name) = ("default".to_owned(), "book".to_owned());
        store
            .commit(Write::Activate {
                namespace,
                name,
                version: version.map(str::to_owned),
            })
            .await
    };
    assert!(
        matches!(activate(Some("9.0.0")).await, Err(StoreError::Missing(_))),
        "a draft is never active"
    );
    activate(Some("1.9.0")).await.unwrap();
    activate(Some("1.2.0")).await.unwrap();
    assert_eq!(active().await.as_deref(), Some("1.2.0"));
    let mut elsewhere = definition("elsewhere", "0.1.0", "elsewhere", false);
    elsewhere.id.namespace = "other".to_owned();
    store.commit(Write::Definition(Box::new(elsewhere))).await.unwrap();
    let all = store.active_definitions().await.unwrap();
    assert_eq!(
        all.iter().map(|row| row.hash.as_str()).collect::<Vec<_>>(),
        ["1.2.0", "elsewhere"]
    );
    activate(None).await.unwrap();
    assert_eq!(active().await.as_deref(), Some("1.10.0"));
    activate(Some("1.2.0")).await.unwrap();
    store
        .commit(Write::RemoveDefinition {
            hash: "1.2.0".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(
        active().await.as_deref(),
        Some("1.10.0"),
        "a removed version is not chosen any more"
    );
}

async fn used_definitions_stay(store: Arc<dyn Store>) {
    let remove = async || store.commit(Write::RemoveDefinition { hash: "d".to_owned() }).await;
    assert!(matches!(remove().await, Err(StoreError::Missing(_))));
    store
        .commit(Write::Definition(Box::new(definition("d", "1.0.0", "text", false))))
        .await
        .unwrap();
    let trigger = |definition: &str| TriggerRow {
        definition: definition.to_owned(),
        key: "cron".to_owned(),
        next_at: None,
        state: json!(1),
    };
    store.commit(Write::Trigger(trigger("d"))).await.unwrap();
    store.commit(Write::Trigger(trigger("e"))).await.unwrap();
    for number in [1, 2] {
        store.commit(opening(row(number))).await.unwrap();
    }
    assert_eq!(
        remove().await,
        Err(StoreError::InUse {
            what: "definition d".to_owned(),
            runs: 2
        })
    );
    assert_eq!(store.unfinished_runs("d").await.unwrap(), 2);
    for number in [1, 2] {
        let mut end = RunWrite::new(run_id(number), 1);
        end.finished = true;
        commit_run(&store, end).await.unwrap();
    }
    assert_eq!(remove().await, Ok(Written::Done));
    assert_eq!(store.definition("d").await.unwrap(), None);
    assert_eq!(
        store.triggers().await.unwrap(),
        [trigger("e")],
        "its triggers go with it"
    );
    assert!(store.run_row(run_id(1)).await.unwrap().is_some(), "its runs stay");
}

async fn plugins_are_known_by_hash_and_version(store: Arc<dyn Store>) {
    let plugin = |hash: &str, version: &str, grants: &[&str], installed_at| PluginRow {
        hash: hash.to_owned(),
        package: "potok:book".to_owned(),
        version: version.to_owned(),
        grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
        wit: Some("package potok:book;".to_owned()),
        installed_at,
    };
    let put = async |row: PluginRow| {
        let bytes: Arc<[u8]> = row.hash.as_bytes().into();
        store
            .commit(Write::Plugin {
                row: Box::new(row),
                bytes,
            })
            .await
    };
    put(plugin("b", "1.0.0", &["ai"], 2)).await.unwrap();
    put(plugin("a", "1.1.0", &[], 3)).await.unwrap();
    put(plugin("b", "1.0.0", &["ai", "telegram"], 9)).await.unwrap();
    let expected = [
        plugin("b", "1.0.0", &["ai", "telegram"], 2),
        plugin("a", "1.1.0", &[], 3),
    ];
    assert_eq!(
        store.plugins().await.unwrap(),
        expected,
        "installing again changes the grants alone"
    );
    let conflict = put(plugin("c", "1.0.0", &[], 4)).await;
    assert!(matches!(conflict, Err(StoreError::PluginConflict { hash, .. }) if hash == "b"));
    assert_eq!(
        store.plugin("a").await.unwrap(),
        Some((expected[1].clone(), b"a".to_vec()))
    );
    store
        .commit(Write::RemovePlugin { hash: "a".to_owned() })
        .await
        .unwrap();
    assert_eq!(store.plugin("a").await.unwrap(), None);
    let missing = store.commit(Write::RemovePlugin { hash: "a".to_owned() }).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))));
}

async fn triggers_keep_their_state(store: Arc<dyn Store>) {
    let trigger = |key: &str, next_at, state| TriggerRow {
        definition: "d".to_owned(),
        key: key.to_owned(),
        next_at,
        state,
    };
    for row in [
        trigger("b", Some(1), json!([])),
        trigger("a", None, json!({ "n": 1 })),
        trigger("b", Some(2), json!("x")),
    ] {
        store.commit(Write::Trigger(row)).await.unwrap();
    }
    let expected = [trigger("a", None, json!({ "n": 1 })), trigger("b", Some(2), json!("x"))];
    assert_eq!(store.triggers().await.unwrap(), expected);
    store
        .commit(Write::RemoveTriggers {
            definition: "d".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(store.triggers().await.unwrap(), []);
}

async fn blobs_are_listed(store: Arc<dyn Store>) {
    let put = async |text: &str, name: Option<&str>, media_type: Option<&str>, created_at| {
        let bytes: Arc<[u8]> = text.as_bytes().into();
        let (name, media_type) = (name.map(str::to_owned), media_type.map(str::to_owned));
        store
            .commit(Write::Blob {
                bytes,
                name,
                media_type,
                created_at,
            })
            .await
            .unwrap()
    };
    assert_eq!(put("one", None, None, 1).await, Written::Value { hash: hash(b"one") });
    put("two", Some("two.txt"), Some("text/plain"), 2).await;
    put("one", Some("one.txt"), None, 3).await;
    put("one", None, Some("text/plain"), 4).await;
    let blob = |text: &str, created_at| BlobRow {
        hash: hash(text.as_bytes()),
        name: Some(format!("{text}.txt")),
        media_type: Some("text/plain".to_owned()),
        size: 3,
        created_at,
    };
    let first = store.blobs(None, 1).await.unwrap();
    assert_eq!(first, [blob("two", 2)]);
    assert_eq!(store.blobs(first.last(), 5).await.unwrap(), [blob("one", 1)]);
    assert_eq!(store.blob(&hash(b"one")).await.unwrap(), Some(blob("one", 1)));
    assert_eq!(store.value(&hash(b"two")).await.unwrap(), Some(b"two".to_vec()));
    let bytes: Arc<[u8]> = b"only a value".to_vec().into();
    store.commit(Write::Value { bytes }).await.unwrap();
    assert_eq!(store.blob(&hash(b"only a value")).await.unwrap(), None);
}

const POSTS: ProviderMigration = ProviderMigration {
    owner: "telegram",
    version: 1,
    sql: "CREATE TABLE posts (key TEXT PRIMARY KEY, state TEXT NOT NULL, bytes BYTEA, score DOUBLE PRECISION);
          -- a comment; with a semicolon
          CREATE INDEX posts_by_state ON posts (state)",
};

fn sql(sql: &'static str, params: &[SqlValue]) -> SqlStatement {
    SqlStatement {
        sql,
        params: params.to_vec(),
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

async fn providers_have_their_tables(store: Arc<dyn Store>) {
    store.apply_migrations(&[POSTS]).await.unwrap();
    // Parameters count by their number, not by where they stand.
    let insert =
        "INSERT INTO posts (state, key, bytes, score) VALUES ($2, $1, $3, $4) RETURNING key, state, bytes, score";
    let all = vec![
        text("k1"),
        text("intent"),
        SqlValue::Blob(vec![0, 255]),
        SqlValue::Real(0.5),
    ];
    let update = sql("UPDATE posts SET state = $1", &[text("sent")]);
    let written = store
        .commit(Write::Tables(vec![sql(insert, &all), update]))
        .await
        .unwrap();
    assert_eq!(written, Written::Rows(vec![vec![all], vec![]]));

    let second = [text("k2"), text("intent"), SqlValue::Null, SqlValue::Null];
    let clash = [text("k1"), text("intent"), SqlValue::Null, SqlValue::Integer(1)];
    let refused = store
        .commit(Write::Tables(vec![sql(insert, &second), sql(insert, &clash)]))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Refused(why)) if why.contains("UNIQUE")),
        "all or none"
    );
    let rows = store
        .read_rows(sql(
            "SELECT key, state, bytes, score FROM posts WHERE state = $1",
            &[text("sent")],
        ))
        .await;
    assert_eq!(
        rows.unwrap(),
        [[
            text("k1"),
            text("sent"),
            SqlValue::Blob(vec![0, 255]),
            SqlValue::Real(0.5)
        ]]
    );
    let none = store
        .read_rows(sql("SELECT key FROM posts WHERE key = 'k2'", &[]))
        .await
        .unwrap();
    assert!(none.is_empty());
}

async fn provider_statements_stay_in_their_place(store: Arc<dyn Store>) {
    store.apply_migrations(&[POSTS]).await.unwrap();
    for bad in [
        "COMMIT",
        "ROLLBACK",
        "RELEASE one",
        "PRAGMA synchronous = OFF",
        "ATTACH 'x' AS y",
        "DROP TABLE posts",
        "",
        "nonsense",
    ] {
        let refused = store.commit(Write::Tables(vec![sql(bad, &[])])).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{bad}: {refused:?}");
        assert!(
            matches!(store.read_rows(sql(bad, &[])).await, Err(StoreError::Refused(_))),
            "{bad}"
        );
    }
    for bad in [
        "DELETE FROM posts",
        "WITH x AS (SELECT 1) DELETE FROM posts",
        "SELECT 1; DELETE FROM posts",
        "SELECT $1",
    ] {
        assert!(
            matches!(store.read_rows(sql(bad, &[])).await, Err(StoreError::Refused(_))),
            "{bad}"
        );
    }
    let endless = "WITH RECURSIVE n(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM n) SELECT n, zeroblob(65536) FROM n";
    assert!(
        matches!(store.read_rows(sql(endless, &[])).await, Err(StoreError::Refused(why)) if why.contains("ask for less"))
    );
    store.commit(opening(row(1))).await.unwrap();
}

async fn migrations_run_forward_once(store: Arc<dyn Store>) {
    let second = ProviderMigration {
        version: 2,
        sql: "ALTER TABLE posts ADD COLUMN error TEXT",
        ..POSTS
    };
    let broken = ProviderMigration {
        version: 3,
        sql: "CREATE TABLE half (a BIGINT); CREATE TABLE half (a BIGINT)",
        ..POSTS
    };
    store.apply_migrations(&[POSTS]).await.unwrap();
    store.apply_migrations(&[second, POSTS]).await.unwrap();
    store.apply_migrations(&[POSTS, second]).await.unwrap();
    store.read_rows(sql("SELECT error FROM posts", &[])).await.unwrap();
    let refused = store.apply_migrations(&[POSTS, second, broken]).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused(why) if why.starts_with("migration 3 of 'telegram'")),
        "{refused}"
    );
    assert!(
        store.read_rows(sql("SELECT * FROM half", &[])).await.is_err(),
        "nothing of it stays"
    );

    let newer = store.apply_migrations(&[POSTS]).await;
    assert_eq!(
        newer,
        Err(StoreError::Newer {
            owner: "telegram".to_owned(),
            found: 2,
            known: 1
        })
    );
    let changed = ProviderMigration {
        sql: "CREATE TABLE other (a BIGINT)",
        ..POSTS
    };
    for bad in [
        vec![changed, second],
        vec![second],
        vec![POSTS, POSTS],
        vec![ProviderMigration {
            owner: "journal",
            ..POSTS
        }],
        vec![ProviderMigration {
            owner: "x",
            sql: "PRAGMA user_version = 3",
            ..POSTS
        }],
    ] {
        let refused = store.apply_migrations(&bad).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
}
