//! B5: a server under load is killed and started again. Who is called counts: what was lost, and what came twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{Figure, STEPS, meter::ms, server::Process};
use crate::exit::Failure;

/// Runs at a time.
const RUNS: usize = 64;

/// How often the server is killed, each time on a data directory of its own.
const KILLS: usize = 5;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that is called, and counts how often by idempotency key.
#[derive(Clone)]
pub struct Counting {
    seen: Arc<Mutex<HashMap<String, u32>>>,
    /// How many calls there were.
    calls: Arc<watch::Sender<usize>>,
}

/// Kills a server again and again, and looks at what comes after.
#[allow(clippy::cast_precision_loss)]
pub async fn killed() -> Result<Vec<Figure>, Failure> {
    let (mut first, mut repeats, mut all, mut came) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..KILLS {
        let counting = Counting::new();
        let target = counting.clone().listen().await?;
        let directory = tempfile::tempdir_in(".").or_else(|_| tempfile::tempdir())?;
        let server = Process::start(directory.path()).await?;
        start_runs(&server.address, &target).await?;
        // Somewhere in the middle, each time somewhere else.
        counting.reached(RUNS * STEPS * (round + 1) / (KILLS + 2)).await?;
        server.kill().await?;
        let before = counting.count();
        let start = Instant::now();
        let server = Process::start(directory.path()).await?;
        counting.reached(before + 1).await?;
        first.push(ms(start.elapsed()));
        counting.distinct(RUNS * STEPS).await?;
        all.push(start.elapsed().as_secs_f64());
        repeats.push(counting.repeats());
        came.push(counting.keys() as f64);
        server.kill().await?;
    }
    Ok(vec![
        Figure::median(
            "b5",
            "killed under load: from start to the first step",
            &mut first,
            "ms",
        ),
        Figure::median("b5", "and to the last of what was left", &mut all, "s"),
        Figure::median(
            "b5",
            format!("steps of {RUNS} runs that came twice"),
            &mut repeats,
            "steps",
        ),
        Figure::median("b5", format!("of {} steps came", RUNS * STEPS), &mut came, "steps"),
    ])
}

async fn start_runs(server: &str, target: &str) -> Result<(), Failure> {
    let steps: String = (0..STEPS)
        .map(|n| format!("  - s{n}: {{ call: http, with: {{ method: post, endpoint: '{target}/{n}', output: raw }}, output: {{ as: '${{ {{}} }}' }} }}\n"))
        .collect();
    let text = format!("document: {{ dsl: '1.0.3', namespace: bench, name: b5, version: '1.0.0' }}\ndo:\n{steps}");
    request(server, "PUT", "/api/v1/workflows", "application/yaml", &text).await?;
    for _ in 0..RUNS {
        request(
            server,
            "POST",
            "/api/v1/workflows/bench/b5/runs",
            "application/json",
            "{}",
        )
        .await?;
    }
    Ok(())
}

pub async fn request(server: &str, method: &str, path: &str, kind: &str, body: &str) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    if status.starts_with('2') {
        return Ok(());
    }
    Err(Failure::Other(format!("{method} {path}: {answer}")))
}

impl Counting {
    pub fn new() -> Self {
        Self {
            seen: Arc::default(),
            calls: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Answers from now on; gives the address.
    pub async fn listen(self) -> Result<String, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counting = self.clone();
                tokio::spawn(async move { counting.serve(stream).await });
            }
        });
        Ok(address)
    }

    /// Answers on one connection until the other side has had enough.
    async fn serve(self, stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut stream = BufReader::new(stream);
        loop {
            let (mut key, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.ok()? == 0 {
                    return None;
                }
                let line = line.trim();
                if line.is_empty() {
                    break;
                }
                match line.split_once(':') {
                    Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => {
                        value.trim().clone_into(&mut key);
                    }
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.trim().parse().ok()?;
                    }
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            *self.seen.lock().ok()?.entry(key).or_default() += 1;
            self.calls.send_modify(|calls| *calls += 1);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .ok()?;
        }
    }

    /// How many calls came.
    pub fn count(&self) -> usize {
        *self.calls.borrow()
    }

    fn keys(&self) -> usize {
        self.seen.lock().map(|seen| seen.len()).unwrap_or_default()
    }

    #[allow(clippy::cast_precision_loss)]
    fn repeats(&self) -> f64 {
        (self.count() - self.keys()) as f64
    }

    /// Waits for so many calls.
    pub async fn reached(&self, calls: usize) -> Result<(), Failure> {
        self.reached_within(calls, PATIENCE).await
    }

    /// Waits for so many calls, but no longer than that.
    pub async fn reached_within(&self, calls: usize, patience: Duration) -> Result<(), Failure> {
        let mut seen = self.calls.subscribe();
        let enough = tokio::time::timeout(patience, seen.wait_for(|seen| *seen >= calls)).await;
        enough.map_err(|_| lost(calls, self.count())).map(|_| ())
    }

    /// Waits for so many different calls.
    async fn distinct(&self, keys: usize) -> Result<(), Failure> {
        let mut seen = self.calls.subscribe();
        let enough = tokio::time::timeout(PATIENCE, seen.wait_for(|_| self.keys() >= keys)).await;
        enough.map_err(|_| lost(keys, self.keys())).map(|_| ())
    }
}

fn lost(wanted: usize, seen: usize) -> Failure {
    Failure::Other(format!("of {wanted} steps {seen} came: the others are lost, or late"))
}
