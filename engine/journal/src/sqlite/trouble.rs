//! Whether the store can be written. It is said once when it cannot any more, and once when it can again: a disk stays full for hours,
//! and everyone who has something to write tries again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// For so long a failure is not forgotten: on a full disk small writes succeed between large ones that fail.
const RECENT: Duration = Duration::from_secs(5);

/// What the writer knows of itself.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    is_there: AtomicBool,
    last: Mutex<Option<(Instant, StoreError)>>,
}

impl Trouble {
    /// Whether the last transaction has failed.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// Why a transaction has failed a moment ago.
    pub(crate) fn recent(&self) -> Option<StoreError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = last.as_ref().filter(|(at, _)| at.elapsed() < RECENT);
        recent.map(|(_, why)| why.clone())
    }

    /// A transaction has failed.
    pub(crate) fn comes(&self, why: &StoreError, path: Option<&str>) {
        let told = self.recent().is_some();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), why.clone()));
        if !self.is_there.swap(true, Ordering::Relaxed) && !told {
            let path = path.unwrap_or_default();
            tracing::error!(error = %why, path, "the journal cannot be written; what was accepted waits until it can");
        }
    }

    /// A transaction is durable.
    pub(crate) fn goes(&self) {
        if self.is_there() {
            self.is_there.store(false, Ordering::Relaxed);
            tracing::debug!("the journal can be written again");
        }
    }
}
