//! A SOCKS5 proxy (RFC 1928) that wants a user name and a password (RFC 1929), and counts who goes through it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Socks {
    address: SocketAddr,
    passed: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Socks {
    /// A proxy on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub async fn start(username: &str, password: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap_or_else(|e| panic!("a proxy needs a port: {e}"));
        let address = listener.local_addr().unwrap_or_else(|e| panic!("{e}"));
        let passed = Arc::new(AtomicUsize::new(0));
        let (count, secret) = (passed.clone(), (username.to_owned(), password.to_owned()));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (count, secret) = (count.clone(), secret.clone());
                tokio::spawn(async move { pass(stream, &secret, &count).await });
            }
        });
        Self {
            address,
            passed,
            serving,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have gone through it.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Socks {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(mut client: TcpStream, secret: &(String, String), count: &AtomicUsize) -> io::Result<()> {
    let [_, methods] = read::<2>(&mut client).await?;
    text(&mut client, methods).await?;
    client.write_all(&[5, 2]).await?;
    let [_, length] = read::<2>(&mut client).await?;
    let username = text(&mut client, length).await?;
    let [length] = read::<1>(&mut client).await?;
    let password = text(&mut client, length).await?;
    let right = (username, password) == *secret;
    client.write_all(&[1, u8::from(!right)]).await?;
    let [_, _, _, kind] = read::<4>(&mut client).await?;
    if !right || kind != 1 {
        return Ok(());
    }
    let [a, b, c, d, high, low] = read::<6>(&mut client).await?;
    let to = (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]));
    let mut server = TcpStream::connect(to).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    count.fetch_add(1, Ordering::SeqCst);
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn text(stream: &mut TcpStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
