//! Who may ask, over the network.

use std::time::Duration;

use potok_openapi::{Access, Server, ServerConfig};
use serde_json::json;

use crate::rig::{Rig, answer};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn only_who_is_known_may_ask() {
    let rig = Rig::empty().await;
    let access = Access::new([("olga".to_owned(), "a password".to_owned())], [TOKEN.to_owned()]).unwrap();
    let config = ServerConfig {
        listen: "127.0.0.1:0".to_owned(),
        grace: Duration::from_secs(5),
        shipped: Vec::new(),
        access,
    };
    let server = Server::start(rig.node.clone(), config).await.unwrap();
    let get = |path: &str| rig.client.get(format!("{}{path}", server.url()));

    for path in ["/api/v1/runs", "/openapi.json", "/docs", "/metrics", "/nowhere"] {
        let refused = answer(get(path)).await;
        assert!(refused.problem(401).contains("Bearer"), "{path}");
        let schemes: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(schemes.len(), 2, "{path}");
        answer(get(path).basic_auth("olga", Some("another one")))
            .await
            .problem(401);
        answer(get(path).bearer_auth("0123456789abcdef")).await.problem(401);
    }
    // In the words of the other API.
    let refused = answer(get("/bots/")).await;
    assert_eq!((refused.status, &refused.json["status"]), (401, &json!("error")));

    assert_eq!(answer(get("/api/health")).await.status, 200);
    answer(get("/api/v1/runs").bearer_auth(TOKEN)).await.ok(200);
    answer(get("/api/v1/runs").basic_auth("olga", Some("a password")))
        .await
        .ok(200);
    let document = answer(get("/openapi.json").bearer_auth(TOKEN)).await.ok(200);
    assert_eq!(document["security"], json!([{ "basic": [] }, { "token": [] }]));
    // A server that asks nobody says so.
    let open = rig.outside("/openapi.json").await.ok(200);
    assert_eq!(open["security"], json!(null));
    server.stop().await;
}
