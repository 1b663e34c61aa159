//! A post is sent at most once for one key, whatever breaks when: against a scripted Bot API, with tables that can fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "it/accounts.rs"]
mod accounts;
#[path = "it/outreach.rs"]
mod outreach;
#[path = "it/registry.rs"]
mod registry;
#[path = "it/warming.rs"]
mod warming;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_sandbox::world::{DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL, ELSEWHERE_CHANNEL, READ_ONLY_CHANNEL};
use potok_sandbox::{Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target};
use potok_telegram::{Pacing, PostState, SettleError, Settlement, TelegramConfig, TelegramProvider};
use potok_testing::{Fate, MemoryTables, Reply, Server, context, install_tls, nobody};
use potok_wasm::{Param, Provider};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const LONG: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Telegram {
    provider: Arc<TelegramProvider>,
    tables: Arc<MemoryTables>,
}

impl Telegram {
    fn at(url: &str) -> Self {
        Self::with(config(url))
    }

    fn with(config: TelegramConfig) -> Self {
        install_tls();
        let provider = TelegramProvider::new(config).unwrap();
        let tables = MemoryTables::new(provider.migrations());
        Self {
            provider: Arc::new(provider),
            tables,
        }
    }

    /// The same tables, a process of its own.
    fn restarted(&self, url: &str) -> Self {
        Self {
            tables: self.tables.clone(),
            ..Self::at(url)
        }
    }

    async fn post(&self, key: &str) -> Result<Value, Problem> {
        self.post_request(key, json!({ "channel": "@News", "text": "Hello, *world*!" }), LONG)
            .await
    }

    async fn post_request(&self, key: &str, request: Value, timeout: Duration) -> Result<Value, Problem> {
        self.call(key, "post", request, timeout).await
    }

    async fn call(&self, key: &str, function: &str, request: Value, timeout: Duration) -> Result<Value, Problem> {
        let cx = context(self.tables.clone(), key, timeout);
        self.provider
            .call(&cx, "potok:telegram/bot", function, json!({ "request": request }))
            .await
    }

    /// The states of all posts by their keys.
    fn states(&self) -> Vec<(String, String)> {
        let text = |param: &Param| match param {
            Param::Text(text) => text.clone(),
            other => format!("{other:?}"),
        };
        let rows = self.tables.query("SELECT key, state FROM posts ORDER BY key");
        rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
    }

    fn state(&self) -> String {
        self.states().pop().map_or_else(|| "none".to_owned(), |state| state.1)
    }
}

fn config(url: &str) -> TelegramConfig {
    TelegramConfig {
        base_url: url.to_owned(),
        bots: BTreeMap::from([
            ("default".to_owned(), "1:token".to_owned()),
            ("other".to_owned(), "2:token".to_owned()),
        ]),
        timeout: Duration::from_secs(20),
        pacing: Pacing::OFF,
        ..TelegramConfig::default()
    }
}

fn sent() -> Reply {
    let chat = json!({ "id": -1001, "type": "channel", "title": "News", "username": "News" });
    let message = json!({ "message_id": 7, "date": 1_769_846_400, "chat": chat, "text": "…" });
    Reply::Json(200, json!({ "ok": true, "result": message }))
}

fn refusal(code: u16, description: &str, parameters: Value) -> Reply {
    Reply::Json(
        code,
        json!({ "ok": false, "error_code": code, "description": description, "parameters": parameters }),
    )
}

fn answer() -> Value {
    json!({ "state": "sent", "message_id": 7, "url": "https://t.me/News/7", "published_at": "2026-01-31T08:00:00.000Z" })
}

fn unknown() -> Value {
    json!({ "state": "unknown", "message_id": null, "url": null, "published_at": null })
}

/// Does the first thing first, then always the second.
async fn first_then(first: Reply, then: Reply) -> Server {
    let requests = AtomicUsize::new(0);
    let reply = move |_: &_| match requests.fetch_add(1, Ordering::SeqCst) {
        0 => first.clone(),
        _ => then.clone(),
    };
    Server::start(reply).await
}

#[tokio::test]
async fn a_post_is_sent_once_and_answered_from_its_row_ever_after() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    let source = json!({ "book": "blob:sha256:1", "chunk": "c", "prompt": "p", "model": "m" });
    let request =
        json!({ "bot": null, "channel": "@News", "text": "5 > 3, *yes*.", "format": "markdown", "source": source });
    for _ in 0..2 {
        assert_eq!(
            telegram.post_request("run/post", request.clone(), LONG).await.unwrap(),
            answer()
        );
    }
    assert_eq!(telegram.restarted(&nobody()).post("run/post").await.unwrap(), answer());
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, "/bot1:token/sendMessage");
    let expected = json!({ "chat_id": "@news", "text": "5 \\> 3, _yes_\\.", "parse_mode": "MarkdownV2" });
    assert_eq!(requests[0].json(), expected);
    let post = telegram
        .provider
        .find_post(&*telegram.tables, "run/post/1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (post.state, post.attempts, post.message_id),
        (PostState::Sent, 1, Some(7))
    );
    assert_eq!(
        (post.book.as_deref(), post.chunk.as_deref()),
        (Some("blob:sha256:1"), Some("c"))
    );
    assert_eq!((post.prompt.as_deref(), post.model.as_deref()), (Some("p"), Some("m")));
    assert_eq!(
        (post.content.as_str(), post.channel.as_str(), post.bot.as_str()),
        ("5 > 3, *yes*.", "@News", "default")
    );
    assert_eq!(
        (post.error, post.published_at),
        (None, Some(Timestamp(1_769_846_400_000)))
    );
}

#[tokio::test]
async fn plain_text_other_bots_and_private_channels() {
    let chat = json!({ "id": -1001, "type": "channel", "title": "Secret" });
    let message = json!({ "message_id": 8, "chat": chat });
    let server = Server::always(Reply::Json(200, json!({ "ok": true, "result": message }))).await;
    let telegram = Telegram::at(&server.url());
    let request = json!({ "bot": "other", "channel": "-1001", "text": "a_b*c", "format": "plain" });
    let posted = telegram.post_request("key", request, LONG).await.unwrap();
    assert_eq!(
        posted,
        json!({ "state": "sent", "message_id": 8, "url": null, "published_at": null })
    );
    assert_eq!(server.requests()[0].target, "/bot2:token/sendMessage");
    assert_eq!(
        server.requests()[0].json(),
        json!({ "chat_id": -1001, "text": "a_b*c" })
    );
}

#[tokio::test]
async fn what_can_never_be_sent_leaves_no_trace() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    for (request, kind) in [
        (json!({ "channel": "@news", "text": "" }), ErrorType::Validation),
        (json!({ "channel": "@news", "text": " \n" }), ErrorType::Validation),
        (
            json!({ "channel": "@news", "text": "x".repeat(4097) }),
            ErrorType::Validation,
        ),
        (json!({ "channel": "news", "text": "x" }), ErrorType::Validation),
        (
            json!({ "channel": "@news", "text": "x", "format": "html" }),
            ErrorType::Validation,
        ),
        (
            json!({ "channel": "@news", "text": "x", "surprise": 1 }),
            ErrorType::Validation,
        ),
        (
            json!({ "bot": "nobody", "channel": "@news", "text": "x" }),
            ErrorType::Configuration,
        ),
    ] {
        let problem = telegram.post_request("key", request.clone(), LONG).await.unwrap_err();
        assert!(problem.is(kind), "{request}: {problem}");
    }
    assert!(server.requests().is_empty());
    assert_eq!(telegram.state(), "none");
}

// What breaks when, in the order of the protocol.

#[tokio::test]
async fn before_the_intent_nothing_is_sent_and_the_next_call_sends() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    telegram.tables.script(|_| Fate::Refused);
    assert_eq!(telegram.post("key").await.unwrap_err().status, 503);
    assert!(server.requests().is_empty());
    telegram.tables.script(|_| Fate::Done);
    assert_eq!(telegram.post("key").await.unwrap(), answer());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_intent_that_may_be_recorded_is_never_followed_by_a_blind_send() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    telegram.tables.script(|_| Fate::AnswerLost);
    assert_eq!(telegram.post("key").await.unwrap_err().status, 503);
    assert_eq!(telegram.state(), "intent");
    telegram.tables.script(|_| Fate::Done);
    for _ in 0..3 {
        assert_eq!(telegram.post("key").await.unwrap(), unknown());
    }
    assert_eq!(telegram.state(), "unknown");
    assert!(server.requests().is_empty());
}

/// Posts in a process of its own, which is killed when the future is done.
async fn post_and_crash(telegram: &Telegram, url: &str, when: impl Future<Output = ()>) {
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let telegram = telegram.restarted(url);
    process.spawn(async move { telegram.post("key").await });
    when.await;
    // Every task ends where it stands; seen from outside it is a kill.
    process.shutdown_background();
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_crash_between_intent_and_send_leaves_the_post_unknown() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    telegram.tables.script(|_| Fate::NoAnswer);
    post_and_crash(&telegram, &server.url(), until(|| telegram.state() == "intent")).await;
    telegram.tables.script(|_| Fate::Done);
    let after = telegram.restarted(&server.url());
    for _ in 0..2 {
        assert_eq!(after.post("key").await.unwrap(), unknown());
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_crash_between_send_and_answer_leaves_the_post_unknown() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::always(Reply::Wait(gate.clone(), Box::new(sent()))).await;
    let telegram = Telegram::at(&server.url());
    post_and_crash(&telegram, &server.url(), server.wait_for(1)).await;
    gate.add_permits(100);
    let after = telegram.restarted(&server.url());
    for _ in 0..2 {
        assert_eq!(after.post("key").await.unwrap(), unknown());
    }
    assert_eq!(server.requests().len(), 1, "never twice");
}

#[tokio::test]
async fn a_crash_between_answer_and_record_leaves_the_post_unknown() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    let writes = Arc::new(AtomicUsize::new(0));
    // The second write is the record of the answer: it is not made any more.
    telegram.tables.script({
        let writes = writes.clone();
        move |_| {
            if writes.fetch_add(1, Ordering::SeqCst) == 0 {
                Fate::Done
            } else {
                Fate::Lost
            }
        }
    });
    post_and_crash(&telegram, &server.url(), until(|| writes.load(Ordering::SeqCst) == 2)).await;
    telegram.tables.script(|_| Fate::Done);
    let after = telegram.restarted(&server.url());
    for _ in 0..2 {
        assert_eq!(after.post("key").await.unwrap(), unknown());
    }
    assert_eq!(server.requests().len(), 1, "never twice");
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_still_told_and_never_sent_again() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    let writes = Arc::new(AtomicUsize::new(0));
    telegram.tables.script({
        let writes = writes.clone();
        move |_| {
            if writes.fetch_add(1, Ordering::SeqCst) == 0 {
                Fate::Done
            } else {
                Fate::Refused
            }
        }
    });
    assert_eq!(telegram.post("key").await.unwrap(), answer());
    assert_eq!(writes.load(Ordering::SeqCst), 4, "the record is tried three times");
    telegram.tables.script(|_| Fate::Done);
    assert_eq!(telegram.post("key").await.unwrap(), unknown());
    assert_eq!(server.requests().len(), 1);
    // A store that comes back in time loses nothing.
    let writes = AtomicUsize::new(0);
    telegram
        .tables
        .script(move |_| match writes.fetch_add(1, Ordering::SeqCst) {
            1 => Fate::Refused,
            _ => Fate::Done,
        });
    assert_eq!(telegram.post("second").await.unwrap(), answer());
    assert_eq!(telegram.state(), "sent");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_the_answer() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::always(Reply::Wait(gate.clone(), Box::new(sent()))).await;
    let telegram = Telegram::at(&server.url());
    let post = |key: &'static str| {
        let telegram = telegram.clone();
        tokio::spawn(async move { telegram.post(key).await })
    };
    // One goes away by being dropped, one by its deadline.
    let dropped = post("key");
    server.wait_for(1).await;
    dropped.abort();
    let request = json!({ "channel": "@News", "text": "x" });
    let problem = telegram
        .post_request("key", request.clone(), Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Timeout), "{problem}");
    let settled = telegram
        .provider
        .settle(&*telegram.tables, "key/1", Settlement::SendAgain, Timestamp(i64::MAX))
        .await;
    assert!(matches!(settled, Err(SettleError::InProgress(_))));
    // The next call waits for the answer that is still to come.
    let next = post("key");
    gate.add_permits(1);
    assert_eq!(next.await.unwrap().unwrap(), answer());
    let problem = telegram
        .post_request("late", request, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Timeout), "{problem}");
    gate.add_permits(1);
    assert_eq!(telegram.post("late").await.unwrap(), answer());
    assert_eq!(server.requests().len(), 2, "one for each key");
}

#[tokio::test]
async fn calls_with_one_key_at_the_same_time_send_once() {
    let server = Server::always(sent()).await;
    let telegram = Telegram::at(&server.url());
    let other_node = telegram.restarted(&server.url());
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let telegram = if number % 2 == 0 {
                telegram.clone()
            } else {
                other_node.clone()
            };
            tokio::spawn(async move { telegram.post("key").await })
        })
        .collect();
    for call in calls {
        // The other node cannot know that the first one lives, and takes its intent for one that a crash has left.
        match call.await.unwrap() {
            Ok(posted) => assert!(posted == answer() || posted == unknown(), "{posted}"),
            Err(problem) => assert_eq!(problem.status, 409, "{problem}"),
        }
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        telegram.post("key").await.unwrap(),
        answer(),
        "the answer that came is the truth"
    );
}

#[tokio::test]
async fn answers_that_say_nothing_leave_the_post_unknown() {
    let bad = |status: u16, body: &str| Reply::Full(status, vec![], body.as_bytes().to_vec());
    for reply in [
        Reply::Close,
        Reply::Raw(b"nonsense\r\n".to_vec()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\":true".to_vec()),
        Reply::Endless(vec![b' '; 65536]),
        bad(200, "<html>hello</html>"),
        bad(200, ""),
        bad(302, ""),
        bad(408, "gateway"),
        bad(502, "<html>bad gateway</html>"),
        refusal(500, "Internal Server Error", Value::Null),
        Reply::Json(200, json!({ "ok": true, "result": true })),
    ] {
        let server = Server::always(reply.clone()).await;
        let telegram = Telegram::at(&server.url());
        for _ in 0..3 {
            assert_eq!(telegram.post("key").await.unwrap(), unknown(), "{reply:?}");
        }
        assert_eq!(server.requests().len(), 1, "{reply:?}");
        let listed = telegram
            .provider
            .unknown_posts(&*telegram.tables, Timestamp(0))
            .await
            .unwrap();
        assert_eq!(listed.len(), 1);
        assert!(
            listed[0]
                .error
                .as_deref()
                .is_some_and(|error| !error.contains("1:token")),
            "{:?}",
            listed[0].error
        );
    }
    let server = Server::always(Reply::Hang).await;
    let telegram = Telegram::with(TelegramConfig {
        timeout: Duration::from_millis(100),
        ..config(&server.url())
    });
    for _ in 0..2 {
        assert_eq!(telegram.post("key").await.unwrap(), unknown());
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_definitely_was_not_sent_may_be_sent_again() {
    for (code, description, kind) in [
        (400, "Bad Request: chat not found", ErrorType::Communication),
        (401, "Unauthorized", ErrorType::Authentication),
        (
            403,
            "Forbidden: bot is not a member of the channel chat",
            ErrorType::Authorization,
        ),
    ] {
        let server = first_then(refusal(code, description, Value::Null), sent()).await;
        let telegram = Telegram::at(&server.url());
        let problem = telegram.post("key").await.unwrap_err();
        assert_eq!((problem.status, problem.detail.as_deref()), (code, Some(description)));
        assert!(problem.is(kind));
        assert_eq!(telegram.state(), "failed");
        assert_eq!(telegram.post("key").await.unwrap(), answer());
        let post = telegram
            .provider
            .find_post(&*telegram.tables, "key/1")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((post.state, post.attempts, post.error), (PostState::Sent, 2, None));
        assert_eq!(server.requests().len(), 2);
    }
    // Nobody was there: nothing left.
    let telegram = Telegram::at(&nobody());
    let problem = telegram.post("key").await.unwrap_err();
    assert_eq!(problem.status, 503);
    assert!(!problem.to_string().contains("token"), "{problem}");
    assert_eq!(telegram.state(), "failed");
    let server = Server::always(sent()).await;
    assert_eq!(telegram.restarted(&server.url()).post("key").await.unwrap(), answer());
}

#[tokio::test]
async fn a_flood_is_reported_and_rests_the_bot() {
    let flood = refusal(429, "Too Many Requests: retry after 37", json!({ "retry_after": 37 }));
    let server = Server::always(flood).await;
    let telegram = Telegram::at(&server.url());
    let problem = telegram.post("key").await.unwrap_err();
    assert!(problem.is(ErrorType::Communication));
    assert_eq!((problem.status, problem.retry_after_ms), (429, Some(37_000)));
    assert_eq!(telegram.state(), "failed");
    // Until then nothing is sent, to whatever channel; another bot goes on.
    for (key, channel) in [("key", "@News"), ("other", "@elsewhere")] {
        let problem = telegram
            .post_request(key, json!({ "channel": channel, "text": "x" }), LONG)
            .await
            .unwrap_err();
        assert_eq!(problem.status, 429);
        assert!(
            problem
                .retry_after_ms
                .is_some_and(|wait| (20_000..=37_000).contains(&wait)),
            "{problem:?}"
        );
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        telegram.states(),
        [("key/1".to_owned(), "failed".to_owned())],
        "no intent while the bot rests"
    );
    telegram
        .post_request("b", json!({ "bot": "other", "channel": "@News", "text": "x" }), LONG)
        .await
        .unwrap_err();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn posts_to_one_channel_wait_for_each_other_or_are_told_when_to_come() {
    let server = Server::always(sent()).await;
    let pacing = Pacing {
        interval: Duration::from_millis(150),
        per_minute: 0,
    };
    let telegram = Telegram::with(TelegramConfig {
        pacing,
        ..config(&server.url())
    });
    let begin = std::time::Instant::now();
    for key in ["a", "b", "c"] {
        telegram.post(key).await.unwrap();
    }
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let pacing = Pacing {
        interval: Duration::from_secs(3600),
        per_minute: 0,
    };
    let telegram = Telegram::with(TelegramConfig {
        pacing,
        ..config(&server.url())
    });
    telegram.post("a").await.unwrap();
    let problem = telegram.post("b").await.unwrap_err();
    assert_eq!(problem.status, 429);
    assert!(
        problem.retry_after_ms.is_some_and(|wait| wait > 3_000_000),
        "{problem:?}"
    );
    assert_eq!(telegram.states().len(), 1, "no intent for what was not even tried");
}

// What people do.

#[tokio::test]
async fn a_person_settles_an_unknown_post_as_sent() {
    let server = Server::always(Reply::Close).await;
    let telegram = Telegram::at(&server.url());
    telegram.post("key").await.unwrap();
    let (provider, tables) = (&telegram.provider, &*telegram.tables);
    let found = Settlement::Sent { message_id: Some(9) };
    let settled = provider.settle(tables, "key/1", found, Timestamp(5)).await.unwrap();
    assert_eq!((settled.state, settled.message_id), (PostState::Sent, Some(9)));
    assert_eq!(settled.url.as_deref(), Some("https://t.me/news/9"));
    assert!(
        provider
            .unknown_posts(tables, Timestamp(i64::MAX))
            .await
            .unwrap()
            .is_empty()
    );
    let posted = telegram.post("key").await.unwrap();
    assert_eq!((&posted["state"], &posted["message_id"]), (&json!("sent"), &json!(9)));
    for settlement in [Settlement::SendAgain, Settlement::Sent { message_id: None }] {
        let again = provider.settle(tables, "key/1", settlement, Timestamp(6)).await;
        assert!(matches!(
            again,
            Err(SettleError::NotUnknown {
                state: PostState::Sent,
                ..
            })
        ));
    }
    let missing = provider
        .settle(tables, "nothing", Settlement::SendAgain, Timestamp(6))
        .await;
    assert!(matches!(missing, Err(SettleError::NotFound(_))));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_person_has_an_unknown_post_sent_again() {
    for by_resend in [false, true] {
        let server = first_then(Reply::Close, sent()).await;
        let telegram = Telegram::at(&server.url());
        let (provider, tables) = (&telegram.provider, telegram.tables.clone());
        let resend = async |key: &str| provider.resend(tables.clone(), key, Timestamp(6), LONG).await;
        assert_eq!(telegram.post("key").await.unwrap(), unknown());
        assert_eq!(resend("key/1").await.unwrap(), unknown(), "not settled yet");
        let settled = provider
            .settle(&*tables, "key/1", Settlement::SendAgain, Timestamp(5))
            .await
            .unwrap();
        assert_eq!(settled.state, PostState::ToSend);
        let posted = if by_resend {
            resend("key/1").await
        } else {
            telegram.post("key").await
        };
        assert_eq!(posted.unwrap(), answer());
        assert_eq!(resend("key/1").await.unwrap(), answer());
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].json(), requests[1].json());
        assert_eq!(resend("nothing").await.unwrap_err().status, 404);
    }
}

#[tokio::test]
async fn an_intent_that_nobody_calls_again_is_listed_once_it_is_old() {
    let telegram = Telegram::at(&nobody());
    telegram.tables.script(|_| Fate::AnswerLost);
    telegram.post("key").await.unwrap_err();
    telegram.tables.script(|_| Fate::Done);
    let (provider, tables) = (&telegram.provider, &*telegram.tables);
    let began = provider.find_post(tables, "key/1").await.unwrap().unwrap().updated_at;
    let soon = Timestamp(began.0 + 1000);
    assert!(
        provider.unknown_posts(tables, soon).await.unwrap().is_empty(),
        "its answer may still come"
    );
    let early = provider.settle(tables, "key/1", Settlement::SendAgain, soon).await;
    assert!(matches!(
        early,
        Err(SettleError::NotUnknown {
            state: PostState::Intent,
            ..
        })
    ));
    let old = Timestamp(began.0 + 3_600_000);
    assert_eq!(provider.unknown_posts(tables, old).await.unwrap().len(), 1);
    let settled = provider
        .settle(tables, "key/1", Settlement::SendAgain, old)
        .await
        .unwrap();
    assert_eq!(settled.state, PostState::ToSend);
}

#[tokio::test]
async fn verifying_says_who_the_bot_is_and_what_it_may() {
    let good = |result: Value| Reply::Json(200, json!({ "ok": true, "result": result }));
    let server = Server::start(move |request| match request.target.as_str() {
        "/bot1:token/getMe" => good(json!({ "id": 1, "is_bot": true, "first_name": "Bot", "username": "a_bot" })),
        "/bot1:token/getChat" => good(json!({ "id": -1001, "type": "channel", "title": "News" })),
        "/bot1:token/getChatMember" if request.json() == json!({ "chat_id": "@news", "user_id": 1 }) => {
            good(json!({ "status": "administrator", "user": {}, "can_post_messages": true }))
        }
        _ => refusal(401, "Unauthorized", Value::Null),
    })
    .await;
    let telegram = Telegram::at(&server.url());
    let alone = telegram.call("key", "verify", json!({}), LONG).await.unwrap();
    assert_eq!(
        alone,
        json!({ "id": 1, "username": "a_bot", "name": "Bot", "membership": null })
    );
    let there = telegram
        .call("key", "verify", json!({ "channel": "@News" }), LONG)
        .await
        .unwrap();
    let membership = json!({ "id": -1001, "title": "News", "status": "administrator", "can_post": true });
    assert_eq!(there["membership"], membership);
    let problem = telegram
        .call("key", "verify", json!({ "bot": "other" }), LONG)
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Authentication));
    let server = Server::always(Reply::Hang).await;
    let telegram = Telegram::at(&server.url());
    let problem = telegram
        .call("key", "verify", json!({}), Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Timeout));
    let problem = Telegram::at(&nobody())
        .call("key", "verify", json!({}), LONG)
        .await
        .unwrap_err();
    assert_eq!(problem.status, 503);
}

// Against the sandbox, which keeps the real server's rules.

async fn sandbox() -> (RunningSandbox, Telegram) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let bots = BTreeMap::from([
        ("default".to_owned(), DEFAULT_BOT_TOKEN.to_owned()),
        ("bad".to_owned(), "1:no".to_owned()),
    ]);
    let telegram = Telegram::with(TelegramConfig {
        bots,
        ..config(&sandbox.bot_api_url())
    });
    (sandbox, telegram)
}

#[tokio::test]
async fn a_post_looks_as_it_was_meant_to() {
    let (sandbox, telegram) = sandbox().await;
    let text =
        "# A title!\n\n> quoted (really)\n\n*Half* of **it** costs $5.00 [here](https://example.com/a_(b)) — `x_y`.";
    let request = json!({ "channel": DEFAULT_CHANNEL, "text": text });
    let posted = telegram.post_request("key", request.clone(), LONG).await.unwrap();
    assert_eq!(telegram.post_request("key", request, LONG).await.unwrap(), posted);
    let messages = sandbox.messages(DEFAULT_CHANNEL);
    assert_eq!(messages.len(), 1);
    assert_eq!(
        messages[0].content.text,
        "A title!\n\nquoted (really)\n\nHalf of it costs $5.00 here — x_y."
    );
    assert_eq!(
        posted["url"],
        format!(
            "https://t.me/{}/{}",
            DEFAULT_CHANNEL.trim_start_matches('@'),
            posted["message_id"]
        )
    );
    assert!(posted["published_at"].is_string());
}

#[tokio::test]
async fn rights_and_refusals_are_those_of_telegram() {
    let (sandbox, telegram) = sandbox().await;
    let verify = async |request: Value| telegram.call("key", "verify", request, LONG).await;
    for (channel, can_post) in [(DEFAULT_CHANNEL, true), (READ_ONLY_CHANNEL, false)] {
        let verified = verify(json!({ "channel": channel })).await.unwrap();
        assert_eq!(verified["membership"]["can_post"], can_post, "{verified}");
        assert_eq!(verified["membership"]["status"], "administrator");
        assert!(verified["username"].is_string());
    }
    assert!(
        verify(json!({ "bot": "bad" }))
            .await
            .unwrap_err()
            .is(ErrorType::Authentication)
    );
    for channel in [READ_ONLY_CHANNEL, ELSEWHERE_CHANNEL, "@nowhere_at_all"] {
        let problem = telegram
            .post_request(channel, json!({ "channel": channel, "text": "x" }), LONG)
            .await
            .unwrap_err();
        assert!((400..500).contains(&problem.status), "{problem}");
        assert!(sandbox.messages(channel).is_empty());
    }
    assert!(
        telegram.states().iter().all(|(_, state)| state == "failed"),
        "{:?}",
        telegram.states()
    );
}

#[tokio::test]
async fn whatever_the_server_does_there_is_never_a_second_message() {
    for (kind, state, messages) in [
        (FaultKind::CloseBeforeAnswer, "unknown", 1),
        (FaultKind::CloseBeforeProcessing, "unknown", 0),
        (FaultKind::Garbage, "unknown", 0),
        (FaultKind::HangBeforeAnswer, "unknown", 1),
        (FaultKind::Hang, "unknown", 0),
        (
            FaultKind::Status {
                status: 502,
                retry_after: None,
            },
            "unknown",
            0,
        ),
        (
            FaultKind::Status {
                status: 403,
                retry_after: None,
            },
            "sent",
            1,
        ),
        (FaultKind::Slow(50), "sent", 1),
    ] {
        let (sandbox, _) = sandbox().await;
        let bots = BTreeMap::from([("default".to_owned(), DEFAULT_BOT_TOKEN.to_owned())]);
        let hangs = matches!(kind, FaultKind::Hang | FaultKind::HangBeforeAnswer);
        let timeout = if hangs {
            Duration::from_millis(300)
        } else {
            Duration::from_secs(20)
        };
        let telegram = Telegram::with(TelegramConfig {
            bots,
            timeout,
            ..config(&sandbox.bot_api_url())
        });
        assert!(sandbox.inject(Fault {
            target: Target::Bot,
            method: Some("sendMessage".into()),
            after: 0,
            times: 1,
            kind: kind.clone()
        }));
        for _ in 0..3 {
            let _ = telegram
                .post_request("key", json!({ "channel": DEFAULT_CHANNEL, "text": "x" }), LONG)
                .await;
        }
        assert_eq!(
            (telegram.state().as_str(), sandbox.messages(DEFAULT_CHANNEL).len()),
            (state, messages),
            "{kind:?}"
        );
    }
}
