//! The book becomes posts although the engine dies: at a request to the model, between intent and send, between send and answer,
//! right after the answer, whenever chance says so, and twice in a row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use potok_sandbox::world::{DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL};
use potok_sandbox::{DEFAULT_MODEL, RunningSandbox, Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::engine::{Engine, eventually};
use crate::failpoint::Failpoint;
use crate::oracle::{Death, Outcome, Tables, check, check_undisturbed};
use crate::seeds::{Random, seeds, try_each};

/// How many posts the pipeline makes.
pub const POSTS: usize = 4;

/// So much of the book is enough for that many posts, in characters.
const BOOK: usize = 20_000;

const WORKFLOW: &str = include_str!("../../../workflows/book-to-channel.yaml");
const KASHTANKA: &str = include_str!("../../../workflows/books/kashtanka.txt");

/// The other end, which lives on while the engine dies.
struct Outside {
    sandbox: RunningSandbox,
    http: reqwest::Client,
}

impl Outside {
    async fn start() -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            sandbox,
            http: reqwest::Client::new(),
        }
    }

    /// The configuration of an engine that has this as its other end.
    fn configuration(&self) -> String {
        let (model, telegram) = (self.sandbox.openai_url(), self.sandbox.bot_api_url());
        format!(
            "[ai]\nbase_url = \"{model}\"\nmodel = \"{DEFAULT_MODEL}\"\n\
             [telegram]\napi_url = \"{telegram}\"\nbots = {{ default = \"{DEFAULT_BOT_TOKEN}\" }}\n"
        )
    }

    async fn get(&self, path: &str) -> Value {
        let response = self
            .http
            .get(format!("{}/{path}", self.sandbox.admin_url()))
            .send()
            .await;
        response.unwrap().json().await.unwrap()
    }

    async fn asked(&self) -> u64 {
        self.get("requests").await["ai"]["chat/completions"]["total"]
            .as_u64()
            .unwrap_or(0)
    }

    /// Waits until it is time to die.
    async fn reached(&self, at: Failpoint, begun: Instant, before: usize) {
        let arrived = |count: u32| self.sandbox.messages(DEFAULT_CHANNEL).len() > before + count as usize;
        eventually(&format!("{at:?} is reached"), || async move {
            let reached = match at {
                Failpoint::After(delay) => begun.elapsed() >= delay,
                Failpoint::Answered(count) => arrived(count),
                // The script is played: the request hangs.
                Failpoint::Asked(_) | Failpoint::Intended(_) => self.played().await,
                Failpoint::Sent(count) => self.played().await && arrived(count),
            };
            reached.then_some(())
        })
        .await;
    }

    async fn played(&self) -> bool {
        self.get("faults").await["faults"].as_array().is_some_and(Vec::is_empty)
    }
}

/// A run of the pipeline that is to go on, whatever happens to the engine.
struct Pipeline {
    outside: Outside,
    data: tempfile::TempDir,
    engine: Engine,
    run: String,
    /// When the engine, or its successor, could go to work.
    begun: Instant,
    /// How many messages the channel held then.
    before: usize,
}

impl Pipeline {
    async fn start(first: Option<Failpoint>) -> Self {
        let outside = Outside::start().await;
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("potok.toml"), outside.configuration()).unwrap();
        if let Some(fault) = first.and_then(Failpoint::fault) {
            assert!(outside.sandbox.inject(fault));
        }
        let engine = Engine::start(data.path()).await;
        engine.deploy(WORKFLOW).await;
        let book: String = KASHTANKA.chars().take(BOOK).collect();
        let book = engine.store_blob(book.into_bytes()).await;
        let input = json!({ "book": book, "channel": DEFAULT_CHANNEL, "posts": POSTS });
        let begun = Instant::now();
        let run = engine.start_run("potok/book-to-channel", &input, "the-run").await;
        Self {
            outside,
            data,
            engine,
            run,
            begun,
            before: 0,
        }
    }

    /// Dies at `at`, and is started again. `next` sees how far it had come and says where it dies next.
    async fn die(
        mut self,
        at: Failpoint,
        next: impl FnOnce(&Tables) -> Option<Failpoint>,
    ) -> (Self, Death, Option<Failpoint>) {
        self.outside.reached(at, self.begun, self.before).await;
        self.engine.kill().await;
        let tables = Tables::read(self.data.path());
        let next = next(&tables);
        if let Some(fault) = next.and_then(Failpoint::fault) {
            assert!(self.outside.sandbox.inject(fault));
        }
        self.begun = Instant::now();
        self.before = self.outside.sandbox.messages(DEFAULT_CHANNEL).len();
        self.engine = Engine::start(self.data.path()).await;
        (self, Death { at, tables }, next)
    }

    async fn outcome(self) -> Outcome {
        let run = self.engine.ended(&self.run).await;
        let history = self.engine.history(&self.run).await;
        self.engine.stop().await;
        Outcome {
            run,
            history,
            channel: self.outside.sandbox.messages(DEFAULT_CHANNEL),
            tables: Tables::read(self.data.path()),
            asked: self.outside.asked().await,
        }
    }
}

async fn undisturbed() -> (Outcome, Duration) {
    let pipeline = Pipeline::start(None).await;
    let begun = pipeline.begun;
    let outcome = pipeline.outcome().await;
    let took = begun.elapsed();
    check_undisturbed(&outcome);
    (outcome, took)
}

async fn one_seed(seed: u64, undisturbed: &Outcome, whole: Duration) {
    let mut random = Random::new(seed);
    let (mut at, twice) = Failpoint::first(seed, &mut random, whole);
    let mut pipeline = Pipeline::start(Some(at)).await;
    let mut deaths = Vec::new();
    loop {
        let again = twice && deaths.is_empty();
        let choose = |tables: &Tables| again.then(|| Failpoint::next(&mut random, tables.progress(), whole));
        let (restarted, death, next) = pipeline.die(at, choose).await;
        eprintln!(
            "seed {seed}: died at {:?}, {:?}",
            death.at,
            death.tables.posts.values().collect::<Vec<_>>()
        );
        pipeline = restarted;
        deaths.push(death);
        match next {
            Some(failpoint) => at = failpoint,
            None => break,
        }
    }
    let outcome = pipeline.outcome().await;
    check(&outcome, undisturbed, &deaths);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_post_is_lost_or_there_twice() {
    let (outcome, whole) = undisturbed().await;
    let outcome = Arc::new(outcome);
    try_each(seeds(12, 50), "no_post", move |seed| {
        let outcome = Arc::clone(&outcome);
        async move { one_seed(seed, &outcome, whole).await }
    })
    .await;
}
