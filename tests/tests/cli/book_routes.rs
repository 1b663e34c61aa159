//! Books as existing clients ask for them: `potok serve` with the sandbox's model and Telegram.

use potok_tests::{PATIENCE, Server, repository};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::rig::client;

const ROUTES: &str = "/api/book_analyzer";
const CHANNEL: &str = "@potok_sandbox";

struct Desk {
    server: Server,
    client: reqwest::Client,
    _data: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let data = TempDir::new().unwrap();
        Self {
            server: Server::start(data.path(), &["--sandbox"]).await,
            client: client(),
            _data: data,
        }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.server.url()));
        let (status, answer) = self.answer(request).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn post(&self, operation: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{ROUTES}/{operation}", self.server.url()));
        self.answer(request.json(body)).await
    }

    async fn upload(&self, file: impl Into<Vec<u8>>) -> (u16, Value) {
        let form = Form::new().part("file", Part::bytes(file.into()).file_name("kashtanka.txt"));
        let request = self.client.post(format!("{}{ROUTES}/upload_book", self.server.url()));
        self.answer(request.multipart(form)).await
    }

    /// Starts a task and waits for its end; gives its result.
    async fn done(&self, operation: &str, body: &Value) -> Value {
        let (status, task) = self.post(operation, body).await;
        assert_eq!(status, 200, "{operation}: {task}");
        let path = format!("/tasks/{}", task["task_id"].as_str().unwrap());
        let begun = Instant::now();
        loop {
            let task = self.get(&path).await;
            if task["task_status"] == "SUCCESS" {
                return task["task_result"].clone();
            }
            assert_ne!(task["task_status"], "FAILURE", "{operation}: {task}");
            assert!(begun.elapsed() < PATIENCE, "{operation}: {task}");
            sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn refused(&self, operation: &str, body: &Value, expected: u16) -> String {
        let (status, answer) = self.post(operation, body).await;
        assert_eq!(
            (status, &answer["status"]),
            (expected, &json!("error")),
            "{operation}: {answer}"
        );
        answer["message"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_book_is_uploaded_summarised_and_posted_on_a_schedule() {
    let desk = Desk::new().await;
    let text = std::fs::read(repository().join("workflows/books/kashtanka.txt")).unwrap();
    let (status, uploaded) = desk.upload(text.clone()).await;
    assert_eq!(status, 200, "{uploaded}");
    let book = &uploaded["data"]["book_id"];
    assert_eq!(
        (&uploaded["data"]["filename"], &uploaded["data"]["size"]),
        (&json!("kashtanka.txt"), &json!(text.len()))
    );
    assert_eq!(&desk.upload(text).await.1["data"]["book_id"], book);
    assert_eq!(desk.upload("").await.0, 422);

    let analyzed = desk
        .done("analyze_book", &json!({ "book_id": book, "chunks": 2 }))
        .await;
    assert_eq!(analyzed["summaries"].as_array().unwrap().len(), 2, "{analyzed}");
    let summaries = async |filter: &str| desk.get(&format!("{ROUTES}/summaries?{filter}")).await;
    let all = summaries("used=false&limit=1").await;
    assert_eq!(
        (
            &all["total"],
            &all["data"][0]["book_id"],
            all["data"].as_array().unwrap().len()
        ),
        (&json!(2), book, 1),
        "{all}"
    );

    let post = desk.done("generate_post", &json!({ "book_id": book })).await;
    assert!(!post["text"].as_str().unwrap().is_empty(), "{post}");
    assert_eq!(summaries("used=true").await["total"], 0, "writing is not posting");

    let wanted = json!({ "book_id": book, "channel": CHANNEL, "every_minutes": 1, "posts": 1 });
    let posted = desk.done("start_autopost", &wanted).await;
    assert_eq!(posted["posts"], 1, "{posted}");
    assert_eq!(summaries("used=true").await["total"], 1);
    let log = desk.get(&format!("{ROUTES}/posts_log?state=sent")).await;
    assert_eq!(log["total"], 1, "{log}");
    let row = &log["data"][0];
    assert_eq!(
        (&row["channel"], &row["book_id"], &row["attempts"]),
        (&json!(CHANNEL), book, &json!(1)),
        "{log}"
    );
    assert!(row["message_id"].is_i64() && row["published_at"].is_string(), "{log}");
    assert_eq!(
        desk.get(&format!("{ROUTES}/posts_log?channel=@other")).await["total"],
        0
    );
}

#[tokio::test]
async fn a_channel_has_one_book_at_a_time_and_it_can_be_stopped() {
    let desk = Desk::new().await;
    let (_, uploaded) = desk.upload("Once upon a time there was a river. ".repeat(50)).await;
    let book = &uploaded["data"]["book_id"];
    let wanted = json!({ "book_id": book, "channel": CHANNEL, "schedule": "0 0 1 1 *", "timezone": "Europe/Moscow" });
    let (status, started) = desk.post("start_autopost", &wanted).await;
    assert_eq!(status, 200, "{started}");
    assert!(desk.refused("start_autopost", &wanted, 409).await.contains("unning"));

    let stop = json!({ "channel": CHANNEL });
    let (status, stopped) = desk.post("stop_autopost", &stop).await;
    assert_eq!((status, &stopped["task_id"]), (200, &started["task_id"]), "{stopped}");
    let ended = desk
        .get(&format!("/tasks/{}", started["task_id"].as_str().unwrap()))
        .await;
    assert_eq!(ended["task_status"], "REVOKED");
    desk.refused("stop_autopost", &stop, 404).await;
    // Stopped, it can be started again.
    let (status, again) = desk.post("start_autopost", &wanted).await;
    assert_eq!(status, 200, "{again}");

    for (member, wrong, why) in [
        ("schedule", json!("whenever"), "whenever"),
        ("timezone", json!("Mars"), "Mars"),
        ("every_minutes", json!(5), "either"),
        ("schedule", Value::Null, "either"),
    ] {
        let mut body = wanted.clone();
        body[member] = wrong;
        let message = desk.refused("start_autopost", &body, 422).await;
        assert!(message.contains(why), "{message}");
    }
    desk.refused("analyze_book", &json!({ "book_id": "a book" }), 400).await;
}
