//! The full jq evaluator as a component: jaq, with the numbers of Potok's expressions and without a way out.
//!
//! # Protocol for the host
//!
//! The WIT is `wit/jq.wit`, the world `potok:jq/jq`; the only export is the interface `potok:jq/filters@1.0.0`.
//!
//! 1. **An instance is warm**: it keeps up to [`engine::CAPACITY`] compiled filters. The host calls
//!    `compile(filter, variables)` and gets a handle; compiling the same text for the same variables again finds it (a few
//!    hundred nanoseconds), so a host may simply call `compile` before every `eval`. A host that remembers handles for an
//!    instance must be ready for `unknown-filter`, which means that the filter was evicted: compile again, once.
//!    The filter that was compiled or evaluated last is never the one to be evicted. Handles mean nothing in another
//!    instance.
//! 2. `eval(handle, input, variables)` takes JSON texts, the variables in the order in which `compile` named them, and
//!    gives the first output as JSON (`null` when there is none), or `failed(message)` with the jq error. The state of the
//!    instance does not change but for the cache: an answer depends on filter, input and variables alone.
//! 3. **Limits are the host's**: fuel for each call, a cap on the memory of the instance. Give `compile` and `eval` fuel of
//!    their own, so that what an evaluation may cost does not depend on the cache. The guest bounds nothing but the nesting
//!    of JSON ([`engine::MAX_DEPTH`]), on the way in and on the way out.
//! 4. **A trap** (out of fuel, out of memory, stack exhausted, a panic) leaves the instance in an unknown state: the host must
//!    throw it away, with its handles. It is an error of the expression, not of the host. Since a warm instance has less
//!    memory free than a fresh one, a call that runs out of memory in a warm instance should be repeated once in a fresh
//!    one, whose answer is the one that counts; then an expression ends the same way whatever ran before it.
//! 5. Calls do not re-enter; one call at a time in an instance.
//!
//! 6. **Imports**: the component imports what Rust's standard library imports from WASI 0.2, and calls one of them:
//!    `wasi:random/insecure-seed`, the seed of a hash table that a regular expression's names are kept in. The host must link
//!    it and should answer with a constant; no output depends on it. All others may be linked as traps. Nothing here can see
//!    a clock, the environment, a file or a random number.
//!
//! # Which jq
//!
//! jaq's core, standard library and regular expressions; numbers by the rules of [`value`]; a few definitions that jaq
//! does not have (`prelude.jq`). Not there: `halt`, `env`, `$ENV`, `input`, `debug`, `stderr`, `now`, local time, modules.

pub mod engine;
mod natives;
mod prelude;
pub mod value;

#[cfg(target_family = "wasm")]
mod component {
    use std::cell::RefCell;

    use exports::potok::jq::filters::{Failure, Guest};

    use crate::engine::{self, Engine};

    wit_bindgen::generate!({ path: "wit", world: "jq" });

    thread_local! {
        static ENGINE: RefCell<Engine> = RefCell::new(Engine::new());
    }

    struct Component;
    export!(Component);

    impl Guest for Component {
        fn compile(filter: String, variables: Vec<String>) -> Result<u32, String> {
            ENGINE.with_borrow_mut(|engine| engine.compile(&filter, &variables))
        }

        fn eval(filter: u32, input: String, variables: Vec<String>) -> Result<String, Failure> {
            ENGINE
                .with_borrow_mut(|engine| engine.eval(filter, &input, &variables))
                .map_err(|failure| match failure {
                    engine::Failure::UnknownFilter => Failure::UnknownFilter,
                    engine::Failure::Failed(message) => Failure::Failed(message),
                })
        }
    }
}
