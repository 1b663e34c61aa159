//! A run's state as data: self-describing, with a version, each value in it once.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    SEMANTICS,
    definition::{Definition, Kind},
    error::Incompatible,
    frame::{Body, Frame},
    state::{Live, State, Work},
};

/// The version of the encoding.
const VERSION: u32 = 1;

/// A run as it was at some moment. Made and read by [`crate::Machine`] alone; to everyone else it is data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    version: u32,
    /// The definition that its numbers mean something in.
    fingerprint: String,
    /// The values that the state refers to by their place here.
    values: Vec<Arc<Value>>,
    state: State<u32>,
}

impl Snapshot {
    /// How much there is to write, in parts of values: an array of a thousand numbers has a thousand and one.
    #[must_use]
    pub fn weight(&self) -> u64 {
        fn parts(value: &Value) -> u64 {
            // A value is at most 128 deep.
            1 + match value {
                Value::String(text) => text.len() as u64 / 16,
                Value::Array(items) => items.iter().map(parts).sum(),
                Value::Object(members) => members.values().map(|member| 1 + parts(member)).sum(),
                _ => 0,
            }
        }
        self.values.iter().map(|value| parts(value)).sum()
    }
}

/// The snapshot of a state.
pub(crate) fn take(state: &Live, fingerprint: &str) -> Snapshot {
    let mut table = Table::default();
    let numbered = state.clone().map(&mut |value| table.number(value));
    let state = match numbered {
        Ok(state) => state,
        Err(never) => match never {},
    };
    Snapshot {
        version: VERSION,
        fingerprint: fingerprint.to_owned(),
        values: table.values,
        state,
    }
}

/// The state of a snapshot.
pub(crate) fn open(snapshot: Snapshot, definition: &Definition) -> Result<Live, Incompatible> {
    let Snapshot {
        version,
        fingerprint,
        values,
        state,
    } = snapshot;
    if version != VERSION {
        return Err(Incompatible::Version {
            found: version,
            known: VERSION,
        });
    }
    if state.semantics != SEMANTICS {
        return Err(Incompatible::Semantics {
            run: state.semantics,
            machine: SEMANTICS,
        });
    }
    if fingerprint != definition.fingerprint() {
        return Err(Incompatible::Definition {
            found: fingerprint,
            given: definition.fingerprint().to_owned(),
        });
    }
    let state = state.map(&mut |number: u32| {
        let value = values.get(number as usize).map(Arc::clone);
        value.ok_or_else(|| Incompatible::Damaged(format!("it has no value {number}")))
    })?;
    check(&state, definition)?;
    Ok(state)
}

/// Values by their number; values that are shared in memory get one number.
#[derive(Default)]
struct Table {
    values: Vec<Arc<Value>>,
    numbers: HashMap<usize, u32>,
}

impl Table {
    fn number(&mut self, value: Arc<Value>) -> Result<u32, std::convert::Infallible> {
        // The table holds the value, so its address stays its own.
        let address = Arc::as_ptr(&value).addr();
        let next = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(address).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        Ok(number)
    }
}

/// Whether a state refers only to what its definition has, and does with each task what that task does.
fn check(state: &Live, definition: &Definition) -> Result<(), Incompatible> {
    let damaged = |what: &str| Err(Incompatible::Damaged(what.to_owned()));
    for frame in state.frames.iter() {
        match frame {
            Frame::Block(block) if !definition.has_list(block.list) => return damaged("a block of an unknown list"),
            Frame::Task(task) if !definition.has_node(task.node) => return damaged("an unknown task"),
            Frame::Task(task)
                if task
                    .extensions
                    .iter()
                    .any(|number| definition.extension(*number).is_none()) =>
            {
                return damaged("an unknown extension");
            }
            Frame::Task(task) => {
                let fits = match (&task.body, &definition.node(task.node).kind) {
                    (Body::Instant | Body::Extended(_), _) | (Body::Wait { .. }, Kind::Wait(_)) => true,
                    (Body::Asking { .. } | Body::Queued { .. }, _) => definition.node(task.node).rate.is_some(),
                    (Body::Child { .. }, Kind::Do(_) | Kind::Call(_)) | (Body::Call { .. }, Kind::Call(_)) => true,
                    (Body::For(_), Kind::For(_)) | (Body::Try(_), Kind::Try(_)) => true,
                    (Body::Listen(_), Kind::Listen(_)) => true,
                    (Body::Fork(forking), Kind::Fork(fork)) => forking.outputs.len() == fork.branches.len(),
                    _ => false,
                };
                if !fits {
                    return damaged("a task that does what it is not there for");
                }
            }
            Frame::Block(_) => {}
        }
    }
    for work in &state.queue {
        match work {
            Work::Enter { node, .. } if !definition.has_node(*node) => return damaged("an unknown task is next"),
            _ => {}
        }
    }
    Ok(())
}
