//! Bots and channels as rows, against the sandbox: whose token it is, which bot gets a channel, how a binding stands.

use std::sync::Arc;
use std::time::Duration;

use potok_dsl::Problem;
use potok_sandbox::world::{
    AdminRights, Bot, DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL, ELSEWHERE_CHANNEL, Membership, READ_ONLY_CHANNEL, User,
    WorldSeed,
};
use potok_sandbox::{Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target};
use potok_secrets::{IN_FLIGHT, Keeper, KeyPlace};
use potok_telegram::{Pacing, TelegramConfig, TelegramProvider};
use potok_testing::{MemoryTables, context, install_tls, nobody};
use potok_wasm::{Param, Provider};
use serde_json::{Value, json};

const BOT: i64 = 1_000_001;
const SECOND: i64 = 1_000_002;
const SECOND_TOKEN: &str = "1000002:AA-potok-sandbox-bot-token-00000002";
const PRIVATE: i64 = -1_001_000_000_004;

/// 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

struct Desk {
    sandbox: RunningSandbox,
    provider: TelegramProvider,
    tables: Arc<MemoryTables>,
}

fn provider(url: &str, place: KeyPlace) -> TelegramProvider {
    install_tls();
    TelegramProvider::new(TelegramConfig {
        base_url: url.to_owned(),
        timeout: Duration::from_secs(5),
        pacing: Pacing::OFF,
        keeper: Arc::new(Keeper::new(place)),
        ..TelegramConfig::default()
    })
    .unwrap()
}

fn key() -> KeyPlace {
    KeyPlace::text(KEY.to_owned(), "the test's key")
}

/// Another bot that may post in the default channel and in the private one.
fn world() -> WorldSeed {
    let mut world = WorldSeed::default();
    world.bots.push(Bot {
        user: User {
            id: SECOND,
            is_bot: true,
            first_name: "Second".to_owned(),
            username: Some("second_sandbox_bot".to_owned()),
        },
        token: SECOND_TOKEN.to_owned(),
    });
    for chat in &mut world.chats {
        if chat.members.get(&BOT).is_some_and(|bot| bot.rights().can_post_messages) {
            let rights = Membership::Administrator(AdminRights::all());
            chat.members.insert(SECOND, rights);
        }
    }
    world
}

impl Desk {
    async fn new() -> Self {
        let config = SandboxConfig {
            world: world(),
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let provider = provider(&sandbox.bot_api_url(), key());
        let tables = MemoryTables::new(provider.migrations());
        Self {
            sandbox,
            provider,
            tables,
        }
    }

    /// One that keeps the default bot.
    async fn with_bot() -> Self {
        let desk = Self::new().await;
        desk.ask("add-bot", json!({ "token": DEFAULT_BOT_TOKEN }))
            .await
            .unwrap();
        desk
    }

    async fn ask(&self, function: &str, request: Value) -> Result<Value, Problem> {
        self.ask_by(&self.provider, function, request).await
    }

    async fn ask_by(&self, provider: &TelegramProvider, function: &str, request: Value) -> Result<Value, Problem> {
        let cx = context(self.tables.clone(), "key", Duration::from_secs(20));
        let args = match function {
            "bots" => json!({}),
            _ => json!({ "request": request }),
        };
        provider.call(&cx, "potok:telegram/registry", function, args).await
    }

    async fn add(&self, channel: &str) -> Result<Value, Problem> {
        self.ask("add-channel", json!({ "channel": channel })).await
    }

    async fn check(&self, channel: i64) -> (String, String) {
        let checked = self.ask("check-channel", json!({ "id": channel })).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&checked["state"]), text(&checked["reason"]))
    }

    async fn become_in(&self, channel: &str, membership: Membership) {
        assert!(self.sandbox.set_member(channel, BOT, membership).await);
    }
}

#[tokio::test]
async fn a_bot_is_kept_once_and_its_token_is_sealed() {
    let desk = Desk::new().await;
    let add = async || {
        desk.ask("add-bot", json!({ "token": DEFAULT_BOT_TOKEN }))
            .await
            .unwrap()
    };
    assert_eq!(add().await, json!({ "id": BOT, "new": true }));
    assert_eq!(add().await, json!({ "id": BOT, "new": false }));
    let sealed = Keeper::new(key()).seal_text(IN_FLIGHT, SECOND_TOKEN).unwrap();
    let second = desk.ask("add-bot", json!({ "token": sealed })).await.unwrap();
    assert_eq!(second, json!({ "id": SECOND, "new": true }));

    let rows = desk.tables.query("SELECT token FROM telegram_bots");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(matches!(&row[0], Param::Text(token) if token.starts_with("sealed:") && !token.contains("AA-potok")));
    }
    let bots = desk.ask("bots", Value::Null).await.unwrap();
    assert_eq!((&bots[0]["id"], &bots[1]["id"]), (&json!(BOT), &json!(SECOND)));
    assert_eq!(bots[0]["link"], "https://t.me/potok_sandbox_bot");
    assert_eq!((&bots[0]["active"], &bots[0]["channels"]), (&json!(true), &json!(0)));
    assert!(!bots.to_string().contains("AA-potok"), "{bots}");
}

#[tokio::test]
async fn a_token_that_telegram_does_not_confirm_is_not_kept() {
    let desk = Desk::new().await;
    let add = async |token: &str| desk.ask("add-bot", json!({ "token": token })).await.unwrap_err();
    let unknown = add("1:AA-of-nobody").await;
    assert_eq!(unknown.status, 401);
    assert!(unknown.detail.unwrap().contains("Unauthorized"));
    for bad in ["", "hello", "sealed:00000000:AAAA"] {
        let problem = add(bad).await;
        assert!(matches!(problem.status, 400 | 503), "{bad}: {problem}");
    }
    let away = provider(&nobody(), key());
    let problem = desk
        .ask_by(&away, "add-bot", json!({ "token": DEFAULT_BOT_TOKEN }))
        .await
        .unwrap_err();
    assert_eq!(problem.status, 503);
    let keyless = provider(&desk.sandbox.bot_api_url(), KeyPlace::None);
    let problem = desk
        .ask_by(&keyless, "add-bot", json!({ "token": DEFAULT_BOT_TOKEN }))
        .await
        .unwrap_err();
    assert!(problem.detail.unwrap().contains("POTOK_SECRETS_KEY"));
    assert_eq!(desk.ask("bots", Value::Null).await.unwrap(), json!([]));
}

#[tokio::test]
async fn a_bot_is_changed_and_removed() {
    let desk = Desk::with_bot().await;
    let update = async |request: Value| desk.ask("update-bot", request).await;
    assert_eq!(
        update(json!({ "id": BOT, "token": DEFAULT_BOT_TOKEN })).await.unwrap()["active"],
        true
    );
    let other = update(json!({ "id": BOT, "token": SECOND_TOKEN })).await.unwrap_err();
    assert_eq!(other.status, 409);
    assert_eq!(
        update(json!({ "id": BOT, "active": false })).await.unwrap()["active"],
        false
    );
    assert_eq!(
        update(json!({ "id": 5, "active": true })).await.unwrap_err().status,
        404
    );
    assert_eq!(
        desk.add(DEFAULT_CHANNEL).await.unwrap_err().status,
        409,
        "no bot is active"
    );
    update(json!({ "id": BOT, "active": true })).await.unwrap();

    let added = desk.add(DEFAULT_CHANNEL).await.unwrap();
    let remove = async || desk.ask("remove-bot", json!({ "id": BOT })).await;
    let refused = remove().await.unwrap_err();
    assert_eq!(refused.status, 409);
    assert!(refused.detail.unwrap().contains("1 channels"));
    desk.ask("remove-channel", json!({ "id": added["channel_id"] }))
        .await
        .unwrap();
    remove().await.unwrap();
    assert_eq!(remove().await.unwrap_err().status, 404);
    assert_eq!(desk.ask("bot", json!({ "id": BOT })).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn channels_are_found_by_all_their_names() {
    let desk = Desk::with_bot().await;
    for name in [
        "@Potok_Sandbox",
        "https://t.me/potok_sandbox/3",
        "-1001000000001",
        "1000000001",
    ] {
        let added = desk.add(name).await.unwrap();
        assert_eq!(
            (&added["channel_id"], &added["state"]),
            (&json!(-1_001_000_000_001_i64), &json!("valid")),
            "{name}"
        );
        assert_eq!(added["bot_link"], "https://t.me/potok_sandbox_bot");
        assert_eq!(added["message"], "@potok_sandbox_bot may post in @potok_sandbox");
        assert_eq!(added["new"], name == "@Potok_Sandbox");
    }
    // The link of a private channel is known once the channel is.
    let invitation = "https://t.me/+e911fc5804";
    let unseen = desk.add(invitation).await.unwrap_err();
    assert_eq!(unseen.status, 422);
    assert!(unseen.detail.unwrap().contains("numeric id"));
    let added = desk.add(&PRIVATE.to_string()).await.unwrap();
    let kept = desk.ask("channel", json!({ "id": PRIVATE })).await.unwrap();
    assert_eq!(kept["title"], "Private notes");
    let invitation = kept["invite_link"].as_str().unwrap();
    let again = desk.add(invitation).await.unwrap();
    assert_eq!(
        (&again["channel_id"], &again["new"]),
        (&added["channel_id"], &json!(false))
    );

    for (nowhere, status) in [("@potok_nowhere", 404), ("hello", 400), ("https://example.com", 400)] {
        assert_eq!(desk.add(nowhere).await.unwrap_err().status, status, "{nowhere}");
    }
    assert_eq!(
        desk.ask("channels", json!({})).await.unwrap().as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn the_least_loaded_active_bot_gets_a_channel_and_keeps_it() {
    let desk = Desk::with_bot().await;
    desk.ask("add-bot", json!({ "token": SECOND_TOKEN })).await.unwrap();
    let bot_of = async |id: &Value| desk.ask("channel", json!({ "id": id })).await.unwrap()["bot_id"].clone();
    let first = desk.add(DEFAULT_CHANNEL).await.unwrap()["channel_id"].clone();
    let second = desk.add(&PRIVATE.to_string()).await.unwrap()["channel_id"].clone();
    assert_eq!(
        (bot_of(&first).await, bot_of(&second).await),
        (json!(BOT), json!(SECOND))
    );
    desk.add(DEFAULT_CHANNEL).await.unwrap();
    assert_eq!(bot_of(&first).await, json!(BOT));

    let bind = async |bot: i64| {
        desk.ask("add-channel", json!({ "channel": DEFAULT_CHANNEL, "bot_id": bot }))
            .await
    };
    assert_eq!(bind(SECOND).await.unwrap()["state"], "valid");
    assert_eq!(bot_of(&first).await, json!(SECOND));
    assert_eq!(bind(5).await.unwrap_err().status, 404);
    desk.ask("update-bot", json!({ "id": BOT, "active": false }))
        .await
        .unwrap();
    assert_eq!(bind(BOT).await.unwrap_err().status, 409);
}

#[tokio::test]
async fn a_binding_is_new_then_valid_then_invalid_with_the_reason() {
    let desk = Desk::with_bot().await;
    let elsewhere = desk.add(ELSEWHERE_CHANNEL).await.unwrap();
    assert_eq!(elsewhere["state"], "new");
    let message = elsewhere["message"].as_str().unwrap();
    assert!(message.contains("Make it an administrator"), "{message}");
    let id = elsewhere["channel_id"].as_i64().unwrap();
    let posting = || Membership::Administrator(AdminRights::all());

    desk.become_in(ELSEWHERE_CHANNEL, posting()).await;
    assert_eq!(desk.check(id).await, ("valid".to_owned(), String::new()));
    desk.become_in(ELSEWHERE_CHANNEL, Membership::Administrator(AdminRights::default()))
        .await;
    let (state, reason) = desk.check(id).await;
    assert!(
        state == "invalid" && reason.contains("without the right to post"),
        "{state}: {reason}"
    );
    desk.become_in(ELSEWHERE_CHANNEL, posting()).await;
    assert_eq!(desk.check(id).await.0, "valid");
    desk.become_in(ELSEWHERE_CHANNEL, Membership::Kicked).await;
    assert_eq!(
        desk.check(id).await,
        ("invalid".to_owned(), "the bot was removed from the channel".to_owned())
    );

    let read_only = desk.add(READ_ONLY_CHANNEL).await.unwrap()["channel_id"]
        .as_i64()
        .unwrap();
    assert_eq!(desk.check(read_only).await.0, "new");
    let states = async |states: Value| {
        let listed = desk.ask("channels", json!({ "states": states })).await.unwrap();
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|channel| channel["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(json!(["new", "valid"])).await, [read_only]);
    assert_eq!(states(json!(["invalid"])).await, [id]);

    // A private channel that the bot has left.
    desk.add(&PRIVATE.to_string()).await.unwrap();
    desk.become_in(&PRIVATE.to_string(), Membership::Left).await;
    let (state, reason) = desk.check(PRIVATE).await;
    assert!(state == "invalid" && reason.contains("not in the channel"), "{reason}");
}

#[tokio::test]
async fn what_cannot_be_asked_changes_nothing() {
    let desk = Desk::with_bot().await;
    let id = desk.add(DEFAULT_CHANNEL).await.unwrap()["channel_id"].as_i64().unwrap();
    let fault = |kind| Fault {
        target: Target::Bot,
        method: Some("getChat".to_owned()),
        after: 0,
        times: 1,
        kind,
    };
    for (kind, status) in [
        (FaultKind::CloseBeforeAnswer, 502),
        (FaultKind::Garbage, 502),
        (
            FaultKind::Status {
                status: 429,
                retry_after: Some(37),
            },
            429,
        ),
    ] {
        desk.sandbox.inject(fault(kind));
        let problem = desk.ask("check-channel", json!({ "id": id })).await.unwrap_err();
        assert_eq!(problem.status, status, "{problem}");
        assert_eq!(
            problem.retry_after_ms.unwrap_or_default(),
            if status == 429 { 37_000 } else { 0 }
        );
    }
    let away = provider(&nobody(), key());
    assert_eq!(
        desk.ask_by(&away, "check-channel", json!({ "id": id }))
            .await
            .unwrap_err()
            .status,
        503
    );
    let kept = desk.ask("channel", json!({ "id": id })).await.unwrap();
    assert_eq!((&kept["state"], &kept["reason"]), (&json!("valid"), &Value::Null));
    assert_eq!(
        desk.ask("check-channel", json!({ "id": 5 })).await.unwrap_err().status,
        404
    );
}

#[tokio::test]
async fn posts_go_by_the_bot_that_the_channel_is_bound_to() {
    let desk = Desk::with_bot().await;
    desk.add(DEFAULT_CHANNEL).await.unwrap();
    let post = async |key: &str, request: Value| {
        let cx = context(desk.tables.clone(), key, Duration::from_secs(20));
        let args = json!({ "request": request });
        desk.provider.call(&cx, "potok:telegram/bot", "post", args).await
    };
    let by_id = json!({ "channel": "-1001000000001", "text": "One" });
    let by_name = json!({ "channel": DEFAULT_CHANNEL, "text": "Two" });
    let named = json!({ "channel": DEFAULT_CHANNEL, "text": "Three", "bot": BOT.to_string() });
    for (number, request) in [by_id, by_name, named].into_iter().enumerate() {
        assert_eq!(
            post(&number.to_string(), request).await.unwrap()["message_id"],
            number + 1
        );
    }
    let messages = desk.sandbox.messages(DEFAULT_CHANNEL);
    assert!(messages.iter().all(|message| message.author == BOT) && messages.len() == 3);
    let unbound = post("4", json!({ "channel": READ_ONLY_CHANNEL, "text": "Four" }))
        .await
        .unwrap_err();
    assert!(unbound.detail.unwrap().contains("no bot 'default'"));

    // What was sent is answered from its row, whatever becomes of the bot.
    desk.ask("update-bot", json!({ "id": BOT, "active": false }))
        .await
        .unwrap();
    let again = json!({ "channel": DEFAULT_CHANNEL, "text": "One" });
    assert_eq!(post("0", again.clone()).await.unwrap()["message_id"], 1);
    assert_eq!(post("5", again).await.unwrap_err().status, 409);
}
