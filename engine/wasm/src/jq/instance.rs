//! One instance of the jq component, with its limits and its compiled filters.
//!
//! The protocol is in the documentation of the guest (`plugins/jq`).

use std::collections::HashMap;

use potok_code::CodeCache;
use wasmtime::{
    Engine, ResourceLimiter, Store, Trap,
    component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, TypedFunc},
};

use crate::{engine, plugin::compile, problem::mebibytes};

/// What compiling a filter may cost.
const COMPILE_FUEL: u64 = 500_000_000;

/// What one evaluation may cost, from reading its input to writing its output: some tenths of a second.
const EVAL_FUEL: u64 = 500_000_000;

/// What an evaluation may use, in bytes.
const MEMORY: usize = 64 << 20;

/// An instance that has grown beyond this is not kept.
const WARM: usize = 16 << 20;

/// How many handles are remembered; the guest keeps fewer filters than that and says so when one is gone.
const HANDLES: usize = 1024;

/// The interface that the component exports.
const INTERFACE: &str = "potok:jq/filters@1.0.0";

type Compile = TypedFunc<(String, Vec<String>), (Result<u32, String>,)>;
type Eval = TypedFunc<(u32, String, Vec<String>), (Result<String, Failure>,)>;

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(variant)]
enum Failure {
    #[component(name = "unknown-filter")]
    UnknownFilter,
    #[component(name = "failed")]
    Failed(String),
}

/// How a piece of work ended.
pub(super) enum Answer<T> {
    /// As the filter determines it: a value, or a message for its author.
    Value(Result<T, String>),
    /// In a limit, which leaves the instance of no use.
    Limit(String),
}

/// What instances are made from.
pub(super) struct Setup {
    engine: Engine,
    pre: InstancePre<Limits>,
    compile: ComponentExportIndex,
    eval: ComponentExportIndex,
}

impl Setup {
    pub(super) fn new(cache: Option<&CodeCache>) -> Result<Self, String> {
        let bytes = potok_plugins::jq().decompress().map_err(|error| error.to_string())?;
        let engine = engine::for_jq().map_err(|error| error.to_string())?;
        Self::link(engine, cache, &bytes).map_err(|error| format!("the jq evaluator cannot be set up: {error:#}"))
    }

    fn link(engine: Engine, cache: Option<&CodeCache>, bytes: &[u8]) -> wasmtime::Result<Self> {
        let component = compile(&engine, cache, bytes)?;
        let mut linker = Linker::new(&engine);
        // The seed of hash tables, which regular expressions have: always the same, so that nothing differs between runs.
        for (name, _) in component.component_type().imports(&engine) {
            if name.starts_with("wasi:random/insecure-seed@") {
                linker
                    .instance(name)?
                    .func_wrap("insecure-seed", |_, (): ()| Ok(((0_u64, 0_u64),)))?;
            }
        }
        // The standard library's other imports, none of which is called on the way to an answer.
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = linker.instantiate_pre(&component)?;
        let (compile, eval) = (export(&component, "compile")?, export(&component, "eval")?);
        Ok(Self {
            engine,
            pre,
            compile,
            eval,
        })
    }

    /// A fresh instance.
    pub(super) fn instance(&self) -> Result<Instance, String> {
        self.instantiate()
            .map_err(|error| format!("the jq evaluator cannot be started: {error:#}"))
    }

    fn instantiate(&self) -> wasmtime::Result<Instance> {
        let mut store = Store::new(&self.engine, Limits { most: MEMORY, used: 0 });
        store.limiter(|limits| limits);
        store.set_fuel(COMPILE_FUEL)?;
        let instance = self.pre.instantiate(&mut store)?;
        let compile = instance.get_typed_func(&mut store, self.compile)?;
        let eval = instance.get_typed_func(&mut store, self.eval)?;
        Ok(Instance {
            store,
            compile,
            eval,
            handles: HashMap::new(),
            warm: false,
        })
    }
}

fn export(component: &Component, function: &str) -> wasmtime::Result<ComponentExportIndex> {
    let interface = component.get_export_index(None, INTERFACE);
    let index = interface.and_then(|interface| component.get_export_index(Some(&interface), function));
    index.ok_or_else(|| wasmtime::format_err!("the component does not export {INTERFACE}.{function}"))
}

/// An instance. Fresh, it has all fuel and memory; warm, less.
pub(super) struct Instance {
    store: Store<Limits>,
    compile: Compile,
    eval: Eval,
    /// The handles of compiled filters, by text and variables.
    handles: HashMap<(String, Vec<String>), u32>,
    warm: bool,
}

impl Instance {
    /// The instance for the next one, unless it has grown too large to be kept.
    pub(super) fn warm(mut self) -> Option<Self> {
        self.warm = true;
        self.store.data_mut().most = MEMORY / 4 * 3;
        (self.store.data().used <= WARM).then_some(self)
    }

    /// Whether a filter compiles.
    pub(super) fn check(&mut self, filter: &str, variables: &[String]) -> Answer<()> {
        match self.compiled(filter, variables) {
            Answer::Value(result) => Answer::Value(result.map(|_| ())),
            Answer::Limit(message) => Answer::Limit(message),
        }
    }

    /// The first output of a filter, as JSON.
    pub(super) fn eval(
        &mut self,
        filter: &str,
        variables: &[String],
        input: &str,
        values: &[String],
    ) -> Answer<String> {
        // A handle that was forgotten is compiled once more; the filter compiled last is never forgotten.
        for _ in 0..2 {
            let handle = match self.handle(filter, variables) {
                Answer::Value(Ok(handle)) => handle,
                Answer::Value(Err(message)) => return Answer::Value(Err(message)),
                Answer::Limit(message) => return Answer::Limit(message),
            };
            let args = (handle, input.to_owned(), values.to_owned());
            let eval = self.eval;
            match self.limited(EVAL_FUEL, |store| eval.call(store, args)) {
                Answer::Value(Err(message)) => return Answer::Value(Err(message)),
                Answer::Value(Ok(Ok(output))) => return Answer::Value(Ok(output)),
                Answer::Value(Ok(Err(Failure::Failed(message)))) => return Answer::Value(Err(message)),
                Answer::Value(Ok(Err(Failure::UnknownFilter))) => self.handles.clear(),
                Answer::Limit(message) => return Answer::Limit(message),
            }
        }
        Answer::Limit("the jq evaluator forgot the expression while it was in use".to_owned())
    }

    fn handle(&mut self, filter: &str, variables: &[String]) -> Answer<u32> {
        let key = (filter.to_owned(), variables.to_owned());
        if let Some(handle) = self.handles.get(&key) {
            return Answer::Value(Ok(*handle));
        }
        let answer = self.compiled(filter, variables);
        if let Answer::Value(Ok(handle)) = &answer {
            if self.handles.len() >= HANDLES {
                self.handles.clear();
            }
            self.handles.insert(key, *handle);
        }
        answer
    }

    fn compiled(&mut self, filter: &str, variables: &[String]) -> Answer<u32> {
        let args = (filter.to_owned(), variables.to_owned());
        let compile = self.compile;
        match self.limited(COMPILE_FUEL, |store| compile.call(store, args)) {
            Answer::Value(result) => Answer::Value(result.and_then(|compiled| compiled)),
            Answer::Limit(message) => Answer::Limit(message),
        }
    }

    /// Calls the guest with fuel; four fifths of it in a warm instance, where the same work may cost a little more or less.
    fn limited<T>(&mut self, fuel: u64, call: impl FnOnce(&mut Store<Limits>) -> wasmtime::Result<(T,)>) -> Answer<T> {
        let fuel = if self.warm { fuel / 5 * 4 } else { fuel };
        let result = self.store.set_fuel(fuel).and_then(|()| call(&mut self.store));
        match result {
            Ok((value,)) => Answer::Value(Ok(value)),
            Err(error) => Answer::Limit(explain(&error)),
        }
    }
}

fn explain(error: &wasmtime::Error) -> String {
    if error.downcast_ref::<MemoryExceeded>().is_some() {
        return format!("the expression needed more than {} of memory", mebibytes(MEMORY));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            "the expression ran too long: it does not end, or its data is too large for it".to_owned()
        }
        Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => {
            "the expression is nested too deep, or recurses without end".to_owned()
        }
        _ => format!("the expression made the jq evaluator fail: {}", error.root_cause()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the memory limit was reached")]
struct MemoryExceeded;

/// What an instance may use.
pub(super) struct Limits {
    most: usize,
    used: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.most {
            return Err(MemoryExceeded.into());
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= crate::state::TABLE_ELEMENTS)
    }
}
