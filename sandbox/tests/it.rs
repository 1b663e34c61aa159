//! The sandbox as its clients see it: over HTTP, by hand and through the client libraries that the providers use.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "it/mtproto.rs"]
mod mtproto;

use std::time::{Duration, Instant};

use potok_sandbox::world::{DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL, ELSEWHERE_CHANNEL, READ_ONLY_CHANNEL, RateLimits};
use potok_sandbox::{DEFAULT_MODEL, Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, SandboxError, Target};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const BOOK: &str = "The river floods the valley every spring. The flood of the river feeds the valley and its fields. \
                    My uncle once bought a red bicycle in Paris. Farmers of the valley wait for the river and its flood.";

async fn start() -> RunningSandbox {
    Sandbox::start(SandboxConfig::default()).await.unwrap()
}

fn client() -> Client {
    // Another test may have been first; either way there is a provider afterwards.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(20)).build().unwrap()
}

fn method(sandbox: &RunningSandbox, name: &str) -> String {
    format!("{}/bot{DEFAULT_BOT_TOKEN}/{name}", sandbox.bot_api_url())
}

async fn post(sandbox: &RunningSandbox, name: &str, params: Value) -> (u16, Value) {
    answer(client().post(method(sandbox, name)).json(&params).send().await.unwrap()).await
}

async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn chat(sandbox: &RunningSandbox, extra: Value) -> Response {
    let mut body = json!({ "model": DEFAULT_MODEL, "messages": [
        { "role": "system", "content": "Summarise in two sentences." },
        { "role": "user", "content": format!("<text>{BOOK}</text>") },
    ]});
    extra
        .as_object()
        .unwrap()
        .iter()
        .for_each(|(name, value)| body[name] = value.clone());
    client()
        .post(format!("{}/chat/completions", sandbox.openai_url()))
        .json(&body)
        .send()
        .await
        .unwrap()
}

fn texts(sandbox: &RunningSandbox) -> Vec<String> {
    sandbox
        .messages(DEFAULT_CHANNEL)
        .into_iter()
        .map(|message| message.content.text)
        .collect()
}

fn fault(target: Target, method: &str, kind: FaultKind) -> Fault {
    Fault {
        target,
        method: Some(method.to_owned()),
        after: 0,
        times: 1,
        kind,
    }
}

#[tokio::test]
async fn parameters_may_come_in_every_way() {
    let sandbox = start().await;
    let url = method(&sandbox, "sendMessage");
    let http = client();
    let pairs = [
        ("chat_id", DEFAULT_CHANNEL),
        ("text", "*б* & 🙂"),
        ("parse_mode", "MarkdownV2"),
    ];
    let form = reqwest::multipart::Form::new();
    let form = pairs.iter().fold(form, |form, (name, value)| form.text(*name, *value));
    let requests = [
        http.get(&url).query(&pairs),
        http.post(&url).query(&pairs[..1]).form(&pairs[1..]),
        http.post(&url).multipart(form),
        http.post(url.replace("sendMessage", "SENDMESSAGE")).json(&json!({
            "chat_id": -1_001_000_000_001_i64, "text": "*б* & 🙂", "parse_mode": "MarkdownV2", "entities": null,
        })),
    ];
    for (index, request) in requests.into_iter().enumerate() {
        let (status, body) = answer(request.send().await.unwrap()).await;
        assert_eq!((status, &body["ok"]), (200, &json!(true)), "{body}");
        let message = &body["result"];
        assert_eq!(message["message_id"], json!(index + 1));
        assert_eq!(message["text"], "б & 🙂");
        assert_eq!(
            message["entities"],
            json!([{ "offset": 0, "length": 1, "type": "bold" }])
        );
        assert_eq!(message["chat"]["type"], "channel");
        assert_eq!(message["sender_chat"]["username"], "potok_sandbox");
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn refusals_speak_as_the_bot_api_does() {
    let sandbox = start().await;
    let to = |chat: &str, text: &str| json!({ "chat_id": chat, "text": text });
    let cases = [
        ("sendMessage", to("@nowhere", "x"), 400, "Bad Request: chat not found"),
        ("sendMessage", to("", "x"), 400, "Bad Request: chat_id is empty"),
        (
            "sendMessage",
            to(DEFAULT_CHANNEL, ""),
            400,
            "Bad Request: message text is empty",
        ),
        (
            "sendMessage",
            to(DEFAULT_CHANNEL, &"x".repeat(4_097)),
            400,
            "Bad Request: message is too long",
        ),
        (
            "sendMessage",
            to(ELSEWHERE_CHANNEL, "x"),
            403,
            "Forbidden: bot is not a member of the channel chat",
        ),
        (
            "sendMessage",
            to(READ_ONLY_CHANNEL, "x"),
            400,
            "Bad Request: need administrator rights in the channel chat",
        ),
        (
            "sendMessage",
            json!({ "chat_id": DEFAULT_CHANNEL, "text": "a.", "parse_mode": "MarkdownV2" }),
            400,
            "Bad Request: can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
        ),
        (
            "sendMessage",
            json!({ "chat_id": DEFAULT_CHANNEL, "text": "<b>a", "parse_mode": "HTML" }),
            400,
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (
            "sendMessage",
            json!({ "chat_id": DEFAULT_CHANNEL, "text": "a", "reply_parameters": { "message_id": 1 } }),
            400,
            "Bad Request: the sandbox does not support the parameter \"reply_parameters\" of sendMessage",
        ),
        (
            "editMessageText",
            json!({ "chat_id": DEFAULT_CHANNEL, "message_id": 9, "text": "a" }),
            400,
            "Bad Request: message to edit not found",
        ),
        (
            "getChatMember",
            json!({ "chat_id": DEFAULT_CHANNEL }),
            400,
            "Bad Request: invalid user_id specified",
        ),
        (
            "getChatAdministrators",
            to_chat(ELSEWHERE_CHANNEL),
            403,
            "Forbidden: bot is not a member of the channel chat",
        ),
        ("sendPhoto", json!({}), 404, "Not Found: method not found"),
    ];
    for (name, params, code, description) in cases {
        let (status, body) = post(&sandbox, name, params).await;
        assert_eq!(
            body,
            json!({ "ok": false, "error_code": code, "description": description })
        );
        assert_eq!(status, code);
    }
    assert!(texts(&sandbox).is_empty());
    for (token, code, description) in [
        ("1000001:wrong", 401, "Unauthorized"),
        ("nonsense", 401, "Unauthorized: invalid token specified"),
    ] {
        let url = format!("{}/bot{token}/getMe", sandbox.bot_api_url());
        let (status, body) = answer(client().get(url).send().await.unwrap()).await;
        assert_eq!((status, body["description"].as_str().unwrap()), (code, description));
    }
    let (status, body) = answer(client().get(sandbox.bot_api_url()).send().await.unwrap()).await;
    assert_eq!((status, body["description"].as_str().unwrap()), (404, "Not Found"));
    sandbox.shutdown().await;
}

fn to_chat(chat: &str) -> Value {
    json!({ "chat_id": chat })
}

#[tokio::test]
async fn a_bot_can_learn_where_it_stands() {
    let sandbox = start().await;
    let (_, me) = post(&sandbox, "getMe", json!({})).await;
    assert_eq!(
        (&me["result"]["id"], &me["result"]["is_bot"]),
        (&json!(1_000_001), &json!(true))
    );
    let rights = async |chat: &str| {
        let (_, member) = post(
            &sandbox,
            "getChatMember",
            json!({ "chat_id": chat, "user_id": 1_000_001 }),
        )
        .await;
        (
            member["result"]["status"].as_str().unwrap().to_owned(),
            member["result"]["can_post_messages"].as_bool(),
        )
    };
    assert_eq!(rights(DEFAULT_CHANNEL).await, ("administrator".to_owned(), Some(true)));
    assert_eq!(
        rights(READ_ONLY_CHANNEL).await,
        ("administrator".to_owned(), Some(false))
    );
    assert_eq!(rights(ELSEWHERE_CHANNEL).await, ("left".to_owned(), None));
    let (_, info) = post(&sandbox, "getChat", to_chat(DEFAULT_CHANNEL)).await;
    assert_eq!(info["result"]["id"], json!(-1_001_000_000_001_i64));
    let (_, count) = post(&sandbox, "getChatMemberCount", to_chat(DEFAULT_CHANNEL)).await;
    assert_eq!(count["result"], json!(4));
    let (_, administrators) = post(&sandbox, "getChatAdministrators", to_chat(DEFAULT_CHANNEL)).await;
    assert_eq!(administrators["result"].as_array().unwrap().len(), 2);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn who_is_what_in_a_chat_can_be_changed() {
    let sandbox = start().await;
    let put = async |user: i64, membership: Value| {
        let url = format!("{}/channels/{DEFAULT_CHANNEL}/members/{user}", sandbox.admin_url());
        client()
            .put(url)
            .json(&membership)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let look = async || post(&sandbox, "getChat", json!({ "chat_id": DEFAULT_CHANNEL })).await;
    assert_eq!(put(1_000_001, json!({ "status": "kicked" })).await, 200);
    let (status, refused) = look().await;
    assert_eq!(
        (status, &refused["description"]),
        (403, &json!("Forbidden: bot was kicked from the channel chat"))
    );
    for (may_invite, link) in [(true, json!("https://t.me/+e9103fda01")), (false, Value::Null)] {
        let rights = json!({ "status": "administrator", "can_post_messages": true, "can_invite_users": may_invite });
        assert_eq!(put(1_000_001, rights).await, 200);
        assert_eq!(look().await.1["result"]["invite_link"], link);
    }
    assert_eq!(put(5, json!({ "status": "member" })).await, 404);
    assert_eq!(put(1_000_001, json!({ "status": "emperor" })).await, 400);
}

#[tokio::test]
async fn messages_are_edited_forwarded_copied_and_deleted() {
    let sandbox = start().await;
    let here = |extra: Value| {
        let mut params = to_chat(DEFAULT_CHANNEL);
        extra
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(name, value)| params[name] = value.clone());
        params
    };
    post(&sandbox, "sendMessage", here(json!({ "text": "one" }))).await;
    let (_, same) = post(
        &sandbox,
        "editMessageText",
        here(json!({ "message_id": 1, "text": "one" })),
    )
    .await;
    assert!(
        same["description"]
            .as_str()
            .unwrap()
            .starts_with("Bad Request: message is not modified"),
        "{same}"
    );
    let (_, edited) = post(
        &sandbox,
        "editMessageText",
        here(json!({ "message_id": 1, "text": "two" })),
    )
    .await;
    assert!(
        edited["result"]["edit_date"].is_i64() && edited["result"]["text"] == "two",
        "{edited}"
    );
    let (_, there) = post(&sandbox, "editMessageReplyMarkup", here(json!({ "message_id": 1 }))).await;
    assert!(
        there["description"].as_str().unwrap().contains("not modified"),
        "{there}"
    );
    let (_, missing) = post(&sandbox, "editMessageReplyMarkup", here(json!({ "message_id": 2 }))).await;
    assert_eq!(missing["description"], "Bad Request: message to edit not found");

    let from = json!({ "chat_id": "-1001000000004", "from_chat_id": DEFAULT_CHANNEL, "message_id": 1 });
    let (_, forwarded) = post(&sandbox, "forwardMessage", from.clone()).await;
    assert_eq!(forwarded["result"]["forward_origin"]["message_id"], json!(1));
    let (_, copied) = post(&sandbox, "copyMessage", from).await;
    assert_eq!(copied["result"], json!({ "message_id": 2 }));
    let nothing = json!({ "chat_id": "-1001000000004", "from_chat_id": DEFAULT_CHANNEL, "message_id": 7 });
    let (_, missing) = post(&sandbox, "copyMessage", nothing).await;
    assert_eq!(missing["description"], "Bad Request: message to copy not found");

    let (_, deleted) = post(&sandbox, "deleteMessage", here(json!({ "message_id": 1 }))).await;
    assert_eq!(deleted["result"], json!(true));
    assert!(texts(&sandbox).is_empty());
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_long_poll_hears_what_people_write_and_the_later_poll_wins() {
    let sandbox = start().await;
    let poll = |params: Value| {
        let request = client().post(method(&sandbox, "getUpdates")).json(&params).send();
        tokio::spawn(async move { answer(request.await.unwrap()).await })
    };
    let first = poll(json!({ "timeout": 30 }));
    wait_for_count(&sandbox, "getUpdates", 1).await;
    let second = poll(json!({ "timeout": 30 }));
    let (status, conflict) = first.await.unwrap();
    assert_eq!(status, 409, "{conflict}");
    let url = format!("{}/channels/{DEFAULT_CHANNEL}/messages", sandbox.admin_url());
    let written = client()
        .post(url)
        .json(&json!({ "text": "*hello*", "parse_mode": "Markdown" }))
        .send()
        .await
        .unwrap();
    assert_eq!(written.status(), StatusCode::OK);
    let (_, heard) = second.await.unwrap();
    let update = &heard["result"][0];
    assert_eq!(update["channel_post"]["text"], "hello");
    let next = update["update_id"].as_i64().unwrap() + 1;
    let (_, nothing) = poll(json!({ "offset": next })).await.unwrap();
    assert_eq!(nothing["result"], json!([]));
    sandbox.shutdown().await;
}

async fn wait_for_count(sandbox: &RunningSandbox, method: &str, count: u64) {
    loop {
        let requests: Value = client()
            .get(format!("{}/requests", sandbox.admin_url()))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        if requests["bot"][method]["total"].as_u64() >= Some(count) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_too_fast_is_told_when_to_come_back() {
    let config = SandboxConfig {
        limits: RateLimits::documented(),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let params = json!({ "chat_id": DEFAULT_CHANNEL, "text": "x" });
    let http = client();
    let send = || http.post(method(&sandbox, "sendMessage")).json(&params).send();
    let responses = futures::future::join_all((0..40).map(|_| send())).await;
    let mut refused = 0;
    for response in responses
        .into_iter()
        .map(Result::unwrap)
        .filter(|response| response.status() != StatusCode::OK)
    {
        assert_eq!(response.headers()["retry-after"], "1");
        let (status, body) = answer(response).await;
        assert_eq!((status, &body["parameters"]), (429, &json!({ "retry_after": 1 })));
        assert_eq!(body["description"], "Too Many Requests: retry after 1");
        refused += 1;
    }
    assert!(refused > 0);
    assert_eq!(texts(&sandbox).len(), 40 - refused);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let sandbox = start().await;
    let send = |text: &str| {
        let params = json!({ "chat_id": DEFAULT_CHANNEL, "text": text });
        client().post(method(&sandbox, "sendMessage")).json(&params)
    };
    for (kind, lands) in [
        (FaultKind::CloseBeforeAnswer, true),
        (FaultKind::CloseBeforeProcessing, false),
    ] {
        sandbox.inject(fault(Target::Bot, "sendMessage", kind));
        let error = send("closed").send().await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(texts(&sandbox).pop(), lands.then(|| "closed".to_owned()));
        if lands {
            post(
                &sandbox,
                "deleteMessage",
                json!({ "chat_id": DEFAULT_CHANNEL, "message_id": 1 }),
            )
            .await;
        }
    }
    for (kind, lands) in [(FaultKind::Hang, false), (FaultKind::HangBeforeAnswer, true)] {
        sandbox.inject(fault(Target::Bot, "sendMessage", kind));
        assert!(
            send("hanging")
                .timeout(Duration::from_millis(300))
                .send()
                .await
                .unwrap_err()
                .is_timeout()
        );
        assert_eq!(texts(&sandbox).len(), usize::from(lands));
    }
    sandbox.inject(fault(Target::Bot, "sendMessage", FaultKind::Garbage));
    let garbage = send("garbage").send().await.unwrap();
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(serde_json::from_str::<Value>(&garbage.text().await.unwrap()).is_err());
    sandbox.inject(fault(Target::Bot, "sendMessage", FaultKind::Slow(50)));
    let begun = Instant::now();
    assert_eq!(send("slow").send().await.unwrap().status(), StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_millis(50));

    let faults = format!("{}/faults", sandbox.admin_url());
    let script = json!({ "target": "ai", "times": 2, "kind": { "status": 429, "retry_after": 7 } });
    assert_eq!(
        client().post(&faults).json(&script).send().await.unwrap().status(),
        StatusCode::OK
    );
    for _ in 0..2 {
        let limited = chat(&sandbox, json!({})).await;
        assert_eq!(
            (
                limited.status().as_u16(),
                limited.headers()["retry-after"].to_str().unwrap()
            ),
            (429, "7")
        );
        let body: Value = limited.json().await.unwrap();
        assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    }
    assert_eq!(chat(&sandbox, json!({})).await.status(), StatusCode::OK);
    let bad = json!({ "target": "ai", "kind": "explode" });
    assert_eq!(
        client().post(&faults).json(&bad).send().await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );

    let requests = client()
        .get(format!("{}/requests", sandbox.admin_url()))
        .send()
        .await
        .unwrap();
    let requests: Value = requests.json().await.unwrap();
    assert_eq!(requests["ai"]["chat/completions"], json!({ "total": 3, "faulted": 2 }));
    assert_eq!(requests["bot"]["sendMessage"], json!({ "total": 6, "faulted": 6 }));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn nothing_that_hangs_blocks_the_shutdown() {
    let sandbox = start().await;
    sandbox.inject(fault(Target::Bot, "getMe", FaultKind::Hang));
    let hanging = tokio::spawn(client().get(method(&sandbox, "getMe")).send());
    let polling = tokio::spawn(
        client()
            .get(method(&sandbox, "getUpdates"))
            .query(&[("timeout", "50")])
            .send(),
    );
    wait_for_count(&sandbox, "getMe", 1).await;
    wait_for_count(&sandbox, "getUpdates", 1).await;
    let address = sandbox.address();
    let begun = Instant::now();
    sandbox.shutdown().await;
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert!(hanging.await.unwrap().is_err());
    // The poll may have been answered with nothing, or cut off.
    if let Ok(answered) = polling.await.unwrap() {
        assert_eq!(answer(answered).await.1["result"], json!([]));
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn posts_survive_a_restart_on_the_same_port() {
    let directory = tempfile::tempdir().unwrap();
    let config = SandboxConfig {
        data_dir: Some(directory.path().to_owned()),
        ..SandboxConfig::default()
    };
    let first = Sandbox::start(config.clone()).await.unwrap();
    post(
        &first,
        "sendMessage",
        json!({ "chat_id": DEFAULT_CHANNEL, "text": "<b>kept</b>", "parse_mode": "HTML" }),
    )
    .await;
    let other = Sandbox::start(config.clone()).await;
    assert!(matches!(other, Err(SandboxError::StateInUse { .. })));
    let listen = first.address();
    let taken = Sandbox::start(SandboxConfig {
        listen,
        ..SandboxConfig::default()
    })
    .await;
    assert!(matches!(taken, Err(SandboxError::Bind { .. })));
    let everywhere = SandboxConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..SandboxConfig::default()
    };
    assert!(matches!(
        Sandbox::start(everywhere).await,
        Err(SandboxError::NotLoopback { .. })
    ));
    first.shutdown().await;

    let second = Sandbox::start(SandboxConfig { listen, ..config }).await.unwrap();
    let url = format!("{}/channels/{DEFAULT_CHANNEL}/messages", second.admin_url());
    let kept: Value = client().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&kept["count"], &kept["messages"][0]["text"]),
        (&json!(1), &json!("kept"))
    );
    assert_eq!(kept["messages"][0]["entities"][0]["type"], "bold");
    let (_, next) = post(
        &second,
        "sendMessage",
        json!({ "chat_id": DEFAULT_CHANNEL, "text": "next" }),
    )
    .await;
    assert_eq!(next["result"]["message_id"], json!(2));
    second.shutdown().await;
}

#[tokio::test]
async fn bodies_are_limited() {
    let sandbox = start().await;
    let (status, body) = post(&sandbox, "sendMessage", json!({ "text": "x".repeat(1 << 20) })).await;
    assert_eq!((status, body["error_code"].as_u64()), (413, Some(413)));
    let response = chat(&sandbox, json!({ "user": "x".repeat(8 << 20) })).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_model_summarises_and_streams() {
    let sandbox = start().await;
    let whole: Value = chat(&sandbox, json!({ "temperature": 0.3 }))
        .await
        .json()
        .await
        .unwrap();
    let content = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(
        !content.contains("bicycle") && content.matches('.').count() == 2,
        "{content}"
    );
    assert_eq!(whole["object"], "chat.completion");
    let usage = &whole["usage"];
    assert_eq!(
        usage["total_tokens"].as_u64(),
        Some(usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap())
    );

    let stream = chat(
        &sandbox,
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    )
    .await;
    assert!(
        stream.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let body = stream.text().await.unwrap();
    let data: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> = data[..data.len() - 1]
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, content);
    assert_eq!(&chunks.last().unwrap()["usage"], usage);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_model_server_refuses_as_openai_does() {
    let config = SandboxConfig {
        api_key: Some("sk-sandbox".to_owned()),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let url = format!("{}/chat/completions", sandbox.openai_url());
    let body = json!({ "model": DEFAULT_MODEL, "messages": [{ "role": "user", "content": BOOK }] });
    let other = json!({ "model": "gpt-9", "messages": body["messages"] });
    for (key, body, status, code) in [
        (None, &body, 401, json!("invalid_api_key")),
        (Some("sk-wrong"), &body, 401, json!("invalid_api_key")),
        (Some("sk-sandbox"), &other, 404, json!("model_not_found")),
        (Some("sk-sandbox"), &json!({ "model": DEFAULT_MODEL }), 400, Value::Null),
    ] {
        let mut request = client().post(&url).json(body);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let (found, answered) = answer(request.send().await.unwrap()).await;
        assert_eq!((found, &answered["error"]["code"]), (status, &code), "{answered}");
        assert!(answered["error"]["message"].is_string() && answered["error"]["type"] == "invalid_request_error");
    }
    let models = client()
        .get(format!("{}/models", sandbox.openai_url()))
        .bearer_auth("sk-sandbox")
        .send()
        .await
        .unwrap();
    let models: Value = models.json().await.unwrap();
    assert_eq!(models["data"][0]["id"], DEFAULT_MODEL);
    let unknown = client()
        .get(format!("{}/embeddings", sandbox.openai_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer(unknown).await.1["error"]["code"], "unknown_url");
    sandbox.shutdown().await;
}

mod through_client_libraries {
    use super::*;
    use async_openai::config::OpenAIConfig;
    use frankenstein::ParseMode;
    use frankenstein::methods::{GetChatMemberParams, SendMessageParams};
    use frankenstein::response::{ErrorResponse, MethodResponse};
    use frankenstein::types::{ChatMember, Message, User};
    use serde::{Serialize, de::DeserializeOwned};

    /// Asks with the library's parameters, and reads the answer with its types.
    async fn ask<T: DeserializeOwned>(sandbox: &RunningSandbox, method: &str, params: &impl Serialize) -> T {
        let url = format!("{}/bot{DEFAULT_BOT_TOKEN}/{method}", sandbox.bot_api_url());
        client()
            .post(url)
            .json(params)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_post_through_frankensteins_types() {
        let sandbox = start().await;
        let me: MethodResponse<User> = ask(&sandbox, "getMe", &json!({})).await;
        let post = |chat: &str| {
            SendMessageParams::builder()
                .chat_id(chat.to_owned())
                .text("<b>Глава</b> 🙂 <i>первая</i>")
                .parse_mode(ParseMode::Html)
                .build()
        };
        let message: MethodResponse<Message> = ask(&sandbox, "sendMessage", &post(DEFAULT_CHANNEL)).await;
        let message = message.result;
        assert_eq!(
            (message.message_id, message.text.as_deref()),
            (1, Some("Глава 🙂 первая"))
        );
        assert_eq!(message.entities.unwrap()[1].offset, 9);
        let refused: ErrorResponse = ask(&sandbox, "sendMessage", &post(ELSEWHERE_CHANNEL)).await;
        assert_eq!(refused.error_code, 403);
        let member = GetChatMemberParams::builder()
            .chat_id(DEFAULT_CHANNEL.to_owned())
            .user_id(me.result.id)
            .build();
        let member: MethodResponse<ChatMember> = ask(&sandbox, "getChatMember", &member).await;
        let ChatMember::Administrator(rights) = member.result else {
            panic!("must be an administrator")
        };
        assert_eq!(rights.can_post_messages, Some(true));
        sandbox.shutdown().await;
    }

    #[tokio::test]
    async fn a_completion_through_async_openai() {
        let sandbox = start().await;
        let config = OpenAIConfig::new()
            .with_api_base(sandbox.openai_url())
            .with_api_key("any");
        let openai = async_openai::Client::build(client(), config);
        let request = json!({
            "model": DEFAULT_MODEL,
            "messages": [{ "role": "user", "content": format!("Изложи одним предложением.\n<text>{BOOK}</text>") }],
        });
        let whole: Value = openai.chat().create_byot(&request).await.unwrap();
        assert!(BOOK.contains(whole["choices"][0]["message"]["content"].as_str().unwrap()));
        sandbox.shutdown().await;
    }
}
