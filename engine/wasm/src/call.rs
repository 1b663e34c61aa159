//! One call: a fresh instance, JSON in, JSON out, or a problem. Nothing of it stays.

use std::{sync::Arc, time::Instant};

use potok_dsl::Problem;
use serde_json::Value;
use tokio::sync::Semaphore;
use wasmtime::{
    Store,
    component::{ComponentExportIndex, InstancePre, Val},
};

use crate::{
    config::HostConfig,
    engine::Ticker,
    fault,
    info::FunctionInfo,
    ledger::Ledger,
    lift::Lift,
    lower, problem,
    provider::CallContext,
    shape::{Returns, Signature},
    state::State,
};

/// How many bytes a guest may hand over for each byte that may leave as JSON: a value takes more room in flight than as text.
const ROOM: usize = 4;

/// A function, ready to be called: nothing is looked up by name any more.
pub(crate) struct Callable {
    pub(crate) info: Arc<FunctionInfo>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) index: ComponentExportIndex,
    pub(crate) signature: Signature,
    /// What its errors are named after: `book`.
    pub(crate) plugin: String,
    /// How much of the pool an instance takes: one for most, more for a component of several modules with memories.
    pub(crate) share: u32,
}

/// What all calls share.
pub(crate) struct Calls {
    limits: HostConfig,
    ticker: Ticker,
    /// What is left of the pool; a call waits for its share.
    pool: Semaphore,
}

impl Calls {
    pub(crate) fn new(limits: HostConfig, ticker: Ticker) -> Self {
        let pool = Semaphore::new(limits.pool_instances.max(1) as usize);
        Self { limits, ticker, pool }
    }

    /// Calls a function, until its deadline.
    pub(crate) async fn call(
        &self,
        callable: &Callable,
        args: Value,
        cx: CallContext,
        ledger: Option<Arc<dyn Ledger>>,
    ) -> Result<Value, Problem> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::from_std(cx.deadline);
        match tokio::time::timeout_at(deadline, self.run(callable, args, cx, ledger)).await {
            Ok(result) => result,
            Err(_) => Err(problem::deadline(&callable.info.canonical, started.elapsed())),
        }
    }

    async fn run(
        &self,
        callable: &Callable,
        args: Value,
        cx: CallContext,
        ledger: Option<Arc<dyn Ledger>>,
    ) -> Result<Value, Problem> {
        let function = callable.info.canonical.as_str();
        let args = lower::args(&callable.signature, args).map_err(|misfit| problem::arguments(function, &misfit))?;
        let share = callable.share.min(self.limits.pool_instances.max(1));
        // The semaphore is never closed; without a permit the pool would refuse the instance, with a message of its own.
        let _share = self.pool.acquire_many(share).await;
        let _running = self.ticker.run();
        let mut store = self.store(callable, cx, ledger);
        let outcome = invoke(callable, &mut store, &args).await;
        log_outputs(function, store.data());
        match outcome {
            Ok(value) => {
                if let Some(ledger) = store.data().ledger() {
                    ledger.returned().await?;
                }
                self.outcome(callable, value)
            }
            Err(error) => Err(problem::trap(function, &error, store.data())),
        }
    }

    fn store(&self, callable: &Callable, cx: CallContext, ledger: Option<Arc<dyn Ledger>>) -> Store<State> {
        let state = State::new(cx, ledger, self.limits.memory_limit, self.limits.output_limit);
        let mut store = Store::new(callable.pre.engine(), state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(self.limits.output_limit.saturating_mul(ROOM));
        store
    }

    /// What a function returned, as the step's output or its error.
    fn outcome(&self, callable: &Callable, value: Option<Val>) -> Result<Value, Problem> {
        let mut lift = Lift::new(self.limits.output_limit);
        let function = callable.info.canonical.as_str();
        let lifted = match (&callable.signature.returns, value) {
            (Returns::Nothing, _) => Ok(Value::Null),
            (Returns::Value(shape), Some(value)) => lift.value(shape, value),
            (Returns::Result { ok, .. }, Some(Val::Result(Ok(value)))) => match (ok, value) {
                (Some(shape), Some(value)) => lift.value(shape, *value),
                _ => Ok(Value::Null),
            },
            (Returns::Result { err, .. }, Some(Val::Result(Err(error)))) => {
                let error = fault::problem(&callable.plugin, err.as_ref(), error.map(|e| *e), &mut lift);
                return Err(error.unwrap_or_else(|error| problem::result(function, &error)));
            }
            _ => Err(crate::lift::Unliftable::Mismatch),
        };
        lifted.map_err(|error| problem::result(function, &error))
    }
}

async fn invoke(callable: &Callable, store: &mut Store<State>, args: &[Val]) -> wasmtime::Result<Option<Val>> {
    let instance = callable.pre.instantiate_async(&mut *store).await?;
    let function = instance
        .get_func(&mut *store, callable.index)
        .ok_or_else(|| wasmtime::format_err!("the component does not export the function any more"))?;
    let mut results = [Val::Bool(false)];
    let count = usize::from(callable.signature.returns != Returns::Nothing);
    function.call_async(&mut *store, args, &mut results[..count]).await?;
    let [result] = results;
    Ok((count == 1).then_some(result))
}

fn log_outputs(function: &str, state: &State) {
    if state.is_confidential() || !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for (stream, tail) in [("stdout", &state.stdout), ("stderr", &state.stderr)] {
        if let Some(text) = tail.text() {
            tracing::debug!(function, stream, text, "plugin output");
        }
    }
}
