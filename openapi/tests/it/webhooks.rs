//! Webhooks: registered, told of what fits, signed, told again when they fail, given up in the end.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use poem::{EndpointExt, Request, Response, Route, endpoint::make, listener::Acceptor};
use potok_journal::{SqlStatement, SqlValue, SqliteStore, Store};
use potok_node::{NodeConfig, WebhookConfig};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::rig::{KEY, Rig, answer};

/// A server that answers as it is told and remembers what it was sent.
#[derive(Default)]
pub struct Receiver {
    answers: Mutex<VecDeque<u16>>,
    got: Mutex<Vec<(String, i64, String, Value)>>,
    came: Notify,
}

impl Receiver {
    /// Starts it; the first answers are these, all others 204.
    pub async fn start(answers: &[u16]) -> (Arc<Self>, String) {
        let receiver = Arc::new(Self {
            answers: Mutex::new(answers.iter().copied().collect()),
            ..Self::default()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let acceptor = poem::listener::TcpAcceptor::from_tokio(listener).unwrap();
        assert!(!acceptor.local_addr().is_empty());
        let served = Arc::clone(&receiver);
        let hook = make(move |request| {
            let receiver = Arc::clone(&served);
            async move { receiver.take(request).await }
        });
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(Route::new().at("/hook", hook.boxed())));
        (receiver, url)
    }

    async fn take(&self, mut request: Request) -> Response {
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let (id, signature) = (header("webhook-id"), header("webhook-signature"));
        let timestamp = header("webhook-timestamp").parse().unwrap();
        assert!(header("content-type").starts_with("application/cloudevents+json"));
        let body = request.take_body().into_json().await.unwrap();
        self.got.lock().unwrap().push((id, timestamp, signature, body));
        self.came.notify_waiters();
        let status = self.answers.lock().unwrap().pop_front().unwrap_or(204);
        Response::builder().status(status.try_into().unwrap()).finish()
    }

    /// What it was sent, once that is so many messages.
    pub async fn got(&self, count: usize) -> Vec<(String, i64, String, Value)> {
        loop {
            let came = self.came.notified();
            let got = self.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            tokio::time::timeout(Duration::from_secs(30), came)
                .await
                .expect("no message came");
        }
    }
}

/// Nobody waits long.
fn config() -> NodeConfig {
    NodeConfig {
        webhooks: WebhookConfig {
            first_delay: Duration::from_millis(20),
            ..WebhookConfig::default()
        },
        ..NodeConfig::default()
    }
}

pub async fn rig() -> Rig {
    let mut config = config();
    config.webhooks.give_up = Duration::from_millis(100);
    Rig::with(config).await
}

async fn publish(rig: &Rig, id: &str, kind: &str) {
    let event = json!({ "specversion": "1.0", "id": id, "source": "/test", "type": kind, "data": { "n": 1 } });
    let request = rig
        .ask(Method::POST, "/events")
        .header("content-type", "application/cloudevents+json");
    answer(request.body(event.to_string())).await.ok(202);
}

#[tokio::test]
async fn a_webhook_gets_what_fits_signed_and_again_until_it_is_taken() {
    let rig = rig().await;
    let (receiver, url) = Receiver::start(&[500, 503]).await;
    publish(&rig, "0", "order.paid").await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let wanted = json!({ "url": url, "types": ["order.*"], "secret": secret });
    let hook = rig.post("/webhooks", &wanted).await.ok(201);
    assert_eq!((&hook["secret"], &hook["cursor"]), (&json!(secret), &json!(1)));
    publish(&rig, "1", "order.paid").await;
    publish(&rig, "2", "other").await;
    publish(&rig, "3", "order.sent").await;
    let got = receiver.got(4).await;
    let events: Vec<_> = got.iter().map(|(.., event)| event["id"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["1", "1", "1", "3"],
        "in order, the first one until it was taken"
    );
    assert!(
        got[0].0 == got[2].0 && got[0].0 != got[3].0,
        "an id names an event, however often it comes"
    );
    assert!(
        got.iter()
            .all(|(_, timestamp, signature, _)| *timestamp > 1_700_000_000 && signature.starts_with("v1,"))
    );
    let listed = rig.get("/webhooks").await.ok(200);
    assert_eq!(listed["webhooks"][0]["url"], url.as_str());
    assert_eq!(listed["webhooks"][0].get("secret"), None, "a secret is shown once");
    let place = format!("/webhooks/{}", hook["id"].as_str().unwrap());
    assert_eq!(
        rig.get(&format!("{place}/dead-letters")).await.ok(200),
        json!({ "events": [] })
    );
    assert_eq!(answer(rig.ask(Method::DELETE, &place)).await.status, 204);
    answer(rig.ask(Method::DELETE, &place)).await.problem(404);
    assert_eq!(rig.get("/webhooks").await.ok(200), json!({ "webhooks": [] }));
}

#[tokio::test]
async fn what_is_refused_for_too_long_is_put_aside() {
    let rig = rig().await;
    let (receiver, url) = Receiver::start(&[500; 6]).await;
    let hook = rig.post("/webhooks", &json!({ "url": url })).await.ok(201);
    assert!(hook["secret"].as_str().unwrap().starts_with("whsec_"));
    publish(&rig, "1", "a").await;
    publish(&rig, "2", "a").await;
    // The first is tried at 0, 20, 60 and 140 ms, when its time is over.
    loop {
        let got = receiver.got(1).await;
        if got.iter().any(|(.., event)| event["id"] == "2") {
            break;
        }
        receiver.got(got.len() + 1).await;
    }
    let place = format!("/webhooks/{}/dead-letters", hook["id"].as_str().unwrap());
    let letters = rig.get(&place).await.ok(200);
    assert_eq!(letters["events"][0]["event"]["id"], "1");
    assert_eq!(letters["events"][0]["reason"], "the server answered 500");
    rig.get("/webhooks/00000000-0000-0000-0000-000000000000/dead-letters")
        .await
        .problem(404);
}

#[tokio::test]
async fn a_secret_is_sealed_and_waits_for_its_key() {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
    let (receiver, url) = Receiver::start(&[]).await;
    let rig = Rig::on(Arc::clone(&store), KEY, config()).await;
    let hook = rig.post("/webhooks", &json!({ "url": url })).await.ok(201);
    let secret = hook["secret"].as_str().unwrap();
    let kept = SqlStatement {
        sql: "SELECT sealed FROM webhooks",
        params: vec![],
    };
    let kept = store.read_rows(kept).await.unwrap();
    let SqlValue::Blob(sealed) = &kept[0][0] else {
        panic!("{kept:?}")
    };
    let part = &secret.as_bytes()[10..20];
    assert!(sealed.len() > secret.len() && !sealed.windows(part.len()).any(|bytes| bytes == part));
    rig.node.stop().await;

    let other = "x".repeat(42) + "g=";
    let rig = Rig::on(Arc::clone(&store), &other, config()).await;
    publish(&rig, "1", "a").await;
    let waits = async {
        loop {
            let listed = rig.get("/webhooks").await.ok(200);
            if let Some(error) = listed["webhooks"][0]["lastError"].as_str() {
                return error.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(30), waits).await.unwrap();
    assert!(
        error.contains("was sealed with the key") && !error.contains(&secret[10..20]),
        "{error}"
    );
    rig.node.stop().await;

    // With its key it goes on where it was.
    let rig = Rig::on(Arc::clone(&store), KEY, config()).await;
    let got = receiver.got(1).await;
    assert_eq!((got.len(), &got[0].3["id"]), (1, &json!("1")));
    rig.node.stop().await;
}

#[tokio::test]
async fn bad_webhooks_are_refused() {
    let rig = rig().await;
    for (wanted, told) in [
        (json!({ "url": "example.com" }), "is no URL"),
        (
            json!({ "url": "https://a.example", "types": ["a*b"] }),
            "'*' stands at the end",
        ),
        (json!({ "url": "https://a.example", "secret": "x" }), "whsec_"),
        (json!({ "types": [] }), "the body"),
    ] {
        let detail = rig.post("/webhooks", &wanted).await.problem(400);
        assert!(detail.contains(told), "{wanted}: {detail}");
    }
}
