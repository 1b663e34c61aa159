//! The smallest effectful capability: it counts, and does nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use potok_dsl::Problem;
use potok_wasm::{CallContext, Provider};
use serde_json::Value;

/// Counts the calls it gets.
#[derive(Default)]
pub struct Counter(AtomicU64);

#[async_trait]
impl Provider for Counter {
    fn interfaces(&self) -> &[&'static str] {
        &["potok:test/counter"]
    }

    async fn call(&self, _: &CallContext, _: &str, _: &str, _: Value) -> Result<Value, Problem> {
        Ok(Value::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}
