//! Keeping the world's messages across restarts: a file of JSON lines that is appended to and now and then rewritten.
//!
//! What is written survives the end of the process, however it ends; it is not flushed to the disk, so a power cut may
//! take the last lines. A last line that was cut off is forgotten, any other damage is an error.

use std::fs::File as LockFile;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::server::SandboxError;
use crate::world::{Change, World};

const FORMAT: u64 = 1;

/// So many bytes may be appended before the file is rewritten.
const REWRITE_AFTER: u64 = 64 << 20;

/// The open file.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    file: File,
    appended: u64,
    /// Held as long as the sandbox runs: two in one directory would mix their worlds.
    _lock: LockFile,
}

impl Store {
    /// Reads what was kept in `directory` into `world`, and makes ready to keep more.
    pub(crate) async fn open(directory: &Path, world: &mut World) -> Result<Self, SandboxError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SandboxError::State { path, source }
        };
        fs::create_dir_all(directory).await.map_err(failed(directory))?;
        let lock_path = directory.join("sandbox.lock");
        let lock = LockFile::create(&lock_path).map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(SandboxError::StateInUse {
                    path: directory.to_owned(),
                });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(&lock_path)(source)),
        }
        let path = directory.join("world.jsonl");
        match fs::read_to_string(&path).await {
            Ok(text) => replay(&text, world).map_err(|(line, reason)| SandboxError::StateDamaged {
                path: path.clone(),
                line,
                reason,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path)(error)),
        }
        let file = rewrite(&path, world.everything()).await.map_err(failed(&path))?;
        Ok(Self {
            path,
            file,
            appended: 0,
            _lock: lock,
        })
    }

    /// Keeps changes. `everything` is asked for when the file is to be rewritten.
    pub(crate) async fn append(
        &mut self,
        changes: &[Change],
        everything: impl FnOnce() -> Vec<Change>,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        for change in changes {
            serde_json::to_writer(&mut lines, change)?;
            lines.push(b'\n');
        }
        self.file.write_all(&lines).await?;
        self.file.flush().await?;
        self.appended += lines.len() as u64;
        if self.appended > REWRITE_AFTER {
            self.file = rewrite(&self.path, everything()).await?;
            self.appended = 0;
        }
        Ok(())
    }
}

/// Reads lines; the error names the line and what is wrong with it.
fn replay(text: &str, world: &mut World) -> Result<(), (usize, String)> {
    let mut lines = text.split_inclusive('\n').enumerate().peekable();
    let Some((_, first)) = lines.next() else { return Ok(()) };
    let header: Value = serde_json::from_str(first).map_err(|error| (1, error.to_string()))?;
    if header["potok_sandbox"] != json!(FORMAT) {
        return Err((1, format!("not a world of format {FORMAT}: {}", first.trim_end())));
    }
    while let Some((index, line)) = lines.next() {
        match serde_json::from_str(line) {
            Ok(change) => world.replay(change),
            Err(_) if lines.peek().is_none() && !line.ends_with('\n') => {
                tracing::warn!(line = index + 1, "the last line was cut off and is forgotten");
            }
            Err(error) => return Err((index + 1, error.to_string())),
        }
    }
    Ok(())
}

/// Writes a new file beside the old one and puts it in its place.
async fn rewrite(path: &Path, changes: Vec<Change>) -> io::Result<File> {
    let mut bytes = format!("{}\n", json!({ "potok_sandbox": FORMAT })).into_bytes();
    for change in &changes {
        serde_json::to_writer(&mut bytes, change)?;
        bytes.push(b'\n');
    }
    let beside = path.with_extension("jsonl.new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&beside)
        .await?;
    file.write_all(&bytes).await?;
    file.sync_all().await?;
    fs::rename(&beside, path).await?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::text::Formatted;
    use crate::world::{DEFAULT_CHANNEL, Membership, Post, RateLimits, WorldSeed};

    fn world() -> World {
        World::new(WorldSeed::default(), RateLimits::off(), 0)
    }

    fn texts(world: &World) -> Vec<String> {
        let chat = world.find_chat(DEFAULT_CHANNEL).unwrap();
        chat.messages
            .values()
            .map(|message| message.content.text.clone())
            .collect()
    }

    async fn send(world: &mut World, store: &mut Store, text: &str) {
        let content = Formatted {
            text: text.to_owned(),
            entities: Vec::new(),
        };
        world
            .send(
                1_000_001,
                DEFAULT_CHANNEL,
                Post {
                    content,
                    ..Post::default()
                },
                5,
            )
            .unwrap();
        let changes = world.take_changes();
        store.append(&changes, || world.everything()).await.unwrap();
    }

    #[tokio::test]
    async fn messages_come_back_and_numbers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = world();
        let mut store = Store::open(directory.path(), &mut first).await.unwrap();
        send(&mut first, &mut store, "one").await;
        send(&mut first, &mut store, "two").await;
        first.delete(1_000_001, DEFAULT_CHANNEL, 2, 6).unwrap();
        store.append(&first.take_changes(), Vec::new).await.unwrap();
        assert!(matches!(
            Store::open(directory.path(), &mut world()).await,
            Err(SandboxError::StateInUse { .. })
        ));
        drop(store);

        let mut second = world();
        let mut store = Store::open(directory.path(), &mut second).await.unwrap();
        assert_eq!(texts(&second), ["one"]);
        send(&mut second, &mut store, "three").await;
        assert_eq!(
            second
                .find_chat(DEFAULT_CHANNEL)
                .unwrap()
                .messages
                .keys()
                .copied()
                .collect::<Vec<_>>(),
            [1, 3]
        );
    }

    #[tokio::test]
    async fn who_is_what_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = world();
        let mut store = Store::open(directory.path(), &mut first).await.unwrap();
        let channel = first.find_chat(DEFAULT_CHANNEL).unwrap().id;
        first.set_membership(channel, 1_000_001, Membership::Kicked);
        store.append(&first.take_changes(), Vec::new).await.unwrap();
        drop(store);
        // Once as it was written, once as it was rewritten by the start.
        for _ in 0..2 {
            let mut again = world();
            drop(Store::open(directory.path(), &mut again).await.unwrap());
            let chat = again.find_chat(DEFAULT_CHANNEL).unwrap();
            assert_eq!(chat.membership(1_000_001), &Membership::Kicked);
        }
    }

    #[tokio::test]
    async fn a_cut_off_line_is_forgotten_and_damage_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = world();
        let mut store = Store::open(directory.path(), &mut first).await.unwrap();
        send(&mut first, &mut store, "one").await;
        drop(store);
        let path = directory.path().join("world.jsonl");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"change\":\"mess")).unwrap();
        let mut second = world();
        drop(Store::open(directory.path(), &mut second).await.unwrap());
        assert_eq!(texts(&second), ["one"]);
        std::fs::write(&path, format!("{whole}nonsense\n")).unwrap();
        let damaged = Store::open(directory.path(), &mut world()).await.unwrap_err();
        assert!(matches!(damaged, SandboxError::StateDamaged { .. }), "{damaged}");
    }
}
