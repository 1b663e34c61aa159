//! Connections. Poem's own listener leaves Nagle's algorithm on, which makes small answers and server-sent events wait for the other
//! side's delayed acknowledgement.

use std::{io, net::SocketAddr, time::Duration};

use poem::{
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::net::{TcpListener, TcpStream};

/// How long to rest when no connection can be accepted.
const REST: Duration = Duration::from_millis(50);

/// Accepts TCP connections with `TCP_NODELAY`.
pub(crate) struct Acceptor {
    listener: TcpListener,
    address: SocketAddr,
}

impl Acceptor {
    pub async fn bind(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl poem::listener::Acceptor for Acceptor {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let (stream, peer) = match self.listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely. Whoever calls this calls again at once: it shall not spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
                return Err(error);
            }
        };
        stream.set_nodelay(true)?;
        Ok((
            stream,
            LocalAddr(self.address.into()),
            RemoteAddr(peer.into()),
            Scheme::HTTP,
        ))
    }
}
