//! Compiled code on disk, so that a plugin is compiled once for each version of the engine, and mapped, so that only what runs takes memory.
//!
//! A file holds what the compiler gave for one component. Its name is the *key* (a hash of the component, the compiler and its settings) and the
//! *seal* (the hash of its own bytes), so that one rename puts both there at once: a file that was half written or damaged is known by its name,
//! is removed, and costs a compilation. What is used least gives way when all of them are too large together.
//!
//! This is the one room with `unsafe`: code that is mapped is executed, and no compiler sees whether it may be. [`CodeCache::component`] says why
//! it may.

use std::{
    fs::{self, File},
    hash::{Hash, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

/// How large all files may be together, in bytes. A plugin takes one to twenty million.
const ROOM: u64 = 1 << 30;

/// What the name of a file ends with while it is being written.
const UNFINISHED: &str = ".part";

/// A directory with compiled code. Those who use it at once, in one process or in several, do not disturb each other.
#[derive(Debug)]
pub struct CodeCache {
    directory: PathBuf,
    room: u64,
}

impl CodeCache {
    /// Creates the directory if need be, for its owner alone: what lies there is executed.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let directory = std::path::absolute(directory)?;
        create_private(&directory)?;
        Ok(Self { directory, room: ROOM })
    }

    /// A component's code, from its file if there is one, else compiled and kept. Code that cannot be kept is compiled all the same.
    ///
    /// # Errors
    /// When the bytes are no component, or one that the engine cannot have.
    pub fn component(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let key = key(engine, bytes);
        if let Some(component) = self.find(engine, &key) {
            return Ok(component);
        }
        let code = engine.precompile_component(bytes)?;
        match self.keep(&key, &code) {
            Ok(file) => {
                self.make_room(&file);
                map(engine, &file)
            }
            Err(error) => {
                tracing::warn!(directory = %self.directory.display(), %error, "compiled code is not kept");
                Component::from_binary(engine, bytes)
            }
        }
    }

    /// The code under a key. A file that is not as it was written, or that the engine does not take, is removed.
    fn find(&self, engine: &Engine, key: &str) -> Option<Component> {
        self.files().find_map(|file| {
            let seal = seal_of(&file, key)?;
            if digest(&file).is_ok_and(|digest| digest == seal)
                && let Ok(component) = map(engine, &file)
            {
                // Only tells which files are used. Who may not set it loses nothing.
                let _ = File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
                return Some(component);
            }
            tracing::debug!(file = %file.display(), "compiled code that is not as it was written is removed");
            let _ = fs::remove_file(&file);
            None
        })
    }

    /// Writes code where it is found next time.
    fn keep(&self, key: &str, code: &[u8]) -> io::Result<PathBuf> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let file = self.directory.join(format!("{key}.{}", hex(&Sha256::digest(code))));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let part = self
            .directory
            .join(format!("{key}.{}.{number}{UNFINISHED}", std::process::id()));
        let written = fs::write(&part, code).and_then(|()| fs::rename(&part, &file));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written.map(|()| file)
    }

    /// Removes what was used longest ago until the rest fits; the newest file stays in any case. Who has mapped a file keeps what it maps.
    fn make_room(&self, newest: &Path) {
        let described = |file: PathBuf| {
            let metadata = fs::metadata(&file).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), file))
        };
        let mut files: Vec<_> = self.files().filter_map(described).collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut all = 0;
        for (_, size, file) in files {
            all += size;
            if all > self.room && file != newest {
                let _ = fs::remove_file(file);
            }
        }
    }

    /// The files here, those too that were never finished.
    fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten();
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        paths.filter(|path| path.is_file())
    }
}

/// The code of a file that was just found, or written, whole. It is mapped; where the file system lets nobody execute what lies there (`noexec`),
/// it is copied, and takes its memory.
#[allow(unsafe_code, reason = "what is mapped is executed")]
fn map(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file has, byte by byte, what `Engine::precompile_component` gave: its name holds their hash, which was taken of it just before.
    // The engine compares version and settings itself. Nobody changes the file while it is mapped: it lies where only this user may go, came there
    // by a rename and is never written again; removing it leaves the mapping as it is. All of this holds for the copy too.
    unsafe { Component::deserialize_file(engine, file).or_else(|_| Component::deserialize(engine, fs::read(file)?)) }
}

/// What names the code of a component: the component, the compiler's version and its settings.
fn key(engine: &Engine, bytes: &[u8]) -> String {
    let mut hasher = Hashing(Sha256::new_with_prefix(Sha256::digest(bytes)));
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex(&hasher.0.finalize())
}

/// The seal in the name of a file, if it is one of a key.
fn seal_of<'f>(file: &'f Path, key: &str) -> Option<&'f str> {
    let seal = file.file_name()?.to_str()?.strip_prefix(key)?.strip_prefix('.')?;
    (!seal.ends_with(UNFINISHED)).then_some(seal)
}

/// Takes whatever is hashed into a digest.
struct Hashing(Sha256);

impl Hasher for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

fn digest(file: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (File::open(file)?, Sha256::new());
    let mut part = vec![0; 256 << 10];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&part[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(unix)]
fn create_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    /// A component with nothing in it but a module of its own, so that no two are alike.
    fn component(number: u8) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.extend([0, 3, 1, b'n', number]);
        bytes
    }

    fn names(cache: &CodeCache) -> Vec<String> {
        let name = |file: PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = cache.files().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn code_is_compiled_once_and_found_by_the_next() {
        let (directory, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(directory.path()).unwrap();
        assert!(cache.find(&engine, &key(&engine, &component(1))).is_none());
        cache.component(&engine, &component(1)).unwrap();
        let kept = names(&cache);
        assert_eq!(kept.len(), 1);
        let next = CodeCache::open(directory.path()).unwrap();
        assert!(next.find(&engine, &key(&engine, &component(1))).is_some());
        assert!(next.find(&engine, &key(&engine, &component(2))).is_none());
        assert_eq!(names(&next), kept);
    }

    #[test]
    fn another_engine_has_code_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(directory.path()).unwrap();
        let fuelled = Engine::new(wasmtime::Config::new().consume_fuel(true)).unwrap();
        for engine in [&Engine::default(), &fuelled] {
            cache.component(engine, &component(1)).unwrap();
        }
        assert_eq!(names(&cache).len(), 2);
    }

    #[test]
    fn damaged_code_is_removed_and_compiled_again() {
        let (directory, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(directory.path()).unwrap();
        cache.component(&engine, &component(1)).unwrap();
        let file = cache.files().next().unwrap();
        let whole = fs::read(&file).unwrap();
        for damaged in [&whole[..whole.len() / 2], b"", b"something else"] {
            // As a disk would damage it: nobody has it mapped.
            fs::write(&file, damaged).unwrap();
            assert!(cache.find(&engine, &key(&engine, &component(1))).is_none());
            assert!(!file.exists());
            cache.component(&engine, &component(1)).unwrap();
            assert_eq!(fs::read(&file).unwrap(), whole);
        }
    }

    #[test]
    fn a_file_of_another_version_is_removed() {
        let (directory, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(directory.path()).unwrap();
        let key = key(&engine, &component(1));
        let file = cache.keep(&key, b"what another version of the engine wrote").unwrap();
        cache.component(&engine, &component(1)).unwrap();
        assert!(!file.exists());
        assert_eq!(names(&cache).len(), 1);
    }

    #[test]
    fn what_is_used_least_gives_way() {
        let (directory, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let mut cache = CodeCache::open(directory.path()).unwrap();
        for number in 0..3 {
            cache.component(&engine, &component(number)).unwrap();
            let newest = key(&engine, &component(number));
            let file = cache.files().find(|file| seal_of(file, &newest).is_some()).unwrap();
            let long_ago = SystemTime::now() - Duration::from_secs(100 - u64::from(number));
            File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        let size = cache.files().next().unwrap().metadata().unwrap().len();
        cache.component(&engine, &component(0)).unwrap();
        cache.room = size * 3 + size / 2;
        cache.component(&engine, &component(3)).unwrap();
        let there = |number| cache.find(&engine, &key(&engine, &component(number))).is_some();
        assert_eq!([0, 1, 2, 3].map(there), [true, false, true, true]);
    }

    /// A file system that lets nobody execute what lies there; `None` where this user may mount nothing.
    #[cfg(target_os = "linux")]
    fn without_execution(directory: &Path) -> Option<impl Drop> {
        struct Mounted(PathBuf);
        impl Drop for Mounted {
            fn drop(&mut self) {
                let _ = std::process::Command::new("umount").arg(&self.0).status();
            }
        }
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "noexec,size=4m", "potok-test"]);
        let mounted = mount.arg(directory).status().is_ok_and(|status| status.success());
        mounted.then(|| Mounted(directory.to_owned()))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn code_on_a_disk_without_execution_is_copied_and_stays() {
        let (directory, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let Some(_mounted) = without_execution(directory.path()) else {
            return eprintln!("no file system can be mounted here: not tried");
        };
        let cache = CodeCache::open(directory.path()).unwrap();
        cache.component(&engine, &component(1)).unwrap();
        let kept = names(&cache);
        assert!(cache.find(&engine, &key(&engine, &component(1))).is_some());
        assert_eq!((kept.len(), names(&cache)), (1, kept));
    }

    #[test]
    fn a_directory_that_cannot_be_written_costs_compilations_alone() {
        let (directory, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(&directory.path().join("code")).unwrap();
        fs::remove_dir(directory.path().join("code")).unwrap();
        cache.component(&engine, &component(1)).unwrap();
        assert!(cache.component(&engine, b"no component").is_err());
    }
}
