//! The steps: the kit's own, and ours in their manner.

use std::time::Duration;

use cucumber::{gherkin::Step, given, then, when};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    api::{eventually, pretty},
    memory,
    scenario::{Scenario, word},
};

/// Under what a workflow without `document` is deployed. At the end, so that lines keep their numbers.
fn named(text: &str, name: &str) -> String {
    if text.lines().any(|line| line.starts_with("document:")) {
        return text.to_owned();
    }
    format!("{text}document: {{ dsl: '1.0.3', namespace: conformance, name: {name}, version: '1.0.0' }}\n")
}

fn doc(step: &Step) -> &str {
    step.docstring.as_deref().expect("the step has a doc string")
}

#[given(regex = "^a workflow(?: with definition)?:$")]
async fn a_workflow(scenario: &mut Scenario, step: &Step) {
    let text = scenario.text(doc(step)).await;
    scenario.text = named(&text, "main");
}

#[given(regex = r#"^another workflow "([^"]+)":$"#)]
async fn another_workflow(scenario: &mut Scenario, step: &Step, name: String) {
    let text = named(&scenario.text(doc(step)).await, &name);
    assert!(scenario.deploy(&text).await, "it was refused: {:?}", scenario.answer);
}

#[given(regex = "^(?:given )?the workflow input is:$")]
async fn the_input(scenario: &mut Scenario, step: &Step) {
    scenario.input = scenario.value(doc(step)).await;
}

#[given(regex = r#"^the service "([^"]+)" answers:$"#)]
async fn the_service(scenario: &mut Scenario, step: &Step, host: String) {
    let text = crate::yaml::doc_string(doc(step));
    scenario.doubles.answer(&host, &text).await;
}

#[given(regex = "^a server with the configuration:$")]
async fn a_server(scenario: &mut Scenario, step: &Step) {
    let text = crate::yaml::doc_string(doc(step));
    scenario.with_configuration(&text).await;
}

#[when("the workflow is executed")]
async fn executed(scenario: &mut Scenario) {
    scenario.start(true).await;
}

#[when("the workflow is started")]
async fn started(scenario: &mut Scenario) {
    scenario.start(false).await;
}

#[when("the workflow is deployed")]
async fn deployed(scenario: &mut Scenario) {
    let text = scenario.text.clone();
    scenario.deploy(&text).await;
}

#[when("the workflow is started again")]
async fn started_again(scenario: &mut Scenario) {
    scenario.start_again(false).await;
}

#[when(regex = "^the run is (waiting|running|suspended|pending)$")]
async fn is(scenario: &mut Scenario, status: String) {
    scenario.once(&[&status]).await;
}

#[when(regex = "^the run is (cancelled|suspended|resumed) by a person$")]
async fn steered(scenario: &mut Scenario, what: String) {
    let command = match what.as_str() {
        "cancelled" => "cancel",
        "suspended" => "suspend",
        _ => "resume",
    };
    scenario.potok().steer(scenario.id(), command).await.ok();
}

#[when(regex = r#"^the task "([^"]+)" has (started|completed|faulted)$"#)]
async fn task_did(scenario: &mut Scenario, name: String, event: String) {
    let did = eventually(async || scenario.tasks(&event).await.contains(&name).then_some(()));
    assert!(
        did.await.is_some(),
        "it has not {event}: {:?}",
        scenario.tasks("started").await
    );
}

#[when(regex = "^these events arrive:$")]
async fn events_arrive(scenario: &mut Scenario, step: &Step) {
    let events = scenario.value(doc(step)).await;
    for event in events.as_array().expect("a list of events") {
        scenario.send(event).await.ok();
    }
}

#[when(regex = r"^(\d+) milliseconds pass$")]
async fn pass(_: &mut Scenario, milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds)).await;
}

#[then("the workflow should complete")]
async fn completes(scenario: &mut Scenario) {
    scenario.ended("completed").await;
}

#[then(regex = "^the workflow should complete with output:$")]
async fn completes_with(scenario: &mut Scenario, step: &Step) {
    let expected = scenario.value(doc(step)).await;
    let run = scenario.ended("completed").await;
    same(&run["output"], &expected);
}

#[then(regex = "^the workflow should complete with output like:$")]
async fn completes_like(scenario: &mut Scenario, step: &Step) {
    let expected = scenario.value(doc(step)).await;
    let run = scenario.ended("completed").await;
    like(&run["output"], &expected);
}

#[then("the workflow should fault")]
async fn faults(scenario: &mut Scenario) {
    scenario.ended("faulted").await;
}

#[then(regex = "^the workflow should fault with error:$")]
async fn faults_with(scenario: &mut Scenario, step: &Step) {
    let expected = scenario.value(doc(step)).await;
    let run = scenario.ended("faulted").await;
    like(&run["error"], &expected);
}

/// By the last word of a standard type.
#[then(regex = r#"^the workflow should fault with a(?:n)? (\w+) error at "([^"]*)"$"#)]
async fn faults_standard(scenario: &mut Scenario, kind: String, instance: String) {
    let run = scenario.ended("faulted").await;
    let expected = format!("https://open-workflow-specification.org/spec/1.0.0/errors/{kind}");
    assert_eq!(
        (word(&run["error"]["type"]), word(&run["error"]["instance"])),
        (&*expected, &*instance),
        "{}",
        pretty(&run)
    );
}

#[then("the workflow should be cancelled")]
async fn cancelled(scenario: &mut Scenario) {
    scenario.ended("cancelled").await;
}

#[then(regex = "^the run should be (waiting|running|suspended|pending)$")]
async fn should_be(scenario: &mut Scenario, status: String) {
    assert_eq!(word(&scenario.look().await["status"]), status);
}

#[then(regex = "^the workflow output should have properties (.+)$")]
async fn has_properties(scenario: &mut Scenario, names: String) {
    let run = scenario.ended("completed").await;
    for name in names.split(',').map(|name| name.trim().trim_matches('\'')) {
        assert!(
            at(&run["output"], name).is_some(),
            "no '{name}' in {}",
            pretty(&run["output"])
        );
    }
}

#[then(regex = "^the workflow output should have a '([^']+)' property with value:$")]
async fn has_value(scenario: &mut Scenario, step: &Step, name: String) {
    let expected = scenario.value(doc(step)).await;
    let run = scenario.ended("completed").await;
    assert_eq!(at(&run["output"], &name), Some(&expected), "{}", pretty(&run["output"]));
}

#[then(regex = r"^the workflow output should have a '([^']+)' property containing (\d+) items$")]
async fn has_items(scenario: &mut Scenario, name: String, count: usize) {
    let run = scenario.ended("completed").await;
    let items = at(&run["output"], &name).and_then(Value::as_array).map(Vec::len);
    assert_eq!(items, Some(count), "{}", pretty(&run["output"]));
}

#[then(regex = r"^(\w+) should run (first|last)$")]
async fn runs_at(scenario: &mut Scenario, task: String, place: String) {
    let tasks = scenario.tasks("started").await;
    let found = if place == "first" { tasks.first() } else { tasks.last() };
    assert_eq!(found, Some(&task), "{tasks:?}");
}

#[then(regex = r"^(\w+) should run after (\w+)$")]
async fn runs_after(scenario: &mut Scenario, task: String, other: String) {
    let tasks = scenario.tasks("started").await;
    let place = |name: &String| tasks.iter().position(|task| task == name);
    assert!(place(&other).is_some() && place(&task) > place(&other), "{tasks:?}");
}

#[then(regex = r"^these tasks should have (started|skipped|completed|faulted|cancelled|retried): (.*)$")]
async fn tasks_in_order(scenario: &mut Scenario, event: String, names: String) {
    let event = if event == "retried" { "retrying" } else { &event };
    let expected: Vec<&str> = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(scenario.tasks(event).await, expected);
}

#[then(regex = r"^(\w+) should not run$")]
async fn does_not_run(scenario: &mut Scenario, task: String) {
    let tasks = scenario.tasks("started").await;
    assert!(!tasks.contains(&task), "{tasks:?}");
}

#[then(regex = r"^(\w+) should run (\d+) times$")]
async fn runs_times(scenario: &mut Scenario, task: String, times: usize) {
    let tasks = scenario.tasks("started").await;
    assert_eq!(tasks.iter().filter(|name| **name == task).count(), times, "{tasks:?}");
}

#[then(regex = r"^it should have taken (at least|less than) (\d+) milliseconds$")]
async fn took(scenario: &mut Scenario, how: String, limit: i64) {
    let run = scenario.end().await;
    let time = |name: &str| {
        chrono::DateTime::parse_from_rfc3339(word(&run[name]))
            .unwrap()
            .timestamp_millis()
    };
    let took = time("endedAt") - time("createdAt");
    assert!((took >= limit) == (how == "at least"), "it took {took} ms");
}

#[then(regex = r#"^the definition should be refused at line (\d+) saying "(.*)"$"#)]
async fn refused(scenario: &mut Scenario, line: u64, words: String) {
    let answer = scenario.answer.as_ref().expect("it was deployed");
    assert_eq!(answer.status, 422, "{}", pretty(&answer.body));
    let found = answer.body["data"].as_array().is_some_and(|list| {
        let there = |d: &&Value| d["line"] == line && d["message"].as_str().is_some_and(|m| m.contains(&words));
        list.iter().any(|d| there(&d))
    });
    assert!(found, "{}", pretty(&answer.body));
}

#[then(regex = r#"^the start should be refused saying "(.*)"$"#)]
async fn start_refused(scenario: &mut Scenario, words: String) {
    let answer = scenario.answer.as_ref().expect("it was started");
    assert_eq!(answer.status, 422, "{}", pretty(&answer.body));
    assert!(answer.body.to_string().contains(&words), "{}", pretty(&answer.body));
}

#[then(regex = r#"^the service "([^"]+)" should have received:$"#)]
async fn received(scenario: &mut Scenario, step: &Step, host: String) {
    let expected = scenario.value(doc(step)).await;
    let expected = expected.as_array().expect("a list of requests");
    let all = eventually(async || (scenario.doubles.received(&host).len() >= expected.len()).then_some(()));
    all.await;
    let received = scenario.doubles.received(&host);
    assert_eq!(received.len(), expected.len(), "{}", pretty(&received.into()));
    received
        .iter()
        .zip(expected)
        .for_each(|(request, expected)| like(request, expected));
}

#[then(regex = r#"^the service "([^"]+)" should have received (\d+) requests?$"#)]
async fn received_count(scenario: &mut Scenario, host: String, count: usize) {
    let received = scenario.doubles.received(&host);
    assert_eq!(received.len(), count, "{}", pretty(&received.into()));
}

#[then(regex = r"^(\d+) runs? of the workflow should (?:have )?complete(?:d)?$")]
async fn runs_complete(scenario: &mut Scenario, count: usize) {
    let completed = async || scenario.potok().runs("status=completed&name=main").await.len();
    let enough = eventually(async || (completed().await >= count).then_some(()));
    assert!(enough.await.is_some(), "only {} have", completed().await);
    assert_eq!(completed().await, count);
}

#[then(regex = r"^at least (\d+) runs? of the workflow should complete$")]
async fn at_least_runs(scenario: &mut Scenario, count: usize) {
    let completed = async || scenario.potok().runs("status=completed&name=main").await;
    let enough = eventually(async || (completed().await.len() >= count).then_some(()));
    assert!(enough.await.is_some(), "only {} have", completed().await.len());
    scenario.run = completed().await.first().map(|run| word(&run["id"]).to_owned());
}

#[then(regex = r"^the server should be alive and use less than (\d+) MiB$")]
async fn lives(scenario: &mut Scenario, limit: u64) {
    assert!(scenario.potok().is_alive().await, "{}", scenario.potok().log());
    let peak = memory::peak(scenario.potok().data());
    assert!(peak < limit * 1024 * 1024, "it used {} MiB", peak / 1024 / 1024);
}

/// The value at a path of names with dots.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

/// Whether a value is what is expected; the order of members says nothing.
#[track_caller]
pub fn same(value: &Value, expected: &Value) {
    assert!(
        value == expected,
        "expected {}\nfound {}",
        pretty(expected),
        pretty(value)
    );
}

/// Whether a value has what is expected: objects may have more, all else is the same.
#[track_caller]
pub fn like(value: &Value, expected: &Value) {
    assert!(
        has(value, expected),
        "expected {}\nfound {}",
        pretty(expected),
        pretty(value)
    );
}

fn has(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| value.get(name).is_some_and(|value| has(value, expected))),
        (Value::Array(value), Value::Array(expected)) => {
            value.len() == expected.len() && value.iter().zip(expected).all(|(value, expected)| has(value, expected))
        }
        _ => value == expected,
    }
}

#[then(regex = r"^the workflow should have been kept from (.+)$")]
async fn kept_from(scenario: &mut Scenario, host: String) {
    let run = scenario.ended("faulted").await;
    let expected = "https://open-workflow-specification.org/spec/1.0.0/errors/authorization";
    assert_eq!(word(&run["error"]["type"]), expected, "{}", pretty(&run));
    assert!(word(&run["error"]["detail"]).contains(&host), "{}", pretty(&run));
}

#[then(regex = r"^a person should not be able to (cancel|suspend|resume) the run$")]
async fn not_steered(scenario: &mut Scenario, command: String) {
    let answer = scenario.potok().steer(scenario.id(), &command).await;
    assert_eq!(answer.status, 409, "{}", pretty(&answer.body));
}

#[when(regex = r#"^a run of "([^"]+)" is executed$"#)]
async fn other_executed(scenario: &mut Scenario, workflow: String) {
    let run = scenario.potok().run(&workflow, &serde_json::json!({}), true).await.ok();
    assert_eq!(word(&run["status"]), "completed", "{}", pretty(&run));
}

#[when(regex = r"^a body of (\d+) nested arrays is sent as input$")]
async fn nested_input(scenario: &mut Scenario, depth: usize) {
    let text = scenario.text.clone();
    scenario.deploy(&text).await;
    let path = format!("/api/v1/workflows/{}/runs", scenario.place);
    let request = scenario
        .potok()
        .request(reqwest::Method::POST, &path)
        .header("content-type", "application/json");
    let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    scenario.answer = Some(scenario.potok().answer(request.body(body)).await);
}

#[then(regex = r"^the API should answer (\d+)$")]
async fn answers(scenario: &mut Scenario, status: u16) {
    let answer = scenario.answer.as_ref().expect("something was asked");
    assert_eq!(answer.status, status, "{}", pretty(&answer.body));
}

#[then(regex = r#"^(\d+) events? of type "([^"]+)" should be in the stream$"#)]
async fn events_in_stream(scenario: &mut Scenario, count: usize, kind: String) {
    let found = scenario.stream(&kind, count).await;
    assert_eq!(found.len(), count, "{}", pretty(&found.into()));
}

#[then(regex = r#"^these events of type "([^"]+)" should be in the stream:$"#)]
async fn these_events(scenario: &mut Scenario, step: &Step, kind: String) {
    let expected = scenario.value(doc(step)).await;
    let count = expected.as_array().map_or(0, Vec::len);
    like(&Value::Array(scenario.stream(&kind, count).await), &expected);
}

#[when(regex = r#"^a run of the workflow "([^"]+)" is (waiting|completed)$"#)]
#[then(regex = r#"^a run of the workflow "([^"]+)" should be (cancelled|completed|faulted)$"#)]
async fn other_run(scenario: &mut Scenario, name: String, status: String) {
    let filter = format!("name={name}&status={status}");
    let found = eventually(async || (!scenario.potok().runs(&filter).await.is_empty()).then_some(()));
    assert!(
        found.await.is_some(),
        "{}",
        pretty(&scenario.potok().runs(&format!("name={name}")).await.into())
    );
}

#[given(regex = r#"^the secret "([^"]+)" is "(.+)"$"#)]
async fn the_secret(scenario: &mut Scenario, name: String, value: String) {
    let value = scenario.doubles.rewrite(&value).await;
    scenario.set_secret(&name, value).await;
}

#[then(regex = r#"^nothing that the API says of the run should contain "([^"]+)"$"#)]
async fn never_said(scenario: &mut Scenario, words: String) {
    let run = scenario.look().await.to_string();
    let history = Value::Array(scenario.history().await).to_string();
    assert!(!run.contains(&words) && !history.contains(&words), "{run}\n{history}");
}

#[given(regex = r#"^the webhook "([^"]+)" is told of "([^"]+)"$"#)]
async fn webhook(scenario: &mut Scenario, host: String, types: String) {
    scenario.doubles.answer(&host, "POST /hook: { status: 204 }\n").await;
    let url = scenario.doubles.rewrite(&format!("https://{host}/hook")).await;
    let webhook = serde_json::json!({ "url": url, "types": [types] });
    scenario.potok().post("/api/v1/webhooks", &webhook).await.ok();
}
