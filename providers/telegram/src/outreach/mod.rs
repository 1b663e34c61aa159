//! Outreach: bringing an operator's own community into the operator's own channel, with consent and within limits. The
//! capability `potok:telegram/outreach`.
//!
//! Everybody who is contacted is kept with the basis on which that may be done ([`people`]); whoever opts out is never
//! contacted again, whatever list names him. A campaign ([`campaigns`]) has one row for each line of its list ([`list`]) and
//! goes through them one by one ([`next`]), each once ([`act`]). The limits are kept here, not by whoever asks for steps.
//!
//! When Telegram asks for a rest, or says that people have complained, the whole campaign rests or stops: another account
//! never goes on in the place of the one that was stopped.

mod act;
mod calls;
mod campaigns;
mod list;
mod next;
mod people;
mod statistics;
mod tables;

use potok_dsl::{ErrorType, Problem};
use potok_wasm::{Param, Row, Statement, TableError, Tables};

use crate::{TelegramProvider, unrecorded};

pub(crate) use tables::MIGRATION;

impl TelegramProvider {
    /// A campaign by its number.
    async fn campaign(&self, tables: &dyn Tables, id: i64) -> Result<campaigns::Campaign, Problem> {
        let found = campaigns::find(tables, id).await.map_err(|error| unkept(&error))?;
        found.ok_or_else(|| refused(404, "no such campaign", format!("there is no campaign {id}")))
    }
}

/// What a store that does not serve means here.
fn unkept(error: &TableError) -> Problem {
    unrecorded("people and campaigns cannot be read or kept", error)
}

/// What stands against a request.
fn refused(status: u16, title: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ErrorType::Validation, title, detail).with_status(status)
}

async fn read(tables: &dyn Tables, sql: &'static str, params: Vec<Param>) -> Result<Vec<Row>, TableError> {
    tables.read(Statement { sql, params }).await
}

async fn write(tables: &dyn Tables, sql: &'static str, params: Vec<Param>) -> Result<Vec<Row>, TableError> {
    let rows = tables.write(vec![Statement { sql, params }]).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

/// A part of a text as a pattern that `LIKE … ESCAPE '!'` takes; empty for no part.
fn like(part: &str) -> String {
    if part.is_empty() {
        return String::new();
    }
    let escaped = part
        .to_lowercase()
        .replace('!', "!!")
        .replace('%', "!%")
        .replace('_', "!_");
    format!("%{escaped}%")
}
