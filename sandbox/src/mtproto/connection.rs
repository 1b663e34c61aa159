//! One connection: packets in, messages out of containers, answers back.
//!
//! Calls are answered beside each other, at most [`MAX_CALLS`] at once, so that a slow one holds up nobody.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grammers_crypto::DequeBuffer;
use grammers_mtproto::transport::{self, Transport};
use grammers_tl_types::{self as tl, Cursor, Deserializable, Identifiable, Serializable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::cipher::{Key, key_id};
use super::rpc::{self, RpcError};
use super::{Live, seconds};
use crate::faults::{FaultKind, Target};
use crate::state::{Shared, now_ms};
use crate::world::KeyId;

const CONTAINER: u32 = 0x73f1_f8dc;
const GZIPPED: u32 = 0x3072_cfa1;
const RPC_RESULT: u32 = 0xf35c_6d01;

/// The largest packet, and the largest message once it is unpacked.
const MAX_PACKET: usize = 1 << 20;
/// The most messages of one packet.
const MAX_MESSAGES: usize = 1_020;
/// The most calls of one connection that are answered at once.
const MAX_CALLS: usize = 64;
/// The most answers that wait to be written.
const MAX_WAITING: usize = 256;
/// So long an earlier connection with the same key may take to be seen to have gone.
const HAND_OVER: Duration = Duration::from_millis(500);

/// What is to be written.
#[derive(Debug)]
pub(super) enum Out {
    /// A message, sealed with a key.
    Message {
        /// The key.
        key: Arc<Key>,
        /// The client's own number of its session.
        session: i64,
        /// What it says.
        body: Vec<u8>,
        /// Whether it has to be acknowledged.
        content: bool,
    },
    /// An error of the transport: a negative number on its own, and the end.
    Refused(i32),
    /// The end.
    Close,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("not the transport Full: {0}")]
    Transport(transport::Error),
    #[error("not MTProto: {0}")]
    Malformed(#[from] tl::deserialize::Error),
    #[error("too large or too much at once")]
    TooLarge,
    #[error("the writer has ended")]
    Closed,
}

/// Speaks with one client until either side has had enough.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    // Answers are small and final: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (out, waiting) = mpsc::channel(MAX_WAITING);
    let writing = tokio::spawn(write_all(write, waiting));
    let mut reader = Reader {
        shared: shared.clone(),
        out,
        calls: Arc::new(Semaphore::new(MAX_CALLS)),
        attached: None,
    };
    let closed = reader.out.clone();
    let ended = tokio::select! {
        ended = reader.run(read) => ended,
        () = closed.closed() => Err(End::Closed),
        () = shared.stopped() => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client of MTProto has gone");
    }
    reader.detach();
    drop(reader);
    writing.abort();
}

struct Reader {
    shared: Arc<Shared>,
    out: mpsc::Sender<Out>,
    calls: Arc<Semaphore>,
    /// The key for which this connection speaks.
    attached: Option<KeyId>,
}

/// Where an answer goes.
#[derive(Clone)]
struct Caller {
    out: mpsc::Sender<Out>,
    key: Arc<Key>,
    session: i64,
}

impl Caller {
    async fn send(&self, body: Vec<u8>, content: bool) {
        let message = Out::Message {
            key: self.key.clone(),
            session: self.session,
            body,
            content,
        };
        // Nobody is there any more: nothing is to be said.
        let _ = self.out.send(message).await;
    }

    async fn result(&self, message_id: i64, result: &[u8]) {
        let mut body = RPC_RESULT.to_bytes();
        message_id.serialize(&mut body);
        body.extend_from_slice(result);
        self.send(body, true).await;
    }
}

impl Reader {
    async fn run(&mut self, mut read: OwnedReadHalf) -> Result<(), End> {
        let mut framing = transport::Full::new();
        let mut buffer = Vec::with_capacity(4 * 1024);
        loop {
            if read.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            loop {
                let (data, next) = match framing.unpack(&mut buffer) {
                    Ok(offset) => (offset.data_range, offset.next_offset),
                    Err(transport::Error::MissingBytes) => break,
                    Err(error) => return Err(End::Transport(error)),
                };
                let mut packet: Vec<u8> = buffer.drain(..next).collect();
                packet.truncate(data.end);
                packet.drain(..data.start);
                self.packet(packet).await?;
            }
            if buffer.len() > MAX_PACKET {
                return Err(End::TooLarge);
            }
        }
    }

    /// Opens a packet and answers what is in it.
    async fn packet(&mut self, mut packet: Vec<u8>) -> Result<(), End> {
        let key = key_id(&packet).and_then(|id| self.key(id)).map(Arc::new);
        let opened = key.as_ref().and_then(|key| key.open(&mut packet));
        let (Some(key), Some(plain)) = (key.clone(), opened) else {
            // What Telegram says to a key that it does not know.
            let _ = self.out.send(Out::Refused(-404)).await;
            return Ok(());
        };
        let mut cursor = Cursor::from_slice(plain);
        let _salt = i64::deserialize(&mut cursor)?;
        let session = i64::deserialize(&mut cursor)?;
        let message_id = i64::deserialize(&mut cursor)?;
        let _sequence = i32::deserialize(&mut cursor)?;
        let body = take(&mut cursor)?;
        let caller = Caller {
            out: self.out.clone(),
            key,
            session,
        };
        if !self.attach(&caller).await {
            let error = RpcError::new(406, "AUTH_KEY_DUPLICATED");
            caller.result(message_id, &error.to_bytes()).await;
            return Ok(());
        }
        let mut messages = Vec::new();
        unpack(message_id, body, 0, &mut messages)?;
        for (message_id, body) in messages {
            self.message(&caller, message_id, body).await?;
        }
        Ok(())
    }

    fn key(&self, id: KeyId) -> Option<Key> {
        let text = self.shared.world().device(id)?.key.clone();
        let bytes = STANDARD.decode(text).ok()?;
        Some(Key::from_bytes(bytes.try_into().ok()?))
    }

    /// Makes this the connection that speaks for the key; `false` when another one does.
    async fn attach(&mut self, caller: &Caller) -> bool {
        let id = caller.key.id();
        if self.attached == Some(id) {
            return true;
        }
        loop {
            let other = {
                let mut live = self.shared.mtproto.live();
                let other = live.get(&id).filter(|other| !other.out.is_closed()).cloned();
                if other.is_none() {
                    let own = Live {
                        out: self.out.clone(),
                        session: caller.session,
                        key: caller.key.clone(),
                    };
                    live.insert(id, own);
                    self.attached = Some(id);
                }
                other
            };
            let Some(other) = other else { return true };
            if tokio::time::timeout(HAND_OVER, other.out.closed()).await.is_err() {
                let _ = self.shared.change(move |world, _| world.sign_out(id)).await;
                return false;
            }
        }
    }

    fn detach(&mut self) {
        if let Some(id) = self.attached.take() {
            let mut live = self.shared.mtproto.live();
            if live.get(&id).is_some_and(|own| own.out.same_channel(&self.out)) {
                live.remove(&id);
            }
        }
    }

    /// Answers one message: what belongs to the protocol here, a call beside the others.
    async fn message(&self, caller: &Caller, message_id: i64, body: Vec<u8>) -> Result<(), End> {
        match u32::from_bytes(&body)? {
            tl::types::MsgsAck::CONSTRUCTOR_ID => {}
            tl::functions::Ping::CONSTRUCTOR_ID | tl::functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
                let ping_id = i64::from_bytes(&body[4..])?;
                let pong = tl::types::Pong {
                    msg_id: message_id,
                    ping_id,
                };
                caller.send(tl::enums::Pong::Pong(pong).to_bytes(), false).await;
            }
            tl::functions::GetFutureSalts::CONSTRUCTOR_ID => caller.send(future_salts(message_id), false).await,
            _ => {
                let Ok(place) = self.calls.clone().acquire_owned().await else {
                    return Err(End::Closed);
                };
                tokio::spawn(call(self.shared.clone(), caller.clone(), message_id, body, place));
            }
        }
        Ok(())
    }
}

/// Answers a call, or does what a script says instead.
async fn call(shared: Arc<Shared>, caller: Caller, message_id: i64, body: Vec<u8>, place: OwnedSemaphorePermit) {
    let (method, query) = match rpc::method(&body) {
        Ok(found) => found,
        Err(error) => return caller.result(message_id, &error.to_bytes()).await,
    };
    let fault = shared.faults.take(Target::Mtproto, method);
    shared.count(Target::Mtproto, method, fault.is_some());
    let answer = |result: Result<Vec<u8>, RpcError>| result.unwrap_or_else(|error| error.to_bytes());
    let run = || rpc::answer(&shared, caller.key.id(), method, query);
    let result = match fault {
        None => answer(run().await),
        Some(FaultKind::Slow(milliseconds)) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            answer(run().await)
        }
        Some(FaultKind::Rpc { code, message }) => RpcError::new(i32::from(code), message).to_bytes(),
        Some(FaultKind::Status { status, .. }) => RpcError::new(i32::from(status), "SCRIPTED_FAULT").to_bytes(),
        Some(FaultKind::Garbage) => vec![0x2a; 8],
        Some(FaultKind::Hang) => return gone(&shared, &caller).await,
        Some(FaultKind::HangBeforeAnswer) => {
            let _ = run().await;
            return gone(&shared, &caller).await;
        }
        Some(FaultKind::CloseBeforeProcessing) => return close(&caller).await,
        Some(FaultKind::CloseBeforeAnswer) => {
            let _ = run().await;
            return close(&caller).await;
        }
    };
    caller.result(message_id, &result).await;
    drop(place);
}

/// Waits until there is nobody to answer any more.
async fn gone(shared: &Shared, caller: &Caller) {
    tokio::select! {
        () = caller.out.closed() => {}
        () = shared.stopped() => {}
    }
}

async fn close(caller: &Caller) {
    let _ = caller.out.send(Out::Close).await;
}

/// Takes messages out of containers and compressed ones out of their compression.
fn unpack(message_id: i64, body: Vec<u8>, depth: usize, messages: &mut Vec<(i64, Vec<u8>)>) -> Result<(), End> {
    if depth > 3 || messages.len() >= MAX_MESSAGES {
        return Err(End::TooLarge);
    }
    match u32::from_bytes(&body)? {
        CONTAINER => {
            let mut cursor = Cursor::from_slice(&body[4..]);
            for _ in 0..i32::deserialize(&mut cursor)? {
                let message_id = i64::deserialize(&mut cursor)?;
                let _sequence = i32::deserialize(&mut cursor)?;
                let body = take(&mut cursor)?;
                unpack(message_id, body, depth + 1, messages)?;
            }
            Ok(())
        }
        GZIPPED => {
            let packed = Vec::<u8>::from_bytes(&body[4..])?;
            let mut plain = Vec::new();
            let limit = MAX_PACKET as u64 + 1;
            flate2::read::GzDecoder::new(&packed[..])
                .take(limit)
                .read_to_end(&mut plain)?;
            if plain.len() > MAX_PACKET {
                return Err(End::TooLarge);
            }
            unpack(message_id, plain, depth + 1, messages)
        }
        _ => {
            messages.push((message_id, body));
            Ok(())
        }
    }
}

/// Bytes that come after their number.
fn take(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, End> {
    let length = usize::try_from(i32::deserialize(cursor)?).map_err(|_| End::TooLarge)?;
    if length > MAX_PACKET {
        return Err(End::TooLarge);
    }
    let mut bytes = vec![0; length];
    cursor.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn future_salts(message_id: i64) -> Vec<u8> {
    let (now, day) = (seconds(now_ms()), 86_400);
    let salt = |since: i32| tl::types::FutureSalt {
        valid_since: since,
        valid_until: since + day,
        salt: 0,
    };
    let salts = tl::types::FutureSalts {
        req_msg_id: message_id,
        now,
        salts: tl::RawVec(vec![salt(now - 60), salt(now - 60 + day)]),
    };
    tl::enums::FutureSalts::Salts(salts).to_bytes()
}

/// Writes what is to be written, until there is nobody to write it for.
async fn write_all(mut write: OwnedWriteHalf, mut waiting: mpsc::Receiver<Out>) {
    let mut framing = transport::Full::new();
    let mut numbers = Numbers::default();
    while let Some(out) = waiting.recv().await {
        let written = match out {
            Out::Close => return,
            Out::Refused(code) => {
                let _ = write.write_all(&code.to_le_bytes()).await;
                return;
            }
            Out::Message {
                key,
                session,
                body,
                content,
            } => {
                let sealed = key.seal(numbers.envelope(session, &body, content));
                let mut frame = DequeBuffer::with_capacity(sealed.len() + 16, 16);
                frame.extend(sealed.iter().copied());
                framing.pack(&mut frame);
                write.write_all(frame.as_ref()).await
            }
        };
        if written.is_err() {
            return;
        }
    }
}

/// The numbers that messages bear.
#[derive(Default)]
struct Numbers {
    last_id: i64,
    sequence: i32,
}

impl Numbers {
    /// A message with salt, session, id, number and length before it. Ids of servers are 1 or 3 modulo 4, and they grow.
    fn envelope(&mut self, session: i64, body: &[u8], content: bool) -> Vec<u8> {
        let now = now_ms();
        let id = ((now / 1_000) << 32 | (now % 1_000) << 22) | 1;
        self.last_id = id.max(self.last_id + 4);
        let number = self.sequence * 2 + i32::from(content);
        self.sequence += i32::from(content);
        let mut plain = Vec::with_capacity(body.len() + 64);
        0i64.serialize(&mut plain);
        session.serialize(&mut plain);
        self.last_id.serialize(&mut plain);
        number.serialize(&mut plain);
        i32::try_from(body.len()).unwrap_or(i32::MAX).serialize(&mut plain);
        plain.extend_from_slice(body);
        plain
    }
}
