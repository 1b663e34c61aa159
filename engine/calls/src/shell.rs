//! `run: shell`: a command of the operating system.
//!
//! A command runs in `/bin/sh`, in a fresh directory of its own, with `PATH` and the environment that it is given, and nothing else of this
//! process. It leads a process group; the group is killed when the command ends, when nobody wants its result any more, and at the deadline. A
//! process that leaves its group escapes: who needs more than that runs the engine itself confined.

use std::{
    ffi::OsString,
    io,
    process::{ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use indexmap::IndexMap;
use potok_dsl::{ErrorType, Problem};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    task::JoinSet,
    time::timeout_at,
};

/// What a command may write to its standard output, and to its standard error, in bytes.
pub const OUTPUT_LIMIT: usize = 4 * 1024 * 1024;

/// How many commands that nobody waits for there may be at once.
pub const MOST_DETACHED: usize = 256;

/// How much of a failed command's standard error its error tells, in bytes.
const TOLD: usize = 4 * 1024;

/// A command, every expression in it resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellCommand {
    /// The command as a shell reads it.
    pub command: String,
    /// `$1`, `$2`, …
    pub arguments: Vec<String>,
    /// Its environment, besides `PATH`.
    pub environment: IndexMap<String, String>,
    /// Its standard input; none is an empty one.
    pub stdin: Option<String>,
    /// What the output is.
    pub output: ProcessOutput,
    /// Whether its end is waited for.
    pub awaits: bool,
}

/// What the output of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessOutput {
    /// What it wrote to its standard output.
    Stdout,
    /// What it wrote to its standard error.
    Stderr,
    /// Its exit code.
    Code,
    /// `{ code, stdout, stderr }`.
    All,
    /// Nothing.
    None,
}

/// Runs commands. Dropping it kills those that nobody waits for.
#[derive(Debug)]
pub struct Shell {
    path: OsString,
    detached: Mutex<JoinSet<()>>,
}

impl Shell {
    /// Commands are looked for on this `PATH`.
    #[must_use]
    pub fn new(path: OsString) -> Self {
        Self {
            path,
            detached: Mutex::default(),
        }
    }

    /// Runs a command and gives the output that the task asks for. One that nobody waits for gives `null` as soon as it has started; it too ends
    /// at the deadline.
    ///
    /// # Errors
    /// A [`Problem`]: `runtime` for a command that cannot be started, that writes more than [`OUTPUT_LIMIT`], or that ends with another code
    /// than 0 when the task does not ask for the code; `timeout` after the deadline.
    pub async fn run(&self, command: ShellCommand, deadline: Instant) -> Result<Value, Problem> {
        let mut process = Process::start(&command, &self.path)?;
        if command.awaits {
            let ended = timeout_at(deadline.into(), process.end(command.stdin)).await;
            return ended.unwrap_or_else(|_| Err(late()))?.output(command.output);
        }
        let mut detached = self.detached.lock().unwrap_or_else(PoisonError::into_inner);
        while detached.try_join_next().is_some() {}
        if detached.len() >= MOST_DETACHED {
            let detail = format!("{MOST_DETACHED} commands that nobody waits for are under way");
            return Err(Problem::new(ErrorType::Runtime, "Too many commands", detail).with_status(503));
        }
        detached.spawn(async move {
            match timeout_at(deadline.into(), process.end(command.stdin)).await {
                Ok(Ok(ended)) if ended.status.success() => {}
                Ok(Ok(ended)) => tracing::warn!(code = ended.code(), "a command that nobody waits for has failed"),
                Ok(Err(problem)) => tracing::warn!(%problem, "a command that nobody waits for has failed"),
                Err(_) => tracing::warn!("a command that nobody waits for took too long"),
            }
        });
        Ok(Value::Null)
    }
}

/// A command under way. Dropping it kills its group, then removes its directory.
struct Process {
    child: Child,
    group: Group,
    _place: Place,
}

impl Process {
    fn start(command: &ShellCommand, path: &OsString) -> Result<Self, Problem> {
        let place = Place::new().map_err(|error| not_started(&error))?;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &command.command, "sh"])
            .args(&command.arguments)
            .env_clear()
            .env("PATH", path)
            .envs(&command.environment)
            .stdin(if command.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(place) = &place.0 {
            shell.current_dir(place.path());
        }
        let child = shell.spawn().map_err(|error| not_started(&error))?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self {
            child,
            group: Group(leader),
            _place: place,
        })
    }

    async fn end(&mut self, stdin: Option<String>) -> Result<Ended, Problem> {
        let (input, stdout, stderr) = (
            self.child.stdin.take(),
            self.child.stdout.take(),
            self.child.stderr.take(),
        );
        let ended = async {
            let status = self.child.wait().await.map_err(|error| broken(&error))?;
            // What it has left running would keep its output open.
            self.group.kill();
            Ok(status)
        };
        let ((), stdout, stderr, status) = tokio::try_join!(
            write(input, stdin),
            read(stdout, "standard output"),
            read(stderr, "standard error"),
            ended
        )?;
        Ok(Ended { status, stdout, stderr })
    }
}

/// A process group, by its leader.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.0.take() {
            // There may be nobody left in it.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The directory that a command works in.
struct Place(Option<TempDir>);

impl Place {
    fn new() -> io::Result<Self> {
        tempfile::Builder::new()
            .prefix("potok-")
            .tempdir()
            .map(|place| Self(Some(place)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let place = self.0.take();
        // A command may have filled it: nobody waits until it is empty.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(place));
        }
    }
}

/// A command that has ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    /// The exit code; of a command that a signal has ended, 128 and the signal's number, as shells say it.
    fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let by_signal = self.status.signal().map(|signal| 128 + signal);
        self.status.code().or(by_signal).unwrap_or(-1)
    }

    fn output(&self, wanted: ProcessOutput) -> Result<Value, Problem> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match wanted {
            ProcessOutput::Code => Ok(json!(self.code())),
            ProcessOutput::All => {
                Ok(json!({ "code": self.code(), "stdout": text(&self.stdout), "stderr": text(&self.stderr) }))
            }
            _ if !self.status.success() => Err(self.failed()),
            ProcessOutput::Stdout => Ok(json!(text(&self.stdout))),
            ProcessOutput::Stderr => Ok(json!(text(&self.stderr))),
            ProcessOutput::None => Ok(Value::Null),
        }
    }

    fn failed(&self) -> Problem {
        let code = self.code();
        let end = &self.stderr[self.stderr.len().saturating_sub(TOLD)..];
        let said = String::from_utf8_lossy(end).trim().to_owned();
        let detail = if said.is_empty() {
            format!("it ended with code {code}")
        } else {
            format!("it ended with code {code}: {said}")
        };
        Problem::new(ErrorType::Runtime, "Command failed", detail).with_data(json!({ "code": code, "stderr": said }))
    }
}

async fn write(pipe: Option<ChildStdin>, text: Option<String>) -> Result<(), Problem> {
    if let (Some(mut pipe), Some(text)) = (pipe, text) {
        // A command need not read what it is given.
        let _ = pipe.write_all(text.as_bytes()).await;
    }
    Ok(())
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, what: &str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else { return Ok(bytes) };
    let mut pipe = pipe.take(OUTPUT_LIMIT as u64 + 1);
    pipe.read_to_end(&mut bytes).await.map_err(|error| broken(&error))?;
    if bytes.len() > OUTPUT_LIMIT {
        let detail = format!("it wrote more than {OUTPUT_LIMIT} bytes to its {what}");
        return Err(Problem::new(ErrorType::Runtime, "Output too large", detail));
    }
    Ok(bytes)
}

fn not_started(error: &io::Error) -> Problem {
    Problem::new(ErrorType::Runtime, "Command not started", error.to_string())
}

fn broken(error: &io::Error) -> Problem {
    Problem::new(ErrorType::Runtime, "Command lost", error.to_string())
}

fn late() -> Problem {
    Problem::new(ErrorType::Timeout, "Command took too long", "it was killed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn command(text: &str, output: ProcessOutput) -> ShellCommand {
        ShellCommand {
            command: text.to_owned(),
            arguments: Vec::new(),
            environment: IndexMap::new(),
            stdin: None,
            output,
            awaits: true,
        }
    }

    fn shell() -> Shell {
        Shell::new(std::env::var_os("PATH").unwrap())
    }

    async fn run(command: ShellCommand) -> Result<Value, Problem> {
        shell().run(command, Instant::now() + Duration::from_secs(60)).await
    }

    #[tokio::test]
    async fn a_command_sees_what_it_is_given_and_nothing_else() {
        let mut given = command(
            "cat; echo $1 $2; env | sort | cut -d= -f1; ls | wc -l",
            ProcessOutput::Stdout,
        );
        given.arguments = vec!["Foo".to_owned(), "B ar".to_owned()];
        given.environment.insert("GIVEN".to_owned(), "1".to_owned());
        given.stdin = Some("Hello ".to_owned());
        let output = run(given).await.unwrap();
        let lines: Vec<&str> = output.as_str().unwrap().lines().map(str::trim).collect();
        assert_eq!(lines.first(), Some(&"Hello Foo B ar"));
        assert_eq!(lines.last(), Some(&"0"), "its directory is empty");
        // `PWD`, `OLDPWD`, `_` and `SHLVL` are the shell's own.
        for name in &lines[1..lines.len() - 1] {
            assert!(
                ["GIVEN", "PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn each_return_gives_its_own() {
        let text = "echo out; echo err >&2; exit 3";
        assert_eq!(run(command(text, ProcessOutput::Code)).await.unwrap(), json!(3));
        assert_eq!(
            run(command(text, ProcessOutput::All)).await.unwrap(),
            json!({ "code": 3, "stdout": "out\n", "stderr": "err\n" })
        );
        for output in [ProcessOutput::Stdout, ProcessOutput::Stderr, ProcessOutput::None] {
            let problem = run(command(text, output)).await.unwrap_err();
            assert_eq!(problem.detail.as_deref(), Some("it ended with code 3: err"));
        }
        let text = "echo out; echo err >&2";
        assert_eq!(run(command(text, ProcessOutput::Stdout)).await.unwrap(), json!("out\n"));
        assert_eq!(run(command(text, ProcessOutput::Stderr)).await.unwrap(), json!("err\n"));
        assert_eq!(run(command(text, ProcessOutput::None)).await.unwrap(), Value::Null);
        assert_eq!(
            run(command("kill -9 $$", ProcessOutput::Code)).await.unwrap(),
            json!(137)
        );
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed_with_all_that_it_has_started() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("alive");
        let text = format!("(sleep 2; touch '{}') & wait", file.display());
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(200);
        let problem = shell()
            .run(command(&text, ProcessOutput::Stdout), deadline)
            .await
            .unwrap_err();
        assert_eq!(problem.title.as_deref(), Some("Command took too long"));
        assert!(begun.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!file.exists(), "what it had started went on");
    }

    #[tokio::test]
    async fn what_a_command_leaves_running_does_not_hold_it_up() {
        let begun = Instant::now();
        let output = run(command("sleep 30 & echo done", ProcessOutput::Stdout))
            .await
            .unwrap();
        assert_eq!(output, json!("done\n"));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn endless_output_is_an_error() {
        let problem = run(command("yes", ProcessOutput::None)).await.unwrap_err();
        assert_eq!(problem.title.as_deref(), Some("Output too large"));
    }

    #[tokio::test]
    async fn nobody_waits_for_what_is_not_awaited_and_dropping_the_shell_kills_it() {
        let place = tempfile::tempdir().unwrap();
        let (begun, file) = (place.path().join("begun"), place.path().join("alive"));
        let text = format!("touch '{}'; sleep 2; touch '{}'", begun.display(), file.display());
        let mut detached = command(&text, ProcessOutput::Stdout);
        detached.awaits = false;
        let shell = shell();
        let deadline = Instant::now() + Duration::from_secs(60);
        assert_eq!(shell.run(detached, deadline).await.unwrap(), Value::Null);
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(shell);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!file.exists(), "it was not killed");
    }
}
