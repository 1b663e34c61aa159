//! Reads of what is catalogued: definitions, plugins, triggers, blobs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rusqlite::{Connection, Row, ToSql};
use serde_json::Value;

use potok_dsl::WorkflowId;

use crate::error::StoreError;
use crate::rows::{BlobRow, DefinitionFilter, DefinitionRow, Hash, PluginRow, TriggerRow};
use crate::sqlite::read_runs::parse;
use crate::sqlite::sql::{query, query_one, uint};

const DEFINITION: &str = "SELECT hash, namespace, name, version, source, lock, draft, created_at FROM definitions";

pub(crate) fn definition(connection: &Connection, hash: &str) -> Result<Option<DefinitionRow>, StoreError> {
    let sql = format!("{DEFINITION} WHERE hash = $1");
    query_one(connection, &sql, &[&hash], definition_row)?
        .map(locked)
        .transpose()
}

pub(crate) fn definition_by_id(connection: &Connection, id: &WorkflowId) -> Result<Option<DefinitionRow>, StoreError> {
    let sql = format!("{DEFINITION} WHERE namespace = $1 AND name = $2 AND version = $3 AND draft = 0");
    query_one(
        connection,
        &sql,
        &[&id.namespace, &id.name, &id.version],
        definition_row,
    )?
    .map(locked)
    .transpose()
}

pub(crate) fn active_definition(
    connection: &Connection,
    namespace: &str,
    name: &str,
) -> Result<Option<DefinitionRow>, StoreError> {
    let sql = format!("{VERSIONS} AND d.namespace = $1 AND d.name = $2");
    let versions = query(connection, &sql, &[&namespace, &name], Version::read)?;
    match versions.into_iter().max_by(Version::rank) {
        Some(version) => definition(connection, &version.hash),
        None => Ok(None),
    }
}

pub(crate) fn active_definitions(connection: &Connection) -> Result<Vec<DefinitionRow>, StoreError> {
    let mut active: BTreeMap<(String, String), Version> = BTreeMap::new();
    for version in query(connection, VERSIONS, &[], Version::read)? {
        let key = (version.namespace.clone(), version.name.clone());
        if active.get(&key).is_none_or(|best| version.rank(best).is_gt()) {
            active.insert(key, version);
        }
    }
    let rows = active
        .into_values()
        .map(|version| definition(connection, &version.hash));
    rows.filter_map(Result::transpose).collect()
}

pub(crate) fn definitions(
    connection: &Connection,
    filter: &DefinitionFilter,
    after: Option<&DefinitionRow>,
    limit: usize,
) -> Result<Vec<DefinitionRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let drafts = i64::from(filter.drafts);
    let (cursor, hash) = after.map_or((None, ""), |row| (Some(&row.id), row.hash.as_str()));
    let part = |pick: fn(&WorkflowId) -> &str| cursor.map_or("", pick);
    let (namespace, name, version) = (part(|id| &id.namespace), part(|id| &id.name), part(|id| &id.version));
    let sql = format!(
        "{DEFINITION} WHERE (namespace, name, version, hash) > ($1, $2, $3, $4) AND draft <= $5
            AND namespace = COALESCE($6, namespace) AND name = COALESCE($7, name)
         ORDER BY namespace, name, version, hash LIMIT $8"
    );
    let params: [&dyn ToSql; 8] = [
        &namespace,
        &name,
        &version,
        &hash,
        &drafts,
        &filter.namespace,
        &filter.name,
        &limit,
    ];
    query(connection, &sql, &params, definition_row)?
        .into_iter()
        .map(locked)
        .collect()
}

/// One version of a workflow, with whether it was chosen.
struct Version {
    namespace: String,
    name: String,
    version: String,
    hash: String,
    chosen: bool,
}

const VERSIONS: &str = "SELECT d.namespace, d.name, d.version, d.hash, a.version IS NOT NULL
    FROM definitions AS d
    LEFT JOIN active AS a ON a.namespace = d.namespace AND a.name = d.name AND a.version = d.version
    WHERE d.draft = 0";

impl Version {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            namespace: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            hash: row.get(3)?,
            chosen: row.get(4)?,
        })
    }

    /// The chosen one first, then the newest; what is no semantic version is older than all that are.
    fn rank(&self, other: &Self) -> Ordering {
        let semantic = |version: &Self| semver::Version::parse(&version.version).ok();
        let key = |version: &Self| (version.chosen, semantic(version));
        key(self)
            .cmp(&key(other))
            .then_with(|| self.version.cmp(&other.version))
    }
}

fn definition_row(row: &Row<'_>) -> rusqlite::Result<(DefinitionRow, String)> {
    let definition = DefinitionRow {
        hash: row.get(0)?,
        id: WorkflowId {
            namespace: row.get(1)?,
            name: row.get(2)?,
            version: row.get(3)?,
        },
        source: row.get(4)?,
        lock: Value::Null,
        draft: row.get::<_, i64>(6)? != 0,
        created_at: row.get(7)?,
    };
    Ok((definition, row.get(5)?))
}

fn locked((row, lock): (DefinitionRow, String)) -> Result<DefinitionRow, StoreError> {
    Ok(DefinitionRow {
        lock: parse("a definition's lock", lock.as_bytes())?,
        ..row
    })
}

const PLUGIN: &str = "hash, package, version, grants, wit, installed_at";

pub(crate) fn plugins(connection: &Connection) -> Result<Vec<PluginRow>, StoreError> {
    let sql = format!("SELECT {PLUGIN} FROM plugins ORDER BY installed_at, hash");
    query(connection, &sql, &[], plugin_row)?
        .into_iter()
        .map(granted)
        .collect()
}

pub(crate) fn plugin(connection: &Connection, hash: &str) -> Result<Option<(PluginRow, Vec<u8>)>, StoreError> {
    let sql = format!("SELECT {PLUGIN}, bytes FROM plugins WHERE hash = $1");
    let found = query_one(connection, &sql, &[&hash], |row| Ok((plugin_row(row)?, row.get(6)?)))?;
    found.map(|(row, bytes)| Ok((granted(row)?, bytes))).transpose()
}

fn plugin_row(row: &Row<'_>) -> rusqlite::Result<(PluginRow, String)> {
    let plugin = PluginRow {
        hash: row.get(0)?,
        package: row.get(1)?,
        version: row.get(2)?,
        grants: Vec::new(),
        wit: row.get(4)?,
        installed_at: row.get(5)?,
    };
    Ok((plugin, row.get(3)?))
}

fn granted((row, grants): (PluginRow, String)) -> Result<PluginRow, StoreError> {
    let grants = serde_json::from_str(&grants)
        .map_err(|error| StoreError::Corrupt(format!("the grants of plugin {} are not a list: {error}", row.hash)))?;
    Ok(PluginRow { grants, ..row })
}

pub(crate) fn triggers(connection: &Connection) -> Result<Vec<TriggerRow>, StoreError> {
    let sql = "SELECT definition, key, next_at, state FROM triggers ORDER BY definition, key";
    let rows = query(connection, sql, &[], |row| {
        let trigger = TriggerRow {
            definition: row.get(0)?,
            key: row.get(1)?,
            next_at: row.get(2)?,
            state: Value::Null,
        };
        Ok((trigger, row.get::<_, String>(3)?))
    })?;
    rows.into_iter()
        .map(|(row, state)| {
            Ok(TriggerRow {
                state: parse("a trigger's state", state.as_bytes())?,
                ..row
            })
        })
        .collect()
}

const BLOB: &str = "SELECT hash, name, media_type, size, created_at FROM blobs";

pub(crate) fn blob(connection: &Connection, hash: &Hash) -> Result<Option<BlobRow>, StoreError> {
    query_one(connection, &format!("{BLOB} WHERE hash = $1"), &[hash], blob_row)
}

pub(crate) fn blobs(
    connection: &Connection,
    after: Option<&BlobRow>,
    limit: usize,
) -> Result<Vec<BlobRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    const ORDER: &str = "ORDER BY created_at DESC, hash DESC LIMIT";
    match after {
        None => query(connection, &format!("{BLOB} {ORDER} $1"), &[&limit], blob_row),
        Some(after) => {
            let sql = format!("{BLOB} WHERE (created_at, hash) < ($1, $2) {ORDER} $3");
            query(connection, &sql, &[&after.created_at, &after.hash, &limit], blob_row)
        }
    }
}

fn blob_row(row: &Row<'_>) -> rusqlite::Result<BlobRow> {
    Ok(BlobRow {
        hash: row.get(0)?,
        name: row.get(1)?,
        media_type: row.get(2)?,
        size: uint(row.get(3)?),
        created_at: row.get(4)?,
    })
}
