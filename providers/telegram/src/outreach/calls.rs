//! The functions of outreach: JSON on one side, rows on the other.

use potok_dsl::{Problem, Timestamp};
use potok_wasm::CallContext;
use serde::Deserialize;
use serde_json::{Value, json};

use super::campaigns::{self, Campaign, Counts, Invite, Mode, State, Status};
use super::list::{self, Line, Named};
use super::next::Step;
use super::{people, refused, statistics, unkept};
use crate::channel::Channel;
use crate::{OUTREACH, TelegramProvider, arguments, unknown_function};

/// The most people that a channel is brought in a day, unless told.
const CHANNEL_LIMIT: i64 = 200;
/// The most that it can be told.
const MOST_A_DAY: i64 = 2_000;
/// The pause between two people, in seconds, unless told.
const PAUSE: i64 = 60;
/// The longest text of a message, in UTF-16 units.
const LONGEST: usize = 4_096;
/// The most entries of a page.
const PAGE: i64 = 1_000;

/// `add-people-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddPeople {
    basis: String,
    source: Option<String>,
    people: Option<Vec<Named>>,
    csv: Option<String>,
}

/// `opt-out-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptOut {
    person: String,
    reason: Option<String>,
}

/// `people-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct People {
    search: Option<String>,
    opted_out: Option<bool>,
    limit: Option<i64>,
    offset: Option<i64>,
}

/// `start-campaign-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    channel: String,
    basis: String,
    source: Option<String>,
    people: Option<Vec<Named>>,
    csv: Option<String>,
    mode: Option<String>,
    message: Option<String>,
    link_message: Option<String>,
    accounts: Option<Vec<i64>>,
    channel_limit: Option<i64>,
    pause_seconds: Option<i64>,
}

/// A request that names a campaign.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfCampaign {
    id: i64,
}

/// `campaigns-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Campaigns {
    limit: Option<i64>,
    offset: Option<i64>,
}

/// `invites-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invites {
    campaign: Option<i64>,
    run: Option<String>,
    status: Option<String>,
    search: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<i64>,
    offset: Option<i64>,
}

impl TelegramProvider {
    /// Serves a function of outreach.
    pub(crate) async fn outreach(&self, cx: &CallContext, function: &str, args: Value) -> Result<Value, Problem> {
        match function {
            "counts" => statistics::counts(&*cx.tables).await,
            "history" => statistics::history(&*cx.tables, arguments(args)?).await,
            "add-people" => add_people(cx, arguments(args)?).await,
            "opt-out" => opt_out(cx, arguments(args)?).await,
            "people" => list_people(cx, arguments(args)?).await,
            "start-campaign" => self.start_campaign(cx, arguments(args)?).await,
            "invite-next" => {
                let step = self.step(cx, arguments::<OfCampaign>(args)?.id).await?;
                Ok(stepped(&step, cx.now))
            }
            "campaign" => self.show_campaign(cx, arguments::<OfCampaign>(args)?.id).await,
            "campaigns" => list_campaigns(cx, arguments(args)?).await,
            "pause-campaign" => self.turn(cx, arguments::<OfCampaign>(args)?.id, State::Paused).await,
            "resume-campaign" => self.turn(cx, arguments::<OfCampaign>(args)?.id, State::Running).await,
            "invites" => list_invites(cx, arguments(args)?).await,
            _ => Err(unknown_function(OUTREACH, function)),
        }
    }

    async fn start_campaign(&self, cx: &CallContext, request: Start) -> Result<Value, Problem> {
        let lines = listed(request.people, request.csv)?;
        let channel = match Channel::parse(request.channel.trim())? {
            Channel::Public(name) => format!("@{name}"),
            Channel::Id(_) => {
                let detail = "people are brought into channels and groups that have a @name: name it by that";
                return Err(refused(400, "invalid channel", detail));
            }
        };
        let mode = match request.mode.as_deref() {
            None => Mode::Invite,
            Some(word) => Mode::parse(word).ok_or_else(|| {
                let detail = format!("'{word}' is no mode: invite, invite_and_message, only_message_bot are");
                refused(400, "invalid mode", detail)
            })?,
        };
        let message = text("message", request.message)?;
        let link_message = text("link_message", request.link_message)?;
        if mode != Mode::Invite && message.is_none() {
            let detail = format!("the mode {} needs a message", mode.name());
            return Err(refused(400, "no message", detail));
        }
        if link_message.as_ref().is_some_and(|text| !text.contains("{{link}}")) {
            let detail = "the link_message has no {{link}} in it, where the personal link is to be";
            return Err(refused(400, "no link", detail));
        }
        let campaign = Campaign {
            id: 0,
            channel,
            mode,
            message,
            link_message,
            basis: stated(&request.basis)?,
            accounts: request.accounts.unwrap_or_default(),
            channel_limit: within("channel_limit", request.channel_limit, CHANNEL_LIMIT, 1..=MOST_A_DAY)?,
            pause_ms: within("pause_seconds", request.pause_seconds, PAUSE, 0..=3_600)? * 1_000,
            state: State::Filling,
            reason: None,
            next_at: cx.now,
            run: cx.run.map(|run| run.0.to_string()),
            created_at: cx.now,
            updated_at: cx.now,
        };
        let (key, source) = (cx.call_key(), request.source.as_deref());
        let started = campaigns::start(&*cx.tables, &campaign, &lines, (&key, source), cx.now);
        let id = started.await.map_err(|error| unkept(&error))?;
        self.show_campaign(cx, id).await
    }

    async fn show_campaign(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let campaign = self.campaign(&*cx.tables, id).await?;
        told(cx, &campaign).await
    }

    /// Stops a campaign, or lets it go on.
    async fn turn(&self, cx: &CallContext, id: i64, state: State) -> Result<Value, Problem> {
        let _alone = self.locks.take(&format!("campaign/{id}")).await;
        let campaign = self.campaign(&*cx.tables, id).await?;
        // One that is done has nothing to stop; going on, it looks at what is unknown once more.
        let turned = match (campaign.state, state) {
            (State::Filling, _) => {
                let detail = format!("the campaign {id} is being written at this moment");
                return Err(refused(409, "not yet", detail));
            }
            (State::Done, State::Paused) => false,
            (now, wanted) => now != wanted,
        };
        if turned {
            let why = (state == State::Paused).then_some("paused by the operator");
            campaigns::set_state(&*cx.tables, id, state, why, cx.now)
                .await
                .map_err(|error| unkept(&error))?;
        }
        self.show_campaign(cx, id).await
    }
}

async fn add_people(cx: &CallContext, request: AddPeople) -> Result<Value, Problem> {
    let basis = stated(&request.basis)?;
    let lines = listed(request.people, request.csv)?;
    let kept = people::keep_all(&*cx.tables, &lines, (&basis, request.source.as_deref()), cx.now).await;
    let kept = kept.map_err(|error| unkept(&error))?;
    let refused: Vec<Value> = lines
        .iter()
        .filter_map(|line| {
            let why = line.wrong.as_ref()?;
            Some(json!({ "line": line.number, "reason": why }))
        })
        .collect();
    Ok(json!({ "kept": kept, "refused": refused }))
}

async fn opt_out(cx: &CallContext, request: OptOut) -> Result<Value, Problem> {
    let person = list::known(&request.person).map_err(|why| refused(400, "invalid person", why))?;
    let kept = people::opt_out(&*cx.tables, &person, request.reason.as_deref(), cx.now).await;
    Ok(json!(kept.map_err(|error| unkept(&error))?))
}

async fn list_people(cx: &CallContext, request: People) -> Result<Value, Problem> {
    let filter = people::Filter {
        search: request.search.unwrap_or_default(),
        opted_out: request.opted_out,
        limit: page(request.limit),
        offset: request.offset.unwrap_or(0).max(0),
    };
    let (people, total) = people::list(&*cx.tables, &filter)
        .await
        .map_err(|error| unkept(&error))?;
    Ok(json!({ "total": total, "people": people }))
}

async fn list_campaigns(cx: &CallContext, request: Campaigns) -> Result<Value, Problem> {
    let limit = request.limit.unwrap_or(100).clamp(0, 100);
    let listed = campaigns::list(&*cx.tables, limit, request.offset.unwrap_or(0).max(0)).await;
    let mut shown = Vec::new();
    for campaign in listed.map_err(|error| unkept(&error))? {
        shown.push(told(cx, &campaign).await?);
    }
    Ok(Value::Array(shown))
}

async fn list_invites(cx: &CallContext, request: Invites) -> Result<Value, Problem> {
    let status = request.status.as_deref().map(|word| {
        Status::parse(word).ok_or_else(|| {
            let words: Vec<_> = Status::ALL.iter().map(|status| status.1).collect();
            let detail = format!("'{word}' is no status of an invitation: {} are", words.join(", "));
            refused(400, "invalid status", detail)
        })
    });
    let filter = campaigns::Filter {
        campaign: request.campaign,
        run: request.run,
        status: status.transpose()?,
        search: request.search.unwrap_or_default(),
        from: request.since.as_deref().map(time).transpose()?,
        to: request.until.as_deref().map(time).transpose()?,
        limit: page(request.limit),
        offset: request.offset.unwrap_or(0).max(0),
    };
    let (rows, total) = campaigns::log(&*cx.tables, &filter)
        .await
        .map_err(|error| unkept(&error))?;
    let rows = rows.iter().map(|(invite, channel, run)| {
        let mut shown = row(invite);
        shown["channel"] = json!(channel);
        shown["run"] = json!(run);
        shown
    });
    Ok(json!({ "total": total, "invites": rows.collect::<Vec<_>>() }))
}

/// Whom a request names.
fn listed(people: Option<Vec<Named>>, csv: Option<String>) -> Result<Vec<Line>, Problem> {
    let lines = match (people, csv) {
        (Some(people), None) => list::of_people(people),
        (None, Some(csv)) => list::of_csv(&csv),
        _ => Err("give either people or csv".to_owned()),
    };
    lines.map_err(|why| refused(400, "invalid list", why))
}

/// The basis on which people may be contacted.
fn stated(basis: &str) -> Result<String, Problem> {
    match basis.trim() {
        "" => {
            let detail = "say on what basis these people may be contacted, such as 'asked for it on our site, 2026-05'";
            Err(refused(400, "no basis", detail))
        }
        basis => Ok(basis.to_owned()),
    }
}

fn text(name: &str, given: Option<String>) -> Result<Option<String>, Problem> {
    let given = given.filter(|text| !text.trim().is_empty());
    if given.as_ref().is_some_and(|text| text.encode_utf16().count() > LONGEST) {
        let detail = format!("the {name} is over {LONGEST} UTF-16 units");
        return Err(refused(400, "message too long", detail));
    }
    Ok(given)
}

fn within(name: &str, given: Option<i64>, usual: i64, allowed: std::ops::RangeInclusive<i64>) -> Result<i64, Problem> {
    let given = given.unwrap_or(usual);
    if allowed.contains(&given) {
        return Ok(given);
    }
    let detail = format!("{given} is no {name}: it is {} to {}", allowed.start(), allowed.end());
    Err(refused(400, "invalid limit", detail))
}

fn page(limit: Option<i64>) -> i64 {
    limit.unwrap_or(100).clamp(0, PAGE)
}

fn time(text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| {
        let detail = format!("'{text}' is no time: write it as 2026-05-31T08:00:00Z");
        refused(400, "invalid time", detail)
    })
}

/// `kept-campaign` of the WIT.
async fn told(cx: &CallContext, campaign: &Campaign) -> Result<Value, Problem> {
    let counts: Counts = campaigns::counts(&*cx.tables, campaign.id)
        .await
        .map_err(|error| unkept(&error))?;
    Ok(json!({
        "id": campaign.id,
        "channel": campaign.channel,
        "mode": campaign.mode,
        "state": campaign.state,
        "reason": campaign.reason,
        "basis": campaign.basis,
        "accounts": campaign.accounts,
        "channel_limit": campaign.channel_limit,
        "pause_seconds": campaign.pause_ms / 1_000,
        "run": campaign.run,
        "counts": counts,
        "created_at": campaign.created_at.rfc3339(),
        "updated_at": campaign.updated_at.rfc3339(),
    }))
}

/// `kept-invite` of the WIT, without what is the campaign's.
fn row(invite: &Invite) -> Value {
    json!({
        "campaign": invite.campaign,
        "line": invite.line,
        "person": invite.person,
        "name": invite.name,
        "status": invite.status,
        "reason": invite.reason,
        "account": invite.account,
        "retry_count": invite.retry_count,
        "last_retry": invite.last_retry.map(Timestamp::rfc3339),
        "link": invite.link,
        "updated_at": invite.updated_at.rfc3339(),
    })
}

/// `campaign-step` of the WIT.
fn stepped(step: &Step, now: Timestamp) -> Value {
    let wait = step.again_at.map(|at| {
        let seconds = at.0.saturating_sub(now.0).max(1).unsigned_abs().div_ceil(1_000);
        format!("PT{seconds}S")
    });
    json!({
        "campaign": step.campaign.id,
        "state": step.campaign.state,
        "reason": step.campaign.reason,
        "line": step.invite.as_ref().map(|invite| invite.line),
        "person": step.invite.as_ref().map(|invite| &invite.person),
        "status": step.invite.as_ref().map(|invite| invite.status),
        "again_after": wait,
    })
}
