//! One scenario: a server, the doubles of the services that it calls, what was deployed, and what came of it.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use cucumber::World;
use serde_json::{Value, json};

use crate::{
    api::{Answer, Potok, eventually, pretty},
    coverage::Evidence,
    double::Doubles,
    yaml,
};

/// What a scenario has.
#[derive(World)]
#[world(init = Self::new)]
pub struct Scenario {
    potok: Option<Potok>,
    pub doubles: Doubles,
    /// The text of the workflow that the scenario is about, and where it runs: `namespace/name`.
    pub text: String,
    pub input: Value,
    pub place: String,
    /// Deployed texts by the hash of their definition.
    deployed: Vec<(String, String)>,
    /// The API's last answer.
    pub answer: Option<Answer>,
    /// The run's id.
    pub run: Option<String>,
    /// The server is of this scenario alone.
    own: bool,
    /// The number of the last event before the scenario.
    after: u64,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Scenario {
    pub async fn new() -> Self {
        let potok = Potok::borrow().await;
        let after = mark(&potok).await;
        Self {
            potok: Some(potok),
            after,
            doubles: Doubles::default(),
            text: String::new(),
            input: json!({}),
            place: String::new(),
            deployed: Vec::new(),
            answer: None,
            run: None,
            own: false,
        }
    }

    pub fn potok(&self) -> &Potok {
        self.potok.as_ref().expect("the scenario has not ended")
    }

    /// Takes a server with a configuration of its own instead of a shared one.
    pub async fn with_configuration(&mut self, configuration: &str) {
        let own = Potok::start(configuration).await;
        self.after = mark(&own).await;
        if let Some(shared) = self.potok.replace(own).filter(|_| !self.own) {
            shared.give_back().await;
        }
        self.own = true;
    }

    /// A doc string, with doubles for hosts.
    pub async fn text(&mut self, doc: &str) -> String {
        self.doubles.rewrite(&yaml::doc_string(doc)).await
    }

    /// The value of a doc string, with doubles for hosts.
    pub async fn value(&mut self, doc: &str) -> Value {
        yaml::value(&self.text(doc).await)
    }

    /// Deploys a text; a refusal is for the scenario to judge.
    pub async fn deploy(&mut self, text: &str) -> bool {
        let answer = self.potok().deploy(text).await;
        let accepted = answer.status < 300;
        if accepted {
            let workflow = &answer.body["workflow"];
            self.place = format!("{}/{}", word(&workflow["namespace"]), word(&workflow["name"]));
            let hash = word(&answer.body["definition"]).to_owned();
            self.deployed.push((hash, text.to_owned()));
        }
        self.answer = Some(answer);
        accepted
    }

    /// Deploys the workflow and starts a run of it.
    pub async fn start(&mut self, wait: bool) {
        let text = self.text.clone();
        if !self.deploy(&text).await {
            return;
        }
        self.start_again(wait).await;
    }

    /// Starts a run of what was deployed last.
    pub async fn start_again(&mut self, wait: bool) {
        let answer = self.potok().run(&self.place, &self.input, wait).await;
        if answer.status < 300 {
            self.run = Some(word(&answer.body["id"]).to_owned());
        }
        self.answer = Some(answer);
    }

    /// The run's id.
    #[track_caller]
    pub fn id(&self) -> &str {
        let answered = self
            .answer
            .as_ref()
            .map(|answer| pretty(&answer.body))
            .unwrap_or_default();
        self.run
            .as_deref()
            .unwrap_or_else(|| panic!("nothing runs; the API said: {answered}"))
    }

    /// The run as it is now.
    pub async fn look(&self) -> Value {
        self.potok().look(self.id()).await
    }

    /// The run once it has one of these statuses.
    pub async fn once(&self, statuses: &[&str]) -> Value {
        let found = eventually(async || {
            let run = self.look().await;
            statuses.contains(&word(&run["status"])).then_some(run)
        });
        match found.await {
            Some(run) => run,
            None => panic!(
                "the run is not {}: {}",
                statuses.join(" or "),
                pretty(&self.look().await)
            ),
        }
    }

    /// The run at its end.
    pub async fn end(&self) -> Value {
        self.once(&["completed", "faulted", "cancelled"]).await
    }

    /// The run, which must have ended so.
    pub async fn ended(&self, status: &str) -> Value {
        let run = self.end().await;
        assert_eq!(word(&run["status"]), status, "{}", pretty(&run));
        run
    }

    /// What the run's tasks did.
    pub async fn history(&self) -> Vec<Value> {
        self.potok().history(self.id()).await
    }

    /// Names of tasks to which this happened, in order.
    pub async fn tasks(&self, event: &str) -> Vec<String> {
        let history = self.history().await;
        let named = history.iter().filter(|entry| entry["event"] == event);
        named.map(|entry| word(&entry["name"]).to_owned()).collect()
    }

    /// Sends an event to the server, with what every event has.
    pub async fn send(&self, event: &Value) -> Answer {
        // Scenarios share servers, and an event that a server knows is not taken again.
        static SENT: AtomicU64 = AtomicU64::new(0);
        let id = format!("event-{}", SENT.fetch_add(1, Ordering::Relaxed));
        let mut whole = json!({ "specversion": "1.0", "id": id, "source": "https://example.com" });
        for (name, value) in event.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        let request = self
            .potok()
            .request(reqwest::Method::POST, "/api/v1/events")
            .header("content-type", "application/cloudevents+json");
        self.potok().answer(request.body(whole.to_string())).await
    }

    /// Keeps a secret in the server's store.
    pub async fn set_secret(&self, name: &str, value: String) {
        let request = self
            .potok()
            .request(reqwest::Method::PUT, &format!("/api/v1/secrets/{name}"));
        self.potok().answer(request.body(value)).await.ok();
    }

    /// The events of a type that came since the scenario began, once there are so many.
    pub async fn stream(&self, kind: &str, count: usize) -> Vec<Value> {
        let path = format!("/api/v1/events?limit=500&after={}&type={kind}", self.after);
        let read = async || {
            let page = self.potok().get(&path).await.ok();
            let events = page["events"].as_array().cloned().unwrap_or_default();
            events.iter().map(|row| row["event"].clone()).collect::<Vec<Value>>()
        };
        eventually(async || (read().await.len() >= count).then_some(())).await;
        read().await
    }

    /// What was done in this scenario: each definition that ran, with the history of its runs.
    pub async fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        for run in self.potok().runs("").await {
            let Some((_, text)) = self.deployed.iter().find(|(hash, _)| run["definition"] == **hash) else {
                continue;
            };
            let history = self.potok().history(word(&run["id"])).await;
            evidence.push(Evidence::new(text, &run, &history));
        }
        evidence
    }

    /// Gives the server back.
    pub async fn finish(&mut self) {
        match self.potok.take() {
            Some(potok) if !self.own => potok.give_back().await,
            _ => {}
        }
    }
}

/// Sends an event that nobody waits for, and tells its number.
async fn mark(potok: &Potok) -> u64 {
    static MARKS: AtomicU64 = AtomicU64::new(0);
    let id = MARKS.fetch_add(1, Ordering::Relaxed).to_string();
    let event = json!({ "specversion": "1.0", "id": id, "source": "/conformance", "type": "potok.conformance.begins" });
    let request = potok
        .request(reqwest::Method::POST, "/api/v1/events")
        .header("content-type", "application/cloudevents+json");
    let answer = potok.answer(request.body(event.to_string())).await;
    answer.body["events"][0]["sequence"].as_u64().unwrap_or_default()
}

/// A text in a JSON value.
pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
