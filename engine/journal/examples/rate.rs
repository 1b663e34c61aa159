//! Prints how fast the SQLite store takes journal rows on this disk, beside what the disk itself can do:
//!
//! ```sh
//! cargo run --release -p potok-journal --example rate [DIRECTORY]
//! ```
//!
//! Quote ratios, not figures: a busy machine changes them tenfold, the floor with them.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use potok_dsl::RunId;
use potok_journal::{Config, Metrics, RunRow, RunUpdate, RunWrite, SqliteStore, Store, TimelineRow, Write};
use serde_json::{Value, json};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("potok-rate-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let measured = measure(&directory).await;
    std::fs::remove_dir_all(&directory)?;
    measured
}

async fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    let floor = flush_floor(&directory.join("floor"))?;
    println!("floor: one flush of 4 KiB takes {:.0} µs", floor.as_secs_f64() * 1e6);
    println!(
        "{:>9} {:>10} {:>9} {:>8} {:>9} {:>9} {:>12}",
        "producers", "rows/s", "commits/s", "rows/tx", "p50 µs", "p99 µs", "flushes/row"
    );
    for producers in [1, 4, 16, 64, 256, 1_024] {
        let path = directory.join(format!("{producers}.db"));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, &Config::default())?);
        let start = Instant::now();
        let mut latencies = run(&store, producers).await?;
        report(producers, &mut latencies, start.elapsed(), &store.metrics());
    }
    Ok(())
}

/// The median time of an append of 4 KiB with its flush.
fn flush_floor(path: &Path) -> Result<Duration, Box<dyn Error>> {
    let mut file = File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

/// Producers that each append to a run of their own, one write after the other, and how long each write took.
async fn run(store: &Arc<dyn Store>, producers: u32) -> Result<Vec<Duration>, Box<dyn Error>> {
    let end = Instant::now() + SPAN;
    let tasks: Vec<_> = (0..producers)
        .map(|number| tokio::spawn(produce(Arc::clone(store), number, end)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await?.map_err(|error| error.to_string())?);
    }
    Ok(latencies)
}

async fn produce(store: Arc<dyn Store>, number: u32, end: Instant) -> Result<Vec<Duration>, potok_journal::StoreError> {
    let mut latencies = Vec::new();
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let run = RunId::from_bytes(id);
    let mut seq = 0;
    while Instant::now() < end {
        let mut write = RunWrite::new(run, seq);
        write.entries = vec![entry(seq).into()];
        write.timeline = vec![TimelineRow {
            ordinal: seq,
            entry: entry(seq).into(),
        }];
        write.row = Some(if seq == 0 { row(run).into() } else { update(seq).into() });
        let start = Instant::now();
        store.commit(Write::Run(Box::new(write))).await?;
        latencies.push(start.elapsed());
        seq += 1;
    }
    Ok(latencies)
}

/// About what the completion of a call looks like.
fn entry(seq: u64) -> Value {
    json!({ "event": { "at": 1_700_000_000_000u64 + seq, "tasks": seq, "callCompleted": {
        "call": seq, "path": format!("/do/0/each[{seq}]/do/0/send"), "digest": "5f0c1a2b3c4d5e6f",
        "outcome": { "Ok": { "title": "Alice's Adventures in Wonderland", "chapter": seq, "posted": true } }
    } } })
}

fn row(id: RunId) -> RunRow {
    RunRow {
        id,
        definition: "5f0c1a2b3c4d5e6f".to_owned(),
        namespace: "default".to_owned(),
        name: "book-to-channel".to_owned(),
        version: "1.0.0".to_owned(),
        status: "running".to_owned(),
        input: json!({ "book": "blob:sha256:5f0c1a2b3c4d5e6f", "channel": "@books", "posts": 5 }),
        output: None,
        error: None,
        parent: None,
        origin: None,
        origin_path: None,
        trigger: None,
        idempotency_key: None,
        wake_at: None,
        created_at: 1_700_000_000_000,
        started_at: None,
        updated_at: 1_700_000_000_000,
        ended_at: None,
        labels: json!({}),
        recoveries: 0,
    }
}

fn update(seq: u64) -> RunUpdate {
    RunUpdate {
        status: "running".to_owned(),
        output: None,
        error: None,
        wake_at: Some(i64::MIN),
        started_at: None,
        updated_at: 1_700_000_000_000 + i64::try_from(seq).unwrap_or(0),
        ended_at: None,
        labels: None,
        recoveries: 0,
    }
}

fn report(producers: u32, latencies: &mut [Duration], took: Duration, metrics: &Metrics) {
    latencies.sort();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    let (writes, commits, seconds) = (metrics.writes as f64, metrics.commits as f64, took.as_secs_f64());
    println!(
        "{producers:>9} {:>10.0} {:>9.0} {:>8.1} {:>9.0} {:>9.0} {:>12.3}",
        writes / seconds,
        commits / seconds,
        writes / commits,
        at(0.5),
        at(0.99),
        metrics.flushes as f64 / writes,
    );
}
