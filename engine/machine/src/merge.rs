//! What parallel iterations have done to their copies of `$context`, to be merged in the order of their indexes.
//!
//! The result is as if the iterations' changes were applied one after the other, but only what can still count is kept: for each
//! top-level key the change of the highest index. So what is kept is bounded by the keys, not by the iterations.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::frame::option;

/// The changes so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Merge<V> {
    /// The last context that took the place of the whole: one that is not an object, or that came of one that is not.
    replaced: Option<(u64, V)>,
    /// The last change of each key; `None` where it was removed.
    keys: BTreeMap<String, (u64, Option<V>)>,
}

impl<V> Default for Merge<V> {
    fn default() -> Self {
        Self {
            replaced: None,
            keys: BTreeMap::new(),
        }
    }
}

impl<V> Merge<V> {
    pub(crate) fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Merge<U>, E> {
        let replaced = match self.replaced {
            Some((index, value)) => Some((index, f(value)?)),
            None => None,
        };
        let keys = self
            .keys
            .into_iter()
            .map(|(key, (index, value))| Ok((key, (index, option(value, f)?))));
        Ok(Merge {
            replaced,
            keys: keys.collect::<Result<_, E>>()?,
        })
    }
}

impl Merge<Arc<Value>> {
    /// Notes what an iteration made of the context that all of them began with.
    pub(crate) fn note(&mut self, index: u64, before: &Arc<Value>, after: &Arc<Value>) {
        if Arc::ptr_eq(before, after) {
            return;
        }
        let (Value::Object(before), Value::Object(after)) = (before.as_ref(), after.as_ref()) else {
            if before != after && self.replaced.as_ref().is_none_or(|(known, _)| *known < index) {
                self.replaced = Some((index, Arc::clone(after)));
            }
            return;
        };
        for (key, value) in after {
            if before.get(key) != Some(value) {
                self.key(index, key, Some(value));
            }
        }
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            self.key(index, key, None);
        }
    }

    fn key(&mut self, index: u64, key: &str, value: Option<&Value>) {
        if self.keys.get(key).is_none_or(|(known, _)| *known < index) {
            self.keys
                .insert(key.to_owned(), (index, value.map(|value| Arc::new(value.clone()))));
        }
    }

    /// The context that comes of it.
    pub(crate) fn result(self, before: &Arc<Value>) -> Arc<Value> {
        let since = self.replaced.as_ref().map(|(index, _)| *index);
        let mut changes: Vec<_> = self
            .keys
            .into_iter()
            .filter(|(_, (index, _))| since.is_none_or(|since| *index > since))
            .collect();
        if changes.is_empty() {
            return self.replaced.map_or_else(|| Arc::clone(before), |(_, value)| value);
        }
        changes.sort_by_key(|(_, (index, _))| *index);
        let mut context = before.as_object().cloned().unwrap_or_else(Map::new);
        for (key, (_, value)) in changes {
            match value {
                Some(value) => drop(context.insert(key, Arc::unwrap_or_clone(value))),
                None => drop(context.shift_remove(&key)),
            }
        }
        Arc::new(Value::Object(context))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(before: &Value, afters: &[(u64, Value)]) -> Value {
        let before = Arc::new(before.clone());
        let mut merge = Merge::default();
        for (index, after) in afters {
            merge.note(*index, &before, &Arc::new(after.clone()));
        }
        merge.result(&before).as_ref().clone()
    }

    #[test]
    fn later_indexes_win_whatever_the_order_of_their_ends() {
        let before = json!({ "a": 0, "gone": 1, "same": 2 });
        let one = (1, json!({ "a": 1, "b": 1, "same": 2 }));
        let two = (2, json!({ "a": 2, "gone": 1, "same": 2 }));
        let expected = json!({ "a": 2, "same": 2, "b": 1 });
        assert_eq!(merged(&before, &[one.clone(), two.clone()]), expected);
        assert_eq!(merged(&before, &[two, one]), expected);
    }

    #[test]
    fn what_is_no_object_replaces() {
        let before = json!({ "a": 0 });
        assert_eq!(merged(&before, &[(1, json!(7)), (0, json!({ "a": 1 }))]), json!(7));
        assert_eq!(
            merged(&before, &[(1, json!(7)), (2, json!({ "a": 0, "b": 1 }))]),
            json!({ "a": 0, "b": 1 })
        );
        assert_eq!(
            merged(&json!(null), &[(1, json!({ "a": 1 })), (2, json!({ "b": 1 }))]),
            json!({ "b": 1 })
        );
        assert_eq!(merged(&before, &[]), before);
    }
}
