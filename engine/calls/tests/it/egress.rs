//! Where requests may go.

use std::time::{Duration, Instant};

use potok_calls::{HttpContext, HttpRequest};
use potok_dsl::{ErrorType, Problem};
use potok_testing::{Reply, Server};
use serde_json::{Value, json};

use super::{caller, get};

async fn call(allowed: &str, request: &HttpRequest) -> Result<Value, Problem> {
    let cx = HttpContext {
        idempotency_key: "run/task".to_owned(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    caller(allowed).call(request, cx).await
}

fn assert_refused(problem: &Problem, url: &str) {
    assert!(problem.is(ErrorType::Authorization), "{url}: {problem}");
    assert_eq!(
        (problem.status, problem.title.as_deref()),
        (403, Some("Address refused"))
    );
    assert!(problem.detail.as_deref().unwrap().contains("egress"), "{problem}");
}

#[tokio::test]
async fn loopback_is_refused_in_every_notation() {
    let server = Server::always(Reply::Json(200, json!(1))).await;
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "LOCALHOST",
    ] {
        let url = format!("http://{host}:{port}/");
        assert_refused(&call("", &get(&url)).await.unwrap_err(), &url);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn private_networks_and_the_credentials_of_clouds_are_refused() {
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://10.0.0.1/",
        "https://192.168.1.1/",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://255.255.255.255/",
    ] {
        assert_refused(&call("127.0.0.1", &get(url)).await.unwrap_err(), url);
    }
}

#[tokio::test]
async fn what_is_allowed_is_reached() {
    let server = Server::always(Reply::Json(200, json!("here"))).await;
    let named = server.url().replace("127.0.0.1", "localhost");
    for (allowed, url) in [
        ("127.0.0.1", server.url()),
        ("127.0.0.0/8,::1", named.clone()),
        ("localhost", named.clone()),
    ] {
        assert_eq!(call(allowed, &get(&url)).await.unwrap(), "here", "{allowed}");
    }
    // The name is allowed, not what it stands for.
    assert_refused(&call("localhost", &get(&server.url())).await.unwrap_err(), "127.0.0.1");
}

#[tokio::test]
async fn a_redirection_leads_no_further_than_a_request() {
    for target in ["http://127.0.0.2:1/", "http://169.254.169.254/", "http://[::1]:1/"] {
        let server = Server::always(Reply::Full(302, vec![("Location", target.to_owned())], vec![])).await;
        let request = HttpRequest {
            redirect: true,
            ..get(&server.url())
        };
        assert_refused(&call("127.0.0.1", &request).await.unwrap_err(), target);
    }
}

#[tokio::test]
async fn a_refusal_names_the_host_and_no_secret() {
    let said = call("", &get("http://u:hush@localhost/path?token=hush"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("'localhost' has a loopback address") && !said.contains("hush"),
        "{said}"
    );
    assert!(
        !said.contains("127.0.0.1"),
        "what a name stands for is not told: {said}"
    );
}
