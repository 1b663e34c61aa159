//! Runs that have ended leave the store when their time is over. What they were is in the archive first: a file of JSON lines for each day.
//!
//! Everything goes in small steps with pauses between them, so that whoever works beside it does not notice. A crash between two steps costs
//! nothing: what was archived and not yet on its way out is archived again, what is on its way out goes on leaving.

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use potok_dsl::{RunId, Timestamp};
use potok_journal::{Store, StoreError, Write, Written};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{RunView, TaskEvent, shell};

/// How many runs leave at once.
const RUNS: usize = 50;

/// How many rows are removed in one write.
const ROWS: usize = 500;

/// How many blobs are looked at in a round.
const BLOBS: usize = 500;

/// How many events of a run are read at once.
const PAGE: usize = 1_000;

/// How long others have the store between two writes.
const PAUSE: Duration = Duration::from_millis(10);

/// How long blobs that nothing mentions stay, where runs leave by their number alone.
const BLOBS_STAY: Duration = Duration::from_secs(24 * 3_600);

/// How long runs that have ended stay in the store.
#[derive(Debug, Clone)]
pub struct RunRetention {
    /// No longer than this.
    pub age: Option<Duration>,
    /// No more than so many.
    pub count: Option<u64>,
    /// The directory that they are written to before.
    pub archive: PathBuf,
    /// How often it is looked which may leave.
    pub every: Duration,
}

/// Why nothing leaves for now.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the archive '{0}' cannot be written: {1}")]
    Archive(String, io::Error),
}

/// Lets runs leave when their time is over, for as long as the node runs.
pub(crate) async fn keep_few(store: Arc<dyn Store>, retention: RunRetention) {
    loop {
        if let Err(why) = round(&*store, &retention, shell::now()).await {
            tracing::warn!(%why, "runs whose time is over stay for now");
        }
        tokio::time::sleep(retention.every).await;
    }
}

async fn round(store: &dyn Store, retention: &RunRetention, now: Timestamp) -> Result<(), Stays> {
    // What was on its way out when a node stopped.
    sweep(store).await?;
    let before_age = retention.age.map(|age| before(now, age));
    let before_count = match retention.count {
        Some(count) => store.oldest_of_newest(count).await?,
        None => None,
    };
    if let Some(before) = before_age.into_iter().chain(before_count).max() {
        loop {
            let runs = store.retirable(before, RUNS).await?;
            if runs.is_empty() {
                break;
            }
            archive(store, &retention.archive, &runs, now).await?;
            for run in runs {
                store.commit(Write::Retire { run }).await?;
            }
            sweep(store).await?;
        }
    }
    let before = before(now, retention.age.unwrap_or(BLOBS_STAY));
    loop {
        let hashes = store.unmentioned_blobs(before, BLOBS).await?;
        if hashes.is_empty() || swept(store.commit(Write::SweepBlobs { hashes, before }).await?) == 0 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn before(now: Timestamp, age: Duration) -> i64 {
    now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

async fn sweep(store: &dyn Store) -> Result<(), StoreError> {
    while swept(store.commit(Write::Sweep { most: ROWS }).await?) > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn swept(written: Written) -> u64 {
    match written {
        Written::Swept(rows) => rows,
        _ => 0,
    }
}

/// Writes runs to the archive; when it returns they are on the disk.
async fn archive(store: &dyn Store, directory: &Path, runs: &[RunId], now: Timestamp) -> Result<(), Stays> {
    let day = now.rfc3339();
    let path = directory.join(format!("runs-{}.jsonl", day.get(..10).unwrap_or(&day)));
    let failed = |error| Stays::Archive(path.display().to_string(), error);
    let opened = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || open(&path)).await
    };
    let (file, end) = opened
        .map_err(|error| failed(io::Error::other(error)))?
        .map_err(failed)?;
    let mut out = tokio::io::BufWriter::new(tokio::fs::File::from_std(file));
    let written = write(store, &mut out, runs).await;
    let flushed = match written {
        Ok(()) => out.flush().await.map_err(failed),
        Err(Line::Store(error)) => Err(error.into()),
        Err(Line::Io(error)) => Err(failed(error)),
    };
    let file = out.into_inner();
    if let Err(why) = flushed {
        // Half a line helps nobody. If this fails too, the next round finds it and cuts it off.
        let _ = file.set_len(end).await;
        return Err(why);
    }
    file.sync_all().await.map_err(failed)?;
    let directory = directory.to_owned();
    let synced = tokio::task::spawn_blocking(move || std::fs::File::open(directory)?.sync_all()).await;
    synced.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)
}

/// Why a line is not whole.
enum Line {
    Store(StoreError),
    Io(io::Error),
}

impl From<StoreError> for Line {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Line {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn write(store: &dyn Store, out: &mut tokio::io::BufWriter<tokio::fs::File>, runs: &[RunId]) -> Result<(), Line> {
    for run in runs {
        let Some(row) = store.run_row(*run).await? else {
            continue;
        };
        let view = RunView::from(row);
        out.write_all(format!("{{\"run\":{},\"history\":[", told(&view)).as_bytes())
            .await?;
        let (mut last, mut comma) = (None, "");
        loop {
            let page = store.timeline(*run, last, PAGE).await?;
            let Some(newest) = page.last().map(|row| row.ordinal) else {
                break;
            };
            for row in page {
                out.write_all(format!("{comma}{}", event(row.entry)).as_bytes()).await?;
                comma = ",";
            }
            last = Some(newest);
        }
        out.write_all(b"]}\n").await?;
    }
    Ok(())
}

/// A run as the archive has it: as the API shows it.
fn told(view: &RunView) -> Value {
    let mut value = json!(view);
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("wakeAt");
        for (name, at) in [
            ("createdAt", Some(view.created_at)),
            ("updatedAt", Some(view.updated_at)),
            ("endedAt", view.ended_at),
        ] {
            members.insert(name.to_owned(), json!(at.map(Timestamp::rfc3339)));
        }
        members.retain(|_, value| !value.is_null());
    }
    value
}

/// A line of a history, as the API shows it. One that this version does not know stays as it is.
fn event(entry: Value) -> Value {
    let Ok(event) = serde_json::from_value::<TaskEvent>(entry.clone()) else {
        return entry;
    };
    let mut value = json!(event);
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("at");
        members.insert("time".to_owned(), json!(event.at.rfc3339()));
        if let Some(until) = event.until {
            members.insert("until".to_owned(), json!(until.rfc3339()));
        }
    }
    value
}

/// Opens a file of the archive at its end; what a crash has left of a line is cut off.
fn open(path: &Path) -> io::Result<(std::fs::File, u64)> {
    if let Some(directory) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let length = file.metadata()?.len();
    let end = end_of_lines(&mut file, length)?;
    if end < length {
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end))?;
    Ok((file, end))
}

/// Where the last whole line of a file ends.
fn end_of_lines(file: &mut std::fs::File, length: u64) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = vec![0; usize::try_from(end - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn half_a_line_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive").join("runs.jsonl");
        assert_eq!(open(&path).unwrap().1, 0);
        for (text, kept) in [
            ("{}\n{}\n", 6),
            ("{}\n{\"run\":", 3),
            ("{\"run\":", 0),
            (&format!("{{}}\n{}", "x".repeat(200_000)), 3),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(open(&path).unwrap().1, kept);
            assert_eq!(std::fs::metadata(&path).unwrap().len(), kept);
        }
    }
}
