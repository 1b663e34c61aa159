//! What tests of the whole system share: the binary, and a server that runs in a directory of its own.
//!
//! A test crate for tests alone: what goes wrong here panics, with what the server said last.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::VecDeque,
    env,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex, OnceLock},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::watch,
    time::timeout,
};

/// Nothing that is waited for takes longer, on a busy machine either.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// So many lines of a server's log are kept.
const LINES: usize = 60;

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    // As it is now: a build in a shared cache may be of another checkout.
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = std::env::var_os("CARGO_MANIFEST_DIR");
        here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
            .join("..")
            .canonicalize()
            .expect("the crate is in the repository")
    });
    &ROOT
}

/// The binary: the one that `POTOK` names, else the one beside this test, built if need be.
pub fn potok_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("POTOK").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let test = env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("it is target/<profile>/deps/<test>");
    let target = profile.parent().expect("it is target/<profile>");
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "-p", "potok", "--target-dir"])
        .arg(target)
        .current_dir(repository());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().expect("cargo can be started").success(),
        "the binary was not built"
    );
    profile.join("potok")
}

/// `potok serve`, on a port of its own. Dropping it kills it.
pub struct Server {
    child: Child,
    url: String,
    log: Log,
}

impl Server {
    /// Starts on a data directory, with more arguments if there are any, and waits until it serves. It sees no `POTOK_…` variable of
    /// this process.
    pub async fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_by(Command::new(potok_binary()), data, arguments).await
    }

    /// The same by a command that becomes the binary.
    pub async fn start_by(command: Command, data: &Path, arguments: &[&str]) -> Self {
        let mut command = serve(command, data, arguments);
        let mut child = command.spawn().expect("the binary can be started");
        let log = Log::default();
        let mut told = log.follow(child.stderr.take().expect("it is piped"));
        let url = match timeout(PATIENCE, told.wait_for(Option::is_some)).await {
            Ok(Ok(url)) => url.clone().unwrap_or_default(),
            Ok(Err(_)) => panic!("the server ended before it listened:\n{}", log.text()),
            Err(_) => panic!("the server did not listen within {PATIENCE:?}:\n{}", log.text()),
        };
        Self { child, url, log }
    }

    /// A start that comes to nothing: its exit code, and what it said.
    pub async fn refuses(command: Command, data: &Path) -> (Option<i32>, String) {
        let ended = timeout(PATIENCE, serve(command, data, &[]).output()).await;
        let ended = ended.expect("it ends by itself").expect("the binary can be started");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("the server is running")
    }

    /// Where it serves: `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// `SIGKILL`, and waits until the process is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the server was running");
    }

    /// `SIGTERM`, and waits for the end.
    pub async fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().expect("the server is running");
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .await;
        assert!(
            sent.expect("there is a shell").success(),
            "the server had ended:\n{}",
            self.log()
        );
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended
            .expect("the server stops when it is told to")
            .expect("it can be waited for")
    }
}

/// A command that becomes the binary, told to serve.
fn serve(mut command: Command, data: &Path, arguments: &[&str]) -> Command {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POTOK")) {
        command.env_remove(name);
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .args(arguments)
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    /// Reads to the end, so that the server never waits for a reader; tells the address as soon as it stands there.
    fn follow(&self, stderr: ChildStderr) -> watch::Receiver<Option<String>> {
        let (found, url) = watch::channel(None);
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    found.send_replace(rest.split_whitespace().next().map(str::to_owned));
                }
                log.push(line);
            }
        });
        url
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().iter().cloned().collect::<Vec<_>>().join("\n")
    }
}
