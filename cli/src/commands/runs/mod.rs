//! `potok runs`: what operators do with the runs of a server, over its API.

mod bulk;
mod client;
mod tell;

use std::time::Duration;

use potok_dsl::{Problem, RunId};
use serde_json::{Value, json};

use crate::{
    args::runs::{FilterArgs, MakeArgs, RunStatus, RunsCommand, SteerArgs},
    config::Config,
    exit::{CANCELLED, COMPLETED, FAULTED, Failure},
    input,
};
use client::Client;

/// The most runs of a page.
const PAGE: u32 = 500;

/// How often a run that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub async fn runs(config: &Config, command: RunsCommand) -> Result<u8, Failure> {
    let client = Client::new(config)?;
    match command {
        RunsCommand::List {
            filter, limit, json, ..
        } => list(&client, &filter, limit, json).await,
        RunsCommand::Show { run, json, .. } => show(&client, &id(&run)?, json).await,
        RunsCommand::Cancel(steer) => steered(&client, "cancel", &steer, reason(steer.more.reason.as_deref())).await,
        RunsCommand::Suspend(steer) => steered(&client, "suspend", &steer, reason(steer.more.reason.as_deref())).await,
        RunsCommand::Resume(steer) => steered(&client, "resume", &steer, json!({})).await,
        RunsCommand::Retry(steer) if steer.more.wait => retry_to_the_end(&client, &steer.runs).await,
        RunsCommand::Retry(steer) => steered(&client, "retry", &steer, json!({})).await,
        RunsCommand::Restart(make) => made(&client, "restart", make).await,
        RunsCommand::Fork(make) => made(&client, "fork", make).await,
        RunsCommand::Diff { run, with, json, .. } => diff(&client, &id(&run)?, with.as_deref(), json).await,
    }
}

/// The id of a run as the API writes it.
fn id(given: &str) -> Result<String, Failure> {
    let id: Result<RunId, potok_dsl::NameError> = given.parse();
    id.map(|id| id.to_string()).map_err(|e| Failure::Usage(e.to_string()))
}

fn reason(given: Option<&str>) -> Value {
    given.map_or_else(|| json!({}), |reason| json!({ "reason": reason }))
}

/// A filter as the API's parameters have it.
fn query(filter: &FilterArgs) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut query = Vec::new();
    if let Some(workflow) = &filter.workflow {
        let (rest, version) = match workflow.split_once(':') {
            Some((rest, version)) => (rest, Some(version)),
            None => (workflow.as_str(), None),
        };
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, rest),
        };
        query.extend(namespace.map(|namespace| ("namespace", namespace.to_owned())));
        query.push(("name", name.to_owned()));
        query.extend(version.map(|version| ("version", version.to_owned())));
    }
    query.extend(filter.status.iter().map(|status| ("status", word(*status).to_owned())));
    query.extend(filter.trigger.iter().map(|trigger| ("trigger", trigger.clone())));
    for (name, run) in [("parent", &filter.parent), ("origin", &filter.origin)] {
        if let Some(run) = run {
            query.push((name, id(run)?));
        }
    }
    query.extend(filter.created_from.iter().map(|time| ("created_from", time.clone())));
    query.extend(
        filter
            .created_before
            .iter()
            .map(|time| ("created_before", time.clone())),
    );
    Ok(query)
}

fn word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Pending => "pending",
        RunStatus::Running => "running",
        RunStatus::Waiting => "waiting",
        RunStatus::Suspended => "suspended",
        RunStatus::Cancelled => "cancelled",
        RunStatus::Faulted => "faulted",
        RunStatus::Completed => "completed",
    }
}

async fn list(client: &Client, filter: &FilterArgs, limit: u32, json: bool) -> Result<u8, Failure> {
    let filter = query(filter)?;
    let (mut all, mut left, mut cursor) = (Vec::new(), limit, None);
    while left > 0 {
        let mut query = filter.clone();
        query.push(("limit", left.min(PAGE).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = client.get(&[], &query).await?;
        let runs = page["runs"].as_array().cloned().unwrap_or_default();
        left = left.saturating_sub(u32::try_from(runs.len()).unwrap_or(u32::MAX));
        if json {
            all.extend(runs);
        } else {
            runs.iter().for_each(|run| crate::say!("{}", tell::line(run)));
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if json {
        tell::print(&Value::Array(all));
    } else if cursor.is_some() {
        eprintln!("potok: there are more; --limit {} shows them", limit.saturating_mul(10));
    }
    Ok(COMPLETED)
}

async fn show(client: &Client, run: &str, json: bool) -> Result<u8, Failure> {
    let view = client.get(&[run], &[]).await?;
    if json {
        tell::print(&view);
        return Ok(COMPLETED);
    }
    crate::say!("{}", tell::whole(&view));
    let mut from = Some(0);
    while let Some(number) = from {
        let query = [("from", number.to_string()), ("limit", PAGE.to_string())];
        let page = client.get(&[run, "history"], &query).await?;
        let events = page["events"].as_array().into_iter().flatten();
        events.for_each(|event| crate::say!("{}", tell::event(event)));
        from = page["next"].as_u64();
    }
    Ok(COMPLETED)
}

/// Asks something of the runs that are named, or of those that pass the filters.
async fn steered<T: clap::Args>(
    client: &Client,
    action: &'static str,
    steer: &SteerArgs<T>,
    body: Value,
) -> Result<u8, Failure> {
    if steer.all {
        return bulk::bulk(client, action, &query(&steer.filter)?, &body, steer.yes, steer.json).await;
    }
    if steer.filter != FilterArgs::default() {
        return Err(Failure::Usage(
            "filters choose among all runs: they need --all".to_owned(),
        ));
    }
    let ids: Vec<String> = steer.runs.iter().map(|run| id(run)).collect::<Result<_, _>>()?;
    let (mut done, mut failed) = (Vec::new(), None);
    for run in &ids {
        match client.post(&[run, action], &[], &body).await {
            Ok(view) if steer.json => done.push(view),
            Ok(view) => crate::say!("{}", tell::line(&view)),
            // One that cannot do it does not keep the others from it; the command fails all the same.
            Err(failure) if ids.len() > 1 => {
                eprint!("potok: run {run}: ");
                failed = Some(failure.report());
            }
            Err(failure) => return Err(failure),
        }
    }
    if steer.json {
        tell::print(&Value::Array(done));
    }
    Ok(failed.unwrap_or(COMPLETED))
}

async fn retry_to_the_end(client: &Client, runs: &[String]) -> Result<u8, Failure> {
    let [run] = runs else {
        return Err(Failure::Usage("one run is waited for at a time".to_owned()));
    };
    let view = client.post(&[&id(run)?, "retry"], &[], &json!({})).await?;
    to_the_end(client, view).await
}

/// Makes a run of another one.
async fn made(client: &Client, action: &str, make: MakeArgs) -> Result<u8, Failure> {
    let mut body = json!({});
    if let Some(from) = make.from {
        body["from"] = Value::String(from);
    }
    if let Some(given) = &make.input {
        body["input"] = input::json(Some(given))?;
    }
    if let Some(version) = make.on {
        body["version"] = Value::String(version);
    }
    let view = client
        .post_once(&[&id(&make.run)?, action], make.key.as_deref(), &body)
        .await?;
    if make.wait.wait {
        return to_the_end(client, view).await;
    }
    if make.json {
        tell::print(&view);
    } else {
        crate::say!("{}", tell::line(&view));
    }
    Ok(COMPLETED)
}

/// Waits for a run's end and tells it as `potok run` does.
async fn to_the_end(client: &Client, mut view: Value) -> Result<u8, Failure> {
    let run = view["id"].as_str().unwrap_or_default().to_owned();
    eprintln!("potok: run {run}");
    loop {
        match view["status"].as_str().unwrap_or_default() {
            "completed" => {
                tell::print(&view["output"]);
                return Ok(COMPLETED);
            }
            "cancelled" => {
                eprintln!("potok: the run was cancelled");
                return Ok(CANCELLED);
            }
            "faulted" => {
                let problem: Option<Problem> = serde_json::from_value(view["error"].take()).ok();
                return problem.map_or(Ok(FAULTED), |problem| Err(Failure::Problem(Box::new(problem))));
            }
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
        view = client.get(&[&run], &[]).await?;
    }
}

async fn diff(client: &Client, run: &str, with: Option<&str>, json: bool) -> Result<u8, Failure> {
    let query: Vec<_> = match with {
        Some(with) => vec![("with", id(with)?)],
        None => Vec::new(),
    };
    let diff = client.get(&[run, "diff"], &query).await?;
    if json {
        tell::print(&diff);
    } else {
        crate::say!("{}", tell::diff(&diff));
    }
    Ok(COMPLETED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_workflow_is_named_as_closely_as_one_likes() {
        let query = |workflow: &str| {
            let filter = FilterArgs {
                workflow: Some(workflow.to_owned()),
                ..FilterArgs::default()
            };
            let pairs = query(&filter).unwrap().into_iter();
            pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("&")
        };
        assert_eq!(query("prices"), "name=prices");
        assert_eq!(query("shop/prices"), "namespace=shop&name=prices");
        assert_eq!(query("shop/prices:1.0.0"), "namespace=shop&name=prices&version=1.0.0");
        assert_eq!(query("prices:1.0.0"), "name=prices&version=1.0.0");
    }
}
