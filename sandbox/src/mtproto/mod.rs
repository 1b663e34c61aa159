//! Telegram's own protocol, MTProto 2.0 over TCP (transport Full): a local data centre that an unmodified client talks to.
//!
//! What it answers comes from the same [`crate::world`] as the answers of the Bot API. One thing cannot be as with the
//! original: keys are not agreed on over the wire, since the keys that sign such an agreement are Telegram's and are
//! compiled into clients. A client is given its key beforehand ([`crate::RunningSandbox::new_auth_key`], or
//! `POST /sandbox/mtproto/keys`), one for each session.
//!
//! A method that the sandbox does not know is answered with the error `METHOD_NOT_IN_SANDBOX` and its name, never with
//! silence. A second connection with a key that is in use ends the session, as with the original.

mod auth;
mod channels;
mod cipher;
mod connection;
mod contacts;
mod messages;
mod peers;
mod rpc;
mod srp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grammers_tl_types::{self as tl, Serializable};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::state::{NotKept, Shared, now_ms};
use crate::world::{KeyId, SignInRefusal, World};
use cipher::Key;
use connection::Out;
use srp::Challenge;

/// The numbers of the data centres. All are this one place; a client that is told to migrate finds the other.
pub const DATA_CENTRES: [i32; 2] = [2, 4];

/// At most so many connections at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 10_000;

const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What the connections share.
#[derive(Debug, Default)]
pub(crate) struct Mtproto {
    /// Where it listens, once it does.
    address: Mutex<Option<SocketAddr>>,
    live: Mutex<HashMap<KeyId, Live>>,
    challenges: Mutex<HashMap<KeyId, Challenge>>,
}

/// The connection that speaks for a key.
#[derive(Debug, Clone)]
struct Live {
    out: mpsc::Sender<Out>,
    session: i64,
    key: Arc<Key>,
}

impl Mtproto {
    /// Where it listens, once it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<KeyId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn challenges(&self) -> MutexGuard<'_, HashMap<KeyId, Challenge>> {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the client that uses a key something that it has not asked for.
    fn push(&self, device: KeyId, updates: &tl::enums::Updates) -> bool {
        let Some(live) = self.live().get(&device).cloned() else {
            return false;
        };
        let message = Out::Message {
            key: live.key,
            session: live.session,
            body: updates.to_bytes(),
            content: true,
        };
        live.out.try_send(message).is_ok()
    }
}

/// Serves until it is time to stop.
pub(crate) fn serve(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    *shared.mtproto.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::spawn(async move {
        let stopping = shared.clone();
        let accepting = async {
            while let Ok(place) = places.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let shared = shared.clone();
                        tokio::spawn(async move {
                            connection::serve(shared, stream).await;
                            drop(place);
                        });
                    }
                    Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stopping.stopped() => {}
        }
    });
}

/// Makes a key that nobody is signed in with and that the sandbox knows from now on.
pub(crate) async fn new_key(shared: &Arc<Shared>) -> Result<[u8; 256], NotKept> {
    let mut bytes = [0; 256];
    random(&mut bytes);
    let (id, text) = (Key::from_bytes(bytes).id(), STANDARD.encode(bytes));
    shared.change(move |world, _| world.add_device(id, text)).await?;
    Ok(bytes)
}

/// A person scans the QR code of a token; the client that shows it is told.
pub(crate) async fn scan(
    shared: &Arc<Shared>,
    token: Vec<u8>,
    phone: String,
) -> Result<Result<(), SignInRefusal>, NotKept> {
    let scanned = shared
        .change(move |world: &mut World, now| world.scan(&token, &phone, now))
        .await?;
    Ok(scanned.map(|device| {
        let update = tl::types::UpdateShort {
            update: tl::enums::Update::LoginToken,
            date: seconds(now_ms()),
        };
        shared.mtproto.push(device, &update.into());
    }))
}

fn random(bytes: &mut [u8]) {
    // Without randomness the operating system is in no state to run a sandbox; what is made then is merely not secret.
    let _ = SystemRandom::new().fill(bytes);
}

/// Unix seconds as the protocol has them.
fn seconds(ms: i64) -> i32 {
    i32::try_from(ms / 1_000).unwrap_or(i32::MAX)
}
