//! How a call that did not return ends: traps, limits and deadlines as problems that say what to do.

use std::time::Duration;

use potok_dsl::{ErrorType, Problem};
use serde_json::{Map, Value, json};
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::{lift::Unliftable, lower::Misfit, state::State};

/// How many frames of a backtrace are kept.
const FRAMES: usize = 32;

/// How much of the last words goes into the message; all that was kept is in the data.
const LAST_WORDS: usize = 500;

/// Carries a provider's problem out of a guest that has no error to take it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub(crate) Problem);

/// Bytes as people say them.
pub(crate) fn mebibytes(bytes: usize) -> String {
    if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

/// Arguments that do not fit the function.
pub(crate) fn arguments(function: &str, misfit: &Misfit) -> Problem {
    Problem::new(
        ErrorType::Validation,
        "Arguments do not fit",
        format!("the arguments of {function} do not fit: {misfit}"),
    )
    .with_data(json!({ "pointer": misfit.pointer }))
}

/// A result that cannot be JSON.
pub(crate) fn result(function: &str, error: &Unliftable) -> Problem {
    let (title, verb) = match error {
        Unliftable::TooLarge { .. } => ("Result too large", "returned"),
        _ => ("Result is not JSON", "returned"),
    };
    Problem::new(ErrorType::Runtime, title, format!("{function} {verb} {error}"))
}

/// No answer in time.
pub(crate) fn deadline(function: &str, took: Duration) -> Problem {
    Problem::new(
        ErrorType::Timeout,
        "Deadline exceeded",
        format!("{function} was stopped: it had not finished after {took:.1?}"),
    )
}

/// A call that ended in an error of the engine's: a trap, most often.
pub(crate) fn trap(function: &str, error: &wasmtime::Error, state: &State) -> Problem {
    if let Some(Failed(problem)) = error.downcast_ref() {
        return problem.clone();
    }
    let last_words = state.stderr.text();
    let (title, detail) = explain(function, error, state, last_words.as_deref());
    let mut data = Map::new();
    if let Some(trap) = error.downcast_ref::<Trap>() {
        data.insert("trap".to_owned(), Value::String(trap.to_string()));
    }
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        data.insert("backtrace".to_owned(), frames(backtrace));
    }
    if let Some(text) = last_words {
        data.insert("stderr".to_owned(), Value::String(text));
    }
    Problem::new(ErrorType::Runtime, title, detail).with_data(Value::Object(data))
}

fn explain(function: &str, error: &wasmtime::Error, state: &State, last_words: Option<&str>) -> (&'static str, String) {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return (
            "Plugin exited",
            format!("{function} ended itself with the exit code {code} instead of returning"),
        );
    }
    if state.limits.exceeded {
        let limit = mebibytes(state.limits.memory);
        return (
            "Memory limit reached",
            format!("{function} tried to use more than {limit} of memory"),
        );
    }
    if format!("{error:#}").contains("fuel allocated for hostcalls") {
        let limit = mebibytes(state.output_limit);
        return (
            "Result too large",
            format!("{function} returned, or handed to a capability, more than {limit}"),
        );
    }
    let detail = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            format!("{function} ran out of stack: its calls are nested too deep, perhaps without end")
        }
        Some(Trap::UnreachableCodeReached) => format!("{function} panicked{}", quote(last_words)),
        Some(trap) => format!("{function} trapped ({trap}){}", quote(last_words)),
        None => format!("{function} could not be run: {error:#}"),
    };
    ("Plugin trapped", detail)
}

fn quote(last_words: Option<&str>) -> String {
    let Some(words) = last_words else { return String::new() };
    let skip = words.chars().count().saturating_sub(LAST_WORDS);
    let end: String = words.chars().skip(skip).collect();
    format!(": {end}")
}

fn frames(backtrace: &WasmBacktrace) -> Value {
    let name = |frame: &wasmtime::FrameInfo| {
        let symbol = frame
            .symbols()
            .iter()
            .find_map(|symbol| symbol.name())
            .or_else(|| frame.func_name());
        match symbol {
            Some(name) => name.to_owned(),
            None => format!(
                "function {} of {}",
                frame.func_index(),
                frame.module().name().unwrap_or("the plugin")
            ),
        }
    };
    backtrace.frames().iter().take(FRAMES).map(name).collect()
}
