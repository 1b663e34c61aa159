//! Migrations: forward only, each in the transaction (or savepoint) of its caller, known by owner, version and digest.

use std::collections::BTreeMap;

use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator};

use crate::encode::digest;
use crate::error::StoreError;
use crate::rows::ProviderMigration;
use crate::sqlite::sql::{error, execute, query};
use crate::sqlite::tables::check_migration;

/// The migrations of a list that are not applied yet, in the order in which they must be.
pub(crate) fn pending(
    connection: &Connection,
    migrations: &[ProviderMigration],
) -> Result<Vec<ProviderMigration>, StoreError> {
    let mut owners: BTreeMap<&str, Vec<&ProviderMigration>> = BTreeMap::new();
    for migration in migrations {
        owners.entry(migration.owner).or_default().push(migration);
    }
    let mut pending = Vec::new();
    for (owner, mut migrations) in owners {
        migrations.sort_by_key(|migration| migration.version);
        if let Some((migration, number)) = migrations
            .iter()
            .zip(1..)
            .find(|(migration, number)| migration.version != *number)
        {
            let found = migration.version;
            return Err(StoreError::Refused(format!(
                "migration {found} of '{owner}' where number {number} was expected"
            )));
        }
        let applied = applied(connection, owner)?;
        let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
        if let Some((&found, _)) = applied.last_key_value().filter(|(version, _)| **version > known) {
            return Err(StoreError::Newer {
                owner: owner.to_owned(),
                found,
                known,
            });
        }
        for migration in migrations {
            match applied.get(&migration.version) {
                Some(found) if *found != digest(migration) => {
                    let version = migration.version;
                    return Err(StoreError::Refused(format!(
                        "migration {version} of '{owner}' is not the one that was applied; add a new one instead of changing it"
                    )));
                }
                Some(_) => {}
                None => pending.push(*migration),
            }
        }
    }
    Ok(pending)
}

/// Applies one migration and writes down that it was.
pub(crate) fn apply(connection: &Connection, migration: &ProviderMigration) -> Result<(), StoreError> {
    let ProviderMigration { owner, version, sql } = migration;
    let named = |failure: StoreError| match failure {
        StoreError::Refused(why) => StoreError::Refused(format!("migration {version} of '{owner}': {why}")),
        other => other,
    };
    execute_all(connection, sql).map_err(named)?;
    execute(
        connection,
        "INSERT INTO migrations (owner, version, digest) VALUES ($1, $2, $3)",
        &[owner, &i64::from(*version), &digest(migration)],
    )
    .map_err(named)?;
    Ok(())
}

fn execute_all(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut statements = Batch::new(connection, sql);
    while let Some(mut statement) = statements.next().map_err(error)? {
        check_migration(&statement.expanded_sql().unwrap_or_default())?;
        let mut rows = statement.raw_query();
        while rows.next().map_err(error)?.is_some() {}
    }
    Ok(())
}

fn applied(connection: &Connection, owner: &str) -> Result<BTreeMap<u32, [u8; 32]>, StoreError> {
    let rows = query(
        connection,
        "SELECT version, digest FROM migrations WHERE owner = $1",
        &[&owner],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}
