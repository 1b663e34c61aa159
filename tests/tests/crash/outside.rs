//! Someone outside who counts: which steps of which runs were asked for, under which keys, in what order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use potok_testing::{Reply, Request, Server};
use serde_json::json;

/// Steps of a run.
pub const STEPS: usize = 20;

/// What was seen of a run: how often it was asked for each step, and the newest step.
#[derive(Default)]
struct Seen {
    keys: HashMap<String, usize>,
    times: HashMap<usize, usize>,
    newest: usize,
    /// Steps that were asked for again though a later one had been asked for.
    late: Vec<usize>,
}

/// A service that counts, by run.
pub struct Outside {
    server: Server,
    seen: Arc<Mutex<HashMap<String, Seen>>>,
}

impl Outside {
    pub async fn start() -> Self {
        let seen = Arc::<Mutex<HashMap<String, Seen>>>::default();
        let counted = Arc::clone(&seen);
        let server = Server::start(move |request: &Request| {
            let (run, step) = request.target.trim_start_matches('/').split_once('/').unwrap();
            let step: usize = step.parse().unwrap();
            let key = request.header("idempotency-key").unwrap().to_owned();
            let mut seen = counted.lock().unwrap();
            let run = seen.entry(run.to_owned()).or_default();
            *run.times.entry(step).or_default() += 1;
            let first = run.keys.insert(key, step);
            assert!(first.is_none_or(|first| first == step), "one key for two steps");
            if step < run.newest {
                run.late.push(step);
            }
            run.newest = run.newest.max(step);
            Reply::Json(200, json!({}))
        })
        .await;
        Self { server, seen }
    }

    /// A workflow of the namespace `crash` whose every step is seen here. Its input has a `run` of its own.
    pub fn workflow(&self, name: &str) -> String {
        let mut text = format!("document: {{ dsl: '1.0.3', namespace: crash, name: {name}, version: '1.0.0' }}\ndo:\n");
        for step in 0..STEPS {
            text.push_str(&format!(
                "  - s{step}: {{ call: http, with: {{ method: post, endpoint: '{}/{{run}}/{step}' }}, output: {{ as: '${{ $input }}' }} }}\n",
                self.server.url()
            ));
        }
        text
    }

    /// How many steps were asked for so far.
    pub fn steps(&self) -> usize {
        self.seen.lock().unwrap().values().map(|seen| seen.keys.len()).sum()
    }

    /// All steps of so many runs were asked for, each under one key of its own, in order, and nothing else was. How many came again.
    pub fn check(&self, runs: usize) -> usize {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), runs, "runs that nobody asked for, or that did nothing");
        let mut repeated = 0;
        for (run, seen) in seen.iter() {
            assert_eq!(seen.keys.len(), STEPS, "{run}: a key a step");
            assert_eq!(seen.times.len(), STEPS, "{run}: all steps");
            assert_eq!(
                seen.late,
                Vec::<usize>::new(),
                "{run}: a step came again after the next one"
            );
            repeated += seen.times.values().filter(|times| **times > 1).count();
        }
        repeated
    }
}
