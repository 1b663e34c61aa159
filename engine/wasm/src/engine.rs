//! The WebAssembly engines: one for calls (asynchronous, pooled, interrupted by time), one for jq (synchronous, bounded
//! by fuel), and the thread that moves the first one's clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{config::HostConfig, error::HostError, state::TABLE_ELEMENTS};

/// How long a guest computes before others get their turn.
const TICK: Duration = Duration::from_millis(10);

/// How deep a guest's calls may be nested, in bytes of stack.
const STACK: usize = 1 << 20;

/// How deep a filter's calls may be nested, in bytes of the stack of the thread that evaluates it.
const JQ_STACK: usize = 512 << 10;

/// Memories are reserved at full size, so that compiled code needs no bounds checks; nothing is committed by that.
const RESERVATION: u64 = 1 << 32;

/// The engine for calls. Where the address space is too small for full reservations, smaller ones do, at some speed.
pub(crate) fn for_calls(config: &HostConfig) -> Result<Engine, HostError> {
    let small = u64::try_from(config.memory_limit)
        .unwrap_or(RESERVATION)
        .min(RESERVATION);
    pooled(config, RESERVATION)
        .or_else(|_| pooled(config, small))
        .map_err(|error| HostError::Engine(format!("{error:#}")))
}

fn pooled(config: &HostConfig, reservation: u64) -> wasmtime::Result<Engine> {
    let calls = config.pool_instances.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(64))
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(32)
        .total_memories(calls.saturating_add(7))
        .total_tables(calls.saturating_mul(4).saturating_add(31))
        .total_stacks(calls)
        .max_memory_size(config.memory_limit)
        .table_elements(TABLE_ELEMENTS)
        .max_core_instance_size(8 << 20)
        .max_component_instance_size(8 << 20)
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(keep_resident())
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(16 << 10)
        .max_unused_warm_slots(32);
    let mut engine = common();
    engine
        .epoch_interruption(true)
        .memory_reservation(reservation)
        .async_stack_size(2 * STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&engine)
}

/// How much of a memory is put back in order by copying instead of being unmapped. That pays where the kernel can tell which
/// pages were touched (Linux 6.7); elsewhere the lowest pages would be copied, which most guests leave alone.
fn keep_resident() -> usize {
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        256 << 10
    } else {
        0
    }
}

/// The engine for jq: fuel instead of time, so that the same filter on the same value always ends the same way.
pub(crate) fn for_jq() -> Result<Engine, HostError> {
    let mut engine = common();
    engine
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(JQ_STACK);
    Engine::new(&engine).map_err(|error| HostError::Engine(format!("{error:#}")))
}

fn common() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .max_wasm_stack(STACK);
    config
}

/// Moves an engine's clock while calls are running, and sleeps when there are none.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    running: AtomicUsize,
    stopped: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, HostError> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let (engine, theirs) = (engine.weak(), shared.clone());
        let thread = thread::Builder::new()
            .name("potok-epochs".to_owned())
            .spawn(move || tick(&engine, &theirs))
            .map_err(|error| HostError::Engine(format!("no thread for the clock: {error}")))?;
        Ok(Self {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// Keeps the clock going until the guard is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        if self.shared.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// A call is running.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own")]
fn tick(engine: &EngineWeak, shared: &Shared) {
    while !shared.stopped.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) == 0 {
            thread::park();
            continue;
        }
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_clock_goes_while_calls_run_and_ends_with_its_host() {
        let config = HostConfig {
            pool_instances: 1,
            ..HostConfig::default()
        };
        let engine = for_calls(&config).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        drop(ticker.run());
        let again = ticker.run();
        drop(again);
        let shared = Arc::downgrade(&ticker.shared);
        drop(ticker);
        let started = Instant::now();
        while shared.strong_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(30), "the thread goes on");
            thread::yield_now();
        }
    }
}
