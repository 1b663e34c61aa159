//! The full jq evaluator: jaq as a component, in warm instances that keep compiled filters.
//!
//! A filter is bounded by fuel and memory, never by time, so that the same filter on the same value always ends the same
//! way. A warm instance has less left to give than a fresh one; so it is held to less, and what it cannot do within that is done
//! again in a fresh instance, whose word counts. After a trap an instance is thrown away.

mod instance;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::available_parallelism,
};

use potok_code::CodeCache;
use serde_json::Value;

use self::instance::{Answer, Instance, Setup};

/// The evaluator. The component is compiled, or taken from the cache, when it is first needed.
pub(crate) struct Filters {
    cache: Option<Arc<CodeCache>>,
    setup: OnceLock<Result<Setup, String>>,
    /// Instances that nobody uses at the moment, at most as many as there are processors.
    idle: Mutex<Vec<Instance>>,
    most_idle: usize,
}

impl Filters {
    pub(crate) fn new(cache: Option<Arc<CodeCache>>) -> Self {
        let most_idle = available_parallelism().map_or(2, usize::from);
        Self {
            cache,
            setup: OnceLock::new(),
            idle: Mutex::default(),
            most_idle,
        }
    }

    /// Runs in a warm instance, and where that ends in a limit, once more in a fresh one.
    fn run<T>(&self, work: impl Fn(&mut Instance) -> Answer<T>) -> Result<T, String> {
        let setup = self
            .setup
            .get_or_init(|| Setup::new(self.cache.as_deref()))
            .as_ref()
            .map_err(Clone::clone)?;
        let warm = self.idle().pop();
        if let Some(mut instance) = warm {
            match work(&mut instance) {
                Answer::Limit(_) => {}
                answer => return self.keep(instance, answer),
            }
        }
        let mut instance = setup.instance()?;
        let answer = work(&mut instance);
        self.keep(instance, answer)
    }

    fn keep<T>(&self, instance: Instance, answer: Answer<T>) -> Result<T, String> {
        match answer {
            Answer::Limit(message) => Err(message),
            Answer::Value(result) => {
                if let Some(instance) = instance.warm() {
                    let mut idle = self.idle();
                    if idle.len() < self.most_idle {
                        idle.push(instance);
                    }
                }
                result
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl potok_expr::Jq for Filters {
    fn check(&self, filter: &str, variables: &[&str]) -> Result<(), String> {
        let variables = names(variables.iter().copied());
        self.run(|instance| instance.check(filter, &variables))
    }

    fn eval(&self, filter: &str, input: &Value, variables: &[(&str, Arc<Value>)]) -> Result<Value, String> {
        let names = names(variables.iter().map(|(name, _)| *name));
        let input = input.to_string();
        let values: Vec<String> = variables.iter().map(|(_, value)| value.to_string()).collect();
        let output = self.run(|instance| instance.eval(filter, &names, &input, &values))?;
        serde_json::from_str(&output).map_err(|error| format!("the result of the expression is not JSON: {error}"))
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}
