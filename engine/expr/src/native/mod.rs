//! The native evaluator: what most expressions are made of, evaluated directly on JSON values.
//!
//! It answers a subset of jq, with jaq's values and jaq's errors, or it does not answer: [`lower::lower`] yields nothing
//! for an expression outside the subset, and evaluation ends in [`Stop::Beyond`] where a value leads outside of it (an
//! integer beyond 64 bits, a division by zero, a budget used up). Then the full evaluator answers.

mod builtins;
mod environment;
mod eval;
mod lower;
mod math;
mod node;
mod order;
mod path;
mod text;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use environment::Stop;
pub(crate) use text::normalize;

use crate::syntax::tree::Term;
use environment::{At, Environment, truthy};

/// An expression within the native subset.
pub(crate) struct Program(node::Expr);

impl Program {
    /// `None` when the term is beyond the subset. `variables` are the names from outside, in the order of the values
    /// that [`Self::eval`] gets.
    pub(crate) fn new(term: &Term, variables: &[String]) -> Option<Self> {
        lower::lower(term, variables).map(Self)
    }

    /// The first output, if there is one, as it leaves the expression.
    pub(crate) fn eval(&self, input: &Value, variables: &[Arc<Value>]) -> Result<Option<Value>, Stop> {
        let environment = Environment::new(variables);
        match eval::first(&self.0, At::new(&environment, input))? {
            Some(value) => text::leave(value).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the first output is there and true.
    pub(crate) fn test(&self, input: &Value, variables: &[Arc<Value>]) -> Result<bool, Stop> {
        let environment = Environment::new(variables);
        let first = eval::first(&self.0, At::new(&environment, input))?;
        Ok(first.is_some_and(|value| truthy(&value)))
    }
}
