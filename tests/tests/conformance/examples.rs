//! The standard's own examples, each run against doubles, with what must come of it in a table: `tests/conformance/examples.yaml`.

use std::{fs, panic::AssertUnwindSafe};

use futures::{FutureExt as _, StreamExt as _, stream};
use potok_tests::repository;
use serde_json::{Value, json};

use crate::{
    api::{SERVERS, eventually, pretty},
    report::{self, Result},
    scenario::{Scenario, word},
    steps::{like, same},
    yaml,
};

const TABLE: &str = "tests/conformance/examples.yaml";
const EXAMPLES: &str = "engine/dsl/tests/examples";

/// Runs all examples that the filter lets through, and keeps their results.
pub async fn run(filter: &str) {
    let table = fs::read_to_string(repository().join(TABLE)).unwrap();
    let Value::Object(rows) = yaml::value(&table) else {
        panic!("{TABLE} is an object")
    };
    let mut names: Vec<String> = fs::read_dir(repository().join(EXAMPLES))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    let unknown: Vec<&String> = rows.keys().filter(|name| !names.contains(name)).collect();
    assert!(
        unknown.is_empty(),
        "{TABLE} names examples that are not there: {unknown:?}"
    );
    let chosen = names.iter().filter(|name| {
        let name = format!("examples/{name}.yaml");
        name.contains(filter) && !crate::is_pending(&name)
    });
    let cases = chosen.flat_map(|name| match rows.get(name) {
        Some(Value::Array(cases)) => cases.iter().map(|row| (name, Some(row.clone()))).collect(),
        row => vec![(name, row.cloned())],
    });
    stream::iter(cases.map(|(name, row)| one(name, row)))
        .buffer_unordered(SERVERS)
        .collect::<Vec<()>>()
        .await;
}

async fn one(name: &str, row: Option<Value>) {
    let line = 1;
    let mut scenario = Scenario::new().await;
    let outcome = match row {
        Some(row) => AssertUnwindSafe(play(&mut scenario, name, &row)).catch_unwind().await,
        None => Err(Box::new(format!("it has no row in {TABLE}")) as Box<dyn std::any::Any + Send>),
    };
    let failure = outcome.err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    });
    if let Some(why) = &failure {
        eprintln!("\nexamples/{name}.yaml\n  {why}");
    }
    let evidence = if failure.is_none() {
        scenario.evidence().await
    } else {
        Vec::new()
    };
    scenario.finish().await;
    report::keep(Result {
        feature: "Examples".to_owned(),
        scenario: name.to_owned(),
        constructs: Vec::new(),
        place: (format!("examples/{name}.yaml"), line),
        failure,
        evidence,
    });
}

/// Plays a row: `services` with their answers, workflows `before` it, its `input`, the `events` that come, and what is expected.
async fn play(scenario: &mut Scenario, name: &str, row: &Value) {
    let text = fs::read_to_string(repository().join(EXAMPLES).join(format!("{name}.yaml"))).unwrap();
    for (host, answers) in row["services"].as_object().into_iter().flatten() {
        scenario.doubles.answer(host, &answers.to_string()).await;
    }
    for (name, value) in row["secrets"].as_object().into_iter().flatten() {
        let value = scenario.doubles.rewrite(&value.to_string()).await;
        scenario.set_secret(name, value).await;
    }
    for text in row["before"].as_array().into_iter().flatten() {
        let text = scenario.text(word(text)).await;
        assert!(scenario.deploy(&text).await, "{:?}", scenario.answer);
    }
    scenario.text = scenario.text(&text).await;
    if let Some(input) = row.get("input") {
        scenario.input = scenario.value(&input.to_string()).await;
    }
    if let Some(words) = row["refused"].as_str() {
        let text = scenario.text.clone();
        assert!(!scenario.deploy(&text).await, "it was accepted");
        let answer = scenario.answer.as_ref().expect("it was deployed");
        assert!(
            answer.status == 422 && answer.body.to_string().contains(words),
            "{}",
            pretty(&answer.body)
        );
        return;
    }
    // The server may have served others before.
    let before = scenario.potok().runs("").await;
    if row["triggered"] == json!(true) {
        let text = scenario.text.clone();
        assert!(scenario.deploy(&text).await, "{:?}", scenario.answer);
    } else {
        scenario.start(row.get("events").is_none()).await;
    }
    for event in row["events"].as_array().into_iter().flatten() {
        if scenario.run.is_some() {
            scenario.once(&["waiting"]).await;
        }
        scenario.send(event).await.ok();
    }
    if row["triggered"] == json!(true) {
        scenario.run = eventually(async || {
            let mut runs = scenario.potok().runs("").await.into_iter();
            let new = |run: &Value| before.iter().all(|known| known["id"] != run["id"]);
            runs.find(new).map(|run| word(&run["id"]).to_owned())
        })
        .await;
    }
    expect(scenario, &row["expect"]).await;
}

/// What must have come of it: a `status`; and the `output`, the `error`, what services have received.
async fn expect(scenario: &mut Scenario, expected: &Value) {
    let status = expected["status"].as_str().expect("a row expects a status");
    let run = if status == "waiting" {
        scenario.once(&[status]).await
    } else {
        scenario.ended(status).await
    };
    if let Some(output) = expected.get("output") {
        let output = scenario.value(&output.to_string()).await;
        same(&run["output"], &output);
    }
    for part in ["like", "error"] {
        if let Some(value) = expected.get(part) {
            let value = scenario.value(&value.to_string()).await;
            like(&run[if part == "like" { "output" } else { part }], &value);
        }
    }
    for (host, requests) in expected["received"].as_object().into_iter().flatten() {
        let requests = scenario.value(&requests.to_string()).await;
        // A run that goes on for ever waits again before all that it does is done.
        let count = requests.as_array().map_or(0, Vec::len);
        let all = eventually(async || (scenario.doubles.received(host).len() >= count).then_some(()));
        all.await;
        let received = Value::Array(scenario.doubles.received(host));
        like(&received, &requests);
    }
}
