//! One call at a time for one idempotency key, so that a second one finds what the first one did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Up to this many entries of calls that are over may stay before they are cleared away.
const SLACK: usize = 256;

/// The keys that are being worked on in this process.
#[derive(Debug, Default)]
pub(crate) struct KeyLocks(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl KeyLocks {
    /// Waits until the key is free and takes it until the guard is dropped.
    pub(crate) async fn take(&self, key: &str) -> OwnedMutexGuard<()> {
        self.of(key).lock_owned().await
    }

    /// Takes the key if it is free.
    pub(crate) fn try_take(&self, key: &str) -> Option<OwnedMutexGuard<()>> {
        self.of(key).try_lock_owned().ok()
    }

    fn of(&self, key: &str) -> Arc<AsyncMutex<()>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = keys.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        if keys.len() >= SLACK {
            keys.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        keys.insert(key.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[tokio::test]
    async fn a_key_is_taken_once_and_free_again_afterwards() {
        let locks = KeyLocks::default();
        let guard = locks.take("a").await;
        assert!(locks.try_take("a").is_none());
        assert!(locks.try_take("b").is_some());
        drop(guard);
        assert!(locks.try_take("a").is_some());
    }

    #[tokio::test]
    async fn keys_that_are_free_do_not_pile_up() {
        let locks = KeyLocks::default();
        let kept = locks.take("kept").await;
        for number in 0..10 * SLACK {
            drop(locks.take(&number.to_string()).await);
        }
        assert!(locks.0.lock().unwrap().len() <= SLACK);
        assert!(locks.try_take("kept").is_none());
        drop(kept);
    }
}
