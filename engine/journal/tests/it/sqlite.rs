//! What a database file must hold: it survives the process, refuses what it cannot read, and fails clearly when the disk is full.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use potok_journal::{Config, PluginRow, SqliteStore, Store, StoreError, Write};
use serde_json::json;

use crate::{appending, commit_run, opening, row, run_id};

fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::open(path, &Config::default())?))
}

/// Names the database to [`the_child_that_is_killed`].
const DATABASE: &str = "POTOK_JOURNAL_TEST_DATABASE";

/// How many runs the child writes to at a time.
const PRODUCERS: u128 = 16;

/// A process that appends to its runs for ever and prints what was acknowledged. Only the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by a_killed_process_loses_nothing_acknowledged"]
async fn the_child_that_is_killed() {
    let Ok(path) = std::env::var(DATABASE) else { return };
    let store = open(Path::new(&path)).unwrap();
    let producers = (1..=PRODUCERS).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let loaded = store.load_run(run_id(number)).await.unwrap();
            let mut last = loaded.map_or(0, |run| run.last_seq);
            loop {
                let next = if last == 0 {
                    store.commit(opening(row(number))).await.unwrap();
                    1
                } else {
                    // Some with a large value, so that a transaction spans many pages.
                    let mut write = appending(run_id(number), last + 1, last + 2);
                    if last % 7 == 0 {
                        write.entries[1] = json!({ "entry": last + 2, "text": "x".repeat(200_000) }).into();
                    }
                    commit_run(&store, write).await.unwrap()
                };
                let line = format!("acknowledged {number} {next}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                last = next;
            }
        }
    });
    // They never end: the process is killed.
    producers.collect::<tokio::task::JoinSet<()>>().join_all().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/potok.db");
    let mut acknowledged = vec![0u64; PRODUCERS as usize + 1];
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sqlite::the_child_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        for line in lines.map_while(Result::ok) {
            let Some(rest) = line.split("acknowledged ").nth(1) else {
                continue;
            };
            let (number, seq) = rest.split_once(' ').unwrap();
            let number: usize = number.parse().unwrap();
            acknowledged[number] = acknowledged[number].max(seq.parse().unwrap());
            heard += 1;
            if heard == 100 + 137 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= 100 + 137 * round, "the child ended by itself after {heard}");

        let store = open(&path).unwrap();
        for number in 1..=PRODUCERS {
            let entries = store.journal(run_id(number)).await.unwrap();
            let seqs: Vec<u64> = entries.iter().map(|entry| entry["entry"].as_u64().unwrap()).collect();
            assert_eq!(
                seqs,
                (1..=seqs.len() as u64).collect::<Vec<_>>(),
                "the journal of run {number} is a prefix"
            );
            let known = acknowledged[number as usize];
            assert!(
                seqs.len() as u64 >= known,
                "run {number}: {known} acknowledged, {} found",
                seqs.len()
            );
            // What was written but not heard of may be there: one write at most.
            assert!(seqs.len() as u64 <= known + 2);
            let row = store.run_row(run_id(number)).await.unwrap();
            assert_eq!(row.is_some(), !seqs.is_empty());
        }
    }
}

#[tokio::test]
async fn a_torn_log_gives_a_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("potok.db");
    let store = open(&path).unwrap();
    store.commit(opening(row(1))).await.unwrap();
    for seq in 2..=40 {
        commit_run(&store, appending(run_id(1), seq, seq)).await.unwrap();
    }
    let (database, log) = (
        std::fs::read(&path).unwrap(),
        std::fs::read(path.with_extension("db-wal")).unwrap(),
    );
    let mut last = 0;
    for cut in (0..=20).map(|twentieth| log.len() / 20 * twentieth) {
        let torn = directory.path().join(format!("torn-{cut}.db"));
        std::fs::write(&torn, &database).unwrap();
        std::fs::write(torn.with_extension("db-wal"), &log[..cut]).unwrap();
        let entries = open(&torn).unwrap().journal(run_id(1)).await.unwrap();
        let seqs: Vec<u64> = entries.iter().map(|entry| entry["entry"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        assert!(seqs.len() >= last, "a longer log holds no less");
        last = seqs.len();
    }
    assert!(
        last >= 39,
        "a log that is cut by less than a page lacks at most its last commit"
    );
}

#[tokio::test]
async fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("potok.db");
    let store = open(&path).unwrap();
    match open(&path) {
        Err(StoreError::Locked { path: named, holder }) => {
            assert_eq!(named, path.display().to_string());
            assert_eq!(holder, format!(" (process {})", std::process::id()));
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened twice"),
    }
    store.commit(opening(row(1))).await.unwrap();
    drop(store);
    assert_eq!(
        open(&path).unwrap().journal(run_id(1)).await.unwrap().len(),
        1,
        "free again at once"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/potok.db");
    let store = open(&path).unwrap();
    store.commit(opening(row(1))).await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
        files += 1;
    }
    assert!(files >= 3, "the database, its log, the lock");
    assert_eq!(
        std::fs::metadata(directory.path().join("a"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

#[tokio::test]
async fn damaged_and_foreign_files_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.db");
    {
        let store = open(&good).unwrap();
        for number in 1..200 {
            store.commit(opening(row(number))).await.unwrap();
        }
    }
    let bytes = std::fs::read(&good).unwrap();
    let mut scribbled = bytes.clone();
    scribbled[100..4096].fill(0xab);
    let cases: [(&str, &[u8]); 3] = [
        ("garbage", b"this is no database, but it is long enough to be looked at"),
        ("half", &bytes[..bytes.len() / 2 / 4096 * 4096]),
        ("scribbled", &scribbled),
    ];
    for (name, content) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = open(&path).err().unwrap_or_else(|| panic!("{name} was opened"));
        assert!(
            matches!(&error, StoreError::Corrupt(why) if why.contains(name)),
            "{name}: {error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), content, "{name} was changed");
    }

    let foreign = directory.path().join("foreign.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(connection);
    let before = std::fs::read(&foreign).unwrap();
    assert_eq!(
        open(&foreign).err(),
        Some(StoreError::Foreign {
            path: foreign.display().to_string()
        })
    );
    assert_eq!(std::fs::read(&foreign).unwrap(), before);

    let connection = rusqlite::Connection::open(&good).unwrap();
    connection
        .execute(
            "INSERT INTO migrations (owner, version, digest) VALUES ('journal', 99, zeroblob(32))",
            [],
        )
        .unwrap();
    drop(connection);
    let newer = open(&good).err().unwrap();
    assert!(matches!(&newer, StoreError::Newer { owner, found: 99, .. } if owner == "journal"));
    assert!(newer.to_string().contains("version 99"), "{newer}");
}

#[tokio::test]
async fn damage_inside_is_found_when_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("potok.db");
    {
        let store = open(&path).unwrap();
        store.commit(opening(row(1))).await.unwrap();
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE journal SET events = x'5b7b'", []).unwrap();
    drop(connection);
    let error = open(&path).unwrap().load_run(run_id(1)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(why) if why.contains("journal")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_does_not_fit_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        max_bytes: Some(4 << 20),
        ..Config::default()
    };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path().join("potok.db"), &config).unwrap());
    store.commit(opening(row(1))).await.unwrap();
    let plugin = PluginRow {
        hash: "p".to_owned(),
        package: "p".to_owned(),
        version: "1".to_owned(),
        grants: vec![],
        wit: None,
        installed_at: 0,
    };
    let bytes: Arc<[u8]> = vec![1; 3 << 20].into();
    store
        .commit(Write::Plugin {
            row: Box::new(plugin),
            bytes,
        })
        .await
        .unwrap();

    // One that does not fit, among many that do: whoever shares its transaction is not harmed.
    let large: Arc<[u8]> = vec![2; 2 << 20].into();
    let pending = (2..40).map(|number| {
        let store = Arc::clone(&store);
        let write = if number == 20 {
            Write::Value {
                bytes: Arc::clone(&large),
            }
        } else {
            opening(row(number))
        };
        tokio::spawn(async move { (number, store.commit(write).await) })
    });
    for result in pending.collect::<Vec<_>>() {
        let (number, result) = result.await.unwrap();
        match result {
            Ok(_) => assert_ne!(number, 20),
            Err(StoreError::Unavailable(why)) => assert!(number == 20 && why.contains("full"), "{number}: {why}"),
            Err(other) => panic!("{number}: {other}"),
        }
    }
    assert_eq!(store.metrics().failed, 1);

    store
        .commit(Write::RemovePlugin { hash: "p".to_owned() })
        .await
        .unwrap();
    store.commit(Write::Value { bytes: large }).await.unwrap();
    assert_eq!(store.journal(run_id(39)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_handed_over_is_written_though_nobody_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("potok.db");
    let store = open(&path).unwrap();
    for number in 1..=50 {
        // The write is polled until it is handed over, then dropped.
        let _ = tokio::time::timeout(Duration::ZERO, store.commit(opening(row(number)))).await;
    }
    drop(store);
    let store = open(&path).unwrap();
    for number in 1..=50 {
        assert!(store.run_row(run_id(number)).await.unwrap().is_some(), "{number}");
    }
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("potok.db");
    let store = open(&path).unwrap();
    store.commit(opening(row(1))).await.unwrap();
    for seq in 2..=60 {
        let mut write = appending(run_id(1), seq, seq);
        write.entries[0] = json!({ "entry": seq, "text": format!("{seq}").repeat(200_000) }).into();
        commit_run(&store, write).await.unwrap();
    }
    let log = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert!(log < 10 << 20, "the log is {log} bytes long");
    let metrics = store.metrics();
    assert!(metrics.checkpoints > 0 && metrics.flushes > metrics.commits);
}
