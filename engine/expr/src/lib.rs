//! Runtime expressions: jq text in, JSON values out.
//!
//! An [`Expression`] is parsed and checked once, when a workflow is compiled, and evaluated many times. Most of what
//! workflows say (paths, comparisons, arithmetic, construction, interpolation) is answered by a small evaluator in this
//! crate; everything else goes through the [`Jq`] trait to a full one. Which of the two answers is not visible in the
//! result.
//!
//! Rules that hold for both: no output gives null, several give the first; a float without a fraction becomes an
//! integer wherever it leaves the expression or becomes text; 64-bit integers, signed and unsigned, stay exact; NaN and
//! infinities cannot leave; results are nested at most [`MAX_DEPTH`] deep; nothing reads the clock, the environment or
//! the process.
//!
//! `$secrets.name` gives a placeholder; see [`secret`]. Which secrets an expression reads is known without evaluating it.
//!
//! This crate does no IO, knows no WebAssembly and no workflow.

mod check;
mod error;
mod evaluator;
mod expression;
mod functions;
mod native;
mod number;
mod opaque;
pub mod secret;
mod syntax;
mod template;

pub use error::ExpressionError;
pub use evaluator::{Evaluator, Jq, Scope};
pub use expression::Expression;
pub use secret::SecretPath;
pub use template::{MAX_DEPTH, Template, is_expression};
