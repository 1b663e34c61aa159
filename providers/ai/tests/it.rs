//! The capability as a plugin's calls see it, against servers that behave and servers that do not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use potok_ai::{AiConfig, AiProvider};
use potok_dsl::{ErrorType, Problem};
use potok_testing::{Fate, MemoryTables, Reply, Server, context, install_tls, nobody};
use potok_wasm::{Param, Provider};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const KEY: &str = "sk-very-secret";

struct Ai {
    provider: AiProvider,
    tables: Arc<MemoryTables>,
}

impl Ai {
    fn at(url: &str) -> Self {
        Self::with(AiConfig {
            base_url: format!("{url}/v1"),
            api_key: Some(KEY.to_owned()),
            ..config()
        })
    }

    fn with(config: AiConfig) -> Self {
        install_tls();
        let provider = AiProvider::new(config).unwrap();
        let tables = MemoryTables::new(provider.migrations());
        Self { provider, tables }
    }

    async fn ask(&self, key: &str, request: Value) -> Result<Value, Problem> {
        self.ask_for(key, request, Duration::from_secs(20)).await
    }

    async fn ask_for(&self, key: &str, request: Value, timeout: Duration) -> Result<Value, Problem> {
        let cx = context(self.tables.clone(), key, timeout);
        self.provider
            .call(&cx, "potok:ai/chat", "complete", json!({ "request": request }))
            .await
    }

    fn usage(&self) -> Vec<Vec<Param>> {
        self.tables
            .query("SELECT call_key, run, model, prompt_tokens, completion_tokens FROM ai_usage ORDER BY call_key")
    }
}

fn config() -> AiConfig {
    AiConfig {
        default_model: "small".to_owned(),
        timeout: Duration::from_secs(20),
        ..AiConfig::default()
    }
}

fn hello() -> Value {
    json!({ "model": null, "messages": [{ "role": "user", "content": "hello" }], "temperature": null, "max_tokens": null })
}

fn good() -> Reply {
    Reply::Json(
        200,
        json!({
            "id": "1", "object": "chat.completion", "model": "small-2",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "eos" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 },
        }),
    )
}

fn row(key: &str, tokens: Option<(i64, i64)>) -> Vec<Param> {
    let (prompt, completion) = tokens.unzip();
    vec![
        key.into(),
        Param::Null,
        "small-2".into(),
        prompt.into(),
        completion.into(),
    ]
}

#[tokio::test]
async fn asks_once_and_records_what_it_cost() {
    let server = Server::always(good()).await;
    let ai = Ai::at(&server.url());
    let answer = ai.ask("run/task", hello()).await.unwrap();
    let expected = json!({ "text": "hi", "model": "small-2", "finish_reason": "eos", "usage": { "input_tokens": 3, "output_tokens": 4 } });
    assert_eq!(answer, expected);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].target.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(requests[0].header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(requests[0].header("openai-organization"), None);
    assert_eq!(
        requests[0].json(),
        json!({ "model": "small", "messages": [{ "role": "user", "content": "hello" }] })
    );
    assert_eq!(ai.usage(), [row("run/task/1", Some((3, 4)))]);
    // The same call again, as after a crash: one row.
    ai.ask("run/task", hello()).await.unwrap();
    ai.ask("run/other", hello()).await.unwrap();
    assert_eq!(
        ai.usage(),
        [row("run/other/1", Some((3, 4))), row("run/task/1", Some((3, 4)))]
    );
}

#[tokio::test]
async fn what_the_plugin_asks_for_goes_before_what_the_operator_set() {
    let server = Server::always(good()).await;
    let ai = Ai::with(AiConfig {
        base_url: server.url(),
        temperature: Some(0.25),
        ..config()
    });
    ai.ask("a", hello()).await.unwrap();
    let messages = json!([{ "role": "system", "content": "s" }, { "role": "user", "content": "u" }, { "role": "assistant", "content": "a" }]);
    ai.ask(
        "b",
        json!({ "model": "big", "messages": messages, "temperature": 1.5, "max_tokens": 9 }),
    )
    .await
    .unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), None, "no key, no header");
    assert_eq!(requests[0].target, "/chat/completions");
    assert_eq!(requests[0].json()["temperature"], 0.25);
    assert_eq!(
        requests[1].json(),
        json!({ "model": "big", "messages": messages, "temperature": 1.5, "max_tokens": 9 })
    );
}

#[tokio::test]
async fn a_busy_server_is_asked_once_and_its_wait_is_passed_on() {
    for (status, header, wait) in [
        (429, Some("7"), Some(7000)),
        (503, Some("0"), Some(0)),
        (429, None, None),
        (500, None, None),
    ] {
        let headers = header
            .map(|value| ("Retry-After", value.to_owned()))
            .into_iter()
            .collect();
        let body = json!({ "error": { "message": "slow down", "type": "requests", "code": "rate_limit_exceeded" } });
        let server = Server::always(Reply::Full(status, headers, body.to_string().into_bytes())).await;
        let ai = Ai::at(&server.url());
        let problem = ai.ask("key", hello()).await.unwrap_err();
        assert!(problem.is(ErrorType::Communication));
        assert_eq!((problem.status, problem.retry_after_ms), (status, wait));
        assert_eq!(problem.detail.as_deref(), Some("slow down"));
        assert_eq!(
            problem.data,
            Some(json!({ "code": "rate_limit_exceeded", "type": "requests" }))
        );
        assert_eq!(server.requests().len(), 1, "{status} is not tried again here");
        assert!(ai.usage().is_empty());
    }
}

#[tokio::test]
async fn refusals_say_what_to_do_and_never_show_the_key() {
    let said = json!({ "error": { "message": format!("no such key: {KEY}"), "code": KEY } });
    for (status, kind) in [
        (401, ErrorType::Authentication),
        (403, ErrorType::Authorization),
        (404, ErrorType::Communication),
        (307, ErrorType::Configuration),
        (502, ErrorType::Communication),
    ] {
        for body in [said.to_string(), format!("<html>{KEY}</html>"), String::new()] {
            let server = Server::always(Reply::Full(
                status,
                vec![("Location", "/elsewhere".into())],
                body.into_bytes(),
            ))
            .await;
            let problem = Ai::at(&server.url()).ask("key", hello()).await.unwrap_err();
            assert!(problem.is(kind), "{status}: {problem}");
            assert_eq!(problem.status, status);
            let shown = serde_json::to_string(&problem).unwrap();
            assert!(!shown.contains(KEY), "{shown}");
            assert_eq!(server.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn answers_that_are_none_are_told_with_what_came() {
    let gzip_of_garbage = Reply::Full(200, vec![("Content-Encoding", "gzip".into())], b"not gzip".to_vec());
    for (reply, status, said) in [
        (
            Reply::Full(200, vec![], b"<html>hello</html>".to_vec()),
            502,
            "<html>hello</html>",
        ),
        (Reply::Full(200, vec![], vec![]), 502, "not JSON"),
        (Reply::Full(200, vec![], vec![0xff, 0xfe]), 502, "not JSON"),
        (
            Reply::Full(
                200,
                vec![],
                ["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes(),
            ),
            502,
            "not JSON",
        ),
        (Reply::Json(200, json!({ "choices": [] })), 502, "no choices"),
        (
            Reply::Json(200, json!({ "choices": [{ "message": { "content": "" } }] })),
            502,
            "said nothing",
        ),
        (Reply::Json(200, json!("yes")), 502, "no choices"),
        (Reply::Endless(vec![b' '; 65536]), 502, "over 8388608 bytes"),
        (Reply::Raw(b"SSH-2.0-nonsense\r\n".to_vec()), 502, ""),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()),
            502,
            "",
        ),
        (Reply::Close, 502, ""),
        (gzip_of_garbage, 502, ""),
    ] {
        let server = Server::always(reply.clone()).await;
        let ai = Ai::at(&server.url());
        let problem = ai.ask("key", hello()).await.unwrap_err();
        assert_eq!(problem.status, status, "{problem}");
        assert!(problem.is(ErrorType::Communication));
        let detail = problem.detail.unwrap();
        assert!(
            detail.contains(said) && !detail.is_empty() && detail.len() < 3000,
            "{detail}"
        );
        assert_eq!(server.requests().len(), 1, "{detail}");
        assert!(ai.usage().is_empty());
    }
}

#[tokio::test]
async fn nobody_there() {
    let problem = Ai::at(&nobody()).ask("key", hello()).await.unwrap_err();
    assert_eq!(problem.status, 503);
    assert!(problem.is(ErrorType::Communication));
}

#[tokio::test]
async fn a_server_that_hangs_is_left_at_the_deadline() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    for reply in [
        Reply::Hang,
        Reply::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Reply::Stall(half),
    ] {
        let server = Server::always(reply).await;
        let ai = Ai::at(&server.url());
        let begin = Instant::now();
        let problem = ai
            .ask_for("key", hello(), Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(problem.is(ErrorType::Timeout), "{problem}");
        assert_eq!(problem.status, 408);
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
    // The operator's own limit holds too.
    let server = Server::always(Reply::Hang).await;
    let ai = Ai::with(AiConfig {
        base_url: server.url(),
        timeout: Duration::from_millis(200),
        ..config()
    });
    assert!(ai.ask("key", hello()).await.unwrap_err().is(ErrorType::Timeout));
}

#[tokio::test]
async fn no_more_requests_at_once_than_allowed() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::always(Reply::Wait(gate.clone(), Box::new(good()))).await;
    let ai = Arc::new(Ai::with(AiConfig {
        base_url: server.url(),
        concurrency: 2,
        ..config()
    }));
    let calls: Vec<_> = (0..6)
        .map(|number| {
            let ai = ai.clone();
            tokio::spawn(async move { ai.ask(&number.to_string(), hello()).await })
        })
        .collect();
    for answered in 0..=4 {
        server.wait_for(answered + 2).await;
        assert_eq!(server.requests().len(), answered + 2);
        gate.add_permits(1);
    }
    gate.add_permits(1);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // With all places taken, a call ends at its deadline.
    let waiting = [ai.ask("a", hello()), ai.ask("b", hello())];
    let late = async {
        server.wait_for(8).await;
        ai.ask_for("c", hello(), Duration::from_millis(100)).await.unwrap_err()
    };
    let [first, second] = waiting;
    tokio::select! {
        problem = late => assert!(problem.is(ErrorType::Timeout), "{problem}"),
        _ = async { tokio::join!(first, second) } => panic!("the gate is shut"),
    }
}

#[tokio::test]
async fn bookkeeping_that_fails_does_not_cost_the_answer() {
    let server = Server::always(good()).await;
    let ai = Ai::at(&server.url());
    ai.tables.script(|_| Fate::Refused);
    assert_eq!(ai.ask("key", hello()).await.unwrap()["text"], "hi");
    // A server that does not say what it cost is recorded without.
    ai.tables.script(|_| Fate::Done);
    let silent = json!({ "model": "small-2", "choices": [{ "message": { "content": "hi" } }] });
    let server = Server::always(Reply::Json(200, silent)).await;
    let silent = Ai::at(&server.url());
    assert_eq!(silent.ask("key", hello()).await.unwrap()["usage"], Value::Null);
    assert_eq!(silent.usage(), [row("key/1", None)]);
}

#[tokio::test]
async fn requests_that_make_no_sense_never_leave() {
    let server = Server::always(good()).await;
    let ai = Ai::at(&server.url());
    for request in [
        json!({ "messages": [] }),
        json!({ "messages": [{ "role": "robot", "content": "x" }] }),
        json!({ "messages": [{ "role": "user", "content": "x" }], "temperature": 2.5 }),
        json!({ "messages": [{ "role": "user", "content": "x" }], "surprise": 1 }),
        json!({ "messages": [{ "role": "user", "content": "x".repeat(9 << 20) }] }),
        json!({}),
    ] {
        let problem = ai.ask("key", request).await.unwrap_err();
        assert!(problem.is(ErrorType::Validation), "{problem}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_sandbox_answers_like_any_other_server() {
    let sandbox = potok_sandbox::Sandbox::start(potok_sandbox::SandboxConfig::default())
        .await
        .unwrap();
    let default_model = potok_sandbox::DEFAULT_MODEL.to_owned();
    let ai = Ai::with(AiConfig {
        base_url: sandbox.openai_url(),
        default_model,
        ..config()
    });
    let text = "The rabbit was late for the party. Alice followed the rabbit into its hole. The rabbit hole went straight on \
                like a tunnel. Then it dipped suddenly down, and Alice fell.";
    let messages =
        json!([{ "role": "system", "content": "Summarise in one sentence." }, { "role": "user", "content": text }]);
    let answer = ai.ask("key", json!({ "messages": messages })).await.unwrap();
    let summary = answer["text"].as_str().unwrap();
    assert!(summary.len() < text.len() && summary.contains("rabbit"), "{summary}");
    assert!(answer["usage"]["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(ai.usage().len(), 1);
    sandbox.inject(potok_sandbox::Fault {
        target: potok_sandbox::Target::Ai,
        method: None,
        after: 0,
        times: 1,
        kind: potok_sandbox::FaultKind::Status {
            status: 429,
            retry_after: Some(3),
        },
    });
    let problem = ai.ask("key", json!({ "messages": messages })).await.unwrap_err();
    assert_eq!((problem.status, problem.retry_after_ms), (429, Some(3000)));
    let problem = ai
        .ask("key", json!({ "model": "nothing", "messages": messages }))
        .await
        .unwrap_err();
    assert_eq!(problem.status, 404);
}
