//! Campaigns over the real protocol, against a sandbox with as many people as are needed: nobody twice, nobody who does not want
//! to be contacted, nobody beyond the quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use potok_dsl::{Problem, Timestamp};
use potok_sandbox::world::{
    Account as Owner, AdminRights, Audience, ChatKind, ChatSeed, DEFAULT_BOT_TOKEN, Membership, User, WorldSeed,
};
use potok_sandbox::{DATA_CENTRES, Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target};
use potok_secrets::{Keeper, KeyPlace};
use potok_telegram::accounts::{AccountsConfig, Centre, NewAccount};
use potok_telegram::{Pacing, TelegramConfig, TelegramProvider};
use potok_testing::{MemoryTables, context, install_tls};
use potok_wasm::{Param, Provider};
use serde_json::{Value, json};

use super::accounts::{KEY, Keys, NOW};

const GROUP: &str = "@community";
const GROUP_ID: i64 = -1_001_000_000_077;
const DAY: i64 = 86_400_000;
const CODE: &str = "12345";

/// A person whose number ends with the id.
fn owner(id: i64) -> Owner {
    let account = json!({ "user": id, "phone": format!("7999{id:07}") });
    serde_json::from_value(account).unwrap()
}

fn phone(id: i64) -> String {
    format!("+7999{id:07}")
}

/// A group with so many administrators, from 100 on, and so many people who are not in it, from 1000 on.
fn world(administrators: i64, people: i64) -> WorldSeed {
    let mut seed = WorldSeed::default();
    let ids = (100..100 + administrators).chain(1_000..1_000 + people);
    for id in ids {
        seed.people.push(User {
            id,
            is_bot: false,
            first_name: format!("Person {id}"),
            username: Some(format!("person_{id}")),
        });
        seed.accounts.push(owner(id));
    }
    let rights = AdminRights {
        can_invite_users: true,
        ..AdminRights::default()
    };
    let members = (100..100 + administrators).map(|id| (id, Membership::Administrator(rights)));
    seed.chats.push(ChatSeed {
        id: GROUP_ID,
        kind: ChatKind::Supergroup,
        title: "Community".to_owned(),
        username: Some("community".to_owned()),
        members: members.collect(),
    });
    seed
}

fn change(seed: &mut WorldSeed, id: i64, change: impl FnOnce(&mut Owner)) {
    change(seed.accounts.iter_mut().find(|account| account.user == id).unwrap());
}

struct Desk {
    sandbox: Arc<RunningSandbox>,
    tables: Arc<MemoryTables>,
    provider: Arc<TelegramProvider>,
}

fn provider(sandbox: &Arc<RunningSandbox>) -> Arc<TelegramProvider> {
    let address = sandbox.mtproto_address();
    let config = TelegramConfig {
        base_url: sandbox.bot_api_url(),
        bots: BTreeMap::from([("default".to_owned(), DEFAULT_BOT_TOKEN.to_owned())]),
        timeout: Duration::from_secs(20),
        pacing: Pacing::OFF,
        accounts: AccountsConfig {
            centres: DATA_CENTRES.map(|id| Centre { id, address }).to_vec(),
            keys: Some(Arc::new(Keys(sandbox.clone()))),
            timeout: Duration::from_secs(20),
            ..AccountsConfig::default()
        },
        keeper: Arc::new(Keeper::new(KeyPlace::text(KEY.to_owned(), "a test"))),
    };
    Arc::new(TelegramProvider::new(config).unwrap())
}

impl Desk {
    async fn new(seed: WorldSeed) -> Self {
        install_tls();
        let settings = SandboxConfig {
            world: seed,
            ..SandboxConfig::default()
        };
        let sandbox = Arc::new(Sandbox::start(settings).await.unwrap());
        let provider = provider(&sandbox);
        let tables = MemoryTables::new(provider.migrations());
        Self {
            sandbox,
            tables,
            provider,
        }
    }

    /// The accounts of so many administrators, signed in; their numbers here.
    async fn sign_in(&self, count: i64, daily_limit: i64) -> Vec<i64> {
        let mut ids = Vec::new();
        for id in 100..100 + count {
            let new = NewAccount {
                name: String::new(),
                phone: Some(phone(id)),
                api_id: 7,
                api_hash: "secret".to_owned(),
                comment: String::new(),
                daily_limit,
                proxy: None,
                proxy_id: None,
            };
            let accounts = self.provider.accounts();
            let id = accounts.add(&*self.tables, new, NOW).await.unwrap().id;
            accounts.request_code(&*self.tables, id, NOW).await.unwrap();
            accounts.sign_in(&*self.tables, id, CODE, NOW).await.unwrap();
            ids.push(id);
        }
        ids
    }

    /// The same store, a process of its own.
    async fn restart(&mut self) {
        self.provider.accounts().disconnect().await;
        self.provider = provider(&self.sandbox);
    }

    async fn call(&self, key: &str, function: &str, request: Value, now: Timestamp) -> Result<Value, Problem> {
        let mut cx = context(self.tables.clone(), key, Duration::from_secs(60));
        cx.now = now;
        self.provider
            .call(&cx, "potok:telegram/outreach", function, json!({ "request": request }))
            .await
    }

    async fn start(&self, request: Value) -> i64 {
        let mut all = json!({ "channel": GROUP, "basis": "asked for it", "pause_seconds": 0, "channel_limit": 2_000 });
        all.as_object_mut()
            .unwrap()
            .extend(request.as_object().unwrap().clone());
        let campaign = self.call("start", "start-campaign", all, NOW).await.unwrap();
        campaign["id"].as_i64().unwrap()
    }

    async fn step(&self, id: i64, key: &str, now: Timestamp) -> Value {
        self.call(key, "invite-next", json!({ "id": id }), now).await.unwrap()
    }

    /// Steps until the campaign does not go on of itself; gives the last step. Time goes by as steps ask for.
    async fn run(&self, id: i64, now: &mut Timestamp) -> Value {
        for number in 0.. {
            assert!(number < 5_000, "the campaign does not end");
            let step = self.step(id, &format!("step/{}/{number}", now.0), *now).await;
            if step["state"] != "running" {
                return step;
            }
            now.0 += 1_000 * after(&step).max(1);
        }
        unreachable!()
    }

    /// What became of each line: status and reason.
    async fn log(&self, id: i64) -> Vec<(String, String)> {
        let request = json!({ "campaign": id, "limit": 1_000 });
        let page = self.call("log", "invites", request, NOW).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = page["invites"].as_array().unwrap().iter();
        rows.map(|row| (text(&row["status"]), text(&row["reason"]))).collect()
    }

    async fn state(&self, id: i64) -> Value {
        self.call("look", "campaign", json!({ "id": id }), NOW).await.unwrap()
    }

    fn script(&self, method: &str, kind: FaultKind) {
        assert!(self.sandbox.inject(Fault {
            target: Target::Mtproto,
            method: Some(method.to_owned()),
            after: 0,
            times: 1,
            kind,
        }));
    }

    fn refuse(&self, method: &str, code: u16, message: &str) {
        let message = message.to_owned();
        self.script(method, FaultKind::Rpc { code, message });
    }

    fn invitations(&self) -> u64 {
        self.sandbox.mtproto_calls("channels.inviteToChannel")
    }

    fn is_member(&self, id: i64) -> bool {
        self.sandbox.members(GROUP).contains(&id)
    }
}

/// How many seconds a step asks to wait.
fn after(step: &Value) -> i64 {
    let text = step["again_after"].as_str().unwrap_or("PT0S");
    text.trim_start_matches("PT").trim_end_matches('S').parse().unwrap()
}

fn csv(ids: impl IntoIterator<Item = i64>) -> String {
    ids.into_iter()
        .fold("phone\n".to_owned(), |csv, id| format!("{csv}{}\n", phone(id)))
}

#[tokio::test]
async fn a_thousand_people_are_brought_in_within_the_quotas_and_nobody_twice() {
    const ACCOUNTS: i64 = 20;
    let mut seed = world(ACCOUNTS, 1_000);
    for id in (1_000..2_000).step_by(100) {
        change(&mut seed, id, |owner| owner.privacy.invites = Audience::Nobody);
    }
    let mut desk = Desk::new(seed).await;
    desk.sign_in(ACCOUNTS, 40).await;
    // Ten opt out: five by the number that the list has, five by another name of theirs.
    for id in 1_501..=1_505 {
        let request = json!({ "person": phone(id), "reason": "said stop" });
        desk.call("out", "opt-out", request, NOW).await.unwrap();
        let request = json!({ "person": format!("@PERSON_{}", id + 5) });
        desk.call("out", "opt-out", request, NOW).await.unwrap();
    }
    let mut list = csv(1_000..2_000);
    list.push_str("+79990001001\nnot a number!\n+79998887766\n");
    let id = desk.start(json!({ "csv": list })).await;

    let (mut now, mut crashes, mut crashed_before) = (NOW, 0, 0);
    for number in 0.. {
        assert!(number < 5_000, "the campaign does not end");
        let key = format!("step/{number}");
        // Now and then the process dies with an invitation on its way: Telegram has heard of it, or has not.
        if number % 100 == 50 {
            let heard = number % 200 == 50;
            let kind = if heard {
                FaultKind::HangBeforeAnswer
            } else {
                FaultKind::Hang
            };
            desk.script("channels.inviteToChannel", kind);
            let before = desk.invitations();
            tokio::select! {
                step = desk.step(id, &key, now) => assert_eq!(step["status"], Value::Null, "{step}"),
                () = async {
                    while desk.invitations() == before {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    // What it has heard it does before it hears anything else.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } => {
                    crashes += 1;
                    crashed_before += u64::from(!heard);
                }
            }
            desk.restart().await;
        }
        let step = desk.step(id, &key, now).await;
        if step["state"] != "running" {
            assert_eq!(step["state"], "done", "{step}");
            break;
        }
        // The same call again does nothing again.
        if number % 97 == 0 && step["line"].is_number() {
            assert_eq!(desk.step(id, &key, now).await["line"], step["line"]);
        }
        now.0 += 1_000 * after(&step).max(1);
    }
    assert!(crashes >= 8, "{crashes} crashes");

    let log = desk.log(id).await;
    let page = json!({ "campaign": id, "limit": 1_000, "offset": 1_000 });
    let rest = desk.call("log", "invites", page, NOW).await.unwrap();
    assert_eq!(
        log.len() + rest["invites"].as_array().unwrap().len(),
        1_003,
        "a row for each line"
    );
    let counts = desk.state(id).await["counts"].clone();
    let expected = json!({ "queued": 0, "invited": 980, "link_sent": 0, "failed": 12, "skipped": 11, "unknown": 0 });
    assert_eq!(counts, expected);
    for (status, reason) in &log {
        assert!(status == "invited" || !reason.is_empty(), "{status} without a reason");
    }

    let members: BTreeSet<_> = desk.sandbox.members(GROUP).into_iter().collect();
    assert!(
        (1_501..=1_510).all(|id| !members.contains(&id)),
        "whoever opted out is not touched"
    );
    assert_eq!(members.len(), 980 + 20);
    // Each was asked for once; again only where Telegram had not heard.
    assert_eq!(desk.invitations(), 980 + 10 + crashed_before);

    let rows = desk.tables.query(
        "SELECT account, updated_at FROM telegram_invites WHERE account IS NOT NULL ORDER BY account, updated_at",
    );
    let mut times: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in rows {
        let [Param::Integer(account), Param::Integer(at)] = row[..] else {
            panic!("{row:?}")
        };
        times.entry(account).or_default().push(at);
    }
    assert_eq!(times.len(), 20);
    for (account, times) in times {
        let (mut begun, mut used) = (i64::MIN / 2, 0);
        for at in times {
            if at - begun >= DAY {
                (begun, used) = (at, 0);
            }
            used += 1;
            assert!(used <= 40, "the account {account} has contacted {used} people in a day");
        }
    }
}

#[tokio::test]
async fn the_channels_own_quota_holds_over_all_campaigns() {
    let desk = Desk::new(world(1, 6)).await;
    desk.sign_in(1, 40).await;
    let first = desk
        .start(json!({ "csv": csv(1_000..1_003), "channel_limit": 4 }))
        .await;
    let mut now = NOW;
    assert_eq!(desk.run(first, &mut now).await["state"], "done");
    let request = json!({
        "channel": GROUP, "basis": "b", "pause_seconds": 0, "channel_limit": 4, "csv": csv(1_002..1_006),
    });
    let second = desk.call("second", "start-campaign", request, now).await.unwrap()["id"]
        .as_i64()
        .unwrap();
    // Who was brought in before is not asked again, and costs nothing.
    let step = desk.step(second, "s1", now).await;
    assert_eq!((&step["line"], &step["status"]), (&json!(2), &json!("skipped")));
    assert_eq!(desk.step(second, "s2", now).await["status"], "invited");
    let step = desk.step(second, "s3", now).await;
    assert_eq!((&step["line"], &step["state"]), (&Value::Null, &json!("running")));
    assert!(after(&step) > 80_000, "{step}");
    now.0 += after(&step) * 1_000;
    assert_eq!(desk.step(second, "s4", now).await["status"], "invited");
}

#[tokio::test]
async fn between_two_people_there_is_a_pause() {
    let desk = Desk::new(world(1, 3)).await;
    desk.sign_in(1, 40).await;
    let id = desk
        .start(json!({ "csv": csv(1_000..1_003), "pause_seconds": 100 }))
        .await;
    let first = desk.step(id, "1", NOW).await;
    assert!((80..=120).contains(&after(&first)), "{first}");
    let early = desk.step(id, "2", Timestamp(NOW.0 + 79_000)).await;
    assert_eq!((&early["line"], desk.invitations()), (&Value::Null, 1));
    let later = Timestamp(NOW.0 + 1_000 * after(&first));
    assert_eq!(desk.step(id, "3", later).await["status"], "invited");
}

#[tokio::test]
async fn a_flood_rests_the_whole_campaign_and_a_report_stops_it() {
    let desk = Desk::new(world(3, 5)).await;
    let accounts = desk.sign_in(3, 40).await;
    let id = desk.start(json!({ "csv": csv(1_000..1_005) })).await;
    desk.refuse("channels.inviteToChannel", 420, "FLOOD_WAIT_37");
    let step = desk.step(id, "1", NOW).await;
    assert_eq!((&step["status"], after(&step)), (&json!("queued"), 37), "{step}");
    assert!(step["reason"].as_str().unwrap().contains("37"));
    // No other account goes on in its place.
    let early = desk.step(id, "2", Timestamp(NOW.0 + 36_999)).await;
    assert_eq!((&early["line"], desk.invitations()), (&Value::Null, 1));
    let mut now = Timestamp(NOW.0 + 37_000);
    assert_eq!(desk.step(id, "3", now).await["status"], "invited");

    desk.refuse("channels.inviteToChannel", 400, "PEER_FLOOD");
    let stopped = desk.step(id, "4", now).await;
    assert_eq!(
        (&stopped["state"], &stopped["status"]),
        (&json!("paused"), &json!("queued"))
    );
    assert!(
        stopped["reason"].as_str().unwrap().contains("reported for spam"),
        "{stopped}"
    );
    now.0 += 10 * DAY;
    assert_eq!(desk.step(id, "5", now).await["line"], Value::Null);
    assert_eq!(desk.invitations(), 3);
    let mut disabled = 0;
    for account in accounts {
        let account = desk.provider.accounts().get(&*desk.tables, account).await.unwrap();
        disabled += i32::from(account.status.name() == "disabled");
    }
    assert_eq!(disabled, 1);

    // The operator has looked into it and lets it go on.
    desk.call("resume", "resume-campaign", json!({ "id": id }), now)
        .await
        .unwrap();
    assert_eq!(desk.run(id, &mut now).await["state"], "done");
    assert_eq!(desk.state(id).await["counts"]["invited"], 5);
}

#[tokio::test]
async fn who_may_not_be_added_gets_a_personal_link_once() {
    let mut seed = world(1, 3);
    for id in 1_000..1_003 {
        change(&mut seed, id, |owner| owner.privacy.invites = Audience::Nobody);
    }
    change(&mut seed, 1_001, |owner| owner.privacy.messages = Audience::Nobody);
    let mut desk = Desk::new(seed).await;
    desk.sign_in(1, 40).await;
    let list = "name,phone\nAnna {{link}},+79990001000\n,+79990001001\nVera,+79990001002\n";
    let id = desk
        .start(json!({ "csv": list, "link_message": "{{name}}, join {{ channel }}: {{link}} {{x}}" }))
        .await;
    // The process ends when the message was sent, and before it knows.
    desk.script("messages.sendMessage", FaultKind::HangBeforeAnswer);
    tokio::select! {
        step = desk.step(id, "1", NOW) => panic!("{step}"),
        () = async {
            while desk.sandbox.private_messages(1_000).is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => {}
    }
    desk.restart().await;
    assert_eq!(desk.step(id, "1", NOW).await["status"], "link_sent");
    let mut now = NOW;
    desk.run(id, &mut now).await;
    let log = desk.log(id).await;
    let statuses: Vec<_> = log.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(statuses, ["link_sent", "failed", "link_sent"]);
    assert!(log[1].1.contains("link was not sent"), "{log:?}");
    let sent = desk.sandbox.private_messages(1_000);
    assert_eq!(sent.len(), 1, "once");
    assert!(
        sent[0]
            .text
            .starts_with("Anna {{link}}, join @community: https://t.me/+")
            && sent[0].text.ends_with(" {{x}}"),
        "{}",
        sent[0].text
    );
    assert!(desk.sandbox.private_messages(1_002)[0].text.starts_with("Vera, join"));
}

#[tokio::test]
async fn people_are_added_and_written_to() {
    let mut seed = world(1, 3);
    change(&mut seed, 1_001, |owner| owner.privacy.messages = Audience::Nobody);
    let desk = Desk::new(seed).await;
    desk.sign_in(1, 40).await;
    let people = json!([{ "username": "@Person_1000" }, { "phone": phone(1_001) }, { "username": "nobody_here" }, { "telegram_id": 1_002 }]);
    let id = desk
        .start(json!({ "people": people, "mode": "invite_and_message", "message": "Welcome, {{name}}!" }))
        .await;
    desk.run(id, &mut { NOW }).await;
    let log = desk.log(id).await;
    let statuses: Vec<_> = log.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(statuses, ["invited", "invited", "failed", "failed"], "{log:?}");
    assert!(log[1].1.contains("message was not sent"), "{log:?}");
    assert!(
        log[2].1.contains("nobody") && log[3].1.contains("number at Telegram"),
        "{log:?}"
    );
    assert!(desk.is_member(1_000) && desk.is_member(1_001));
    assert_eq!(desk.sandbox.private_messages(1_000)[0].text, "Welcome, Person 1000!");
}

#[tokio::test]
async fn a_bot_writes_to_those_who_have_written_to_it() {
    let desk = Desk::new(world(0, 3)).await;
    assert!(desk.sandbox.write_private(1_000, 1_000_001, "/start").await);
    let list = "id,name\n1000,Anna\n1001,Boris\n";
    let id = desk
        .start(json!({ "csv": list, "mode": "only_message_bot", "message": "Hello, {{name}}" }))
        .await;
    assert_eq!(desk.run(id, &mut { NOW }).await["state"], "done");
    let log = desk.log(id).await;
    assert_eq!(log[0].0, "link_sent", "{log:?}");
    assert!(log[1].0 == "failed" && log[1].1.contains("initiate"), "{log:?}");
    let heard = desk.sandbox.private_messages(1_000);
    assert_eq!(heard.last().unwrap().text, "Hello, Anna");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_settled_by_looking() {
    let desk = Desk::new(world(2, 3)).await;
    desk.sign_in(2, 40).await;
    let id = desk.start(json!({ "csv": csv(1_000..1_003) })).await;
    for number in 0..3 {
        if number < 2 {
            let kind = [FaultKind::CloseBeforeAnswer, FaultKind::CloseBeforeProcessing][number].clone();
            desk.script("channels.inviteToChannel", kind);
        }
        let now = Timestamp(NOW.0 + i64::try_from(number).unwrap() * 1_000_000);
        let step = desk.step(id, &format!("s{number}"), now).await;
        assert_eq!(step["status"], ["unknown", "unknown", "invited"][number], "{step}");
    }
    let mut now = Timestamp(NOW.0 + 4_000_000);
    assert_eq!(desk.run(id, &mut now).await["state"], "done");
    assert_eq!(desk.state(id).await["counts"]["invited"], 3);
    assert_eq!(
        desk.invitations(),
        4,
        "only the one that Telegram had not heard was made again"
    );
    let rows = desk
        .tables
        .query("SELECT retry_count FROM telegram_invites ORDER BY line");
    assert_eq!(rows, [[Param::Integer(1)], [Param::Integer(1)], [Param::Integer(0)]]);
}

#[tokio::test]
async fn what_stands_against_a_person_is_told_and_the_rest_goes_on() {
    let desk = Desk::new(world(1, 6)).await;
    desk.sign_in(1, 40).await;
    let id = desk.start(json!({ "csv": csv(1_000..1_006) })).await;
    let mut now = NOW;
    for (code, error, status, words) in [
        (400, "USER_CHANNELS_TOO_MUCH", "failed", "too many channels"),
        (400, "USER_KICKED", "failed", "removed from the channel"),
        (403, "USER_NOT_MUTUAL_CONTACT", "failed", "has left before"),
        (400, "USER_ALREADY_PARTICIPANT", "skipped", "already"),
        (400, "INPUT_USER_DEACTIVATED", "failed", "deleted"),
        (400, "SOMETHING_NEW", "failed", "SOMETHING_NEW"),
    ] {
        desk.refuse("channels.inviteToChannel", code, error);
        let step = desk.step(id, error, now).await;
        assert_eq!(step["status"], status, "{error}: {step}");
        now.0 += 1_000;
        let line = usize::try_from(step["line"].as_i64().unwrap()).unwrap();
        let (_, reason) = desk.log(id).await[line - 2].clone();
        assert!(reason.contains(words), "{error}: {reason}");
    }
    assert_eq!(desk.run(id, &mut now).await["state"], "done");
}

#[tokio::test]
async fn accounts_that_cannot_act_are_passed_over_and_a_channel_that_is_not_ones_own_stops_all() {
    let desk = Desk::new(world(2, 4)).await;
    let accounts = desk.sign_in(2, 40).await;
    let id = desk.start(json!({ "csv": csv(1_000..1_004) })).await;
    // One account loses its session: the other goes on.
    desk.sandbox.revoke_sessions(&phone(100)).await.unwrap();
    let mut now = NOW;
    let step = desk.step(id, "1", now).await;
    assert_eq!(
        (&step["state"], &step["status"]),
        (&json!("running"), &json!("queued")),
        "{step}"
    );
    now.0 += 1_000;
    assert_eq!(desk.step(id, "2", now).await["status"], "invited");
    // The other loses its rights.
    assert!(desk.sandbox.set_member(GROUP, 101, Membership::Member).await);
    let step = desk.step(id, "3", now).await;
    assert_eq!(step["state"], "paused");
    assert!(step["reason"].as_str().unwrap().contains("no administrator"), "{step}");
    // None that may act is left.
    desk.call("resume", "resume-campaign", json!({ "id": id }), now)
        .await
        .unwrap();
    let change = potok_telegram::accounts::AccountChange {
        status: Some(potok_telegram::accounts::AccountStatus::Disabled),
        ..Default::default()
    };
    desk.provider
        .accounts()
        .change(&*desk.tables, accounts[1], change, now)
        .await
        .unwrap();
    let step = desk.step(id, "4", now).await;
    assert_eq!(step["state"], "paused");
    assert!(step["reason"].as_str().unwrap().contains("no account works"), "{step}");
    assert_eq!(desk.state(id).await["counts"]["queued"], 3);
}

#[tokio::test]
async fn only_the_accounts_that_are_named_act() {
    let desk = Desk::new(world(3, 4)).await;
    let accounts = desk.sign_in(3, 40).await;
    let id = desk
        .start(json!({ "csv": csv(1_000..1_004), "accounts": [accounts[2]] }))
        .await;
    desk.run(id, &mut { NOW }).await;
    let rows = desk.tables.query("SELECT DISTINCT account FROM telegram_invites");
    assert_eq!(rows, [[Param::Integer(accounts[2])]]);
}

#[tokio::test]
async fn a_campaign_without_a_basis_or_a_list_is_none() {
    let desk = Desk::new(world(0, 0)).await;
    let good = json!({ "channel": GROUP, "basis": "asked", "csv": "+79990001000\n" });
    for (change, words) in [
        (json!({ "basis": " " }), "basis"),
        (json!({ "channel": "-1001000000077" }), "@name"),
        (json!({ "csv": null }), "either people or csv"),
        (json!({ "csv": "phone\n" }), "nobody"),
        (json!({ "mode": "spam" }), "no mode"),
        (json!({ "mode": "invite_and_message" }), "needs a message"),
        (json!({ "link_message": "come" }), "{{link}}"),
        (json!({ "channel_limit": 2_001 }), "channel_limit"),
        (json!({ "pause_seconds": -1 }), "pause_seconds"),
    ] {
        let mut request = good.clone();
        request
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let problem = desk.call("k", "start-campaign", request, NOW).await.unwrap_err();
        assert!(problem.detail.as_ref().unwrap().contains(words), "{words}: {problem:?}");
    }
    let problem = desk.call("k", "campaign", json!({ "id": 9 }), NOW).await.unwrap_err();
    assert_eq!(problem.status, 404);
    assert!(desk.tables.query("SELECT 1 FROM telegram_campaigns").is_empty());
}

#[tokio::test]
async fn a_campaign_that_was_half_written_is_completed_by_the_same_call() {
    let desk = Desk::new(world(0, 0)).await;
    let request = json!({ "channel": GROUP, "basis": "asked", "csv": csv(1_000..1_600) });
    let writes = std::sync::atomic::AtomicUsize::new(0);
    desk.tables.script(
        move |_| match writes.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            3 => potok_testing::Fate::Refused,
            _ => potok_testing::Fate::Done,
        },
    );
    let problem = desk
        .call("k", "start-campaign", request.clone(), NOW)
        .await
        .unwrap_err();
    assert_eq!(problem.status, 503);
    let campaign = desk.call("k", "start-campaign", request.clone(), NOW).await.unwrap();
    assert_eq!(
        (&campaign["state"], &campaign["counts"]["queued"]),
        (&json!("running"), &json!(600))
    );
    let again = desk.call("k", "start-campaign", request, NOW).await.unwrap();
    assert_eq!(again["id"], campaign["id"]);
}

#[tokio::test]
async fn people_are_kept_listed_and_opted_out() {
    let desk = Desk::new(world(0, 0)).await;
    let request = json!({ "basis": "newsletter", "source": "site", "csv": "phone,name\n+79990000001,Anna\n12,\n" });
    let added = desk.call("k", "add-people", request, NOW).await.unwrap();
    assert_eq!((&added["kept"], &added["refused"][0]["line"]), (&json!(1), &json!(3)));
    desk.call(
        "k",
        "opt-out",
        json!({ "person": "79990000001", "reason": "stop" }),
        NOW,
    )
    .await
    .unwrap();
    // A new basis does not undo it.
    let request =
        json!({ "basis": "bought a ticket", "people": [{ "phone": "+7 999 000 00 01" }, { "username": "boris" }] });
    desk.call("k", "add-people", request, NOW).await.unwrap();
    let page = desk
        .call("k", "people", json!({ "opted_out": true }), NOW)
        .await
        .unwrap();
    assert_eq!(page["total"], 1);
    let person = &page["people"][0];
    assert_eq!(
        (
            &person["person"],
            &person["basis"],
            &person["name"],
            &person["opt_out_reason"]
        ),
        (
            &json!("+79990000001"),
            &json!("bought a ticket"),
            &json!("Anna"),
            &json!("stop")
        )
    );
    let page = desk.call("k", "people", json!({ "search": "BOR" }), NOW).await.unwrap();
    assert_eq!(
        (&page["total"], &page["people"][0]["opted_out_at"]),
        (&json!(1), &Value::Null)
    );
    // One who was never kept can opt out too.
    let out = desk
        .call("k", "opt-out", json!({ "person": "@Vera" }), NOW)
        .await
        .unwrap();
    assert_eq!((&out["person"], &out["basis"]), (&json!("@vera"), &Value::Null));
}
