//! Bots, channels, messages and tasks as existing clients ask for them: the server, the provider and the sandbox in one process, with the Bot
//! API between the two.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use potok_journal::{ProviderMigration, SqliteStore, Store};
use potok_node::{KeyPlace, NodeConfig};
use potok_openapi::shipped;
use potok_sandbox::{
    DATA_CENTRES, Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target,
    world::{AdminRights, DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL, ELSEWHERE_CHANNEL, Membership},
};
use potok_secrets::Keeper;
use potok_telegram::{
    Pacing, TelegramConfig, TelegramProvider,
    accounts::{AccountsConfig, AuthKeys, Centre},
};
use potok_wasm::{Grants, Provider};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Answer, KEY, Rig, answer, host};

const BOT: i64 = 1_000_001;
const CHANNEL: i64 = -1_001_000_000_001;
const PRIVATE: i64 = -1_001_000_000_004;

/// Nothing here takes longer, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where accounts sign in: the sandbox's data centre, whose keys are its own.
fn accounts(sandbox: &RunningSandbox) -> AccountsConfig {
    let address = sandbox.mtproto_address();
    AccountsConfig {
        centres: DATA_CENTRES.map(|id| Centre { id, address }).to_vec(),
        keys: Some(Arc::new(Keys(sandbox.auth_keys()))),
        timeout: Duration::from_secs(5),
        ..AccountsConfig::default()
    }
}

struct Keys(potok_sandbox::AuthKeys);

#[async_trait]
impl AuthKeys for Keys {
    async fn new_key(&self) -> std::io::Result<[u8; 256]> {
        self.0.new_auth_key().await
    }
}

pub(super) struct Desk {
    pub(super) rig: Rig,
    pub(super) sandbox: RunningSandbox,
}

impl Desk {
    pub(super) async fn new() -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let url = sandbox.bot_api_url();
        Self::at(sandbox, &url).await
    }

    /// A server whose Telegram is at this address.
    pub(super) async fn at(sandbox: RunningSandbox, url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = TelegramConfig {
            base_url: url.to_owned(),
            timeout: Duration::from_secs(5),
            pacing: Pacing::OFF,
            accounts: accounts(&sandbox),
            keeper: Arc::new(Keeper::new(KeyPlace::text(KEY.to_owned(), "the test's key"))),
            ..TelegramConfig::default()
        };
        let provider = Arc::new(TelegramProvider::new(config).unwrap());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let migrations = provider.migrations().iter().map(|migration| ProviderMigration {
            owner: migration.owner,
            version: migration.version,
            sql: migration.sql,
        });
        store.apply_migrations(&migrations.collect::<Vec<_>>()).await.unwrap();
        let host = host();
        host.add_provider(provider).unwrap();
        for (name, grants) in [("telegram", "telegram".parse().unwrap()), ("time", Grants::none())] {
            let plugin = potok_plugins::shipped().iter().find(|plugin| plugin.name == name);
            host.install(&plugin.unwrap().decompress().unwrap(), &grants).unwrap();
        }
        let rig = Rig::shipping(store, KEY, NodeConfig::default(), host, shipped()).await;
        Self { rig, sandbox }
    }

    /// One that keeps the sandbox's bot.
    async fn with_bot() -> Self {
        let desk = Self::new().await;
        desk.post("/bots/", &json!({ "token": DEFAULT_BOT_TOKEN }))
            .await
            .ok(200);
        desk
    }

    /// One that keeps its channel too.
    async fn with_channel() -> Self {
        let desk = Self::with_bot().await;
        let (status, _) = desk.task("/channels/", &json!({ "channel": DEFAULT_CHANNEL })).await;
        assert_eq!(status, "SUCCESS");
        desk
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self
            .rig
            .client
            .request(method, format!("{}{path}", self.rig.server.url()));
        answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Starts a task and polls as clients do: how it ended, and its result.
    pub(super) async fn task(&self, path: &str, body: &Value) -> (String, Value) {
        let started = self.post(path, body).await.ok(200);
        self.end_of(&started).await
    }

    pub(super) async fn end_of(&self, started: &Value) -> (String, Value) {
        let id = started["task_id"].as_str().unwrap();
        let begun = std::time::Instant::now();
        loop {
            let task = self.get(&format!("/tasks/{id}")).await.ok(200);
            let status = task["task_status"].as_str().unwrap().to_owned();
            assert_eq!(task["task_id"], id);
            if ["SUCCESS", "FAILURE", "REVOKED"].contains(&status.as_str()) {
                return (status, task["task_result"].clone());
            }
            assert!(["PENDING", "STARTED", "RETRY"].contains(&status.as_str()), "{status}");
            assert!(begun.elapsed() < PATIENCE, "{task}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Polls a task until it has a status.
    async fn becomes(&self, task: &str, status: &str) {
        let begun = std::time::Instant::now();
        while self.get(task).await.ok(200)["task_status"] != status {
            assert!(begun.elapsed() < PATIENCE, "{task} never is {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the hourly look finds.
    async fn look_at_all(&self) -> Value {
        let run = self
            .rig
            .post("/workflows/telegram/bot-admin-check/runs?wait=1m", &json!({}))
            .await;
        run.ok(200)["output"].clone()
    }
}

/// The answer must be a refusal in this API's words; gives its message.
#[track_caller]
pub(super) fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json["status"], "error", "{}", answer.text);
    answer.json["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn bots_are_added_once_and_looked_at() {
    let desk = Desk::new().await;
    // Whatever else a client sends is not looked at; with and without the slash is the same.
    let body = json!({ "token": DEFAULT_BOT_TOKEN, "name": "of no use" });
    let added = desk.post("/bots/", &body).await.ok(200);
    assert_eq!(added, json!({ "status": "ok", "data": { "id": BOT, "new": true } }));
    let again = desk.post("/bots", &body).await.ok(200);
    assert_eq!(again, json!({ "status": "ok", "data": { "id": BOT, "new": false } }));

    let all = desk.get("/bots/").await.ok(200);
    let one = desk.get(&format!("/bots/{BOT}")).await.ok(200);
    assert_eq!((&all["status"], &all["data"][0]), (&json!("ok"), &one["data"]));
    assert_eq!(one["data"]["username"], "potok_sandbox_bot");
    assert!(!all.to_string().contains("AA-potok"), "{all}");
    refused(&desk.get("/bots/5").await, 404);
    refused(&desk.get("/bots/five").await, 400);

    // No run holds the token.
    let runs = desk.rig.get("/runs").await.ok(200);
    let first = runs["runs"][0]["id"].as_str().unwrap();
    for path in [format!("/runs/{first}"), format!("/runs/{first}/history")] {
        let shown = desk.rig.get(&path).await;
        assert!(
            shown.text.contains("sealed:") && !shown.text.contains("AA-potok"),
            "{}",
            shown.text
        );
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_verified_is_503_with_the_reason() {
    let desk = Desk::new().await;
    let add = async |token: &str| desk.post("/bots/", &json!({ "token": token })).await;
    let message = refused(&add("1:AA-of-nobody").await, 503);
    assert!(message.contains("does not accept the bot's token"), "{message}");
    let message = refused(&add("hello").await, 503);
    assert!(message.contains("BotFather"), "{message}");
    refused(&desk.post("/bots/", &json!({})).await, 400);

    let Desk { sandbox, .. } = desk;
    let away = Desk::at(sandbox, &potok_testing::nobody()).await;
    let message = refused(&away.post("/bots/", &json!({ "token": DEFAULT_BOT_TOKEN })).await, 503);
    assert!(message.contains("Telegram cannot be reached"), "{message}");
    assert_eq!(away.get("/bots/").await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn bots_are_changed_and_removed() {
    let desk = Desk::with_channel().await;
    let bot = format!("/bots/{BOT}");
    let change = async |body: Value| desk.ask(Method::PATCH, &bot, Some(&body)).await;
    assert_eq!(
        change(json!({ "active": false })).await.ok(200)["data"]["active"],
        false
    );
    assert_eq!(
        change(json!({ "token": DEFAULT_BOT_TOKEN, "active": true }))
            .await
            .ok(200)["data"]["active"],
        true
    );
    refused(&change(json!({ "token": "1000001:wrong" })).await, 503);
    refused(
        &desk
            .ask(Method::PATCH, "/bots/5", Some(&json!({ "active": true })))
            .await,
        404,
    );

    let message = refused(&desk.delete(&bot).await, 409);
    assert!(message.contains("1 channels"), "{message}");
    assert_eq!(desk.get(&bot).await.ok(200)["data"]["channels"], 1);
    desk.delete(&format!("/channels/{CHANNEL}")).await.ok(200);
    assert_eq!(
        desk.delete(&bot).await.ok(200),
        json!({ "status": "ok", "data": { "id": BOT } })
    );
    refused(&desk.delete(&bot).await, 404);
}

#[tokio::test]
async fn channels_are_added_by_a_task() {
    let desk = Desk::with_bot().await;
    let (status, result) = desk
        .task("/channels/", &json!({ "channel": "https://t.me/potok_sandbox" }))
        .await;
    assert_eq!(status, "SUCCESS");
    let expected = json!({
        "channel_id": CHANNEL,
        "bot_link": "https://t.me/potok_sandbox_bot",
        "message": "@potok_sandbox_bot may post in @potok_sandbox",
    });
    assert_eq!(result, expected);
    let (status, result) = desk
        .task("/channels/", &json!({ "channel": PRIVATE, "bot_id": BOT.to_string() }))
        .await;
    assert_eq!((status.as_str(), &result["channel_id"]), ("SUCCESS", &json!(PRIVATE)));
    let (status, result) = desk.task("/channels", &json!({ "channel": ELSEWHERE_CHANNEL })).await;
    assert_eq!(status, "SUCCESS");
    assert!(
        result["message"].as_str().unwrap().contains("Make it an administrator"),
        "{result}"
    );

    let listed = desk.get("/channels/").await.ok(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    let one = desk.get(&format!("/channels/{CHANNEL}")).await.ok(200)["data"].clone();
    assert_eq!(
        (&one["tg_id"], &one["state"], &one["bot_id"]),
        (&json!(CHANNEL), &json!("valid"), &json!(BOT))
    );
    refused(&desk.get("/channels/5").await, 404);
    refused(
        &desk.post("/channels/", &json!({ "channel": "@x", "bot_id": 5 })).await,
        404,
    );
    refused(&desk.post("/channels/", &json!({ "bot_id": BOT })).await, 400);
    for (wrong, why) in [
        ("@potok_nowhere", "no public channel @potok_nowhere"),
        ("https://t.me/+AbCdEf", "an invite link does not tell a bot"),
        ("hello", "names no channel"),
    ] {
        let (status, result) = desk.task("/channels/", &json!({ "channel": wrong })).await;
        assert_eq!(status, "FAILURE");
        assert!(result["message"].as_str().unwrap().contains(why), "{result}");
    }

    assert_eq!(
        desk.delete(&format!("/channels/{CHANNEL}")).await.ok(200)["data"]["id"],
        CHANNEL
    );
    refused(&desk.delete(&format!("/channels/{CHANNEL}")).await, 404);
}

#[tokio::test]
async fn messages_are_posted_by_a_task_once() {
    let desk = Desk::with_channel().await;
    let (status, result) = desk
        .task("/messages", &json!({ "channel_id": CHANNEL, "message": "**Hello**" }))
        .await;
    assert_eq!(
        (status.as_str(), &result["state"], &result["message_id"]),
        ("SUCCESS", &json!("sent"), &json!(1))
    );
    assert_eq!(result["url"], "https://t.me/potok_sandbox/1");

    let once = async || {
        let request = desk.rig.client.post(format!("{}/messages", desk.rig.server.url()));
        let body = json!({ "channel_id": CHANNEL.to_string(), "message": "Once" });
        answer(request.header("idempotency-key", "post-7").json(&body))
            .await
            .ok(200)
    };
    let (first, second) = (once().await, once().await);
    assert_eq!(first["task_id"], second["task_id"]);
    assert_eq!(desk.end_of(&first).await.0, "SUCCESS");
    let texts = || {
        desk.sandbox
            .messages(DEFAULT_CHANNEL)
            .iter()
            .map(|m| m.content.text.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(), ["Hello", "Once"]);

    refused(
        &desk
            .post("/messages", &json!({ "channel_id": 5, "message": "x" }))
            .await,
        404,
    );
    refused(
        &desk
            .post("/messages", &json!({ "channel_id": "five", "message": "x" }))
            .await,
        400,
    );
    let (status, result) = desk
        .task("/messages", &json!({ "channel_id": CHANNEL, "message": "" }))
        .await;
    assert_eq!(status, "FAILURE");
    assert!(
        result["message"].as_str().unwrap().contains("nothing to post"),
        "{result}"
    );
    assert_eq!(texts().len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_flood_is_tried_again() {
    let desk = Desk::with_channel().await;
    let fault = |kind| Fault {
        target: Target::Bot,
        method: Some("sendMessage".to_owned()),
        after: 0,
        times: 1,
        kind,
    };
    let post = json!({ "channel_id": CHANNEL, "message": "Is it there?" });
    desk.sandbox.inject(fault(FaultKind::CloseBeforeAnswer));
    let (status, result) = desk.task("/messages", &post).await;
    assert_eq!((status.as_str(), &result["state"]), ("SUCCESS", &json!("unknown")));
    assert_eq!(desk.sandbox.messages(DEFAULT_CHANNEL).len(), 1);

    let flood = FaultKind::Status {
        status: 429,
        retry_after: Some(3),
    };
    desk.sandbox.inject(fault(flood));
    let started = desk.post("/messages", &post).await.ok(200);
    let task = format!("/tasks/{}", started["task_id"].as_str().unwrap());
    desk.becomes(&task, "RETRY").await;
    assert_eq!(desk.end_of(&started).await.0, "SUCCESS");
    assert_eq!(desk.sandbox.messages(DEFAULT_CHANNEL).len(), 2);
}

/// A run that has done much already is told by what it did last.
#[tokio::test]
async fn a_task_with_a_long_history_is_tried_again_too() {
    let desk = Desk::new().await;
    let long = "document: { dsl: '1.0.3', namespace: test, name: long, version: '1.0.0' }
do:
  - much: { for: { in: '${ [range(0; 600)] }' }, do: [{ little: { set: { a: 1 } } }] }
  - again:
      try: [{ fails: { raise: { error: { type: 'https://example.com/busy', status: 503 } } } }]
      catch: { retry: { delay: { hours: 1 }, limit: { attempt: { count: 2 } } } }
";
    desk.rig.deploy(long).await.ok(201);
    let run = desk.rig.post("/workflows/test/long/runs", &json!({})).await.ok(202);
    let task = format!("/tasks/{}", run["id"].as_str().unwrap());
    desk.becomes(&task, "RETRY").await;
    let cancel = format!("/runs/{}/cancel", run["id"].as_str().unwrap());
    desk.rig.post(&cancel, &json!({})).await.ok(200);
    desk.becomes(&task, "REVOKED").await;
}

#[tokio::test]
async fn tasks_are_runs_and_say_so_in_their_words() {
    let desk = Desk::with_channel().await;
    refused(&desk.get("/tasks/0198c0de-0000-7000-8000-000000000000").await, 404);
    refused(&desk.get("/tasks/five").await, 400);
    let flood = Fault {
        target: Target::Bot,
        method: Some("sendMessage".to_owned()),
        after: 0,
        times: 1,
        kind: FaultKind::Status {
            status: 429,
            retry_after: Some(3600),
        },
    };
    desk.sandbox.inject(flood);
    let post = json!({ "channel_id": CHANNEL, "message": "never" });
    let started = desk.post("/messages", &post).await.ok(200);
    let run = started["task_id"].as_str().unwrap();
    desk.rig.post(&format!("/runs/{run}/cancel"), &json!({})).await.ok(200);
    assert_eq!(desk.end_of(&started).await.0, "REVOKED");
    assert!(desk.sandbox.messages(DEFAULT_CHANNEL).is_empty());
}

#[tokio::test]
async fn the_hourly_look_finds_what_was_lost() {
    let desk = Desk::with_channel().await;
    desk.task("/channels/", &json!({ "channel": PRIVATE })).await;
    let nothing_lost = json!({ "checked": 2, "invalid": [], "unchecked": [] });
    assert_eq!(desk.look_at_all().await, nothing_lost);

    let powerless = Membership::Administrator(AdminRights::default());
    assert!(desk.sandbox.set_member(DEFAULT_CHANNEL, BOT, powerless).await);
    assert!(
        desk.sandbox
            .set_member(&PRIVATE.to_string(), BOT, Membership::Kicked)
            .await
    );
    let found = desk.look_at_all().await;
    assert_eq!(found["checked"], 2);
    let reasons = |found: &Value| found["invalid"].to_string();
    assert!(
        reasons(&found).contains("without the right to post") && reasons(&found).contains("was removed"),
        "{found}"
    );
    let kept = desk.get(&format!("/channels/{CHANNEL}")).await.ok(200)["data"].clone();
    assert_eq!(kept["state"], "invalid");
    assert!(kept["reason"].as_str().unwrap().contains("without the right to post"));
    assert_eq!(
        desk.look_at_all().await,
        json!({ "checked": 0, "invalid": [], "unchecked": [] })
    );

    // A post says why it is not there.
    let (status, result) = desk
        .task("/messages", &json!({ "channel_id": PRIVATE, "message": "x" }))
        .await;
    assert_eq!(status, "FAILURE");
    assert!(result["message"].as_str().unwrap().contains("kicked"), "{result}");

    // Rights are back: adding it again says so.
    let posting = Membership::Administrator(AdminRights::all());
    assert!(desk.sandbox.set_member(DEFAULT_CHANNEL, BOT, posting).await);
    desk.task("/channels/", &json!({ "channel": CHANNEL })).await;
    assert_eq!(
        desk.get(&format!("/channels/{CHANNEL}")).await.ok(200)["data"]["state"],
        "valid"
    );
}

#[tokio::test]
async fn they_are_guarded_as_the_rest_and_say_what_they_take() {
    let desk = Desk::new().await;
    let url = |path: &str| format!("{}{path}", desk.rig.server.url());
    let foreign = desk
        .rig
        .client
        .post(url("/bots/"))
        .header("origin", "https://evil.example");
    refused(&answer(foreign.json(&json!({ "token": "1:a" }))).await, 403);
    let options = answer(desk.rig.client.request(Method::OPTIONS, url("/bots/"))).await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, Some("POST, GET, HEAD, OPTIONS"))
    );
    let wrong = answer(desk.rig.client.put(url("/messages"))).await;
    refused(&wrong, 405);
    assert_eq!(wrong.header("allow"), Some("POST, OPTIONS"));
    refused(&desk.get("/bots/1/what").await, 404);
}

#[tokio::test]
async fn a_server_without_the_plugin_says_so() {
    let rig = Rig::empty().await;
    let answer = answer(rig.client.get(format!("{}/bots/", rig.server.url()))).await;
    assert!(refused(&answer, 503).contains("telegram.bots"));
}
