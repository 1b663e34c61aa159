//! Campaigns and their rows: a campaign brings the people of one list into one channel, or writes to them.
//!
//! ```text
//!             claim                  ┌▶ invited, link_sent
//!  queued ───────────▶ inviting ─────┼▶ failed, skipped
//!    ▲                   │  ▲        └▶ unknown ──look──▶ (any of these)
//!    └── not yet, a flood┘  └ found after a crash: looked at, then gone on with
//! ```

use potok_dsl::Timestamp;
use potok_wasm::{Param, Row, Statement, TableError, Tables};
use serde::{Deserialize, Serialize};

use super::list::Line;
use super::people::{BATCH, keep};
use super::{like, read, write};
use crate::accounts::listed;
use crate::reader::Reader;
use crate::reader::number;

/// A day of a channel's quota, in milliseconds.
const DAY: i64 = 86_400_000;

/// What is done with the people of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// They are added to the channel.
    Invite,
    /// They are added, and written to.
    InviteAndMessage,
    /// The channel's bot writes to them; nobody is added.
    OnlyMessageBot,
}

impl Mode {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Invite, "invite"),
        (Self::InviteAndMessage, "invite_and_message"),
        (Self::OnlyMessageBot, "only_message_bot"),
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|mode| mode.1 == word).map(|mode| mode.0)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|mode| mode.0 == self)
            .map_or("invite", |mode| mode.1)
    }
}

/// Whether a campaign goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Its rows are being written.
    Filling,
    /// It goes on.
    Running,
    /// It was stopped, by people or by what Telegram said.
    Paused,
    /// Nothing is left to be done.
    Done,
}

impl State {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Filling, "filling"),
        (Self::Running, "running"),
        (Self::Paused, "paused"),
        (Self::Done, "done"),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|state| state.1 == word).map(|state| state.0)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|state| state.0 == self)
            .map_or("paused", |state| state.1)
    }
}

/// A campaign.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Campaign {
    pub(super) id: i64,
    /// `@name`.
    pub(super) channel: String,
    pub(super) mode: Mode,
    pub(super) message: Option<String>,
    /// What goes with a personal link to those who may not be added.
    pub(super) link_message: Option<String>,
    pub(super) basis: String,
    /// Which accounts act; none: all that work.
    pub(super) accounts: Vec<i64>,
    pub(super) channel_limit: i64,
    pub(super) pause_ms: i64,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    /// Before then nothing is done.
    pub(super) next_at: Timestamp,
    pub(super) run: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    Inviting,
    Invited,
    LinkSent,
    Failed,
    Skipped,
    Unknown,
}

impl Status {
    pub(super) const ALL: [(Self, &'static str); 7] = [
        (Self::Queued, "queued"),
        (Self::Inviting, "inviting"),
        (Self::Invited, "invited"),
        (Self::LinkSent, "link_sent"),
        (Self::Failed, "failed"),
        (Self::Skipped, "skipped"),
        (Self::Unknown, "unknown"),
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|status| status.1 == word).map(|status| status.0)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|status| status.0 == self)
            .map_or("unknown", |status| status.1)
    }
}

/// A row of a campaign.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Invite {
    pub(super) campaign: i64,
    pub(super) line: i64,
    pub(super) person: String,
    pub(super) name: Option<String>,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    pub(super) account: Option<i64>,
    pub(super) retry_count: i64,
    pub(super) last_retry: Option<Timestamp>,
    pub(super) taken_by: Option<String>,
    pub(super) link: Option<String>,
    pub(super) updated_at: Timestamp,
}

/// How many rows have which status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) queued: i64,
    pub(super) invited: i64,
    pub(super) link_sent: i64,
    pub(super) failed: i64,
    pub(super) skipped: i64,
    pub(super) unknown: i64,
}

/// Which rows are listed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) campaign: Option<i64>,
    pub(super) run: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) search: String,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) limit: i64,
    pub(super) offset: i64,
}

macro_rules! campaigns {
    ($which:literal) => {
        concat!(
            "SELECT id, channel, mode, message, link_message, basis, accounts, channel_limit, pause_ms, state, reason, next_at, \
             run, created_at, updated_at FROM telegram_campaigns ",
            $which
        )
    };
}

macro_rules! invites {
    ($which:literal) => {
        concat!(
            "SELECT campaign, line, person, name, status, reason, account, retry_count, last_retry, taken_by, link, updated_at \
             FROM telegram_invites ",
            $which
        )
    };
}

/// A number that no campaign has or had.
pub(super) async fn reserve(tables: &dyn Tables) -> Result<i64, TableError> {
    let sql = "UPDATE telegram_campaign_ids SET last = last + 1 RETURNING last";
    Ok(number(&write(tables, sql, Vec::new()).await?))
}

/// Keeps a campaign and all its rows, once for one key: what a crash has left half-written is completed.
pub(super) async fn start(
    tables: &dyn Tables,
    campaign: &Campaign,
    lines: &[Line],
    (key, source): (&str, Option<&str>),
    now: Timestamp,
) -> Result<i64, TableError> {
    let id = match started_by(tables, key).await? {
        Some(begun) if begun.state != State::Filling => return Ok(begun.id),
        Some(begun) => begun.id,
        None => insert(tables, campaign, key, now).await?,
    };
    for batch in lines.chunks(BATCH) {
        let statements = batch.iter().flat_map(|line| {
            let person = usable(line).then(|| keep(line, &campaign.basis, source, now));
            person.into_iter().chain([queue(id, line, now)])
        });
        tables.write(statements.collect()).await?;
    }
    set_state(tables, id, State::Running, None, now).await?;
    Ok(id)
}

fn usable(line: &Line) -> bool {
    line.wrong.is_none() && line.same_as.is_none()
}

async fn insert(tables: &dyn Tables, campaign: &Campaign, key: &str, now: Timestamp) -> Result<i64, TableError> {
    let sql = "INSERT INTO telegram_campaigns (id, channel, mode, message, link_message, basis, accounts, channel_limit, \
               pause_ms, state, next_at, run, started_by, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'filling', $10, $11, $12, $13, $14)";
    let wanted = campaign.clone();
    let id = reserve(tables).await?;
    let params = vec![
        id.into(),
        wanted.channel.into(),
        wanted.mode.name().into(),
        wanted.message.into(),
        wanted.link_message.into(),
        wanted.basis.into(),
        listed(&wanted.accounts).into(),
        wanted.channel_limit.into(),
        wanted.pause_ms.into(),
        now.0.into(),
        wanted.run.into(),
        key.into(),
        now.0.into(),
        now.0.into(),
    ];
    write(tables, sql, params).await?;
    Ok(id)
}

/// The statement that adds a row.
fn queue(campaign: i64, line: &Line, now: Timestamp) -> Statement {
    let sql = "INSERT INTO telegram_invites (campaign, line, person, name, status, reason, retry_count, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8) ON CONFLICT (campaign, line) DO NOTHING";
    let (status, reason) = match (&line.wrong, line.same_as) {
        (Some(wrong), _) => (Status::Failed, Some(wrong.clone())),
        (None, Some(same)) => (Status::Skipped, Some(format!("the same person as line {same}"))),
        (None, None) => (Status::Queued, None),
    };
    let params = vec![
        campaign.into(),
        line.number.into(),
        line.person.as_str().into(),
        line.name.as_deref().into(),
        status.name().into(),
        reason.into(),
        now.0.into(),
        now.0.into(),
    ];
    Statement { sql, params }
}

pub(super) async fn find(tables: &dyn Tables, id: i64) -> Result<Option<Campaign>, TableError> {
    one(
        read(tables, campaigns!("WHERE id = $1"), vec![id.into()]).await?,
        campaign,
    )
}

async fn started_by(tables: &dyn Tables, key: &str) -> Result<Option<Campaign>, TableError> {
    one(
        read(tables, campaigns!("WHERE started_by = $1"), vec![key.into()]).await?,
        campaign,
    )
}

/// The newest campaigns first.
pub(super) async fn list(tables: &dyn Tables, limit: i64, offset: i64) -> Result<Vec<Campaign>, TableError> {
    let sql = campaigns!("ORDER BY id DESC LIMIT $1 OFFSET $2");
    let rows = read(tables, sql, vec![limit.into(), offset.into()]).await?;
    rows.into_iter().map(campaign).collect()
}

pub(super) async fn set_state(
    tables: &dyn Tables,
    id: i64,
    state: State,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), TableError> {
    tables.write(vec![state_of(id, state, reason, now)]).await.map(drop)
}

fn state_of(id: i64, state: State, reason: Option<&str>, now: Timestamp) -> Statement {
    let sql = "UPDATE telegram_campaigns SET state = $1, reason = $2, updated_at = $3 WHERE id = $4";
    let params = vec![state.name().into(), reason.into(), now.0.into(), id.into()];
    Statement { sql, params }
}

pub(super) async fn counts(tables: &dyn Tables, id: i64) -> Result<Counts, TableError> {
    let sql = "SELECT status, COUNT(*) FROM telegram_invites WHERE campaign = $1 GROUP BY status";
    let mut counts = Counts::default();
    for row in read(tables, sql, vec![id.into()]).await? {
        let mut row = Reader::new("telegram_invites", row);
        let status = row.word("status", Status::parse)?;
        let count = row.integer("count")?;
        match status {
            Status::Queued | Status::Inviting => counts.queued += count,
            Status::Invited => counts.invited += count,
            Status::LinkSent => counts.link_sent += count,
            Status::Failed => counts.failed += count,
            Status::Skipped => counts.skipped += count,
            Status::Unknown => counts.unknown += count,
        }
    }
    Ok(counts)
}

/// The row that a call has taken.
pub(super) async fn taken_by(tables: &dyn Tables, id: i64, key: &str) -> Result<Option<Invite>, TableError> {
    let sql = invites!("WHERE taken_by = $1 AND campaign = $2");
    one(read(tables, sql, vec![key.into(), id.into()]).await?, invite)
}

/// A row by its line.
pub(super) async fn line(tables: &dyn Tables, id: i64, line: i64) -> Result<Option<Invite>, TableError> {
    let sql = invites!("WHERE campaign = $1 AND line = $2");
    one(read(tables, sql, vec![id.into(), line.into()]).await?, invite)
}

/// The row with this status that is next.
pub(super) async fn next(tables: &dyn Tables, id: i64, status: Status) -> Result<Option<Invite>, TableError> {
    let sql = invites!("WHERE campaign = $1 AND status = $2 ORDER BY line LIMIT 1");
    one(read(tables, sql, vec![id.into(), status.name().into()]).await?, invite)
}

/// The unknown row that was looked at longest ago and less often than this.
pub(super) async fn next_unknown(tables: &dyn Tables, id: i64, looks: i64) -> Result<Option<Invite>, TableError> {
    let sql = invites!(
        "WHERE campaign = $1 AND status = 'unknown' AND retry_count < $2 AND account IS NOT NULL \
         ORDER BY last_retry, line LIMIT 1"
    );
    one(read(tables, sql, vec![id.into(), looks.into()]).await?, invite)
}

/// Whether something is left to be done.
pub(super) async fn is_left(tables: &dyn Tables, id: i64, looks: i64) -> Result<bool, TableError> {
    let sql = "SELECT 1 FROM telegram_invites WHERE campaign = $1 AND (status IN ('queued', 'inviting') \
               OR (status = 'unknown' AND retry_count < $2 AND account IS NOT NULL)) LIMIT 1";
    Ok(!read(tables, sql, vec![id.into(), looks.into()]).await?.is_empty())
}

/// The campaign that has brought the person into the channel, or sent the link to it, before.
pub(super) async fn reached_before(
    tables: &dyn Tables,
    channel: &str,
    person: &str,
) -> Result<Option<i64>, TableError> {
    let sql = "SELECT i.campaign FROM telegram_invites i JOIN telegram_campaigns c ON c.id = i.campaign \
               WHERE i.person = $1 AND i.status IN ('invited', 'link_sent') AND c.channel = $2 \
               AND c.mode <> 'only_message_bot' LIMIT 1";
    let params = vec![person.into(), channel.into()];
    Ok(
        match read(tables, sql, params).await?.first().and_then(|row| row.first()) {
            Some(Param::Integer(before)) => Some(*before),
            _ => None,
        },
    )
}

/// Takes one contact out of the channel's quota of the day; `false` when it is used up.
pub(super) async fn channel_slot(
    tables: &dyn Tables,
    channel: &str,
    limit: i64,
    now: Timestamp,
) -> Result<bool, TableError> {
    let sql = "INSERT INTO telegram_channel_days (channel, began_at, used) VALUES ($1, $2, 1) ON CONFLICT (channel) DO UPDATE \
               SET used = CASE WHEN telegram_channel_days.began_at <= $3 THEN 1 ELSE telegram_channel_days.used + 1 END, \
               began_at = CASE WHEN telegram_channel_days.began_at <= $3 THEN $2 ELSE telegram_channel_days.began_at END \
               WHERE telegram_channel_days.began_at <= $3 OR telegram_channel_days.used < $4 RETURNING used";
    let params = vec![channel.into(), now.0.into(), (now.0 - DAY).into(), limit.into()];
    Ok(!write(tables, sql, params).await?.is_empty())
}

/// Gives a contact back that was not made.
pub(super) async fn give_slot_back(tables: &dyn Tables, channel: &str) -> Result<(), TableError> {
    let sql = "UPDATE telegram_channel_days SET used = used - 1 WHERE channel = $1 AND used > 0";
    write(tables, sql, vec![channel.into()]).await.map(drop)
}

/// When the channel's day ends.
pub(super) async fn channel_day_ends(
    tables: &dyn Tables,
    channel: &str,
    now: Timestamp,
) -> Result<Timestamp, TableError> {
    let sql = "SELECT began_at FROM telegram_channel_days WHERE channel = $1";
    Ok(
        match read(tables, sql, vec![channel.into()])
            .await?
            .first()
            .and_then(|row| row.first())
        {
            Some(Param::Integer(began)) => Timestamp(began.saturating_add(DAY)),
            _ => now,
        },
    )
}

/// Takes a row, unless its person has opted out meanwhile.
pub(super) async fn claim(
    tables: &dyn Tables,
    invite: &Invite,
    account: Option<i64>,
    key: &str,
    now: Timestamp,
) -> Result<bool, TableError> {
    let sql = "UPDATE telegram_invites SET status = 'inviting', account = $1, taken_by = $2, reason = NULL, updated_at = $3 \
               WHERE campaign = $4 AND line = $5 AND status = 'queued' AND NOT EXISTS \
               (SELECT 1 FROM telegram_people p WHERE p.opted_out_at IS NOT NULL AND p.person = telegram_invites.person) \
               RETURNING line";
    let params = vec![
        account.into(),
        key.into(),
        now.0.into(),
        invite.campaign.into(),
        invite.line.into(),
    ];
    Ok(!write(tables, sql, params).await?.is_empty())
}

/// Takes a row over that another call has left.
pub(super) async fn take_over(
    tables: &dyn Tables,
    invite: &Invite,
    key: &str,
    now: Timestamp,
) -> Result<bool, TableError> {
    let sql = "UPDATE telegram_invites SET status = 'inviting', taken_by = $1, updated_at = $2 \
               WHERE campaign = $3 AND line = $4 AND status = $5 AND updated_at = $6 RETURNING line";
    let params = vec![
        key.into(),
        now.0.into(),
        invite.campaign.into(),
        invite.line.into(),
        invite.status.name().into(),
        invite.updated_at.0.into(),
    ];
    Ok(!write(tables, sql, params).await?.is_empty())
}

/// Keeps the link that a person is to get, before it is sent.
pub(super) async fn keep_link(tables: &dyn Tables, invite: &Invite, link: &str) -> Result<(), TableError> {
    let sql = "UPDATE telegram_invites SET link = $1 WHERE campaign = $2 AND line = $3";
    let params = vec![link.into(), invite.campaign.into(), invite.line.into()];
    write(tables, sql, params).await.map(drop)
}

/// What a row becomes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) reason: Option<String>,
}

/// What becomes of the campaign with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// It goes on at once.
    None,
    /// It goes on after its pause.
    Pause,
    /// It rests until then.
    Rest(Timestamp, String),
    /// It stops until people let it go on.
    Stop(String),
}

/// Records what became of a row and of the campaign, in one transaction. A row that is not this call's any more stays as it is.
pub(super) async fn record(
    tables: &dyn Tables,
    invite: &Invite,
    verdict: &Verdict,
    effect: &Effect,
    next_at: Timestamp,
    now: Timestamp,
) -> Result<(), TableError> {
    let again = i64::from(matches!(verdict.status, Status::Queued | Status::Unknown));
    let sql = "UPDATE telegram_invites SET status = $1, reason = $2, updated_at = $3, retry_count = retry_count + $4, \
               last_retry = CASE WHEN $4 = 1 THEN $3 ELSE last_retry END \
               WHERE campaign = $5 AND line = $6 AND status = $7";
    let params = vec![
        verdict.status.name().into(),
        verdict.reason.clone().into(),
        now.0.into(),
        again.into(),
        invite.campaign.into(),
        invite.line.into(),
        invite.status.name().into(),
    ];
    let mut statements = vec![Statement { sql, params }];
    let sql = "UPDATE telegram_campaigns SET next_at = $1, reason = $2, updated_at = $3 WHERE id = $4";
    let rest = |until: Timestamp, why: Option<&str>| Statement {
        sql,
        params: vec![until.0.into(), why.into(), now.0.into(), invite.campaign.into()],
    };
    match effect {
        Effect::None => {}
        Effect::Pause => statements.push(rest(next_at, None)),
        Effect::Rest(until, why) => statements.push(rest(*until, Some(why))),
        Effect::Stop(why) => statements.push(state_of(invite.campaign, State::Paused, Some(why), now)),
    }
    tables.write(statements).await.map(drop)
}

/// The rows that fit, newest first, with the channel and the run of their campaigns; and how many there are on all pages.
pub(super) async fn log(
    tables: &dyn Tables,
    filter: &Filter,
) -> Result<(Vec<(Invite, String, Option<String>)>, i64), TableError> {
    macro_rules! fits {
        () => {
            "FROM telegram_invites i JOIN telegram_campaigns c ON c.id = i.campaign WHERE ($1 = 0 OR i.campaign = $1) \
             AND ($2 = '' OR c.run = $2) AND ($3 = '' OR i.status = $3) AND i.updated_at >= $4 AND i.updated_at <= $5 \
             AND ($6 = '' OR LOWER(i.person || ' ' || COALESCE(i.name, '')) LIKE $6 ESCAPE '!')"
        };
    }
    let mut params: Vec<Param> = vec![
        filter.campaign.unwrap_or(0).into(),
        filter.run.clone().unwrap_or_default().into(),
        filter.status.map_or("", Status::name).into(),
        filter.from.map_or(0, |at| at.0).into(),
        filter.to.map_or(i64::MAX, |at| at.0).into(),
        like(&filter.search).into(),
    ];
    let total = number(&read(tables, concat!("SELECT COUNT(*) ", fits!()), params.clone()).await?);
    let sql = concat!(
        "SELECT i.campaign, i.line, i.person, i.name, i.status, i.reason, i.account, i.retry_count, i.last_retry, i.taken_by, \
         i.link, i.updated_at, c.channel, c.run ",
        fits!(),
        " ORDER BY i.campaign DESC, i.line LIMIT $7 OFFSET $8"
    );
    params.extend([filter.limit.into(), filter.offset.into()]);
    let rows = read(tables, sql, params).await?.into_iter().map(|row| {
        let mut row = Reader::new("telegram_invites", row);
        let invite = read_invite(&mut row)?;
        Ok((invite, row.text("channel")?, row.optional_text("run")?))
    });
    Ok((rows.collect::<Result<_, TableError>>()?, total))
}

fn one<T>(rows: Vec<Row>, read: fn(Row) -> Result<T, TableError>) -> Result<Option<T>, TableError> {
    rows.into_iter().next().map(read).transpose()
}

fn campaign(row: Row) -> Result<Campaign, TableError> {
    let mut row = Reader::new("telegram_campaigns", row);
    Ok(Campaign {
        id: row.integer("id")?,
        channel: row.text("channel")?,
        mode: row.word("mode", Mode::parse)?,
        message: row.optional_text("message")?,
        link_message: row.optional_text("link_message")?,
        basis: row.text("basis")?,
        accounts: row
            .text("accounts")?
            .split(',')
            .filter_map(|id| id.parse().ok())
            .collect(),
        channel_limit: row.integer("channel_limit")?,
        pause_ms: row.integer("pause_ms")?,
        state: row.word("state", State::parse)?,
        reason: row.optional_text("reason")?,
        next_at: Timestamp(row.integer("next_at")?),
        run: row.optional_text("run")?,
        created_at: Timestamp(row.integer("created_at")?),
        updated_at: Timestamp(row.integer("updated_at")?),
    })
}

fn invite(row: Row) -> Result<Invite, TableError> {
    read_invite(&mut Reader::new("telegram_invites", row))
}

fn read_invite(row: &mut Reader) -> Result<Invite, TableError> {
    Ok(Invite {
        campaign: row.integer("campaign")?,
        line: row.integer("line")?,
        person: row.text("person")?,
        name: row.optional_text("name")?,
        status: row.word("status", Status::parse)?,
        reason: row.optional_text("reason")?,
        account: row.optional_integer("account")?,
        retry_count: row.integer("retry_count")?,
        last_retry: row.optional_integer("last_retry")?.map(Timestamp),
        taken_by: row.optional_text("taken_by")?,
        link: row.optional_text("link")?,
        updated_at: Timestamp(row.integer("updated_at")?),
    })
}
