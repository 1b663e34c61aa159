//! Events over crashes: what was acknowledged reaches everyone who waits for it, each run once, and webhooks at least once under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::{EndpointExt, Request, Response, Route, endpoint::make, listener::TcpAcceptor};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::{Engine, eventually, text};
use crate::seeds::{Random, seeds, try_each};

/// How many orders there are. Each has a run that waits for it.
const ORDERS: usize = 8;

/// What is posted of each order; its run emits one more when it has them all.
const POSTED: [&str; 3] = ["order.placed", "order.paid", "order.packed"];

const ALL: usize = ORDERS * (POSTED.len() + 1);

const ORDER: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: order, version: '1.0.0' }
do:
  - placed:
      listen:
        to:
          one:
            with: { type: order.placed }
            correlate: { order: { from: '${ .data.order }', expect: '${ $workflow.input.order }' } }
  - settled:
      listen:
        to:
          all:
            - with: { type: order.paid }
              correlate: { order: { from: '${ .data.order }', expect: '${ $workflow.input.order }' } }
            - with: { type: order.packed }
              correlate: { order: { from: '${ .data.order }', expect: '${ $workflow.input.order }' } }
  - tell: { emit: { event: { with: { type: order.done, data: { order: '${ $workflow.input.order }' } } } } }
output: { as: '$workflow.input' }
";

/// Takes everything, and says in which order.
const LEDGER: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: ledger, version: '1.0.0' }
do:
  - all:
      listen:
        to:
          any:
            - with: { type: order.placed }
            - with: { type: order.paid }
            - with: { type: order.packed }
            - with: { type: order.done }
          until: '${ length >= $workflow.input.all }'
        read: envelope
output: { as: 'map(.id)' }
";

/// Where the engine dies. Numbers count what has happened since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// So many posts were acknowledged, and others are on their way.
    Acknowledged(usize),
    /// The webhook's server has this request and does not answer.
    Told(usize),
    /// The webhook's server has just answered so many requests.
    Heard(usize),
    /// So long after the first post.
    After(Duration),
}

impl Death {
    fn of(kind: u64, random: &mut Random) -> Self {
        let mut one_of = |count: usize| random.below(count as u64) as usize + 1;
        match kind {
            0 => Self::Acknowledged(one_of(ORDERS * POSTED.len())),
            1 => Self::Told(one_of(ALL - 1)),
            2 => Self::Heard(one_of(ALL - 1)),
            _ => Self::After(Duration::from_millis(random.below(600))),
        }
    }
}

/// What the webhook's server was sent: the message's id and the event's, in order.
type Message = (String, String);

/// The webhook's server. It lives on while the engine dies.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Message>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    /// Starts it; it never answers the request of that number.
    async fn start(silent: Option<usize>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<Message>>> = Arc::default();
        let (counted, count) = watch::channel(0);
        let (messages, counted) = (Arc::clone(&got), Arc::new(counted));
        let hook = make(move |mut request: Request| {
            let (messages, counted) = (Arc::clone(&messages), Arc::clone(&counted));
            async move {
                let id = request.header("webhook-id").unwrap_or_default().to_owned();
                let event: Value = request.take_body().into_json().await.unwrap();
                let number = {
                    let mut messages = messages.lock().unwrap();
                    messages.push((id, text(&event["id"])));
                    messages.len()
                };
                counted.send_replace(number);
                if silent == Some(number) {
                    std::future::pending::<()>().await;
                }
                Response::builder().status(poem::http::StatusCode::NO_CONTENT).finish()
            }
        });
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(Route::new().at("/hook", hook.boxed())));
        Self { url, got, count }
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }
}

/// Who posts: one after the other of each type, again until it is acknowledged.
struct Posting {
    /// The acknowledged events with their numbers.
    acknowledged: Arc<Mutex<BTreeMap<String, u64>>>,
    count: watch::Receiver<usize>,
    at: watch::Sender<String>,
    lanes: JoinSet<()>,
}

impl Posting {
    fn start(url: String) -> Self {
        let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let (counted, count) = watch::channel(0);
        let (at, url) = watch::channel(url);
        let counted = Arc::new(counted);
        let mut lanes = JoinSet::new();
        for kind in POSTED {
            let (acknowledged, counted, url) = (Arc::clone(&acknowledged), Arc::clone(&counted), url.clone());
            lanes.spawn(async move {
                for order in 0..ORDERS {
                    let id = format!("{kind}-{order}");
                    let sequence = post(&url, &id, kind, order).await;
                    let mut acknowledged = acknowledged.lock().unwrap();
                    acknowledged.insert(id, sequence);
                    counted.send_replace(acknowledged.len());
                }
            });
        }
        Self {
            acknowledged,
            count,
            at,
            lanes,
        }
    }
}

/// Posts an event until someone says that it is taken; its number in the stream.
async fn post(url: &watch::Receiver<String>, id: &str, kind: &str, order: usize) -> u64 {
    let event = json!({ "specversion": "1.0", "id": id, "source": "/shop", "type": kind, "data": { "order": order } });
    let client = reqwest::Client::new();
    eventually(&format!("{id} is acknowledged"), || async {
        let to = format!("{}/api/v1/events", *url.borrow());
        let request = client
            .post(to)
            .header("content-type", "application/cloudevents+json")
            .body(event.to_string());
        // No answer, or half of one: nobody knows whether it was taken.
        let answer = request.send().await.ok()?;
        let (status, body) = (answer.status(), answer.text().await.ok()?);
        assert_eq!(status, 202, "{body}");
        let taken: Value = serde_json::from_str(&body).ok()?;
        taken["events"][0]["sequence"].as_u64()
    })
    .await
}

/// Waits until it is time to die.
async fn reached(death: Death, posting: &Posting, receiver: &Receiver) {
    let (mut posted, mut told) = (posting.count.clone(), receiver.count.clone());
    let patience = potok_tests::PATIENCE;
    let reached = async {
        match death {
            Death::Acknowledged(count) => drop(posted.wait_for(|posted| *posted >= count).await),
            Death::Told(count) | Death::Heard(count) => drop(told.wait_for(|told| *told >= count).await),
            Death::After(delay) => tokio::time::sleep(delay).await,
        }
    };
    let in_time = tokio::time::timeout(patience, reached).await;
    in_time.unwrap_or_else(|_| panic!("{death:?} is never reached"));
}

async fn one_seed(seed: u64) {
    let mut random = Random::new(seed);
    let deaths = [
        Death::of(seed % 4, &mut random),
        Death::After(Duration::from_millis(random.below(300))),
    ];
    // Every fifth dies again, right after it has come back.
    let deaths = &deaths[..if seed % 5 == 4 { 2 } else { 1 }];
    let silent = deaths.iter().find_map(|death| match death {
        Death::Told(number) => Some(*number),
        _ => None,
    });
    let receiver = Receiver::start(silent).await;
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("potok.toml"), "[egress]\nallow = ['127.0.0.1']\n").unwrap();
    let mut engine = Engine::start(data.path()).await;
    engine.deploy(ORDER).await;
    engine.deploy(LEDGER).await;
    engine
        .add_webhook(&json!({ "url": receiver.url, "types": ["order.*"] }))
        .await;
    let ledger = engine.start_run("crash/ledger", &json!({ "all": ALL }), "ledger").await;
    let mut runs = Vec::new();
    for order in 0..ORDERS {
        let input = json!({ "order": order });
        runs.push(engine.start_run("crash/order", &input, &format!("order-{order}")).await);
    }
    let mut posting = Posting::start(engine.url().to_owned());
    for death in deaths {
        reached(*death, &posting, &receiver).await;
        eprintln!(
            "seed {seed}: dies at {death:?}, {} acknowledged",
            *posting.count.borrow()
        );
        engine.kill().await;
        engine = Engine::start(data.path()).await;
        posting.at.send_replace(engine.url().to_owned());
    }
    while let Some(lane) = posting.lanes.join_next().await {
        lane.unwrap();
    }

    for (order, run) in runs.iter().enumerate() {
        let ended = engine.ended(run).await;
        assert_eq!(ended["status"], "completed", "seed {seed}: {ended:#}\n{}", engine.log());
        assert_eq!(ended["output"], json!({ "order": order }), "seed {seed}");
        let consumed = consumed(&engine.history(run).await);
        let expected: BTreeSet<String> = POSTED.iter().map(|kind| format!("{kind}-{order}")).collect();
        assert_eq!(consumed.len(), expected.len(), "seed {seed}: {consumed:?}");
        assert_eq!(consumed.into_iter().collect::<BTreeSet<_>>(), expected, "seed {seed}");
    }
    let stream = check_stream(&engine, &posting, seed).await;
    let ended = engine.ended(&ledger).await;
    assert_eq!(ended["status"], "completed", "seed {seed}: {ended:#}\n{}", engine.log());
    assert_eq!(
        ended["output"],
        json!(stream),
        "seed {seed}: not each event once, in the order of the stream"
    );
    check_webhook(&receiver, &stream, silent, seed).await;
    engine.stop().await;
}

/// The ids of the events that a run has consumed.
fn consumed(history: &[Value]) -> Vec<String> {
    let consumed = history.iter().filter(|event| event["event"] == "consumed");
    consumed.map(|event| text(&event["output"]["id"])).collect()
}

/// Everything acknowledged is in the stream, once and where it was said to be; gives the ids in order.
async fn check_stream(engine: &Engine, posting: &Posting, seed: u64) -> Vec<String> {
    let stream = engine.events().await;
    let ids: Vec<String> = stream.iter().map(|event| text(&event["event"]["id"])).collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (ALL, ALL), "seed {seed}: {ids:?}");
    let acknowledged = posting.acknowledged.lock().unwrap();
    assert_eq!(acknowledged.len(), ORDERS * POSTED.len());
    for event in &stream {
        if let Some(sequence) = acknowledged.get(&text(&event["event"]["id"])) {
            assert_eq!(event["sequence"], json!(sequence), "seed {seed}: {event}");
        }
    }
    assert!(
        acknowledged.keys().all(|id| distinct.contains(id)),
        "seed {seed}: an acknowledged event is gone"
    );
    ids
}

/// The webhook's server was sent every event, in order, each under one id of its own.
async fn check_webhook(receiver: &Receiver, stream: &[String], silent: Option<usize>, seed: u64) {
    let wanted: BTreeSet<&String> = stream.iter().collect();
    let got = eventually(&format!("seed {seed}: the webhook is told of everything"), || async {
        let got = receiver.got();
        let events: BTreeSet<&String> = got.iter().map(|(_, event)| event).collect();
        (events == wanted).then(|| got.clone())
    })
    .await;
    let mut messages: BTreeMap<&String, &String> = BTreeMap::new();
    let mut first = Vec::new();
    for (message, event) in &got {
        let known = *messages.entry(event).or_insert_with(|| {
            first.push(event.clone());
            message
        });
        assert_eq!(known, message, "seed {seed}: {event} came under two ids");
    }
    assert_eq!(
        messages.values().collect::<BTreeSet<_>>().len(),
        stream.len(),
        "seed {seed}: one id for two events"
    );
    assert_eq!(first, stream, "seed {seed}: not in order");
    if let Some(number) = silent {
        let unheard = &got[number - 1];
        let times = got.iter().filter(|message| *message == unheard).count();
        assert!(
            times >= 2,
            "seed {seed}: {unheard:?}, which nobody answered, was not sent again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_or_consumed_twice() {
    try_each(seeds(10, 50), "no_event", one_seed).await;
}
