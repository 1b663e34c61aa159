//! The pipeline again and again on one data directory: what earlier runs made is used before anything is made anew.

use std::{collections::BTreeSet, fs};

use potok_sandbox::{
    Sandbox, SandboxConfig,
    world::{DEFAULT_CHANNEL as CHANNEL, READ_ONLY_CHANNEL as READ_ONLY},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::rig::{Potok, Ran, repository};

/// A book of four chunks, the beginning of the bundled one, in the directory of the test.
fn house() -> Potok {
    let potok = Potok::new();
    let book = fs::read_to_string(repository().join("workflows/books/kashtanka.txt")).unwrap();
    let end = book.find("Глава третья").unwrap();
    potok.write("book.txt", &book[..end]);
    potok
}

async fn publish(potok: &Potok, channel: &str, posts: u32) -> Ran {
    let workflow = repository()
        .join("workflows/book-to-channel.yaml")
        .display()
        .to_string();
    let input = json!({ "channel": channel, "posts": posts }).to_string();
    potok
        .run(&[
            "run",
            &workflow,
            "--data-dir",
            "data",
            "--sandbox",
            "--file",
            "book=book.txt",
            "--input",
            &input,
        ])
        .await
}

/// The summaries that are kept: chunk and whether it is used.
fn summaries(potok: &Potok) -> Vec<(String, bool)> {
    let database = Connection::open(potok.path("data/potok.db")).unwrap();
    let mut rows = database
        .prepare("SELECT chunk, used FROM summaries ORDER BY created_at, rowid")
        .unwrap();
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn unused(potok: &Potok) -> BTreeSet<String> {
    summaries(potok)
        .into_iter()
        .filter(|(_, used)| !used)
        .map(|(chunk, _)| chunk)
        .collect()
}

/// The posts that the channel holds by what was recorded of them: message, chunk, text.
fn sent(potok: &Potok) -> Vec<(i64, String, String)> {
    let database = Connection::open(potok.path("data/potok.db")).unwrap();
    let sql = "SELECT message_id, chunk, content FROM posts WHERE state = 'sent' ORDER BY message_id";
    let mut rows = database.prepare(sql).unwrap();
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn chunks_of(posts: &[(i64, String, String)]) -> BTreeSet<String> {
    posts.iter().map(|(_, chunk, _)| chunk.clone()).collect()
}

#[tokio::test]
async fn later_runs_use_what_is_there_then_go_on_then_start_over() {
    let potok = house();

    // Two summaries are made, and no post: the bot may not post in that channel.
    let problem = publish(&potok, READ_ONLY, 2).await.problem();
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("need administrator rights"),
        "{problem}"
    );
    let waiting = unused(&potok);
    assert_eq!(waiting.len(), 2);
    assert_eq!(sent(&potok), []);

    // They are what the next run posts, and nothing is summarised.
    let output = publish(&potok, CHANNEL, 2).await.json();
    assert_eq!(states(&output), ["sent", "sent"], "{output}");
    assert_eq!(
        summaries(&potok).len(),
        2,
        "a summary was made although two were unused"
    );
    assert_eq!(unused(&potok), BTreeSet::new());
    let first = sent(&potok);
    assert_eq!(chunks_of(&first), waiting);

    // Then come the chunks that nobody has summarised: the other two.
    let output = publish(&potok, CHANNEL, 2).await.json();
    assert_eq!(states(&output), ["sent", "sent"], "{output}");
    assert_eq!(summaries(&potok).len(), 4);
    let second = sent(&potok).split_off(2);
    assert!(
        chunks_of(&first).is_disjoint(&chunks_of(&second)),
        "{first:?} {second:?}"
    );
    let texts: BTreeSet<_> = first.iter().chain(&second).map(|(_, _, text)| text).collect();
    assert_eq!(texts.len(), 4, "posts repeat before all summaries were used");

    // All are used: it starts over, on the summaries that it has.
    let output = publish(&potok, CHANNEL, 2).await.json();
    assert_eq!(states(&output), ["sent", "sent"], "{output}");
    assert_eq!(summaries(&potok).len(), 4, "a summary was made twice");
    assert_eq!(unused(&potok).len(), 2);
    let third = chunks_of(&sent(&potok).split_off(4));
    assert_eq!(third.len(), 2);

    // And goes on with the two that the new round has not had.
    publish(&potok, CHANNEL, 2).await.json();
    assert!(third.is_disjoint(&chunks_of(&sent(&potok).split_off(6))));
    assert_eq!(unused(&potok), BTreeSet::new());

    // The channel holds what was recorded, once each.
    let world = SandboxConfig {
        data_dir: Some(potok.path("data/sandbox")),
        ..SandboxConfig::default()
    };
    let world = Sandbox::start(world).await.unwrap();
    let held: Vec<i64> = world
        .messages(CHANNEL)
        .into_iter()
        .map(|message| message.id.into())
        .collect();
    let recorded: Vec<_> = sent(&potok).into_iter().map(|(message, _, _)| message).collect();
    assert_eq!(held, recorded);
    assert_eq!(held, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(world.messages(READ_ONLY), []);
}

/// Fewer chunks than posts that are wanted: one post for each chunk, and no repetition.
#[tokio::test]
async fn a_book_gives_no_more_posts_than_it_has_chunks() {
    let potok = house();
    let output = publish(&potok, CHANNEL, 100).await.json();
    let posts = sent(&potok);
    assert_eq!(states(&output).len(), posts.len());
    assert_eq!(chunks_of(&posts).len(), posts.len());
    assert!(posts.len() <= 4 && !posts.is_empty(), "{posts:?}");
    for (_, _, text) in &posts {
        assert!(text.encode_utf16().count() <= 4096, "{text}");
        assert!(text.contains("Каштанка"), "the citation is missing: {text}");
    }
}

fn states(output: &Value) -> Vec<&str> {
    output["posts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|post| post["state"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn input_that_the_pipeline_cannot_use_is_refused_by_its_schema() {
    let potok = house();
    let workflow = repository()
        .join("workflows/book-to-channel.yaml")
        .display()
        .to_string();
    for (input, said) in [
        (json!({ "posts": 1 }), "channel"),
        (json!({ "channel": "@x", "posts": 0 }), "posts"),
        (json!({ "channel": "@x", "extra": 1 }), "extra"),
    ] {
        let input = input.to_string();
        let ran = potok
            .run(&[
                "run",
                &workflow,
                "--sandbox",
                "--file",
                "book=book.txt",
                "--input",
                &input,
            ])
            .await;
        let problem = ran.problem();
        assert!(
            problem["type"].as_str().unwrap().ends_with("/errors/validation"),
            "{problem}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
}

/// What the file says about how to run it is true.
#[tokio::test]
async fn the_command_in_the_head_of_the_file_works() {
    let text = fs::read_to_string(repository().join("workflows/book-to-channel.yaml")).unwrap();
    let mut comments = text.lines().filter_map(|line| line.strip_prefix("#   "));
    let command = comments.find(|line| line.starts_with("potok run ")).unwrap();
    let output = Potok::new().shell(command).await.json();
    assert_eq!(states(&output).len(), 5, "{output}");
}
