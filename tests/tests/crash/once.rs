//! A call that leaves at most once: whoever dies in its middle does not make it again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use crate::engine::{Engine, eventually};

/// A service that takes requests and never answers.
struct Silent {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Silent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/charge", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&seen)));
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    async fn is_asked(&self, times: usize) {
        eventually(&format!("{times} requests"), || async {
            (self.requests() >= times).then_some(())
        })
        .await;
    }
}

/// Reads until the other end is gone.
async fn take(mut stream: TcpStream, seen: Arc<AtomicUsize>) {
    let mut buffer = [0; 4_096];
    let mut asked = false;
    while let Ok(1..) = stream.read(&mut buffer).await {
        if !asked {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        asked = true;
    }
}

fn workflow(name: &str, url: &str, delivery: &str) -> String {
    format!(
        r"
document: {{ dsl: '1.0.3', namespace: crash, name: {name}, version: '1.0.0' }}
do:
  - pay:
      try:
        - charge:
            call: http
            with: {{ method: post, endpoint: '{url}', body: {{ amount: 5 }} }}
            metadata: {{ potok: {{ delivery: {delivery} }} }}
      catch:
        errors: {{ with: {{ type: 'https://open-workflow-specification.org/spec/1.0.0/errors/runtime' }} }}
        do:
          - ask: {{ set: {{ known: false, why: '${{ $error.title }}' }} }}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_leaves_at_most_once_is_not_repeated() {
    let (once, twice) = (Silent::start().await, Silent::start().await);
    let data = tempfile::tempdir().unwrap();
    let configuration = "[egress]\nallow = [\"127.0.0.1\"]\n";
    std::fs::write(data.path().join("potok.toml"), configuration).unwrap();
    let mut engine = Engine::start(data.path()).await;
    engine.deploy(&workflow("once", &once.url, "atMostOnce")).await;
    engine.deploy(&workflow("twice", &twice.url, "atLeastOnce")).await;
    for (number, killed) in [(1, true), (2, false)] {
        let key = format!("run-{number}");
        let run = engine.start_run("crash/once", &json!({}), &key).await;
        let other = engine.start_run("crash/twice", &json!({}), &key).await;
        once.is_asked(number).await;
        twice.is_asked(2 * number - 1).await;
        if killed {
            engine.kill().await;
        } else {
            engine.stop().await;
        }
        engine = Engine::start(data.path()).await;
        let ended = engine.ended(&run).await;
        assert_eq!(
            ended["output"],
            json!({ "known": false, "why": "Call may have been made" }),
            "{ended:#}"
        );
        twice.is_asked(2 * number).await;
        assert_eq!(once.requests(), number, "it was made again");
        engine.cancel(&other).await;
    }
    engine.stop().await;
}
