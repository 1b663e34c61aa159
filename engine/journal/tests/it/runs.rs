//! Runs: what every store must hold of their journals, rows, snapshots and timelines.

use std::sync::Arc;

use potok_journal::{
    Document, Message, RowChange, RunCursor, RunFilter, RunWrite, SqlStatement, SqlValue, Store, StoreError,
    StoredValue, TriggerRow, Write, Written, hash,
};
use serde_json::{Value, json};

use crate::{appending, commit_run, opening, row, run_id, timeline_row, update};

pub(crate) async fn a_run_is_read_as_it_was_written(store: Arc<dyn Store>) {
    let run = run_id(1);
    assert_eq!(store.load_run(run).await.unwrap(), None);
    let mut first = RunWrite::new(run, 0);
    let entries = [
        json!({ "start": 1.5e-7 }),
        json!([u64::MAX, i64::MIN, "ё\u{0}\"", null]),
    ];
    first.entries = entries.iter().map(Document::of).collect();
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
    assert_eq!(loaded.entries_after_snapshot, entries);

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
    let all: Vec<Value> = entries.into_iter().chain([json!({ "entry": 3 })]).collect();
    assert_eq!(store.journal(run).await.unwrap(), all);
    let page = store.journal_page(run, 1, 1).await.unwrap();
    assert_eq!(
        page,
        [(2, all[1].clone())],
        "a page may begin and end inside what was written together"
    );
    assert_eq!(store.metrics().entries, 3);
}

pub(crate) async fn snapshots_cut_the_journal(store: Arc<dyn Store>) {
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

pub(crate) async fn another_writer_is_fenced_off(store: Arc<dyn Store>) {
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

pub(crate) async fn what_belongs_together_stands_or_falls_together(store: Arc<dyn Store>) {
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
    assert_eq!(
        written,
        Written::All(vec![
            Written::Run {
                last_seq: 1,
                nudges: Default::default(),
                said: Vec::new(),
            },
            Written::Done
        ])
    );
    let refused = store
        .commit(Write::All(vec![trigger(20), opening(row(2)), opening(row(1))]))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    assert_eq!(store.triggers().await.unwrap()[0].next_at, Some(10));
    assert_eq!(store.run_row(run_id(2)).await.unwrap(), None);
    let nested = store.commit(Write::All(vec![Write::All(vec![])])).await;
    assert!(matches!(nested, Err(StoreError::Refused(_))));
}

pub(crate) async fn an_ended_run_takes_no_more_entries(store: Arc<dyn Store>) {
    let mut write = RunWrite::new(run_id(1), 0);
    write.entries = vec![json!(1).into()];
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

pub(crate) async fn a_key_starts_a_workflow_once(store: Arc<dyn Store>) {
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

pub(crate) async fn producers_share_transactions(store: Arc<dyn Store>) {
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

pub(crate) async fn large_values_are_stored_once(store: Arc<dyn Store>) {
    let text = "Пролетело лето. ".repeat(10_000);
    let run = run_id(1);
    let mut write = RunWrite::new(run, 0);
    let entries = [
        json!({ "input": { "text": text } }),
        json!({ "output": [text, { "$potok.value": "mine" }] }),
    ];
    write.entries = entries.iter().map(Document::of).collect();
    write.timeline = vec![timeline_row(1, json!({ "output": text }))];
    write.snapshot = Some(json!({ "context": { "text": text } }));
    let mut opened = row(1);
    opened.input = json!({ "text": text });
    opened.output = Some(json!(text));
    write.row = Some(opened.clone().into());
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

pub(crate) async fn values_of_snapshots_go_with_them(store: Arc<dyn Store>) {
    let (kept, passing) = ("k".repeat(100_000), "p".repeat(100_000));
    let run = run_id(1);
    let mut write = RunWrite::new(run, 0);
    write.entries = vec![json!(kept).into()];
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

pub(crate) async fn too_large_values_are_named(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    let mut write = RunWrite::new(run_id(1), 1);
    write.entries = vec![
        json!(1).into(),
        json!({ "outcome": { "book": "x".repeat(65 << 20) } }).into(),
    ];
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

pub(crate) async fn runs_are_listed_newest_first(store: Arc<dyn Store>) {
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

pub(crate) async fn due_runs_come_in_order(store: Arc<dyn Store>) {
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

pub(crate) async fn timelines_come_in_pages(store: Arc<dyn Store>) {
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
    assert_eq!(store.last_of_timeline(run_id(2)).await.unwrap(), None);
    let last = store.last_of_timeline(run_id(1)).await.unwrap().unwrap();
    assert_eq!((last.ordinal, last.entry), (7, json!(7)));
    let mut gap = RunWrite::new(run_id(1), 1);
    gap.timeline = vec![timeline_row(8, json!(8)), timeline_row(10, json!(10))];
    assert!(matches!(commit_run(&store, gap).await, Err(StoreError::Refused(_))));

    let mut again = RunWrite::new(run_id(1), 1);
    again.timeline = vec![timeline_row(7, json!(7)), timeline_row(8, json!(8))];
    assert!(matches!(commit_run(&store, again).await, Err(StoreError::Refused(why)) if why.contains("a row 7")));

    // A page of large entries is cut short, and never empty.
    let mut write = RunWrite::new(run_id(1), 1);
    write.timeline = vec![timeline_row(8, json!("x".repeat(9 << 20)))];
    commit_run(&store, write).await.unwrap();
    let mut write = RunWrite::new(run_id(1), 1);
    write.timeline = vec![timeline_row(9, json!(9))];
    commit_run(&store, write).await.unwrap();
    let page = store.timeline(run_id(1), Some(7), 10).await.unwrap();
    assert_eq!(page.iter().map(|row| row.ordinal).collect::<Vec<_>>(), [8]);
}

/// What one run says to another makes that one due, until it has heard it or has ended.
pub(crate) async fn a_run_that_was_told_something_is_due(store: Arc<dyn Store>) {
    let (parent, child) = (run_id(1), run_id(2));
    store.commit(opening(row(1))).await.unwrap();
    let mut begun = row(2);
    begun.parent = Some(parent);
    store.commit(opening(begun)).await.unwrap();
    assert_eq!(store.due(1_000, None, 10).await.unwrap(), []);

    let tell = |run, word: &str| {
        vec![Message {
            run,
            word: word.to_owned(),
        }]
    };
    let mut end = appending(child, 2, 2);
    end.row = Some(update("completed", 5).into());
    end.finished = true;
    end.messages = tell(parent, "ended");
    commit_run(&store, end).await.unwrap();
    assert_eq!(store.due(1_000, None, 10).await.unwrap(), [(0, parent)]);
    // A write of the run that has not heard it leaves it due.
    let mut other = appending(parent, 2, 2);
    other.row = Some(update("running", 6).into());
    commit_run(&store, other).await.unwrap();
    assert_eq!(store.due(1_000, None, 10).await.unwrap(), [(0, parent)]);
    let loaded = store.load_run(parent).await.unwrap().unwrap();
    assert_eq!(loaded.messages, tell(child, "ended"));

    let mut hears = appending(parent, 3, 3);
    hears.row = Some(update("running", 7).into());
    hears.heard = vec![child];
    // One that has ended hears nothing any more.
    hears.messages = tell(child, "cancel");
    commit_run(&store, hears).await.unwrap();
    assert_eq!(store.due(1_000, None, 10).await.unwrap(), []);
    assert_eq!(store.load_run(child).await.unwrap().unwrap().messages, []);

    // One that is not there yet finds what was said when it comes.
    let mut speaks = appending(parent, 4, 4);
    speaks.row = Some(update("running", 8).into());
    speaks.messages = tell(run_id(3), "cancel");
    commit_run(&store, speaks).await.unwrap();
    let mut late = row(3);
    late.parent = Some(parent);
    store.commit(opening(late)).await.unwrap();
    assert_eq!(store.due(1_000, None, 10).await.unwrap(), [(0, run_id(3))]);
    store.commit(Write::Silence { run: run_id(3) }).await.unwrap();
    assert_eq!(store.load_run(run_id(3)).await.unwrap().unwrap().messages, []);
}

pub(crate) async fn the_time_of_the_last_write_is_told_to_a_second(store: Arc<dyn Store>) {
    store.commit(opening(row(1))).await.unwrap();
    let row_of = async |store: &Arc<dyn Store>| store.run_row(run_id(1)).await.unwrap().unwrap();
    let opened = row_of(&store).await.updated_at;
    let writes = [
        ("running", 1, opened),
        ("running", 999, opened),
        ("running", 1_000, opened + 1_000),
        ("suspended", 1_001, opened + 1_001),
        // The clock was set back.
        ("suspended", -5_000, opened - 5_000),
    ];
    for (number, (status, later, told)) in (2..).zip(writes) {
        let mut write = appending(run_id(1), number, number);
        write.row = Some(update(status, opened + later).into());
        commit_run(&store, write).await.unwrap();
        let row = row_of(&store).await;
        assert_eq!((row.status.as_str(), row.updated_at), (status, told));
    }
}
