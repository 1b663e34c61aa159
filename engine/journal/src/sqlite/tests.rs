//! The writer from inside: it is held still until a transaction's worth of writes is pending, so that what shares one is known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use potok_dsl::RunId;
use rusqlite::StatementStatus;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::rows::SqlValue;
use crate::write::RunWrite;

/// A store whose writer waits until the sender is dropped.
async fn held(config: &Config) -> (Arc<SqliteStore>, oneshot::Sender<()>) {
    let connection = open::memory(config).unwrap();
    let store = Arc::new(SqliteStore::start(connection, None, None, config).unwrap());
    let (release, held) = oneshot::channel::<()>();
    let job = Job::Read(Box::new(move |_| {
        let _ = held.blocking_recv();
    }));
    store.jobs().unwrap().send(job).await.unwrap();
    // Until the writer has taken it: what follows is then pending together.
    while store.jobs().unwrap().capacity() < config.queue_writes {
        tokio::task::yield_now().await;
    }
    (store, release)
}

type Writing = JoinHandle<Result<Written, StoreError>>;

/// Hands a write over and waits until it is pending.
async fn pend(store: &Arc<SqliteStore>, write: Encoded) -> Writing {
    let before = store.metrics().queue_depth;
    let writer = Arc::clone(store);
    let writing = tokio::spawn(async move { writer.write(write).await });
    while store.metrics().queue_depth == before {
        tokio::task::yield_now().await;
    }
    writing
}

async fn value(text: &str) -> Encoded {
    encode(Write::Value {
        bytes: text.as_bytes().into(),
    })
    .await
    .unwrap()
}

fn statement(sql: &'static str) -> Encoded {
    Encoded::Tables(vec![SqlStatement { sql, params: vec![] }], vec![])
}

#[tokio::test]
async fn what_every_write_of_a_run_asks_is_prepared_once() {
    let store = SqliteStore::in_memory().unwrap();
    for number in 1..4 {
        let missing = RunWrite::new(RunId::from_bytes([number; 16]), 3);
        store.commit(Write::Run(Box::new(missing))).await.unwrap_err();
    }
    let again = store.read(|connection| {
        let statement = connection.prepare_cached(write_runs::STANDING).map_err(sql::error)?;
        Ok((
            statement.get_status(StatementStatus::Run),
            statement.get_status(StatementStatus::RePrepare),
        ))
    });
    assert_eq!(again.await.unwrap(), (3, 0));
}

#[tokio::test]
async fn what_is_pending_shares_a_transaction_and_fails_alone() {
    let (store, release) = held(&Config::default()).await;
    let run = RunId::from_bytes([1; 16]);
    let good = pend(&store, value("good").await).await;
    let fenced = pend(
        &store,
        encode(Write::Run(Box::new(RunWrite::new(run, 3)))).await.unwrap(),
    )
    .await;
    let twice = "INSERT INTO triggers (definition, key, state) VALUES ('d', 'a', ''), ('d', 'b', ''), ('d', 'a', '')";
    let constraint = pend(&store, statement(twice)).await;
    let unknown = pend(&store, statement("INSERT INTO nowhere VALUES (1)")).await;
    let panics = pend(&store, Encoded::Panic).await;
    let halfway = pend(&store, Encoded::All(vec![value("taken back").await, Encoded::Panic])).await;
    let last = pend(&store, value("last").await).await;
    assert_eq!(store.metrics().queue_depth, 7);
    drop(release);

    assert!(matches!(good.await.unwrap(), Ok(Written::Value { .. })));
    assert_eq!(
        fenced.await.unwrap(),
        Err(StoreError::Conflict {
            run,
            expected: 3,
            found: 0
        })
    );
    assert!(matches!(constraint.await.unwrap(), Err(StoreError::Refused(why)) if why.contains("UNIQUE")));
    assert!(matches!(unknown.await.unwrap(), Err(StoreError::Refused(why)) if why.contains("nowhere")));
    for panicked in [panics, halfway] {
        assert!(matches!(panicked.await.unwrap(), Err(StoreError::Refused(why)) if why.contains("panicked")));
    }
    assert!(matches!(last.await.unwrap(), Ok(Written::Value { .. })));

    let metrics = store.metrics();
    assert_eq!(
        (metrics.commits, metrics.writes, metrics.refused, metrics.failed),
        (1, 2, 5, 0)
    );
    let stored = SqlStatement {
        sql: "SELECT bytes FROM \"values\" ORDER BY bytes",
        params: vec![],
    };
    let stored = store.read_rows(stored).await.unwrap();
    assert_eq!(
        stored,
        [[SqlValue::Blob(b"good".to_vec())], [SqlValue::Blob(b"last".to_vec())]]
    );
    assert_eq!(
        store.triggers().await.unwrap(),
        [],
        "nothing of a statement that failed halfway stays"
    );
}

#[tokio::test]
async fn a_statement_that_ends_the_transaction_fails_alone() {
    let (store, release) = held(&Config::default()).await;
    let good = pend(&store, value("good").await).await;
    let bad = pend(
        &store,
        statement("INSERT OR ROLLBACK INTO active SELECT 'a', 'b', NULL"),
    )
    .await;
    let last = pend(&store, value("last").await).await;
    drop(release);
    assert!(good.await.unwrap().is_ok() && last.await.unwrap().is_ok());
    assert!(matches!(bad.await.unwrap(), Err(StoreError::Refused(why)) if why.contains("NOT NULL")));
    let metrics = store.metrics();
    assert_eq!(
        (metrics.commits, metrics.writes, metrics.refused),
        (2, 2, 1),
        "each was tried alone"
    );
}

#[tokio::test]
async fn a_large_write_closes_its_transaction() {
    let (store, release) = held(&Config {
        batch_bytes: 80_000,
        ..Config::default()
    })
    .await;
    let mut pending = Vec::new();
    for number in 0..6 {
        pending.push(pend(&store, value(&format!("{number}").repeat(50_000)).await).await);
    }
    drop(release);
    for writing in pending {
        writing.await.unwrap().unwrap();
    }
    assert_eq!(store.metrics().commits, 3, "two of 50 kB each");
}

#[tokio::test]
async fn writers_wait_while_too_much_is_pending() {
    let (store, release) = held(&Config {
        queue_bytes: 256 << 10,
        ..Config::default()
    })
    .await;
    let mut pending = Vec::new();
    for number in 0..4 {
        pending.push(pend(&store, value(&format!("{number}").repeat(60 << 10)).await).await);
    }
    let waiting = Arc::clone(&store);
    let fifth = value(&"5".repeat(60 << 10)).await;
    let fifth = tokio::spawn(async move { waiting.write(fifth).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.metrics().queue_depth, 4, "five of 60 KiB are more than may wait");
    assert!(!fifth.is_finished());
    drop(release);
    fifth.await.unwrap().unwrap();
    for writing in pending {
        writing.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn lists_and_due_runs_use_their_indexes() {
    let store = SqliteStore::in_memory().unwrap();
    for (sql, index) in [
        (
            "SELECT id FROM runs WHERE leaving = 0 ORDER BY created_at DESC, id DESC LIMIT 5",
            "runs_by_time",
        ),
        (
            "SELECT id FROM runs WHERE leaving = 0 AND (created_at, id) < (5, x'00') ORDER BY created_at DESC, id DESC LIMIT 5",
            "runs_by_time",
        ),
        (
            "SELECT id FROM runs WHERE leaving = 0 AND namespace = 'a' AND name = 'b' ORDER BY created_at DESC, id DESC",
            "runs_by_name",
        ),
        (
            "SELECT id FROM runs WHERE leaving = 0 AND status IN ('faulted') ORDER BY created_at DESC, id DESC LIMIT 5",
            "runs_by_status",
        ),
        (
            "SELECT id FROM runs WHERE leaving = 0 AND triggered_by = 'x' ORDER BY created_at DESC, id DESC LIMIT 5",
            "runs_by_trigger",
        ),
        (
            "SELECT id FROM runs WHERE leaving = 0 AND parent = x'00' ORDER BY created_at DESC, id DESC LIMIT 5",
            "runs_by_parent",
        ),
        (
            "SELECT id FROM runs WHERE leaving = 0 AND origin = x'00' ORDER BY created_at DESC, id DESC LIMIT 5",
            "runs_by_origin",
        ),
        (
            "SELECT id FROM runs WHERE finished = 1 AND leaving = 0 AND ended_at < 5 ORDER BY ended_at, id LIMIT 5",
            "runs_by_end",
        ),
        ("SELECT id FROM runs WHERE leaving = 1 LIMIT 1", "runs_leaving"),
        (
            "SELECT hash FROM mentions WHERE owner = x'00' LIMIT 5",
            "sqlite_autoindex_mentions",
        ),
        ("SELECT 1 FROM mentions WHERE hash = x'00'", "mentions_by_hash"),
        (
            "SELECT id FROM runs WHERE finished = 0 AND wake_at IS NOT NULL AND wake_at <= 5 ORDER BY wake_at, id",
            "runs_due",
        ),
        (
            "SELECT MIN(wake_at) FROM runs WHERE finished = 0 AND wake_at IS NOT NULL AND wake_at > 5",
            "runs_due",
        ),
        (
            "SELECT COUNT(*) FROM runs WHERE substr(definition, 1, 8) = 'd' AND definition = 'd' AND finished = 0",
            "runs_by_definition",
        ),
        (
            "SELECT id FROM runs WHERE namespace = 'a' AND name = 'b' AND idempotency_key = 'c'",
            "runs_by_key",
        ),
        (
            "SELECT MAX(seq) FROM journal WHERE run = x'00'",
            "COVERING INDEX journal_by_run",
        ),
        (
            "SELECT events FROM journal WHERE run = x'00' AND seq > 5 ORDER BY seq",
            "journal_by_run",
        ),
        (
            "SELECT entries FROM timelines WHERE run = x'00' AND ordinal > 5 ORDER BY ordinal",
            "timelines_by_run",
        ),
        (
            "SELECT outcome FROM inner_calls WHERE run = x'00' AND call = 3 AND number > 5 ORDER BY number LIMIT 9",
            "sqlite_autoindex_inner_calls_1",
        ),
        (
            "SELECT path FROM inner_calls WHERE run = x'00' ORDER BY call DESC, number DESC LIMIT 9",
            "sqlite_autoindex_inner_calls_1",
        ),
        (
            "SELECT bytes FROM inner_values WHERE run = x'00' AND call = 3 AND hash = x'00'",
            "sqlite_autoindex_inner_values_1",
        ),
    ] {
        let plan = store.read(move |connection| {
            sql::query(connection, &format!("EXPLAIN QUERY PLAN {sql}"), &[], |row| {
                row.get::<_, String>(3)
            })
        });
        let plan = plan.await.unwrap().join("; ");
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

#[test]
fn the_release_of_the_first_migration_is_kept() {
    let digests =
        schema::MIGRATIONS.map(|migration| crate::rows::hex(&crate::encode::digest(&migration))[..8].to_owned());
    assert_eq!(
        digests,
        [
            "d648c6ee", "367b0c2e", "f17bc227", "5d3c8575", "9aca3006", "2fc7a3d5", "e7a0143e", "df9dd848", "078aaa4f"
        ],
        "a migration that was released is never changed; add another one"
    );
}

#[tokio::test]
async fn runs_are_spread_over_partitions() {
    let store = SqliteStore::in_memory().unwrap();
    let mut id = [0; 16];
    id[15] = 200;
    let row = crate::RunRow {
        id: RunId::from_bytes(id),
        definition: String::new(),
        namespace: String::new(),
        name: String::new(),
        version: String::new(),
        status: String::new(),
        input: json!(null),
        output: None,
        error: None,
        parent: None,
        origin: None,
        origin_path: None,
        trigger: None,
        idempotency_key: None,
        wake_at: None,
        created_at: 0,
        started_at: None,
        updated_at: 0,
        ended_at: None,
        labels: json!(null),
        recoveries: 0,
    };
    let mut write = RunWrite::new(row.id, 0);
    write.row = Some(row.into());
    store.commit(Write::Run(Box::new(write))).await.unwrap();
    let partition = SqlStatement {
        sql: "SELECT partition FROM runs",
        params: vec![],
    };
    assert_eq!(store.read_rows(partition).await.unwrap(), [[SqlValue::Integer(200)]]);
}

/// How SQLite goes about a statement, a step a line.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map(
        rusqlite::params_from_iter(vec![None::<i64>; statement.parameter_count()]),
        |row| row.get(3),
    );
    steps.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn who_waits_is_found_by_indexes_alone() {
    let connection = open::memory(&Config::default()).unwrap();
    for (sql, indexes) in [
        (
            read_events::SHAPES,
            &["subscription_shapes_by_type (type=? AND source=?)"][..],
        ),
        (
            write_events::MARK,
            &[
                "subscriptions_1 (run=? AND subscription=?)",
                "subscription_keys_1 (key=?)",
            ],
        ),
        (
            read_events::KEYED,
            &[
                "event_keys_1 (key=? AND sequence>?)",
                "consumed_1 (run=? AND sequence=?)",
            ],
        ),
        (read_events::BEHIND, &["subscriptions_behind (run>?)"]),
    ] {
        let plan = plan(&connection, sql);
        assert!(
            plan.iter()
                .all(|step| !step.contains("SCAN") && !step.contains("TEMP B-TREE")),
            "{sql}: {plan:#?}"
        );
        for index in indexes {
            assert!(
                plan.iter().any(|step| step.contains(index)),
                "{sql} without {index}: {plan:#?}"
            );
        }
    }
}
