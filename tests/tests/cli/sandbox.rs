//! `potok sandbox`: the stand-ins on their own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rig::{Potok, Running, client};

/// Starts a sandbox on a free port; gives what it said about itself.
async fn start(potok: &Potok, arguments: &[&str]) -> (Running, BTreeMap<String, String>) {
    let mut running = potok.start(&[&["sandbox", "--listen", "127.0.0.1:0"], arguments].concat());
    let mut said = BTreeMap::new();
    while let Some(line) = running.out.next_line().await.unwrap() {
        let Some((name, value)) = line.split_once("  ") else {
            break;
        };
        said.insert(name.to_owned(), value.trim().to_owned());
    }
    (running, said)
}

async fn send(said: &BTreeMap<String, String>, text: &str) -> Value {
    let url = format!("{}/bot{}/sendMessage", said["Bot API"], said["Bot token"]);
    let message = json!({ "chat_id": said["Channel"], "text": text });
    client()
        .post(url)
        .json(&message)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

#[tokio::test]
async fn what_it_prints_is_all_that_one_needs() {
    let potok = Potok::new();
    let (mut running, said) = start(&potok, &[]).await;
    assert_eq!(send(&said, "hello").await["ok"], true);
    let asked = json!({ "model": said["Model"], "messages": [{ "role": "user", "content": "The dog ran home. The cat slept." }] });
    let url = format!("{}/chat/completions", said["OpenAI"]);
    let answer: Value = client()
        .post(url)
        .json(&asked)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(
        !answer["choices"][0]["message"]["content"].as_str().unwrap().is_empty(),
        "{answer}"
    );
    running.signal("INT");
    let (code, _, err) = running.ended().await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        client().get(format!("{}/state", said["Admin"])).send().await.is_err(),
        "it still answers"
    );
}

#[tokio::test]
async fn a_world_comes_from_a_file_and_gives_keys() {
    let potok = Potok::new();
    std::fs::write(
        potok.path("world.yaml"),
        "people: [{id: 21, is_bot: false, first_name: Anna}]\nbots: []\n\
         accounts: [{user: 21, phone: '79990001122', password: {text: secret}}]\n\
         chats: [{id: -1001000000021, kind: channel, title: News, username: news, members: {21: {status: creator}}}]\n",
    )
    .unwrap();
    let (_running, said) = start(&potok, &["--world", "world.yaml"]).await;
    assert!(said["MTProto"].starts_with("127.0.0.1:"), "{said:?}");
    let state: Value = client()
        .get(format!("{}/state", said["Admin"]))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(state["accounts"][0]["account"]["phone"], "79990001122");
    let url = said["Auth keys"].strip_prefix("POST ").unwrap();
    let key: Value = client().post(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(key["auth_key"].as_str().unwrap().len(), 344, "{key}");
    let told = potok.run(&["sandbox", "--world", "nowhere.yaml"]).await.refused(3);
    assert!(told.contains("--world nowhere.yaml"), "{told}");
}

#[tokio::test]
async fn a_world_that_is_kept_is_there_again() {
    let potok = Potok::new();
    let (mut running, said) = start(&potok, &["--data-dir", "world"]).await;
    assert_eq!(send(&said, "first").await["result"]["message_id"], 1);
    running.signal("TERM");
    assert_eq!(running.ended().await.0, Some(0));
    let (_running, said) = start(&potok, &["--data-dir", "world"]).await;
    assert_eq!(send(&said, "second").await["result"]["message_id"], 2);
}

#[tokio::test]
async fn it_listens_on_loopback_alone() {
    let potok = Potok::new();
    let told = potok.run(&["sandbox", "--listen", "0.0.0.0:0"]).await.refused(3);
    assert!(told.contains("loopback only"), "{told}");
    let told = potok.run(&["sandbox", "--listen", "here"]).await.refused(3);
    assert!(told.contains("--listen here"), "{told}");
}
