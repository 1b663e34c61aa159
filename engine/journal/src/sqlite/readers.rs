//! A few connections for reading, lent to threads on which nobody else waits.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::sqlite::open;

/// The readers of a database.
pub(crate) struct Readers {
    idle: Mutex<Vec<Connection>>,
    /// As many permits as there are connections: who has one finds a connection.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn open(database: &Path, count: usize) -> Result<Self, StoreError> {
        let count = count.max(1);
        let idle = (0..count).map(|_| open::reader(database)).collect::<Result<_, _>>()?;
        Ok(Self {
            idle: Mutex::new(idle),
            permits: Arc::new(Semaphore::new(count)),
        })
    }

    /// Reads on a thread for blocking work; waits for a connection. The read is finished even if nobody waits for it any more.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let closed = |why: String| StoreError::Unavailable(format!("a read could not be made: {why}"));
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| closed(error.to_string()))?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let lent = Lent::take(readers)?;
            let result = lent.connection.as_ref().map_or_else(|| Err(gone()), read);
            drop(lent);
            drop(permit);
            result
        });
        reading.await.map_err(|error| closed(error.to_string()))?
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("no connection is left to read with".to_owned())
}

/// A lent connection; it goes back even if the read panics.
struct Lent {
    readers: Arc<Readers>,
    connection: Option<Connection>,
}

impl Lent {
    fn take(readers: Arc<Readers>) -> Result<Self, StoreError> {
        let connection = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if connection.is_none() {
            return Err(gone());
        }
        Ok(Self { readers, connection })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}
