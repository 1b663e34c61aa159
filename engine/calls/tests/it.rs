//! `call: http` against servers that behave and servers that do not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "it/egress.rs"]
mod egress;
#[path = "it/openapi.rs"]
mod openapi;
#[path = "it/redirects.rs"]
mod redirects;
#[path = "it/tokens.rs"]
mod tokens;

use std::io::Write;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use potok_calls::{BODY_LIMIT, Egress, HttpCaller, HttpContext, HttpRequest};
use potok_dsl::model::HttpOutput;
use potok_dsl::{ErrorType, Problem};
use potok_testing::{Reply, Server, install_tls, nobody};
use serde_json::{Value, json};

fn get(uri: &str) -> HttpRequest {
    HttpRequest {
        method: "get".to_owned(),
        uri: uri.to_owned(),
        headers: IndexMap::new(),
        query: Vec::new(),
        body: None,
        output: HttpOutput::Content,
        redirect: false,
        authentication: None,
    }
}

fn post(uri: &str, content_type: Option<&str>, body: Value) -> HttpRequest {
    let headers = content_type
        .map(|kind| ("Content-Type".to_owned(), kind.to_owned()))
        .into_iter()
        .collect();
    HttpRequest {
        method: "POST".to_owned(),
        body: Some(body),
        headers,
        ..get(uri)
    }
}

/// A caller that may go to these addresses beside the public ones.
fn caller(allowed: &str) -> HttpCaller {
    install_tls();
    HttpCaller::new(Egress::new(allowed.parse().unwrap()))
}

async fn call(request: &HttpRequest) -> Result<Value, Problem> {
    call_for(request, Duration::from_secs(60)).await
}

async fn call_for(request: &HttpRequest, timeout: Duration) -> Result<Value, Problem> {
    let cx = HttpContext {
        idempotency_key: "run/task".to_owned(),
        deadline: Instant::now() + timeout,
    };
    caller("127.0.0.1").call(request, cx).await
}

fn full(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply::Full(status, vec![("Content-Type", content_type.to_owned())], body.into())
}

fn gzip(bytes: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for chunk in bytes {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.finish().unwrap()
}

#[tokio::test]
async fn the_output_is_what_the_task_asks_for() {
    for (content_type, body, content, raw) in [
        ("application/json", "{\"a\":1}", json!({ "a": 1 }), "eyJhIjoxfQ=="),
        ("application/problem+json; charset=utf-8", "[5]", json!([5]), "WzVd"),
        ("text/plain", "{\"a\":1}", json!("{\"a\":1}"), "eyJhIjoxfQ=="),
        ("application/octet-stream", "abc", json!("YWJj"), "YWJj"),
        ("application/json", "", Value::Null, ""),
    ] {
        let server = Server::always(full(200, content_type, body)).await;
        let mut request = get(&server.url());
        assert_eq!(call(&request).await.unwrap(), content, "{content_type}");
        request.output = HttpOutput::Raw;
        assert_eq!(call(&request).await.unwrap(), raw, "{content_type}");
        request.output = HttpOutput::Response;
        let response = call(&request).await.unwrap();
        assert_eq!(response["content"], content);
        assert_eq!(response["statusCode"], 200);
        assert_eq!(response["headers"]["content-type"], content_type);
    }
    let server = Server::always(Reply::Full(200, vec![], b"no type".to_vec())).await;
    assert_eq!(call(&get(&server.url())).await.unwrap(), "no type");
    let server = Server::always(full(200, "text/plain", vec![0xff, 0xfe])).await;
    assert_eq!(call(&get(&server.url())).await.unwrap(), "//4=", "not UTF-8");
}

#[tokio::test]
async fn the_request_is_what_the_task_says() {
    let server = Server::always(Reply::Json(200, json!(null))).await;
    let mut request = post(&format!("{}/a b?x=1", server.url()), None, json!({ "n": 5 }));
    request.query.push(("q".to_owned(), "a&b=c d/é".to_owned()));
    request.query.push(("q".to_owned(), "2".to_owned()));
    request.headers.insert("X-Two".to_owned(), "2".to_owned());
    call(&request).await.unwrap();
    let received = &server.requests()[0];
    assert_eq!(received.method, "POST");
    assert_eq!(received.target, "/a%20b?x=1&q=a%26b%3Dc+d%2F%C3%A9&q=2");
    assert_eq!(received.header("x-two"), Some("2"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("idempotency-key"), Some("run/task"));
    assert_eq!(received.json(), json!({ "n": 5 }));
}

#[tokio::test]
async fn bodies_leave_as_their_type_wants_them() {
    let server = Server::always(Reply::Json(200, json!(null))).await;
    for (content_type, body, sent) in [
        (None, json!("text"), "\"text\""),
        (None, Value::Null, "null"),
        (Some("application/vnd.x+json"), json!([1]), "[1]"),
        (Some("text/plain"), json!("text"), "text"),
        (Some("text/plain"), json!(5), "5"),
        (
            Some("application/x-www-form-urlencoded"),
            json!({ "a": "b c", "n": 1, "none": null, "&": "é", "list": [1, null, "x"] }),
            "a=b+c&n=1&%26=%C3%A9&list=1&list=x",
        ),
        (Some("application/x-www-form-urlencoded"), json!("a=b"), "a=b"),
    ] {
        call(&post(&server.url(), content_type, body)).await.unwrap();
        let received = server.requests().pop().unwrap();
        assert_eq!(
            String::from_utf8(received.body.clone()).unwrap(),
            sent,
            "{content_type:?}"
        );
        assert_eq!(
            received.header("content-type"),
            content_type.or(Some("application/json"))
        );
    }
}

#[tokio::test]
async fn the_key_goes_with_what_changes_something() {
    let server = Server::always(Reply::Json(200, json!(null))).await;
    for (method, key) in [
        ("GET", None),
        ("head", None),
        ("OPTIONS", None),
        ("post", Some("run/task")),
        ("PUT", Some("run/task")),
        ("DELETE", Some("run/task")),
        ("PATCH", Some("run/task")),
    ] {
        let request = HttpRequest {
            method: method.to_owned(),
            ..get(&server.url())
        };
        call(&request).await.unwrap();
        assert_eq!(
            server.requests().pop().unwrap().header("idempotency-key"),
            key,
            "{method}"
        );
    }
    let mut request = post(&server.url(), None, json!(1));
    request.headers.insert("Idempotency-Key".to_owned(), "mine".to_owned());
    call(&request).await.unwrap();
    assert_eq!(server.requests().pop().unwrap().header("idempotency-key"), Some("mine"));
}

#[tokio::test]
async fn secrets_leave_and_are_not_shown() {
    let server = Server::always(full(200, "text/plain", "ok")).await;
    let mut request = get(&server.url());
    request.output = HttpOutput::Response;
    request
        .headers
        .insert("Authorization".to_owned(), "overridden".to_owned());
    request.headers.insert("X-Api-Key".to_owned(), "hush".to_owned());
    for (authentication, header) in [
        (
            json!({ "basic": { "username": "u", "password": "hush" } }),
            "Basic dTpodXNo",
        ),
        (json!({ "bearer": { "token": "hush" } }), "Bearer hush"),
    ] {
        request.authentication = Some(authentication);
        let output = call(&request).await.unwrap();
        let received = server.requests().pop().unwrap();
        assert_eq!(
            received
                .headers
                .iter()
                .filter(|h| h.0 == "authorization")
                .map(|h| h.1.as_str())
                .collect::<Vec<_>>(),
            [header]
        );
        assert_eq!(output["request"]["headers"]["authorization"], "***");
        assert_eq!(output["request"]["method"], "GET");
        let shown = output.to_string();
        assert!(!shown.contains("hush") && !shown.contains("dTpodXNo"), "{shown}");
    }
    // Nor in an error: not the query, not the password in the URI.
    let server = Server::always(full(500, "text/plain", "")).await;
    let uri = server.url().replace("http://", "http://u:hush@") + "/path?token=hush#hush";
    let problem = call(&get(&uri)).await.unwrap_err();
    let shown = serde_json::to_string(&problem).unwrap();
    assert!(shown.contains("/path") && !shown.contains("hush"), "{shown}");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic dTpodXNo"));
}

#[tokio::test]
async fn a_status_that_is_no_success_is_an_error_with_what_was_said() {
    let said = json!({ "reason": "none left" });
    let reply = Reply::Full(
        409,
        vec![
            ("Content-Type", "application/json".into()),
            ("Retry-After", "3".into()),
            ("X-Why", "because".into()),
        ],
        said.to_string().into_bytes(),
    );
    let server = Server::always(reply).await;
    let problem = call(&get(&server.url())).await.unwrap_err();
    assert!(problem.is(ErrorType::Communication));
    assert_eq!((problem.status, problem.retry_after_ms), (409, Some(3000)));
    assert_eq!(problem.title.as_deref(), Some("Conflict"));
    let data = problem.data.unwrap();
    assert_eq!(
        (&data["content"], &data["headers"]["x-why"]),
        (&said, &json!("because"))
    );
    assert_eq!(server.requests().len(), 1, "nothing is tried again here");
    // Much was said: only the beginning is kept.
    let server = Server::always(full(500, "application/json", format!("\"{}\"", "x".repeat(1 << 20)))).await;
    let problem = call(&get(&server.url())).await.unwrap_err();
    assert_eq!(problem.data.unwrap()["content"].as_str().unwrap().len(), 4096);
    let server = Server::always(Reply::Raw(b"HTTP/1.1 503 No\r\n\r\n".to_vec())).await;
    assert_eq!(call(&get(&server.url())).await.unwrap_err().status, 503);
}

#[tokio::test]
async fn servers_that_misbehave_give_errors_that_say_so() {
    let gzipped = |body: Vec<u8>| Reply::Full(200, vec![("Content-Encoding", "gzip".into())], body);
    let bomb = gzip((0..80).map(|_| vec![0; 1 << 20]));
    assert!(bomb.len() < 1 << 20, "80 MiB in {} bytes", bomb.len());
    for (reply, said) in [
        (Reply::Close, "Connection broken"),
        (Reply::Raw(b"SSH-2.0-nonsense\r\n".to_vec()), "Connection broken"),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
            "Connection broken",
        ),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
            "Connection broken",
        ),
        (full(200, "application/json", "{\"a\":"), "Answer cannot be read"),
        (
            full(
                200,
                "application/json",
                ["[".repeat(100_000), "]".repeat(100_000)].concat(),
            ),
            "Answer cannot be read",
        ),
        (Reply::Endless(vec![b'x'; 1 << 20]), "Answer cannot be read"),
        (gzipped(bomb), "Answer cannot be read"),
        (gzipped(b"not gzip at all".to_vec()), "Connection broken"),
        (
            Reply::Raw([b"HTTP/1.1 200 OK\r\nX: ", "x".repeat(1 << 20).as_bytes(), b"\r\n\r\n"].concat()),
            "Connection broken",
        ),
        (
            Reply::Raw([b"HTTP/1.1 200 OK\r\n", "a: b\r\n".repeat(10_000).as_bytes(), b"\r\n"].concat()),
            "Connection broken",
        ),
    ] {
        let server = Server::always(reply).await;
        let problem = call(&get(&server.url())).await.unwrap_err();
        assert!(problem.is(ErrorType::Communication), "{problem}");
        assert_eq!(
            (problem.status, problem.title.as_deref()),
            (502, Some(said)),
            "{problem}"
        );
    }
    let fits = gzipped(gzip(std::iter::once(b"hello".to_vec())));
    let server = Server::always(fits).await;
    assert_eq!(call(&get(&server.url())).await.unwrap(), "hello");
    let problem = call(&get(&nobody())).await.unwrap_err();
    assert_eq!(problem.status, 503);
    assert!(problem.is(ErrorType::Communication));
}

#[tokio::test]
async fn the_largest_body_is_taken_and_no_larger() {
    let server = Server::always(full(200, "text/plain", vec![b'x'; BODY_LIMIT])).await;
    assert_eq!(
        call(&get(&server.url())).await.unwrap().as_str().unwrap().len(),
        BODY_LIMIT
    );
    let server = Server::always(full(200, "text/plain", vec![b'x'; BODY_LIMIT + 1])).await;
    assert_eq!(call(&get(&server.url())).await.unwrap_err().status, 502);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_at_the_deadline() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    for reply in [Reply::Hang, Reply::Stall(b"HTTP/1.1 200".to_vec()), Reply::Stall(half)] {
        let server = Server::always(reply).await;
        let problem = call_for(&get(&server.url()), Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(problem.is(ErrorType::Timeout), "{problem}");
    }
    let server = Server::always(Reply::Json(200, json!(1))).await;
    assert!(
        call_for(&get(&server.url()), Duration::ZERO)
            .await
            .unwrap_err()
            .is(ErrorType::Timeout)
    );
    assert!(server.requests().is_empty(), "what comes too late never leaves");
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let server = Server::always(Reply::Json(200, json!(1))).await;
    let with = |change: &dyn Fn(&mut HttpRequest)| {
        let mut request = get(&server.url());
        change(&mut request);
        request
    };
    let header = |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), value.to_owned());
        with(&move |r| _ = r.headers.insert(name.clone(), value.clone()))
    };
    for (request, said) in [
        (get("not a uri"), "not a URI"),
        (get("ftp://example.com"), "neither http nor https"),
        (get("/relative"), "not a URI"),
        (with(&|r| r.method = "G ET".into()), "not an HTTP method"),
        (with(&|r| r.method = "connect".into()), "for proxies"),
        (header("bad name", "x"), "not a header's name"),
        (header("x", "a\r\nInjected: yes"), "characters that no header can have"),
        (header("Content-Length", "5"), "leave it out"),
        (header("transfer-encoding", "chunked"), "leave it out"),
        (
            with(&|r| r.authentication = Some(json!({ "digest": {} }))),
            "'digest' is not supported yet",
        ),
        (
            with(&|r| r.authentication = Some(json!({ "bearer": {} }))),
            "needs a token",
        ),
        (
            with(&|r| r.authentication = Some(json!({ "basic": { "username": "a:b", "password": "" } }))),
            "':'",
        ),
        (
            post(&server.url(), Some("text/plain"), json!({ "a": 1 })),
            "make it text",
        ),
        (
            post(
                &server.url(),
                Some("application/x-www-form-urlencoded"),
                json!({ "a": [[1]] }),
            ),
            "make it text",
        ),
    ] {
        let problem = call(&request).await.unwrap_err();
        assert!(problem.is(ErrorType::Configuration), "{problem}");
        assert!(problem.detail.as_deref().unwrap().contains(said), "{said}: {problem}");
    }
    assert!(server.requests().is_empty());
}
