//! Proxies as existing clients ask for them, with a real one between the account and the sandbox.

use potok_testing::Socks;
use reqwest::Method;
use serde_json::{Value, json};

use crate::telegram::{Desk, refused};

const OLGA: &str = "+70000000011";

fn at(socks: &Socks, password: &str) -> Value {
    json!({ "name": "first", "host": "127.0.0.1", "port": socks.address().port(), "username": "me", "password": password })
}

#[tokio::test]
async fn an_account_goes_through_its_proxy_and_the_proxy_stays_where_it_is() {
    let desk = Desk::new().await;
    let socks = Socks::start("me", "hush-word").await;
    let added = desk.post("/proxies/", &at(&socks, "hush-word")).await;
    assert!(!added.text.contains("hush"), "{}", added.text);
    let proxy = added.ok(200)["data"].clone();
    assert_eq!(
        (&proxy["state"], &proxy["accounts"]),
        (&json!("valid"), &json!(0)),
        "{proxy}"
    );
    refused(&desk.post("/proxies/", &at(&socks, "hush-word")).await, 409);
    let id = &proxy["id"];

    let passed = socks.passed();
    let account = json!({ "phone": OLGA, "api_id": 7, "api_hash": "0123456789abcdef", "proxy_id": id });
    let account = desk.post("/accounts/", &account).await.ok(200)["data"].clone();
    assert_eq!((&account["proxied"], &account["proxy_id"]), (&json!(true), id));
    let path = format!("/accounts/{}", account["id"]);
    desk.post(&format!("{path}/request_code"), &Value::Null).await.ok(200);
    desk.post(&format!("{path}/sign_in"), &json!({ "code": "12345" }))
        .await
        .ok(200);
    assert_eq!(socks.passed(), passed + 1, "one connection, through the proxy");

    let place = format!("/proxies/{id}");
    let moved = json!({ "host": "127.0.0.2" });
    assert!(refused(&desk.ask(Method::PATCH, &place, Some(&moved)).await, 409).contains("1 account"));
    refused(&desk.delete(&place).await, 409);
    assert_eq!(desk.get(&place).await.ok(200)["data"]["accounts"], 1);
    // With another password nobody gets through, and with the right one again.
    let change = json!({ "password": "wrong", "name": "second" });
    let changed = desk.ask(Method::PATCH, &place, Some(&change)).await.ok(200)["data"].clone();
    assert_eq!((&changed["state"], &changed["name"]), (&json!("new"), &json!("second")));
    let look = async || {
        let run = desk
            .rig
            .post("/workflows/telegram/proxy-health/runs?wait=1m", &json!({}))
            .await;
        run.ok(200)["output"].clone()
    };
    let found = look().await;
    assert_eq!(
        (&found["well"], &found["ill"][0]["id"], &found["ill"][0]["accounts"]),
        (&json!(0), id, &json!(1))
    );
    assert!(
        found["ill"][0]["problem"].as_str().unwrap().contains("reached"),
        "{found}"
    );
    desk.ask(Method::PATCH, &place, Some(&json!({ "password": "hush-word" })))
        .await
        .ok(200);
    let checked = desk.post(&format!("{place}/check"), &Value::Null).await.ok(200);
    assert_eq!(checked["data"]["state"], "valid");

    // The account takes a way of its own; then the proxy can go.
    desk.ask(Method::PATCH, &path, Some(&json!({ "proxy": "" })))
        .await
        .ok(200);
    let account = desk.get(&path).await.ok(200)["data"].clone();
    assert_eq!(
        (&account["proxied"], &account["proxy_id"]),
        (&json!(false), &Value::Null)
    );
    desk.delete(&place).await.ok(200);
    refused(&desk.get(&place).await, 404);
    refused(
        &desk.ask(Method::PATCH, &path, Some(&json!({ "proxy_id": id }))).await,
        404,
    );
}

#[tokio::test]
async fn a_proxy_that_is_dead_and_one_that_is_silent_are_told_apart() {
    let desk = Desk::new().await;
    let dead = potok_testing::nobody();
    let dead: u16 = dead.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (port, why) in [
        (dead, "unreachable"),
        (silent.local_addr().unwrap().port(), "says nothing"),
    ] {
        let added = desk
            .post("/proxies/", &json!({ "host": "127.0.0.1", "port": port }))
            .await
            .ok(200);
        assert_eq!(added["data"]["state"], "invalid", "{added}");
        assert!(added["data"]["problem"].as_str().unwrap().contains(why), "{added}");
    }
    let page = desk.get("/proxies/?limit=1&offset=1").await.ok(200);
    assert_eq!((&page["total"], &page["data"][0]["id"]), (&json!(2), &json!(2)));
    for wrong in [
        json!({ "host": "a b", "port": 1 }),
        json!({ "host": "me@there", "port": 1 }),
        json!({ "host": "there", "port": 1, "username": "me", "password": "two words" }),
    ] {
        refused(&desk.post("/proxies/", &wrong).await, 422);
    }
    for wrong in [json!({ "host": "there", "port": 0 }), json!({ "port": 1 })] {
        refused(&desk.post("/proxies/", &wrong).await, 400);
    }
    refused(&desk.ask(Method::PATCH, "/proxies/1", Some(&json!({}))).await, 422);
    refused(&desk.post("/proxies/9/check", &Value::Null).await, 404);
}
