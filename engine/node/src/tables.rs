//! Providers' tables and blobs, on the engine's store: one writer for everything.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use potok_journal::{SqlStatement, SqlValue, Store, StoreError, Write, Written, hex, parse_hex};
use potok_wasm::{Param, Row, Statement, TableError, Tables};

use crate::shell;

/// The tables of a store, for whoever calls functions without a node.
#[must_use]
pub fn tables(store: Arc<dyn Store>) -> Arc<dyn Tables> {
    Arc::new(StoreTables::new(store))
}

/// How long the store is left alone after it was not to be had, first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The tables of a store.
pub(crate) struct StoreTables {
    store: Arc<dyn Store>,
    patient: bool,
}

impl StoreTables {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, patient: false }
    }

    /// Those of a run's calls: a full disk delays a step and does not fail it. How long a write may take the call's deadline says.
    pub fn patient(store: Arc<dyn Store>) -> Self {
        Self { store, patient: true }
    }

    async fn commit(&self, write: Write) -> Result<Written, TableError> {
        let mut pause = RETRY.0;
        loop {
            match self.store.commit(write.clone()).await {
                Err(StoreError::Unavailable(why)) if self.patient => {
                    tracing::debug!(%why, "a provider's rows cannot be written; trying again");
                }
                result => return result.map_err(refused),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }
}

#[async_trait]
impl Tables for StoreTables {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, TableError> {
        let statements = statements.into_iter().map(lower).collect();
        match self.commit(Write::Tables(statements)).await? {
            Written::Rows(rows) => Ok(rows
                .into_iter()
                .map(|rows| rows.into_iter().map(lift).collect())
                .collect()),
            _ => Ok(Vec::new()),
        }
    }

    async fn read(&self, statement: Statement) -> Result<Vec<Row>, TableError> {
        let rows = self.store.read_rows(lower(statement)).await.map_err(refused)?;
        Ok(rows.into_iter().map(lift).collect())
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<String, TableError> {
        let hash = potok_journal::hash(&bytes);
        let write = Write::Blob {
            bytes: bytes.into(),
            name: None,
            media_type: None,
            created_at: shell::now().0,
        };
        self.commit(write).await?;
        Ok(format!("sha256:{}", hex(&hash)))
    }

    async fn get_blob(&self, id: &str) -> Result<Option<Arc<Vec<u8>>>, TableError> {
        let digits = id.strip_prefix("blob:").unwrap_or(id).strip_prefix("sha256:");
        let Some(hash) = digits.and_then(parse_hex) else {
            return Ok(None);
        };
        Ok(self.store.value(&hash).await.map_err(refused)?.map(Arc::new))
    }
}

fn lower(statement: Statement) -> SqlStatement {
    let param = |param| match param {
        Param::Null => SqlValue::Null,
        Param::Integer(n) => SqlValue::Integer(n),
        Param::Real(n) => SqlValue::Real(n),
        Param::Text(text) => SqlValue::Text(text),
        Param::Blob(bytes) => SqlValue::Blob(bytes),
    };
    SqlStatement {
        sql: statement.sql,
        params: statement.params.into_iter().map(param).collect(),
    }
}

fn lift(row: Vec<SqlValue>) -> Row {
    let value = |value| match value {
        SqlValue::Null => Param::Null,
        SqlValue::Integer(n) => Param::Integer(n),
        SqlValue::Real(n) => Param::Real(n),
        SqlValue::Text(text) => Param::Text(text),
        SqlValue::Blob(bytes) => Param::Blob(bytes),
    };
    row.into_iter().map(value).collect()
}

fn refused(error: StoreError) -> TableError {
    match error {
        StoreError::TooLarge { size, limit, .. } => TableError::TooLarge { size, limit },
        StoreError::Unavailable(why) => TableError::Unavailable(why),
        other => TableError::Refused(other.to_string()),
    }
}
