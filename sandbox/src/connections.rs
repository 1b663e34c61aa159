//! The door: accepts TCP connections, bounds their number, and can slam one shut without an answer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At most so many connections at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1_024;

const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// The open connections, by the peer's address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    open: Arc<Mutex<HashMap<SocketAddr, Arc<AtomicBool>>>>,
}

impl Connections {
    /// From now on nothing more is written to this peer: whatever answer is tried, the connection is closed instead.
    pub(crate) fn slam(&self, peer: &RemoteAddr) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slammed) = peer.as_socket_addr().and_then(|peer| open.get(peer)) {
            slammed.store(true, Ordering::Release);
        }
    }

    fn enter(&self, peer: SocketAddr) -> Arc<AtomicBool> {
        let slammed = Arc::new(AtomicBool::new(false));
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer, slammed.clone());
        slammed
    }

    fn leave(&self, peer: &SocketAddr, slammed: &Arc<AtomicBool>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // The kernel may have given the peer's port to a newer connection already.
        if open.get(peer).is_some_and(|current| Arc::ptr_eq(current, slammed)) {
            open.remove(peer);
        }
    }
}

/// Accepts connections for the HTTP server.
pub(crate) struct Door {
    listener: TcpListener,
    local: SocketAddr,
    connections: Connections,
    places: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new(listener: TcpListener, local: SocketAddr, connections: Connections) -> Self {
        Self {
            listener,
            local,
            connections,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

impl Acceptor for Door {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.local.into())]
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = match self.listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, mostly: the server tries again at once, so give it time to get better.
                tokio::time::sleep(AFTER_FAILURE).await;
                return Err(error);
            }
        };
        // Answers are small and final: waiting for more to send would only delay them.
        stream.set_nodelay(true)?;
        let slammed = self.connections.enter(peer);
        let connection = Connection {
            stream,
            peer,
            slammed,
            connections: self.connections.clone(),
            _place: place,
        };
        Ok((
            connection,
            LocalAddr(self.local.into()),
            RemoteAddr(peer.into()),
            Scheme::HTTP,
        ))
    }
}

/// A connection that can be slammed shut.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    slammed: Arc<AtomicBool>,
    connections: Connections,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn check(&self) -> io::Result<()> {
        if self.slammed.load(Ordering::Acquire) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "closed by a scripted fault",
            ));
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.leave(&self.peer, &self.slammed);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
