//! Measurements from outside: B2 over HTTP, and what a server costs that does nothing.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use potok_openapi::{Server, ServerConfig};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{
    Figure,
    load::load,
    meter::{Cost, Meter, ms, quantile, resident_mib},
    world::{Bench, sequence},
};
use crate::{config::Config, exit::Failure};

/// Requests of B2 with one client.
const ONE: usize = 300;

/// Requests of B2 with 64 clients.
const MANY: usize = 6_400;

/// How often it is measured with 64.
const ROUNDS: usize = 5;

/// B2: a workflow of one step started over HTTP, its output awaited.
#[allow(clippy::cast_precision_loss)]
pub async fn over_http(config: &Config) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    bench.deploy("b2", &sequence("demo.count", 1)).await?;
    let settings = ServerConfig {
        listen: "127.0.0.1:0".to_owned(),
        grace: Duration::from_secs(1),
        shipped: Vec::new(),
        access: potok_openapi::Access::default(),
    };
    let server = Server::start(bench.node().clone(), settings)
        .await
        .map_err(|e| Failure::Other(e.to_string()))?;
    let address = server.address();
    load(address, 1, ONE / 10).await?;
    let meter = Meter::start(bench.node());
    let mut one = load(address, 1, ONE).await?;
    let cost = meter.stop(bench.node()).without(one.cpu);
    let slow = quantile(&mut one.times, 0.99);
    let mut figures = vec![
        Figure::median("b2", "one step over HTTP, one client", &mut one.times, "ms").costing(&cost, ONE),
        Figure::plain("b2", "99 of 100 take less than", slow, "ms"),
    ];
    let (mut rates, mut cost, mut clients) = (Vec::new(), Cost::default(), 0.0);
    for _ in 0..ROUNDS {
        let meter = Meter::start(bench.node());
        let many = load(address, 64, MANY / 64).await?;
        cost.add(&meter.stop(bench.node()).without(many.cpu));
        clients += many.cpu;
        rates.push(MANY as f64 / many.time.as_secs_f64());
    }
    figures.push(
        Figure::median("b2", "one step over HTTP, 64 clients", &mut rates, "req/s").costing(&cost, ROUNDS * MANY),
    );
    let clients = clients * 1e6 / (ROUNDS * MANY) as f64;
    figures.push(Figure::plain(
        "b2",
        "CPU of the clients, which is not in the line above",
        clients,
        "µs/req",
    ));
    server.stop().await;
    bench.engine.stop().await;
    Ok(figures)
}

/// A server as a process of its own.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Process {
    /// Starts a server on a data directory; returns when it listens.
    pub async fn start(directory: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .env("POTOK_EGRESS_ALLOW", "127.0.0.1")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take();
        let stderr = stderr.ok_or_else(|| Failure::Other("the server has no stderr".to_owned()))?;
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, address)) = line.split_once("listening on ") {
                let address = address.trim().trim_start_matches("http://").trim_end_matches('/');
                let address = address.split_whitespace().next().unwrap_or_default().to_owned();
                // What it says later is read and forgotten, so that it is never kept from saying it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { child, address });
            }
        }
        Err(Failure::Other("the server did not start".to_owned()))
    }

    /// Ends it as a power failure would.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    /// What it holds.
    pub fn resident_mib(&self) -> f64 {
        self.child.id().map_or(0.0, |id| resident_mib(&id.to_string()))
    }
}

/// How long a server has had nothing to do when its memory is looked at.
const IDLE: Duration = Duration::from_secs(3);

/// From the start of the process to its first answer, what it holds then, and how large the program is.
#[allow(clippy::cast_precision_loss)]
pub async fn start_up() -> Result<Vec<Figure>, Failure> {
    let directory = tempfile::tempdir()?;
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    // The first one makes the data directory and compiles the plugins.
    Process::start(directory.path()).await?.kill().await?;
    for _ in 0..2 * ROUNDS {
        let start = Instant::now();
        let server = Process::start(directory.path()).await?;
        times.push(ms(start.elapsed()));
        tokio::time::sleep(IDLE).await;
        memory.push(server.resident_mib());
        server.kill().await?;
    }
    let size = std::fs::metadata(std::env::current_exe()?)?.len() as f64 / (1024.0 * 1024.0);
    let guests = potok_plugins::shipped()
        .iter()
        .chain(potok_plugins::fixtures())
        .chain([potok_plugins::jq()]);
    let plugins = guests.map(|guest| guest.bytes_compressed.len()).sum::<usize>() as f64 / (1024.0 * 1024.0);
    Ok(vec![
        Figure::median("start", "start of the server to ready", &mut times, "ms"),
        Figure::median("start", "idle memory of the server", &mut memory, "MiB"),
        Figure::plain(
            "start",
            "size of the program without its plugins",
            size - plugins,
            "MiB",
        ),
    ])
}
