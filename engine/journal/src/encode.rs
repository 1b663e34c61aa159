//! From a write to what a store puts into its rows: JSON as bytes, large values split out, limits checked.
//!
//! This happens on the side of whoever writes, so that the one writer has nothing left to do but write. It is the same for every store.

use std::sync::Arc;

use potok_dsl::RunId;
use serde_json::Value;

use crate::document::Document;
use crate::error::StoreError;
use crate::events::{NewEvent, Pattern, SubscriptionChange, Trim};
use crate::mentions::mentions;
use crate::rows::{
    DefinitionRow, Hash, PluginRow, ProviderMigration, RunRow, SqlStatement, SqlValue, StoredValue, TimelineRow,
    TriggerRow, hash,
};
use crate::values::{CEILING, INLINE_LIMIT, Limits, is_over, split_within};
use crate::write::{InnerWrite, Message, Reservation, RowChange, RunUpdate, RunWrite, Slot, Write};

/// The version of how entries, timelines and snapshots are encoded: JSON, with references as in `values`.
pub(crate) const ENCODING: i64 = 1;

/// Entries carry a value in an envelope: it may be as large as the ceiling, and the envelope comes on top.
const ENTRY: Limits = Limits {
    inline: INLINE_LIMIT,
    ceiling: CEILING + INLINE_LIMIT as u64,
};

/// What a run remembers is several values.
const SNAPSHOT: Limits = Limits {
    inline: INLINE_LIMIT,
    ceiling: 4 * CEILING,
};

/// A run's row is written often and listed: only what is small stays in it.
const ROW: Limits = Limits {
    inline: 4 << 10,
    ceiling: CEILING,
};

/// Encoding more than this many bytes is not done on a thread that others wait for.
const LARGE: usize = 256 << 10;

/// A write as its rows.
#[derive(Debug)]
pub(crate) enum Encoded {
    Run(Box<EncodedRun>),
    Definition {
        row: Box<DefinitionRow>,
        lock: String,
        /// What the text and the lock mention.
        mentions: Vec<Hash>,
    },
    Activate {
        namespace: String,
        name: String,
        version: Option<String>,
    },
    RemoveDefinition {
        hash: String,
    },
    Plugin {
        row: Box<PluginRow>,
        grants: String,
        bytes: Arc<[u8]>,
    },
    RemovePlugin {
        hash: String,
    },
    Trigger {
        row: TriggerRow,
        state: String,
    },
    RemoveTriggers {
        definition: String,
    },
    Value(StoredValue),
    Blob {
        value: StoredValue,
        name: Option<String>,
        media_type: Option<String>,
        created_at: i64,
    },
    Inner(Box<EncodedInner>),
    /// Changes nothing, and is written all the same.
    Probe,
    Silence {
        run: RunId,
    },
    Events(Vec<EncodedEvent>),
    TrimEvents(Trim),
    Retire {
        run: RunId,
    },
    Sweep {
        most: usize,
    },
    SweepBlobs {
        hashes: Vec<Hash>,
        before: i64,
    },
    Reserve(Reservation),
    /// The statements, and what their texts mention.
    Tables(Vec<SqlStatement>, Vec<Hash>),
    Migration(ProviderMigration),
    All(Vec<Encoded>),
    #[cfg(test)]
    Panic,
}

/// A run's write as its rows.
#[derive(Debug)]
pub(crate) struct EncodedRun {
    pub(crate) run: RunId,
    pub(crate) expect_seq: u64,
    /// How many entries there are.
    pub(crate) count: u64,
    /// The entries as a JSON array.
    pub(crate) events: Vec<u8>,
    pub(crate) values: Vec<StoredValue>,
    /// The values and blobs that the write mentions.
    pub(crate) mentions: Vec<Hash>,
    pub(crate) row: Option<EncodedRow>,
    pub(crate) snapshot: Option<EncodedSnapshot>,
    pub(crate) timeline: Option<EncodedTimeline>,
    pub(crate) emits: Vec<EncodedEvent>,
    pub(crate) subscriptions: Vec<EncodedSubscription>,
    pub(crate) consumed: Vec<u64>,
    pub(crate) finished: bool,
    pub(crate) slot: Option<Slot>,
    pub(crate) messages: Vec<Message>,
    pub(crate) heard: Vec<RunId>,
    pub(crate) over: Vec<u64>,
}

/// An inner call, its outcome as bytes.
#[derive(Debug)]
pub(crate) struct EncodedInner {
    /// The outcome itself is taken out.
    pub(crate) write: InnerWrite,
    pub(crate) outcome: Vec<u8>,
    pub(crate) values: Vec<StoredValue>,
    /// The blobs that it mentions, for the run.
    pub(crate) mentions: Vec<Hash>,
}

/// What becomes of a run's row, its JSON as text.
#[derive(Debug)]
pub(crate) enum EncodedRow {
    /// The values of the row itself are taken out.
    Open { row: Box<RunRow>, texts: RowTexts },
    /// The values of the update itself are taken out.
    Update { update: RunUpdate, texts: RowTexts },
}

#[derive(Debug, Default)]
pub(crate) struct RowTexts {
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) labels: Option<String>,
}

#[derive(Debug)]
pub(crate) struct EncodedSnapshot {
    pub(crate) state: Vec<u8>,
    pub(crate) values: Vec<StoredValue>,
}

/// A piece of a timeline: its ordinals and its rows as a JSON array.
#[derive(Debug)]
pub(crate) struct EncodedTimeline {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) entries: Vec<u8>,
}

/// An event, its JSON as bytes.
#[derive(Debug)]
pub(crate) struct EncodedEvent {
    /// The event itself is taken out.
    pub(crate) row: NewEvent,
    pub(crate) body: Vec<u8>,
    pub(crate) values: Vec<StoredValue>,
    pub(crate) mentions: Vec<Hash>,
}

/// What becomes of a subscription, its patterns as keys.
#[derive(Debug)]
pub(crate) enum EncodedSubscription {
    Set {
        subscription: u64,
        patterns: Option<Vec<EncodedPattern>>,
        cursor: Option<u64>,
    },
    Close {
        subscription: u64,
    },
}

/// What a subscription wants, as its hashes.
#[derive(Debug)]
pub(crate) struct EncodedPattern {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) shape: Hash,
    /// The shape's expressions as a JSON array.
    pub(crate) expressions: String,
    pub(crate) key: Hash,
}

impl EncodedPattern {
    pub(crate) fn of(pattern: &Pattern) -> Self {
        let shape = pattern.shape();
        Self {
            kind: pattern.kind.clone(),
            source: pattern.source.clone(),
            shape: shape.hash,
            expressions: Value::from(shape.expressions).to_string(),
            key: pattern.key(),
        }
    }
}

/// Encodes a write, a large one on a thread where nobody waits.
pub(crate) async fn encode(write: Write) -> Result<Encoded, StoreError> {
    if !is_large(&write) {
        return encode_now(write);
    }
    tokio::task::spawn_blocking(move || encode_now(write))
        .await
        .map_err(|error| StoreError::Refused(format!("it could not be encoded: {error}")))?
}

fn is_large(write: &Write) -> bool {
    let over = |value: &Value| is_over(value, LARGE);
    match write {
        Write::Run(run) => {
            run.entries.iter().any(|entry| entry.is_over(LARGE))
                || run.entries.len() > 1_000
                || run.values.iter().any(|value| value.bytes.len() > LARGE)
                || run.snapshot.as_ref().is_some_and(over)
                || run.timeline.iter().any(|row| row.entry.is_over(LARGE))
                || run.events.iter().any(|event| over(&event.event))
        }
        Write::Value { bytes } | Write::Blob { bytes, .. } => bytes.len() > LARGE,
        Write::Inner(write) => write.inner.outcome.as_ref().map_or_else(over, over),
        Write::Events(events) => events.iter().any(|event| over(&event.event)) || events.len() > 100,
        Write::All(writes) => writes.iter().any(is_large),
        _ => false,
    }
}

fn encode_now(write: Write) -> Result<Encoded, StoreError> {
    Ok(match write {
        Write::Run(run) => Encoded::Run(Box::new(encode_run(*run)?)),
        Write::Definition(row) => {
            let lock = text(&row.lock)?;
            Encoded::Definition {
                mentions: mentions(&[], [row.source.as_bytes(), lock.as_bytes()]),
                lock,
                row,
            }
        }
        Write::Activate {
            namespace,
            name,
            version,
        } => Encoded::Activate {
            namespace,
            name,
            version,
        },
        Write::RemoveDefinition { hash } => Encoded::RemoveDefinition { hash },
        Write::Plugin { row, bytes } => {
            let grants = text(&Value::from(row.grants.clone()))?;
            Encoded::Plugin { row, grants, bytes }
        }
        Write::RemovePlugin { hash } => Encoded::RemovePlugin { hash },
        Write::Trigger(row) => Encoded::Trigger {
            state: text(&row.state)?,
            row,
        },
        Write::RemoveTriggers { definition } => Encoded::RemoveTriggers { definition },
        Write::Value { bytes } => Encoded::Value(stored("the value", bytes)?),
        Write::Blob {
            bytes,
            name,
            media_type,
            created_at,
        } => Encoded::Blob {
            value: stored("the blob", bytes)?,
            name,
            media_type,
            created_at,
        },
        Write::Inner(write) => Encoded::Inner(Box::new(encode_inner(*write)?)),
        Write::Silence { run } => Encoded::Silence { run },
        Write::Events(events) => Encoded::Events(events.into_iter().map(encode_event).collect::<Result<_, _>>()?),
        Write::TrimEvents(trim) => Encoded::TrimEvents(trim),
        Write::Retire { run } => Encoded::Retire { run },
        Write::Sweep { most } => Encoded::Sweep { most },
        Write::SweepBlobs { hashes, before } => Encoded::SweepBlobs { hashes, before },
        Write::Reserve(reservation) => Encoded::Reserve(reservation),
        Write::Tables(statements) => {
            for (param, number) in statements.iter().flat_map(|statement| statement.params.iter().zip(1..)) {
                check_size(&format!("parameter ${number}"), param_size(param))?;
            }
            let texts = statements.iter().flat_map(|statement| &statement.params);
            let texts = texts.filter_map(|param| match param {
                SqlValue::Text(text) => Some(text.as_bytes()),
                _ => None,
            });
            let mentions = mentions(&[], texts);
            Encoded::Tables(statements, mentions)
        }
        Write::All(writes) => {
            if writes.iter().any(|write| matches!(write, Write::All(_))) {
                return Err(StoreError::Refused(
                    "writes that belong together cannot be nested".to_owned(),
                ));
            }
            Encoded::All(writes.into_iter().map(encode_now).collect::<Result<_, _>>()?)
        }
    })
}

fn encode_run(write: RunWrite) -> Result<EncodedRun, StoreError> {
    let RunWrite {
        run,
        expect_seq,
        entries,
        mut values,
        row,
        snapshot,
        timeline,
        events,
        subscriptions,
        consumed,
        finished,
        slot,
        messages,
        heard,
        over,
    } = write;
    for value in &values {
        if hash(&value.bytes) != value.hash {
            return Err(StoreError::Refused(
                "a value's hash is not that of its bytes".to_owned(),
            ));
        }
        check_size("a value", value.bytes.len())?;
    }
    let count = entries.len() as u64;
    let name = |index: u64| format!("entry {}", expect_seq + index + 1);
    let entries = encode_all(entries, &mut values, name)?;
    let timeline = encode_timeline(timeline, &mut values)?;
    let row = row.map(|row| encode_row(row, &mut values)).transpose()?;
    let snapshot = snapshot.map(encode_snapshot).transpose()?;
    let texts = match &row {
        Some(EncodedRow::Open { texts, .. } | EncodedRow::Update { texts, .. }) => {
            vec![&texts.input, &texts.output, &texts.error, &texts.labels]
        }
        None => Vec::new(),
    };
    let texts = texts.into_iter().flatten().map(String::as_bytes);
    let timeline_texts = timeline.iter().map(|timeline| timeline.entries.as_slice());
    let mentions = mentions(&values, texts.chain([entries.as_slice()]).chain(timeline_texts));
    Ok(EncodedRun {
        run,
        expect_seq,
        count,
        events: entries,
        values,
        mentions,
        row,
        snapshot,
        timeline,
        emits: events.into_iter().map(encode_event).collect::<Result<_, _>>()?,
        subscriptions: subscriptions.into_iter().map(encode_subscription).collect(),
        consumed,
        finished,
        slot,
        messages,
        heard,
        over,
    })
}

fn encode_inner(mut write: InnerWrite) -> Result<EncodedInner, StoreError> {
    let (Ok(value) | Err(value)) = &mut write.inner.outcome;
    let (mut outcome, mut values) = (value.take(), Vec::new());
    let what = format!("what call {} gave", write.inner.number);
    split_within(&mut outcome, &mut values, &what, ENTRY)?;
    let outcome = bytes(&outcome)?;
    // The parts lie beside the call; what they mention is the run's.
    let parts = values.iter().map(|value| &value.bytes[..]);
    let mentions = mentions(&[], parts.chain([outcome.as_slice()]));
    Ok(EncodedInner {
        write,
        outcome,
        values,
        mentions,
    })
}

fn encode_event(mut row: NewEvent) -> Result<EncodedEvent, StoreError> {
    let (mut event, mut values) = (row.event.take(), Vec::new());
    split_within(&mut event, &mut values, "the event", ENTRY)?;
    let body = bytes(&event)?;
    let mentions = mentions(&values, [body.as_slice()]);
    Ok(EncodedEvent {
        row,
        body,
        values,
        mentions,
    })
}

fn encode_subscription(change: SubscriptionChange) -> EncodedSubscription {
    match change {
        SubscriptionChange::Set {
            subscription,
            patterns,
            cursor,
        } => EncodedSubscription::Set {
            subscription,
            patterns: patterns.map(|patterns| patterns.iter().map(EncodedPattern::of).collect()),
            cursor,
        },
        SubscriptionChange::Close { subscription } => EncodedSubscription::Close { subscription },
    }
}

fn encode_row(change: RowChange, values: &mut Vec<StoredValue>) -> Result<EncodedRow, StoreError> {
    let mut part = |name: &str, mut value: Value| {
        split_within(&mut value, values, name, ROW)?;
        text(&value)
    };
    match change {
        RowChange::Open(mut row) => {
            let texts = RowTexts {
                input: Some(part("the input", row.input.take())?),
                output: row.output.take().map(|output| part("the output", output)).transpose()?,
                error: row.error.take().map(|error| part("the error", error)).transpose()?,
                labels: Some(part("labels", row.labels.take())?),
            };
            Ok(EncodedRow::Open { row, texts })
        }
        RowChange::Update(mut update) => {
            let texts = RowTexts {
                input: None,
                output: update
                    .output
                    .take()
                    .map(|output| part("the output", output))
                    .transpose()?,
                error: update.error.take().map(|error| part("the error", error)).transpose()?,
                labels: update.labels.take().map(|labels| part("labels", labels)).transpose()?,
            };
            Ok(EncodedRow::Update { update, texts })
        }
    }
}

fn encode_snapshot(mut state: Value) -> Result<EncodedSnapshot, StoreError> {
    let mut values = Vec::new();
    split_within(&mut state, &mut values, "the snapshot", SNAPSHOT)?;
    Ok(EncodedSnapshot {
        state: bytes(&state)?,
        values,
    })
}

fn encode_timeline(
    rows: Vec<TimelineRow<Document>>,
    values: &mut Vec<StoredValue>,
) -> Result<Option<EncodedTimeline>, StoreError> {
    let (Some(first), Some(last)) = (rows.first().map(|row| row.ordinal), rows.last().map(|row| row.ordinal)) else {
        return Ok(None);
    };
    let mut entries = Vec::with_capacity(rows.len());
    for (row, expected) in rows.into_iter().zip(first..) {
        if row.ordinal != expected {
            return Err(StoreError::Refused(format!(
                "timeline row {} where {expected} was expected",
                row.ordinal
            )));
        }
        entries.push(row.entry);
    }
    let name = |index: u64| format!("timeline row {}", first + index);
    let entries = encode_all(entries, values, name)?;
    Ok(Some(EncodedTimeline { first, last, entries }))
}

/// Documents as a JSON array. `name` gives the name of one for errors, by its index.
fn encode_all(
    documents: Vec<Document>,
    values: &mut Vec<StoredValue>,
    name: impl Fn(u64) -> String,
) -> Result<Vec<u8>, StoreError> {
    let mut text = vec![b'['];
    for (document, index) in documents.into_iter().zip(0..) {
        if index > 0 {
            text.push(b',');
        }
        document.append(&mut text, values, || name(index), ENTRY)?;
    }
    text.push(b']');
    Ok(text)
}

fn stored(what: &str, bytes: Arc<[u8]>) -> Result<StoredValue, StoreError> {
    check_size(what, bytes.len())?;
    Ok(StoredValue::new(bytes))
}

fn check_size(what: &str, size: usize) -> Result<(), StoreError> {
    if size as u64 > CEILING + INLINE_LIMIT as u64 {
        return Err(StoreError::TooLarge {
            what: what.to_owned(),
            size: size as u64,
            limit: CEILING,
        });
    }
    Ok(())
}

fn bytes(value: &Value) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Refused(format!("it cannot be written as JSON: {error}")))
}

fn text(value: &Value) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(format!("it cannot be written as JSON: {error}")))
}

impl Encoded {
    /// About how many bytes it will write; for limits, not for accounts.
    pub(crate) fn size(&self) -> usize {
        const ROW: usize = 128;
        let values = |values: &[StoredValue]| values.iter().map(|value| value.bytes.len()).sum::<usize>();
        ROW + match self {
            Self::Run(run) => {
                run.events.len()
                    + values(&run.values)
                    + run.row.as_ref().map_or(0, EncodedRow::size)
                    + run
                        .snapshot
                        .as_ref()
                        .map_or(0, |snapshot| snapshot.state.len() + values(&snapshot.values))
                    + run.timeline.as_ref().map_or(0, |timeline| timeline.entries.len())
                    + run.emits.iter().map(EncodedEvent::size).sum::<usize>()
            }
            Self::Definition { row, lock, .. } => row.source.len() + lock.len(),
            Self::Plugin { bytes, .. } => bytes.len(),
            Self::Trigger { state, .. } => state.len(),
            Self::Value(value) | Self::Blob { value, .. } => value.bytes.len(),
            Self::Inner(inner) => inner.outcome.len() + values(&inner.values),
            Self::Events(events) => events.iter().map(EncodedEvent::size).sum(),
            Self::Tables(statements, _) => statements
                .iter()
                .flat_map(|statement| &statement.params)
                .map(param_size)
                .sum(),
            Self::All(writes) => writes.iter().map(Self::size).sum(),
            _ => 0,
        }
    }

    /// How many journal entries it has.
    pub(crate) fn entries(&self) -> u64 {
        match self {
            Self::Run(run) => run.count,
            Self::All(writes) => writes.iter().map(Self::entries).sum(),
            _ => 0,
        }
    }
}

impl EncodedEvent {
    fn size(&self) -> usize {
        self.body.len() + self.values.iter().map(|value| value.bytes.len()).sum::<usize>() + 128
    }
}

impl EncodedRow {
    fn size(&self) -> usize {
        let (Self::Open { texts, .. } | Self::Update { texts, .. }) = self;
        [&texts.input, &texts.output, &texts.error, &texts.labels]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum()
    }
}

fn param_size(param: &SqlValue) -> usize {
    match param {
        SqlValue::Text(text) => text.len(),
        SqlValue::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}

/// The hash by which a migration is known, so that one that was changed after it was applied is noticed.
pub(crate) fn digest(migration: &ProviderMigration) -> Hash {
    hash(migration.sql.as_bytes())
}
