//! Bots and channels outlive the server, and no token lies about.

use std::path::Path;

use potok_sandbox::world::{DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL};
use potok_tests::{PATIENCE, Server};
use reqwest::{Client, Method};
use serde_json::{Value, json};

struct Desk {
    server: Server,
    client: Client,
}

impl Desk {
    async fn open(data: &Path) -> Self {
        // An error means that another test was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            server: Server::start(data, &["--sandbox"]).await,
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.server.url()));
        let response = request.json(body).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}\n{}", self.server.log());
        serde_json::from_str(&text).unwrap()
    }

    /// Starts a task and waits for its result.
    async fn task(&self, path: &str, body: &Value) -> Value {
        let started = self.ask(Method::POST, path, body).await;
        let place = format!("/tasks/{}", started["task_id"].as_str().unwrap());
        let begun = std::time::Instant::now();
        loop {
            let task = self.ask(Method::GET, &place, &Value::Null).await;
            match task["task_status"].as_str().unwrap() {
                "SUCCESS" => return task["task_result"].clone(),
                "PENDING" | "STARTED" | "RETRY" => {}
                other => panic!("{other}: {task}"),
            }
            assert!(begun.elapsed() < PATIENCE, "{task}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn bots_and_channels_outlive_a_crash_and_no_token_lies_about() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let desk = Desk::open(&data).await;
    let added = desk
        .ask(Method::POST, "/bots/", &json!({ "token": DEFAULT_BOT_TOKEN }))
        .await;
    assert_eq!(added["data"]["new"], true);
    let channel = desk.task("/channels/", &json!({ "channel": DEFAULT_CHANNEL })).await;
    desk.server.kill().await;

    let desk = Desk::open(&data).await;
    let bots = desk.ask(Method::GET, "/bots/", &Value::Null).await;
    assert_eq!(bots["data"][0]["channels"], 1);
    let message = json!({ "channel_id": channel["channel_id"], "message": "After the crash" });
    assert_eq!(desk.task("/messages", &message).await["state"], "sent");
    let active = desk
        .ask(Method::GET, "/api/v1/workflows", &Value::Null)
        .await
        .to_string();
    for workflow in ["post", "add-channel", "bot-admin-check"] {
        assert!(active.contains(&format!("\"{workflow}\"")), "{active}");
    }
    desk.server.terminate().await;

    let secret = DEFAULT_BOT_TOKEN.split_once(':').unwrap().1.as_bytes();
    let mut open = vec![home.path().to_owned()];
    let mut files = 0;
    while let Some(place) = open.pop() {
        if place.is_dir() {
            open.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&place).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{} holds the token", place.display());
    }
    assert!(files > 2, "there are the database, its key and the sandbox's world");
}
