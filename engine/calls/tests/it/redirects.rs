//! `redirect`: followed when the workflow asks for it, an error when it does not.

use potok_calls::HttpRequest;
use potok_dsl::ErrorType;
use potok_dsl::model::HttpOutput;
use potok_testing::{Reply, Request, Server};
use serde_json::json;

use super::{call, full, get, post};

fn to(status: u16, location: impl Into<String>) -> Reply {
    Reply::Full(status, vec![("Location", location.into())], b"moved".to_vec())
}

/// A server that redirects from `/` to `/there` and says there what it got.
async fn moved(status: u16) -> Server {
    Server::start(move |request: &Request| match request.target.as_str() {
        "/there" => Reply::Json(200, json!({ "method": request.method, "body": request.json() })),
        _ => to(status, "/there"),
    })
    .await
}

fn followed(request: HttpRequest) -> HttpRequest {
    HttpRequest {
        redirect: true,
        ..request
    }
}

#[tokio::test]
async fn without_redirect_a_redirection_is_an_error() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let server = moved(status).await;
        let problem = call(&get(&server.url())).await.unwrap_err();
        assert!(problem.is(ErrorType::Communication));
        assert_eq!(problem.status, status);
        assert_eq!(problem.data.unwrap()["headers"]["location"], "/there");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn with_redirect_it_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = moved(status).await;
        let mut request = followed(get(&server.url()));
        assert_eq!(call(&request).await.unwrap()["method"], "GET", "{status}");
        request.output = HttpOutput::Response;
        let output = call(&request).await.unwrap();
        assert_eq!(
            (&output["statusCode"], &output["content"]["method"]),
            (&json!(200), &json!("GET"))
        );
        let there = format!("{}/there", server.url());
        assert_eq!(output["request"]["uri"], there, "the request that was answered");
    }
    // The last answer may still be an error.
    let server = Server::start(|request: &Request| match request.target.as_str() {
        "/" => to(302, "/gone"),
        _ => full(404, "text/plain", ""),
    })
    .await;
    let problem = call(&followed(get(&server.url()))).await.unwrap_err();
    assert_eq!(problem.status, 404);
    assert!(problem.detail.unwrap().contains("/gone"));
}

#[tokio::test]
async fn methods_and_bodies_go_as_browsers_do_it() {
    for (status, method, body) in [
        (301, "GET", json!(null)),
        (302, "GET", json!(null)),
        (303, "GET", json!(null)),
        (307, "POST", json!({ "n": 1 })),
        (308, "POST", json!({ "n": 1 })),
    ] {
        let server = moved(status).await;
        let output = call(&followed(post(&server.url(), None, json!({ "n": 1 }))))
            .await
            .unwrap();
        assert_eq!(output, json!({ "method": method, "body": body }), "{status}");
        let there = server.requests().pop().unwrap();
        let kept = if method == "POST" { Some("run/task") } else { None };
        assert_eq!(there.header("idempotency-key"), kept);
        assert_eq!(there.header("content-type").is_some(), kept.is_some());
    }
    let server = moved(302).await;
    let put = HttpRequest {
        method: "put".to_owned(),
        ..post(&server.url(), None, json!(5))
    };
    assert_eq!(
        call(&followed(put)).await.unwrap(),
        json!({ "method": "PUT", "body": 5 })
    );
}

#[tokio::test]
async fn a_redirection_that_leads_nowhere_is_the_answer() {
    for reply in [
        Reply::Full(304, vec![], vec![]),
        Reply::Full(300, vec![("Location", "/x".into())], vec![]),
        Reply::Full(302, vec![], vec![]),
        to(302, "mailto:nobody@example.com"),
        to(302, "http://["),
    ] {
        let server = Server::always(reply).await;
        let request = HttpRequest {
            output: HttpOutput::Response,
            ..followed(get(&server.url()))
        };
        let status = call(&request).await.unwrap()["statusCode"].as_u64().unwrap();
        assert!((300..400).contains(&status));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_circle_is_left() {
    let server = Server::always(to(302, "/again")).await;
    let problem = call(&followed(get(&server.url()))).await.unwrap_err();
    assert!(problem.is(ErrorType::Communication));
    assert_eq!(
        (problem.status, problem.title.as_deref()),
        (302, Some("Too many redirections"))
    );
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn what_is_secret_stays_with_the_first_origin() {
    let other = Server::always(Reply::Json(200, json!("there"))).await;
    // With a user in the location, which a browser would send on.
    let there = other.url().replace("http://", "http://u:p@") + "/x";
    let server = Server::start(move |request: &Request| match request.target.as_str() {
        "/" => to(307, "/same"),
        _ => to(307, there.clone()),
    })
    .await;
    let mut request = followed(post(&server.url(), Some("application/json"), json!(1)));
    for (name, value) in [("X-Mine", "hush"), ("Cookie", "a=hush"), ("Accept", "application/json")] {
        request.headers.insert(name.to_owned(), value.to_owned());
    }
    request.authentication = Some(json!({ "bearer": { "token": "hush" } }));
    assert_eq!(call(&request).await.unwrap(), "there");
    let same = server.requests().pop().unwrap();
    assert_eq!(
        (same.header("authorization"), same.header("x-mine")),
        (Some("Bearer hush"), Some("hush"))
    );
    let received = other.requests().pop().unwrap();
    assert!(!format!("{received:?}").contains("hush"), "{received:?}");
    assert_eq!(received.header("authorization"), None);
    assert_eq!(received.header("accept"), Some("application/json"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.json(), 1);
}
