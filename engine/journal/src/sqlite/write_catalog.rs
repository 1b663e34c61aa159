//! Writes of what is catalogued: definitions, plugins, triggers, blobs.

use rusqlite::Connection;

use crate::error::StoreError;
use crate::rows::{DefinitionRow, PluginRow, StoredValue, TriggerRow};
use crate::sqlite::retire;
use crate::sqlite::sql::{execute, int, query_one, uint};
use crate::write::Written;

pub(crate) fn put_definition(connection: &Connection, row: &DefinitionRow, lock: &str) -> Result<Written, StoreError> {
    let of_hash = "SELECT draft FROM definitions WHERE hash = $1";
    let as_draft = query_one(connection, of_hash, &[&row.hash], |row| row.get::<_, i64>(0))?;
    let done = |hash: &str, created| {
        Ok(Written::Definition {
            hash: hash.to_owned(),
            created,
        })
    };
    if row.draft {
        if as_draft.is_some() {
            return done(&row.hash, false);
        }
    } else {
        let of_id =
            "SELECT hash, source FROM definitions WHERE namespace = $1 AND name = $2 AND version = $3 AND draft = 0";
        let id = &row.id;
        let found = query_one(connection, of_id, &[&id.namespace, &id.name, &id.version], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        match found {
            Some((hash, source)) if source == row.source => return done(&hash, false),
            Some((hash, source_text)) => {
                return Err(StoreError::DefinitionConflict {
                    id: Box::new(id.clone()),
                    hash,
                    source_text,
                });
            }
            None => {}
        }
        if as_draft.is_some() {
            execute(
                connection,
                "UPDATE definitions SET draft = 0 WHERE hash = $1",
                &[&row.hash],
            )?;
            return done(&row.hash, true);
        }
    }
    execute(
        connection,
        "INSERT INTO definitions (hash, namespace, name, version, draft, source, lock, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &row.hash,
            &row.id.namespace,
            &row.id.name,
            &row.id.version,
            &i64::from(row.draft),
            &row.source,
            &lock,
            &row.created_at,
        ],
    )?;
    done(&row.hash, true)
}

pub(crate) fn activate(
    connection: &Connection,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Written, StoreError> {
    let Some(version) = version else {
        execute(
            connection,
            "DELETE FROM active WHERE namespace = $1 AND name = $2",
            &[&namespace, &name],
        )?;
        return Ok(Written::Done);
    };
    let changed = execute(
        connection,
        "INSERT INTO active (namespace, name, version)
         SELECT namespace, name, version FROM definitions
         WHERE namespace = $1 AND name = $2 AND version = $3 AND draft = 0
         ON CONFLICT (namespace, name) DO UPDATE SET version = excluded.version",
        &[&namespace, &name, &version],
    )?;
    if changed == 0 {
        return Err(StoreError::Missing(format!("workflow {namespace}/{name}:{version}")));
    }
    Ok(Written::Done)
}

pub(crate) fn remove_definition(connection: &Connection, hash: &str) -> Result<Written, StoreError> {
    let runs = unfinished_runs(connection, hash)?;
    if runs > 0 {
        return Err(StoreError::InUse {
            what: format!("definition {hash}"),
            runs,
        });
    }
    execute(
        connection,
        "DELETE FROM active WHERE EXISTS (SELECT 1 FROM definitions AS d WHERE d.hash = $1 AND d.draft = 0
            AND d.namespace = active.namespace AND d.name = active.name AND d.version = active.version)",
        &[&hash],
    )?;
    if execute(connection, "DELETE FROM definitions WHERE hash = $1", &[&hash])? == 0 {
        return Err(StoreError::Missing(format!("definition {hash}")));
    }
    retire::forget(connection, &retire::of_definition(hash), usize::MAX)?;
    remove_triggers(connection, hash)
}

/// How many unfinished runs use a definition.
pub(crate) fn unfinished_runs(connection: &Connection, hash: &str) -> Result<u64, StoreError> {
    let count = "SELECT COUNT(*) FROM runs WHERE substr(definition, 1, 8) = substr($1, 1, 8) AND definition = $1 AND finished = 0";
    Ok(uint(
        query_one(connection, count, &[&hash], |row| row.get(0))?.unwrap_or(0),
    ))
}

pub(crate) fn put_plugin(
    connection: &Connection,
    row: &PluginRow,
    grants: &str,
    bytes: &[u8],
) -> Result<Written, StoreError> {
    if execute(
        connection,
        "UPDATE plugins SET grants = $2 WHERE hash = $1",
        &[&row.hash, &grants],
    )? > 0
    {
        return Ok(Written::Done);
    }
    let of_version = "SELECT hash FROM plugins WHERE package = $1 AND version = $2";
    let found = query_one(connection, of_version, &[&row.package, &row.version], |row| {
        row.get::<_, String>(0)
    })?;
    if let Some(hash) = found {
        let (package, version) = (row.package.clone(), row.version.clone());
        return Err(StoreError::PluginConflict { package, version, hash });
    }
    execute(
        connection,
        "INSERT INTO plugins (hash, package, version, grants, wit, installed_at, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &row.hash,
            &row.package,
            &row.version,
            &grants,
            &row.wit,
            &row.installed_at,
            &bytes,
        ],
    )?;
    Ok(Written::Done)
}

pub(crate) fn remove_plugin(connection: &Connection, hash: &str) -> Result<Written, StoreError> {
    if execute(connection, "DELETE FROM plugins WHERE hash = $1", &[&hash])? == 0 {
        return Err(StoreError::Missing(format!("plugin {hash}")));
    }
    Ok(Written::Done)
}

pub(crate) fn put_trigger(connection: &Connection, row: &TriggerRow, state: &str) -> Result<Written, StoreError> {
    execute(
        connection,
        "INSERT INTO triggers (definition, key, next_at, state) VALUES ($1, $2, $3, $4)
         ON CONFLICT (definition, key) DO UPDATE SET next_at = excluded.next_at, state = excluded.state",
        &[&row.definition, &row.key, &row.next_at, &state],
    )?;
    Ok(Written::Done)
}

pub(crate) fn remove_triggers(connection: &Connection, definition: &str) -> Result<Written, StoreError> {
    execute(connection, "DELETE FROM triggers WHERE definition = $1", &[&definition])?;
    Ok(Written::Done)
}

pub(crate) fn put_blob(
    connection: &Connection,
    value: &StoredValue,
    name: Option<&str>,
    media_type: Option<&str>,
    created_at: i64,
) -> Result<Written, StoreError> {
    execute(
        connection,
        "INSERT INTO blobs (hash, name, media_type, size, created_at, kept_at) VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (hash) DO UPDATE SET name = COALESCE(excluded.name, blobs.name),
            media_type = COALESCE(excluded.media_type, blobs.media_type), kept_at = excluded.kept_at",
        &[
            &value.hash,
            &name,
            &media_type,
            &int(value.bytes.len() as u64),
            &created_at,
        ],
    )?;
    Ok(Written::Value { hash: value.hash })
}
