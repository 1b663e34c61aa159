//! One write inside the writer's transaction: runs, what is catalogued and providers' tables have rooms beside.

use rusqlite::Connection;

use crate::encode::Encoded;
use crate::error::StoreError;
use crate::rows::StoredValue;
use crate::sqlite::sql::{self, execute, int};
use crate::sqlite::{
    inner, migrate, open, outbox, rates, retire, tables, write_catalog as catalog, write_events, write_runs,
};
use crate::write::Written;

/// Applies a write. Its caller has set a savepoint and takes back what a failed write leaves.
pub(crate) fn apply(connection: &Connection, write: &Encoded) -> Result<Written, StoreError> {
    match write {
        Encoded::Run(run) => write_runs::apply(connection, run),
        Encoded::Definition { row, lock, mentions } => {
            retire::mention(connection, &retire::of_definition(&row.hash), mentions)?;
            catalog::put_definition(connection, row, lock)
        }
        Encoded::Activate {
            namespace,
            name,
            version,
        } => catalog::activate(connection, namespace, name, version.as_deref()),
        Encoded::RemoveDefinition { hash } => catalog::remove_definition(connection, hash),
        Encoded::Plugin { row, grants, bytes } => catalog::put_plugin(connection, row, grants, bytes),
        Encoded::RemovePlugin { hash } => catalog::remove_plugin(connection, hash),
        Encoded::Trigger { row, state } => catalog::put_trigger(connection, row, state),
        Encoded::RemoveTriggers { definition } => catalog::remove_triggers(connection, definition),
        Encoded::Value(value) => put_value(connection, value, false).map(|()| Written::Value { hash: value.hash }),
        Encoded::Blob {
            value,
            name,
            media_type,
            created_at,
        } => {
            put_value(connection, value, true)?;
            catalog::put_blob(connection, value, name.as_deref(), media_type.as_deref(), *created_at)
        }
        Encoded::Inner(write) => inner::put(connection, write).map(|()| Written::Done),
        Encoded::Probe => probe(connection).map(|()| Written::Done),
        Encoded::Silence { run } => outbox::silence(connection, *run).map(|()| Written::Done),
        Encoded::Events(events) => write_events::put(connection, events),
        Encoded::TrimEvents(trim) => write_events::trim(connection, trim),
        Encoded::Retire { run } => retire::retire(connection, *run),
        Encoded::Sweep { most } => retire::sweep(connection, *most),
        Encoded::SweepBlobs { hashes, before } => retire::sweep_blobs(connection, hashes, *before),
        Encoded::Reserve(reservation) => rates::reserve(connection, reservation).map(Written::Reserved),
        Encoded::Tables(statements, mentions) => {
            retire::mention(connection, retire::TABLES, mentions)?;
            tables::write(connection, statements)
        }
        Encoded::Migration(migration) => migrate::apply(connection, migration).map(|()| Written::Done),
        Encoded::All(writes) => writes
            .iter()
            .map(|write| apply(connection, write))
            .collect::<Result<_, _>>()
            .map(Written::All),
        #[cfg(test)]
        Encoded::Panic => panic!("a write that panics"),
    }
}

/// Sets what is set already: SQLite writes the first page anew, so that it is seen whether the disk takes it.
fn probe(connection: &Connection) -> Result<(), StoreError> {
    connection
        .pragma_update(None, "application_id", open::APPLICATION_ID)
        .map_err(sql::error)
}

/// Stores a value, once. One that is counted goes when nothing mentions it any more.
pub(crate) fn put_value(connection: &Connection, value: &StoredValue, counted: bool) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO \"values\" (hash, size, bytes, counted) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[
            &value.hash,
            &int(value.bytes.len() as u64),
            &&value.bytes[..],
            &i64::from(counted),
        ],
    )?;
    Ok(())
}
