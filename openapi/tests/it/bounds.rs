//! What is refused before anything is done with it, and what is the same for every path.

use futures::stream;
use reqwest::{Body, Method};
use serde_json::json;

use crate::rig::{GREET, Rig, answer};

const MIB: usize = 1024 * 1024;

/// A body that does not say its length.
fn chunked(size: usize) -> Body {
    let chunks = std::iter::repeat_n(vec![b'x'; MIB / 4], size / (MIB / 4));
    Body::wrap_stream(stream::iter(chunks.map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn bodies_are_bounded() {
    let rig = Rig::empty().await;
    let put = || {
        rig.ask(Method::PUT, "/workflows")
            .header("content-type", "application/yaml")
    };
    assert!(
        answer(put().body(vec![b'x'; MIB + 1]))
            .await
            .problem(413)
            .contains("1048576")
    );
    answer(put().body(chunked(MIB))).await.problem(422);
    answer(put().body(chunked(3 * MIB))).await.problem(413);
    let blob = || rig.ask(Method::POST, "/blobs");
    answer(blob().body(chunked(65 * MIB))).await.problem(413);
    assert_eq!(answer(blob().body(chunked(64 * MIB))).await.ok(201)["size"], 64 * MIB);
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let rig = Rig::empty().await;
    rig.deploy(GREET).await.ok(201);
    let start = || rig.ask(Method::POST, "/workflows/test/greet/runs?wait=30s");
    for bad in ["{", "nul", "{\"name\": 1e999}", "{} {}", "\u{feff}{}"] {
        answer(start().header("content-type", "application/json").body(bad))
            .await
            .problem(400);
    }
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let detail = answer(start().body(deep)).await.problem(400);
    assert!(detail.contains("recursion"), "{detail}");
    answer(start().body(vec![0xff, 0xfe])).await.problem(400);
    let detail = answer(start().header("content-type", "text/html").body("{}"))
        .await
        .problem(415);
    assert!(detail.contains("application/json"), "{detail}");
    // What `curl -d` and `curl -T` send.
    let form = start()
        .header("content-type", "application/x-www-form-urlencoded")
        .body("{\"name\": \"Ann\"}");
    answer(form).await.ok(200);
    answer(start().body("{\"name\": \"Ann\"}")).await.ok(200);
    answer(
        start()
            .header("content-type", "application/json; charset=utf-8")
            .body("{\"name\": \"Ann\"}"),
    )
    .await
    .ok(200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let rig = Rig::empty().await;
    for path in ["/nothing", "/workflows/", "/runs/a/b/c"] {
        rig.get(path).await.problem(404);
    }
    rig.outside("/nothing").await.problem(404);
    assert!(
        rig.get("/workflows//x")
            .await
            .problem(400)
            .starts_with("in the path: a name of letters")
    );
    let wrong = answer(rig.ask(Method::PATCH, "/workflows")).await;
    wrong.problem(405);
    assert_eq!(wrong.header("allow"), Some("PUT, GET, HEAD, OPTIONS"));
    let wrong = rig.get("/workflows/a/b/runs").await;
    wrong.problem(405);
    assert_eq!(wrong.header("allow"), Some("POST, OPTIONS"));
    let options = answer(rig.ask(Method::OPTIONS, "/workflows/a/b/1.0.0")).await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, Some("GET, DELETE, HEAD, OPTIONS"))
    );
    assert_eq!(options.header("access-control-allow-origin"), None);
    answer(rig.ask(Method::OPTIONS, "/nothing")).await.problem(404);
    let head = answer(rig.ask(Method::HEAD, "/workflows")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(answer(rig.ask(Method::HEAD, "/workflows/a/b")).await.status, 404);
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let rig = Rig::empty().await;
    let put = |name: &'static str, value: String| {
        answer(
            rig.ask(Method::PUT, "/workflows")
                .header(name, value)
                .header("content-type", "text/plain")
                .body(GREET),
        )
    };
    put("origin", "https://evil.example".to_owned()).await.problem(403);
    put("sec-fetch-site", "cross-site".to_owned()).await.problem(403);
    assert_eq!(rig.get("/workflows").await.ok(200)["workflows"], json!([]));
    put("origin", rig.server.url()).await.ok(201);
}

#[tokio::test]
async fn the_server_says_how_it_is() {
    let rig = Rig::with_demo().await;
    rig.deploy(GREET).await.ok(201);
    rig.post("/workflows/test/greet/runs?wait=30s", &json!({ "name": "Ann" }))
        .await
        .ok(200);
    assert_eq!(rig.outside("/api/health").await.ok(200), json!({ "status": "ok" }));
    let metrics = rig.outside("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "potok_runs_started_total 1",
        "potok_runs_ended_total{status=\"completed\"} 1",
        "potok_plugins 1",
        "potok_runs_loaded ",
        "potok_calls_open 0",
        "# TYPE potok_store_commit_seconds histogram",
        "potok_store_commit_seconds_bucket{le=\"+Inf\"}",
        "potok_build_info{version=",
        "# EOF",
    ] {
        assert!(metrics.text.contains(line), "{line}\n{}", metrics.text);
    }
    let docs = rig.outside("/docs").await;
    assert_eq!(
        (docs.status, docs.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(
        docs.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert_eq!(rig.outside("/").await.text, docs.text);
}
