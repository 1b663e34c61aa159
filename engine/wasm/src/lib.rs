//! The component host: plugins in, typed JSON calls out.
//!
//! It knows WebAssembly and JSON. It knows no workflow, no store and no particular capability: those come in through
//! [`Provider`] and [`Tables`].

mod provider;

pub use provider::{
    CallContext, Migration, Param, Provider, Row, Statement, TableError, Tables, Unavailable,
};
