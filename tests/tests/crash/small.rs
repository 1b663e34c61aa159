//! A small disk that can be filled and made read-only under a server: a real one where the system lets us mount one, and a limit on the sizes of
//! the server's files (`RLIMIT_FSIZE`), by which real writes fail too, everywhere.

use std::{
    fs::{File, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use potok_tests::potok_binary;

use crate::engine::Engine;

/// How large a mounted one is, in MiB.
const SIZE: usize = 48;

/// What is used up of it when it is full.
const BALLAST: &str = "ballast";

/// How the disk comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A file system in memory.
    Memory,
    /// A file system in a file, which turns read-only at an error of its own.
    File,
    /// A directory, where the server may not let its files grow.
    Limited,
}

/// See the module.
pub struct SmallDisk {
    kind: Kind,
    place: tempfile::TempDir,
}

impl SmallDisk {
    /// The disks that can be had here which can be filled and emptied.
    pub fn that_fill() -> Vec<Self> {
        Self::mounted(Kind::Memory)
            .into_iter()
            .chain([Self::limited()])
            .collect()
    }

    /// The disks that can be had here which can turn read-only under a server.
    pub fn that_turn() -> Vec<Self> {
        Self::mounted(Kind::File).into_iter().chain([Self::limited()]).collect()
    }

    fn limited() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self {
            kind: Kind::Limited,
            place,
        }
    }

    fn mounted(kind: Kind) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("disk")).unwrap();
        let disk = Self { kind, place };
        if kind == Kind::File {
            let image = File::create(disk.image()).unwrap();
            image.set_len((SIZE as u64) << 20).unwrap();
            run("mkfs.ext4", &["-q", &text(&disk.image())]).ok()?;
        }
        let mounted = disk.mount();
        if let Err(why) = &mounted {
            eprintln!("no {kind:?} can be mounted here, so the limit has to do: {why}");
        }
        mounted.ok().map(|()| disk)
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    fn mount(&self) -> Result<(), String> {
        let (image, disk) = (text(&self.image()), text(&self.data()));
        let size = format!("size={SIZE}m");
        let arguments: &[&str] = match self.kind {
            Kind::Memory => &["-t", "tmpfs", "-o", &size, "potok-test", &disk],
            Kind::File => &["-o", "loop,errors=remount-ro", &image, &disk],
            Kind::Limited => return Ok(()),
        };
        run("mount", arguments).map(drop)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        if self.kind == Kind::Limited {
            self.place.path().to_owned()
        } else {
            self.place.path().join("disk")
        }
    }

    /// What starts a server on it.
    pub fn command(&self) -> tokio::process::Command {
        self.shell("exec \"$0\" \"$@\"")
    }

    /// The binary by a shell. A signal is sent with the error when a limit is passed; with a full disk it is not.
    fn shell(&self, script: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("sh");
        command
            .arg("-c")
            .arg(format!("trap '' XFSZ; {script}"))
            .arg(potok_binary());
        command
    }

    /// Fills it under a server.
    pub fn fill(&self, engine: &Engine) {
        if self.kind == Kind::Limited {
            return limit(engine, "0");
        }
        self.fill_up();
    }

    /// Empties it under a server.
    pub fn empty(&self, engine: &Engine) {
        match self.kind {
            Kind::Limited => limit(engine, "unlimited"),
            _ => std::fs::remove_file(self.data().join(BALLAST)).unwrap(),
        }
    }

    fn fill_up(&self) {
        let mut ballast = File::create(self.data().join(BALLAST)).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![7; size];
            let failed = loop {
                if let Err(failed) = ballast.write_all(&block) {
                    break failed;
                }
            };
            assert_eq!(failed.kind(), ErrorKind::StorageFull, "{failed}");
        }
    }

    /// What a start on the full disk comes to.
    pub async fn start_on_full(&self) -> (Option<i32>, String) {
        if self.kind == Kind::Limited {
            let command = self.shell("ulimit -S -f 0; exec \"$0\" \"$@\"");
            return potok_tests::Server::refuses(command, &self.data()).await;
        }
        self.fill_up();
        let refused = potok_tests::Server::refuses(self.command(), &self.data()).await;
        std::fs::remove_file(self.data().join(BALLAST)).unwrap();
        refused
    }

    /// What a start on the disk comes to when it is read-only; `None` where this user may write whatever is forbidden and mount nothing.
    pub async fn start_on_read_only(&self) -> Option<(Option<i32>, String)> {
        let data = self.data();
        if self.kind != Kind::Limited {
            run("mount", &["-o", "remount,ro", &text(&data)]).unwrap();
            let refused = potok_tests::Server::refuses(self.command(), &data).await;
            run("mount", &["-o", "remount,rw", &text(&data)]).unwrap();
            return Some(refused);
        }
        forbid(&data, true);
        let may_all_the_same = File::create(data.join("probe")).is_ok();
        let refused = if may_all_the_same {
            None
        } else {
            Some(potok_tests::Server::refuses(self.command(), &data).await)
        };
        forbid(&data, false);
        refused
    }

    /// Makes it read-only under a server.
    pub fn turn_read_only(&self, engine: &Engine) {
        if self.kind == Kind::Limited {
            return limit(engine, "0");
        }
        let device = run("findmnt", &["-n", "-o", "SOURCE", &text(&self.data())]).unwrap_or_default();
        let name = Path::new(device.trim()).file_name().unwrap().to_owned();
        let trigger = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
        std::fs::write(trigger, "1").unwrap();
    }

    /// Whether it becomes writable again under the server that it has failed.
    pub fn heals(&self) -> bool {
        self.kind == Kind::Limited
    }

    /// Makes it writable again, with nobody on it.
    pub fn repair(&self) {
        if self.kind == Kind::File {
            run("umount", &[&text(&self.data())]).unwrap();
            // It says with 1 that something was mended.
            let _ = run("e2fsck", &["-p", "-f", &text(&self.image())]);
            self.mount().unwrap();
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.kind != Kind::Limited {
            // Whoever was on it is gone a moment later.
            let _ = run("umount", &["--lazy", &text(&self.data())]);
        }
    }
}

/// Lets a server's files grow up to a size.
fn limit(engine: &Engine, bytes: &str) {
    run(
        "prlimit",
        &[&format!("--pid={}", engine.id()), &format!("--fsize={bytes}:")],
    )
    .unwrap();
}

/// Whether its owner may not write to a directory and what is in it.
fn forbid(directory: &Path, forbidden: bool) {
    let mode = |writable: u32| Permissions::from_mode(if forbidden { writable & 0o555 } else { writable });
    for file in std::fs::read_dir(directory).unwrap() {
        std::fs::set_permissions(file.unwrap().path(), mode(0o600)).unwrap();
    }
    std::fs::set_permissions(directory, mode(0o700)).unwrap();
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let ended = Command::new(program).args(arguments).output();
    let ended = ended.map_err(|error| format!("{program}: {error}"))?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    Err(format!(
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&ended.stderr)
    ))
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
