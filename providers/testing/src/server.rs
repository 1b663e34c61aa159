//! An HTTP/1.1 server that follows a script: one request a connection, and any way of not answering it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// The largest request that is read.
const MAX_REQUEST: usize = 32 << 20;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of a name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers with JSON.
    Json(u16, Value),
    /// Answers with these headers and this body.
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Sends these bytes as they are and closes the connection.
    Raw(Vec<u8>),
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and closes the connection.
    Close,
    /// Answers 200 and goes on sending the chunk until the other side has had enough.
    Endless(Vec<u8>),
    /// Sends these bytes as they are and then nothing more, without closing the connection.
    Stall(Vec<u8>),
    /// Waits for a permit, which it uses up, then does the other thing.
    Wait(Arc<Semaphore>, Box<Reply>),
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server on a loopback port of its own; it ends when dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    arrived: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server that asks the handler what to do with each request.
    ///
    /// # Panics
    /// When there is no loopback port to be had.
    pub async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap_or_else(|e| panic!("no loopback port: {e}"));
        let address = listener
            .local_addr()
            .unwrap_or_else(|e| panic!("a listener has an address: {e}"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let arrived = Arc::new(Notify::new());
        let accepting = tokio::spawn(accept(listener, Arc::new(handler), requests.clone(), arrived.clone()));
        Self {
            address,
            requests,
            arrived,
            accepting,
        }
    }

    /// Starts a server that always does the same.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Its address, such as `http://127.0.0.1:4321`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in the order in which they were read.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many requests were read.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let notified = self.arrived.notified();
            if self.requests().len() >= count {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An address on loopback that nobody listens on.
///
/// # Panics
/// When there is no loopback port to be had.
#[must_use]
pub fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no loopback port: {e}"));
    let address = listener
        .local_addr()
        .unwrap_or_else(|e| panic!("a listener has an address: {e}"));
    format!("http://{address}")
}

async fn accept(
    listener: TcpListener,
    handler: Arc<Handler>,
    requests: Arc<Mutex<Vec<Request>>>,
    arrived: Arc<Notify>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (handler, requests, arrived) = (handler.clone(), requests.clone(), arrived.clone());
        tokio::spawn(async move {
            let mut stream = stream;
            let Some(request) = read(&mut stream).await else { return };
            let reply = handler(&request);
            requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            arrived.notify_waiters();
            // The other side may have gone: that is its right.
            let _ = answer(&mut stream, reply).await;
        });
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|header| header.0 == "content-length")
        .and_then(|header| header.1.parse().ok());
    let begin = head_end + 4;
    let end = begin + length.unwrap_or(0usize);
    while bytes.len() < end {
        more(stream, &mut bytes).await?;
    }
    Some(Request {
        method,
        target,
        headers,
        body: bytes[begin..end].to_vec(),
    })
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(bytes).await.ok()?;
    (read > 0 && bytes.len() <= MAX_REQUEST).then_some(())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

async fn answer(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    let mut reply = reply;
    while let Reply::Wait(go_on, then) = reply {
        let Ok(permit) = go_on.acquire().await else {
            return Ok(());
        };
        permit.forget();
        reply = *then;
    }
    match reply {
        Reply::Json(status, value) => {
            let headers = vec![("Content-Type", "application/json".to_owned())];
            full(stream, status, &headers, value.to_string().as_bytes()).await
        }
        Reply::Full(status, headers, body) => full(stream, status, &headers, &body).await,
        Reply::Raw(bytes) => stream.write_all(&bytes).await,
        Reply::Hang => until_gone(stream).await,
        Reply::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            until_gone(stream).await
        }
        Reply::Close | Reply::Wait(..) => Ok(()),
        Reply::Endless(chunk) => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .await?;
            while !chunk.is_empty() {
                stream.write_all(&chunk).await?;
            }
            Ok(())
        }
    }
}

async fn full(stream: &mut TcpStream, status: u16, headers: &[(&str, String)], body: &[u8]) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {status} Scripted\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

async fn until_gone(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
