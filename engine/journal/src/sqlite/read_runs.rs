//! Reads of runs: rows, journals, timelines, what is due.

use std::collections::HashMap;

use rusqlite::{Connection, Row, ToSql};
use serde_json::Value;

use potok_dsl::RunId;

use crate::encode::ENCODING;
use crate::error::StoreError;
use crate::rows::{Hash, LoadedRun, RunCursor, RunFilter, RunPage, RunRow, TimelineRow};
use crate::sqlite::outbox;
use crate::sqlite::read_events;
use crate::sqlite::sql::{each_row, error, int, query, query_one, uint};
use crate::values::{join, unmark};

/// A page of entries ends when it has taken this many bytes from the store.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// The columns that [`RunText::read`] expects.
const COLUMNS: &str = "id, definition, namespace, name, version, status, input, output, error, parent, triggered_by,
    idempotency_key, wake_at, created_at, started_at, updated_at, ended_at, labels, recoveries, finished, origin, origin_path";

/// Puts the values of one run together, each fetched once.
struct Joiner<'c> {
    connection: &'c Connection,
    run: RunId,
    cache: HashMap<Hash, Value>,
    /// How many bytes were fetched.
    fetched: usize,
}

impl<'c> Joiner<'c> {
    fn new(connection: &'c Connection, run: RunId) -> Self {
        Self {
            connection,
            run,
            cache: HashMap::new(),
            fetched: 0,
        }
    }

    fn join(&mut self, mut value: Value) -> Result<Value, StoreError> {
        let (connection, run, fetched) = (self.connection, self.run, &mut self.fetched);
        join(&mut value, &mut self.cache, &mut |hash| {
            let bytes = match bytes_of(connection, hash)? {
                Some(bytes) => Some(bytes),
                None => snapshot_bytes_of(connection, run, hash)?,
            };
            *fetched += bytes.as_ref().map_or(0, Vec::len);
            Ok(bytes)
        })?;
        Ok(value)
    }

    fn parse(&mut self, what: &str, encoding: i64, bytes: &[u8]) -> Result<Value, StoreError> {
        if encoding != ENCODING {
            let run = self.run;
            return Err(StoreError::Corrupt(format!(
                "{what} of run {run} has the unknown encoding {encoding}"
            )));
        }
        self.join(parse(what, bytes)?)
    }

    fn parse_all(&mut self, what: &str, encoding: i64, bytes: &[u8]) -> Result<Vec<Value>, StoreError> {
        match self.parse(what, encoding, bytes)? {
            Value::Array(entries) => Ok(entries),
            _ => Err(StoreError::Corrupt(format!("{what} of run {} is no list", self.run))),
        }
    }
}

pub(crate) fn load_run(connection: &Connection, run: RunId) -> Result<Option<LoadedRun>, StoreError> {
    let Some(text) = run_text(connection, run)? else {
        return Ok(None);
    };
    let id = run.bytes();
    let mut joiner = Joiner::new(connection, run);
    let finished = text.finished;
    let row = text.whole(&mut joiner)?;
    let snapshot = "SELECT seq, encoding, state FROM snapshots WHERE run = $1";
    let snapshot = query_one(connection, snapshot, &[&id], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let snapshot = match snapshot {
        Some((seq, encoding, state)) => Some((uint(seq), joiner.parse("a snapshot", encoding, &state)?)),
        None => None,
    };
    let after = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let mut entries = Vec::new();
    let last_seq = entries_after(&mut joiner, after, usize::MAX, usize::MAX, |_, entry| {
        entries.push(entry);
    })?;
    let last_ordinal = last_ordinal(connection, run)?;
    Ok(Some(LoadedRun {
        row,
        finished,
        snapshot,
        entries_after_snapshot: entries,
        last_seq,
        last_ordinal,
        messages: outbox::messages(connection, run)?,
        subscriptions: read_events::subscriptions(connection, run)?,
    }))
}

pub(crate) fn run_row(connection: &Connection, run: RunId) -> Result<Option<RunRow>, StoreError> {
    run_text(connection, run)?
        .map(|text| text.whole(&mut Joiner::new(connection, run)))
        .transpose()
}

pub(crate) fn journal_page(
    connection: &Connection,
    run: RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Value)>, StoreError> {
    let mut page = Vec::new();
    entries_after(
        &mut Joiner::new(connection, run),
        after,
        limit,
        PAGE_BYTES,
        |seq, entry| page.push((seq, entry)),
    )?;
    Ok(page)
}

pub(crate) fn timeline(
    connection: &Connection,
    run: RunId,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<TimelineRow>, StoreError> {
    let mut page = Vec::new();
    let pieces = Pieces {
        what: "a timeline",
        sql: "SELECT first_ordinal, encoding, entries FROM timelines WHERE run = $1 AND ordinal > $2 ORDER BY ordinal",
        after: after.map_or(-1, int),
        limit,
        bytes: PAGE_BYTES,
    };
    pieces.read(&mut Joiner::new(connection, run), |ordinal, entry| {
        page.push(TimelineRow { ordinal, entry });
    })?;
    Ok(page)
}

pub(crate) fn last_of_timeline(connection: &Connection, run: RunId) -> Result<Option<TimelineRow>, StoreError> {
    let Some(last) = last_ordinal(connection, run)? else {
        return Ok(None);
    };
    Ok(timeline(connection, run, last.checked_sub(1), 1)?.pop())
}

fn last_ordinal(connection: &Connection, run: RunId) -> Result<Option<u64>, StoreError> {
    let last = "SELECT MAX(ordinal) FROM timelines WHERE run = $1";
    let last = query_one(connection, last, &[&run.bytes()], |row| row.get::<_, Option<i64>>(0))?;
    Ok(last.flatten().map(uint))
}

/// Gives entries after a number and returns the number of the last one, or `after` when there is none.
fn entries_after(
    joiner: &mut Joiner<'_>,
    after: u64,
    limit: usize,
    bytes: usize,
    mut give: impl FnMut(u64, Value),
) -> Result<u64, StoreError> {
    let pieces = Pieces {
        what: "the journal",
        sql: "SELECT first_seq, encoding, events FROM journal WHERE run = $1 AND seq > $2 ORDER BY seq",
        after: int(after),
        limit,
        bytes,
    };
    let mut last = after;
    pieces.read(joiner, |seq, entry| {
        last = seq;
        give(seq, entry);
    })?;
    Ok(last)
}

/// Rows that hold several numbered entries each.
struct Pieces {
    what: &'static str,
    /// Gives the number of a row's first entry, the encoding and the entries, for a run and a number.
    sql: &'static str,
    /// Entries up to this number are not wanted.
    after: i64,
    /// How many entries are enough.
    limit: usize,
    /// How many bytes are enough.
    bytes: usize,
}

impl Pieces {
    /// Gives the single entries with their numbers until there are enough.
    fn read(&self, joiner: &mut Joiner<'_>, mut give: impl FnMut(u64, Value)) -> Result<(), StoreError> {
        let (mut given, mut taken) = (0, 0);
        if self.limit == 0 {
            return Ok(());
        }
        each_row(
            joiner.connection,
            self.sql,
            &[&joiner.run.bytes(), &self.after],
            |row| {
                let first = uint(row.get(0).map_err(error)?);
                let stored = row.get_ref(2).map_err(error)?;
                let stored = stored
                    .as_blob()
                    .map_err(|why| StoreError::Corrupt(format!("{}: {why}", self.what)))?;
                taken += stored.len();
                let entries = joiner.parse_all(self.what, row.get(1).map_err(error)?, stored)?;
                for (number, entry) in (first..).zip(entries).filter(|(number, _)| int(*number) > self.after) {
                    give(number, entry);
                    given += 1;
                    if given >= self.limit {
                        return Ok(false);
                    }
                }
                Ok(given == 0 || taken.saturating_add(joiner.fetched) < self.bytes)
            },
        )
    }
}

pub(crate) fn list_runs(
    connection: &Connection,
    filter: &RunFilter,
    after: Option<RunCursor>,
    limit: usize,
) -> Result<RunPage, StoreError> {
    let mut list = conditions(filter, after);
    let limit_param = list.param(i64::try_from(limit).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT {COLUMNS} FROM runs{} ORDER BY created_at DESC, id DESC LIMIT {limit_param}",
        list.where_clause()
    );
    let texts = query(connection, &sql, &list.params(), RunText::read)?;
    let runs: Vec<RunRow> = texts.into_iter().map(RunText::listed).collect::<Result<_, _>>()?;
    let next = runs.last().filter(|_| runs.len() == limit);
    let next = next.map(|row| RunCursor {
        created_at: row.created_at,
        id: row.id,
    });
    Ok(RunPage { runs, next })
}

/// What a filter asks for, after where a page ended.
fn conditions(filter: &RunFilter, after: Option<RunCursor>) -> Conditions<'_> {
    let mut list = Conditions::default();
    list.texts.push("leaving = 0".to_owned());
    list.equal("namespace", filter.namespace.as_ref());
    list.equal("name", filter.name.as_ref());
    list.equal("version", filter.version.as_ref());
    list.equal("triggered_by", filter.trigger.as_ref());
    list.equal("parent", filter.parent.map(|parent| parent.bytes()));
    list.equal("origin", filter.origin.map(|origin| origin.bytes()));
    list.one_of("status", &filter.status);
    list.add("created_at >=", filter.created_from);
    list.add("created_at <", filter.created_before);
    if filter.alone {
        let made = "NOT EXISTS (SELECT 1 FROM runs AS made WHERE made.origin = runs.id)";
        list.texts.push(made.to_owned());
    }
    if let Some(after) = after {
        let created_at = list.param(after.created_at);
        let id = list.param(after.id.bytes());
        list.texts.push(format!("(created_at, id) < ({created_at}, {id})"));
    }
    list
}

pub(crate) fn count_runs(
    connection: &Connection,
    filter: &RunFilter,
    after: Option<RunCursor>,
    most: u64,
) -> Result<u64, StoreError> {
    let mut list = conditions(filter, after);
    let most = list.param(int(most));
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM runs{} LIMIT {most}) AS counted",
        list.where_clause()
    );
    let counted = query_one(connection, &sql, &list.params(), |row| row.get::<_, i64>(0))?;
    Ok(uint(counted.unwrap_or(0)))
}

/// The conditions of a list. Each shape of a filter is a statement of its own, so that it uses its index.
#[derive(Default)]
pub(crate) struct Conditions<'p> {
    pub(crate) texts: Vec<String>,
    params: Vec<Box<dyn ToSql + 'p>>,
}

impl<'p> Conditions<'p> {
    /// The name of a new parameter.
    pub(crate) fn param(&mut self, value: impl ToSql + 'p) -> String {
        self.params.push(Box::new(value));
        format!("${}", self.params.len())
    }

    pub(crate) fn add(&mut self, comparison: &str, value: Option<impl ToSql + 'p>) {
        if let Some(value) = value {
            let param = self.param(value);
            self.texts.push(format!("{comparison} {param}"));
        }
    }

    pub(crate) fn equal(&mut self, column: &str, value: Option<impl ToSql + 'p>) {
        self.add(&format!("{column} ="), value);
    }

    pub(crate) fn one_of(&mut self, column: &str, values: &'p [String]) {
        if !values.is_empty() {
            let params: Vec<String> = values.iter().map(|value| self.param(value)).collect();
            self.texts.push(format!("{column} IN ({})", params.join(", ")));
        }
    }

    pub(crate) fn where_clause(&self) -> String {
        if self.texts.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.texts.join(" AND "))
        }
    }

    pub(crate) fn params(&self) -> Vec<&dyn ToSql> {
        self.params.iter().map(|param| &**param as _).collect()
    }
}

pub(crate) fn due(
    connection: &Connection,
    until: i64,
    after: Option<(i64, RunId)>,
    limit: usize,
) -> Result<Vec<(i64, RunId)>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = |row: &Row<'_>| Ok((row.get(0)?, RunId::from_bytes(row.get(1)?)));
    match after {
        None => query(
            connection,
            "SELECT wake_at, id FROM runs WHERE finished = 0 AND wake_at IS NOT NULL AND wake_at <= $1
             ORDER BY wake_at, id LIMIT $2",
            &[&until, &limit],
            read,
        ),
        Some((wake_at, id)) => query(
            connection,
            "SELECT wake_at, id FROM runs WHERE finished = 0 AND wake_at IS NOT NULL AND wake_at <= $1
             AND (wake_at, id) > ($2, $3) ORDER BY wake_at, id LIMIT $4",
            &[&until, &wake_at, &id.bytes(), &limit],
            read,
        ),
    }
}

pub(crate) fn next_wake(connection: &Connection, after: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT MIN(wake_at) FROM runs WHERE finished = 0 AND wake_at IS NOT NULL AND wake_at > $1";
    Ok(query_one(connection, sql, &[&after], |row| row.get(0))?.flatten())
}

/// The bytes of a value.
pub(crate) fn bytes_of(connection: &Connection, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
    query_one(
        connection,
        "SELECT bytes FROM \"values\" WHERE hash = $1",
        &[hash],
        |row| row.get(0),
    )
}

fn snapshot_bytes_of(connection: &Connection, run: RunId, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM snapshot_values WHERE run = $1 AND hash = $2";
    query_one(connection, sql, &[&run.bytes(), hash], |row| row.get(0))
}

fn run_text(connection: &Connection, run: RunId) -> Result<Option<RunText>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = $1 AND leaving = 0");
    query_one(connection, &sql, &[&run.bytes()], RunText::read)
}

/// A run's row with its JSON still as text.
struct RunText {
    row: RunRow,
    finished: bool,
    input: String,
    output: Option<String>,
    error: Option<String>,
    labels: String,
}

impl RunText {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let parent: Option<[u8; 16]> = row.get(9)?;
        let recoveries: i64 = row.get(18)?;
        let origin: Option<[u8; 16]> = row.get(20)?;
        let run = RunRow {
            id: RunId::from_bytes(row.get(0)?),
            definition: row.get(1)?,
            namespace: row.get(2)?,
            name: row.get(3)?,
            version: row.get(4)?,
            status: row.get(5)?,
            input: Value::Null,
            output: None,
            error: None,
            parent: parent.map(RunId::from_bytes),
            origin: origin.map(RunId::from_bytes),
            origin_path: row.get(21)?,
            trigger: row.get(10)?,
            idempotency_key: row.get(11)?,
            wake_at: row.get(12)?,
            created_at: row.get(13)?,
            started_at: row.get(14)?,
            updated_at: row.get(15)?,
            ended_at: row.get(16)?,
            labels: Value::Null,
            recoveries: u32::try_from(recoveries).unwrap_or(u32::MAX),
        };
        Ok(Self {
            row: run,
            finished: row.get::<_, i64>(19)? != 0,
            input: row.get(6)?,
            output: row.get(7)?,
            error: row.get(8)?,
            labels: row.get(17)?,
        })
    }

    /// With its values whole.
    fn whole(self, joiner: &mut Joiner<'_>) -> Result<RunRow, StoreError> {
        self.with(|value| joiner.join(value))
    }

    /// With references left where values are large.
    fn listed(self) -> Result<RunRow, StoreError> {
        self.with(|mut value| {
            unmark(&mut value);
            Ok(value)
        })
    }

    fn with(self, mut finish: impl FnMut(Value) -> Result<Value, StoreError>) -> Result<RunRow, StoreError> {
        let mut value = |text: &str| finish(parse("a run's row", text.as_bytes())?);
        Ok(RunRow {
            input: value(&self.input)?,
            output: self.output.as_deref().map(&mut value).transpose()?,
            error: self.error.as_deref().map(&mut value).transpose()?,
            labels: value(&self.labels)?,
            ..self.row
        })
    }
}

/// Stored JSON as a value.
pub(crate) fn parse(what: &str, bytes: &[u8]) -> Result<Value, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(format!("{what} is not JSON: {error}")))
}
