//! What the pipeline left behind, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use potok_sandbox::world::Message;
use rusqlite::Connection;
use serde_json::Value;

use crate::engine::text;
use crate::failpoint::Failpoint;
use crate::pipeline::POSTS;

/// How far a run has come, as far as it is durable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Summaries that are kept.
    pub summaries: usize,
    /// Posts that were begun to be sent.
    pub posts: usize,
}

/// The providers' tables.
#[derive(Debug, Clone)]
pub struct Tables {
    pub summaries: usize,
    /// The state of each post by its idempotency key.
    pub posts: BTreeMap<String, String>,
}

impl Tables {
    /// Reads them where no engine is running, from a copy: looking must not help to recover.
    pub fn read(data: &Path) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for file in ["potok.db", "potok.db-wal"] {
            if data.join(file).exists() {
                std::fs::copy(data.join(file), copy.path().join(file)).unwrap();
            }
        }
        let database = Connection::open(copy.path().join("potok.db")).unwrap();
        let summaries = database
            .query_row("SELECT count(*) FROM summaries", (), |row| row.get::<_, i64>(0))
            .unwrap();
        let mut posts = database.prepare("SELECT key, state FROM posts").unwrap();
        let posts = posts.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        Self {
            summaries: usize::try_from(summaries).unwrap(),
            posts: posts.collect::<Result<_, _>>().unwrap(),
        }
    }

    pub fn progress(&self) -> Progress {
        Progress {
            summaries: self.summaries,
            posts: self.posts.len(),
        }
    }

    /// The keys of the posts in a state.
    pub fn keys(&self, wanted: &str) -> BTreeSet<String> {
        let found = self.posts.iter().filter(|(_, state)| *state == wanted);
        found.map(|(key, _)| key.clone()).collect()
    }
}

/// A death and what was durable then.
#[derive(Debug, Clone)]
pub struct Death {
    pub at: Failpoint,
    pub tables: Tables,
}

/// What there is when a run has ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub run: Value,
    pub history: Vec<Value>,
    pub channel: Vec<Message>,
    pub tables: Tables,
    /// Requests to the model.
    pub asked: u64,
}

impl Outcome {
    /// The texts of the channel, in order.
    pub fn texts(&self) -> Vec<&str> {
        self.channel
            .iter()
            .map(|message| message.content.text.as_str())
            .collect()
    }

    fn posts(&self) -> &[Value] {
        assert_eq!(self.run["status"], "completed", "{:#}", self.run);
        let posts = self.run["output"]["posts"]
            .as_array()
            .expect("the posts are the output");
        assert_eq!(posts.len(), POSTS, "{:#}", self.run["output"]);
        posts
    }

    /// What happened to each execution of a task, whatever the order in which parallel ones took turns.
    fn events(&self) -> Vec<(String, String)> {
        let mut events: Vec<_> = self
            .history
            .iter()
            .map(|event| (text(&event["path"]), text(&event["event"])))
            .collect();
        events.sort();
        events
    }
}

/// A run that nobody disturbed: what all others are compared with.
pub fn check_undisturbed(outcome: &Outcome) {
    assert!(
        outcome.posts().iter().all(|post| post["state"] == "sent"),
        "{:#}",
        outcome.run
    );
    assert_eq!(outcome.channel.len(), POSTS, "{:?}", outcome.texts());
    assert_eq!(outcome.tables.summaries, POSTS);
    assert_eq!(outcome.tables.keys("sent").len(), POSTS);
    // One for each summary and one for each post: the test's arithmetic rests on it.
    assert_eq!(outcome.asked, 2 * POSTS as u64);
    let distinct: BTreeSet<_> = outcome.texts().into_iter().collect();
    assert_eq!(distinct.len(), POSTS, "{:?}", outcome.texts());
}

/// A run whose engine died and was started again.
pub fn check(outcome: &Outcome, undisturbed: &Outcome, deaths: &[Death]) {
    check_posts(outcome, undisturbed);
    check_unknown(outcome, deaths);

    let again: u64 = deaths
        .iter()
        .map(|death| death.at.asked_again(death.tables.progress()))
        .sum();
    let most = undisturbed.asked + again;
    assert!(
        (undisturbed.asked..=most).contains(&outcome.asked),
        "the model was asked {} times, not {} to {most}: a durable result was computed again",
        outcome.asked,
        undisturbed.asked
    );
    assert_eq!(outcome.tables.summaries, POSTS);

    let numbers: Vec<_> = outcome
        .history
        .iter()
        .map(|event| event["number"].as_u64().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (0..numbers.len() as u64).collect::<Vec<_>>(),
        "the history has gaps"
    );
    assert_eq!(
        outcome.events(),
        undisturbed.events(),
        "the history tells another story"
    );
}

/// What the run says of its posts is what the channel holds: nothing twice, nothing else.
fn check_posts(outcome: &Outcome, undisturbed: &Outcome) {
    let mut expected = Vec::new();
    for (post, wanted) in outcome.posts().iter().zip(undisturbed.texts()) {
        let id = post["message_id"].as_i64();
        let found: Vec<_> = outcome
            .channel
            .iter()
            .filter(|message| message.content.text == wanted)
            .collect();
        match (post["state"].as_str(), found.as_slice()) {
            (Some("sent"), [message]) => assert_eq!(id, Some(i64::from(message.id)), "{post}"),
            (Some("unknown"), [] | [_]) => assert_eq!(id, None, "{post}"),
            _ => panic!(
                "{post} is {} times in the channel:\n{:#?}",
                found.len(),
                outcome.texts()
            ),
        }
        expected.extend(found.iter().map(|message| message.content.text.as_str()));
    }
    assert_eq!(
        outcome.texts(),
        expected,
        "the channel holds something else, or in another order"
    );
}

/// Unknown is what had a recorded intent and no recorded answer when the engine died, and nothing else.
fn check_unknown(outcome: &Outcome, deaths: &[Death]) {
    for Death { at, tables } in deaths {
        let open = tables.keys("intent").len();
        assert!(open <= 1, "{open} posts were being sent at once");
        assert!(
            open == 1 || !at.loses_an_answer(),
            "no intent was recorded before the message was sent"
        );
        assert!(
            open == 0 || !matches!(at, Failpoint::Asked(_)),
            "a post was being sent while the model was asked"
        );
    }
    let lost: BTreeSet<_> = deaths.iter().flat_map(|death| death.tables.keys("intent")).collect();
    assert_eq!(outcome.tables.keys("unknown"), lost);
    assert_eq!(outcome.tables.keys("sent").len(), POSTS - lost.len());
    let unknown = outcome.posts().iter().filter(|post| post["state"] == "unknown").count();
    assert_eq!(unknown, lost.len(), "{:#}", outcome.run["output"]);
    let in_channel = POSTS
        - deaths
            .iter()
            .filter(|death| matches!(death.at, Failpoint::Intended(_)))
            .count();
    // Where chance chose the moment, an unknown post may be there or not.
    let most = POSTS;
    assert!(
        (in_channel.min(most - lost.len())..=most).contains(&outcome.channel.len()),
        "{:?}",
        outcome.texts()
    );
    if deaths.iter().all(|death| !matches!(death.at, Failpoint::After(_))) {
        assert_eq!(outcome.channel.len(), in_channel, "{:?}", outcome.texts());
    }
}
