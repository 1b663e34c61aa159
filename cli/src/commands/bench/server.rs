//! Measurements from outside: B2 over HTTP, and what a server costs that does nothing.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use potok_openapi::{Server, ServerConfig};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    task::JoinSet,
};

use super::{
    Figure,
    meter::{Meter, quantile, resident_mib},
    world::{Bench, sequence},
};
use crate::{config::Config, exit::Failure};

/// Requests of B2 with one client.
const ONE: usize = 300;

/// Requests of B2 with 64 clients.
const MANY: usize = 6_400;

/// B2: a workflow of one step started over HTTP, its output awaited.
#[allow(clippy::cast_precision_loss)]
pub async fn over_http(config: &Config) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    bench.deploy("b2", &sequence("demo.count", 1)).await?;
    let settings = ServerConfig {
        listen: "127.0.0.1:0".to_owned(),
        grace: Duration::from_secs(1),
    };
    let server = Server::start(bench.node().clone(), settings)
        .await
        .map_err(|e| Failure::Other(e.to_string()))?;
    let address = server.address();
    let meter = Meter::start(bench.node());
    let mut client = Client::connect(address).await?;
    let mut times = Vec::new();
    for _ in 0..ONE {
        let start = Instant::now();
        client.request().await?;
        times.push(start.elapsed());
    }
    let cost = meter.stop(bench.node());
    let one = |what: &str, q, times: &mut Vec<Duration>| Figure {
        name: "b2",
        what: what.to_owned(),
        value: quantile(times, q),
        unit: "ms",
        cpu: cost.cpu_a_step(ONE),
        flushes: cost.flushes_a_step(ONE),
    };
    let mut figures = vec![
        one("one step over HTTP, one client, median", 0.5, &mut times),
        one("one step over HTTP, one client, 99 of 100", 0.99, &mut times),
    ];
    let meter = Meter::start(bench.node());
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        workers.spawn(async move {
            let mut client = Client::connect(address).await?;
            for _ in 0..MANY / 64 {
                client.request().await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Failure::Other(e.to_string()))??;
    }
    let cost = meter.stop(bench.node());
    figures.push(Figure {
        name: "b2",
        what: "one step over HTTP, 64 clients".to_owned(),
        value: MANY as f64 / cost.time.as_secs_f64(),
        unit: "req/s",
        cpu: cost.cpu_a_step(MANY),
        flushes: cost.flushes_a_step(MANY),
    });
    server.stop().await;
    bench.engine.stop().await;
    Ok(figures)
}

/// A client with one connection that is kept: the smallest there is, so that the server is what is measured.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    async fn connect(address: std::net::SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    async fn request(&mut self) -> Result<(), Failure> {
        let body = r#"{"n":1}"#;
        let request = format!(
            "POST /api/v1/workflows/bench/b2/runs?wait=30s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut status = String::new();
        self.stream.read_line(&mut status).await?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        if !status.contains(" 200 ") || !String::from_utf8_lossy(&answer).contains("completed") {
            return Err(Failure::Other(format!(
                "{}: {}",
                status.trim(),
                String::from_utf8_lossy(&answer)
            )));
        }
        Ok(())
    }
}

/// From the start of the process to its first answer, and what it holds then.
pub async fn start_up() -> Result<Vec<Figure>, Failure> {
    let directory = tempfile::tempdir()?;
    let mut times = Vec::new();
    let mut memory = 0.0;
    for _ in 0..5 {
        let start = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory.path())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| Failure::Other("the server has no stderr".to_owned()))?;
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("listening on") {
                break;
            }
        }
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory = child.id().map_or(0.0, |id| resident_mib(&id.to_string()));
        child.kill().await?;
    }
    let figure = |what: &str, value, unit| Figure {
        name: "start",
        what: what.to_owned(),
        value,
        unit,
        cpu: None,
        flushes: None,
    };
    Ok(vec![
        figure(
            "start of the server to ready, median of 5",
            quantile(&mut times, 0.5),
            "ms",
        ),
        figure("idle memory of the server", memory, "MiB"),
    ])
}
