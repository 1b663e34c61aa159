//! Compiled code on disk, so that a plugin is compiled once for each version of the engine.
//!
//! Wasmtime's own cache keeps it, named by a hash of component, compiler and settings, and written by rename. What lies
//! there is executed, and the cache looks at no checksum; so each file has a *seal* here, the hash of its bytes, and one
//! whose seal is missing or broken is removed before anything is loaded: a damaged file costs a compilation.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use sha2::{Digest, Sha256};
use wasmtime::{Cache, CacheConfig, Engine, component::Component};

use crate::error::HostError;

/// Files that were found whole, as they were then: length and time.
type Whole = HashMap<PathBuf, (u64, Option<SystemTime>)>;

/// The compiled code of all engines of a host.
pub(crate) struct CodeCache {
    cache: Cache,
    modules: PathBuf,
    seals: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Files that were found whole, as they were then.
    whole: Whole,
    /// How many are compiling, whose files have no seals yet.
    compiling: usize,
}

/// Someone compiles; what has come is sealed when it is over.
struct Compiling<'c>(&'c CodeCache);

impl Drop for Compiling<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl CodeCache {
    pub(crate) fn open(dir: &Path) -> Result<Self, HostError> {
        let failed = |reason: String| HostError::Cache {
            dir: dir.display().to_string(),
            reason,
        };
        let dir = std::path::absolute(dir).map_err(|e| failed(e.to_string()))?;
        let (modules, seals) = (dir.join("modules"), dir.join("seals"));
        for dir in [&dir, &modules, &seals] {
            create_private(dir).map_err(|e| failed(e.to_string()))?;
        }
        let mut config = CacheConfig::new();
        // Files stay as they were written, or their seals would break.
        config
            .with_directory(&dir)
            .with_optimized_compression_usage_counter_threshold(u64::MAX);
        let cache = Cache::new(config).map_err(|e| failed(format!("{e:#}")))?;
        Ok(Self {
            cache,
            modules,
            seals,
            state: Mutex::default(),
        })
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Someone begins to compile. The files are looked at by the first of those who do so at once: what the others write has no seals yet.
    fn begin(&self) -> Compiling<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.compiling == 0 {
            self.check(&mut state.whole);
        }
        state.compiling += 1;
        Compiling(self)
    }

    fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.seal(&mut state.whole);
        state.compiling -= 1;
    }

    /// Removes every file that is not as it was sealed.
    fn check(&self, whole: &mut Whole) {
        for (file, seal) in self.files() {
            let state = state(&file);
            if state.is_some() && whole.get(&file) == state.as_ref() {
                continue;
            }
            let sealed = fs::read_to_string(&seal).ok();
            let intact = sealed.is_some() && digest(&file).ok() == sealed;
            match (intact, state) {
                (true, Some(state)) => drop(whole.insert(file, state)),
                _ => {
                    tracing::debug!(file = %file.display(), "compiled code without a whole seal is removed");
                    drop(fs::remove_file(&file));
                    drop(fs::remove_file(&seal));
                }
            }
        }
    }

    /// Seals the files that came since the check.
    fn seal(&self, whole: &mut Whole) {
        for (file, seal) in self.files() {
            if whole.contains_key(&file) || seal.exists() {
                continue;
            }
            match (
                state(&file),
                digest(&file).and_then(|digest| write_atomically(&seal, &digest)),
            ) {
                (Some(state), Ok(())) => drop(whole.insert(file, state)),
                (_, Err(error)) => tracing::warn!(seal = %seal.display(), %error, "compiled code is not kept"),
                (None, _) => {}
            }
        }
    }

    /// The files of compiled code with their seals. Beside them lie statistics and files that are being written.
    fn files(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut files = Vec::new();
        for compiler in entries(&self.modules) {
            for file in entries(&compiler).filter(|file| file.extension().is_none() && file.is_file()) {
                let relative = file.strip_prefix(&self.modules).unwrap_or(&file);
                let seal = self.seals.join(relative);
                files.push((file, seal));
            }
        }
        files
    }
}

/// Compiles a component, or takes the compiled code from the cache.
pub(crate) fn compile(engine: &Engine, cache: Option<&CodeCache>, bytes: &[u8]) -> wasmtime::Result<Component> {
    let _compiling = cache.map(CodeCache::begin);
    Component::from_binary(engine, bytes)
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
}

fn state(file: &Path) -> Option<(u64, Option<SystemTime>)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

fn digest(file: &Path) -> io::Result<String> {
    Ok(crate::hex(&Sha256::digest(fs::read(file)?)))
}

fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        create_private(dir)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, text)?;
    fs::rename(temporary, path)
}

#[cfg(unix)]
fn create_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn create_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn those_who_compile_at_once_leave_each_others_files() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(directory.path()).unwrap();
        let compiler = directory.path().join("modules").join("compiler");
        fs::create_dir(&compiler).unwrap();
        let [left, mine] = ["left", "mine"].map(|name| compiler.join(name));
        fs::write(&left, "by one who died").unwrap();
        let first = cache.begin();
        assert!(!left.exists(), "nobody has sealed it");
        fs::write(&mine, "compiled").unwrap();
        let second = cache.begin();
        assert!(mine.exists(), "it is of one who compiles");
        drop((first, second));
        drop(cache.begin());
        assert!(mine.exists(), "it was sealed");
        fs::write(&mine, "something else").unwrap();
        drop(cache.begin());
        assert!(!mine.exists());
    }
}
