//! User accounts as existing clients ask for them, with MTProto between the provider and the sandbox.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use potok_sandbox::{Fault, FaultKind, Target, world::DEFAULT_CHANNEL};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    rig::Answer,
    telegram::{Desk, refused},
};

const OLGA: &str = "+70000000011";
const PAVEL: &str = "+70000000012";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Desk {
    async fn add_account(&self, phone: &str) -> i64 {
        let body = json!({ "name": "", "phone": phone, "api_id": 7, "api_hash": SECRET });
        let added = self.post("/accounts/", &body).await.ok(200);
        assert_eq!(added["data"]["status"], "new", "{added}");
        added["data"]["id"].as_i64().unwrap()
    }

    pub(super) async fn signed_in(&self, phone: &str) -> i64 {
        let id = self.add_account(phone).await;
        self.post(&format!("/accounts/{id}/request_code"), &Value::Null)
            .await
            .ok(200);
        self.code(id, "12345").await.ok(200);
        id
    }

    async fn code(&self, id: i64, code: &str) -> Answer {
        self.post(&format!("/accounts/{id}/sign_in"), &json!({ "code": code }))
            .await
    }

    async fn status_of(&self, id: i64) -> Value {
        self.get(&format!("/accounts/{id}")).await.ok(200)["data"]["status"].clone()
    }

    fn refuse(&self, method: &str, code: u16, message: &str) {
        assert!(self.sandbox.inject(Fault {
            target: Target::Mtproto,
            method: Some(method.to_owned()),
            after: 0,
            times: 1,
            kind: FaultKind::Rpc {
                code,
                message: message.to_owned()
            },
        }));
    }
}

#[tokio::test]
async fn accounts_are_kept_changed_and_removed_and_tell_no_secret() {
    let desk = Desk::new().await;
    let olga = desk.add_account(OLGA).await;
    let body =
        json!({ "name": "second", "phone": "+7 000 000-00-12", "api_id": 7, "api_hash": SECRET, "comment": "50% off" });
    let second = desk.post("/accounts", &body).await.ok(200)["data"]["id"].clone();
    let taken = json!({ "phone": OLGA, "api_id": 7, "api_hash": SECRET });
    assert!(refused(&desk.post("/accounts/", &taken).await, 409).contains(OLGA));
    for wrong in [
        json!({ "phone": "hello", "api_id": 7, "api_hash": SECRET }),
        json!({ "phone": "+70000000019", "api_id": 7, "api_hash": SECRET, "daily_limit": 201 }),
        json!({ "phone": "+70000000019" }),
    ] {
        refused(&desk.post("/accounts/", &wrong).await, 400);
    }

    let proxied = json!({ "api_id": 7, "api_hash": SECRET, "proxy": "http://there" });
    assert!(refused(&desk.post("/accounts/", &proxied).await, 422).contains("socks5"));

    let page = desk.get("/accounts/?limit=1&offset=1").await.ok(200);
    assert_eq!((&page["total"], &page["data"][0]["id"]), (&json!(2), &second));
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    for (query, found) in [
        ("status=new", 2),
        ("status=active", 0),
        ("phone=%2B70000000011", 1),
        ("search=50%25", 1),
        ("search=SECOND", 1),
        ("search=_", 0),
    ] {
        let listed = desk.get(&format!("/accounts/?{query}")).await.ok(200);
        assert_eq!(listed["total"], found, "{query}");
    }
    assert_eq!(desk.get("/api/accounts").await.ok(200)["total"], 2);
    refused(&desk.get("/accounts/?status=odd").await, 400);
    refused(&desk.get("/accounts/999").await, 404);

    let path = format!("/accounts/{olga}");
    let change = json!({ "comment": "the owner", "daily_limit": 10 });
    let changed = desk.ask(Method::PATCH, &path, Some(&change)).await.ok(200);
    assert_eq!(
        (&changed["data"]["comment"], &changed["data"]["daily_limit"]),
        (&json!("the owner"), &json!(10))
    );
    assert_eq!(changed["data"]["phone"], OLGA);
    let replaced = desk
        .ask(Method::PUT, &path, Some(&json!({ "name": "Olga" })))
        .await
        .ok(200);
    assert_eq!(
        (&replaced["data"]["comment"], &replaced["data"]["daily_limit"]),
        (&json!(""), &json!(40))
    );
    let update = json!({ "account_id": olga, "comment": "again" });
    let updated = desk.post("/api/accounts/update", &update).await.ok(200);
    assert_eq!(
        (&updated["data"]["name"], &updated["data"]["comment"]),
        (&json!("Olga"), &json!("again"))
    );
    refused(&desk.ask(Method::PATCH, &path, Some(&json!({}))).await, 422);
    // It never signed in, so nothing can be done in its name.
    let active = json!({ "status": "active" });
    refused(&desk.ask(Method::PATCH, &path, Some(&active)).await, 409);

    desk.delete(&path).await.ok(200);
    refused(&desk.delete(&path).await, 404);

    let runs = desk.rig.get("/runs?limit=100").await.ok(200);
    for run in runs["runs"].as_array().unwrap() {
        let shown = desk
            .rig
            .get(&format!("/runs/{}/history", run["id"].as_str().unwrap()))
            .await;
        assert!(!shown.text.contains(SECRET), "{}", shown.text);
    }
}

#[tokio::test]
async fn an_account_signs_in_by_code_and_password() {
    let desk = Desk::new().await;
    let id = desk.add_account(PAVEL).await;
    refused(&desk.code(id, "12345").await, 409);
    let sent = desk
        .post(&format!("/accounts/{id}/request_code"), &Value::Null)
        .await
        .ok(200);
    assert_eq!(sent["data"]["status"], "code_requested");
    assert!(refused(&desk.code(id, "54321").await, 422).contains("code is wrong"));
    desk.refuse("auth.signIn", 400, "PHONE_CODE_EXPIRED");
    assert!(refused(&desk.code(id, "12345").await, 422).contains("expired"));
    desk.post(&format!("/accounts/{id}/request_code"), &Value::Null)
        .await
        .ok(200);
    let due = desk.code(id, "12345").await.ok(200);
    assert_eq!(due["data"]["password_needed"], true, "{due}");
    assert_eq!(desk.status_of(id).await, "password_requested");
    let password = async |word: &str| {
        let path = format!("/accounts/{id}/password");
        desk.post(&path, &json!({ "password": word })).await
    };
    assert!(refused(&password("wrong").await, 422).contains("wrong"));
    assert_eq!(password("sandbox").await.ok(200)["data"]["status"], "active");
}

#[tokio::test]
async fn an_account_is_added_by_a_scanned_qr_code() {
    let desk = Desk::new().await;
    refused(
        &desk
            .post("/api/accounts/add", &json!({ "name": "no application" }))
            .await,
        422,
    );
    let body = json!({ "api_id": 7, "api_hash": SECRET });
    let shown = desk.post("/api/accounts/add", &body).await.ok(200)["data"].clone();
    let picture = shown["qr_code"].as_str().unwrap();
    assert!(picture.starts_with("data:image/svg+xml;base64,"), "{picture}");
    let id = shown["account_id"].as_i64().unwrap();
    let again = async || {
        desk.post("/api/accounts/add", &json!({ "account_id": id }))
            .await
            .ok(200)["data"]
            .clone()
    };
    let waits = again().await;
    assert_eq!(waits["account"]["status"], "new", "{waits}");
    let token = waits["link"].as_str().unwrap().split_once("token=").unwrap().1;
    let token = BASE64_URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).unwrap();
    desk.sandbox.scan(&token, OLGA).await.unwrap();
    let saved = again().await;
    assert_eq!(
        (&saved["account"]["status"], &saved["account"]["phone"]),
        (&json!("active"), &json!(OLGA))
    );
    assert_eq!(saved["qr_code"], Value::Null);
    // Who asks once more hears the same.
    assert_eq!(again().await["account"]["status"], "active");
}

#[tokio::test]
async fn what_stands_between_an_account_and_telegram_is_told() {
    let desk = Desk::new().await;
    let id = desk.add_account(OLGA).await;
    let request = format!("/accounts/{id}/request_code");
    desk.refuse("auth.sendCode", 420, "FLOOD_WAIT_37");
    assert!(refused(&desk.post(&request, &Value::Null).await, 429).contains("37"));
    // It rests, and nothing more is asked.
    let asked = desk.sandbox.mtproto_calls("auth.sendCode");
    refused(&desk.post(&request, &Value::Null).await, 429);
    assert_eq!(desk.sandbox.mtproto_calls("auth.sendCode"), asked);

    let dead = potok_testing::nobody();
    let dead = dead.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = silent.local_addr().unwrap().to_string();
    for (phone, proxy, why) in [
        ("+70000000012", dead, "cannot be reached"),
        ("+70000000013", silent_at, "in time"),
    ] {
        let body =
            json!({ "phone": phone, "api_id": 7, "api_hash": SECRET, "proxy": format!("socks5://me:hush@{proxy}") });
        let added = desk.post("/accounts/", &body).await;
        assert!(!added.text.contains("hush"), "{}", added.text);
        let id = added.ok(200)["data"]["id"].clone();
        let message = refused(
            &desk.post(&format!("/accounts/{id}/request_code"), &Value::Null).await,
            503,
        );
        assert!(message.contains(why), "{message}");
    }
}

#[tokio::test]
async fn the_hourly_look_finds_an_account_whose_session_was_ended() {
    let desk = Desk::new().await;
    let id = desk.signed_in(OLGA).await;
    let look = async || {
        let run = desk
            .rig
            .post("/workflows/telegram/account-health/runs?wait=1m", &json!({}))
            .await;
        run.ok(200)["output"].clone()
    };
    assert_eq!(look().await, json!({ "well": 1, "ill": [], "unchecked": [] }));
    desk.sandbox.revoke_sessions(OLGA).await.unwrap();
    let found = look().await;
    assert_eq!(
        (&found["ill"][0]["account"], &found["ill"][0]["status"]),
        (&json!(id), &json!("new"))
    );
    assert!(
        found["ill"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("ended the session"),
        "{found}"
    );
    assert_eq!(desk.status_of(id).await, "new");
}

#[tokio::test]
async fn members_are_listed_where_the_account_is_an_administrator_and_nowhere_else() {
    let desk = Desk::new().await;
    let olga = desk.signed_in(OLGA).await;
    let ivan = desk.signed_in("+70000000013").await;
    let wanted = |account: i64| json!({ "account_id": account, "chat": DEFAULT_CHANNEL });
    let (status, found) = desk.task("/api/parse", &wanted(olga)).await;
    assert_eq!(status, "SUCCESS", "{found}");
    let people = found["people"].as_array().unwrap();
    assert_eq!(found["count"], people.len());
    assert!(people.iter().any(|person| person["administrator"] == true), "{found}");
    assert_eq!(found["csv"].as_str().unwrap().lines().count(), people.len() + 1);

    let file = desk.get("/api/parse/download/latest").await;
    assert_eq!((file.status, Some(file.text.as_str())), (200, found["csv"].as_str()));
    assert!(file.header("content-disposition").unwrap().starts_with("attachment"));
    let state = desk.get("/api/parse/status").await.ok(200)["data"].clone();
    assert_eq!(
        (&state["task_status"], &state["count"]),
        (&json!("SUCCESS"), &found["count"])
    );
    let task = state["task_id"].as_str().unwrap();
    let text = desk.get(&format!("/api/parse/download/{task}.txt")).await;
    assert_eq!(Some(text.text.as_str()), found["text"].as_str());

    let (status, why) = desk.task("/api/parse", &wanted(ivan)).await;
    assert_eq!(status, "FAILURE", "{why}");
    assert!(why["message"].as_str().unwrap().contains("no administrator"), "{why}");
    let state = desk.get("/api/parse/status").await.ok(200)["data"].clone();
    assert!(
        state["task_status"] == "FAILURE" && state["message"].is_string(),
        "{state}"
    );
    let failed = state["task_id"].as_str().unwrap();
    refused(&desk.get(&format!("/api/parse/download/{failed}.csv")).await, 404);
    assert_eq!(desk.get("/api/parse/download/latest.txt").await.status, 200);
    refused(&desk.get("/api/parse/download/secrets.csv").await, 400);
    refused(
        &desk
            .get(&format!("/api/parse/status?task_id={}", uuid::Uuid::nil()))
            .await,
        404,
    );
    let too_many = json!({ "account_id": olga, "chat": "@a", "limit": 1001 });
    refused(&desk.post("/api/parse", &too_many).await, 400);
}

#[tokio::test]
async fn an_account_that_cannot_reach_telegram_can_be_removed() {
    let desk = Desk::new().await;
    let id = desk.signed_in(OLGA).await;
    let dead = potok_testing::nobody();
    let proxy = format!("socks5://{}", dead.trim_start_matches("http://").trim_end_matches('/'));
    let path = format!("/accounts/{id}");
    desk.ask(Method::PATCH, &path, Some(&json!({ "proxy": proxy })))
        .await
        .ok(200);
    desk.delete(&path).await.ok(200);
    refused(&desk.get(&path).await, 404);
}
