//! WASI with an empty world behind it: no environment, no arguments, no files, no sockets.
//!
//! Standard libraries import `wasi:cli/environment` and `wasi:filesystem` just by being linked; with nothing behind them
//! they are as pure as arithmetic. Time and randomness are derived from the call: a call that is made again after a crash sees the same
//! time, the same random numbers and the same hash map order, so that what it does can be compared and replayed. Time
//! moves by a microsecond a look, so that a loop that waits for it ends, and with each answer that is kept to when that came.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use potok_dsl::Timestamp;
use rand_core::TryRng;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder,
    cli::{IsTerminal, StdoutStream},
};

/// How much of an output is kept: its last bytes.
const TAIL: usize = 4096;

/// The most random bytes that a guest gets at once.
const MOST_RANDOM: u64 = 1 << 20;

/// The WASI context of a call.
pub(crate) fn context(idempotency_key: &str, clock: &Clock, stdout: &Tail, stderr: &Tail) -> WasiCtx {
    let random = |purpose: &str| Stream::new(idempotency_key, purpose);
    WasiCtxBuilder::new()
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .wall_clock(clock.clone())
        .monotonic_clock(clock.clone())
        .secure_random(random("secure"))
        .insecure_random(random("insecure"))
        .insecure_random_seed(random("seed").seed())
        .max_random_size(MOST_RANDOM)
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// Time within a call: what the engine's clock said when it started, a microsecond more with each look, and as much more as is known to have
/// passed.
#[derive(Clone)]
pub(crate) struct Clock {
    start: Timestamp,
    /// Milliseconds since the start.
    passed: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
}

impl Clock {
    pub(crate) fn new(start: Timestamp) -> Self {
        Self {
            start,
            passed: Arc::default(),
            looks: Arc::default(),
        }
    }

    /// It is this late; never goes back.
    pub(crate) fn move_to(&self, at: Timestamp) {
        self.passed.fetch_max(at.since(self.start).0, Ordering::Relaxed);
    }

    fn look(&self) -> Duration {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        Duration::from_millis(self.passed.load(Ordering::Relaxed)).saturating_add(Duration::from_micros(looks))
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        let start = Duration::from_millis(u64::try_from(self.start.0).unwrap_or(0));
        start.saturating_add(self.look())
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.look().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Random numbers that a key determines for ever: SHA-256 of key and counter.
struct Stream {
    key: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Stream {
    fn new(key: &str, purpose: &str) -> Self {
        let key = Sha256::new_with_prefix(purpose)
            .chain_update([0])
            .chain_update(key)
            .finalize();
        Self {
            key: key.into(),
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                let block = Sha256::new_with_prefix(self.key)
                    .chain_update(self.counter.to_le_bytes())
                    .finalize();
                self.block = block.into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    fn seed(mut self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

/// The end of an output.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    fn write(&self, bytes: &[u8]) {
        let Ok(mut tail) = self.0.lock() else { return };
        let last = &bytes[bytes.len().saturating_sub(TAIL)..];
        let over = (tail.len() + last.len()).saturating_sub(TAIL);
        tail.drain(..over);
        tail.extend(last);
    }

    /// What was written last, without space around it; `None` when that is nothing.
    pub(crate) fn text(&self) -> Option<String> {
        let bytes: Vec<u8> = self.0.lock().ok()?.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }
}

impl IsTerminal for Tail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tail {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Tail {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_keeps_its_end() {
        let tail = Tail::default();
        assert_eq!(tail.text(), None);
        tail.write(&[b'a'; 3 * TAIL]);
        tail.write(b" the end\n");
        let text = tail.text().unwrap_or_default();
        assert!(text.ends_with("a the end") && text.len() == TAIL - 1, "{}", text.len());
    }

    #[test]
    fn time_moves_with_looks_and_with_what_has_passed_and_never_back() {
        let clock = Clock::new(Timestamp(5_000));
        assert_eq!(HostWallClock::now(&clock), Duration::from_secs(5));
        assert_eq!(HostMonotonicClock::now(&clock), 1_000);
        clock.move_to(Timestamp(7_000));
        clock.move_to(Timestamp(6_000));
        assert_eq!(HostWallClock::now(&clock), Duration::from_micros(7_000_002));
        assert_eq!(HostMonotonicClock::now(&clock), 2_000_003_000);
        clock.move_to(Timestamp(1));
        assert_eq!(HostMonotonicClock::now(&clock), 2_000_004_000);
    }

    #[test]
    fn randomness_is_the_keys() {
        let numbers = |key: &str, purpose: &str| {
            let mut stream = Stream::new(key, purpose);
            (0..5).map(|_| stream.try_next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(numbers("k", "p"), numbers("k", "p"));
        assert_ne!(numbers("k", "p"), numbers("k", "q"));
        assert_ne!(numbers("k", "p"), numbers("l", "p"));
    }
}
