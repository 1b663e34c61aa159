//! The table `telegram_accounts`: a row for each account. What is secret is one sealed document in it.

use potok_dsl::Timestamp;
use potok_wasm::{Migration, Param, Row, Statement, TableError, Tables};

use super::error::{AccountError, Noted};
use super::model::{Account, AccountChange, AccountFilter, AccountStatus, NewAccount, Person, limit, phone_number};
use super::vault::Sealed;
use super::warming::{self, PACE};
use crate::reader::Reader;

/// The most accounts of one page.
const PAGE: i64 = 1_000;

/// A quota's day, in milliseconds.
const DAY: i64 = 86_400_000;

pub(super) const MIGRATIONS: [Migration; 3] = [
    Migration {
        owner: "telegram_accounts",
        version: 1,
        sql: FIRST,
    },
    Migration {
        owner: "telegram_accounts",
        version: 2,
        sql: "
        ALTER TABLE telegram_accounts ADD COLUMN added_by TEXT;
        CREATE UNIQUE INDEX telegram_accounts_by_call ON telegram_accounts (added_by);
    ",
    },
    Migration {
        owner: "telegram_accounts",
        version: 3,
        sql: "
        ALTER TABLE telegram_accounts ADD COLUMN proxy_id BIGINT;
        CREATE INDEX telegram_accounts_by_proxy ON telegram_accounts (proxy_id);
        CREATE TABLE telegram_proxies (
            id BIGINT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            host TEXT NOT NULL,
            port BIGINT NOT NULL,
            username TEXT NOT NULL,
            state TEXT NOT NULL,
            problem TEXT,
            latency_ms BIGINT,
            checked_at BIGINT,
            version BIGINT NOT NULL,
            key_id TEXT NOT NULL,
            sealed BYTEA NOT NULL,
            added_by TEXT NOT NULL UNIQUE,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            UNIQUE (host, port, username)
        );
        CREATE TABLE telegram_proxy_ids (last BIGINT NOT NULL);
        INSERT INTO telegram_proxy_ids (last) VALUES (0);
    ",
    },
];

const FIRST: &str = "
        CREATE TABLE telegram_accounts (
            id BIGINT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            phone TEXT UNIQUE,
            telegram_id BIGINT,
            api_id BIGINT NOT NULL,
            comment TEXT NOT NULL,
            status TEXT NOT NULL,
            problem TEXT,
            daily_limit BIGINT NOT NULL,
            used_today BIGINT NOT NULL,
            messages_sent BIGINT NOT NULL,
            warmup_count BIGINT NOT NULL,
            ban_count BIGINT NOT NULL,
            reset_date BIGINT,
            last_used BIGINT,
            flood_until BIGINT,
            proxied BIGINT NOT NULL,
            version BIGINT NOT NULL,
            key_id TEXT NOT NULL,
            sealed BYTEA NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX telegram_accounts_by_status ON telegram_accounts (status, last_used);
        CREATE TABLE telegram_account_ids (last BIGINT NOT NULL);
        INSERT INTO telegram_account_ids (last) VALUES (0);
    ";

/// Reads the columns of [`account`].
macro_rules! accounts {
    ($which:literal) => {
        concat!(
            "SELECT id, name, phone, telegram_id, api_id, comment, status, problem, daily_limit, used_today, messages_sent, \
             warmup_count, ban_count, reset_date, last_used, flood_until, proxied, proxy_id, version, created_at, updated_at, key_id, \
             sealed FROM telegram_accounts ",
            $which
        )
    };
}

/// A number that no account has or had.
pub(super) async fn reserve(tables: &dyn Tables) -> Result<i64, AccountError> {
    let sql = "UPDATE telegram_account_ids SET last = last + 1 RETURNING last";
    match write(tables, sql, Vec::new())
        .await?
        .first()
        .and_then(|row| row.first())
    {
        Some(Param::Integer(id)) => Ok(*id),
        other => Err(unexpected("last", &other.cloned())),
    }
}

pub(super) async fn insert(
    tables: &dyn Tables,
    id: i64,
    new: &NewAccount,
    key: Option<&str>,
    sealed: Sealed,
    now: Timestamp,
) -> Result<Account, AccountError> {
    let phone = new.phone.as_deref().map(phone_number).transpose()?;
    let daily = limit(new.daily_limit)?;
    let sql = "INSERT INTO telegram_accounts (id, name, phone, api_id, comment, status, daily_limit, used_today, messages_sent, \
               warmup_count, ban_count, proxied, version, key_id, sealed, created_at, updated_at, added_by, proxy_id) \
               VALUES ($1, $2, $3, $4, $5, 'new', $6, 0, 0, 0, 0, $7, 1, $8, $9, $10, $11, $12, $13) \
               ON CONFLICT (phone) DO NOTHING RETURNING id";
    let params = vec![
        id.into(),
        new.name.clone().into(),
        phone.clone().into(),
        i64::from(new.api_id).into(),
        new.comment.clone().into(),
        daily.into(),
        i64::from(new.proxy.is_some() || new.proxy_id.is_some()).into(),
        sealed.key_id.into(),
        Param::Blob(sealed.bytes),
        now.0.into(),
        now.0.into(),
        key.into(),
        new.proxy_id.into(),
    ];
    if write(tables, sql, params).await?.is_empty() {
        return Err(AccountError::PhoneTaken(phone.unwrap_or_default()));
    }
    Ok(find(tables, id).await?.0)
}

pub(super) async fn find(tables: &dyn Tables, id: i64) -> Result<(Account, Sealed), AccountError> {
    let sql = accounts!("WHERE id = $1");
    let rows = read(tables, sql, vec![id.into()]).await?;
    let row = rows.into_iter().next().ok_or(AccountError::NotFound(id))?;
    account(row)
}

/// The account that was added under a key.
pub(super) async fn added_by(tables: &dyn Tables, key: &str) -> Result<Option<i64>, AccountError> {
    let sql = "SELECT id FROM telegram_accounts WHERE added_by = $1";
    let rows = read(tables, sql, vec![key.into()]).await?;
    match rows.first().and_then(|row| row.first()) {
        None => Ok(None),
        Some(Param::Integer(id)) => Ok(Some(*id)),
        other => Err(unexpected("id", &other.cloned())),
    }
}

/// Which rows a filter lets through; its parameters are those of [`wanted`].
macro_rules! wanted {
    () => {
        "id > $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR phone = $3) AND ($4 = '' OR \
         LOWER(name || ' ' || comment || ' ' || COALESCE(phone, '')) LIKE $4 ESCAPE '!')"
    };
}

fn wanted(filter: &AccountFilter) -> Result<Vec<Param>, AccountError> {
    let phone = filter.phone.as_deref().map(phone_number).transpose()?;
    let search = filter.search.to_lowercase();
    let escaped = search.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let like = if search.is_empty() {
        String::new()
    } else {
        format!("%{escaped}%")
    };
    Ok(vec![
        filter.after.into(),
        filter.status.map_or("", AccountStatus::name).into(),
        phone.unwrap_or_default().into(),
        like.into(),
    ])
}

pub(super) async fn list(tables: &dyn Tables, filter: &AccountFilter) -> Result<Vec<Account>, AccountError> {
    let sql = concat!(accounts!("WHERE "), wanted!(), " ORDER BY id LIMIT $5 OFFSET $6");
    let limit = filter.limit.unwrap_or(PAGE).clamp(0, PAGE);
    let mut params = wanted(filter)?;
    params.extend([limit.into(), filter.offset.max(0).into()]);
    let rows = read(tables, sql, params).await?;
    rows.into_iter().map(|row| account(row).map(|found| found.0)).collect()
}

/// How many fit, on all pages.
pub(super) async fn count(tables: &dyn Tables, filter: &AccountFilter) -> Result<i64, AccountError> {
    let sql = concat!("SELECT COUNT(*) FROM telegram_accounts WHERE ", wanted!());
    let rows = read(tables, sql, wanted(filter)?).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Param::Integer(count)) => Ok(*count),
        other => Err(unexpected("count", &other.cloned())),
    }
}

/// Changes what people may change.
pub(super) async fn change(
    tables: &dyn Tables,
    account: &Account,
    signed_in: bool,
    change: &AccountChange,
    now: Timestamp,
) -> Result<(), AccountError> {
    let (id, wanted) = (account.id, change.status.unwrap_or(account.status));
    let turned = wanted != account.status;
    if turned && !(wanted == AccountStatus::Disabled || wanted.works() && signed_in) {
        return Err(AccountError::NotDue {
            id,
            status: account.status,
        });
    }
    let phone = change.phone.as_deref().map(phone_number).transpose()?;
    let phone = phone.or_else(|| account.phone.clone());
    if let Some(phone) = &phone {
        free(tables, id, phone).await?;
    }
    let (proxied, proxy_id) = match (&change.proxy, change.proxy_id) {
        (_, Some(id)) => (true, Some(id)),
        (Some(own), None) => (own.is_some(), None),
        (None, None) => (account.proxied, account.proxy_id),
    };
    let problem = account.problem.clone().filter(|_| !turned);
    let daily_limit = limit(change.daily_limit.unwrap_or(account.daily_limit))?;
    let turn = warming::turn(account, wanted, daily_limit);
    let sql = "UPDATE telegram_accounts SET name = $1, phone = $2, comment = $3, daily_limit = $4, status = $5, problem = $6, \
               proxied = $7, updated_at = $8, warmup_count = warmup_count * $9, proxy_id = $10 WHERE id = $11";
    let params = vec![
        change.name.clone().unwrap_or_else(|| account.name.clone()).into(),
        phone.into(),
        change.comment.clone().unwrap_or_else(|| account.comment.clone()).into(),
        daily_limit.into(),
        turn.status.name().into(),
        problem.into(),
        i64::from(proxied).into(),
        now.0.into(),
        i64::from(!turn.afresh).into(),
        proxy_id.into(),
        id.into(),
    ];
    write(tables, sql, params).await.map(drop)
}

pub(super) async fn delete(tables: &dyn Tables, id: i64) -> Result<(), AccountError> {
    let sql = "DELETE FROM telegram_accounts WHERE id = $1";
    write(tables, sql, vec![id.into()]).await.map(drop)
}

/// Puts the next version of the sealed document in the place of the one before.
pub(super) async fn seal(
    tables: &dyn Tables,
    id: i64,
    version: i64,
    sealed: Sealed,
    now: Timestamp,
) -> Result<(), AccountError> {
    let sql = "UPDATE telegram_accounts SET version = $1, key_id = $2, sealed = $3, updated_at = $4 \
               WHERE id = $5 AND version = $6 RETURNING id";
    let params = vec![
        version.into(),
        sealed.key_id.into(),
        Param::Blob(sealed.bytes),
        now.0.into(),
        id.into(),
        (version - 1).into(),
    ];
    if write(tables, sql, params).await?.is_empty() {
        let why = format!("another node works with the account {id} at this moment");
        return Err(TableError::Unavailable(why).into());
    }
    Ok(())
}

pub(super) async fn set_status(
    tables: &dyn Tables,
    id: i64,
    status: AccountStatus,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<(), AccountError> {
    let sql = "UPDATE telegram_accounts SET status = $1, problem = $2, updated_at = $3 WHERE id = $4";
    let params = vec![status.name().into(), problem.into(), now.0.into(), id.into()];
    write(tables, sql, params).await.map(drop)
}

/// Somebody has signed in.
pub(super) async fn signed_in(
    tables: &dyn Tables,
    account: &Account,
    person: &Person,
    now: Timestamp,
) -> Result<(), AccountError> {
    let phone = person.phone.as_deref().map(phone_number).transpose()?;
    let phone = phone.or_else(|| account.phone.clone());
    if let Some(phone) = &phone {
        free(tables, account.id, phone).await?;
    }
    let name = Some(account.name.clone()).filter(|name| !name.is_empty());
    let name = name.or_else(|| person.name.clone()).unwrap_or_default();
    let sql = "UPDATE telegram_accounts SET status = $1, problem = NULL, phone = $2, telegram_id = $3, name = $4, \
               updated_at = $5 WHERE id = $6";
    let params = vec![
        warming::signed_in(account).name().into(),
        phone.into(),
        person.telegram_id.into(),
        name.into(),
        now.0.into(),
        account.id.into(),
    ];
    write(tables, sql, params).await.map(drop)
}

/// What Telegram has said of an account's health.
pub(super) async fn note(
    tables: &dyn Tables,
    id: i64,
    noted: Noted,
    why: &str,
    now: Timestamp,
) -> Result<(), AccountError> {
    let (sql, first): (_, Param) = match noted {
        Noted::Nothing => return Ok(()),
        Noted::RestsUntil(until) => (
            "UPDATE telegram_accounts SET flood_until = $1, problem = $2, updated_at = $3 WHERE id = $4",
            until.0.into(),
        ),
        Noted::Reported => (
            "UPDATE telegram_accounts SET status = $1, problem = $2, updated_at = $3, ban_count = ban_count + 1, \
             warmup_count = 0 WHERE id = $4",
            AccountStatus::Disabled.name().into(),
        ),
        Noted::Banned => (
            "UPDATE telegram_accounts SET status = $1, problem = $2, updated_at = $3, ban_count = ban_count + 1, \
             warmup_count = 0 WHERE id = $4",
            AccountStatus::Blocked.name().into(),
        ),
        Noted::SessionLost => (
            "UPDATE telegram_accounts SET status = $1, problem = $2, updated_at = $3 WHERE id = $4",
            AccountStatus::New.name().into(),
        ),
    };
    write(tables, sql, vec![first, why.into(), now.0.into(), id.into()])
        .await
        .map(drop)
}

/// It did something.
pub(super) async fn used(tables: &dyn Tables, id: i64, now: Timestamp) -> Result<(), AccountError> {
    let sql = "UPDATE telegram_accounts SET last_used = $1 WHERE id = $2";
    write(tables, sql, vec![now.0.into(), id.into()]).await.map(drop)
}

/// It sent a message.
pub(super) async fn sent(tables: &dyn Tables, id: i64, now: Timestamp) -> Result<(), AccountError> {
    let sql = "UPDATE telegram_accounts SET last_used = $1, messages_sent = messages_sent + 1 WHERE id = $2";
    write(tables, sql, vec![now.0.into(), id.into()]).await.map(drop)
}

/// Whether an account's day is over, or has yet to begin.
macro_rules! day_is_over {
    () => {
        "(reset_date IS NULL OR reset_date <= $2)"
    };
}

/// What a warming account may do today. The days that were counted include this one once it has begun.
macro_rules! warming_quota {
    () => {
        concat!(
            "($3 * CASE WHEN ",
            day_is_over!(),
            " THEN warmup_count + 1 WHEN warmup_count = 0 THEN 1 ELSE warmup_count END)"
        )
    };
}

/// Takes one contact out of the day's quota of the account that has been used longest ago. The day begins with its first
/// contact. A warming account has a quota that grows with the days on which it contacted somebody; the day is counted, and
/// the account becomes active when that quota reaches its limit, in the same statement. `among` are the accounts that may be
/// taken, as [`listed`](super::listed) has them; empty: all.
pub(super) async fn lease(tables: &dyn Tables, among: &str, now: Timestamp) -> Result<Option<i64>, AccountError> {
    let sql = concat!(
        "UPDATE telegram_accounts SET last_used = $1, used_today = CASE WHEN ",
        day_is_over!(),
        " THEN 1 ELSE used_today + 1 END, warmup_count = CASE WHEN status = 'warming' AND ",
        day_is_over!(),
        " THEN warmup_count + 1 ELSE warmup_count END, status = CASE WHEN status = 'warming' AND ",
        warming_quota!(),
        " >= daily_limit THEN 'active' ELSE status END, reset_date = CASE WHEN ",
        day_is_over!(),
        " THEN $1 ELSE reset_date END \
         WHERE id = (SELECT id FROM telegram_accounts WHERE status IN ('active', 'warming') \
         AND ($4 = '' OR $4 LIKE '%,' || id || ',%') AND (flood_until IS NULL OR flood_until <= $1) AND CASE WHEN status = 'warming' AND ",
        warming_quota!(),
        " < daily_limit THEN ",
        warming_quota!(),
        " ELSE daily_limit END > CASE WHEN ",
        day_is_over!(),
        " THEN 0 ELSE used_today END ORDER BY last_used NULLS FIRST, id LIMIT 1) RETURNING id"
    );
    let params = vec![now.0.into(), (now.0 - DAY).into(), PACE.into(), among.into()];
    match write(tables, sql, params).await?.first().and_then(|row| row.first()) {
        None => Ok(None),
        Some(Param::Integer(id)) => Ok(Some(*id)),
        other => Err(unexpected("id", &other.cloned())),
    }
}

/// An account that works and does not rest.
pub(super) async fn any_working(tables: &dyn Tables, among: &str, now: Timestamp) -> Result<Option<i64>, AccountError> {
    let sql = "SELECT id FROM telegram_accounts WHERE status IN ('active', 'warming') \
               AND (flood_until IS NULL OR flood_until <= $1) AND ($2 = '' OR $2 LIKE '%,' || id || ',%') \
               ORDER BY last_used NULLS FIRST, id LIMIT 1";
    let rows = read(tables, sql, vec![now.0.into(), among.into()]).await?;
    match rows.first().and_then(|row| row.first()) {
        None => Ok(None),
        Some(Param::Integer(id)) => Ok(Some(*id)),
        other => Err(unexpected("id", &other.cloned())),
    }
}

/// When the first of the accounts that work ends its rest or its day.
pub(super) async fn next_free(
    tables: &dyn Tables,
    among: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, AccountError> {
    let sql = "SELECT MIN(CASE WHEN flood_until IS NOT NULL AND flood_until > $1 THEN flood_until \
               ELSE COALESCE(reset_date, $1) + $2 END) FROM telegram_accounts \
               WHERE status IN ('active', 'warming') AND daily_limit > 0 AND ($3 = '' OR $3 LIKE '%,' || id || ',%')";
    let params = vec![now.0.into(), DAY.into(), among.into()];
    match read(tables, sql, params).await?.first().and_then(|row| row.first()) {
        Some(Param::Integer(at)) => Ok(Some(Timestamp(*at))),
        None | Some(Param::Null) => Ok(None),
        other => Err(unexpected("flood_until", &other.cloned())),
    }
}

/// Whether no other account has the number.
async fn free(tables: &dyn Tables, id: i64, phone: &str) -> Result<(), AccountError> {
    let sql = "SELECT id FROM telegram_accounts WHERE phone = $1 AND id <> $2";
    let others = read(tables, sql, vec![phone.into(), id.into()]).await?;
    if others.is_empty() {
        Ok(())
    } else {
        Err(AccountError::PhoneTaken(phone.to_owned()))
    }
}

pub(super) async fn read(tables: &dyn Tables, sql: &'static str, params: Vec<Param>) -> Result<Vec<Row>, AccountError> {
    Ok(tables.read(Statement { sql, params }).await?)
}

pub(super) async fn write(
    tables: &dyn Tables,
    sql: &'static str,
    params: Vec<Param>,
) -> Result<Vec<Row>, AccountError> {
    let rows = tables.write(vec![Statement { sql, params }]).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

fn account(row: Row) -> Result<(Account, Sealed), AccountError> {
    let mut row = Reader::new("telegram_accounts", row);
    let account = Account {
        id: row.integer("id")?,
        name: row.text("name")?,
        phone: row.optional_text("phone")?,
        telegram_id: row.optional_integer("telegram_id")?,
        api_id: i32::try_from(row.integer("api_id")?).unwrap_or(0),
        comment: row.text("comment")?,
        status: row.word("status", AccountStatus::parse)?,
        problem: row.optional_text("problem")?,
        daily_limit: row.integer("daily_limit")?,
        used_today: row.integer("used_today")?,
        messages_sent: row.integer("messages_sent")?,
        warmup_count: row.integer("warmup_count")?,
        ban_count: row.integer("ban_count")?,
        reset_date: row.optional_integer("reset_date")?.map(Timestamp),
        last_used: row.optional_integer("last_used")?.map(Timestamp),
        flood_until: row.optional_integer("flood_until")?.map(Timestamp),
        proxied: row.integer("proxied")? != 0,
        proxy_id: row.optional_integer("proxy_id")?,
        version: row.integer("version")?,
        created_at: Timestamp(row.integer("created_at")?),
        updated_at: Timestamp(row.integer("updated_at")?),
    };
    let sealed = Sealed {
        key_id: row.text("key_id")?,
        bytes: row.bytes("sealed")?,
    };
    Ok((account, sealed))
}

fn unexpected(column: &str, value: &Option<Param>) -> AccountError {
    let why = format!("telegram_accounts.{column} holds {value:?}, which no version of this provider writes");
    TableError::Refused(why).into()
}
