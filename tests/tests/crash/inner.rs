//! A plugin that makes many calls: whoever dies in its middle goes on where it was, and a plugin that does not repeat itself is told so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::{EndpointExt, Request, Response, Route, endpoint::make, listener::TcpAcceptor};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::engine::{Engine, text};
use crate::seeds::{Random, seeds, try_each};

/// How many questions the plugin asks.
const QUESTIONS: usize = 40;

/// How often the engine dies; more often than a run may be recovered without progress.
const DEATHS: usize = 5;

/// A model. It lives on while the engine dies.
struct Model {
    url: String,
    /// What it was asked, by the life of the engine in which it was.
    asked: Arc<Mutex<Vec<(usize, String)>>>,
    count: watch::Receiver<usize>,
    life: watch::Sender<usize>,
}

impl Model {
    /// Starts it; in the first life it never answers a question that begins so.
    async fn start(silent: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (counted, count) = watch::channel(0);
        let (life, lives) = watch::channel(0);
        let (questions, counted) = (Arc::clone(&asked), Arc::new(counted));
        let complete = make(move |mut request: Request| {
            let (questions, counted, life) = (Arc::clone(&questions), Arc::clone(&counted), *lives.borrow());
            async move {
                let body: Value = request.take_body().into_json().await.unwrap();
                let question = text(&body["messages"][0]["content"]);
                let number = {
                    let mut questions = questions.lock().unwrap();
                    questions.push((life, question.clone()));
                    questions.len()
                };
                counted.send_replace(number);
                if life == 0 && !silent.is_empty() && question.starts_with(silent) {
                    std::future::pending::<()>().await;
                }
                let answer = question.split(' ').next().unwrap_or_default();
                let message = json!({ "role": "assistant", "content": format!("answer {answer}") });
                let body = json!({ "id": "1", "object": "chat.completion", "created": 1, "model": "m",
                    "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
                Response::builder()
                    .content_type("application/json")
                    .body(body.to_string())
            }
        });
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        let routes = Route::new().at("/chat/completions", complete.boxed());
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(routes));
        Self {
            url,
            asked,
            count,
            life,
        }
    }

    fn asked(&self) -> Vec<(usize, String)> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until it has been asked so many questions.
    async fn is_asked(&self, questions: usize) {
        let mut count = self.count.clone();
        let asked = tokio::time::timeout(potok_tests::PATIENCE, count.wait_for(|count| *count >= questions)).await;
        drop(asked.unwrap_or_else(|_| panic!("{questions} questions are never asked")));
    }

    /// The engine is dead.
    fn dies(&self) {
        self.life.send_modify(|life| *life += 1);
    }
}

/// An engine that asks the model, with the plugin and a workflow that calls a function of it.
async fn engine(data: &std::path::Path, model: &Model, call: &str) -> Engine {
    let configuration = format!("[ai]\nbase_url = '{}'\nmodel = 'm'\n", model.url);
    std::fs::write(data.join("potok.toml"), configuration).unwrap();
    let engine = Engine::start(data).await;
    let plugin = potok_plugins::fixtures()
        .iter()
        .find(|component| component.name == "durable");
    engine
        .install(plugin.unwrap().decompress().unwrap(), &["ai", "blob"])
        .await;
    let workflow = format!(
        "document: {{ dsl: '1.0.3', namespace: crash, name: inner, version: '1.0.0' }}\ndo:\n  - ask: {{ {call} }}\n"
    );
    engine.deploy(&workflow).await;
    engine
}

async fn one_seed(seed: u64) {
    let mut random = Random::new(seed);
    let model = Model::start("").await;
    let data = tempfile::tempdir().unwrap();
    let call = format!("call: durable.ask, with: {{ questions: {QUESTIONS} }}");
    let mut engine = engine(data.path(), &model, &call).await;
    let run = engine.start_run("crash/inner", &json!({}), "only").await;
    for _ in 0..DEATHS {
        // Two questions more: then the answer to the first is durable.
        let asked = model.asked().len();
        model
            .is_asked((asked + 2 + random.below(4) as usize).min(QUESTIONS))
            .await;
        tokio::time::sleep(Duration::from_millis(random.below(30))).await;
        engine.kill().await;
        model.dies();
        engine = Engine::start(data.path()).await;
    }
    let ended = engine.ended(&run).await;
    assert_eq!(ended["status"], "completed", "seed {seed}: {ended:#}\n{}", engine.log());
    let answers: Vec<String> = (1..=QUESTIONS).map(|number| format!("answer {number}")).collect();
    assert_eq!(ended["output"], json!(answers), "seed {seed}");

    let mut before: Option<(usize, usize)> = None;
    let mut questions: BTreeMap<usize, String> = BTreeMap::new();
    let mut again = 0;
    for (life, question) in model.asked() {
        let number = number(&question);
        if let Some((former, last)) = before {
            // Within a life one follows on the other. After a death it goes on with the last question, or with the one after it.
            let repeats = life > former && number == last;
            assert!(
                repeats || number == last + 1,
                "seed {seed}: question {number} of life {life} came after {last} of life {former}"
            );
            again += usize::from(repeats);
        }
        before = Some((life, number));
        let first = questions.entry(number).or_insert_with(|| question.clone());
        assert_eq!(*first, question, "seed {seed}: it saw another time, or another chance");
    }
    assert_eq!(questions.len(), QUESTIONS, "seed {seed}");
    eprintln!("seed {seed}: {again} of {DEATHS} deaths had a question asked again");
    let history = engine.history(&run).await;
    let called = history.iter().find(|event| event["event"] == "called");
    assert_eq!(called.unwrap()["calls"], QUESTIONS, "seed {seed}: {history:#?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_goes_on_where_it_was() {
    try_each(seeds(3, 30), "a_plugin_goes_on", one_seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_not_asked_again() {
    const LAST: usize = 30;
    let model = Model::start("30 ").await;
    let data = tempfile::tempdir().unwrap();
    let call = format!("call: durable.ask, with: {{ questions: {QUESTIONS} }}");
    let mut engine = engine(data.path(), &model, &call).await;
    let run = engine.start_run("crash/inner", &json!({}), "only").await;
    model.is_asked(LAST).await;
    let calls = engine.calls(&run).await;
    let shown: Vec<_> = calls.iter().map(|call| call["number"].as_u64()).collect();
    assert_eq!(shown, (1..LAST as u64).map(Some).collect::<Vec<_>>());
    assert!(calls.iter().all(|call| call["function"] == "potok:ai/chat.complete"));
    engine.kill().await;
    model.dies();
    engine = Engine::start(data.path()).await;
    assert_eq!(engine.ended(&run).await["status"], "completed", "{}", engine.log());
    let asked: Vec<usize> = model.asked().iter().map(|(_, question)| number(question)).collect();
    let expected: Vec<usize> = (1..=LAST).chain(LAST..=QUESTIONS).collect();
    assert_eq!(asked, expected);
    assert!(engine.calls(&run).await.is_empty());
    engine.stop().await;
}

/// The number of a question.
fn number(question: &str) -> usize {
    question.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_takes_another_path_is_told_so() {
    // The SHA-256 of the blob that comes too late.
    const THERE: &str = "blob:sha256:502eb86b77459a293994870d0566ac27aaed29b0316d97b1269b6cb04603b50a";
    let model = Model::start("and then").await;
    let data = tempfile::tempdir().unwrap();
    let engine = engine(
        data.path(),
        &model,
        &format!("call: durable.wander, with: {{ blob: '{THERE}' }}"),
    )
    .await;
    let run = engine.start_run("crash/inner", &json!({}), "only").await;
    model.is_asked(2).await;
    assert_eq!(engine.store_blob(b"it is there".to_vec()).await, THERE);
    engine.kill().await;
    let engine = Engine::start(data.path()).await;
    let ended = engine.ended(&run).await;
    assert_eq!(ended["status"], "faulted", "{ended:#}");
    let error = &ended["error"];
    assert_eq!(error["title"], "Plugin took another path", "{error:#}");
    assert!(text(&error["type"]).ends_with("/errors/runtime"));
    let detail = text(&error["detail"]);
    let said = "durable.wander:1.0.0 was made again after a crash and took another path: before, its capability call 2 was \
                potok:ai/chat.complete; now it had other arguments";
    assert!(detail.starts_with(said), "{detail}");
    let asked: Vec<String> = model.asked().into_iter().map(|(_, question)| question).collect();
    assert_eq!(asked, ["it is not there", "and then"], "nothing more may leave");
    engine.stop().await;
}
