//! The load of B2: the smallest clients there are, on threads of their own, so that what they cost stands apart from the server.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
};

use super::meter::{ms, thread_cpu_seconds};
use crate::exit::Failure;

/// What some clients saw.
pub struct Load {
    /// How long each request took, in milliseconds.
    pub times: Vec<f64>,
    pub time: Duration,
    /// CPU seconds that the clients used.
    pub cpu: f64,
}

/// So many clients, each of which makes so many requests, one after the other.
pub async fn load(address: SocketAddr, clients: usize, requests: usize) -> Result<Load, Failure> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("bench-load".to_owned())
        .spawn(move || {
            // Whoever waits learns of a thread that is gone by losing the other end.
            let _ = done.send(on_this_thread(address, clients, requests));
        })?;
    result
        .await
        .map_err(|_| Failure::Other("the clients crashed".to_owned()))?
}

fn on_this_thread(address: SocketAddr, clients: usize, requests: usize) -> Result<Load, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cpu = thread_cpu_seconds();
    let start = Instant::now();
    let times = runtime.block_on(async {
        let mut workers = JoinSet::new();
        for _ in 0..clients {
            workers.spawn(async move {
                let mut client = Client::connect(address).await?;
                let mut times = Vec::with_capacity(requests);
                for _ in 0..requests {
                    let start = Instant::now();
                    client.request().await?;
                    times.push(ms(start.elapsed()));
                }
                Ok::<_, Failure>(times)
            });
        }
        let mut times = Vec::new();
        while let Some(worker) = workers.join_next().await {
            times.extend(worker.map_err(|e| Failure::Other(e.to_string()))??);
        }
        Ok::<_, Failure>(times)
    })?;
    Ok(Load {
        times,
        time: start.elapsed(),
        cpu: thread_cpu_seconds() - cpu,
    })
}

/// A client with one connection that is kept.
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
