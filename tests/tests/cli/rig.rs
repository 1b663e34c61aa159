//! The binary in a directory of its own, and what came of it.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use potok_dsl::RunId;
pub use potok_tests::repository;
use potok_tests::{PATIENCE, potok_binary};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

/// The bytes of a fixture plugin.
pub fn fixture(name: &str) -> Vec<u8> {
    let found = potok_plugins::fixtures()
        .iter()
        .find(|component| component.name == name);
    found.unwrap().decompress().unwrap()
}

/// A client for the servers of this machine.
pub fn client() -> reqwest::Client {
    // An error means that another test was faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(PATIENCE).build().unwrap()
}

/// The binary, with the shipped plugins compiled: once, and not by every test at the same time.
fn binary() -> &'static Path {
    static WARM: OnceLock<()> = OnceLock::new();
    let binary = potok_binary();
    WARM.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let mut first = std::process::Command::new(binary);
        first
            .arg("functions")
            .current_dir(directory.path())
            .env_clear()
            .envs(environment());
        assert!(
            first.output().unwrap().status.success(),
            "{} does not work",
            binary.display()
        );
    });
    binary
}

/// What the binary may see of this process's environment: no variable of Potok, and a cache of compiled plugins that tests share.
fn environment() -> Vec<(OsString, OsString)> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    let mut environment = vec![("XDG_CACHE_HOME".into(), cache.into())];
    environment.extend(
        ["HOME", "PATH", "TMPDIR"]
            .into_iter()
            .filter_map(|name| Some((name.into(), env::var_os(name)?))),
    );
    environment
}

/// The id of the run that a database has.
pub fn only_run(database: &Path) -> String {
    let connection = rusqlite::Connection::open(database).unwrap();
    let id: [u8; 16] = connection
        .query_row("SELECT id FROM runs", [], |row| row.get(0))
        .unwrap();
    RunId::from_bytes(id).to_string()
}

/// The binary in an empty directory, with an environment of its own.
pub struct Potok {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Potok {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    /// With the plugin `demo` installed in the data directory `data`.
    pub async fn with_demo() -> Self {
        let potok = Self::new();
        potok.write("demo.wasm", fixture("demo"));
        potok
            .run(&["plugin", "add", "demo.wasm", "--data-dir", "data"])
            .await
            .success();
        potok
    }

    /// With a variable set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where a file of the directory is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Writes a workflow into the directory: its name is the file's, `tasks` is the text below `do`.
    pub fn workflow(&self, name: &str, tasks: &str) {
        let header = format!("document: {{ dsl: '1.0.3', namespace: tests, name: {name}, version: '1.0.0' }}\ndo:\n");
        self.write(&format!("{name}.yaml"), format!("{header}{tasks}\n"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(environment());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the binary to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let output = timeout(PATIENCE, self.command(arguments).output()).await;
        Ran::new(output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap())
    }

    /// Runs the binary to its end, with something on its standard input.
    pub async fn run_with_stdin(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).await.unwrap();
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        Ran::new(output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap())
    }

    /// Runs a line as a shell does, where `potok` is the binary, in the repository.
    pub async fn shell(&self, line: &str) -> Ran {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &line.replacen("potok ", "\"$POTOK\" ", 1)])
            .current_dir(repository());
        shell
            .env_clear()
            .envs(environment())
            .env("POTOK", binary())
            .kill_on_drop(true);
        let output = timeout(PATIENCE, shell.output()).await;
        Ran::new(output.unwrap_or_else(|_| panic!("{line} does not end")).unwrap())
    }

    /// Starts the binary and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, out, err }
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It must have succeeded; gives what it printed.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// It must have completed with JSON on stdout and nothing else.
    #[track_caller]
    pub fn json(self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("stdout is not JSON ({e}): {self:?}"))
    }

    /// It must have faulted: nothing on stdout, the problem as JSON at the end of stderr.
    #[track_caller]
    pub fn problem(self) -> Value {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        let at = if self.err.starts_with('{') {
            0
        } else {
            self.err.find("\n{").map_or(0, |at| at + 1)
        };
        let problem: Value =
            serde_json::from_str(&self.err[at..]).unwrap_or_else(|e| panic!("no problem on stderr ({e}): {self:?}"));
        assert!(
            problem["type"].is_string() && problem["title"].is_string() && problem["status"].is_u64(),
            "{problem}"
        );
        problem
    }

    /// It must have failed with this code and with nothing on stdout; gives what it said.
    #[track_caller]
    pub fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self.err
    }
}

/// A command that was left running; killed when it is dropped.
pub struct Running {
    child: Child,
    pub out: Lines<BufReader<ChildStdout>>,
    pub err: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(
            std::process::Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for a line of stderr that contains a text.
    pub async fn told(&mut self, text: &str) -> String {
        let wait = async {
            while let Some(line) = self.err.next_line().await.unwrap() {
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        };
        timeout(PATIENCE, wait)
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("stderr ended without '{text}'"))
    }

    /// Waits for its end; gives the exit code and what was left on stdout and stderr.
    pub async fn ended(&mut self) -> (Option<i32>, String, String) {
        let rest = async {
            let (mut out, mut err) = (String::new(), String::new());
            while let Some(line) = self.out.next_line().await.unwrap() {
                out.push_str(&line);
                out.push('\n');
            }
            while let Some(line) = self.err.next_line().await.unwrap() {
                err.push_str(&line);
                err.push('\n');
            }
            (self.child.wait().await.unwrap().code(), out, err)
        };
        timeout(PATIENCE, rest).await.expect("it does not end")
    }
}
