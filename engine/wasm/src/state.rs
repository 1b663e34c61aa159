//! What a call carries into its store: the context, the limits, and WASI for those who ask for it.

use std::sync::Arc;

use wasmtime::{ResourceLimiter, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::{
    ledger::Ledger,
    provider::CallContext,
    wasi::{Clock, Tail, context},
};

/// How many elements a table may have; guests compiled from large runtimes have tens of thousands.
pub(crate) const TABLE_ELEMENTS: usize = 65_536;

/// The data of a store: one call's.
pub(crate) struct State {
    /// The call; its `sequence` counts the capability calls so far.
    call: CallContext,
    /// What is kept of them, if anything is.
    ledger: Option<Arc<dyn Ledger>>,
    /// The time that the guest sees.
    pub(crate) clock: Clock,
    /// The most bytes of JSON that leave the component at once.
    pub(crate) output_limit: usize,
    /// What it may use and has used.
    pub(crate) limits: Limits,
    /// The end of what it wrote to the standard output.
    pub(crate) stdout: Tail,
    /// The end of what it wrote to the standard error output.
    pub(crate) stderr: Tail,
    /// Made when a guest first asks for it: many never do.
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl State {
    pub(crate) fn new(
        mut call: CallContext,
        ledger: Option<Arc<dyn Ledger>>,
        memory_limit: usize,
        output_limit: usize,
    ) -> Self {
        call.sequence = 0;
        Self {
            clock: Clock::new(call.now),
            call,
            ledger,
            output_limit,
            limits: Limits {
                memory: memory_limit,
                used: 0,
                exceeded: false,
            },
            stdout: Tail::default(),
            stderr: Tail::default(),
            wasi: None,
        }
    }

    /// Whether the call's arguments hold secrets.
    pub(crate) fn is_confidential(&self) -> bool {
        self.call.confidential
    }

    /// What is kept of the capability calls.
    pub(crate) fn ledger(&self) -> Option<Arc<dyn Ledger>> {
        self.ledger.clone()
    }

    /// The context of the next capability call, with its number.
    pub(crate) fn next_call(&mut self) -> CallContext {
        self.call.sequence = self.call.sequence.saturating_add(1);
        self.call.clone()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self {
            wasi,
            call,
            clock,
            stdout,
            stderr,
            ..
        } = self;
        let wasi = wasi.get_or_insert_with(|| {
            Box::new((
                context(&call.idempotency_key, clock, stdout, stderr),
                ResourceTable::new(),
            ))
        });
        let (ctx, table) = &mut **wasi;
        WasiCtxView { ctx, table }
    }
}

/// The limits of a store.
pub(crate) struct Limits {
    /// Bytes of memory, over all memories of the component.
    pub(crate) memory: usize,
    used: usize,
    /// Whether it asked for more. It was told that there is none and may have gone on; where it trapped, this is most likely why.
    pub(crate) exceeded: bool,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.memory {
            self.exceeded = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        8
    }
}
