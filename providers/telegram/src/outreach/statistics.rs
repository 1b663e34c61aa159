//! What there is and what has become of it, counted. Nothing here changes a row or asks Telegram.

use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_wasm::{Param, Row, Statement, TableError, Tables};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::store_problem;

/// The most steps of a history.
const STEPS: i64 = 1_000;

/// `history-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    since: String,
    until: String,
    step_minutes: i64,
}

/// `counts`.
pub(crate) async fn counts(tables: &dyn Tables) -> Result<Value, Problem> {
    let counted = async {
        let accounts = by_state(
            tables,
            "SELECT status, COUNT(*) FROM telegram_accounts GROUP BY status ORDER BY status",
        );
        let channels = by_state(
            tables,
            "SELECT state, COUNT(*) FROM telegram_channels GROUP BY state ORDER BY state",
        );
        let posts = by_state(
            tables,
            "SELECT state, COUNT(*) FROM posts GROUP BY state ORDER BY state",
        );
        let campaigns = by_state(
            tables,
            "SELECT state, COUNT(*) FROM telegram_campaigns GROUP BY state ORDER BY state",
        );
        let invites = by_state(
            tables,
            "SELECT status, COUNT(*) FROM telegram_invites GROUP BY status ORDER BY status",
        );
        Ok::<_, TableError>(json!({
            "accounts": accounts.await?,
            "channels": channels.await?,
            "posts": posts.await?,
            "campaigns": campaigns.await?,
            "invites": invites.await?,
            "bots": one(tables, "SELECT COUNT(*) FROM telegram_bots").await?,
            "people": one(tables, "SELECT COUNT(*) FROM telegram_people").await?,
            "opted_out": one(tables, "SELECT COUNT(*) FROM telegram_people WHERE opted_out_at IS NOT NULL").await?,
            "queue_length": one(tables, WAITING_IN_RUNNING).await?,
            "paused": one(tables, WAITING_IN_PAUSED).await?,
            "posting": one(tables, "SELECT COUNT(*) FROM posts WHERE state IN ('intent', 'to_send')").await?,
        }))
    };
    counted.await.map_err(|error| store_problem(&error))
}

const WAITING_IN_RUNNING: &str = "SELECT COUNT(*) FROM telegram_invites i JOIN telegram_campaigns c ON c.id = i.campaign \
     WHERE i.status IN ('queued', 'inviting') AND c.state = 'running'";
const WAITING_IN_PAUSED: &str = "SELECT COUNT(*) FROM telegram_invites i JOIN telegram_campaigns c ON c.id = i.campaign \
     WHERE i.status IN ('queued', 'inviting') AND c.state = 'paused'";

/// What became of people and posts in a step.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    invited: i64,
    link_sent: i64,
    failed: i64,
    skipped: i64,
    posted: i64,
}

/// `history`.
pub(crate) async fn history(tables: &dyn Tables, request: Request) -> Result<Value, Problem> {
    let since = moment("since", &request.since)?;
    let until = moment("until", &request.until)?;
    let length = request.step_minutes.clamp(1, 60 * 24 * 366) * 60_000;
    let span = until.0.saturating_sub(since.0).max(0);
    let steps = span / length + i64::from(span % length > 0);
    if steps > STEPS {
        let detail = format!("{steps} steps are asked for, and {STEPS} can be had: take longer ones");
        return Err(Problem::new(ErrorType::Validation, "too many steps", detail));
    }
    let Ok(many) = usize::try_from(steps) else {
        return Ok(json!([]));
    };
    let counted = happened(tables, since, until, length, many).await;
    let counted = counted.map_err(|error| store_problem(&error))?;
    let shown = counted.iter().zip(0_i64..).map(|(step, number)| {
        json!({
            "at": Timestamp(since.0 + number * length).rfc3339(),
            "invited": step.invited,
            "link_sent": step.link_sent,
            "failed": step.failed,
            "skipped": step.skipped,
            "posted": step.posted,
        })
    });
    Ok(shown.collect())
}

async fn happened(
    tables: &dyn Tables,
    since: Timestamp,
    until: Timestamp,
    length: i64,
    many: usize,
) -> Result<Vec<Step>, TableError> {
    let mut steps = vec![Step::default(); many];
    let params: Vec<Param> = vec![since.0.into(), length.into(), until.0.into()];
    let sql = "SELECT (updated_at - $1) / $2 AS step, status, COUNT(*) FROM telegram_invites \
               WHERE updated_at >= $1 AND updated_at < $3 GROUP BY 1, 2";
    let invites = Statement {
        sql,
        params: params.clone(),
    };
    for row in tables.read(invites).await? {
        let (number, status, count) = triple(row)?;
        let Some(step) = usize::try_from(number).ok().and_then(|number| steps.get_mut(number)) else {
            continue;
        };
        match status.as_str() {
            "invited" => step.invited += count,
            "link_sent" => step.link_sent += count,
            "failed" => step.failed += count,
            "skipped" => step.skipped += count,
            _ => {}
        }
    }
    let sql = "SELECT (published_at - $1) / $2 AS step, state, COUNT(*) FROM posts \
               WHERE published_at >= $1 AND published_at < $3 GROUP BY 1, 2";
    for row in tables.read(Statement { sql, params }).await? {
        let (number, _, count) = triple(row)?;
        if let Some(step) = usize::try_from(number).ok().and_then(|number| steps.get_mut(number)) {
            step.posted += count;
        }
    }
    Ok(steps)
}

async fn by_state(tables: &dyn Tables, sql: &'static str) -> Result<Value, TableError> {
    let params = Vec::new();
    let rows = tables.read(Statement { sql, params }).await?;
    rows.into_iter()
        .map(|row| match row.as_slice() {
            [Param::Text(state), Param::Integer(count)] => Ok(json!({ "state": state, "count": count })),
            other => Err(unexpected(other)),
        })
        .collect()
}

async fn one(tables: &dyn Tables, sql: &'static str) -> Result<i64, TableError> {
    let params = Vec::new();
    let rows = tables.read(Statement { sql, params }).await?;
    match rows.first().map(Row::as_slice) {
        Some([Param::Integer(count)]) => Ok(*count),
        other => Err(unexpected(other.unwrap_or_default())),
    }
}

fn triple(row: Row) -> Result<(i64, String, i64), TableError> {
    match row.as_slice() {
        [Param::Integer(step), Param::Text(state), Param::Integer(count)] => Ok((*step, state.clone(), *count)),
        other => Err(unexpected(other)),
    }
}

fn unexpected(row: &[Param]) -> TableError {
    TableError::Refused(format!("a count is {row:?}"))
}

fn moment(name: &str, text: &str) -> Result<Timestamp, Problem> {
    let moment = Timestamp::parse(text);
    moment.ok_or_else(|| {
        let detail = format!("{name}: '{text}' is no RFC 3339 timestamp");
        Problem::new(ErrorType::Validation, "invalid request", detail)
    })
}
