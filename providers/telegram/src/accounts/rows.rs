//! The table `telegram_accounts`: a row for each account. What is secret is one sealed document in it.

use std::fmt;

use potok_dsl::Timestamp;
use potok_wasm::{Migration, Param, Row, Statement, TableError, Tables};
use serde::{Deserialize, Serialize};

use super::error::{AccountError, Noted};
use super::vault::Sealed;

/// The most accounts of one page.
const PAGE: i64 = 1_000;

pub(super) const MIGRATION: Migration = Migration {
    owner: "telegram_accounts",
    version: 1,
    sql: "
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
    ",
};

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It has yet to sign in.
    New,
    /// A code is on its way.
    CodeRequested,
    /// The code was right, the password is due.
    PasswordRequested,
    /// It works.
    Active,
    /// It was turned off, by people or because Telegram says that it was reported for spam.
    Disabled,
    /// Telegram has banned it.
    Blocked,
    /// It works, carefully.
    Warming,
}

impl AccountStatus {
    const ALL: [(Self, &'static str); 7] = [
        (Self::New, "new"),
        (Self::CodeRequested, "code_requested"),
        (Self::PasswordRequested, "password_requested"),
        (Self::Active, "active"),
        (Self::Disabled, "disabled"),
        (Self::Blocked, "blocked"),
        (Self::Warming, "warming"),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, own)| *own == word)
            .map(|(status, _)| *status)
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("unknown", |(_, name)| name)
    }

    /// Whether calls are made in its name.
    #[must_use]
    pub fn works(self) -> bool {
        matches!(self, Self::Active | Self::Warming)
    }

    /// Whether it can begin to sign in.
    pub(super) fn signs_in(self) -> bool {
        matches!(self, Self::New | Self::CodeRequested | Self::PasswordRequested)
    }

    /// What people do to get on.
    pub(super) fn way_out(self) -> &'static str {
        match self {
            Self::New => "request a code, or show its QR code, and sign in",
            Self::CodeRequested => "sign in with the code that Telegram has sent, or request a new one",
            Self::PasswordRequested => "give the password of the second factor",
            Self::Active | Self::Warming => "it is signed in already",
            Self::Disabled => "make it active when that is what you want",
            Self::Blocked => "Telegram has banned it; remove it",
        }
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An account, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Its number here.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Digits with `+`; none before a QR code was scanned.
    pub phone: Option<String>,
    /// Its number at Telegram, once it has signed in.
    pub telegram_id: Option<i64>,
    /// The application that it signs in as.
    pub api_id: i32,
    /// What people say of it.
    pub comment: String,
    /// What it is.
    pub status: AccountStatus,
    /// Why it is so, when that is no good news.
    pub problem: Option<String>,
    /// How many people it may contact a day.
    pub daily_limit: i64,
    /// How many it has contacted since `reset_date`.
    pub used_today: i64,
    /// How many messages it has sent.
    pub messages_sent: i64,
    /// For how many days it was warmed up.
    pub warmup_count: i64,
    /// How often it was banned or reported.
    pub ban_count: i64,
    /// When `used_today` was last set to nothing.
    pub reset_date: Option<Timestamp>,
    /// When it last did something.
    pub last_used: Option<Timestamp>,
    /// Until when it rests, as Telegram has asked.
    pub flood_until: Option<Timestamp>,
    /// Whether it goes through a proxy of its own.
    pub proxied: bool,
    /// The version of its sealed document.
    #[serde(skip)]
    pub(super) version: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An account that is to be added.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// What people call it.
    pub name: String,
    /// In international form; left out when it signs in by QR code.
    #[serde(default)]
    pub phone: Option<String>,
    /// The application's number, from my.telegram.org.
    pub api_id: i32,
    /// The application's secret.
    pub api_hash: String,
    /// What people say of it.
    #[serde(default)]
    pub comment: String,
    /// How many people it may contact a day.
    #[serde(default = "usual_limit")]
    pub daily_limit: i64,
    /// Its one proxy: `socks5://name:password@host:port`.
    #[serde(default)]
    pub proxy: Option<String>,
}

/// Nothing of the secrets.
impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("name", &self.name)
            .field("phone", &self.phone)
            .finish_non_exhaustive()
    }
}

fn usual_limit() -> i64 {
    40
}

/// What people change of an account; what is left out stays.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct AccountChange {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub comment: Option<String>,
    pub daily_limit: Option<i64>,
    /// `active` and `warming` for one that has signed in, or `disabled`.
    pub status: Option<AccountStatus>,
    /// Another proxy, or none.
    #[serde(deserialize_with = "given")]
    pub proxy: Option<Option<String>>,
}

/// Null is a value: no proxy.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which accounts are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Only these.
    pub status: Option<AccountStatus>,
    /// After this id.
    pub after: i64,
    /// At most so many, of at most 1,000.
    pub limit: Option<i64>,
}

/// Who has signed in.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) telegram_id: i64,
    pub(super) phone: Option<String>,
    pub(super) name: Option<String>,
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
    sealed: Sealed,
    now: Timestamp,
) -> Result<Account, AccountError> {
    let phone = new.phone.as_deref().map(number).transpose()?;
    let sql = "INSERT INTO telegram_accounts (id, name, phone, api_id, comment, status, daily_limit, used_today, messages_sent, \
               warmup_count, ban_count, proxied, version, key_id, sealed, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, 'new', $6, 0, 0, 0, 0, $7, 1, $8, $9, $10, $11) \
               ON CONFLICT (phone) DO NOTHING RETURNING id";
    let params = vec![
        id.into(),
        new.name.clone().into(),
        phone.clone().into(),
        i64::from(new.api_id).into(),
        new.comment.clone().into(),
        new.daily_limit.into(),
        i64::from(new.proxy.is_some()).into(),
        sealed.key_id.into(),
        Param::Blob(sealed.bytes),
        now.0.into(),
        now.0.into(),
    ];
    if write(tables, sql, params).await?.is_empty() {
        return Err(AccountError::PhoneTaken(phone.unwrap_or_default()));
    }
    Ok(find(tables, id).await?.0)
}

pub(super) async fn find(tables: &dyn Tables, id: i64) -> Result<(Account, Sealed), AccountError> {
    let sql = "SELECT id, name, phone, telegram_id, api_id, comment, status, problem, daily_limit, used_today, \
                       messages_sent, warmup_count, ban_count, reset_date, last_used, flood_until, proxied, version, \
                       created_at, updated_at, key_id, sealed FROM telegram_accounts WHERE id = $1";
    let rows = read(tables, sql, vec![id.into()]).await?;
    let row = rows.into_iter().next().ok_or(AccountError::NotFound(id))?;
    account(row)
}

pub(super) async fn list(tables: &dyn Tables, filter: &AccountFilter) -> Result<Vec<Account>, AccountError> {
    let sql = "SELECT id, name, phone, telegram_id, api_id, comment, status, problem, daily_limit, used_today, \
                       messages_sent, warmup_count, ban_count, reset_date, last_used, flood_until, proxied, version, \
                       created_at, updated_at, key_id, sealed FROM telegram_accounts \
                       WHERE id > $1 AND ($2 = '' OR status = $3) ORDER BY id LIMIT $4";
    let status = filter.status.map_or("", AccountStatus::name);
    let limit = filter.limit.unwrap_or(PAGE).clamp(0, PAGE);
    let params = vec![filter.after.into(), status.into(), status.into(), limit.into()];
    let rows = read(tables, sql, params).await?;
    rows.into_iter().map(|row| account(row).map(|found| found.0)).collect()
}

/// Changes what people may change.
pub(super) async fn change(
    tables: &dyn Tables,
    account: &Account,
    signed_in: bool,
    change: &AccountChange,
    now: Timestamp,
) -> Result<(), AccountError> {
    let (id, status) = (account.id, change.status.unwrap_or(account.status));
    let turned = status != account.status;
    if turned && !(status == AccountStatus::Disabled || status.works() && signed_in) {
        return Err(AccountError::NotDue {
            id,
            status: account.status,
        });
    }
    let phone = change.phone.as_deref().map(number).transpose()?;
    let phone = phone.or_else(|| account.phone.clone());
    if let Some(phone) = &phone {
        free(tables, id, phone).await?;
    }
    let proxied = change.proxy.as_ref().map_or(account.proxied, Option::is_some);
    let problem = account.problem.clone().filter(|_| !turned);
    let sql = "UPDATE telegram_accounts SET name = $1, phone = $2, comment = $3, daily_limit = $4, status = $5, problem = $6, \
               proxied = $7, updated_at = $8 WHERE id = $9";
    let params = vec![
        change.name.clone().unwrap_or_else(|| account.name.clone()).into(),
        phone.into(),
        change.comment.clone().unwrap_or_else(|| account.comment.clone()).into(),
        change.daily_limit.unwrap_or(account.daily_limit).into(),
        status.name().into(),
        problem.into(),
        i64::from(proxied).into(),
        now.0.into(),
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
    let phone = person.phone.as_deref().map(number).transpose()?;
    let phone = phone.or_else(|| account.phone.clone());
    if let Some(phone) = &phone {
        free(tables, account.id, phone).await?;
    }
    let name = Some(account.name.clone()).filter(|name| !name.is_empty());
    let name = name.or_else(|| person.name.clone()).unwrap_or_default();
    let sql = "UPDATE telegram_accounts SET status = 'active', problem = NULL, phone = $1, telegram_id = $2, name = $3, \
               updated_at = $4 WHERE id = $5";
    let params = vec![
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
            "UPDATE telegram_accounts SET status = $1, problem = $2, updated_at = $3, ban_count = ban_count + 1 WHERE id = $4",
            AccountStatus::Disabled.name().into(),
        ),
        Noted::Banned => (
            "UPDATE telegram_accounts SET status = $1, problem = $2, updated_at = $3, ban_count = ban_count + 1 WHERE id = $4",
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

/// A phone number as it is kept: `+` and 7 to 15 digits.
fn number(text: &str) -> Result<String, AccountError> {
    let wrong = || AccountError::PhoneInvalid(text.to_owned());
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')');
    if !text.chars().all(allowed) {
        return Err(wrong());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if (7..=15).contains(&digits.len()) {
        Ok(format!("+{digits}"))
    } else {
        Err(wrong())
    }
}

async fn read(tables: &dyn Tables, sql: &'static str, params: Vec<Param>) -> Result<Vec<Row>, AccountError> {
    Ok(tables.read(Statement { sql, params }).await?)
}

async fn write(tables: &dyn Tables, sql: &'static str, params: Vec<Param>) -> Result<Vec<Row>, AccountError> {
    let rows = tables.write(vec![Statement { sql, params }]).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

fn account(row: Row) -> Result<(Account, Sealed), AccountError> {
    let mut row = Reader(row.into_iter());
    let account = Account {
        id: row.integer("id")?,
        name: row.text("name")?,
        phone: row.optional_text("phone")?,
        telegram_id: row.optional_integer("telegram_id")?,
        api_id: i32::try_from(row.integer("api_id")?).unwrap_or(0),
        comment: row.text("comment")?,
        status: {
            let word = row.text("status")?;
            AccountStatus::parse(&word).ok_or_else(|| unexpected("status", &Some(Param::Text(word))))?
        },
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

/// The columns of a row, one after the other.
struct Reader(std::vec::IntoIter<Param>);

impl Reader {
    fn optional_text(&mut self, column: &str) -> Result<Option<String>, AccountError> {
        match self.0.next() {
            Some(Param::Text(text)) => Ok(Some(text)),
            Some(Param::Null) => Ok(None),
            other => Err(unexpected(column, &other)),
        }
    }

    fn text(&mut self, column: &str) -> Result<String, AccountError> {
        self.optional_text(column)?.ok_or_else(|| unexpected(column, &None))
    }

    fn optional_integer(&mut self, column: &str) -> Result<Option<i64>, AccountError> {
        match self.0.next() {
            Some(Param::Integer(integer)) => Ok(Some(integer)),
            Some(Param::Null) => Ok(None),
            other => Err(unexpected(column, &other)),
        }
    }

    fn integer(&mut self, column: &str) -> Result<i64, AccountError> {
        self.optional_integer(column)?.ok_or_else(|| unexpected(column, &None))
    }

    fn bytes(&mut self, column: &str) -> Result<Vec<u8>, AccountError> {
        match self.0.next() {
            Some(Param::Blob(bytes)) => Ok(bytes),
            other => Err(unexpected(column, &other)),
        }
    }
}

fn unexpected(column: &str, value: &Option<Param>) -> AccountError {
    let why = format!("telegram_accounts.{column} holds {value:?}, which no version of this provider writes");
    TableError::Refused(why).into()
}
