//! `oauth2` and `oidc`: tokens asked for, kept, renewed; servers that will not give one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use potok_calls::{HttpCaller, HttpContext, HttpRequest};
use potok_dsl::model::HttpOutput;
use potok_dsl::{ErrorType, Problem};
use potok_testing::{Reply, Request, Server, nobody};
use serde_json::{Value, json};

use super::{caller, full, get};

async fn call(caller: &HttpCaller, request: &HttpRequest) -> Result<Value, Problem> {
    let cx = HttpContext {
        idempotency_key: "run/task".to_owned(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    caller.call(request, cx).await
}

fn with(uri: &str, scheme: &str, policy: Value) -> HttpRequest {
    HttpRequest {
        authentication: Some(json!({ scheme: policy })),
        ..get(uri)
    }
}

fn policy(authority: &str) -> Value {
    json!({ "authority": authority, "grant": "client_credentials", "client": { "id": "me", "secret": "hush" } })
}

/// A token server whose tokens are `t1`, `t2`, …, each with these members besides.
async fn authority(members: Value) -> Server {
    let given = AtomicUsize::new(0);
    Server::start(move |_| {
        let mut answer = members.clone();
        answer["access_token"] = json!(format!("t{}", given.fetch_add(1, Ordering::SeqCst) + 1));
        Reply::Json(200, answer)
    })
    .await
}

/// An API that says which token it got.
async fn api() -> Server {
    Server::start(|request: &Request| Reply::Json(200, json!(request.header("authorization")))).await
}

fn form(request: &Request) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let (tokens, api) = (
        authority(json!({ "expires_in": 3600, "token_type": "Bearer" })).await,
        api().await,
    );
    let mut policy = policy(&format!("{}/realms/r", tokens.url()));
    policy["scopes"] = json!(["read", "write"]);
    policy["audiences"] = json!(["a", "b"]);
    let (caller, request) = (caller("127.0.0.1"), with(&api.url(), "oauth2", policy));
    for _ in 0..3 {
        assert_eq!(call(&caller, &request).await.unwrap(), "Bearer t1");
    }
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].target.as_str()),
        ("POST", "/realms/r/oauth2/token")
    );
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
        ("audience", "a"),
        ("audience", "b"),
        ("client_id", "me"),
        ("client_secret", "hush"),
    ];
    assert_eq!(form(&asked[0]), pairs(&expected));
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let (tokens, api) = (authority(json!({ "expires_in": 3600 })).await, api().await);
    let (caller, request) = (
        caller("127.0.0.1"),
        Arc::new(with(&api.url(), "oauth2", policy(&tokens.url()))),
    );
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (caller, request) = (caller.clone(), Arc::clone(&request));
            tokio::spawn(async move { call(&caller, &request).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "Bearer t1");
    }
    assert_eq!(tokens.requests().len(), 1);
}

#[tokio::test]
async fn the_client_says_who_it_is_in_every_way() {
    let api = api().await;
    for (client, encoding, authorization, body) in [
        (
            json!({ "id": "a b", "secret": "ü:", "authentication": "client_secret_basic" }),
            None,
            Some("Basic YSUyMGI6JUMzJUJDJTNB"),
            "grant_type=client_credentials",
        ),
        (
            json!({ "id": "me", "authentication": "none" }),
            None,
            None,
            "grant_type=client_credentials&client_id=me",
        ),
        (
            json!({ "id": "me", "secret": "s", "authentication": "client_secret_post" }),
            Some("application/json"),
            None,
            r#"{"grant_type":"client_credentials","client_id":"me","client_secret":"s"}"#,
        ),
    ] {
        let tokens = authority(json!({})).await;
        let mut policy = policy(&tokens.url());
        policy["client"] = client;
        if let Some(encoding) = encoding {
            policy["request"] = json!({ "encoding": encoding });
        }
        call(&caller("127.0.0.1"), &with(&api.url(), "oauth2", policy))
            .await
            .unwrap();
        let asked = &tokens.requests()[0];
        assert_eq!(asked.header("authorization"), authorization);
        assert_eq!(String::from_utf8(asked.body.clone()).unwrap(), body);
        let kind = encoding.unwrap_or("application/x-www-form-urlencoded");
        assert_eq!(asked.header("content-type"), Some(kind));
    }
}

#[tokio::test]
async fn passwords_and_refresh_tokens_are_grants() {
    let (tokens, api) = (authority(json!({})).await, api().await);
    let mut policy = policy(&tokens.url());
    policy["grant"] = json!("password");
    policy["username"] = json!("ann");
    policy["password"] = json!("p&w");
    call(&caller("127.0.0.1"), &with(&api.url(), "oauth2", policy.clone()))
        .await
        .unwrap();
    let first = [("grant_type", "password"), ("username", "ann"), ("password", "p&w")];
    assert_eq!(form(&tokens.requests()[0])[..3], pairs(&first));
    policy["grant"] = json!("refresh_token");
    policy["subject"] = json!({ "token": "r0", "type": "urn:ietf:params:oauth:token-type:refresh_token" });
    call(&caller("127.0.0.1"), &with(&api.url(), "oauth2", policy))
        .await
        .unwrap();
    let first = [("grant_type", "refresh_token"), ("refresh_token", "r0")];
    assert_eq!(form(&tokens.requests()[1])[..2], pairs(&first));
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_by_its_refresh_token() {
    let api = api().await;
    // The second refresh token has ended as well: then it is asked for as at first.
    let tokens = Server::start(|request: &Request| {
        let body = String::from_utf8(request.body.clone()).unwrap();
        if body.contains("refresh_token=r1") {
            return Reply::Json(
                200,
                json!({ "access_token": "second", "expires_in": 0, "refresh_token": "r2" }),
            );
        }
        if body.contains("refresh_token=r2") {
            return Reply::Json(400, json!({ "error": "invalid_grant" }));
        }
        Reply::Json(
            200,
            json!({ "access_token": "first", "expires_in": 0, "refresh_token": "r1" }),
        )
    })
    .await;
    let (caller, request) = (caller("127.0.0.1"), with(&api.url(), "oauth2", policy(&tokens.url())));
    for expected in ["Bearer first", "Bearer second", "Bearer first", "Bearer second"] {
        assert_eq!(call(&caller, &request).await.unwrap(), expected);
    }
    let grants: Vec<String> = tokens.requests().iter().map(|asked| form(asked)[0].1.clone()).collect();
    let (first, again) = ("client_credentials", "refresh_token");
    assert_eq!(grants, [first, again, again, first, again]);
    assert_eq!(
        form(&tokens.requests()[1])[2..],
        pairs(&[("client_id", "me"), ("client_secret", "hush")])
    );
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_asked_for_anew_once() {
    let tokens = authority(json!({ "expires_in": 3600 })).await;
    let revoked = Server::start(|request: &Request| match request.header("authorization") {
        Some("Bearer t1") => full(401, "text/plain", ""),
        other => Reply::Json(200, json!({ "with": other, "got": request.json() })),
    })
    .await;
    let caller = caller("127.0.0.1");
    let request = HttpRequest {
        method: "post".to_owned(),
        body: Some(json!({ "n": 1 })),
        ..with(&revoked.url(), "oauth2", policy(&tokens.url()))
    };
    let again = json!({ "with": "Bearer t2", "got": { "n": 1 } });
    assert_eq!(call(&caller, &request).await.unwrap(), again);
    assert_eq!(call(&caller, &request).await.unwrap(), again);
    assert_eq!((tokens.requests().len(), revoked.requests().len()), (2, 3));
    // One that never likes any gets two, and the error is its own.
    let never = Server::always(full(401, "text/plain", "no")).await;
    let problem = call(&caller, &with(&never.url(), "oauth2", policy(&tokens.url())))
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Communication));
    assert_eq!((problem.status, never.requests().len()), (401, 2));
    // What is fixed cannot be asked for anew.
    let problem = call(&caller, &with(&never.url(), "bearer", json!({ "token": "x" })))
        .await
        .unwrap_err();
    assert_eq!((problem.status, never.requests().len()), (401, 3));
}

#[tokio::test]
async fn other_secrets_are_other_tokens() {
    let (tokens, api) = (authority(json!({ "expires_in": 3600 })).await, api().await);
    let caller = caller("127.0.0.1");
    let mut other = policy(&tokens.url());
    other["client"]["secret"] = json!("another");
    assert_eq!(
        call(&caller, &with(&api.url(), "oauth2", policy(&tokens.url())))
            .await
            .unwrap(),
        "Bearer t1"
    );
    assert_eq!(
        call(&caller, &with(&api.url(), "oauth2", other)).await.unwrap(),
        "Bearer t2"
    );
    assert_eq!(
        call(&caller, &with(&api.url(), "oauth2", policy(&tokens.url())))
            .await
            .unwrap(),
        "Bearer t1"
    );
}

#[tokio::test]
async fn an_openid_server_says_where_tokens_are() {
    let (tokens, api) = (authority(json!({})).await, api().await);
    let there = format!("{}/here", tokens.url());
    let described = Server::start(move |_| Reply::Json(200, json!({ "token_endpoint": there }))).await;
    let caller = caller("127.0.0.1");
    let full = format!("{}/realms/r/.well-known/openid-configuration", described.url());
    for (scheme, authority) in [
        ("oidc", format!("{}/realms/r", described.url())),
        ("oidc", full.clone()),
        ("oauth2", full.clone()),
    ] {
        call(&caller, &with(&api.url(), scheme, policy(&authority)))
            .await
            .unwrap();
    }
    assert!(tokens.requests().iter().all(|asked| asked.target == "/here"));
    // The same description serves all three; two of the policies are one.
    assert_eq!((described.requests().len(), tokens.requests().len()), (1, 1));
    assert_eq!(
        described.requests()[0].target,
        "/realms/r/.well-known/openid-configuration"
    );
    for reply in [
        Reply::Json(200, json!({})),
        Reply::Json(200, json!({ "token_endpoint": "file:///x" })),
    ] {
        let described = Server::always(reply).await;
        let problem = call(&caller, &with(&api.url(), "oidc", policy(&described.url())))
            .await
            .unwrap_err();
        assert!(problem.detail.unwrap().contains("names no token endpoint"));
    }
}

#[tokio::test]
async fn token_servers_that_fail_give_errors_that_say_so_and_no_secret() {
    let api = api().await;
    let said = json!({ "error": "invalid_client", "error_description": "hush is wrong" });
    for (reply, kind, status, detail) in [
        (
            Reply::Json(401, said.clone()),
            ErrorType::Authentication,
            401,
            "invalid_client",
        ),
        (
            Reply::Json(400, said.clone()),
            ErrorType::Authentication,
            401,
            "(status 400)",
        ),
        (
            Reply::Json(403, json!({ "error": "hush hush" })),
            ErrorType::Authentication,
            401,
            "(status 403)",
        ),
        (
            full(500, "text/plain", "hush"),
            ErrorType::Communication,
            500,
            "status 500",
        ),
        (
            full(302, "text/plain", "hush"),
            ErrorType::Communication,
            302,
            "status 302",
        ),
        (
            Reply::Json(200, json!({})),
            ErrorType::Communication,
            502,
            "without an access token",
        ),
        (
            full(200, "text/html", "<hush>"),
            ErrorType::Communication,
            502,
            "no JSON",
        ),
        (
            Reply::Json(200, json!({ "access_token": "hush\n" })),
            ErrorType::Configuration,
            400,
            "characters",
        ),
        (
            Reply::Json(200, json!({ "access_token": "hush", "token_type": "DPoP" })),
            ErrorType::Configuration,
            400,
            "no bearer tokens",
        ),
        (
            Reply::Endless(vec![b'x'; 1 << 20]),
            ErrorType::Communication,
            502,
            "more than",
        ),
        (Reply::Close, ErrorType::Communication, 502, ""),
    ] {
        let tokens = Server::always(reply).await;
        let problem = call(&caller("127.0.0.1"), &with(&api.url(), "oauth2", policy(&tokens.url())))
            .await
            .unwrap_err();
        assert!(problem.is(kind), "{problem}");
        assert_eq!(problem.status, status, "{problem}");
        let shown = serde_json::to_string(&problem).unwrap();
        assert!(shown.contains(detail) && !shown.contains("hush"), "{shown}");
    }
    assert!(api.requests().is_empty(), "nothing leaves without its token");
    let problem = call(&caller("127.0.0.1"), &with(&api.url(), "oauth2", policy(&nobody())))
        .await
        .unwrap_err();
    assert_eq!(problem.status, 503);
    let tokens = Server::always(full(503, "text/plain", "")).await;
    let problem = call(
        &caller(""),
        &with("http://93.184.216.34/", "oauth2", policy(&tokens.url())),
    )
    .await
    .unwrap_err();
    assert!(
        problem.is(ErrorType::Authorization),
        "tokens are asked for where requests may go: {problem}"
    );
}

#[tokio::test]
async fn a_token_server_that_hangs_is_left_at_the_deadline() {
    let (tokens, api) = (Server::always(Reply::Hang).await, api().await);
    let cx = HttpContext {
        idempotency_key: "k".to_owned(),
        deadline: Instant::now() + Duration::from_millis(200),
    };
    let caller = caller("127.0.0.1");
    let request = with(&api.url(), "oauth2", policy(&tokens.url()));
    assert!(caller.call(&request, cx).await.unwrap_err().is(ErrorType::Timeout));
}

#[tokio::test]
async fn issuers_are_checked() {
    let api = api().await;
    let tokens = authority(json!({})).await;
    let mut policy = policy(&tokens.url());
    policy["issuers"] = json!(["https://issuer.example"]);
    let problem = call(&caller("127.0.0.1"), &with(&api.url(), "oauth2", policy))
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Authentication) && api.requests().is_empty());
}

#[tokio::test]
async fn a_token_that_a_server_repeats_is_hidden() {
    let tokens = Server::always(Reply::Json(200, json!({ "access_token": "tok/en-canary" }))).await;
    let echo = Server::start(|request: &Request| {
        let said = request.header("authorization").unwrap_or_default().to_owned();
        let status = if request.target == "/fails" { 500 } else { 200 };
        if request.target == "/plain" {
            return full(200, "text/plain", said);
        }
        let body = format!("{{\"said\": [\"{}\"], \"{said}\": 1}}", said.replace('/', "\\/"));
        Reply::Full(
            status,
            vec![("Content-Type", "application/json".into()), ("X-Said", said)],
            body.into_bytes(),
        )
    })
    .await;
    let caller = caller("127.0.0.1");
    for output in [HttpOutput::Content, HttpOutput::Response] {
        let request = HttpRequest {
            output,
            ..with(&echo.url(), "oauth2", policy(&tokens.url()))
        };
        let shown = call(&caller, &request).await.unwrap().to_string();
        assert!(!shown.contains("canary") && shown.contains("Bearer ***"), "{shown}");
    }
    let raw = HttpRequest {
        output: HttpOutput::Raw,
        ..with(&format!("{}/plain", echo.url()), "oauth2", policy(&tokens.url()))
    };
    let raw = call(&caller, &raw).await.unwrap();
    let bytes = STANDARD.decode(raw.as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), "Bearer ***");
    let failing = with(&format!("{}/fails", echo.url()), "oauth2", policy(&tokens.url()));
    let shown = serde_json::to_string(&call(&caller, &failing).await.unwrap_err()).unwrap();
    assert!(!shown.contains("canary") && shown.contains("***"), "{shown}");
}
