//! The journal's own tables, in the SQL that SQLite and PostgreSQL share.
//!
//! `BYTEA` is bytes: SQLite takes any name for a type and keeps a blob a blob. Tables that only grow keep their rows in the order of arrival,
//! with an index for the key: what many runs write at one time then lies on a few pages, not on one page for each run.

use crate::rows::ProviderMigration;

/// Who owns these tables.
pub(crate) const OWNER: &str = "journal";

/// Where it is written which migrations were applied; there before any of them.
pub(crate) const MIGRATIONS_TABLE: &str = "
CREATE TABLE IF NOT EXISTS migrations (
    owner TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (owner, version)
)";

/// Their history. What was released is never changed, only followed by another.
pub(crate) const MIGRATIONS: [ProviderMigration; 9] = [
    migration(1, FIRST),
    migration(2, EVENTS),
    migration(3, OUTBOX),
    migration(4, RATES),
    migration(5, SLOTS),
    migration(6, ORIGINS),
    migration(7, LEAVING),
    migration(8, INNER_CALLS),
    migration(9, SHORT_INDEX),
];

const fn migration(version: u32, sql: &'static str) -> ProviderMigration {
    ProviderMigration {
        owner: OWNER,
        version,
        sql,
    }
}

const FIRST: &str = r#"
CREATE TABLE definitions (
    hash TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    draft BIGINT NOT NULL,
    source TEXT NOT NULL,
    lock TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX definitions_by_id ON definitions (namespace, name, version) WHERE draft = 0;

-- The versions that someone chose; without a row the newest is the active one.
CREATE TABLE active (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
);

CREATE TABLE runs (
    id BYTEA PRIMARY KEY,
    partition BIGINT NOT NULL,
    definition TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL,
    finished BIGINT NOT NULL,
    input TEXT NOT NULL,
    output TEXT,
    error TEXT,
    parent BYTEA,
    triggered_by TEXT,
    idempotency_key TEXT,
    wake_at BIGINT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    labels TEXT NOT NULL,
    recoveries BIGINT NOT NULL
);
CREATE UNIQUE INDEX runs_by_key ON runs (namespace, name, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_by_time ON runs (created_at, id);
CREATE INDEX runs_by_name ON runs (namespace, name, created_at, id);
CREATE INDEX runs_by_status ON runs (status, created_at, id);
CREATE INDEX runs_by_trigger ON runs (triggered_by, created_at, id) WHERE triggered_by IS NOT NULL;
CREATE INDEX runs_by_parent ON runs (parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_due ON runs (wake_at, id) WHERE finished = 0 AND wake_at IS NOT NULL;
CREATE INDEX runs_unfinished ON runs (definition) WHERE finished = 0;

-- One row a run and commit: `seq` is the number of its last entry.
CREATE TABLE journal (
    run BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    encoding BIGINT NOT NULL,
    events BYTEA NOT NULL
);
CREATE UNIQUE INDEX journal_by_run ON journal (run, seq);

-- The newest snapshot of an unfinished run, and those of its values that nothing else has.
CREATE TABLE snapshots (
    run BYTEA PRIMARY KEY,
    seq BIGINT NOT NULL,
    encoding BIGINT NOT NULL,
    state BYTEA NOT NULL
);
CREATE TABLE snapshot_values (
    run BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (run, hash)
);

-- One row a run and commit: `ordinal` is that of its last entry.
CREATE TABLE timelines (
    run BYTEA NOT NULL,
    ordinal BIGINT NOT NULL,
    first_ordinal BIGINT NOT NULL,
    encoding BIGINT NOT NULL,
    entries BYTEA NOT NULL
);
CREATE UNIQUE INDEX timelines_by_run ON timelines (run, ordinal);

CREATE TABLE "values" (
    hash BYTEA PRIMARY KEY,
    size BIGINT NOT NULL,
    bytes BYTEA NOT NULL
);

CREATE TABLE blobs (
    hash BYTEA PRIMARY KEY,
    name TEXT,
    media_type TEXT,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX blobs_by_time ON blobs (created_at, hash);

CREATE TABLE plugins (
    hash TEXT PRIMARY KEY,
    package TEXT NOT NULL,
    version TEXT NOT NULL,
    grants TEXT NOT NULL,
    wit TEXT,
    installed_at BIGINT NOT NULL,
    bytes BYTEA NOT NULL
);
CREATE UNIQUE INDEX plugins_by_version ON plugins (package, version);

CREATE TABLE triggers (
    definition TEXT NOT NULL,
    key TEXT NOT NULL,
    next_at BIGINT,
    state TEXT NOT NULL,
    PRIMARY KEY (definition, key)
);
"#;

const EVENTS: &str = "
-- Events are numbered as they come in; `last` stays when they have left.
CREATE TABLE event_stream (
    only_row BIGINT PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO event_stream (only_row, last) VALUES (1, 0);

CREATE TABLE events (
    sequence BIGINT PRIMARY KEY,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    quiet BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    encoding BIGINT NOT NULL,
    event BYTEA NOT NULL
);
CREATE UNIQUE INDEX events_by_id ON events (source, id);
CREATE INDEX events_by_type ON events (type, sequence);

-- A listener sees what came after its run.
ALTER TABLE runs ADD COLUMN events_after BIGINT NOT NULL DEFAULT 0;

-- Which expressions there are to evaluate on an event. Empty texts stand for any. Events after `since` have keys under it.
CREATE TABLE subscription_shapes (
    shape BYTEA PRIMARY KEY,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    expressions TEXT NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX subscription_shapes_by_type ON subscription_shapes (type, source);

CREATE TABLE event_keys (
    key BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (key, sequence)
);
CREATE INDEX event_keys_by_sequence ON event_keys (sequence);

-- `latest` is over `cursor` when something came that may fit.
CREATE TABLE subscriptions (
    run BYTEA NOT NULL,
    subscription BIGINT NOT NULL,
    cursor BIGINT NOT NULL,
    latest BIGINT NOT NULL,
    PRIMARY KEY (run, subscription)
);
CREATE INDEX subscriptions_behind ON subscriptions (run) WHERE latest > cursor;

CREATE TABLE subscription_keys (
    key BYTEA NOT NULL,
    run BYTEA NOT NULL,
    subscription BIGINT NOT NULL,
    shape BYTEA NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (key, run, subscription)
);
CREATE INDEX subscription_keys_by_run ON subscription_keys (run, subscription);
CREATE INDEX subscription_keys_by_shape ON subscription_keys (shape);

CREATE TABLE consumed (
    run BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (run, sequence)
);
CREATE INDEX consumed_by_sequence ON consumed (sequence);
";

/// What runs say to each other, until it is heard.
const OUTBOX: &str = "
CREATE TABLE outbox (
    run BYTEA NOT NULL,
    sender BYTEA NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (run, sender, word)
)";

/// The moments at which tasks with a rate may begin, until they count no more.
const RATES: &str = "
CREATE TABLE reservations (
    rate TEXT NOT NULL,
    key TEXT NOT NULL,
    moment BIGINT NOT NULL,
    over_at BIGINT NOT NULL,
    PRIMARY KEY (rate, key)
);
CREATE INDEX reservations_by_moment ON reservations (rate, moment);
CREATE INDEX reservations_by_end ON reservations (over_at);
";

/// The places of unfinished runs in their groups: who has one (`holds`), who has to make way (`leaves`). `places` is what the run finds enough.
const SLOTS: &str = "
CREATE TABLE slots (
    run BYTEA PRIMARY KEY,
    pool TEXT NOT NULL,
    number BIGINT NOT NULL,
    places BIGINT NOT NULL,
    holds BIGINT NOT NULL,
    leaves BIGINT NOT NULL
);
CREATE INDEX slots_by_pool ON slots (pool, holds, leaves, number);
CREATE INDEX slots_by_number ON slots (pool, number);
";

/// Runs that were made from other runs.
const ORIGINS: &str = "
ALTER TABLE runs ADD COLUMN origin BYTEA;
ALTER TABLE runs ADD COLUMN origin_path TEXT;
CREATE INDEX runs_by_origin ON runs (origin, created_at, id) WHERE origin IS NOT NULL;
";

/// Runs that are on their way out of the store, and who mentions which values. A value that was stored before this was counted stays for good.
const LEAVING: &str = r#"
ALTER TABLE runs ADD COLUMN leaving BIGINT NOT NULL DEFAULT 0;
CREATE INDEX runs_by_end ON runs (ended_at, id) WHERE finished = 1 AND leaving = 0;
CREATE INDEX runs_leaving ON runs (id) WHERE leaving = 1;

ALTER TABLE "values" ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE blobs ADD COLUMN kept_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX blobs_by_keeping ON blobs (kept_at, hash);

CREATE TABLE mentions (
    owner BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (owner, hash)
);
CREATE INDEX mentions_by_hash ON mentions (hash);
"#;

/// The calls that were made inside a call, until that is over. Large parts of what they gave lie beside, and go with them.
const INNER_CALLS: &str = "
CREATE TABLE inner_calls (
    run BYTEA NOT NULL,
    call BIGINT NOT NULL,
    number BIGINT NOT NULL,
    path TEXT NOT NULL,
    function TEXT NOT NULL,
    digest BYTEA NOT NULL,
    began_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    encoding BIGINT NOT NULL,
    outcome BYTEA NOT NULL,
    PRIMARY KEY (run, call, number)
);
CREATE TABLE inner_values (
    run BYTEA NOT NULL,
    call BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (run, call, hash)
);
";

/// A hash is known by its beginning: an entry of this index is in the way of every run that begins or ends, and on the disk for every run that sleeps.
const SHORT_INDEX: &str = "
DROP INDEX runs_unfinished;
CREATE INDEX runs_by_definition ON runs (substr(definition, 1, 8)) WHERE finished = 0;
";
