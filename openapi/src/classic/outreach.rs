//! People and campaigns: inviting one or many, what became of each, opting out, and phone numbers that other systems send.

use poem_openapi::{
    Enum, Multipart, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::{Binary, ToJSON},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Desk, Room, given, page,
    tasks::task,
    text, unusable,
    words::{Task, Text, Word, read},
};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, CROWDED, Failure, MALFORMED, MISSING, TYPED, UNUSABLE, refusal},
    params::IdempotencyKey,
    payload,
    time::Time,
};

/// What an operation that contacts people may answer.
const CONTACTING: u16 = MALFORMED | CHANGES | UNUSABLE | BODY | TYPED;

/// The workflow that all of them start.
const INVITE: &str = "bulk-invite";

/// What is done with people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Mode {
    /// They are added.
    Invite,
    /// They are added, and written to.
    InviteAndMessage,
    /// The channel's bot writes to those who have written to it; nobody is added.
    OnlyMessageBot,
}

/// What became of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum InviteStatus {
    /// Not yet their turn.
    Queued,
    /// Being worked on.
    Inviting,
    /// In the channel.
    Invited,
    /// May not be added; the personal link was sent, or the bot's message.
    LinkSent,
    /// Could not be reached, for the reason that is told.
    Failed,
    /// Was not to be contacted, for the reason that is told.
    Skipped,
    /// It is not known what became of it; it is being looked for.
    Unknown,
}

/// One person to bring into a channel.
#[derive(Debug, Object)]
pub(super) struct One {
    /// The channel or group, `@name`. The accounts have to be administrators there.
    channel: Text,
    /// On what basis the person may be contacted, in the operator's words.
    #[oai(validator(min_length = "1", max_length = "1000"))]
    basis: Text,
    /// In international form.
    phone: Option<Text>,
    /// With or without `@`. Either this or the number is needed.
    username: Option<Text>,
    /// What the person is called.
    name: Option<Text>,
    /// Where the person comes from.
    source: Option<Text>,
    mode: Option<Mode>,
    /// What is written to the person, with `{{channel}}` and `{{name}}`.
    message: Option<Text>,
    /// What one gets who may not be added, with `{{link}}`.
    link_message: Option<Text>,
    /// The account that acts; any that works without one.
    account_id: Option<i64>,
}

/// A list of people to bring into a channel.
#[derive(Debug, Multipart)]
pub(super) struct Many {
    /// A CSV file in UTF-8: with a header of `phone`, `username`, `id`, `name`, or with a person in the first column.
    file: Binary<Vec<u8>>,
    /// The channel or group, `@name`. The accounts have to be administrators there.
    channel: String,
    /// On what basis these people may be contacted, in the operator's words.
    #[oai(validator(min_length = "1", max_length = "1000"))]
    basis: String,
    /// Where they come from.
    source: Option<String>,
    mode: Option<Mode>,
    /// What is written to them, with `{{channel}}` and `{{name}}`.
    message: Option<String>,
    /// What those get who may not be added, with `{{link}}`.
    link_message: Option<String>,
    /// How many people the channel is brought a day; 200 without one.
    #[oai(validator(minimum(value = "1"), maximum(value = "2000")))]
    channel_limit: Option<i64>,
    /// The pause between two people in seconds, more or less by up to a fifth; 60 without one.
    #[oai(validator(minimum(value = "0"), maximum(value = "3600")))]
    pause_seconds: Option<i64>,
}

/// Somebody who does not want to be contacted.
#[derive(Debug, Object)]
pub(super) struct OptOut {
    /// A phone number, a `@name`, or `id:` and Telegram's number.
    #[oai(validator(min_length = "1", max_length = "200"))]
    person: Text,
    #[oai(validator(max_length = "1000"))]
    reason: Option<Text>,
}

/// A phone number from another system.
#[derive(Debug, Object)]
pub(super) struct Incoming {
    /// In international form.
    #[oai(validator(min_length = "1", max_length = "40"))]
    phone: Text,
    /// On what basis the person may be contacted.
    #[oai(validator(min_length = "1", max_length = "1000"))]
    basis: Text,
    name: Option<Text>,
    source: Option<Text>,
    /// The channel or group that the person is brought into at once; the person is only kept without one.
    channel: Option<Text>,
}

/// A person who is kept.
#[derive(Debug, Object)]
pub(super) struct Person {
    /// `+79990001122`, `@name` or `id:123`.
    person: String,
    telegram_id: Option<i64>,
    name: Option<String>,
    /// None for one who opted out before anybody stated one.
    basis: Option<String>,
    source: Option<String>,
    opted_out_at: Option<String>,
    opt_out_reason: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A person.
#[derive(Debug, Object)]
pub(super) struct OnePerson {
    /// `ok`.
    status: Word,
    data: Person,
}

/// What became of a number that came in.
#[derive(Debug, Object)]
pub(super) struct Taken {
    /// Whether the person is kept.
    kept: bool,
    /// The task that brings the person in, if a channel was named.
    task_id: Option<Uuid>,
}

/// A number that came in.
#[derive(Debug, Object)]
pub(super) struct IsTaken {
    /// `ok`.
    status: Word,
    data: Taken,
}

/// A line of a list, and what became of it.
#[derive(Debug, Object)]
pub(super) struct Row {
    /// The task that began it.
    task_id: Option<String>,
    campaign_id: i64,
    channel: String,
    line: i64,
    person: String,
    name: Option<String>,
    status: InviteStatus,
    reason: Option<String>,
    account_id: Option<i64>,
    retry_count: i64,
    last_retry: Option<String>,
    link: Option<String>,
    updated_at: String,
}

/// A page of lines.
#[derive(Debug, Object)]
pub(super) struct Log {
    /// `ok`.
    status: Word,
    data: Vec<Row>,
    /// How many there are on all pages.
    total: i64,
}

#[derive(Clone)]
pub(super) struct Outreach(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Outreach {
    /// Invite a person.
    ///
    /// Once, within the quotas of the day. Whoever has opted out is skipped. The task's result is `{campaign, channel, state, reason, counts}`;
    /// `GET /api/invite_log?task_id=` says why.
    #[oai(path = "/api/invite", method = "post", operation_id = "invite")]
    async fn invite(
        &self,
        /// The same key again invites nobody and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        one: payload::Json<One>,
    ) -> Result<Json<Task>, Failure<CONTACTING>> {
        let one = one.0;
        if one.phone.is_none() && one.username.is_none() {
            return Err(Failure(refusal(
                422,
                "Nobody is named",
                "give a phone number or a username",
            )));
        }
        let person = given([
            ("phone", text(one.phone)),
            ("username", text(one.username)),
            ("name", text(one.name)),
        ]);
        let mut input = given([
            ("channel", Value::String(one.channel.0)),
            ("basis", Value::String(one.basis.0)),
            ("source", text(one.source)),
            ("mode", one.mode.to_json().unwrap_or_default()),
            ("message", text(one.message)),
            ("link_message", text(one.link_message)),
        ]);
        input["people"] = json!([person]);
        if let Some(account) = one.account_id {
            input["accounts"] = json!([account]);
        }
        self.begin(input, key.0).await
    }

    /// Invite the people of a list.
    ///
    /// One after the other, each once, within the quotas of the day and with a pause between two. The task is done when every line was dealt with, or
    /// when the campaign was stopped; its result is `{campaign, channel, state, reason, counts}`.
    #[oai(path = "/api/bulk_invite", method = "post", operation_id = "bulkInvite")]
    async fn bulk(
        &self,
        /// The same key again invites nobody and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        many: payload::Form<Many>,
    ) -> Result<Json<Task>, Failure<CONTACTING>> {
        let many = many.0;
        let Ok(csv) = String::from_utf8(many.file.0) else {
            let detail = "the file is not UTF-8 text: save it as 'CSV UTF-8'";
            return Err(Failure(refusal(422, "The list cannot be read", detail)));
        };
        let input = given([
            ("csv", Value::String(csv)),
            ("channel", Value::String(many.channel)),
            ("basis", Value::String(many.basis)),
            ("source", json!(many.source)),
            ("mode", many.mode.to_json().unwrap_or_default()),
            ("message", json!(many.message)),
            ("link_message", json!(many.link_message)),
            ("channel_limit", json!(many.channel_limit)),
            ("pause_seconds", json!(many.pause_seconds)),
        ]);
        self.begin(input, key.0).await
    }

    /// List who was invited.
    ///
    /// A row for each line of each list, with what became of it and why.
    #[oai(path = "/api/invite_log", method = "get", operation_id = "listInvites")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn log(
        &self,
        /// Those of this task.
        task_id: Query<Option<Uuid>>,
        /// Those of this campaign.
        #[oai(validator(minimum(value = "1")))]
        campaign_id: Query<Option<i64>>,
        /// Those of which this became.
        status: Query<Option<InviteStatus>>,
        /// Those whose number or name has this in it.
        #[oai(validator(max_length = "200"))]
        search: Query<Option<String>>,
        /// Those that changed then or later.
        date_from: Query<Option<Time>>,
        /// Those that changed then or sooner.
        date_to: Query<Option<Time>>,
        /// At most so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000")), default = "page")]
        limit: Query<i64>,
        /// After so many.
        #[oai(validator(minimum(value = "0")), default)]
        offset: Query<i64>,
    ) -> Result<Json<Log>, Failure<MALFORMED>> {
        let request = json!({
            "run": task_id.0,
            "campaign": campaign_id.0,
            "status": status.0.to_json(),
            "search": search.0,
            "since": date_from.0.map(|at| at.0.rfc3339()),
            "until": date_to.0.map(|at| at.0.rfc3339()),
            "limit": limit.0,
            "offset": offset.0,
        });
        let mut page = self.0.look("telegram.invites", request).await?;
        for row in page["invites"].as_array_mut().into_iter().flatten() {
            row["task_id"] = row["run"].take();
            row["campaign_id"] = row["campaign"].take();
            row["account_id"] = row["account"].take();
        }
        Ok(Json(Log {
            status: Word::Ok,
            data: read(page["invites"].take())?,
            total: read(page["total"].take())?,
        }))
    }

    /// Stop a campaign.
    #[oai(path = "/api/campaigns/:id/pause", method = "post", operation_id = "pauseCampaign")]
    async fn pause(&self, id: Path<i64>) -> Result<Json<IsTurned>, Failure<{ TURNING }>> {
        let campaign = self.step("telegram.pause-campaign", json!({ "id": id.0 })).await?;
        turned(campaign)
    }

    /// Let a campaign go on.
    ///
    /// One that was stopped, by people or because of what Telegram said. A task goes on with it.
    #[oai(path = "/api/campaigns/:id/resume", method = "post", operation_id = "resumeCampaign")]
    async fn resume(&self, id: Path<i64>) -> Result<Json<Task>, Failure<{ TURNING }>> {
        self.step::<TURNING>("telegram.resume-campaign", json!({ "id": id.0 }))
            .await?;
        let run = self.0.start(INVITE, json!({ "campaign": id.0 }), None).await?;
        Ok(Json(task(&self.0, run).await?))
    }

    /// Never contact a person again.
    ///
    /// Whatever list names the person from now on, by the number or by the name.
    #[oai(path = "/api/opt_out", method = "post", operation_id = "optOut")]
    async fn opt_out(&self, out: payload::Json<OptOut>) -> Result<Json<OnePerson>, Failure<CONTACTING>> {
        let request = json!({ "person": out.0.person.0, "reason": text(out.0.reason) });
        Ok(Json(OnePerson {
            status: Word::Ok,
            data: read(self.step("telegram.opt-out", request).await?)?,
        }))
    }

    /// Take a phone number in.
    ///
    /// For systems that can ask for an address only. The person is kept and may be invited later; nobody is contacted.
    #[oai(path = "/webhook", method = "get", operation_id = "takePhone")]
    async fn take(
        &self,
        /// In international form.
        #[oai(validator(min_length = "1", max_length = "40"))]
        phone: Query<String>,
        /// On what basis the person may be contacted.
        #[oai(validator(min_length = "1", max_length = "1000"))]
        basis: Query<String>,
        #[oai(validator(max_length = "200"))] name: Query<Option<String>>,
        #[oai(validator(max_length = "1000"))] source: Query<Option<String>>,
    ) -> Result<Json<IsTaken>, Failure<{ MALFORMED | UNUSABLE }>> {
        self.keep(json!({ "phone": phone.0, "name": name.0 }), &basis.0, source.0)
            .await?;
        Ok(taken(None))
    }

    /// Take a phone number in, and bring the person into a channel if one is named.
    #[oai(path = "/webhook", method = "post", operation_id = "takePhoneAndInvite")]
    async fn take_and_invite(
        &self,
        /// The same key again invites nobody and answers with the task that it started.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        incoming: payload::Json<Incoming>,
    ) -> Result<Json<IsTaken>, Failure<CONTACTING>> {
        let Incoming {
            phone,
            basis,
            name,
            source,
            channel,
        } = incoming.0;
        let person = json!({ "phone": phone.0, "name": text(name) });
        let source = source.map(|source| source.0);
        let Some(channel) = channel else {
            self.keep::<CONTACTING>(person, &basis.0, source).await?;
            return Ok(taken(None));
        };
        let input = given([
            ("channel", Value::String(channel.0)),
            ("basis", Value::String(basis.0)),
            ("source", json!(source)),
            ("people", json!([person])),
        ]);
        let begun = self.begin(input, key.0).await?;
        Ok(taken(Some(begun.0.task_id)))
    }
}

/// What an operation that turns a campaign may answer.
const TURNING: u16 = MALFORMED | CHANGES | MISSING | CONFLICT | UNUSABLE | CROWDED;

/// A campaign that was turned.
#[derive(Debug, Object)]
pub(super) struct Campaign {
    id: i64,
    channel: String,
    /// `running`, `paused` or `done`.
    state: String,
    reason: Option<String>,
}

/// A campaign.
#[derive(Debug, Object)]
pub(super) struct IsTurned {
    /// `ok`.
    status: Word,
    data: Campaign,
}

impl Outreach {
    async fn begin(&self, input: Value, key: Option<IdempotencyKey>) -> Result<Json<Task>, Failure<CONTACTING>> {
        let run = self.0.start(INVITE, input, key.map(|key| key.0)).await?;
        Ok(Json(task(&self.0, run).await?))
    }

    async fn keep<const KINDS: u16>(
        &self,
        person: Value,
        basis: &str,
        source: Option<String>,
    ) -> Result<(), Failure<KINDS>> {
        let request = json!({ "basis": basis, "source": source, "people": [person] });
        let added = self.step::<KINDS>("telegram.add-people", request).await?;
        match added["refused"][0]["reason"].as_str() {
            Some(why) => Err(Failure(refusal(422, "The number cannot be used", why))),
            None => Ok(()),
        }
    }

    /// A step of one function; what stands against a well-formed request is 422.
    async fn step<const KINDS: u16>(&self, function: &str, request: Value) -> Result<Value, Failure<KINDS>> {
        self.0.step(function, request).await.map_err(unusable)
    }
}

fn taken(task_id: Option<Uuid>) -> Json<IsTaken> {
    Json(IsTaken {
        status: Word::Ok,
        data: Taken { kept: true, task_id },
    })
}

fn turned<const KINDS: u16>(campaign: Value) -> Result<Json<IsTurned>, Failure<KINDS>> {
    Ok(Json(IsTurned {
        status: Word::Ok,
        data: read(campaign)?,
    }))
}
