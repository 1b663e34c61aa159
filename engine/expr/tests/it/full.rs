//! The full evaluator for tests, in this process and so without limits: only for expressions that end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use potok_expr::{Evaluator, Expression, Jq, Scope};
use serde_json::Value;

use crate::jaq::engine::{Engine, Failure};

/// Not `Send`, as jaq's values are not: a new engine for every call.
pub struct Full;

impl Jq for Full {
    fn check(&self, filter: &str, variables: &[&str]) -> Result<(), String> {
        let names: Vec<String> = variables.iter().map(ToString::to_string).collect();
        Engine::new().compile(filter, &names).map(drop)
    }

    fn eval(&self, filter: &str, input: &Value, variables: &[(&str, Arc<Value>)]) -> Result<Value, String> {
        thread_local!(static ENGINE: std::cell::RefCell<Engine> = std::cell::RefCell::new(Engine::new()));
        let names: Vec<String> = variables.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values: Vec<String> = variables.iter().map(|(_, value)| value.to_string()).collect();
        ENGINE.with_borrow_mut(|engine| {
            let handle = engine.compile(filter, &names)?;
            match engine.eval(handle, &input.to_string(), &values) {
                Ok(text) => Ok(serde_json::from_str(&text).expect("the full evaluator writes JSON")),
                Err(Failure::Failed(message)) => Err(message),
                Err(Failure::UnknownFilter) => Err("the filter was just compiled".to_owned()),
            }
        })
    }
}

pub fn full() -> Evaluator {
    Evaluator::new(Arc::new(Full))
}

/// Variables from a list.
pub struct Variables(pub HashMap<String, Arc<Value>>);

impl Variables {
    pub fn new<const N: usize>(variables: [(&str, Value); N]) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Arc::new(value)))
                .collect(),
        )
    }
}

impl Scope for Variables {
    fn get(&self, name: &str) -> Option<Arc<Value>> {
        self.0.get(name).cloned()
    }
}

/// Counts the questions that reach the full evaluator, and answers none: without limits they might never end.
#[derive(Default)]
pub struct Counting(Mutex<usize>);

impl Counting {
    pub fn count(&self) -> usize {
        *self.0.lock().unwrap()
    }
}

impl Jq for Counting {
    fn check(&self, filter: &str, variables: &[&str]) -> Result<(), String> {
        Full.check(filter, variables)
    }

    fn eval(&self, _: &str, _: &Value, _: &[(&str, Arc<Value>)]) -> Result<Value, String> {
        *self.0.lock().unwrap() += 1;
        Err("not asked".to_owned())
    }
}

/// The value of an expression without variables.
pub fn eval(text: &str, input: &Value) -> Result<Value, String> {
    let evaluator = full();
    let expression = Expression::parse(text, &evaluator).map_err(|error| error.message)?;
    expression.eval(&evaluator, input, &()).map_err(|error| error.message)
}
