//! Who may be contacted: people with the basis on which they may, and those who do not want to be.
//!
//! An opt-out is kept by all that is known of a person, so that one who is in a list by the number and has opted out by the
//! name is found too, once Telegram has said that they are the same.

use potok_dsl::Timestamp;
use potok_wasm::{Param, Statement, TableError, Tables};
use serde::Serialize;

use super::list::{Line, telegram_id};
use super::{read, write};
use crate::accounts::Person;
use crate::reader::Reader;

/// How many rows are written at once.
pub(super) const BATCH: usize = 250;

/// A person as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Kept {
    person: String,
    telegram_id: Option<i64>,
    name: Option<String>,
    basis: Option<String>,
    source: Option<String>,
    opted_out_at: Option<String>,
    opt_out_reason: Option<String>,
    created_at: String,
    updated_at: String,
}

/// Which people are listed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) search: String,
    pub(super) opted_out: Option<bool>,
    pub(super) limit: i64,
    pub(super) offset: i64,
}

/// The statement that keeps a person with the basis; an opt-out stays.
pub(super) fn keep(line: &Line, basis: &str, source: Option<&str>, now: Timestamp) -> Statement {
    let sql = "INSERT INTO telegram_people (person, telegram_id, name, basis, source, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (person) DO UPDATE SET \
               name = COALESCE(excluded.name, telegram_people.name), basis = excluded.basis, source = excluded.source, \
               updated_at = excluded.updated_at";
    let params = vec![
        line.person.as_str().into(),
        telegram_id(&line.person).into(),
        line.name.as_deref().into(),
        basis.into(),
        source.into(),
        now.0.into(),
        now.0.into(),
    ];
    Statement { sql, params }
}

/// Keeps people; gives how many are kept.
pub(super) async fn keep_all(
    tables: &dyn Tables,
    lines: &[Line],
    (basis, source): (&str, Option<&str>),
    now: Timestamp,
) -> Result<usize, TableError> {
    let usable: Vec<_> = lines
        .iter()
        .filter(|line| line.wrong.is_none() && line.same_as.is_none())
        .collect();
    for batch in usable.chunks(BATCH) {
        let statements = batch.iter().map(|line| keep(line, basis, source, now));
        tables.write(statements.collect()).await?;
    }
    Ok(usable.len())
}

/// Never contacts the person again, whether it is known already or not. The first opt-out stays.
pub(super) async fn opt_out(
    tables: &dyn Tables,
    person: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Option<Kept>, TableError> {
    let sql = "INSERT INTO telegram_people (person, telegram_id, opted_out_at, opt_out_reason, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person) DO UPDATE SET \
               opted_out_at = COALESCE(telegram_people.opted_out_at, excluded.opted_out_at), \
               opt_out_reason = COALESCE(telegram_people.opt_out_reason, excluded.opt_out_reason), \
               updated_at = excluded.updated_at";
    let params = vec![
        person.into(),
        telegram_id(person).into(),
        now.0.into(),
        reason.into(),
        now.0.into(),
        now.0.into(),
    ];
    write(tables, sql, params).await?;
    find(tables, person).await
}

/// Why somebody who is known so is not to be contacted.
pub(super) async fn stands_against(tables: &dyn Tables, person: &str) -> Result<Option<String>, TableError> {
    against(tables, [person, person, person], telegram_id(person)).await
}

/// A person's number at Telegram, when an account has seen the person before.
pub(super) async fn telegram_id_of(tables: &dyn Tables, person: &str) -> Result<Option<i64>, TableError> {
    let sql = "SELECT telegram_id FROM telegram_people WHERE person = $1";
    Ok(
        match read(tables, sql, vec![person.into()])
            .await?
            .first()
            .and_then(|row| row.first())
        {
            Some(Param::Integer(id)) => Some(*id),
            _ => None,
        },
    )
}

/// The same, once Telegram has said who it is; what it said is kept.
pub(super) async fn stands_against_found(
    tables: &dyn Tables,
    person: &str,
    found: &Person,
    now: Timestamp,
) -> Result<Option<String>, TableError> {
    let sql = "UPDATE telegram_people SET telegram_id = $1, updated_at = $2 WHERE person = $3 AND telegram_id IS NULL";
    write(tables, sql, vec![found.id.into(), now.0.into(), person.into()]).await?;
    let name = found
        .username
        .as_ref()
        .map(|name| format!("@{}", name.to_ascii_lowercase()));
    let phone = found
        .phone
        .as_ref()
        .map(|phone| format!("+{}", phone.trim_start_matches('+')));
    let known = [
        person,
        name.as_deref().unwrap_or(person),
        phone.as_deref().unwrap_or(person),
    ];
    against(tables, known, Some(found.id)).await
}

async fn against(
    tables: &dyn Tables,
    [first, second, third]: [&str; 3],
    id: Option<i64>,
) -> Result<Option<String>, TableError> {
    let sql = "SELECT opted_out_at FROM telegram_people WHERE opted_out_at IS NOT NULL \
               AND (person IN ($1, $2, $3) OR telegram_id = $4 OR person = $5) LIMIT 1";
    let by_id = id.map(|id| format!("id:{id}")).unwrap_or_default();
    let params = vec![
        first.into(),
        second.into(),
        third.into(),
        id.unwrap_or(0).into(),
        by_id.into(),
    ];
    Ok(
        match read(tables, sql, params).await?.first().and_then(|row| row.first()) {
            Some(Param::Integer(at)) => Some(format!("opted out at {}", Timestamp(*at).rfc3339())),
            _ => None,
        },
    )
}

const COLUMNS: &str = "SELECT person, telegram_id, name, basis, source, opted_out_at, opt_out_reason, created_at, updated_at \
                       FROM telegram_people WHERE person = $1";

async fn find(tables: &dyn Tables, person: &str) -> Result<Option<Kept>, TableError> {
    let rows = read(tables, COLUMNS, vec![person.into()]).await?;
    rows.into_iter().next().map(kept).transpose()
}

/// Those that fit, and how many there are on all pages.
pub(super) async fn list(tables: &dyn Tables, filter: &Filter) -> Result<(Vec<Kept>, i64), TableError> {
    macro_rules! fits {
        () => {
            "FROM telegram_people WHERE ($1 = '' OR LOWER(person || ' ' || COALESCE(name, '') || ' ' || COALESCE(source, '')) \
             LIKE $1 ESCAPE '!') AND ($2 = 0 OR ($2 = 1 AND opted_out_at IS NOT NULL) OR ($2 = 2 AND opted_out_at IS NULL))"
        };
    }
    let which = filter.opted_out.map_or(0, |out| if out { 1 } else { 2 });
    let params = vec![super::like(&filter.search).into(), Param::Integer(which)];
    let total = crate::reader::number(&read(tables, concat!("SELECT COUNT(*) ", fits!()), params.clone()).await?);
    let sql = concat!(
        "SELECT person, telegram_id, name, basis, source, opted_out_at, opt_out_reason, created_at, updated_at ",
        fits!(),
        " ORDER BY person LIMIT $3 OFFSET $4"
    );
    let mut params = params;
    params.extend([filter.limit.into(), filter.offset.into()]);
    let rows = read(tables, sql, params).await?;
    Ok((rows.into_iter().map(kept).collect::<Result<_, _>>()?, total))
}

fn kept(row: potok_wasm::Row) -> Result<Kept, TableError> {
    let mut row = Reader::new("telegram_people", row);
    Ok(Kept {
        person: row.text("person")?,
        telegram_id: row.optional_integer("telegram_id")?,
        name: row.optional_text("name")?,
        basis: row.optional_text("basis")?,
        source: row.optional_text("source")?,
        opted_out_at: row.optional_integer("opted_out_at")?.map(|at| Timestamp(at).rfc3339()),
        opt_out_reason: row.optional_text("opt_out_reason")?,
        created_at: Timestamp(row.integer("created_at")?).rfc3339(),
        updated_at: Timestamp(row.integer("updated_at")?).rfc3339(),
    })
}
